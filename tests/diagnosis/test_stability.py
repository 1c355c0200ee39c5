"""Location instability beside its nulls: what is silent or another category's never counts."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from diagnosis.small_subject import peaks_of
from partscope import SettingsError
from partscope.diagnosis.number import resample
from partscope.diagnosis.parts import assign
from partscope.diagnosis.stability import Truth, check_landmarks, diversity, instability, less, nulls

DIAGONAL = 50.0


def truth_of(landmarks: Tensor, present: Tensor | None = None) -> Truth:
    names = tuple(f"l{k}" for k in range(landmarks.shape[1]))
    present = torch.ones(landmarks.shape[:2], dtype=torch.bool) if present is None else present
    return Truth(names, landmarks, present)


def drawn(n: int, k: int = 2, seed: int = 0) -> Tensor:
    return 30 * torch.rand(n, k, 2, generator=torch.Generator().manual_seed(seed))


def grid_nulls(truth: Truth, category: Tensor, filters_of: list[int], top: int | None = None) -> dict[str, Any]:
    rows = torch.arange(2.0, 32.0, 4.0)
    grid = torch.cartesian_prod(rows, rows)
    counts = resample(len(category), 30)
    return nulls(truth, category, torch.tensor(filters_of), grid, (32, 32), top, counts)


def test_instability_by_hand() -> None:
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [9.0, 9.0]])[:, None]
    landmarks = torch.tensor([[3.0, 4.0], [0.0, 7.0], [0.0, 0.0]])[:, None]
    peaks = peaks_of([[1.0], [1.0], [-1.0]], points=points)
    found, single, _ = instability(peaks, peaks.score > 0, truth_of(landmarks), DIAGONAL, None, resample(3, 20))
    assert found.value == pytest.approx(math.sqrt(2) / DIAGONAL) and found.n == 2
    assert single.tolist() == pytest.approx([math.sqrt(2) / DIAGONAL])


def test_silent_and_dead_filters_do_not_enter_as_a_point_at_the_corner() -> None:
    n = 12
    landmarks = drawn(n)
    follow = landmarks[:, 0] + 1
    points = torch.stack([follow, torch.zeros(n, 2), torch.zeros(n, 2)], 1)
    score = torch.ones(n, 3)
    score[:, 1] = -1.0
    score[::2, 2], points[1::2, 2] = 0.0, follow[1::2]
    category = torch.zeros(n, dtype=torch.int64)
    peaks = peaks_of(score, points=points)
    mine = assign(peaks, category, torch.tensor([True]))
    counts = resample(n, 20)
    found, single, _ = instability(peaks, mine.valid, truth_of(landmarks[:, :1]), DIAGONAL, None, counts)
    assert single[[0, 2]].tolist() == pytest.approx([0.0, 0.0], abs=1e-7)
    assert math.isnan(float(single[1]))
    assert found.value == pytest.approx(0.0, abs=1e-7)
    spread = diversity(peaks, mine, DIAGONAL, counts)
    assert spread["spread"].value == pytest.approx(0.0, abs=1e-7)
    assert spread["effective_locations"].value == pytest.approx(1.0)


def test_where_every_filter_is_silent_nothing_has_a_value() -> None:
    peaks = peaks_of(-torch.ones(5, 2))
    mine = assign(peaks, torch.zeros(5, dtype=torch.int64), torch.tensor([True]))
    counts = resample(5, 10)
    found, *_ = instability(peaks, mine.valid, truth_of(drawn(5)), DIAGONAL, 100, counts)
    assert found.as_json() == {"value": None, "low": None, "high": None, "n": 0}
    for number in diversity(peaks, mine, DIAGONAL, counts).values():
        assert number.as_json() == {"value": None, "low": None, "high": None, "n": 0}


def test_landmarks_that_a_category_lacks_take_no_part_in_its_filters_mean() -> None:
    landmarks = drawn(8)
    present = torch.ones(8, 2, dtype=torch.bool)
    present[:, 1] = False
    peaks = peaks_of(torch.ones(8, 1), points=torch.zeros(8, 1, 2))
    counts = resample(8, 10)
    both, *_ = instability(peaks, peaks.score > 0, truth_of(landmarks, present), DIAGONAL, None, counts)
    alone, *_ = instability(peaks, peaks.score > 0, truth_of(landmarks[:, :1]), DIAGONAL, None, counts)
    assert both.value == pytest.approx(alone.value) and math.isfinite(both.value)


def test_the_strongest_images_alone_speak_in_the_released_protocol() -> None:
    landmarks, score = drawn(10, 1), torch.arange(10.0)[:, None] + 1
    points = landmarks.clone()
    points[:5] = 0
    peaks = peaks_of(score, points=points)
    counts = resample(10, 10)
    released, *_ = instability(peaks, score > 0, truth_of(landmarks), DIAGONAL, 5, counts)
    everything, *_ = instability(peaks, score > 0, truth_of(landmarks), DIAGONAL, None, counts)
    assert released.value == pytest.approx(0.0, abs=1e-7) and everything.value > 0.05


@pytest.mark.parametrize("top", [4, None])
@pytest.mark.parametrize("seed", range(8))
def test_the_best_fixed_point_is_never_worse_than_the_centre(seed: int, top: int | None) -> None:
    present = torch.rand(24, 2, generator=torch.Generator().manual_seed(seed)) < 0.7
    category = torch.arange(24) % 3 - 1
    found = grid_nulls(truth_of(drawn(24, seed=seed), present), category, [3, 5], top)
    assert found["null_best_fixed"].value <= found["null_center"].value
    assert found["null_best_fixed"].value < found["null_random"].value
    assert len({number.n for number in found.values()}) == 1


def test_nulls_follow_the_categories_by_their_filters() -> None:
    landmarks = drawn(20, 1)
    landmarks[10:] = torch.tensor([20.0, 9.0])  # category 1 never moves
    category = torch.arange(20) // 10
    truth = truth_of(landmarks)
    first, second = (grid_nulls(truth, category, filters) for filters in ([4, 0], [0, 4]))
    mixed = grid_nulls(truth, category, [3, 1])
    assert second["null_center"].value == pytest.approx(0.0, abs=1e-7)
    assert first["null_center"].value > 0.05
    for name in mixed:
        assert mixed[name].value == pytest.approx(0.75 * first[name].value + 0.25 * second[name].value)
    assert (first["null_center"].n, mixed["null_center"].n) == (10, 20)


def test_the_centre_by_hand() -> None:
    landmarks = torch.tensor([[15.5, 18.5], [15.5, 25.5], [0.0, 0.0]])[:, None]
    found = grid_nulls(truth_of(landmarks), torch.tensor([0, 0, -1]), [2])
    assert found["null_center"].value == pytest.approx((7 / math.sqrt(2)) / math.hypot(32, 32))
    assert found["null_center"].n == 2


def test_a_category_without_landmarks_does_not_count() -> None:
    present = torch.ones(12, 2, dtype=torch.bool)
    present[6:] = False
    truth, category = truth_of(drawn(12), present), torch.arange(12) // 6
    assert grid_nulls(truth, category, [1, 9])["null_center"] == grid_nulls(truth, category, [1, 0])["null_center"]
    nothing = grid_nulls(truth, category, [0, 9])
    assert all(number.as_json() == {"value": None, "low": None, "high": None, "n": 0} for number in nothing.values())


def test_spread_and_places_by_hand() -> None:
    points = torch.tensor([[[0.0, 0.0], [6.0, 8.0], [90.0, 90.0]], [[1.0, 1.0], [1.0, 1.0], [90.0, 90.0]]])
    unit = torch.tensor([[0, 5, 9], [3, 3, 9]])
    peaks = peaks_of([[1.0, 1.0, -1.0], [1.0, 1.0, -1.0]], points=points, unit=unit)
    mine = assign(peaks, torch.tensor([0, 0]), torch.tensor([True]))
    found = diversity(peaks, mine, DIAGONAL, resample(2, 10))
    assert found["spread"].value == pytest.approx(math.sqrt((9 + 16) / 2) / DIAGONAL / 2)
    assert found["effective_locations"].value == pytest.approx(1.5)
    assert found["spread"].n == 2


def test_an_unknown_landmark_names_the_nearest() -> None:
    with pytest.raises(SettingsError) as caught:
        check_landmarks(["beak", "tial"], ["beak", "tail"])
    assert caught.value.got == "there is no landmark 'tial'"
    assert caught.value.todo == "did you mean 'tail'? The images carry beak, tail"
    with pytest.raises(SettingsError) as caught:
        check_landmarks(["tail"], [])
    assert caught.value.todo == "leave --diagnose.landmarks empty: the images carry none"
    check_landmarks([], [])


def test_landmarks_are_chosen_in_the_order_asked_for() -> None:
    truth = Truth(("a", "b", "c"), drawn(4, 3), torch.tensor([[True, False, True]] * 4))
    chosen = truth.only(("c", "b"))
    assert chosen.names == ("c", "b") and chosen.present[0].tolist() == [True, False]
    assert torch.equal(chosen.landmarks, truth.landmarks[:, [2, 1]])
    with pytest.raises(SettingsError, match="there is no landmark 'd'"):
        truth.only(("d",))


def test_layers_are_compared_on_the_same_resamples() -> None:
    """A layer against itself differs by nothing, whatever the images; a steadier one by less than intervals tell."""
    n = 60
    generator = torch.Generator().manual_seed(0)
    landmarks = drawn(n, 1)
    noise = torch.randn(n, 1, 2, generator=generator)
    counts = resample(n, 200)
    layers = [peaks_of(torch.ones(n, 1), points=landmarks + scale * noise) for scale in (4.0, 3.6)]
    one, other = (instability(p, p.score > 0, truth_of(landmarks), DIAGONAL, None, counts) for p in layers)
    assert less(one, one)[:3] == (0.0, 0.0, 0.0)
    difference = less(other, one)
    assert difference.value == pytest.approx(other.number.value - one.number.value) and difference.n == n
    assert difference.high < 0 and other.number.high > one.number.low
