"""One pass over the test images: known explainers score as they must, contributions are what ablation takes away."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from diagnosis.small_subject import PHOTOS, seen_of, toy_subject
from partscope import Performer
from partscope.diagnosis import Subject
from partscope.diagnosis.diagnose import diagnose_subject, measure
from partscope.diagnosis.observe import VARIANTS
from partscope.diagnosis.parts import contribution_shares
from partscope.maths import unit_points
from partscope.settings import DiagnoseSettings
from partscope.training import measure_means
from training.small_job import SIDE, toy_learner, toy_performer

FEW = DiagnoseSettings(resamples=20, top_images=10)


def fvu(subject: Subject, variant: str) -> list[float]:
    seen = seen_of(subject)
    lost = seen.squared_error[variant].double().sum(0) / seen.squared_norm.double().sum(0)
    return [float(share) for share in lost]


def test_predicting_the_mean_loses_all_of_the_variance() -> None:
    subject = toy_subject()
    features = subject.store.rows(range(len(PHOTOS)))
    means = [t.relu().mean(0) for t in features.targets]
    layers = [m for m in subject.explainer.decoder.modules() if isinstance(m, nn.Linear)]
    with torch.no_grad():
        for layer, mean in zip(layers, means, strict=True):
            layer.weight.zero_()
            layer.bias.copy_(mean)
    for variant in VARIANTS:
        assert fvu(subject, variant) == pytest.approx([1.0, 1.0], abs=1e-5)  # float32 sums


def test_an_untrained_explainer_without_parts_is_the_performer_itself() -> None:
    learner = toy_learner()
    measure_means(learner.explainer, learner.store)
    with torch.no_grad():
        learner.explainer.w_p.fill_(-40.0)
    subject = toy_subject(explainer=learner.explainer)
    for variant in ("full", "ordinary_only"):
        assert fvu(subject, variant) == pytest.approx([0.0, 0.0], abs=1e-5)  # fp16 features: 2^-11 squared
    assert min(fvu(subject, "parts_only")) >= 0.99
    found = measure(subject, seen_of(subject), FEW).content["fidelity"]
    assert found["full"]["kl"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert found["full"]["error"] == found["performer"]["error"]
    unlabelled = subject._replace(right=None)
    found = measure(unlabelled, seen_of(unlabelled), FEW).content["fidelity"]
    assert found["full"]["disagreement"]["value"] == 0 and found["ordinary_only"]["disagreement"]["value"] == 0


def test_parts_only_silences_the_ordinary_track_and_the_other_way_round() -> None:
    subject = toy_subject()
    seen, explainer = seen_of(subject), subject.explainer
    rows = subject.store.rows(range(len(PHOTOS)))
    with torch.no_grad():
        parts, ordinary = explainer.encode(rows.tap)
        still = {
            "full": (parts.output, ordinary.output),
            "parts_only": (parts.output, explainer.mean_ordinary.expand_as(ordinary.output)),
            "ordinary_only": (explainer.mean_interpretable.expand_as(parts.output), ordinary.output),
        }
        for variant, tracks in still.items():
            outputs = explainer.decode(*tracks)
            torch.testing.assert_close(seen.rebuilt[variant], subject.performer.resume(outputs[-1], "last"))
            error = [(u.relu() - v.relu()).square().sum(1) for u, v in zip(outputs, rows.targets, strict=True)]
            torch.testing.assert_close(seen.squared_error[variant], torch.stack(error, 1))
        torch.testing.assert_close(seen.scores, subject.performer.resume(rows, "last"))
        torch.testing.assert_close(seen.through_parts, explainer.p * parts.output.sum((1, 2, 3)))
        torch.testing.assert_close(
            seen.through_all, seen.through_parts + (1 - explainer.p) * ordinary.output.sum((1, 2, 3))
        )
        norm = [(v.relu() - v.relu().mean(0)).square().sum(1) for v in rows.targets]
        torch.testing.assert_close(seen.squared_norm, torch.stack(norm, 1))


def test_peaks_are_read_where_each_layer_says() -> None:
    subject = toy_subject()
    seen, performer = seen_of(subject), subject.performer
    rows = subject.store.rows(range(len(PHOTOS)))
    with torch.no_grad():
        maps = {
            "explainer": subject.explainer.encode(rows.tap)[0].raw,
            "top_conv": performer.top_map(rows),
            "tap": rows.tap,
        }
    for name, map_ in maps.items():
        peaks = getattr(seen, name)
        flat = map_.flatten(2)
        assert peaks.units == flat.shape[2] == 64
        torch.testing.assert_close(peaks.score, flat.amax(2))
        torch.testing.assert_close(flat.gather(2, peaks.unit[..., None])[..., 0], flat.amax(2))
        torch.testing.assert_close(peaks.total, map_.relu().sum((2, 3)))
        torch.testing.assert_close(peaks.points, unit_points(peaks.unit, 8, performer.field, performer.field))
        assert float(peaks.points.amin()) >= 0 and float(peaks.points.amax()) <= SIDE - 1
    assert bool((seen.explainer.score < 0).any()) or bool((seen.top_conv.score < 0).any())


def test_the_size_of_a_batch_changes_nothing() -> None:
    subject = toy_subject()
    one, other = seen_of(subject), seen_of(subject, 7)
    torch.testing.assert_close(one.contribution, other.contribution)
    torch.testing.assert_close(one.squared_norm, other.squared_norm)
    assert torch.equal(one.explainer.unit, other.explainer.unit)
    done = [e for e in diagnose_subject(subject, FEW) if isinstance(e, int)]
    assert done == [30]


def linear_performer() -> Performer:
    """Above its top conv layer this network has no activation: what a filter adds is linear in it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, 8, 3, padding=1),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(4),
                conv2=nn.Conv2d(8, 12, 3, padding=1),
                relu2=nn.ReLU(),
                pool2=nn.AvgPool2d(2),
                flatten=nn.Flatten(1),
                fc3=nn.Linear(12 * 16, 16),
                fc4=nn.Linear(16, 2),
            )
        )
    return Performer.for_model(net, SIDE, (0.2,) * 3, (0.3,) * 3, tap="pool1", targets=("fc3",))


def test_a_filters_contribution_is_what_its_absence_takes_away() -> None:
    subject = toy_subject(linear_performer())
    seen, explainer = seen_of(subject), subject.explainer
    rows, right = subject.store.rows(range(len(PHOTOS))), subject.right
    assert right is not None
    with torch.no_grad():
        parts, ordinary = explainer.encode(rows.tap)
        track = explainer.interpretable
        judged = torch.where(right >= 0, right, seen.scores.argmax(1))

        def score(maps: torch.Tensor) -> torch.Tensor:
            outputs = explainer.decode(track.norm(track.pool(maps)), ordinary.output)
            return subject.performer.resume(outputs[-1], "last").gather(1, judged[:, None])[:, 0]

        taken = []
        for f in range(parts.parts.shape[1]):
            without = parts.parts.clone()
            without[:, f] = 0
            taken.append(score(parts.parts) - score(without))
        none = score(torch.zeros_like(parts.parts))
    torch.testing.assert_close(seen.contribution, torch.stack(taken, 1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(seen.contribution.sum(1), score(parts.parts).detach() - none, atol=1e-5, rtol=1e-4)
    objects = subject.labels.category >= 0
    mean = torch.stack(taken, 1)[objects].mean(0)
    shares = contribution_shares(seen.contribution, objects)
    if float(mean.sum()) > 0:
        torch.testing.assert_close(shares, mean / mean.sum(), atol=1e-4, rtol=1e-3)
    else:
        assert bool(shares.isnan().all())


def test_on_an_image_without_an_answer_the_performers_own_class_is_judged() -> None:
    subject = toy_subject()
    with torch.no_grad():
        subject.performer.module.get_submodule("fc5").bias.copy_(torch.tensor([0.0, 5.0]))
    own = seen_of(subject._replace(right=None))
    assert set(own.scores.argmax(1).tolist()) == {1}
    given = seen_of(subject._replace(right=torch.ones(30, dtype=torch.int64)))
    other = seen_of(subject._replace(right=torch.zeros(30, dtype=torch.int64)))
    assert torch.equal(own.contribution, given.contribution)
    assert not torch.allclose(own.contribution, other.contribution)


def test_a_network_with_one_score_is_judged_by_it() -> None:
    subject = toy_subject(toy_performer(1))
    given = seen_of(subject._replace(right=(subject.labels.category >= 0).long()))
    assert given.scores.shape == (30, 1)
    assert torch.equal(given.contribution, seen_of(subject._replace(right=None)).contribution)
