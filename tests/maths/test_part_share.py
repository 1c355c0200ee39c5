"""The equations of the part share."""

import pytest

from maths import checks_part_share as checks
from partscope import maths

CHECKS = [
    (checks.windows_average_the_units_that_exist, maths.smoothed),
    (checks.bands_are_cut_by_rank, maths.ranked_band),
    (checks.ties_are_cut_in_row_major_order, maths.ranked_band),
    (checks.units_come_from_the_patch_where_asked, maths.pasted),
    (checks.units_and_their_complement_move_the_whole_gap, maths.moved),
    (checks.a_share_of_the_margin_in_few_places_is_the_part_share, maths.part_share),
    (checks.pairs_count_by_their_weight, maths.part_share),
    (checks.shares_stay_between_nothing_and_all, maths.part_share),
    (checks.a_control_that_moves_nothing_gives_no_share, maths.part_share),
]


@pytest.mark.parametrize(("check", "implementation"), CHECKS, ids=lambda v: v.__name__)
def test_check(check, implementation):
    check(implementation)
