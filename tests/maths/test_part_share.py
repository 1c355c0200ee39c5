"""The equations of the part share."""

import pytest

from maths import checks_part_share as checks
from partscope import maths

CHECKS = [
    (checks.windows_average_the_units_that_exist, maths.smoothed),
    (checks.profiles_fall_map_by_map, maths.evidence_profile),
    (checks.lines_pass_through_the_middling_ranks, maths.spread_line),
    (checks.normal_profiles_are_expected_order_statistics, maths.normal_profile),
    (checks.a_line_has_no_parts, maths.part_share),
    (checks.what_stands_out_counts_nearly_whole, maths.part_share),
    (checks.evidence_against_is_no_part_of_the_whole, maths.part_share),
    (checks.evidence_in_one_place_is_all_part, maths.part_share),
    (checks.the_weaker_half_never_stands_out, maths.part_share),
    (checks.no_evidence_has_no_share, maths.part_share),
    (checks.shares_ignore_the_scale, maths.part_share),
]


@pytest.mark.parametrize(("check", "implementation"), CHECKS, ids=lambda v: v.__name__)
def test_check(check, implementation):
    check(implementation)
