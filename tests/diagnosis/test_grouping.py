"""Planted filters find their parts; constants and wanderers do not."""

import math

import pytest
import torch
from torch import Tensor

from diagnosis.small_subject import peaks_of
from partscope.diagnosis.following import halves
from partscope.diagnosis.grouping import cluster, follows, nearest, together, vote
from partscope.diagnosis.stability import Truth

N, SIDE = 80, 100.0
DIAGONAL = math.hypot(SIDE, SIDE)
GENERATOR = torch.Generator().manual_seed(5)
TRUTH = Truth(
    ("head", "tail"),
    torch.stack(
        [
            torch.rand(N, 2, generator=GENERATOR) * torch.tensor([40.0, 100.0]),
            torch.rand(N, 2, generator=GENERATOR) * torch.tensor([40.0, 100.0]) + torch.tensor([60.0, 0.0]),
        ],
        1,
    ),
    torch.ones(N, 2, dtype=torch.bool),
)
ALL = torch.ones(N, dtype=torch.bool)


def near(landmark: int, filters: int, noise: float = 3.0, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return TRUTH.landmarks[:, landmark, None] + noise * torch.randn(N, filters, 2, generator=generator)


def layer(*points: Tensor) -> tuple:
    points = torch.cat(points, 1)
    return peaks_of(torch.ones(points.shape[:2]), points=points), torch.ones(points.shape[:2], dtype=torch.bool)


def test_the_nearest_landmark_is_a_visible_one() -> None:
    truth = Truth(
        ("a", "b"),
        torch.tensor([[[0.0, 0.0], [9.0, 0.0]]] * 3),
        torch.tensor([[True, True], [False, True], [False, False]]),
    )
    points = torch.tensor([[[1.0, 0.0], [8.0, 0.0]]] * 3)
    assert nearest(points, truth).tolist() == [[0, 1], [1, 1], [-1, -1]]


def test_filters_on_a_landmark_get_its_name_and_constants_none() -> None:
    constant = torch.tensor([[20.0, 50.0], [80.0, 50.0]]).expand(N, 2, 2)  # amid all heads, amid all tails
    wandering = SIDE * torch.rand(N, 2, 2, generator=torch.Generator().manual_seed(1))
    peaks, valid = layer(near(0, 3), near(1, 2), constant, wandering)
    found = vote(peaks, valid, TRUTH, halves(ALL), None)
    assert found.names == ("head", "tail", "other") and found.named
    assert found.part.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert [m.tolist() for m in found.members] == [[0, 1, 2], [3, 4], [5, 6, 7, 8]]


def test_only_the_voting_half_votes() -> None:
    fitted = halves(ALL)
    points = near(0, 1)
    points[~fitted] = near(1, 1)[~fitted]
    peaks, valid = layer(points)
    assert vote(peaks, valid, TRUTH, fitted, None).part.tolist() == [0]
    assert vote(peaks, valid, TRUTH, ~fitted, None).part.tolist() == [1]


def test_silent_images_do_not_vote_and_few_votes_name_nothing() -> None:
    points = near(0, 2)
    points[20:] = near(1, 2)[20:]
    peaks, valid = layer(points)
    valid[20:, 0] = False
    valid[5:, 1] = False
    assert vote(peaks, valid, TRUTH, ALL, None).part.tolist() == [0, 2]


def test_the_strongest_images_vote() -> None:
    points = near(0, 1)
    points[20:] = near(1, 1)[20:]
    score = torch.arange(N, 0, -1.0)[:, None]
    peaks, valid = peaks_of(score, points=points), torch.ones(N, 1, dtype=torch.bool)
    assert vote(peaks, valid, TRUTH, ALL, 20).part.tolist() == [0]
    assert vote(peaks, valid, TRUTH, ALL, None).part.tolist() == [1]


def test_a_plurality_is_no_majority() -> None:
    generator = torch.Generator().manual_seed(2)
    landmarks = 100 * torch.rand(N, 3, 2, generator=generator)
    truth = Truth(("a", "b", "c"), landmarks, torch.ones(N, 3, dtype=torch.bool))
    points = landmarks[torch.arange(N), torch.tensor([0, 0, 1, 2] * 20).clamp(max=2)][:, None].clone()
    few = landmarks[torch.arange(N), torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2] * 8)][:, None].clone()
    assert vote(*layer(points), truth, ALL, None).part.tolist() == [0]  # two of four
    assert vote(*layer(few), truth, ALL, None).part.tolist() == [3]  # four of ten


def test_what_follows_is_nearer_to_its_own_images_landmark() -> None:
    landmark = TRUTH.landmarks[:, 0]
    assert follows(landmark + torch.tensor([5.0, 5.0]), landmark)
    assert not follows(torch.full((N, 2), 20.0), landmark)
    assert not follows(landmark.roll(1, 0), landmark)
    assert not follows(landmark[:9], landmark[:9])
    blind = [follows(SIDE * torch.rand(N, 2, generator=torch.Generator().manual_seed(s)), landmark) for s in range(200)]
    assert sum(blind) <= 20  # 5 % of 200, and what chance adds


def test_distance_together_by_hand() -> None:
    """Two images for a pair, weights 1 x 1 and 3 x 1 over means of 2 and 1: (1 x 9 + 3 x 1) / 4 = 3."""
    points = torch.tensor([[[0.0, 0.0], [3.0, 0.0]], [[5.0, 5.0], [5.0, 6.0]]]).repeat(5, 1, 1)
    score = torch.tensor([[1.0, 1.0], [3.0, 1.0]]).repeat(5, 1)
    peaks = peaks_of(score, points=points)
    found = together(peaks, torch.ones(10, 2, dtype=torch.bool), 1.0)
    assert found.tolist() == [[0, pytest.approx(3**0.5)], [pytest.approx(3**0.5), 0]]
    shown = torch.ones(10, 2, dtype=torch.bool)
    shown[0, 0] = False
    assert together(peaks, shown, 1.0)[0, 1] == 1.0  # fewer than 10 images


def test_clusters_are_the_planted_groups() -> None:
    wandering = SIDE * torch.rand(N, 4, 2, generator=torch.Generator().manual_seed(1))
    peaks, shown = layer(near(0, 8, seed=1), wandering, near(1, 12, seed=2))
    shown[:, 3] = False
    found = cluster(peaks, shown, DIAGONAL)
    assert found.names == ("part 1", "part 2", "other") and not found.named
    assert found.part[12:].tolist() == [0] * 12  # the largest first, wherever it lies
    assert found.part[:8].tolist() == [1, 1, 1, 2, 1, 1, 1, 1]
    assert found.part[8:12].tolist() == [2] * 4


def test_collapsed_filters_are_one_part() -> None:
    peaks, shown = layer(near(0, 20))
    found = cluster(peaks, shown, DIAGONAL)
    assert found.names == ("part 1", "other") and found.part.tolist() == [0] * 20


def test_a_part_holds_3_filters_and_5_percent() -> None:
    peaks, shown = layer(near(0, 2, seed=1), near(1, 3, seed=2))
    assert cluster(peaks, shown, DIAGONAL).part.tolist() == [1, 1, 0, 0, 0]
    peaks, shown = layer(near(0, 3, seed=1), near(1, 70, seed=2))
    assert cluster(peaks, shown, DIAGONAL).names == ("part 1", "other")  # 3 of 73 are 4.1 %
    peaks, shown = layer(near(0, 4, seed=1), near(1, 70, seed=2))
    assert cluster(peaks, shown, DIAGONAL).names == ("part 1", "part 2", "other")


@pytest.mark.parametrize("filters", [1, 2, 4])
def test_few_filters_and_dead_ones(filters: int) -> None:
    peaks, shown = layer(near(0, filters))
    found = cluster(peaks, shown, DIAGONAL)
    assert found.names == (("other",) if filters < 3 else ("part 1", "other"))
    dead = cluster(peaks, torch.zeros_like(shown), DIAGONAL)
    assert dead.names == ("other",) and dead.part.tolist() == [0] * filters
