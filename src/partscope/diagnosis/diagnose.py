"""Everything measured, as the content of ``diagnosis.json``."""

import math
from collections.abc import Generator, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from partscope.diagnosis.ablation import ablate, some_objects, strongest_at
from partscope.diagnosis.agreement import landmark_agreement
from partscope.diagnosis.cautions import cautions
from partscope.diagnosis.contributions import confirmed, contributions, part_rows
from partscope.diagnosis.fidelity import fidelity
from partscope.diagnosis.following import LESS, halves, keypoint_regression, landmark_r2
from partscope.diagnosis.grouping import cluster, vote
from partscope.diagnosis.number import Number, interval, mean_number, resample
from partscope.diagnosis.observe import Observation, Peaks, observe
from partscope.diagnosis.part_share import (
    LEAST,
    LEAST_RARE,
    LEAST_UNITS,
    contrast,
    part_share_numbers,
)
from partscope.diagnosis.parts import (
    Assignment,
    assign,
    contribution_shares,
    mean_strength,
    silent_share,
    wander,
)
from partscope.diagnosis.stability import Truth, diversity, instability, less, nulls
from partscope.maths import landmark_spread, nearest_landmark_r2, unit_points
from partscope.nets import Explainer
from partscope.performers import Performer
from partscope.settings import DiagnoseSettings
from partscope.training import FeatureStore, Labels

FORMAT = 1
COLLAPSE = 0.6
NOTHING_LEFT_OUT: Mapping[str, Any] = {"train": 0, "test": 0, "unknown": 0, "problems": []}


class Subject(NamedTuple):
    """What is diagnosed: an explainer on its performer's features of the test images."""

    explainer: Explainer
    performer: Performer
    store: FeatureStore
    labels: Labels
    """Categories of the test images."""
    right: Int[Tensor, " n"] | None
    """Score index that is right for each image; None measures disagreement with the performer."""
    truth: Truth | None
    train_counts: list[int]
    """Training images of each category."""
    train_images: int
    """All training images, negatives included."""
    left_out: Mapping[str, Any] = NOTHING_LEFT_OUT
    """Damaged rows and files that neither split holds."""


class Diagnosed(NamedTuple):
    """A diagnosis and what it was computed from."""

    content: dict[str, Any]
    seen: Observation
    assignment: Assignment
    contribution: Float[Tensor, " f"]


def diagnose_subject(subject: Subject, settings: DiagnoseSettings) -> Iterator[int | Diagnosed]:
    """Measures everything on the test images.

    Yields:
        Images done so far, and last the diagnosis.
    """
    seen = yield from observed(subject)
    found = measure(subject, seen, settings)
    yield found._replace(content=found.content | measure_parts(subject, found, settings))


def observed(subject: Subject) -> Generator[int, None, Observation]:
    """Runs performer and explainer on the test images.

    Yields:
        Images done so far.

    Returns:
        What was seen, through ``return`` of the generator.
    """
    for event in observe(subject.explainer, subject.performer, subject.store, right_answers(subject)):
        if not isinstance(event, int):
            return event
        yield event
    raise AssertionError("observe ends with what it saw")


def right_answers(subject: Subject) -> Int[Tensor, " n"]:
    """Score index that is right for each image, -1 where none is known."""
    return subject.right if subject.right is not None else torch.full((len(subject.store),), -1)


def measure(subject: Subject, seen: Observation, settings: DiagnoseSettings) -> Diagnosed:
    """Computes every number from what was seen."""
    labels, performer = subject.labels, subject.performer
    owned = labels.category >= 0
    side = performer.input_size
    diagonal = math.hypot(side, side)
    counts = resample(len(subject.store), settings.resamples)
    layers = seen.layers
    assigned = {name: assign(peaks, labels.category, labels.owners) for name, peaks in layers.items()}
    mine = assigned["explainer"]
    shares = contribution_shares(seen.contribution, owned)
    evidence = contrast(performer, subject.store)
    truth = shown_truth(subject)
    content: dict[str, Any] = {
        "format": FORMAT,
        "p": p_number(subject, seen, counts).as_json(),
        **{name: number.as_json() for name, number in part_share_numbers(evidence).items()},
        "fidelity": fidelity(seen, subject.right, performer.target_names, counts),
    }
    absent: dict[str, str] = {}
    deviation: Tensor | None = None
    if truth is not None:
        content["location_instability"], deviation = _stability(
            subject, truth, layers, assigned, settings, diagonal, counts
        )
        content |= _following(layers, assigned, truth, owned, settings, diagonal, counts)
    else:
        absent["location_instability"] = "the images carry no landmarks, so nothing says where parts really are"
        absent["diversity.landmarks"] = "the images carry no landmarks"
    content["diversity"] = _diversity(layers, assigned, truth, owned, diagonal, counts)
    content["filters"] = _filters(subject, seen, mine, truth, deviation, shares, diagonal)
    content["counts"] = _counts(subject, mine, owned, deviation)
    content["categories"] = _categories(subject, mine)
    if content["part_share"]["value"] is None:
        rows, columns = performer.tap_shape[1:]
        absent["part_share"] = (
            "no evidence of any pair is positive"
            if evidence is not None
            else f"the tap has only {rows} x {columns} units: too few to tell few places from everywhere"
            if rows * columns < LEAST_UNITS
            else f"it takes {LEAST} test images, {LEAST_RARE} of them with another answer of the performer than most"
        )
    if subject.right is None:
        absent["fidelity.performer"] = "no labels match the performer's scores: disagreement stands for error"
    if not bool(torch.isfinite(shares).all()):
        absent["filters.contribution"] = "the part track's contributions to the scores do not add up to more than 0"
    content["absent"] = absent
    content["warnings"] = cautions(content)
    content["performer"] = performer.describe()
    content["crop"] = {"height": side, "width": side, "diagonal_px": diagonal}
    return Diagnosed(content, seen, mine, shares)


def shown_truth(subject: Subject) -> Truth | None:
    """The landmarks, where some image shows one."""
    truth = subject.truth
    return truth if truth is not None and bool(truth.present.any()) else None


def measure_parts(subject: Subject, found: Diagnosed, settings: DiagnoseSettings) -> dict[str, Any]:
    """Names or clusters the filters as parts, and computes what parts know and what they add to the score.

    Runs the explainer on the test images again; see :mod:`partscope.diagnosis.ablation`.

    Args:
        subject: what is diagnosed.
        found: the diagnosis so far.
        settings: how it is measured.

    Returns:
        Content to add to the diagnosis.
    """
    seen, mine, labels, store = found.seen, found.assignment, subject.labels, subject.store
    owned = labels.category >= 0
    side = subject.performer.input_size
    diagonal = math.hypot(side, side)
    counts = resample(len(store), settings.resamples)
    shown = {name: (peaks.score > 0) & owned[:, None] for name, peaks in seen.layers.items()}
    clusters = {name: cluster(seen.layers[name], shown[name], diagonal) for name in ("explainer", "top_conv")}
    truth = shown_truth(subject)
    grouping, checks, content = clusters["explainer"], None, {}
    if truth is not None:
        parts, fitted = truth.only(settings.landmarks or truth.names), halves(owned)
        grouping = vote(seen.explainer, mine.valid, parts, fitted, settings.top_images)
        checks = confirmed(seen.explainer, mine.valid, grouping, parts, owned & ~fitted, labels.category, counts)
        at = strongest_at(subject.explainer, subject.performer, store, seen, truth)
        levels = {
            "filters": at,
            "clusters": {n: torch.where(a >= 0, clusters[n].part[a.clamp(min=0)], a) for n, a in at.items()},
        }
        finest = round(seen.explainer.units**0.5)
        scores = landmark_agreement(levels, truth, owned, float(side), finest, counts)
        content["landmark_agreement"] = found.content["landmark_agreement"] | scores
    rows = some_objects(owned)
    taken = ablate(subject.explainer, subject.performer, store, right_answers(subject), grouping.members, rows)
    content["parts"] = part_rows(
        seen.contribution, grouping, taken, seen.explainer, shown["explainer"], checks, owned, diagonal, counts
    )
    content["contributions"] = contributions(seen.contribution, grouping, taken, counts)
    return content


def p_number(subject: Subject, seen: Observation, counts: Tensor) -> Number:
    """P with the interval of the magnitude share realised on the test images' objects."""
    objects = subject.labels.category >= 0
    objects = objects if bool(objects.any()) else torch.ones_like(objects)
    above, below = (seen.through_parts * objects).double(), (seen.through_all * objects).double()
    weights = counts.double()
    replicates = (weights @ above) / (weights @ below)
    return interval(float(subject.explainer.p.detach()), replicates, int(objects.sum()), least=0.0, most=1.0)


def _stability(
    subject: Subject,
    truth: Truth,
    layers: dict[str, Peaks],
    assigned: dict[str, Assignment],
    settings: DiagnoseSettings,
    diagonal: float,
    counts: Tensor,
) -> tuple[dict[str, Any], Tensor]:
    chosen = truth.only(settings.landmarks or truth.names)
    field = subject.performer.field
    units = torch.arange(layers["tap"].units)
    size = (subject.performer.input_size,) * 2
    grid = unit_points(units, subject.store.rows([0]).tap.shape[3], field, field)
    categories = assigned["explainer"].category
    filters_of = torch.bincount(categories[categories >= 0], minlength=len(subject.labels.names))
    result: dict[str, Any] = {"landmarks": list(chosen.names)}
    deviation = torch.empty(0)
    for protocol, top in (("released", settings.top_images), ("all", None)):
        numbers: dict[str, Number] = {}
        found = {n: instability(p, assigned[n].valid, chosen, diagonal, top, counts) for n, p in layers.items()}
        if protocol == "released":
            deviation = found["explainer"].single
        numbers |= {name: layer.number for name, layer in found.items()}
        numbers[LESS] = less(found["explainer"], found["top_conv"])
        numbers |= nulls(chosen, subject.labels.category, filters_of, grid, size, top, counts)
        result[protocol] = {name: number.as_json() for name, number in numbers.items()}
    return result, deviation


def _following(
    layers: dict[str, Peaks],
    assigned: dict[str, Assignment],
    truth: Truth,
    owned: Bool[Tensor, " n"],
    settings: DiagnoseSettings,
    diagonal: float,
    counts: Tensor,
) -> dict[str, Any]:
    names = ("explainer", "top_conv")
    r2 = {
        protocol: {n: landmark_r2(layers[n], assigned[n].valid, truth, top, counts).as_json() for n in names}
        for protocol, top in (("released", settings.top_images), ("all", None))
    }
    shown = {n: (layers[n], layers[n].score > 0) for n in names}
    regression, within = keypoint_regression(shown, truth, owned, diagonal, counts)
    return {
        "landmark_r2": r2,
        "keypoint_regression": {name: v.as_json() for name, v in regression.items()},
        "landmark_agreement": {"pck": {name: v.as_json() for name, v in within.items()}},
    }


def _diversity(
    layers: dict[str, Peaks],
    assigned: dict[str, Assignment],
    truth: Truth | None,
    owned: Bool[Tensor, " n"],
    diagonal: float,
    counts: Tensor,
) -> dict[str, Any]:
    found = {name: diversity(layers[name], assigned[name], diagonal, counts) for name in ("explainer", "top_conv")}
    result: dict[str, Any] = {
        name: {key: number.as_json() for key, number in numbers.items()} for name, numbers in found.items()
    }
    yardstick = found["top_conv"]["spread"].value
    if truth is not None:
        spread = landmark_spread(truth.landmarks, truth.present) / diagonal
        several = owned & (truth.present.sum(1) > 1)  # one landmark has no spread
        landmarks = mean_number(spread.where(several, torch.nan), counts, least=0.0)
        result["landmarks"] = {"spread": landmarks.as_json()}
        yardstick = landmarks.value if landmarks.value > 0 else yardstick  # one landmark an image has no spread
    result["collapsed"] = found["explainer"]["spread"].value < COLLAPSE * yardstick  # nan: nothing to call collapsed
    return result


def _filters(
    subject: Subject,
    seen: Observation,
    mine: Assignment,
    truth: Truth | None,
    deviation: Tensor | None,
    shares: Tensor,
    diagonal: float,
) -> list[dict[str, Any]]:
    strength, silent, wandering = (
        mean_strength(seen.explainer, mine),
        silent_share(mine),
        wander(seen.explainer, mine) / diagonal,
    )
    nearest = (
        None
        if truth is None
        else nearest_landmark_r2(seen.explainer.points, mine.valid, truth.landmarks, truth.present)
    )
    rows = []
    for f in range(len(mine.category)):
        owner = int(mine.category[f])
        r2 = None if nearest is None else _finite(nearest[1][f])
        rows.append(
            {
                "filter": f,
                "category": subject.labels.names[owner] if owner >= 0 else None,
                "strength": _finite(strength[f]),
                "silent_share": _finite(silent[f]),
                "dead": bool(mine.dead[f]),
                "spread": _finite(wandering[f]),
                "best_landmark": None
                if truth is None or nearest is None or r2 is None
                else truth.names[int(nearest[0][f])],
                "best_landmark_r2": r2,
                "instability": None if deviation is None else _finite(deviation[f]),
                "contribution": _finite(shares[f]),
            }
        )
    return rows


def _counts(subject: Subject, mine: Assignment, owned: Bool[Tensor, " n"], deviation: Tensor | None) -> dict[str, Any]:
    cases = int(mine.mine.sum())
    unmeasured = mine.valid.sum(0) < 2 if deviation is None else ~torch.isfinite(deviation)
    return {
        "train_images": subject.train_images,
        "test_images": len(subject.store),
        "test_objects": int(owned.sum()),
        "test_negatives": int((~owned).sum()),
        "filters": len(mine.category),
        "dead_filters": int(mine.dead.sum()),
        "silent_maps": _finite(1 - mine.valid.sum() / cases) if cases else None,
        "left_out_filters": int(unmeasured.sum()),
        "left_out": dict(subject.left_out),
    }


def _categories(subject: Subject, mine: Assignment) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "train": subject.train_counts[c],
            "test": int((subject.labels.category == c).sum()),
            "filters": int((mine.category == c).sum()),
        }
        for c, name in enumerate(subject.labels.names)
    ]


def _finite(value: Tensor) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
