"""Explainer+cls: learning by the classification loss through the performer's frozen tail."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from partscope import SettingsError
from partscope.maths import map_gradient_norm
from partscope.settings import FitSettings
from partscope.training import Labels, Learner, Survey, Tail, predicted_classes, tail_of, winner
from training.small_job import (
    PHOTOS,
    Squares,
    labels_of,
    run_to_end,
    same,
    small_job,
    store_of,
    toy_learner,
    toy_performer,
)

CLS = {"objective": "classification", "filter_loss": "none", "ordinary_dropout": 0.0}


def tail_with(right: list[int], outputs: int) -> Tail:
    return Tail(toy_performer(outputs), torch.tensor(right))


def by_hand(tail: Tail, feature: Tensor) -> Tensor:
    last = tail.performer.module.get_submodule("fc5")
    return F.linear(feature.relu(), last.weight, last.bias)  # type: ignore[arg-type]


def test_several_scores_have_the_cross_entropy_of_those_that_can_be_right() -> None:
    tail = tail_with([2, -1, 0, 1, -1], 3)
    feature, rows = torch.randn(4, 12, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 1, 0, 4])
    log_p = by_hand(tail, feature).log_softmax(1)
    torch.testing.assert_close(tail.loss(feature, rows), -(log_p[0, 1] + log_p[2, 2]) / 2)


def test_one_score_has_the_logistic_loss() -> None:
    tail = tail_with([1, 0, 1], 1)
    feature = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))
    score = by_hand(tail, feature)[:, 0]
    wanted = torch.log1p((-score * torch.tensor([1.0, -1.0, 1.0])).exp()).mean()
    torch.testing.assert_close(tail.loss(feature, torch.arange(3)), wanted)


def test_a_batch_without_answers_costs_nothing() -> None:
    feature = torch.ones(2, 12, requires_grad=True)
    loss = tail_with([-1, -1], 2).loss(feature, torch.arange(2))
    assert float(loss.detach()) == 0
    torch.autograd.backward(loss)
    assert feature.grad is not None and not bool(feature.grad.any())


@pytest.mark.parametrize("negatives", [True, False])
def test_the_right_answers_are_the_labels_where_they_match_the_scores(negatives: bool) -> None:
    photos = Squares(20, negatives=negatives)
    labels, settings = labels_of(photos), FitSettings(objective="classification")
    for outputs in (2, 3):
        performer = toy_performer(outputs)
        tail = tail_of(settings, performer, store_of(performer, photos), labels)
        none = -1 if outputs == 2 else 2
        assert tail is not None and tail.performer is performer
        assert tail.right.tolist() == [none if c < 0 else c for c in labels.category.tolist()]


@pytest.mark.parametrize(("outputs", "kind"), [(5, "multi"), (2, "none")])
def test_else_they_are_the_performers_own(outputs: int, kind: Any) -> None:
    photos, performer = Squares(20), toy_performer(outputs)
    store = store_of(performer, photos)
    tail = tail_of(FitSettings(objective="classification", labels=kind), performer, store, labels_of(photos))
    assert tail is not None and torch.equal(tail.right, predicted_classes(performer, store))


def test_an_explainer_that_rebuilds_has_no_judge() -> None:
    photos, performer = Squares(8), toy_performer()
    assert tail_of(FitSettings(), performer, store_of(performer, photos), labels_of(photos)) is None


def answers(learner: Learner) -> tuple[Tensor, Tensor, Tensor]:
    """The performer's answers, the explainer's, and the right ones, on the objects."""
    assert learner.tail is not None
    features, objects = learner.store.rows(range(len(learner.store))), learner.labels.category >= 0
    with torch.no_grad():
        rebuilt = learner.explainer.eval()(features.tap).outputs[-1]
        own, found = (learner.tail.performer.resume(t, "last") for t in (features.targets[-1], rebuilt))
    return winner(own)[objects], winner(found)[objects], learner.labels.category[objects]


def test_it_learns_the_categories_that_the_performer_does_not_know() -> None:
    learner = toy_learner(epochs=12, **CLS)
    records = list(learner)
    own, found, right = answers(learner)
    assert float((own == right).float().mean()) < 0.7
    assert float((found == right).float().mean()) > 0.9
    assert records[-1].reconstruction < 0.8 * records[0].reconstruction
    assert records[-1].fvu[-1] > 0.5  # the features themselves are not what it learns


def test_the_record_is_of_the_classification_loss() -> None:
    learner = toy_learner(**CLS)
    rows = learner._batch()
    outputs = learner.explainer.train()(learner.store.rows(rows).tap, learner.labels.category[rows] >= 0).outputs
    assert learner.tail is not None
    wanted = float(learner.tail.loss(outputs[-1], rows).detach())
    record = next(iter(toy_learner(**CLS)))
    assert record.reconstruction == pytest.approx(wanted, rel=1e-5)
    assert record.loss == pytest.approx(wanted + learner.settings.eta * 0.6931472, rel=1e-5)


def test_the_targets_do_not_matter() -> None:
    learner, other = toy_learner(**CLS), toy_learner(**CLS)
    for held in other.store._shards:
        assert isinstance(held, dict)
        held["target0"].mul_(3)
        held["target1"].mul_(-1)
    list(learner)
    list(other)
    assert same(learner.state(), other.state())


def test_the_filter_loss_is_measured_against_the_classification() -> None:
    learner = toy_learner(objective="classification", ordinary_dropout=0.0, filter_strength=0.5)
    rows = learner._batch()
    explained = learner.explainer.train()(learner.store.rows(rows).tap, learner.labels.category[rows] >= 0)
    assert learner.tail is not None
    (wanted,) = torch.autograd.grad(learner.tail.loss(explained.outputs[-1], rows), explained.interpretable.second)
    record = next(iter(learner))
    torch.testing.assert_close(learner.second.norm_reconstruction, map_gradient_norm(wanted), rtol=1e-4, atol=1e-9)
    assert 0.25 < record.filter_share < 0.51


def test_the_performer_stays_as_it_was() -> None:
    performer = toy_performer()
    before = performer.weights_digest
    list(toy_learner(performer=performer, **CLS))
    assert performer.weights_digest == before
    assert all(w.grad is None for w in performer.module.parameters())


@pytest.mark.parametrize("objective", ["classification", "reconstruction"])
def test_settings_and_judge_have_to_agree(objective: Any) -> None:
    made = toy_learner()
    other = tail_with([0] * 40, 2) if objective == "reconstruction" else None
    with pytest.raises(SettingsError) as caught:
        Learner(
            made.explainer,
            made.store,
            Labels(("a",), torch.zeros(40).long(), torch.ones(1).bool()),
            Survey(torch.ones(12), torch.ones(2)),
            FitSettings(objective=objective),
            other,
        )
    assert caught.value.doing == f"learning by {objective}"
    assert caught.value.got == ("a tail to judge by" if other else "no tail to judge by")
    assert caught.value.todo == "make the tail by tail_of(settings, performer, store, labels), or set fit.objective"


def test_a_whole_run_learns_by_it_and_resumes(tmp_path: Path) -> None:
    job = small_job(objective="classification", epochs=8)
    run_to_end(job, tmp_path / "cls")
    found = json.loads((tmp_path / "cls" / "diagnosis.json").read_text())
    assert found["settings"]["fit"]["objective"] == "classification"
    error = {name: found["fidelity"][name]["error"]["value"] for name in ("performer", "full")}
    assert error["full"] < error["performer"] - 0.2
    before = (tmp_path / "cls" / "explainer.safetensors").read_bytes()
    shutil.copytree(tmp_path / "cls", tmp_path / "again")
    (tmp_path / "again" / "explainer.safetensors").unlink()
    run_to_end(job, tmp_path / "again", photos=PHOTOS)
    assert (tmp_path / "again" / "explainer.safetensors").read_bytes() == before
