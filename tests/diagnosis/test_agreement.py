"""Do labels at landmarks tell their names? Against scikit-learn, hand-made tables, and planted filters."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from partscope.diagnosis.agreement import (
    Pairs,
    agreement,
    grid_labels,
    landmark_agreement,
    landmark_pairs,
    shuffled,
    tables,
)
from partscope.diagnosis.number import resample
from partscope.diagnosis.stability import Truth
from partscope.maths import adjusted_rand_index, normalised_mutual_information

N, SIDE = 60, 96.0


def pairs_of(label: list[int], name: list[int]) -> tuple[torch.Tensor, Pairs]:
    m = len(name)
    return torch.tensor(label), Pairs(torch.arange(m), torch.tensor(name), torch.zeros(m, 2))


def once(label: torch.Tensor, pairs: Pairs) -> torch.Tensor:
    return tables(label, pairs, torch.ones(1, len(pairs.name), dtype=torch.int64))


def test_nmi_by_hand() -> None:
    """Two labels of two and one of one, on two names: MI = log 4 / 2 - ..., worked on paper."""
    table = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    rows = math.log(2)
    columns = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    together = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    assert normalised_mutual_information(table).item() == pytest.approx(
        (rows + columns - together) / ((rows + columns) / 2)
    )


def test_ari_by_hand() -> None:
    """Rows 2 and 2, columns 3 and 1: 1 joined pair, A = 2, B = 3, 6 pairs, E = 1: (1 - 1) / (2.5 - 1) = 0."""
    assert adjusted_rand_index(torch.tensor([[2.0, 0.0], [1.0, 1.0]])).item() == pytest.approx(0.0)
    # Rows 3 and 3, columns 2 and 4: joined 1 + 0 + 3 = 4, A = 6, B = 7, 15 pairs, E = 2.8: 1.2 / 3.7.
    assert adjusted_rand_index(torch.tensor([[2.0, 1.0], [0.0, 3.0]])).item() == pytest.approx(1.2 / 3.7)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=3, max_size=60))
def test_both_are_scikit_learns(drawn: list[tuple[int, int]]) -> None:
    label, pairs = pairs_of([a for a, _ in drawn], [b for _, b in drawn])
    table = once(label, pairs)
    names, labels = pairs.name.tolist(), label.tolist()
    if len(set(names)) > 1 or len(set(labels)) > 1:  # else scikit-learn says 1, we say that nothing can be told
        assert normalised_mutual_information(table).item() == pytest.approx(
            normalized_mutual_info_score(names, labels), abs=1e-9
        )
    found = adjusted_rand_index(table).item()
    if not math.isnan(found):
        assert found == pytest.approx(adjusted_rand_score(names, labels), abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(4)), st.lists(st.integers(0, 3), min_size=8, max_size=40))
def test_any_renaming_of_the_names_scores_1_and_a_constant_0(order: list[int], names: list[int]) -> None:
    names = [*names, 0, 1]
    label, pairs = pairs_of([order[k] + 7 for k in names], names)
    perfect, constant = once(label, pairs), once(torch.full_like(label, 5), pairs)
    assert normalised_mutual_information(perfect).item() == pytest.approx(1.0)
    assert adjusted_rand_index(perfect).item() == pytest.approx(1.0)
    assert normalised_mutual_information(constant).item() == pytest.approx(0.0, abs=1e-9)
    assert adjusted_rand_index(constant).item() == pytest.approx(0.0, abs=1e-9)


def test_one_name_has_no_agreement() -> None:
    label, pairs = pairs_of([0, 1, 2], [0, 0, 0])
    found = agreement(label, pairs, resample(3, 5))
    assert math.isnan(found["nmi"].value) and math.isnan(found["ari"].value) and found["nmi"].n == 3
    assert adjusted_rand_index(torch.ones(1, 1)).isnan() and normalised_mutual_information(torch.ones(1, 1)).isnan()


def test_a_draw_counts_an_image_as_often_as_it_holds_it() -> None:
    label, name = torch.tensor([4, 4, 9, 9, 4]), torch.tensor([0, 1, 0, 1, 1])
    pairs = Pairs(torch.tensor([0, 0, 1, 1, 2]), name, torch.zeros(5, 2))
    found = tables(label, pairs, torch.tensor([[1, 1, 1], [2, 0, 3]]))
    assert found.tolist() == [[[1, 2], [1, 1]], [[2, 5], [0, 0]]]


def test_pairs_are_the_visible_landmarks_of_objects() -> None:
    present = torch.tensor([[True, False], [True, True], [True, True]])
    truth = Truth(("head", "tail"), torch.arange(12.0).reshape(3, 2, 2), present)
    found = landmark_pairs(truth, torch.tensor([True, True, False]))
    assert found.image.tolist() == [0, 1, 1] and found.name.tolist() == [0, 0, 1]
    assert found.point.tolist() == [[0, 1], [4, 5], [6, 7]]


def test_the_grid_has_the_next_square_number_of_cells() -> None:
    points = torch.tensor([[-0.5, 0.0], [0.0, 95.4], [47.4, 47.4], [95.4, 95.4], [200.0, -9.0]])
    assert grid_labels(points, 3, SIDE, 12).tolist() == [0, 1, 0, 3, 2]
    assert grid_labels(points, 1, SIDE, 12).tolist() == [0] * 5
    for labels, finest in ((5, 12), (9, 12), (10_000, 3)):
        assert int(grid_labels(points, labels, SIDE, finest).max()) == 8


def planted(noise: float, seed: int = 0) -> tuple[Truth, dict[str, torch.Tensor], torch.Tensor]:
    """Landmarks anywhere, one filter for each but for some noise; and a layer whose filters are blind to them."""
    generator = torch.Generator().manual_seed(seed)
    truth = Truth(("a", "b", "c"), SIDE * torch.rand(N, 3, 2, generator=generator), torch.ones(N, 3).bool())
    mine = torch.arange(3).expand(N, 3).clone()
    wrong = torch.rand(N, 3, generator=generator) < noise
    mine[wrong] = torch.randint(0, 3, (int(wrong.sum()),), generator=generator)
    return truth, {"explainer": mine, "top_conv": torch.randint(0, 3, (N, 3), generator=generator)}, wrong


def test_planted_filters_agree_and_blind_ones_do_not() -> None:
    truth, layers, _ = planted(0.0)
    found = landmark_agreement({"filters": layers}, truth, torch.ones(N).bool(), SIDE, 12, resample(N, 50))
    for score in ("nmi", "ari"):
        of = found[score]["filters"]
        assert of["explainer"]["value"] == pytest.approx(1.0) and of["explainer"]["low"] == pytest.approx(1.0)
        assert of["explainer"]["n"] == N
        for blind in ("top_conv", "null_grid", "null_shuffled"):
            assert abs(of[blind]["value"]) < 0.05 and of[blind]["high"] < 0.2, blind


def test_a_fixed_grid_wins_where_landmarks_never_move_and_the_nulls_say_so() -> None:
    truth, layers, _ = planted(0.4)
    still = torch.tensor([[10.0, 10.0], [80.0, 10.0], [80.0, 80.0]]).expand(N, 3, 2)
    found = landmark_agreement(
        {"filters": layers}, truth._replace(landmarks=still), torch.ones(N).bool(), SIDE, 12, resample(N, 50)
    )["nmi"]["filters"]
    assert found["null_grid"]["value"] > 2 * found["explainer"]["value"] > 0.2


def test_shuffled_names_rise_with_the_number_of_labels() -> None:
    truth, _, _ = planted(0.0)
    pairs = landmark_pairs(truth, torch.ones(N).bool())
    counts = resample(N, 20)
    few, many = (shuffled(torch.arange(3 * N) % labels, pairs, counts) for labels in (3, 90))
    assert few["nmi"].value < 0.03 < 0.2 < many["nmi"].value
    assert abs(many["ari"].value) < 0.03


def test_nulls_follow_the_level_they_stand_beside() -> None:
    truth, layers, _ = planted(0.0)
    coarse = {name: of.clamp(max=1) for name, of in layers.items()}
    found = landmark_agreement(
        {"filters": layers, "clusters": coarse}, truth, torch.ones(N).bool(), SIDE, 12, resample(N, 20)
    )["nmi"]
    assert set(found) == {"filters", "clusters"}
    assert found["clusters"]["explainer"]["value"] < 1
    assert 0 < found["clusters"]["null_grid"]["value"] < found["filters"]["null_grid"]["value"] * 3
    assert found["clusters"]["null_shuffled"] != found["filters"]["null_shuffled"]
