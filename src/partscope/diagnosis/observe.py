"""One pass over the test images' features: everything that the diagnosis is computed from."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from partscope.maths import ReceptiveField, part_location, unit_points
from partscope.nets import Explainer, InterpretableMaps, OrdinaryMaps, Silenced
from partscope.performers import Performer
from partscope.training import FeatureStore

VARIANTS = ("full", "parts_only", "ordinary_only")


class Peaks(NamedTuple):
    """Where a layer's maps peak."""

    unit: Int[Tensor, "n f"]
    score: Float[Tensor, "n f"]
    """The peak's value before the ReLU; <= 0 means that the map is silent."""
    total: Float[Tensor, "n f"]
    """Sum of the map after the ReLU."""
    points: Float[Tensor, "n f 2"]
    """The peak's image point, pixels."""
    units: int
    """Units of a map."""


class Observation(NamedTuple):
    """What was seen on the test images, row by row."""

    explainer: Peaks
    top_conv: Peaks
    tap: Peaks
    scores: Float[Tensor, "n c"]
    """The performer's own."""
    rebuilt: dict[str, Float[Tensor, "n c"]]
    """Scores on rebuilt features, per variant."""
    squared_error: dict[str, Float[Tensor, "n t"]]
    """|u - v|^2 after the targets' own activation, per variant and target."""
    squared_norm: Float[Tensor, "n t"]
    """|v - mean v|^2 of the performer's features."""
    through_parts: Float[Tensor, " n"]
    """Sum over channels of p x_interp."""
    through_all: Float[Tensor, " n"]
    """Sum over channels of x_enc."""
    contribution: Float[Tensor, "n f"]
    """Gradient x activation of each filter's masked map to the score, see :func:`observe`."""

    @property
    def layers(self) -> dict[str, Peaks]:
        """Peaks by layer."""
        return {"explainer": self.explainer, "top_conv": self.top_conv, "tap": self.tap}


def observe(
    explainer: Explainer,
    performer: Performer,
    store: FeatureStore,
    category: Int[Tensor, " n"],
    batch_size: int = 64,
) -> Iterator[int | Observation]:
    """Runs the explainer on all rows.

    A filter's contribution on an image is sum_ij (dy/dA_ij) A_ij with A its masked conv-interp-2 map and y
    the score of the image's category on rebuilt features (of the highest-scoring class where it has none).

    Args:
        explainer: fitted; it is put in evaluation mode.
        performer: the network, for the scores.
        store: its features on the test images.
        category: score index of each image, -1 where it has none.
        batch_size: images at a time.

    Yields:
        Rows done so far, and last the observation.
    """
    explainer.eval()
    rows: dict[str, list[Tensor]] = {}
    means = _target_means(performer, store, batch_size)
    units = {"explainer": 0, "top_conv": 0, "tap": 0}
    for index, features in store.batches(batch_size):
        with torch.no_grad():
            scores = performer.resume(features, "last")
            maps = {"tap": features.tap, "top_conv": performer.top_map(features)}
        parts, ordinary, contribution = _explain(explainer, performer, features.tap, scores, category[index])
        maps["explainer"] = parts.raw
        for name, map_ in maps.items():
            units[name] = map_.shape[2] * map_.shape[3]
            _append_peaks(rows, name, map_, field_of(performer, map_, features.tap))
        with torch.no_grad():
            _append_fidelity(rows, explainer, performer, parts.output, ordinary.output, features.targets, means)
            share = explainer.p * parts.output.sum((1, 2, 3))
            whole = share + (1 - explainer.p) * ordinary.output.sum((1, 2, 3))
        for name, value in (
            ("scores", scores),
            ("contribution", contribution),
            ("share", share),
            ("whole", whole),
        ):
            rows.setdefault(name, []).append(value.cpu())
        yield int(index[-1]) + 1
    joined = {name: torch.cat(parts) for name, parts in rows.items()}

    def peaks(layer: str) -> Peaks:
        unit, score, total, points = (joined[f"{layer}.{k}"] for k in ("unit", "score", "total", "points"))
        return Peaks(unit, score, total, points, units[layer])

    yield Observation(
        peaks("explainer"),
        peaks("top_conv"),
        peaks("tap"),
        joined["scores"],
        {v: joined[f"rebuilt.{v}"] for v in VARIANTS},
        {v: joined[f"error.{v}"] for v in VARIANTS},
        joined["norm"],
        joined["share"],
        joined["whole"],
        joined["contribution"],
    )


def _explain(
    explainer: Explainer, performer: Performer, tap: Tensor, scores: Tensor, category: Tensor
) -> tuple[InterpretableMaps, OrdinaryMaps, Tensor]:
    with torch.no_grad():
        parts, ordinary = explainer.encode(tap)
    masked = parts.parts.detach().requires_grad_()
    with torch.enable_grad():
        track = explainer.interpretable
        outputs = explainer.decode(track.norm(track.pool(masked)), ordinary.output)
        rebuilt = performer.resume(outputs[-1], "last")
        judged = judged_score(scores, category)
        (gradient,) = torch.autograd.grad(rebuilt.gather(1, judged[:, None]).sum(), masked)
    return parts, ordinary, (gradient * parts.parts).sum((2, 3))


def judged_score(scores: Float[Tensor, "n c"], category: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Index of the score that contributions are to: the given one, else the highest; the only one where there is one.

    Args:
        scores: the performer's own.
        category: score index of each image, -1 where it has none.
    """
    category = category.to(scores.device)
    return torch.where(category >= 0, category, scores.argmax(1)).clamp(max=scores.shape[1] - 1)


def _append_peaks(rows: dict[str, list[Tensor]], name: str, maps: Tensor, field: ReceptiveField) -> None:
    found = part_location(maps)
    values = {
        "unit": found.unit,
        "score": found.peak,
        "total": maps.relu().sum((2, 3)),
        "points": unit_points(found.unit, maps.shape[3], field, field),
    }
    for key, value in values.items():
        rows.setdefault(f"{name}.{key}", []).append(value.cpu())


def _append_fidelity(
    rows: dict[str, list[Tensor]],
    explainer: Explainer,
    performer: Performer,
    parts: Tensor,
    ordinary: Tensor,
    targets: tuple[Tensor, ...],
    means: list[Tensor],
) -> None:
    truth = activated(performer, targets)
    silenced: dict[str, Silenced | None] = {
        "full": None,
        "parts_only": "ordinary",
        "ordinary_only": "interpretable",
    }
    for variant, silent in silenced.items():
        outputs = explainer.decode(parts, ordinary, silent)
        errors = [(u - v).square().flatten(1).sum(1) for u, v in zip(activated(performer, outputs), truth, strict=True)]
        rows.setdefault(f"error.{variant}", []).append(torch.stack(errors, 1).cpu())
        rows.setdefault(f"rebuilt.{variant}", []).append(performer.resume(outputs[-1], "last").cpu())
    norms = [(v - m).square().flatten(1).sum(1) for v, m in zip(truth, means, strict=True)]
    rows.setdefault("norm", []).append(torch.stack(norms, 1).cpu())


def activated(performer: Performer, targets: tuple[Tensor, ...]) -> list[Tensor]:
    """Targets behind their own activations."""
    return [performer.target_activation(i)(t.clone()) for i, t in enumerate(targets)]


@torch.no_grad()
def _target_means(performer: Performer, store: FeatureStore, batch_size: int) -> list[Tensor]:
    totals: list[Tensor] = []
    for _, features in store.batches(batch_size):
        sums = [t.sum(0).double() for t in activated(performer, features.targets)]
        totals = [a + b for a, b in zip(totals, sums, strict=True)] if totals else sums
    return [(t / len(store)).float() for t in totals]


def field_of(performer: Performer, maps: Tensor, tap: Tensor) -> ReceptiveField:
    """The tap's own field; on a coarser grid, one centred on the image."""
    if maps.shape[2:] == tap.shape[2:]:
        return performer.field
    stride = performer.field.stride * tap.shape[2] / maps.shape[2]
    start = (performer.input_size - 1) / 2 - stride * (maps.shape[2] - 1) / 2
    return ReceptiveField(start, stride, performer.field.size)
