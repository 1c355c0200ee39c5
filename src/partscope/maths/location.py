"""Where a map peaks: the inferred location of a filter's part."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class PartLocation(NamedTuple):
    """The strongest unit of every map."""

    unit: Int[Tensor, "*lead"]
    """Row-major index ``row * width + column`` of the strongest unit, the first one among equals."""
    peak: Float[Tensor, "*lead"]
    """Its activation."""


def part_location(x: Float[Tensor, "*lead H W"]) -> PartLocation:
    """Strongest unit of every map.

    ``mu_hat = argmax_ij x_ij``. Equal units: the first in row-major order. A silent map yields unit 0, which
    is no location: leave maps with ``peak <= 0`` out of every metric.

    Args:
        x: maps.

    Returns:
        Unit and activation of the peak, one per map.

    >>> unit, peak = part_location(torch.tensor([[0.0, 2.0, 1.0], [0.0, 0.0, 2.0]]))
    >>> unit.item(), peak.item()
    (1, 2.0)

    Source: paper, section 3.1 (mask layer).
    """
    flat = x.flatten(-2)
    unit = flat.argmax(-1)
    return PartLocation(unit=unit, peak=flat.gather(-1, unit[..., None])[..., 0])


def unit_to_row_column(unit: Int[Tensor, "*lead"], width: int) -> Float[Tensor, "*lead 2"]:
    """Row and column of a row-major unit index.

    Args:
        unit: row-major index, 0-based.
        width: number of columns of the map.

    Returns:
        ``(row, column)`` in units, 0-based, float32.

    >>> unit_to_row_column(torch.tensor(11), 7).tolist()
    [1.0, 4.0]
    """
    return torch.stack((unit // width, unit % width), -1).to(torch.float32)
