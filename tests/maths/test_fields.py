"""Discrepancy maps, round fields and overlays."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maths import checks_fields as checks
from maths.cases import close
from partscope import maths

FEW = settings(deadline=None, max_examples=20)

CHECKS = [
    (checks.corners_cover_by_rows, maths.occluder_corners),
    (checks.worked_discrepancy, maths.discrepancy_map),
    (checks.discrepancy_is_the_mean_loss_of_the_squares_on_a_pixel, maths.discrepancy_map),
    (checks.discrepancy_keeps_the_largest_losses, maths.discrepancy_map),
    (checks.discrepancy_moves_each_square_by_its_own_centre, maths.discrepancy_map),
    (checks.smoothing_keeps_sums_and_symmetry, maths.gaussian_smoothed),
    (checks.side_of_a_square_is_its_side, maths.field_side),
    (checks.overlay_puts_the_canvas_on_its_points, maths.field_overlay),
    (checks.overlay_takes_the_larger_weight, maths.field_overlay),
    (checks.active_units_are_those_above_the_threshold_or_the_peak, maths.active_units),
    (checks.region_is_at_least_half_the_maximum, maths.overlay_region),
]


@pytest.mark.parametrize(("check", "implementation"), CHECKS, ids=lambda v: v.__name__)
def test_check(check, implementation):
    check(implementation)


def loops(drop, corners, centres, side, stride, size, keep):
    """The same in plain loops over pixels."""
    height, width = size
    canvas = torch.zeros(2 * height + 1, 2 * width + 1, dtype=torch.float64)
    order = sorted(range(len(drop)), key=lambda p: -max(float(drop[p]), 0.0))
    for p in order[: keep or len(drop)]:
        for row in range(int(corners[p, 0]), int(corners[p, 0]) + side):
            for column in range(int(corners[p, 1]), int(corners[p, 1]) + side):
                down, across = (round(float(c)) for c in centres[p])
                canvas[row - down + height, column - across + width] += max(float(drop[p]), 0.0)
    return canvas * (stride / side) ** 2


@FEW
@given(st.integers(0, 10**6), st.integers(5, 9), st.integers(4, 8), st.integers(1, 4), st.integers(0, 6))
def test_discrepancy_is_the_loop(seed, height, width, side, keep):
    generator = torch.Generator().manual_seed(seed)
    corners = maths.occluder_corners(height, width, side, 2)
    drop = torch.randn(len(corners), generator=generator, dtype=torch.float64)
    size = torch.tensor([height - 1, width - 1])
    centres = (torch.rand(len(corners), 2, generator=generator, dtype=torch.float64) * size).round()
    found = maths.discrepancy_map(drop, corners, centres, side, 2, (height, width), keep)
    close(found, loops(drop, corners, centres, side, 2, (height, width), keep), 1e-9)


@FEW
@given(st.integers(0, 10**6), st.floats(0.5, 8))
def test_overlay_of_discs_is_their_union(seed, radius):
    points = torch.randint(0, 12, (3, 2), generator=torch.Generator().manual_seed(seed)).float()
    found = maths.overlay_region(maths.field_overlay(points, maths.round_field(radius, (12, 14)), (12, 14)))
    pixels = torch.cartesian_prod(torch.arange(12), torch.arange(14)).float()
    union = ((pixels[:, None] - points).square().sum(-1) <= radius**2).any(1).view(12, 14)  # whole numbers: exact
    assert torch.equal(found, union)


def test_fields_of_an_unlit_filter_are_not_a_number():
    assert maths.field_side(torch.zeros(3, 3)) != maths.field_side(torch.zeros(3, 3))
