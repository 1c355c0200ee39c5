"""Fidelity on rebuilt features: counts and divergences by hand."""

import math

import pytest
import torch

from diagnosis.small_subject import peaks_of
from partscope.diagnosis.fidelity import divergence, fidelity
from partscope.diagnosis.number import resample
from partscope.diagnosis.observe import Observation


def observation(scores: list[list[float]], **rebuilt: list[list[float]]) -> Observation:
    """Hand-made scores; squared errors are 1, 2 and 3 in 10 for the three variants' first target, double the second."""
    n, none = len(scores), peaks_of(torch.zeros(len(scores), 1))
    errors = {name: torch.tensor([[k, 2.0 * k]]).expand(n, 2) for k, name in enumerate(rebuilt, start=1)}
    return Observation(
        none,
        none,
        none,
        torch.tensor(scores),
        {name: torch.tensor(rows) for name, rows in rebuilt.items()},
        errors,
        torch.full((n, 2), 10.0),
        torch.ones(n),
        torch.ones(n),
        torch.zeros(n, 1),
    )


LEFT, RIGHT = [2.0, 0.0], [0.0, 2.0]
SEEN = observation(
    [LEFT, LEFT, RIGHT, RIGHT],
    full=[LEFT, LEFT, RIGHT, LEFT],
    parts_only=[RIGHT, RIGHT, LEFT, RIGHT],
    ordinary_only=[LEFT, RIGHT, LEFT, RIGHT],
)
COUNTS = resample(4, 30)


def test_errors_are_against_the_right_answers() -> None:
    found = fidelity(SEEN, torch.tensor([0, 1, 1, -1]), ("fc6", "fc7"), COUNTS)
    assert found["measure"] == "error" and found["targets"] == ["fc6", "fc7"]
    assert found["performer"]["error"]["value"] == pytest.approx(1 / 3)
    assert {v: found[v]["error"]["value"] for v in ("full", "parts_only", "ordinary_only")} == pytest.approx(
        {"full": 1 / 3, "parts_only": 2 / 3, "ordinary_only": 1 / 3}
    )
    assert {found[v]["error"]["n"] for v in ("full", "parts_only", "ordinary_only")} == {3}
    assert found["performer"]["error"]["n"] == 3
    assert "disagreement" not in found["full"]


def test_without_right_answers_disagreement_with_the_performer_stands() -> None:
    found = fidelity(SEEN, None, ("fc6", "fc7"), COUNTS)
    assert found["measure"] == "disagreement" and "performer" not in found
    assert [found[v]["disagreement"]["value"] for v in ("full", "parts_only", "ordinary_only")] == [0.25, 0.75, 0.5]
    assert found["full"]["disagreement"]["n"] == 4 and "error" not in found["full"]


def test_fvu_is_of_each_variant_and_target() -> None:
    found = fidelity(SEEN, None, ("fc6", "fc7"), COUNTS)
    assert [[t["value"] for t in found[v]["fvu"]] for v in ("full", "parts_only", "ordinary_only")] == [
        pytest.approx([k / 10, 2 * k / 10]) for k in (1, 2, 3)
    ]


def test_one_score_answers_by_its_sign() -> None:
    one = observation([[1.0], [-1.0]], full=[[2.0], [3.0]], parts_only=[[-1.0], [-1.0]], ordinary_only=[[1.0], [-1.0]])
    found = fidelity(one, torch.tensor([1, 0]), ("fc6", "fc7"), resample(2, 5))
    assert found["performer"]["error"]["value"] == 0
    assert [found[v]["error"]["value"] for v in ("full", "parts_only", "ordinary_only")] == [0.5, 0.5, 0]


def test_no_divergence_between_equal_scores() -> None:
    scores = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    assert divergence(scores, scores).tolist() == [0.0] * 9
    torch.testing.assert_close(divergence(scores, scores + 3), torch.zeros(9, dtype=torch.float64), atol=1e-6, rtol=0)
    assert bool((divergence(scores, scores.flip(1)) > 0).all())


def test_divergence_of_two_classes_by_hand() -> None:
    scores = torch.tensor([[math.log(3.0), 0.0]])  # 3/4, 1/4
    rebuilt = torch.tensor([[0.0, 0.0]])  # 1/2, 1/2
    assert divergence(scores, rebuilt).item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-7)
    assert divergence(rebuilt, scores).item() == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2), abs=1e-7)


def test_one_score_is_logistic() -> None:
    found = divergence(torch.tensor([[math.log(3.0)]]), torch.tensor([[0.0]]))
    assert found.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-7)
