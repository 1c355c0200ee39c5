"""What the equations of the part share must do, solved by hand; each check takes the implementation."""

import torch

from maths.cases import close, tensor

LADDER = tensor([[[9, 1, 5], [2, 8, 4], [7, 3, 6]]])
"""Evidence whose rank order is 9 to 1."""


def windows_average_the_units_that_exist(smoothed):
    close(smoothed(tensor([[[9, 0, 0], [0, 0, 0], [0, 0, 18]]])), tensor([[[2.25, 1.5, 0], [1.5, 3, 3], [0, 3, 4.5]]]), 0)


def bands_are_cut_by_rank(ranked_band):
    assert ranked_band(LADDER, 3 / 9, 6 / 9)[0].tolist() == [[False, False, True], [False, False, True], [False, False, True]]
    assert ranked_band(LADDER, 0.0, 1 / 9)[0].tolist() == [[True, False, False], [False] * 3, [False] * 3]


def ties_are_cut_in_row_major_order(ranked_band):
    flat = ranked_band(torch.zeros(2, 3, 4), 0.25, 0.5).flatten(1)
    assert flat.tolist() == [[False] * 3 + [True] * 3 + [False] * 6] * 2


def units_come_from_the_patch_where_asked(pasted):
    base, patch = tensor([[[[1, 2]], [[3, 4]]]]), tensor([[[[5, 6]], [[7, 8]]]])
    where = torch.tensor([[[False, True]]])
    close(pasted(base, patch, where), tensor([[[[1, 6]], [[3, 8]]]]), 0)


def units_and_their_complement_move_the_whole_gap(moved):
    """With the units: 4 - 1 = 3 in, 10 - 8 = 2 out; the complement's composites are the same two in the other order."""
    own, other, into, out_of = (tensor([v]) for v in (10, 1, 4, 8))
    close(moved(into, out_of, own, other), tensor([2.5]), 0)
    close(moved(out_of, into, own, other), tensor([6.5]), 0)


def a_share_of_the_margin_in_few_places_is_the_part_share(part_share):
    """Margins 10; .3 of the units; .6 of the evidence everywhere moves 3 * .6, the control moves 3 of all."""
    close(part_share(tensor([1.8, 1.8]), tensor([3, 3]), torch.ones(1, 2)), tensor([0.4]), 1e-12)


def pairs_count_by_their_weight(part_share):
    """(1 * 1 + 3 * 2) / (1 * 4 + 3 * 2) = .7; the second row leaves the first pair out."""
    close(part_share(tensor([1, 2]), tensor([4, 2]), tensor([[1, 3], [0, 3]])), tensor([0.3, 0]), 1e-12)


def shares_stay_between_nothing_and_all(part_share):
    close(part_share(tensor([4, -1]), tensor([3, 3]), tensor([[1, 0], [0, 1]])), tensor([0, 1]), 0)


def a_control_that_moves_nothing_gives_no_share(part_share):
    close(part_share(tensor([1, 1]), tensor([1, -1]), torch.ones(1, 2)), tensor([float("nan")]), 0)
