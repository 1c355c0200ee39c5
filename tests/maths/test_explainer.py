"""Magnitude, mixing, objective and receptive fields."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maths import checks_explainer as checks
from maths.cases import close, random_maps, tensor
from partscope import maths
from partscope.errors import SettingsError

FEW = settings(deadline=None, max_examples=20)

CHECKS = [
    (checks.worked_magnitude, maths.magnitude),
    (checks.magnitude_is_a_mean_of_sums_of_positive_values, maths.magnitude),
    (checks.magnitude_passes_its_gradient, maths.magnitude),
    (checks.clamped_magnitudes_are_safe, maths.clamp_magnitude),
    (checks.normalised_channels_sum_to_one, maths.normalise),
    (checks.no_map_counts_for_more_than_so_many_means, maths.limit_magnitude),
    (checks.mixing_weight_is_a_sigmoid, maths.mixing_weight),
    (checks.p_is_the_share_of_the_interpretable_track, maths.mix),
    (checks.mixture_weighs_the_interpretable_track_by_p, maths.mix),
    (checks.mixing_loss_is_minus_log_p, maths.mixing_loss),
    (checks.blend_leaves_the_ordinary_track_alone, maths.blend),
    (checks.positive_norm_ignores_what_the_relu_removes, maths.positive_norm),
    (checks.reconstruction_scale_has_two_powers, maths.reconstruction_scale),
    (checks.reconstruction_loss_is_a_mean_over_images, maths.reconstruction_loss),
    (checks.worked_gradient_norm, maths.map_gradient_norm),
    (checks.worked_strength, maths.filter_strength),
    (checks.strength_falls_with_the_epoch, maths.paper_strength),
    (checks.fields_of_published_nets, maths.conv_chain_field),
    (checks.points_of_maps_that_are_not_square, maths.unit_points),
]


@pytest.mark.parametrize(("check", "implementation"), CHECKS, ids=lambda v: v.__name__)
def test_check(check, implementation):
    check(implementation)


@FEW
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_magnitude_follows_the_scale(seed, scale):
    x, counted = random_maps(seed), torch.ones(5, dtype=torch.bool)
    close(maths.magnitude(scale * x, counted) / scale, maths.magnitude(x, counted), 1e-9)


@FEW
@given(st.integers(0, 10**6), st.floats(0.01, 0.99))
def test_p_identity_holds_on_maps_that_are_not_square(seed, p):
    generator = torch.Generator().manual_seed(seed)
    raw = [torch.rand(4, 3, 5, 2, generator=generator, dtype=torch.float64) for _ in range(2)]
    counted = torch.tensor([True, True, False, True])
    a, b = (maths.normalise(x, maths.magnitude(x, counted)) for x in raw)
    share = (p * a)[counted].sum((0, 2, 3)) / maths.mix(p, a, b)[counted].sum((0, 2, 3))
    close(share, tensor([p] * 3), 1e-12)


def test_worked_strength_from_the_gradients():
    """Filter A: reconstruction gradients of norm 5, 12, 1, epoch 2."""
    from reference import filters, worked

    approximation = filters.paper_gradient(worked.MAPS[:, 0], worked.POSITIVE[:, 0])
    norm = maths.map_gradient_norm(tensor(approximation)[:, None])
    close(norm, [0.001224533], 6e-10)
    strength = maths.filter_strength(tensor([6.0]), norm, maths.paper_strength(2))
    close(strength, [8.166379], 6e-7)
    close(strength * norm, [0.01], 1e-12)


def test_strength_is_a_constant():
    norms = tensor([1.0, 2.0]).requires_grad_()
    assert not maths.filter_strength(norms, norms, 0.5).requires_grad


@pytest.mark.parametrize(
    ("mean_norm", "power", "message"),
    [
        (1.0, 3, "got: power 3\n  do:  use 1 (the paper's norm) or 2 (the squared norm)"),
        (
            0.0,
            2,
            "got: a mean target norm of 0.0\n  do:  choose a target that is active on the training images",
        ),
        (float("nan"), 1, "got: a mean target norm of nan"),
    ],
)
def test_reconstruction_scale_refuses_in_words(mean_norm, power, message):
    with pytest.raises(SettingsError) as error:
        maths.reconstruction_scale(mean_norm, power)
    assert str(error.value).startswith("while scaling the reconstruction loss\n  " + message)


def test_paper_strength_refuses_epoch_zero():
    with pytest.raises(SettingsError, match=r"got: epoch 0\n  do:  count epochs from 1: the strength is 1 /"):
        maths.paper_strength(0)
