"""Checks of templates, mask, filter loss and training rules; each takes the implementation to check."""

import numpy as np
import torch

from maths.cases import MAPS, POSITIVE, close, random_flags, random_maps, tensor
from reference import filters as reference
from reference import worked

EXACT = 1e-12  # the same formula in float64, rounding only
PRINTED = 6e-7  # worked numbers are printed with six decimals


def templates_match_the_formula(part_templates):
    for n in (1, 3, 4, 7):
        expected = np.stack([reference.template(n, i, j) for i in range(n) for j in range(n)])
        close(part_templates(n, dtype=torch.float64), expected, EXACT)


def templates_peak_at_their_own_unit(part_templates):
    n = 5
    templates = part_templates(n)
    for unit in range(n * n):
        assert templates[unit].argmax() == unit
        assert templates[unit].max() == 1


def templates_obey_low_and_beta(part_templates):
    for low, beta in ((0.0, 4.0), (-0.5, 2.0)):
        expected = np.stack([reference.template(3, i, j, beta, low) for i in range(3) for j in range(3)])
        close(part_templates(3, beta=beta, low=low, dtype=torch.float64), expected, EXACT)


def peak_is_the_first_in_row_major_order(part_location):
    x = tensor([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    assert part_location(x).unit == 1
    assert part_location(x.expand(2, 4, 3, 3)).unit.tolist() == [[1] * 4] * 2


def peak_is_found_on_maps_that_are_not_square(part_location):
    for unit in range(15):
        x = torch.zeros(15)
        x[unit] = 2.5
        location = part_location(x.reshape(3, 5))
        assert (location.unit.item(), location.peak.item()) == (unit, 2.5)


def units_are_row_major(unit_to_row_column):
    close(
        unit_to_row_column(torch.arange(6).reshape(2, 3), 3),
        [[[0, 0], [0, 1], [0, 2]], [[1, 0], [1, 1], [1, 2]]],
        0,
    )


def worked_masks(masked):
    expected = torch.zeros_like(MAPS)
    expected[0, 0, 1, 1], expected[1, 0, 0, 0], expected[2, 0, 0, 1] = 6, 3, 1
    expected[0, 1, 0, 0], expected[2, 1, 2, 2] = 2, 9
    close(masked(MAPS), expected, EXACT)


def masks_match_the_formula(masked):
    x = random_maps(1, side=6)
    expected = np.stack([[m * reference.mask(m) for m in image] for image in x.numpy()])
    close(masked(x), expected, EXACT)


def peak_survives_its_mask(masked):
    x = random_maps(2, side=7)
    after = masked(x)
    close(after.amax((2, 3)), x.amax((2, 3)), 0)
    assert torch.equal(after.flatten(2).argmax(-1), x.flatten(2).argmax(-1))


def mask_is_constant_in_backward(masked):
    x = random_maps(3, side=6).requires_grad_()
    upstream = random_maps(4, side=6)
    (masked(x) * upstream).sum().backward()
    masks = np.stack([[reference.mask(m) for m in image] for image in x.detach().numpy()])
    close(x.grad, upstream * tensor(masks), EXACT)


def worked_loss(filter_loss):
    close(filter_loss(MAPS), worked.LOSS, 6e-10)


def worked_loss_by_scale(filter_loss):
    for scale, expected in worked.LOSS_BY_SCALE.items():
        found = filter_loss(scale * MAPS[:, :1]).item()
        assert abs(found - expected) < 6e-4 * abs(expected), (scale, found)


def loss_matches_the_formula(filter_loss):
    for seed, scale in ((5, 1.0), (6, 20.0)):
        x = random_maps(seed, scale=scale)
        expected = [reference.loss(x[:, f].numpy()) for f in range(3)]
        close(filter_loss(x), expected, 1e-11)


def loss_is_finite_and_bounded(filter_loss):
    for dtype in (torch.float32, torch.float64):
        for scale in (0.0, 1e-4, 1.0, 1e4):
            x = random_maps(7, n_images=6, side=5, scale=scale).to(dtype)
            loss = filter_loss(x)
            bound = min(np.log(6), np.log(26))
            assert ((loss >= -bound - 1e-5) & (loss <= 1e-6)).all(), (dtype, scale, loss)


def tiny_loss_is_accurate_in_float32(filter_loss):
    """MI falls with the square of the scale: the plain sum of p log(p/q) would drown in rounding."""
    x = random_maps(8, scale=0.05)
    exact = tensor([reference.loss(x[:, f].numpy()) for f in range(3)])
    assert exact.abs().max() < 1e-4
    assert ((filter_loss(x.float()) - exact).abs() < 1e-3 * exact.abs()).all()


def loss_gradient_is_the_true_one(filter_loss):
    x = MAPS.clone().requires_grad_()
    filter_loss(x).sum().backward()
    close(1000 * x.grad, worked.TRUE_GRADIENT_1000, PRINTED)
    x = random_maps(9).requires_grad_()
    filter_loss(x).sum().backward()
    expected = np.stack([reference.loss_gradient(x[:, f].detach().numpy()) for f in range(3)], axis=1)
    close(x.grad, expected, 1e-11)


def worked_terms(filter_loss_terms):
    terms = filter_loss_terms(MAPS)
    close(torch.stack(list(terms), 1), worked.TERMS, 6e-10)


def terms_sum_to_the_loss(filter_loss_terms):
    for seed, scale in ((10, 1.0), (11, 30.0)):
        x = random_maps(seed, scale=scale)
        terms = filter_loss_terms(x)
        expected = tensor([reference.loss_terms(x[:, f].numpy()) for f in range(3)])
        close(torch.stack(list(terms), 1), expected, 1e-11)
        loss = [reference.loss(x[:, f].numpy()) for f in range(3)]
        close(-terms.prior_entropy + terms.category_entropy + terms.spatial_entropy, loss, 1e-11)


def worked_paper_gradient(paper_gradient):
    close(1000 * paper_gradient(MAPS, POSITIVE), worked.APPROXIMATION_1000, PRINTED)


def paper_gradient_matches_the_formula(paper_gradient):
    x, positive = random_maps(12, n_images=6), random_flags(13, 6, 3)
    expected = np.stack([reference.paper_gradient(x[:, f].numpy(), positive[:, f].numpy()) for f in range(3)], axis=1)
    close(paper_gradient(x, positive), expected, EXACT)


def worked_robust_gradient(robust_gradient):
    found = robust_gradient(MAPS, POSITIVE, tensor(worked.MEAN_PEAK))
    for f, weights in enumerate(worked.ROBUST_WEIGHT):
        for m, w in enumerate(weights):
            expected = -w / 18 * reference.target(worked.MAPS[m, f], bool(worked.POSITIVE[m, f]))[1]
            close(found[m, f], expected, PRINTED)


def robust_gradient_matches_the_formula(robust_gradient):
    for seed, scale in ((14, 1.0), (15, 60.0)):
        x, positive = random_maps(seed, n_images=9, scale=scale), random_flags(seed + 50, 9, 3)
        mean_peak = tensor([1.0, 2.0, 0.5])
        expected = np.stack(
            [reference.robust_gradient(x[:, f].numpy(), positive[:, f].numpy(), float(mean_peak[f])) for f in range(3)],
            axis=1,
        )
        close(robust_gradient(x, positive, mean_peak), expected, EXACT)


def robust_rule_lowers_negatives_and_raises_the_peak(robust_gradient):
    x, positive = random_maps(16, n_images=8, side=5, scale=40.0), random_flags(17, 8, 3)
    g = robust_gradient(x, positive, x.amax((2, 3)).mean(0))
    peak = g.flatten(2).gather(-1, x.flatten(2).argmax(-1)[..., None])[..., 0]
    assert (g[~positive] >= 0).all() and (g[~positive].amax((1, 2)) > 0).any()
    assert (peak[positive] <= 0).all() and (peak[positive] < 0).any()
    far = g.amax((2, 3))
    assert (far[positive] >= 0).all(), "off-peak activation of a positive must not be raised everywhere"


def robust_rule_does_not_depend_on_scale(robust_gradient):
    x, positive = random_maps(18, n_images=8), random_flags(19, 8, 3)
    mean_peak = x.amax((2, 3)).mean(0)
    close(robust_gradient(1e4 * x, positive, 1e4 * mean_peak), robust_gradient(x, positive, mean_peak), 1e-10)


def silent_positives_get_no_push(robust_gradient):
    x = random_maps(20, n_images=4)
    x[1] = 0
    g = robust_gradient(x, torch.ones(4, 3, dtype=torch.bool), torch.ones(3, dtype=torch.float64))
    close(g[1], torch.zeros(3, 4, 4), 0)
    alone = robust_gradient(x[[0, 2, 3]], torch.ones(3, 3, dtype=torch.bool), torch.ones(3, dtype=torch.float64))
    close(g[[0, 2, 3]], alone, EXACT)


def worked_released_gradient(released_gradient):
    found = 1e6 * released_gradient(MAPS, POSITIVE, epoch=1)
    for f, weights in enumerate(worked.RELEASED_WEIGHT):
        for m, w in enumerate(weights):
            expected = np.full((3, 3), w)
            if worked.POSITIVE[m, f]:
                expected[worked.RELEASED_CENTRE[f][m]] = -w
            close(found[m, f], expected, PRINTED)


def released_gradient_matches_the_formula(released_gradient):
    x, positive = random_maps(21, n_images=6, side=5, scale=1.5), random_flags(22, 6, 3)
    expected = reference.released_gradient(x.numpy(), positive.numpy(), 4, 0.8, 1.7)
    found = released_gradient(x, positive, epoch=4, weight_positive=0.8, weight_negative=1.7)
    close(1e6 * found, 1e6 * expected, 1e-9)


def released_centre_rounds_half_up(released_gradient):
    """A centre of mass half way between two units belongs to the later one, whether that is odd or even."""
    for first in (0, 1):
        x = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
        x[0, 0, first, 0] = x[0, 0, first + 1, 0] = 1
        g = released_gradient(x, torch.ones(1, 1, dtype=torch.bool), epoch=1)
        assert g[0, 0].argmin() == 4 * (first + 1)
