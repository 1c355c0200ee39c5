"""Location instability beside its nulls, and the diversity that it must be read with."""

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from partscope.diagnosis.number import Number, interval, mean_number
from partscope.diagnosis.observe import Peaks
from partscope.diagnosis.parts import Assignment
from partscope.errors import SettingsError
from partscope.maths import (
    effective_locations,
    location_instability,
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
        """The same with some of the landmarks.

        Raises:
            SettingsError: there is none of a name.
        """
        check_landmarks(names, self.names)
        index = [self.names.index(n) for n in names]
        return Truth(names, self.landmarks[:, index], self.present[:, index])


def check_landmarks(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Checks that the images carry the landmarks asked for.

    Raises:
        SettingsError: they do not; the nearest is named.
    """
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.0)
            raise SettingsError(
                "choosing the landmarks of the location instability",
                f"there is no landmark '{name}'",
                f"did you mean '{near[0]}'? The images carry {', '.join(known)}"
                if near
                else "leave --diagnose.landmarks empty: the images carry none",
            )


class Steadiness(NamedTuple):
    """Location instability of a layer."""

    number: Number
    single: Float[Tensor, " f"]
    """Each filter's own."""
    replicates: Float[Tensor, " b"]
    """The same on resampled images: layers of the same images are compared resample by resample."""


def instability(
    peaks: Peaks, valid: Bool[Tensor, "n f"], truth: Truth, diagonal: float, top: int | None, counts: Tensor
) -> Steadiness:
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
        return location_instability(
            peaks.points, peaks.score, valid, truth.landmarks, truth.present, diagonal=diagonal, top=top, count=count
        )

    single = of(None)
    filters = int(torch.isfinite(single).sum())
    value = float(single.nanmean()) if filters else float("nan")
    images = int((valid.any(1) & truth.present.any(1)).sum())
    replicates = of(counts).nanmean(1)
    return Steadiness(interval(value, replicates, images, least=0.0), single, replicates)


def less(first: Steadiness, second: Steadiness) -> Number:
    """The first layer's instability less the second's, on the same images and resamples."""
    n = min(first.number.n, second.number.n)
    return interval(first.number.value - second.number.value, first.replicates - second.replicates, n)


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
    number of filters in each; one without landmarks does not count, and without any the numbers are nan.

    Args:
        truth: the landmarks.
        category: category of each image.
        filters_of: the explainer's filters per category.
        grid: image points of all units; the best fixed point is one of them or the crop's centre.
        size: height and width of the crop, pixels.
        top: as for :func:`instability`.
        counts: bootstrap multiplicities.
    """
    images_of = torch.stack([truth.present[category == c].sum(0) for c in range(len(filters_of))])
    filters_of = filters_of * (images_of >= 2).any(1)
    shares = (filters_of / filters_of.sum().clamp(min=1)).double()
    centre = torch.tensor([[(size[0] - 1) / 2, (size[1] - 1) / 2]])
    nothing = torch.tensor(torch.nan if int(filters_of.sum()) == 0 else 0.0)
    totals = dict.fromkeys(("null_center", "null_random", "null_best_fixed"), (nothing, nothing))
    for c in filters_of.nonzero().flatten().tolist():
        rows = (category == c).nonzero().flatten()
        shown = images_of[c] >= 2
        landmarks, present = truth.landmarks[rows][:, shown], truth.present[rows][:, shown]
        for name, null, points in (
            ("null_center", null_center, ()),
            ("null_random", null_random, (grid,)),
            ("null_best_fixed", null_best_fixed, (torch.cat([grid, centre]),)),
        ):

            def of(count: Tensor | None, null: Any = null, seen: Any = (landmarks, present, *points)) -> Tensor:
                generator = torch.Generator().manual_seed(0)
                found: Tensor = null(*seen, size=size, generator=generator, top=top, count=count)
                return found

            value, replicates = totals[name]
            totals[name] = (value + shares[c] * of(None), replicates + shares[c] * of(counts[:, rows]))
    owned = (category[:, None] == filters_of.nonzero().flatten()[None]).any(1)
    n = int((owned & truth.present.any(1)).sum())
    return {name: interval(float(v), r.reshape(-1), n, least=0.0) for name, (v, r) in totals.items()}


def diversity(peaks: Peaks, assignment: Assignment, diagonal: float, counts: Int[Tensor, "b n"]) -> dict[str, Number]:
    """How far apart a layer's parts lie within one image, among the filters of the image's category."""
    several = assignment.valid.sum(1) > 1  # one peak has no spread
    spread = (peak_spread(peaks.points, assignment.valid) / diagonal).where(several, torch.nan)
    places = effective_locations(peaks.unit, assignment.valid, peaks.units)
    return {
        "spread": mean_number(spread, counts, least=0.0),
        "effective_locations": mean_number(places, counts, least=0.0),
    }
