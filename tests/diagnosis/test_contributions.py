"""What parts add, against captum, ablation and hand-made numbers."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from diagnosis.small_subject import PHOTOS, peaks_of, seen_of, toy_subject
from diagnosis.test_observe import linear_performer
from partscope.diagnosis import Subject
from partscope.diagnosis.ablation import Ablation, ablate, some_objects, strongest_at, usual_peak
from partscope.diagnosis.contributions import (
    absolute_shares,
    by_part,
    confirmed,
    contributions,
    correlations,
    part_rows,
    rank_correlation,
    shares,
)
from partscope.diagnosis.grouping import Grouping
from partscope.diagnosis.number import rank_number, resample
from partscope.diagnosis.stability import Truth
from partscope.nets import Explainer, OrdinaryMaps

PARTS = Grouping(("head", "tail", "other"), torch.tensor([0, 1, 0, 2]), True)
ONES = torch.ones(1, 4, dtype=torch.int64)


class _Scores(nn.Module):
    """From the masked maps on: what captum sees as a network."""

    def __init__(self, subject: Subject, ordinary: OrdinaryMaps) -> None:
        super().__init__()
        self.maps = nn.Identity()
        self.subject, self.ordinary = subject, ordinary

    def forward(self, masked: Tensor) -> Tensor:
        explainer: Explainer = self.subject.explainer
        track = explainer.interpretable
        outputs = explainer.decode(track.norm(track.pool(self.maps(masked))), self.ordinary.output)
        scores: Tensor = self.subject.performer.resume(outputs[-1], "last")
        return scores


@pytest.mark.filterwarnings("ignore")
def test_contributions_are_captums_gradient_x_activation() -> None:
    attr = pytest.importorskip("captum.attr", reason="captum is not installed (extra `dev`)")
    subject = toy_subject()
    seen = seen_of(subject)
    rows = subject.store.rows(range(len(PHOTOS)))
    assert subject.right is not None
    judged = torch.where(subject.right >= 0, subject.right, seen.scores.argmax(1))
    with torch.no_grad():
        parts, ordinary = subject.explainer.encode(rows.tap)
    network = _Scores(subject, ordinary)
    found = attr.LayerGradientXActivation(network, network.maps).attribute(parts.parts, target=judged)
    torch.testing.assert_close(seen.contribution, found.sum((2, 3)).detach(), atol=1e-5, rtol=1e-4)


def test_shares_by_hand() -> None:
    contribution = torch.tensor(
        [[1.0, 2.0, 3.0, -1.0], [1.0, 0.0, 1.0, 1.0], [9.0, 9.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0]]
    )
    owned = torch.tensor([True, True, False, True])
    assert by_part(contribution, PARTS)[:2].tolist() == [[4.0, 2.0, -1.0], [2.0, 0.0, 1.0]]
    found = shares(contribution, PARTS, owned, ONES)
    assert [n.value for n in found] == pytest.approx([6 / 8, 2 / 8, 0.0]) and {n.n for n in found} == {3}
    flipped = contribution * torch.tensor([1.0, 1.0, -1.0, 1.0])
    found = absolute_shares(flipped, PARTS, owned, ONES)  # filter means times 3: 2, 2, -4, 0
    assert [n.value for n in found] == pytest.approx([6 / 8, 2 / 8, 0.0])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_shares_add_to_1(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    contribution = torch.randn(20, 9, generator=generator) + 0.5
    grouping = Grouping(("a", "b", "c", "other"), torch.randint(0, 4, (9,), generator=generator), False)
    owned, counts = torch.rand(20, generator=generator) < 0.7, resample(20, 10)
    signed = [n.value for n in shares(contribution, grouping, owned, counts)]
    assert sum(signed) == pytest.approx(1.0) or all(math.isnan(v) for v in signed)
    if bool(owned.any()):
        absolute = absolute_shares(contribution, grouping, owned, counts)
        assert sum(n.value for n in absolute) == pytest.approx(1.0)
        assert all(0 <= n.low <= n.value <= n.high <= 1 for n in absolute)


def test_no_positive_total_no_share() -> None:
    found = shares(-torch.ones(4, 4), PARTS, torch.ones(4, dtype=torch.bool), ONES)
    assert all(math.isnan(n.value) and n.n == 4 for n in found)


def test_rank_correlation_is_spearmans() -> None:
    from scipy.stats import spearmanr

    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        x, y = torch.randint(0, 5, (2, 7), generator=generator).float()
        expected = spearmanr(x.numpy(), y.numpy()).statistic
        assert rank_correlation(x, y).item() == pytest.approx(expected, nan_ok=True)
    assert rank_correlation(torch.ones(3), torch.arange(3.0)).isnan()


def test_taking_a_part_away_puts_its_mean_over_the_training_images_there() -> None:
    subject = toy_subject()
    explainer, performer, rows = subject.explainer, subject.performer, torch.tensor([0, 1, 5, 9])
    assert subject.right is not None
    members = [torch.tensor([2, 7]), torch.arange(12), torch.tensor([], dtype=torch.long)]
    found = ablate(explainer, performer, subject.store, subject.right, members, rows, batch_size=3)
    with torch.no_grad():
        features = subject.store.rows(rows)
        parts, ordinary = explainer.encode(features.tap)
        judged = subject.right[rows]
        judged = torch.where(judged >= 0, judged, performer.resume(features, "last").argmax(1))

        def score(track: Tensor, silenced: Any = None) -> Tensor:
            outputs = explainer.decode(track, ordinary.output, silenced)
            return performer.resume(outputs[-1], "last").gather(1, judged[:, None])[:, 0]

        track = parts.output.clone()
        for f in (2, 7):
            track[:, f] = explainer.mean_interpretable[f]
        close = torch.testing.assert_close
        close(found.score, score(parts.output))
        close(found.without[:, 0], score(track))
        close(found.without[:, 1], score(parts.output, "interpretable"))
        close(found.without[:, 2], found.score)
        close(found.silent, score(torch.zeros_like(track)))
        assert not torch.allclose(found.without[:, 0], found.score)


def test_a_linear_network_has_no_completeness_gap() -> None:
    subject = toy_subject(linear_performer())
    seen = seen_of(subject)
    assert subject.right is not None
    owned = subject.labels.category >= 0
    grouping = Grouping(("a", "b", "c", "other"), torch.arange(12) % 4, False)
    taken = ablate(
        subject.explainer, subject.performer, subject.store, subject.right, grouping.members, some_objects(owned)
    )
    counts = resample(len(subject.store), 20)
    found = contributions(seen.contribution, grouping, taken, counts)
    assert found["completeness_gap"]["value"] == pytest.approx(0.0, abs=1e-4)
    assert found["attributed"]["value"] == pytest.approx(found["part_track"]["value"], rel=1e-3, abs=1e-4)
    assert found["attributed"]["n"] == int(owned.sum())


def test_the_gap_by_hand() -> None:
    """|4 - 5| + |2 - 1| over 5 + 1."""
    taken = Ablation(torch.tensor([0, 1]), torch.tensor([6.0, 2.0]), torch.zeros(2, 3), torch.tensor([1.0, 1.0]))
    contribution = torch.tensor([[1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 0.0, 0.0]])
    found = contributions(contribution, PARTS, taken, torch.ones(3, 2, dtype=torch.int64))
    assert found["completeness_gap"]["value"] == pytest.approx(2 / 6)
    nothing = contributions(torch.zeros(2, 4), PARTS, taken, torch.ones(3, 2, dtype=torch.int64))
    assert nothing["completeness_gap"]["value"] == 1.0  # what saying nothing scores


def planted_ablation(order: list[float]) -> tuple[Tensor, Ablation]:
    generator = torch.Generator().manual_seed(0)
    contribution = torch.tensor([3.0, 2.0, 3.0, 1.0]) + 0.1 * torch.rand(40, 4, generator=generator)
    gone = torch.tensor(order) + 0.1 * torch.rand(40, 3, generator=generator)
    return contribution, Ablation(torch.arange(40), torch.zeros(40), -gone, torch.zeros(40))


def test_ablation_that_follows_the_shares_correlates_and_the_reverse_does_not() -> None:
    counts = resample(40, 30)
    found = correlations(*(lambda c, t: (c, PARTS, t))(*planted_ablation([6.0, 2.0, 1.0])), counts)
    assert found["parts"].value == found["within_image"].value == 1.0
    assert math.isnan(found["parts"].low)  # three parts have no interval
    assert found["null_parts"].value == pytest.approx(0.866, abs=1e-3)  # 2, 1, 1 filters
    found = correlations(*(lambda c, t: (c, PARTS, t))(*planted_ablation([1.0, 2.0, 6.0])), counts)
    assert found["parts"].value == found["within_image"].value == -1.0
    assert found["parts"].n == found["null_parts"].n == 3 and found["null_within_image"].n == 40


@pytest.mark.parametrize(("r", "n"), [(0.0, 30), (0.6, 30), (0.9, 12), (-0.6, 60)])
def test_the_interval_of_a_rank_correlation_covers_it_about_19_times_in_20(r: float, n: int) -> None:
    """Normal pairs; Spearman's rho of correlation c is 6 / pi arcsin(c / 2)."""
    generator = torch.Generator().manual_seed(n)
    c = 2 * math.sin(math.pi * r / 6)
    x = torch.randn(2000, n, generator=generator, dtype=torch.float64)
    y = c * x + math.sqrt(1 - c * c) * torch.randn(2000, n, generator=generator, dtype=torch.float64)
    numbers = [rank_number(v, n) for v in rank_correlation(x, y).tolist()]
    assert 0.93 <= sum(v.low <= r <= v.high for v in numbers) / 2000 <= 0.99


def test_a_perfect_order_of_few_parts_has_a_wide_interval() -> None:
    assert rank_number(1.0, 5).high == 1.0 and rank_number(1.0, 5).low < 0.2
    assert rank_number(-1.0, 5).low == -1.0 and rank_number(-1.0, 5).high > -0.2
    assert math.isnan(rank_number(1.0, 3).low)


def test_two_parts_are_too_few_to_correlate() -> None:
    contribution, taken = planted_ablation([6.0, 2.0, 1.0])
    grouping = Grouping(("head", "tail", "other"), torch.tensor([0, 1, 0, 1]), True)
    found = correlations(contribution, grouping, taken, resample(40, 5))
    assert all(math.isnan(n.value) and n.n == 40 for n in found.values())


def test_a_draw_of_objects_is_fixed_and_leaves_negatives_out() -> None:
    owned = torch.arange(50) % 5 != 4
    assert some_objects(owned).tolist() == owned.nonzero().flatten().tolist()
    drawn = some_objects(owned, 10)
    assert len(drawn) == 10 and bool(owned[drawn].all()) and drawn.tolist() == sorted(set(drawn.tolist()))
    assert torch.equal(drawn, some_objects(owned, 10))


def test_votes_are_confirmed_on_the_other_half_and_constants_are_not_better_than_their_null() -> None:
    n = 40
    generator = torch.Generator().manual_seed(1)
    truth = Truth(("head", "tail"), 100 * torch.rand(n, 2, 2, generator=generator), torch.ones(n, 2, dtype=torch.bool))
    points = torch.stack([truth.landmarks[:, 0], torch.full((n, 2), 50.0), truth.landmarks[:, 1]], 1)
    points[::2] = -1000.0  # the voting half: must not matter
    peaks, valid = peaks_of(torch.ones(n, 3), points=points), torch.ones(n, 3, dtype=torch.bool)
    grouping = Grouping(("head", "tail", "other"), torch.tensor([0, 1, 2]), True)
    scored = torch.arange(n) % 2 == 1
    (head, head_null), (constant, constant_null) = confirmed(
        peaks, valid, grouping, truth, scored, torch.zeros(n, dtype=torch.long), resample(n, 30)
    )
    assert head.value == 1.0 and head.n == 20 and head_null.value < 0.8
    assert constant.value == pytest.approx(constant_null.value)  # the same landmarks, dealt to other images


def test_the_null_takes_landmarks_of_the_same_category() -> None:
    truth = Truth(
        ("head", "tail"),
        torch.tensor([[[0.0, 0.0], [9.0, 9.0]], [[9.0, 9.0], [0.0, 0.0]]] * 4),
        torch.ones(8, 2).bool(),
    )
    peaks = peaks_of(torch.ones(8, 1), points=torch.zeros(8, 1, 2))
    grouping = Grouping(("head", "tail", "other"), torch.tensor([0]), True)
    ((_, null), _) = confirmed(
        peaks, torch.ones(8, 1).bool(), grouping, truth, torch.ones(8).bool(), torch.arange(8) % 2, resample(8, 5)
    )
    assert null.value == 0.5  # all of the even images, none of the odd ones


def test_rows_stand_in_the_order_of_their_shares_with_the_rest_last() -> None:
    contribution = torch.tensor([[0.0, 1.0, 0.0, 3.0]]).repeat(40, 1)
    taken = Ablation(torch.arange(40), torch.ones(40), torch.zeros(40, 3), torch.zeros(40))
    points = torch.tensor([[0.0, 0.0], [3.0, 3.0], [8.0, 0.0], [7.0, 7.0]]).expand(40, 4, 2)
    peaks = peaks_of(torch.ones(40, 4), points=points)
    rows = part_rows(
        contribution, PARTS, taken, peaks, torch.ones(40, 4).bool(), None, torch.ones(40).bool(), 100.0, resample(40, 5)
    )
    assert [row["name"] for row in rows] == ["tail", "head", "other"]
    assert [row["landmark"] for row in rows] == ["tail", "head", None]
    assert [row["filters"] for row in rows] == [[1], [0, 2], [3]]
    assert [row["filter_share"] for row in rows] == [0.25, 0.5, 0.25]
    assert [row["contribution"]["value"] for row in rows] == [0.25, 0.0, 0.75]
    assert rows[1]["width"]["value"] == pytest.approx(math.sqrt(16 / 2) / 100)
    assert rows[0]["width"]["value"] is None and rows[0]["ablation"]["value"] == 1.0
    unnamed = part_rows(
        contribution, PARTS._replace(named=False), taken, peaks, torch.ones(40, 4).bool(), None,
        torch.ones(40).bool(), 100.0, resample(40, 5),
    )  # fmt: skip
    assert {row["landmark"] for row in unnamed} == {None}


def test_the_strongest_filter_at_a_landmark_is_so_beside_its_usual_peak() -> None:
    subject = toy_subject()
    seen, truth = seen_of(subject), subject.truth
    assert truth is not None
    found = strongest_at(subject.explainer, subject.performer, subject.store, seen, truth, batch_size=7)
    rows = subject.store.rows(range(len(PHOTOS)))
    with torch.no_grad():
        maps = {
            "explainer": subject.explainer.encode(rows.tap)[0].raw,
            "top_conv": subject.performer.top_map(rows),
        }
    field = subject.performer.field
    for name, map_ in maps.items():
        peaks = seen.layers[name]
        usual = usual_peak(peaks)
        for i in range(len(PHOTOS)):
            for k in range(2):
                row, column = (
                    min(max(round((float(p) - field.start) / field.stride), 0), 7) for p in truth.landmarks[i, k]
                )
                value = map_[i, :, row, column]
                relative = [float(v) / float(u) if u > 0 else 0.0 for v, u in zip(value, usual, strict=True)]
                best = max(relative)
                assert int(found[name][i, k]) == (relative.index(best) if best > 0 else -1)


def test_the_usual_peak_leaves_silent_images_out() -> None:
    peaks = peaks_of([[2.0, -1.0, 3.0], [4.0, -2.0, -3.0], [-9.0, -3.0, 0.0]])
    assert usual_peak(peaks).tolist() == [3.0, 0.0, 0.0]
