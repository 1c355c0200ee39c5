"""Empirical receptive fields: how much a filter's map loses when a part of the image is covered."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


def occluder_corners(height: int, width: int, side: int, stride: int) -> Int[Tensor, "P 2"]:
    """Upper left corners of a square that slides over the image.

    Args:
        height: of the image, px.
        width: of the image, px.
        side: of the square, px, at most the image's sides.
        stride: between neighbouring places, px.

    Returns:
        (row, column) of every place, row by row.

    >>> occluder_corners(5, 4, 3, 2).tolist()
    [[0, 0], [2, 0]]
    """
    rows = torch.arange(0, height - side + 1, stride)
    columns = torch.arange(0, width - side + 1, stride)
    return torch.cartesian_prod(rows, columns)


def discrepancy_map(
    drop: Float[Tensor, "P"],
    corners: Int[Tensor, "P 2"],
    centres: Float[Tensor, "P 2"],
    side: int,
    stride: int,
    size: tuple[int, int],
    keep: int = 0,
) -> Float[Tensor, "H2 W2"]:
    """Losses of activation, at their offset from the unit that they are losses of.

    Each covered square adds ``max(drop, 0)`` to the pixels that it covers, on a canvas whose middle is the unit:
    ``canvas[v] = (stride / side)^2 sum_p max(drop_p, 0) [v + centre_p in square p]``. The factor makes the value the
    mean loss of the squares that cover a pixel, whatever the stride.

    Args:
        drop: response on the whole image less that on the covered one.
        corners: upper left corner of each square, px.
        centres: (row, column) that each square is seen from: where the filter's unit looks, px; rounded, and moved
            into the image where it lies outside.
        side: of the squares, px.
        stride: between neighbouring squares, px.
        size: height H and width W of the image, px.
        keep: take this many squares, those with the largest losses; 0 takes all.

    Returns:
        A canvas of (2H + 1, 2W + 1) px; pixel (H, W) is the unit.

    >>> one = torch.tensor([4.0]), torch.tensor([[1, 0]]), torch.tensor([[1.0, 1.0]])
    >>> discrepancy_map(*one, side=1, stride=1, size=(2, 2)).nonzero().tolist()
    [[2, 1]]

    Source: Zhou et al. 2015, "Object detectors emerge in deep scene CNNs", section 3.2, and the code released with
    Zhang et al. 2018.
    """
    height, width = size
    loss = drop.clamp(min=0)
    if 0 < keep < len(loss):
        order = loss.argsort(descending=True, stable=True)
        loss = torch.where(order.argsort() < keep, loss, 0)
    last = centres.new_tensor((height - 1, width - 1))
    middle = centres.clamp(min=0).minimum(last).round().long()
    top, left = (corners - middle + middle.new_tensor((height, width))).unbind(-1)
    columns = 2 * width + 2
    ends = [(top, left, 1), (top + side, left, -1), (top, left + side, -1), (top + side, left + side, 1)]
    place = torch.cat([row * columns + column for row, column, _ in ends])
    signed = torch.cat([sign * loss.double() for _, _, sign in ends])
    steps = signed.new_zeros((2 * height + 2) * columns).index_add(0, place, signed)
    canvas = steps.view(2 * height + 2, columns).cumsum(0).cumsum(1)[:-1, :-1]
    floor = 1e-9 * float(loss.sum())  # what is left of sums that cancel
    return (torch.where(canvas > floor, canvas, 0) * (stride / side) ** 2).to(drop.dtype)


def gaussian_smoothed(x: Float[Tensor, "H W"], sigma: float, width: int) -> Float[Tensor, "H W"]:
    """Smooth a map with a Gaussian that is cut off.

    Args:
        x: a map.
        sigma: standard deviation, px; 0 returns the map.
        width: of the kernel, px; an even one is made odd.

    Returns:
        The weighted means; beyond the edges the map is 0.

    >>> gaussian_smoothed(torch.ones(3, 3), 1e-3, 3)[1, 1].item()
    1.0
    """
    if sigma <= 0 or width < 2:
        return x
    half = width // 2
    steps = torch.arange(-half, half + 1, dtype=x.dtype, device=x.device)
    kernel = (-(steps**2) / (2 * sigma**2)).exp()
    kernel = kernel / kernel.sum()
    rows = functional.conv2d(x[None, None], kernel[None, None, :, None], padding=(half, 0))
    return functional.conv2d(rows, kernel[None, None, None], padding=(0, half))[0, 0]


def field_side(x: Float[Tensor, "H W"]) -> float:
    """Size of an empirical receptive field.

    ``sqrt(number of pixels with x >= max(x) / 2)``: the side of a square of the same area.

    Args:
        x: an averaged discrepancy map.

    Returns:
        The side, px; nan where nothing was lost anywhere.

    >>> field_side(torch.tensor([[0.0, 2.0, 2.0], [0.4, 1.0, 3.9]]))
    1.7320508075688772
    """
    largest = x.max()
    return math.sqrt(int((x >= largest / 2).sum())) if bool(largest > 0) else math.nan


def round_field(radius: float, size: tuple[int, int]) -> Float[Tensor, "H2 W2"]:
    """A disc in place of a measured receptive field (paper, footnote 4).

    Args:
        radius: of the disc, px.
        size: height H and width W of the image, px.

    Returns:
        A canvas of (2H + 1, 2W + 1) px, 1 within the disc around pixel (H, W) and 0 outside.

    >>> int(round_field(1.0, (3, 3)).sum())
    5
    """
    height, width = size
    rows = torch.arange(-height, height + 1)[:, None]
    columns = torch.arange(-width, width + 1)[None]
    return (rows**2 + columns**2 <= radius**2).float()


def active_units(x: Float[Tensor, "H W"], tau: float) -> Bool[Tensor, "H W"]:
    """Units that a picture of a map shows: ``x >= min(tau, max(x))`` and ``x > 0``.

    The released code then scales the units' values by ``1.5 / max(x)``, cuts them at 1 and sets those above tau to 1:
    every unit that is left has the weight 1, so that the values are not needed.

    Args:
        x: a map after its ReLU (and mask).
        tau: the filter's threshold.

    >>> active_units(torch.tensor([[0.0, 2.0, 3.0]]), 2.5).tolist()
    [[False, False, True]]
    >>> active_units(torch.tensor([[0.0, 2.0, 3.0]]), 9.0).tolist()
    [[False, False, True]]
    """
    return (x > 0) & (x >= x.max().clamp(max=tau))


def field_overlay(
    points: Float[Tensor, "A 2"], canvas: Float[Tensor, "H2 W2"], size: tuple[int, int]
) -> Float[Tensor, "H W"]:
    """Lay a receptive field on the image at every active unit.

    ``weight[v] = max_a canvas[v - points_a]``.

    Args:
        points: (row, column) of the active units' centres, px; rounded, and moved into the image.
        canvas: the field, as `discrepancy_map` and `round_field` make it.
        size: height H and width W of the image, px.

    Returns:
        The weight of each pixel; 0 everywhere without an active unit.

    >>> field_overlay(torch.tensor([[0.0, 1.0]]), round_field(0.5, (2, 3)), (2, 3)).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    height, width = size
    weight = canvas.new_zeros(height, width)
    for row, column in points.round().long().tolist():
        top, left = height - min(max(row, 0), height - 1), width - min(max(column, 0), width - 1)
        weight = weight.maximum(canvas[top : top + height, left : left + width])
    return weight


def overlay_region(weight: Float[Tensor, "H W"]) -> Bool[Tensor, "H W"]:
    """Pixels that a picture leaves bright: ``weight >= max(weight) / 2``, none where all are 0.

    >>> overlay_region(torch.tensor([[0.0, 0.4, 1.0, 0.5]])).tolist()
    [[False, False, True, True]]
    """
    return (weight > 0) & (weight >= weight.max() / 2)
