"""Checks of magnitude, mixing, objective and receptive fields; each takes the implementation to check."""

import math

import numpy as np
import pytest
import torch

from maths.cases import MAPS, POSITIVE, close, random_flags, random_maps, tensor
from partscope.maths import ReceptiveField, normalise

EXACT = 1e-12


def worked_magnitude(magnitude):
    close(magnitude(MAPS, POSITIVE[:, 0]), [6.5, 9.0], EXACT)


def magnitude_is_a_mean_of_sums_of_positive_values(magnitude):
    x = random_maps(30) - 1
    counted = torch.tensor([True, False, True, True, False])
    values = x.numpy()
    expected = [sum(max(float(v), 0) for m in (0, 2, 3) for v in values[m, f].ravel()) / 3 for f in range(3)]
    close(magnitude(x, counted), expected, EXACT)
    close(magnitude(7.5 * x, counted), 7.5 * tensor(expected), 1e-10)
    assert magnitude(x, torch.zeros(5, dtype=torch.bool)).isnan().all()


def magnitude_passes_its_gradient(magnitude):
    x = (random_maps(31) - 1).requires_grad_()
    magnitude(x, torch.ones(5, dtype=torch.bool)).sum().backward()
    close(x.grad, (x > 0).double() / 5, EXACT)


def clamped_magnitudes_are_safe(clamp_magnitude):
    close(clamp_magnitude(tensor([0, 5, 10, 20]), floor=0.1), [0.5, 5, 10, 20], EXACT)
    close(clamp_magnitude(tensor([0, 0, 0, 8])), [2e-3, 2e-3, 2e-3, 8], EXACT)
    assert (clamp_magnitude(torch.zeros(3)) > 0).all()
    close(clamp_magnitude(tensor([0, 2, 4])), [2e-3, 2, 4], EXACT)
    alpha = tensor([0, 2, 4]).requires_grad_()
    clamp_magnitude(alpha).sum().backward()
    close(alpha.grad, [0, 1, 1], EXACT)


def normalised_channels_sum_to_one(normalise):
    x = random_maps(32)
    close(normalise(x, x.sum((2, 3)).mean(0)).sum((2, 3)).mean(0), torch.ones(3), EXACT)


def no_map_counts_for_more_than_so_many_means(limit_magnitude):
    x = random_maps(35).abs() + 0.1
    total = x.sum((2, 3))
    most = float(total.median())
    close(limit_magnitude(x, most).sum((2, 3)), total.clamp(max=most), EXACT)
    negative = tensor([-5.0, 1.0]).reshape(1, 1, 1, 2)
    close(limit_magnitude(negative, 2.0), negative, EXACT)
    close(limit_magnitude(negative, 0.5), negative / 2, EXACT)
    close(limit_magnitude(torch.zeros(1, 1, 2, 2), 0.5), torch.zeros(1, 1, 2, 2), EXACT)


def mixing_weight_is_a_sigmoid(mixing_weight):
    for w in (-3.0, 0.0, 1.5):
        close(mixing_weight(tensor(w)), 1 / (1 + math.exp(-w)), EXACT)


def p_is_the_share_of_the_interpretable_track(mix):
    interpretable, ordinary = random_maps(33), 40 * random_maps(34)
    a, b = (normalise(x, x.sum((2, 3)).mean(0)) for x in (interpretable, ordinary))
    for p in (0.25, 0.9):
        share = (p * a).sum((2, 3)).mean(0) / mix(tensor(p), a, b).sum((2, 3)).mean(0)
        close(share, tensor([p] * 3), EXACT)


def mixture_weighs_the_interpretable_track_by_p(mix):
    interpretable, ordinary = random_maps(40), random_maps(41)
    close(mix(0.3, interpretable, ordinary), 0.3 * interpretable + 0.7 * ordinary, EXACT)
    close(mix(tensor(1.0), interpretable, ordinary), interpretable, EXACT)
    mean_map = ordinary.mean(0, keepdim=True)
    close(mix(0.0, interpretable, mean_map), mean_map.expand_as(ordinary), EXACT)


def mixing_loss_is_minus_log_p(mixing_loss):
    for w in (-2.0, 0.0, 3.0):
        parameter = tensor(w).requires_grad_()
        mixing_loss(parameter).backward()
        p = 1 / (1 + math.exp(-w))
        close(mixing_loss(parameter), -math.log(p), EXACT)
        close(parameter.grad, -(1 - p), EXACT)
    for w in (-1e4, 1e4):
        assert mixing_loss(torch.tensor(w)).item() == max(-w, 0)


def blend_leaves_the_ordinary_track_alone(blend):
    p = tensor(0.3).requires_grad_()
    x, ordinary = random_maps(35).requires_grad_(), random_maps(36).requires_grad_()
    out = blend(p, x, ordinary)
    close(out, 0.3 * x + 0.7 * ordinary, EXACT)
    upstream = random_maps(37)
    out.backward(upstream)
    assert ordinary.grad is None
    close(x.grad, 0.3 * upstream, EXACT)
    close(p.grad, (upstream * (x - ordinary)).sum(), 1e-9)


def positive_norm_ignores_what_the_relu_removes(positive_norm):
    close(positive_norm(tensor([[[[3.0, -7.0]], [[4.0, 0.0]]], [[[0.0, 0.0]], [[-1.0, 0.0]]]])), [5, 0], EXACT)


def reconstruction_scale_has_two_powers(reconstruction_scale):
    close(tensor([reconstruction_scale(5.0, 1), reconstruction_scale(5.0, 2)]), [0.2, 0.04], EXACT)


def reconstruction_loss_is_a_mean_over_images(reconstruction_loss):
    rng = np.random.default_rng(0)
    outputs, targets = ([rng.normal(size=s) for s in ((4, 6), (4, 2, 3, 3))] for _ in range(2))
    scales = [0.5, 2.0]
    expected = 0.0
    for m in range(4):
        for u, v, scale in zip(outputs, targets, scales, strict=True):
            expected += scale * sum((a - b) ** 2 for a, b in zip(u[m].ravel(), v[m].ravel(), strict=True)) / 4
    close(
        reconstruction_loss([tensor(u) for u in outputs], [tensor(v) for v in targets], scales),
        expected,
        1e-10,
    )


def worked_gradient_norm(map_gradient_norm):
    g = torch.zeros(3, 1, 3, 3, dtype=torch.float64)
    g[0, 0, 1, 1], g[0, 0, 0, 0], g[1, 0, 0, 0], g[2, 0, 2, 2] = -4, 3, 12, -1
    close(map_gradient_norm(g), [6.0], EXACT)


def worked_strength(filter_strength):
    close(filter_strength(tensor([6.0]), tensor([0.001224533]), 1 / 600), [8.166379], 3e-6)
    close(filter_strength(tensor([6.0, 0.0]), tensor([0.0, 2.0]), 0.5), [0, 0], 0)
    tiny = filter_strength(torch.tensor([1.0]), torch.tensor([1e-20]), 1.0)
    assert tiny.item() == pytest.approx(1e20)


def strength_falls_with_the_epoch(paper_strength):
    assert paper_strength(1) == pytest.approx(1 / 300)
    assert paper_strength(2) * 6.0 == pytest.approx(0.01)
    assert paper_strength(4, constant=1.0) == pytest.approx(0.25)


POOL, STEM = (3, 2, 0), (7, 2, 0)
VGG16 = [layer for n in (2, 2, 3, 3) for layer in [(3, 1, 1)] * n + [(2, 2, 0)]] + [(3, 1, 1)] * 3
CHAINS = {
    "caffe AlexNet": ([(11, 4, 0), POOL, (5, 1, 2), POOL, (3, 1, 1)], 18, 16),
    "torchvision AlexNet": ([(11, 4, 2), POOL, (5, 1, 2), POOL, (3, 1, 1)], 16, 16),
    "VGG-M": ([STEM, POOL, (5, 2, 1), POOL, (3, 1, 1), (3, 1, 1), (3, 1, 1)], 18, 16),
    "VGG-S": ([STEM, (3, 3, 0), (5, 1, 0), (2, 2, 0), (3, 1, 1), (3, 1, 1), (3, 1, 1)], 21, 12),
    "VGG-16": (VGG16, 8.5, 16),
    "ResNet": ([(7, 2, 3), (3, 2, 1), (3, 1, 1), (3, 2, 1), (3, 2, 1), (3, 2, 1), (3, 1, 1)], 1, 32),
}
"""Layers, first centre (1-based px) and spacing, as tabulated for the published nets."""


def fields_of_published_nets(conv_chain_field):
    for name, (layers, start, stride) in CHAINS.items():
        field = conv_chain_field(layers)
        assert (field.start, field.stride) == (start - 1, stride), (name, field)
    assert conv_chain_field(VGG16).size == 196
    assert conv_chain_field([]) == (0, 1, 1)


def points_of_maps_that_are_not_square(unit_points):
    rows, columns = ReceptiveField(15.0, 16.0, 99.0), ReceptiveField(2.5, 8.0, 40.0)
    found = unit_points(torch.tensor([[0, 4], [5, 14]]), 5, rows, columns)
    close(found, [[[15, 2.5], [15, 34.5]], [[31, 2.5], [47, 34.5]]], EXACT)


def counted_images_only(gradient):
    """Images that do not count get nothing and change nothing; `gradient(x, positive, counted)`."""
    x, positive = random_maps(38, n_images=6, n_filters=4), random_flags(39, 6, 4)
    counted = torch.ones(6, 4, dtype=torch.bool)
    counted[4:] = False
    found = gradient(x, positive, counted)
    close(found[:4], gradient(x[:4], positive[:4], None), EXACT)
    close(found[4:], torch.zeros(2, 4, 4, 4), 0)
    close(gradient(x, positive, torch.zeros_like(counted)), torch.zeros_like(x), 0)
