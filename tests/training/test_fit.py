"""Learning: it lowers the loss, pushes only where it may, resumes to the bit, and stops at what is not finite."""

import math
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from partscope import DivergedError
from partscope.maths import map_gradient_norm, reconstruction_loss
from partscope.settings import ExplainerSettings, FitSettings, Job, resolve
from partscope.training import (
    Learner,
    chosen_by_network,
    fit,
    fresh_learner,
    measure_means,
    start_magnitudes,
    step_sizes,
)
from training.small_job import Squares, labels_of, same, store_of, toy_learner, toy_performer


def fresh_push(learner: Learner) -> tuple[Any, Tensor, Tensor]:
    """What the first step computes: the explained batch, its reconstruction loss, and the filters' push."""
    rows = learner._batch()
    features, category = learner.store.rows(rows), learner.labels.category[rows]
    explained = learner.explainer.train()(features.tap, category >= 0)
    reconstruction = reconstruction_loss(explained.outputs, features.targets, learner.scales)
    push, _ = learner._filter_push(explained, category, reconstruction, 1)
    return explained, reconstruction, push


def gradients(learner: Learner, loss: Tensor) -> dict[str, Tensor | None]:
    named = dict(learner.explainer.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True, retain_graph=True)
    return dict(zip(named, found, strict=True))


def test_the_loss_falls() -> None:
    records = list(toy_learner(epochs=12))
    first, last = (sum(r.loss for r in part) for part in (records[:5], records[-5:]))
    assert last < 0.5 * first
    assert [r.step for r in records] == list(range(1, 61))
    assert {r.steps for r in records} == {60}
    assert [r.epoch for r in records] == [1 + k // 5 for k in range(60)]


def test_the_record_is_of_its_step() -> None:
    learner = toy_learner(filter_loss="none", ordinary_dropout=0.0)
    rows = learner._batch()
    features = learner.store.rows(rows)
    outputs = learner.explainer.train()(features.tap, learner.labels.category[rows] >= 0).outputs
    loss = reconstruction_loss(outputs, features.targets, learner.scales).detach()
    fvu = [
        (u - v).square().sum() / (v - v.mean(0)).square().sum() for u, v in zip(outputs, features.targets, strict=True)
    ]
    record = next(iter(toy_learner(filter_loss="none", ordinary_dropout=0.0)))
    assert record.loss == pytest.approx(float(loss) + learner.settings.eta * math.log(2), rel=1e-5)
    assert record.fvu == pytest.approx([float(f.detach()) for f in fvu], rel=1e-5)


def test_every_epoch_shows_every_image_once_in_another_order() -> None:
    learner = toy_learner(43)
    orders = []
    for epoch in range(2):
        learner.step = epoch * learner.steps_per_epoch
        seen = []
        for _ in range(learner.steps_per_epoch):
            seen += learner._batch().tolist()
            learner.step += 1
        assert sorted(seen) == list(range(43))
        orders.append(seen)
    assert orders[0] != orders[1]


def test_the_filter_loss_reaches_the_interpretable_track_alone() -> None:
    learner = toy_learner(filter_strength=1.0)
    _, _, push = fresh_push(learner)
    pushed = gradients(learner, push)
    assert {name for name, g in pushed.items() if g is not None and bool((g != 0).any())} == {
        "interpretable.conv_interp_1.weight",
        "interpretable.conv_interp_1.bias",
        "interpretable.conv_interp_2.weight",
        "interpretable.conv_interp_2.bias",
    }


@pytest.mark.parametrize("reaches", [True, False])
def test_the_filter_loss_reaches_p_only_where_asked(reaches: bool) -> None:
    learner = toy_learner(filter_to_p=reaches)
    _, _, push = fresh_push(learner)
    gradient = gradients(learner, push)["w_p"]
    assert (gradient is not None and float(gradient) != 0) is reaches
    assert gradients(learner, push)["ordinary.conv_ordin.weight"] is None


@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_the_push_has_the_asked_share_of_the_reconstructions_gradient(strength: float) -> None:
    learner = toy_learner(filter_strength=strength)
    explained, reconstruction, push = fresh_push(learner)
    for maps in (explained.interpretable.first, explained.interpretable.second):
        rebuilding = torch.autograd.grad(reconstruction, maps, retain_graph=True)[0]
        pushing = torch.autograd.grad(push, maps, retain_graph=True)[0]
        if maps is explained.interpretable.first:  # without what reaches it through conv-interp-2
            through = explained.interpretable.second
            beyond = torch.autograd.grad(push, through, retain_graph=True)[0]
            pushing = pushing - torch.autograd.grad(through, maps, beyond, retain_graph=True)[0]
        whole, part = map_gradient_norm(rebuilding), map_gradient_norm(pushing)
        moved = (whole > 0) & (part > 1e-9)
        assert int(moved.sum()) >= 4
        torch.testing.assert_close((part / whole)[moved], torch.full_like(part, strength)[moved], rtol=1e-3, atol=0)


@pytest.mark.parametrize("strength", [0.3, 3.0])
def test_the_record_says_the_filter_losss_share(strength: float) -> None:
    records = list(toy_learner(filter_strength=strength))
    assert all(0.5 * strength < r.filter_share <= 1.001 * strength for r in records)


def test_the_filter_losss_share_decays_with_the_epochs_where_asked() -> None:
    shares = [r.filter_share for r in toy_learner(filter_strength=1.0, filter_decay=True)]
    steady = [r.filter_share for r in toy_learner(filter_strength=1.0)]
    assert shares[0] == pytest.approx(steady[0])
    assert [shares[k] for k in (5, 10, 15)] == pytest.approx([1 / 2, 1 / 3, 1 / 4], rel=0.1)


def test_filters_without_a_category_are_not_pushed() -> None:
    learner = toy_learner()
    learner.labels = learner.labels._replace(owners=torch.tensor([False, False]))
    learner.first.owners.fill_(False)
    learner.second.owners.fill_(False)
    _, _, push = fresh_push(learner)
    assert all(g is None or not bool((g != 0).any()) for g in gradients(learner, push).values())


@pytest.mark.parametrize("rule", ["none", "paper", "released", "robust"])
def test_every_rule_trains(rule: str) -> None:
    records = list(toy_learner(filter_loss=rule))
    assert all(math.isfinite(r.loss) for r in records)
    assert sum(r.loss for r in records[-5:]) < sum(r.loss for r in records[:5])
    assert (records[-1].filter_share > 0) is (rule != "none")


def test_the_rules_differ_from_each_other_and_from_none() -> None:
    found = set()
    for rule in ("none", "paper", "released", "robust"):
        learner = toy_learner(filter_loss=rule)
        next(iter(learner))
        found.add(tuple(learner.explainer.interpretable.conv_interp_2.weight.flatten().tolist()))
    assert len(found) == 4


def test_the_papers_preset_is_the_papers() -> None:
    job = resolve(Job(fit=FitSettings(preset="paper")))
    assert (job.explainer.start, job.explainer.magnitude, job.explainer.initial_p) == ("he", "running", 0.5)
    resolved = asdict(job.fit)
    ours = ("preset", "filter_loss", "labels", "min_category_images", "seed", "device", "save_every", "tensorboard")
    assert {k: v for k, v in resolved.items() if k not in ours} == {
        "objective": "reconstruction",
        "epochs": 50,
        "batch_size": 64,
        "learning_rate": 1e-4,
        "decoder_learning_rate": 1e-5,
        "p_learning_rate": 1e-2,
        "schedule": "constant",
        "clip": 0.0,
        "eta": 20.0,
        "target_norm_power": 1,
        "ordinary_dropout": 0.0,
        "filter_strength": 1 / 300,
        "filter_decay": True,
        "filter_to_p": True,
    }


def test_the_papers_preset_trains() -> None:
    job = resolve(Job(fit=FitSettings(preset="paper", epochs=2, batch_size=8, device="cpu")))
    learner = toy_learner(**{f: getattr(job.fit, f) for f in FitSettings.__dataclass_fields__ if f != "seed"})
    records = list(learner)
    assert records[0].filter_share == pytest.approx(1 / 300, rel=0.1)
    assert records[-1].filter_share == pytest.approx(1 / 600, rel=0.1)
    assert all(math.isfinite(r.loss) for r in records)


def test_learning_leaves_the_performer_as_it_was() -> None:
    performer = toy_performer()
    before = performer.weights_digest
    learner = toy_learner(performer=performer)
    decoder = learner.explainer.decoder.state_dict()["segments.0.1.weight"].clone()
    assert torch.equal(decoder, performer.module.get_submodule("fc3").weight)
    list(learner)
    assert not torch.equal(decoder, learner.explainer.decoder.state_dict()["segments.0.1.weight"])
    assert performer.weights_digest == before


def test_the_same_seed_learns_the_same_bytes_and_another_seed_others() -> None:
    states = []
    for seed in (3, 3, 4):
        learner = toy_learner(seed=seed, epochs=2)
        list(learner)
        states.append(learner.state())
    assert same(states[0], states[1])
    assert not torch.equal(
        states[0]["explainer.interpretable.conv_interp_2.weight"],
        states[2]["explainer.interpretable.conv_interp_2.weight"],
    )


def test_learning_taken_up_at_any_step_ends_in_the_same_bytes(tmp_path: Any) -> None:
    whole = toy_learner()
    expected = [r._replace(images_per_second=0) for r in whole]
    file = tmp_path / "state.safetensors"
    for step in (1, 7, 13):
        first = toy_learner()
        steps = iter(first)
        for _ in range(step):
            next(steps)
        save_file(first.state(), file)
        next(steps)
        second = toy_learner()
        second.restore(load_file(file))
        assert second.step == step
        assert [r._replace(images_per_second=0) for r in second] == expected[step:]
        assert same(whole.state(), second.state())


def test_a_state_holds_all_that_moves() -> None:
    learner = toy_learner()
    before = learner.state()
    next(iter(learner))
    after = learner.state()
    moved = {key.split(".")[0] for key in after if key not in before or not torch.equal(before[key], after[key])}
    assert moved == {"explainer", "first", "second", "optimiser", "step"}
    next(iter(learner))
    assert int(after["step"]) == 1


def test_learning_left_in_its_loop_goes_on_in_the_next() -> None:
    whole, parted = toy_learner(), toy_learner()
    list(whole)
    for record in parted:
        if record.step == 6:
            break
    assert [r.step for r in parted][:2] == [7, 8]
    assert same(whole.state(), parted.state())


def test_what_is_not_finite_ends_learning_before_it_reaches_the_weights() -> None:
    learner = toy_learner()
    held = learner.store._shards[2]
    assert isinstance(held, dict)
    held["target0"][3, 0] = math.nan
    row = 2 * 8 + 3
    due = next(k for k in range(5) if row in _batch_at(learner, k))
    records = []
    with pytest.raises(DivergedError) as caught:
        for record in learner:
            records.append(record)
    assert len(records) == due
    assert caught.value.doing == f"taking step {due + 1} of 20 (epoch 1)"
    assert caught.value.got.startswith("a loss of nan with a gradient norm of ")
    assert caught.value.todo == (
        "lower --fit.learning_rate (it was 0.002) and fit into another folder; this one keeps its last good state"
    )
    assert all(bool(torch.isfinite(w).all()) for w in learner.explainer.parameters())


def _batch_at(learner: Learner, step: int) -> list[int]:
    learner.step, before = step, learner.step
    rows: list[int] = learner._batch().tolist()
    learner.step = before
    return rows


def test_step_sizes_warm_up_then_follow_a_cosine() -> None:
    learner = toy_learner(epochs=20, learning_rate=1e-2, decoder_learning_rate=1e-3, p_learning_rate=1e-1)
    rates = []
    for step in range(learner.steps):
        learner.step = step
        learner._set_rates()
        rates.append([group["lr"] for group in learner.optimiser.param_groups])
    assert learner.steps == 100
    assert [r[0] for r in rates[:5]] == pytest.approx(
        [1e-2 * (k + 1) / 5 * 0.5 * (1 + math.cos(math.pi * k / 100)) for k in range(5)]
    )
    assert rates[50] == pytest.approx([0.5e-2, 0.5e-3, 0.5e-1])
    assert rates[99][0] == pytest.approx(1e-2 * 0.5 * (1 + math.cos(0.99 * math.pi)))
    learner.settings = replace(learner.settings, schedule="constant")
    learner.step = 50
    learner._set_rates()
    assert [group["lr"] for group in learner.optimiser.param_groups] == pytest.approx([1e-2, 1e-3, 1e-1])


def test_step_sizes_that_are_not_given_fall_with_the_channels_of_the_tap(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = step_sizes(FitSettings(), 2048)
    assert wide == (9.38e-5, 3.75e-5)  # 5e-4 and 2e-4 times 384 / 2048
    assert step_sizes(FitSettings(), 32) == (3e-3, 1.2e-3)  # the largest ones
    assert step_sizes(FitSettings(learning_rate=0.0, decoder_learning_rate=0.1), 2048) == (0.0, 0.1)
    monkeypatch.setattr(fit, "LARGEST_RATE", 1.0)  # the toy's few channels would all reach it
    learner = toy_learner(learning_rate=None, decoder_learning_rate=None)
    assert learner._rates[:2] == step_sizes(FitSettings(), learner.explainer.interpretable.conv_interp_1.in_channels)


def test_the_network_chooses_by_its_decoder_and_its_tap() -> None:
    convs = toy_performer(tap="pool1", targets=("conv2", "fc3"))
    store = store_of(convs, Squares(8))
    chosen = chosen_by_network(convs, store, ExplainerSettings(), FitSettings(decoder_learning_rate=1e-5))
    assert chosen == {"fit.learning_rate": 3e-3, "fit.decoder_learning_rate": 1e-5, "explainer.initial_p": 0.1}
    learner, _ = fresh_learner(convs, store, labels_of(Squares(8)), ExplainerSettings(), FitSettings(), "cpu")
    assert float(learner.explainer.p.detach()) == pytest.approx(0.1)


def test_each_step_size_moves_its_own_parameters() -> None:
    for name, moving in (
        ("learning_rate", "interpretable.conv_interp_1.weight"),
        ("decoder_learning_rate", "decoder.segments.0.1.weight"),
        ("p_learning_rate", "w_p"),
    ):
        rates = dict.fromkeys(("learning_rate", "decoder_learning_rate", "p_learning_rate"), 0.0) | {name: 1e-2}
        learner = toy_learner(epochs=1, **rates)
        before = {k: v.detach().clone() for k, v in learner.explainer.named_parameters()}
        list(learner)
        moved = {k for k, v in learner.explainer.named_parameters() if not torch.equal(before[k], v)}
        assert moving in moved
        prefixes = ("interpretable", "ordinary") if name == "learning_rate" else (moving.split(".")[0],)
        assert all(k.startswith(prefixes) for k in moved)


def test_clipping_bounds_the_whole_gradient() -> None:
    learner = toy_learner(clip=1e-3)
    next(iter(learner))
    norms = torch.stack([w.grad.norm() for w in learner.explainer.parameters() if w.grad is not None])
    assert float(norms.norm()) == pytest.approx(1e-3, rel=1e-3)


def test_positives_and_negatives_of_a_filter_weigh_half_each() -> None:
    learner = toy_learner(40)
    share = float((learner.labels.category == 0).float().mean())
    learner.second.seen.fill_(True)
    learner.second.activation[:6, 0], learner.second.activation[6:, 1] = 1.0, 1.0
    positive, negative = learner._balance(learner.second)
    assert float(positive[0] * share) == pytest.approx(0.5)
    assert float(negative[0] * (1 - share)) == pytest.approx(0.5)
    learner.settings = replace(learner.settings, labels="single")
    assert all(torch.equal(w, torch.ones(12)) for w in learner._balance(learner.second))


def test_a_dropped_image_is_rebuilt_without_its_own_ordinary_features() -> None:
    learner = toy_learner(ordinary_dropout=1.0)
    features = learner.store.rows(range(6))
    dropped = learner._dropped(6)
    assert dropped is not None and dropped.tolist() == [True] * 6
    outputs = learner.explainer(features.tap, None, dropped).outputs
    parts, ordinary = learner.explainer.encode(features.tap)
    mean = ordinary.output.mean(0, keepdim=True).expand_as(ordinary.output)
    assert torch.equal(outputs[1], learner.explainer.decode(parts.output, mean)[1])
    assert toy_learner(ordinary_dropout=0.0)._dropped(6) is None


def test_dropout_is_drawn_anew_each_step_from_the_seed() -> None:
    learner, again = toy_learner(ordinary_dropout=0.5), toy_learner(ordinary_dropout=0.5)
    drawn = []
    for step in range(8):
        learner.step = again.step = step
        one, other = learner._dropped(64), again._dropped(64)
        assert one is not None and other is not None and torch.equal(one, other)
        assert 16 < int(one.sum()) < 48
        drawn.append(tuple(one.tolist()))
    assert len(set(drawn)) == 8


def test_mean_maps_are_means_over_all_training_images() -> None:
    learner = toy_learner(19)
    measure_means(learner.explainer, learner.store)
    parts, ordinary = learner.explainer.eval().encode(learner.store.rows(range(19)).tap)
    torch.testing.assert_close(learner.explainer.mean_interpretable, parts.output.mean(0))
    torch.testing.assert_close(learner.explainer.mean_ordinary, ordinary.output.mean(0))


def test_norm_layers_start_at_the_objects_mean_magnitude() -> None:
    learner = toy_learner(19)
    objects = learner.labels.category >= 0
    alpha = learner.explainer.ordinary.norm.alpha.clone()
    _, ordinary = learner.explainer.eval().encode(learner.store.rows(range(19)).tap[objects])
    pooled = learner.explainer.ordinary.pool(ordinary.maps)
    torch.testing.assert_close(alpha, pooled.sum((2, 3)).mean(0))
    start_magnitudes(learner.explainer, learner.store, torch.zeros(19, dtype=torch.bool))
    _, everyone = learner.explainer.encode(learner.store.rows(range(19)).tap)
    torch.testing.assert_close(
        learner.explainer.ordinary.norm.alpha, learner.explainer.ordinary.pool(everyone.maps).sum((2, 3)).mean(0)
    )
