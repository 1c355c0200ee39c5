"""Which filters are whose, and which images speak for them."""

import math

import pytest
import torch

from diagnosis.small_subject import peaks_of
from partscope.diagnosis.parts import assign, contribution_shares, mean_strength, silent_share, wander

BOTH = torch.tensor([True, True])


def test_a_filter_belongs_to_the_category_with_the_largest_mean_total_activation() -> None:
    # Filter 0: category 1 has the larger mean but the smaller sum; filter 1: the larger peak but the smaller total.
    peaks = peaks_of(
        score=[[1.0, 9.0], [1.0, 9.0], [1.0, 9.0], [2.0, 1.0], [9.0, 9.0]],
        total=[[2.0, 3.0], [2.0, 3.0], [2.0, 3.0], [5.0, 2.0], [99.0, 99.0]],
    )
    found = assign(peaks, torch.tensor([0, 0, 0, 1, -1]), BOTH)
    assert found.category.tolist() == [1, 0]
    assert found.mine.T.tolist() == [[False, False, False, True, False], [True, True, True, False, False]]


def test_only_owners_with_images_get_filters() -> None:
    peaks = peaks_of([[1.0], [9.0]])
    category = torch.tensor([0, 1])
    assert assign(peaks, category, torch.tensor([True, False])).category.tolist() == [0]
    assert assign(peaks, torch.tensor([0, -1]), BOTH).category.tolist() == [0]
    nobody = assign(peaks, category, torch.tensor([False, False]))
    assert nobody.category.tolist() == [-1]
    assert not nobody.mine.any() and not nobody.valid.any() and nobody.dead.tolist() == [True]
    assert math.isnan(float(mean_strength(peaks, nobody))) and math.isnan(float(silent_share(nobody)))


def test_a_map_that_peaks_at_zero_or_below_is_silent() -> None:
    peaks = peaks_of([[2.0, -1.0, 0.0], [-3.0, -2.0, -1.0], [4.0, -1.0, -5.0], [9.0, 9.0, 9.0]])
    found = assign(peaks, torch.tensor([0, 0, 0, -1]), torch.tensor([True]))
    assert found.valid.T.tolist() == [[True, False, True, False], [False] * 4, [False] * 4]
    assert found.dead.tolist() == [False, True, True]
    assert mean_strength(peaks, found).tolist() == [2.0, 0.0, 0.0]  # silent maps count as 0, negatives not at all
    assert silent_share(found).tolist() == pytest.approx([1 / 3, 1.0, 1.0])


def test_a_filter_wanders_by_its_own_images_alone() -> None:
    points = torch.tensor([[3.0, 4.0], [3.0, 8.0], [99.0, 99.0], [50.0, 0.0]])[:, None]
    peaks = peaks_of([[1.0], [1.0], [-1.0], [1.0]], points=points)
    found = assign(peaks, torch.tensor([0, 0, 0, -1]), torch.tensor([True]))
    assert wander(peaks, found).tolist() == pytest.approx([2.0])  # variances 0 and 8 (n - 1), mean 4
    one = assign(peaks, torch.tensor([0, -1, -1, -1]), torch.tensor([True]))
    assert math.isnan(float(wander(peaks, one)))


def test_shares_add_to_one_over_images_with_an_object() -> None:
    contribution = torch.tensor([[3.0, 1.0, -1.0], [1.0, 1.0, 1.0], [100.0, 0.0, 0.0]])
    found = contribution_shares(contribution, torch.tensor([True, True, False]))
    assert found.tolist() == pytest.approx([4 / 6, 2 / 6, 0.0])
    assert float(found.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("row", [[1.0, -1.0], [-2.0, 1.0], [0.0, 0.0]])
def test_a_share_of_no_positive_total_has_no_value(row: list[float]) -> None:
    found = contribution_shares(torch.tensor([row, row]), torch.tensor([True, True]))
    assert bool(found.isnan().all())


def test_without_objects_no_share_has_a_value() -> None:
    assert bool(contribution_shares(torch.ones(2, 3), torch.tensor([False, False])).isnan().all())
