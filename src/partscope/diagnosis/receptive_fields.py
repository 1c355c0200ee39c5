"""Empirical receptive fields of filters, after Zhou et al. 2015: cover the image bit by bit and see what is lost."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from partscope.diagnosis.layers import Layer
from partscope.figure_settings import REFERENCE_PX, FieldSettings
from partscope.maths import discrepancy_map, field_side, gaussian_smoothed, occluder_corners, part_location, unit_points
from partscope.performers import Performer, tap_of

BATCH = 64
CELLS = 65
"""Cells along a side of a field that is kept small; the unit is in the middle one."""


class EmpiricalField(NamedTuple):
    """What one filter looks at, seen from its unit."""

    shape: Float[Tensor, "h2 w2"]
    """(2H + 1, 2W + 1) smoothed mean of the kept losses, its maximum 1; the unit is the middle pixel."""
    average: Float[Tensor, "h2 w2"]
    """The mean of all losses, not smoothed."""
    side: float
    """Side of a square of the area where `average` is at least half its maximum, px; nan if nothing was lost."""
    images: int
    """Images that it rests on."""


class Covering(NamedTuple):
    """A covering square, scaled to the crop."""

    side: int
    stride: int
    corners: Tensor


def scaled(length: float | int, size: int) -> float:
    """A length given for a 224 px crop, on a crop of another size.

    >>> scaled(33, 96)
    14.142857142857142
    """
    return length * size / REFERENCE_PX


def covering(settings: FieldSettings, size: int) -> Covering:
    """The square's side, stride and places on a crop."""
    side = max(1, min(size, round(scaled(settings.side, size))))
    stride = max(1, round(scaled(settings.stride, size)))
    return Covering(side, stride, occluder_corners(size, size, side, stride))


def measure_fields(
    performer: Performer,
    layer: Layer,
    wanted: Sequence[tuple[int, Sequence[int]]],
    images: Callable[[int], Tensor],
    settings: FieldSettings,
) -> Iterator[int | list[EmpiricalField]]:
    """Measures the receptive fields of some filters of a layer.

    A filter's response to an image is the sum of its map (after ReLU and mask). A square of the mean colour slides
    over each image; what the response loses at each place is moved to where the place lies from the filter's peak,
    and averaged over the filter's images. An image that serves several filters is covered once.

    Args:
        performer: the network.
        layer: whose filters are measured.
        wanted: (filter, its images) pairs.
        images: returns image i, (3, S, S) in [0, 1].
        settings: of the measurement.

    Yields:
        Covered images so far, of `fields_cost`, and last the fields in the order of `wanted`.
    """
    size = performer.input_size
    cover = covering(settings, size)
    used = sorted({i for _, chosen in wanted for i in chosen})
    zero = torch.zeros(2 * size + 1, 2 * size + 1)
    kept, whole = [zero] * len(wanted), [zero] * len(wanted)
    for k, i in enumerate(used):
        mine = [n for n, (_, chosen) in enumerate(wanted) if i in chosen]
        filters = torch.tensor([wanted[n][0] for n in mine])
        plain, peak, covered, peaks = [torch.empty(0)] * 4
        for event in _responses(performer, layer, images(i), filters, cover, settings, i):
            if isinstance(event, int):
                yield k * len(cover.corners) + event
            else:
                plain, peak, covered, peaks = event
        for column, n in enumerate(mine):
            drop = plain[column] - covered[:, column]
            fixed = peak[column].expand(len(drop), 2)
            moving = fixed if settings.centre == "image" else peaks[:, column]
            place = (cover.corners, fixed, cover.side, cover.stride, (size, size))
            whole[n] = whole[n] + discrepancy_map(drop, *place)
            kept[n] = kept[n] + discrepancy_map(drop, cover.corners, moving, *place[2:], settings.keep)
    yield [_field(kept[n], whole[n], len(wanted[n][1]), settings, size) for n in range(len(wanted))]


def fields_cost(settings: FieldSettings, size: int, wanted: Sequence[tuple[int, Sequence[int]]]) -> int:
    """How many covered images `measure_fields` runs."""
    return len({i for _, chosen in wanted for i in chosen}) * len(covering(settings, size).corners)


def cell_side(size: int) -> int:
    """Side of a cell of `in_cells`, px, for crops of a size: odd, so that the unit is in the middle of its cell."""
    return -(-(2 * size + 1) // CELLS) // 2 * 2 + 1


def in_cells(average: Float[Tensor, "h2 w2"]) -> Float[Tensor, "c c"]:
    """Means of an averaged field over square cells, scaled to a maximum of 1; beyond its edges the field is 0.

    >>> in_cells(torch.eye(129)).shape, cell_side(64)
    (torch.Size([65, 65]), 3)
    """
    side = cell_side(len(average) // 2)
    beyond = (side * CELLS - len(average)) // 2
    cells = functional.avg_pool2d(functional.pad(average[None, None], (beyond,) * 4), side)[0, 0]
    return cells / cells.max() if bool(cells.max() > 0) else cells


def _field(kept: Tensor, whole: Tensor, count: int, settings: FieldSettings, size: int) -> EmpiricalField:
    smooth = gaussian_smoothed(kept, scaled(settings.sigma, size), round(scaled(settings.width, size)))
    largest = float(smooth.max())
    average = whole / max(count, 1)
    return EmpiricalField(smooth / largest if largest > 0 else smooth, average, field_side(average), count)


def _responses(
    performer: Performer,
    layer: Layer,
    image: Tensor,
    filters: Tensor,
    cover: Covering,
    settings: FieldSettings,
    seed: int,
) -> Iterator[int | tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Responses and peak points of the whole image, then of the covered ones: (F,), (F, 2), (P, F), (P, F, 2)."""
    rows = torch.arange(image.shape[1])
    filling = _filling(performer, image, settings, seed)
    sums, points = [], []
    starts = [-1, *range(0, len(cover.corners), BATCH)]
    for start in starts:
        if start < 0:
            batch = image[None]
        else:
            top, left = cover.corners[start : start + BATCH].unbind(-1)
            down = (rows >= top[:, None]) & (rows < top[:, None] + cover.side)
            across = (rows >= left[:, None]) & (rows < left[:, None] + cover.side)
            batch = torch.where((down[:, :, None] & across[:, None])[:, None], filling, image)
        maps = layer.maps(tap_of(performer, batch))[:, filters.to(performer.device)]
        unit = part_location(maps).unit
        sums.append(maps.sum((2, 3)).cpu())
        points.append(unit_points(unit, maps.shape[3], layer.field, layer.field).cpu())
        if start >= 0:
            yield start + len(batch)
    yield sums[0][0], points[0][0], torch.cat(sums[1:]), torch.cat(points[1:])


def _filling(performer: Performer, image: Tensor, settings: FieldSettings, seed: int) -> Tensor:
    if settings.fill == "random":
        return torch.rand(image.shape, generator=torch.Generator().manual_seed(seed))
    mean = performer.mean
    if isinstance(mean, Tensor):
        return mean.clamp(0, 1).expand_as(image)
    return torch.tensor(mean or (0.5,) * len(image)).clamp(0, 1)[:, None, None].expand_as(image)
