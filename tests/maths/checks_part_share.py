"""What the equations of the part share must do, solved by hand; each check takes the implementation."""

import torch

from maths.cases import close, tensor

FLAT = [2.0] * 9


def windows_average_the_units_that_exist(smoothed):
    close(
        smoothed(tensor([[[9, 0, 0], [0, 0, 0], [0, 0, 18]]])), tensor([[[2.25, 1.5, 0], [1.5, 3, 3], [0, 3, 4.5]]]), 0
    )


def profiles_fall_map_by_map(evidence_profile):
    maps = tensor([[[1, 4], [-2, 3]], [[0, 0], [5, -1]]])
    close(evidence_profile(maps), tensor([[4, 3, 1, -2], [5, 0, 0, -1]]), 0)


def normal_profiles_are_expected_order_statistics(normal_profile):
    """64 units of mean 2 and deviation 3, drawn 20,000 times and sorted."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(20_000, 64, generator=generator).double().sort(1, descending=True).values.mean(0)
    given = tensor([[5, -1] * 32])
    close(normal_profile(given), 2 + 3 * drawn[None], 0.05)


def lines_pass_through_the_middling_ranks(spread_line):
    """Ranks 4 to 7 hold 8, 5, 4, 3: level 5, slope -8/5; continued to 13.8 at rank 0 and cut at 0 at rank 9."""
    expected = [[13.8, 12.2, 10.6, 9.0, 7.4, 5.8, 4.2, 2.6, 1.0, 0.0]]
    close(spread_line(tensor([[99, 50, 20, 9, 8, 5, 4, 3, -7, -50]])), tensor(expected), 1e-12)


def a_line_has_no_parts(part_share):
    close(part_share(tensor([range(10, 0, -1), [3] * 10])), tensor([0, 0]), 1e-12)


def what_stands_out_counts_nearly_whole(part_share):
    """16 over a line at 2 counts 16 - 4/16 = 15.75 of 16 + 9 * 2 = 34."""
    close(part_share(tensor([[16, *FLAT]])), tensor([15.75 / 34]), 1e-12)


def evidence_against_is_no_part_of_the_whole(part_share):
    close(part_share(tensor([[16, *FLAT[:-1], -6]])), tensor([15.75 / 32]), 1e-12)


def evidence_in_one_place_is_all_part(part_share):
    close(part_share(tensor([[5, *[0] * 8, -2]])), tensor([1]), 1e-12)


def the_weaker_half_never_stands_out(part_share):
    """Line through 9, 9, 1, 1 at ranks 4 to 7: level 5, slope -3.2, so 22.6 down to 9.8, (6.6, 3.4, ...): nothing of
    the stronger half is above it; rank 5 is, and counts nothing."""
    close(part_share(tensor([[9, 9, 9, 9, 9, 9, 1, 1, 1, 1]])), tensor([0]), 1e-12)


def no_evidence_has_no_share(part_share):
    close(part_share(tensor([[0] * 10, [-1] * 10])), tensor([float("nan")] * 2), 0)


def shares_ignore_the_scale(part_share):
    profile = (
        torch.rand(4, 50, generator=torch.Generator().manual_seed(0)).double().sort(1, descending=True).values - 0.2
    )
    close(part_share(1000 * profile), part_share(profile), 1e-12)
