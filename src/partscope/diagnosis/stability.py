"""Location instability beside its nulls, and the diversity that it must be read with."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from partscope.diagnosis.number import Number, interval, mean_number
from partscope.diagnosis.observe import Peaks
from partscope.diagnosis.parts import Assignment
from partscope.maths import (
    effective_locations,
    location_deviation,
    null_best_fixed,
    null_center,
    null_random,
    peak_spread,
)


class Truth(NamedTuple):
    """Landmarks of the test images; they evaluate and never train."""

    names: tuple[str, ...]
    landmarks: Float[Tensor, "n k 2"]
    present: Bool[Tensor, "n k"]

    def only(self, names: tuple[str, ...]) -> "Truth":
        """The same with some of the landmarks."""
        index = [self.names.index(n) for n in names]
        return Truth(names, self.landmarks[:, index], self.present[:, index])


def per_filter(deviation: Float[Tensor, "*b f k"]) -> Float[Tensor, "*b f"]:
    """Mean deviation over the landmarks that a filter's category has; nan where it has none."""
    return deviation.nanmean(-1)


def instability(
    peaks: Peaks, valid: Bool[Tensor, "n f"], truth: Truth, diagonal: float, top: int | None, counts: Tensor
) -> tuple[Number, Float[Tensor, " f"]]:
    """Location instability of a layer (paper, section 4) with its interval, and each filter's own.

    Args:
        peaks: the layer's peaks.
        valid: images that speak for each filter.
        truth: the landmarks.
        diagonal: the crop's, pixels.
        top: strongest images per filter and landmark (the released protocol); None takes all.
        counts: bootstrap multiplicities.
    """

    def of(count: Tensor | None) -> Tensor:
        return per_filter(
            location_deviation(
                peaks.points,
                peaks.score,
                valid,
                truth.landmarks,
                truth.present,
                diagonal=diagonal,
                top=top,
                count=count,
            )
        )

    single = of(None)
    filters = int(torch.isfinite(single).sum())
    value = float(single.nanmean()) if filters else float("nan")
    images = int((valid.any(1) & truth.present.any(1)).sum())
    return interval(value, of(counts).nanmean(1), images, least=0.0), single


def nulls(
    truth: Truth,
    category: Int[Tensor, " n"],
    filters_of: Int[Tensor, " c"],
    grid: Float[Tensor, "u 2"],
    size: tuple[int, int],
    top: int | None,
    counts: Tensor,
) -> dict[str, Number]:
    """Location instability of predictors that never look at the image, by the same protocol.

    They fire on images drawn at random instead of the strongest ones. Categories count by the explainer's
    number of filters in each.

    Args:
        truth: the landmarks.
        category: category of each image.
        filters_of: the explainer's filters per category.
        grid: image points of all units.
        size: height and width of the crop, pixels.
        top: as for :func:`instability`.
        counts: bootstrap multiplicities.
    """
    shares = (filters_of / filters_of.sum().clamp(min=1)).double()
    totals: dict[str, tuple[Tensor, Tensor]] = {}
    for c in filters_of.nonzero().flatten().tolist():
        rows = (category == c).nonzero().flatten()
        shown = truth.present[rows].sum(0) >= 2
        landmarks, present = truth.landmarks[rows][:, shown], truth.present[rows][:, shown]
        for name, null in (
            ("null_center", None),
            ("null_random", null_random),
            ("null_best_fixed", null_best_fixed),
        ):

            def of(count: Tensor | None, null: Any = null, seen: Any = (landmarks, present)) -> Tensor:
                generator = torch.Generator().manual_seed(0)
                if null is None:
                    return null_center(*seen, size=size, generator=generator, top=top, count=count)
                found: Tensor = null(*seen, grid, size=size, generator=generator, top=top, count=count)
                return found

            value, replicates = totals.get(name, (torch.zeros(()), torch.zeros(())))
            totals[name] = (value + shares[c] * of(None), replicates + shares[c] * of(counts[:, rows]))
    owned = (category[:, None] == filters_of.nonzero().flatten()[None]).any(1)
    n = int((owned & truth.present.any(1)).sum())
    return {name: interval(float(v), r.reshape(-1), n, least=0.0) for name, (v, r) in totals.items()}


def diversity(peaks: Peaks, assignment: Assignment, diagonal: float, counts: Int[Tensor, "b n"]) -> dict[str, Number]:
    """How far apart a layer's parts lie within one image, among the filters of the image's category."""
    spread = peak_spread(peaks.points, assignment.valid) / diagonal
    places = effective_locations(peaks.unit, assignment.valid, peaks.units)
    return {
        "spread": mean_number(spread, counts, least=0.0),
        "effective_locations": mean_number(places, counts, least=0.0),
    }
