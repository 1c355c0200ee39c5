"""The metrics of part detectors: the same for every method, on the same test images."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from partscope.diagnosis.ablation import most_active, usual_peak, values_at
from partscope.diagnosis.agreement import landmark_agreement
from partscope.diagnosis.fidelity import divergence, fidelity
from partscope.diagnosis.following import keypoint_regression, landmark_r2
from partscope.diagnosis.number import mean_number, proportion, ratio_number, resample
from partscope.diagnosis.observe import Observation, Peaks, field_of, observe
from partscope.diagnosis.parts import assign
from partscope.diagnosis.stability import diversity, instability, nulls
from partscope.maths import part_location, unit_points
from partscope.nets import Explainer
from partscope.performers import Features
from partscope.subject import OpenedRun
from partscope.training import winner

from .simple import Maps

RESAMPLES = 200
Row = dict[str, Any]


class Seen(NamedTuple):
    """What detectors did on the test images."""

    peaks: Peaks
    at: Tensor
    """(n, f, k): each detector's value at each landmark."""


@torch.no_grad()
def see(run: OpenedRun, maps_of: Callable[[Features], Tensor], order: Tensor | None = None) -> Seen:
    """Runs detectors on the test images.

    Args:
        run: the run.
        maps_of: the detectors' maps (N, F, H, W) before any ReLU, silent where not above 0.
        order: the image whose maps each image gets; None gives each its own.
    """
    performer, truth = run.subject.performer, run.subject.truth
    assert truth is not None
    rows: list[tuple[Tensor, ...]] = []
    units = 0
    for index, own in run.subject.store.batches():
        features = own if order is None else run.subject.store.rows(order[index])
        maps = maps_of(features)
        field, found = field_of(performer, maps, features.tap), part_location(maps)
        units = maps.shape[2] * maps.shape[3]
        points = unit_points(found.unit, maps.shape[3], field, field)
        at = values_at(maps, truth.landmarks[index], field)
        rows.append((found.unit, found.peak, maps.relu().sum((2, 3)), points, at))
    unit, score, total, points, at = (torch.cat(column) for column in zip(*rows, strict=True))
    return Seen(Peaks(unit, score, total, points, units), at)


def measured(run: OpenedRun, seen: Seen) -> Row:
    """Every metric of one set of detectors; a detector belongs to the category whose images excite it most."""
    subject, truth, peaks = run.subject, run.subject.truth, seen.peaks
    assert truth is not None
    chosen = truth.only(run.job.diagnose.landmarks or truth.names)
    side = subject.performer.input_size
    diagonal = side * 2**0.5
    counts = resample(len(subject.store), RESAMPLES)
    given = assign(peaks, subject.labels.category, subject.labels.owners)
    owned = subject.labels.category >= 0
    top = run.job.diagnose.top_images
    errors, near = keypoint_regression({"of": (peaks, peaks.score > 0)}, truth, owned, diagonal, counts)
    label = most_active(seen.at, usual_peak(peaks))
    agreed = landmark_agreement({"filters": {"of": label}}, truth, owned, float(side), round(peaks.units**0.5), counts)
    return {
        "detectors": peaks.score.shape[1],
        "instability": instability(peaks, given.valid, chosen, diagonal, top, counts)[0].as_json(),
        "instability_all": instability(peaks, given.valid, chosen, diagonal, None, counts)[0].as_json(),
        "r2": landmark_r2(peaks, given.valid, truth, top, counts).as_json(),
        "keypoints": errors["of"].as_json(),
        "pck": near["of"].as_json(),
        **{f"{s}{end}": agreed[s]["filters"][k] for s in ("nmi", "ari") for end, k in LABELS.items()},
        **{key: number.as_json() for key, number in diversity(peaks, given, diagonal, counts).items()},
    }


LABELS = {"": "of", "_grid": "null_grid", "_shuffled": "null_shuffled"}


def null_rows(run: OpenedRun, maps_of: Callable[[Features], Tensor]) -> dict[str, Row]:
    """What no look at the image brings, by the same protocols.

    Args:
        run: the run.
        maps_of: the explainer's filters; dealt to other images of the same category they make a null of every metric.
    """
    subject, truth = run.subject, run.subject.truth
    assert truth is not None
    performer, category = subject.performer, subject.labels.category
    side = performer.input_size
    chosen = truth.only(run.job.diagnose.landmarks or truth.names)
    counts = resample(len(subject.store), RESAMPLES)
    given = assign(see(run, maps_of).peaks, category, subject.labels.owners)
    filters_of = torch.bincount(given.category[given.category >= 0], minlength=len(subject.labels.names))
    tap = subject.store.rows([0]).tap
    grid = unit_points(torch.arange(tap.shape[2] * tap.shape[3]), tap.shape[3], performer.field, performer.field)
    rows: dict[str, Row] = {}
    for key, top in (("instability", run.job.diagnose.top_images), ("instability_all", None)):
        found = nulls(chosen, category, filters_of, grid, (side, side), top, counts)
        for name, number in found.items():
            rows.setdefault(NULLS[name], {})[key] = number.as_json()
    errors, near = keypoint_regression({}, truth, category >= 0, side * 2**0.5, counts)
    rows["the mean landmark"] = {
        "keypoints": errors["null_mean_landmark"].as_json(),
        "pck": near["null_mean_landmark"].as_json(),
    }
    rows["the explainer's peaks on other images"] = measured(run, see(run, maps_of, dealt(category)))
    return rows


NULLS = {
    "null_center": "the image's centre",
    "null_best_fixed": "the best fixed point",
    "null_random": "random points",
}


def dealt(category: Tensor) -> Tensor:
    """For each image another one of its category."""
    order = torch.arange(len(category))
    generator = torch.Generator().manual_seed(0)
    for c in category.unique().tolist():
        rows = (category == c).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        order[rows] = rows.roll(1)
    return order


def own_error(run: OpenedRun, scores: Tensor) -> Row:
    """How often scores are wrong."""
    right = run.subject.right
    assert right is not None, "labels do not match the performer's scores"
    judged = right >= 0
    wrong = int((winner(scores)[judged] != right[judged]).sum())
    return {"error": proportion(wrong, int(judged.sum())).as_json()}


@torch.no_grad()
def performer_scores(run: OpenedRun) -> Tensor:
    """The network's own scores on the test images."""
    return torch.cat([run.subject.performer.resume(f, "last") for _, f in run.subject.store.batches()])


def explained(run: OpenedRun, explainer: Explainer) -> Row:
    """What the network does on an explainer's features, and on its parts alone."""
    subject = run.subject
    answers = subject.right if subject.right is not None else torch.full((len(subject.store),), -1)
    *_, seen = observe(explainer, subject.performer, subject.store, answers)
    assert isinstance(seen, Observation)
    counts = resample(len(subject.store), RESAMPLES)
    found = fidelity(seen, subject.right, subject.performer.target_names, counts)
    row: Row = {"p": float(explainer.p.detach())}
    for variant, end in (("full", ""), ("parts_only", "_parts")):
        row[f"error{end}"] = found[variant][found["measure"]]
        row[f"fvu{end}"], row[f"kl{end}"] = found[variant]["fvu"][-1], found[variant]["kl"]
    return row


@torch.no_grad()
def from_rebuilt_tap(run: OpenedRun, rebuilt_tap: Maps) -> Row:
    """What the network does on a rebuilt tap."""
    subject, performer = run.subject, run.subject.performer
    number = len(performer.plan.targets) - 1
    activation = performer.target_activation(number)
    scores, own, errors, features_of = [], [], [], []
    for _, features in subject.store.batches():
        tap = rebuilt_tap(features.tap)
        last = performer.spine.run(tap, performer.plan.tap + 1, performer.plan.targets[-1] + 1)
        scores.append(performer.resume(last, "last"))
        own.append(performer.resume(features, "last"))
        truth = activation(features.targets[-1].clone())
        errors.append((activation(last.clone()) - truth).square().flatten(1).sum(1))
        features_of.append(truth.flatten(1))
    truth = torch.cat(features_of)
    spread = (truth - truth.mean(0)).square().sum(1)
    counts = resample(len(subject.store), RESAMPLES)
    kl = mean_number(divergence(torch.cat(own), torch.cat(scores)), counts, least=0.0)
    fvu = ratio_number(torch.cat(errors), spread, counts)
    return {**own_error(run, torch.cat(scores)), "fvu": fvu.as_json(), "kl": kl.as_json()}
