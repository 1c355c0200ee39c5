"""What every implementation of discrepancy maps and overlays must do."""

import torch

from maths.cases import close, tensor
from partscope.maths import round_field


def corners_cover_by_rows(occluder_corners):
    assert occluder_corners(7, 5, 3, 2).tolist() == [[r, c] for r in (0, 2, 4) for c in (0, 2)]
    assert occluder_corners(3, 3, 3, 5).tolist() == [[0, 0]]


def worked_discrepancy(discrepancy_map):
    """A 3 x 4 image, squares of 2 at every second pixel: (0, 0) loses 4, (0, 2) gains 1; the unit looks at (1, 2)."""
    found = discrepancy_map(tensor([4.0, -1.0]), torch.tensor([[0, 0], [0, 2]]), tensor([[1, 2], [1, 2]]), 2, 2, (3, 4))
    expected = torch.zeros(7, 9, dtype=torch.float64)
    expected[2:4, 2:4] = 4  # rows 0 - 1 + 3, columns 0 - 2 + 4
    close(found, expected, 1e-12)


def discrepancy_is_the_mean_loss_of_the_squares_on_a_pixel(discrepancy_map):
    """Squares of 4 at every pixel of a wide image, each losing 3: well inside, every pixel is under 16 of them."""
    corners = torch.cartesian_prod(torch.arange(17), torch.arange(17))
    found = discrepancy_map(torch.full((289,), 3.0), corners, torch.full((289, 2), 10.0), 4, 1, (20, 20))
    close(found[20, 20], 3.0, 1e-6)


def discrepancy_keeps_the_largest_losses(discrepancy_map):
    corners = torch.tensor([[0, 0], [1, 1], [2, 2]])
    found = discrepancy_map(tensor([1.0, 5.0, 2.0]), corners, torch.zeros(3, 2), 1, 1, (3, 3), keep=2)
    assert found.nonzero().tolist() == [[4, 4], [5, 5]]
    close(found.sum(), 7.0, 1e-12)


def discrepancy_moves_each_square_by_its_own_centre(discrepancy_map):
    found = discrepancy_map(tensor([1.0, 1.0]), torch.tensor([[1, 1], [3, 0]]), tensor([[1, 1], [3, 0]]), 1, 1, (4, 2))
    assert found.nonzero().tolist() == [[4, 2]]
    close(found.max(), 2.0, 1e-12)


def smoothing_keeps_sums_and_symmetry(gaussian_smoothed):
    x = torch.zeros(31, 21, dtype=torch.float64)
    x[15, 10] = 2.0
    found = gaussian_smoothed(x, 3.0, 8)
    close(found.sum(), 2.0, 1e-12)
    close(found, found.flip(0), 1e-12)
    close(found[15, 13] / found[15, 10], torch.tensor(-0.5).exp(), 1e-6)
    assert int((found > 0).sum()) == 81, "a kernel of 8 is one of 9"


def side_of_a_square_is_its_side(field_side):
    x = torch.zeros(20, 30)
    x[3:10, 4:11] = 2.0
    x[3, 20:28] = 0.9
    close(field_side(x), 7.0, 1e-9)


def overlay_puts_the_canvas_on_its_points(field_overlay):
    """A canvas that is one pixel below and two to the right of the unit, on a 5 x 6 image with units at two points."""
    canvas = torch.zeros(11, 13)
    canvas[5 + 1, 6 + 2] = 1.0
    found = field_overlay(tensor([[1.2, 0.0], [3.0, 2.6]]), canvas, (5, 6))
    assert found.nonzero().tolist() == [[2, 2], [4, 5]]


def overlay_takes_the_larger_weight(field_overlay):
    found = field_overlay(tensor([[2.0, 2.0], [2.0, 2.0]]), 0.5 * round_field(1.0, (5, 5)), (5, 5))
    close(found.max(), 0.5, 1e-9)


def active_units_are_those_above_the_threshold_or_the_peak(active_units):
    x = tensor([[0.0, 1.0, 2.0, 3.0]])
    assert active_units(x, 2.0).tolist() == [[False, False, True, True]]
    assert active_units(x, 5.0).tolist() == [[False, False, False, True]]
    assert not active_units(0 * x, 0.0).any()


def region_is_at_least_half_the_maximum(overlay_region):
    assert overlay_region(tensor([[0.49, 0.5, 1.0, 0.0]])).tolist() == [[False, True, True, False]]
    assert not overlay_region(torch.zeros(2, 2)).any()
