"""Where the units of a map lie in the image."""

from collections.abc import Iterable
from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from partscope.maths.location import unit_to_row_column


class ReceptiveField(NamedTuple):
    """Centres of a map's units along one axis of the image."""

    start: float
    """Centre of the first unit's receptive field, in px, 0-based; pixel centres lie at integers."""
    stride: float
    """Distance between neighbouring units' centres, in px."""
    size: float
    """Side of a receptive field, in px."""


_PIXEL = ReceptiveField(0.0, 1.0, 1.0)


def conv_chain_field(layers: Iterable[tuple[int, int, int]], before: ReceptiveField = _PIXEL) -> ReceptiveField:
    """Receptive field of a chain of convolutions and poolings, along one axis.

    Per layer ``start += ((kernel - 1) / 2 - padding) * stride_so_far``,
    ``size += (kernel - 1) * stride_so_far``, ``stride_so_far *= stride``.

    Args:
        layers: ``(kernel, stride, padding)`` of every layer in order; padding is the one before the map.
        before: field of the map that the chain takes in; the image's own pixels if it is not given.

    Returns:
        Start, stride and size in px, 0-based.

    >>> conv_chain_field([(11, 4, 2), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1)])
    ReceptiveField(start=15.0, stride=16.0, size=99.0)

    Source: code released with Zhang et al. 2018, "Interpretable CNNs" (1-based there).
    """
    start, spacing, size = before
    for kernel, stride, padding in layers:
        start += ((kernel - 1) / 2 - padding) * spacing
        size += (kernel - 1) * spacing
        spacing *= stride
    return ReceptiveField(start, spacing, size)


def unit_points(
    unit: Int[Tensor, "*lead"], width: int, field_row: ReceptiveField, field_column: ReceptiveField
) -> Float[Tensor, "*lead 2"]:
    """Image points of units: the centres of their receptive fields.

    ``point = start + stride * (row, column)``.

    Args:
        unit: row-major index, 0-based.
        width: number of columns of the map.
        field_row: receptive field along rows.
        field_column: receptive field along columns.

    Returns:
        ``(row, column)`` in px, 0-based, float32.

    >>> import torch
    >>> field = ReceptiveField(start=15.0, stride=16.0, size=131.0)
    >>> unit_points(torch.tensor(14), 13, field, field).tolist()
    [31.0, 31.0]
    """
    position = unit_to_row_column(unit, width)
    start = position.new_tensor((field_row.start, field_column.start))
    stride = position.new_tensor((field_row.stride, field_column.stride))
    return start + stride * position
