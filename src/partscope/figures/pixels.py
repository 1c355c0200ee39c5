"""What stands on a tile: an image with a region left bright, or under a heat map."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib import colormaps
from numpy.typing import NDArray
from torch import Tensor

from partscope.maths import ReceptiveField

DIMMED = 0.36
"""Brightness of an image outside the region shown."""


def picture_of(image: Float[Tensor, "3 h w"]) -> NDArray[np.float32]:
    """An image as a picture (H, W, 3) in [0, 1]."""
    pixels: NDArray[np.float32] = image.permute(1, 2, 0).clamp(0, 1).float().cpu().numpy()
    return pixels


def dimmed_outside(image: Float[Tensor, "3 h w"], region: Bool[Tensor, "h w"]) -> NDArray[np.float32]:
    """The image, darkened outside a region."""
    return picture_of(torch.where(region, image, DIMMED * image))


def spread_map(x: Float[Tensor, "u v"], field: ReceptiveField, size: tuple[int, int]) -> Float[Tensor, "h w"]:
    """A map on the image's pixels: linear between the units' centres, constant beyond the outermost.

    Args:
        x: the map.
        field: centres of its units along either axis.
        size: height and width of the image, px.

    >>> spread_map(torch.tensor([[0.0, 2.0]]), ReceptiveField(0.0, 2.0, 1.0), (1, 4)).tolist()
    [[0.0, 1.0, 2.0, 2.0]]
    """
    rows, columns = (_weights(length, units, field) for length, units in zip(size, x.shape, strict=True))
    return rows.to(x.dtype) @ x @ columns.to(x.dtype).T


def _weights(length: int, units: int, field: ReceptiveField) -> Tensor:
    place = ((torch.arange(length) - field.start) / field.stride).clamp(0, units - 1)
    return (1 - (place[:, None] - torch.arange(units)).abs()).clamp(min=0)


def heated(image: Float[Tensor, "3 h w"], weight: Float[Tensor, "h w"]) -> NDArray[np.float32]:
    """The image in grey under a heat map, dark to bright with the weight's share of its maximum.

    Args:
        image: in [0, 1].
        weight: >= 0.
    """
    largest = float(weight.max())
    share = (weight / largest if largest > 0 else weight).clamp(0, 1).cpu().numpy()
    grey = picture_of(image).mean(-1, keepdims=True).repeat(3, -1)
    opacity = 0.85 * share[..., None] ** 0.7
    colour = colormaps["inferno"](0.15 + 0.8 * share)[..., :3]
    mixed: NDArray[np.float32] = (0.55 * grey * (1 - opacity) + colour * opacity).astype(np.float32)
    return mixed
