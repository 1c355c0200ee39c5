"""Part templates: the shape that a filter's activation is expected to have around a part."""

import torch
from jaxtyping import Float
from torch import Tensor

from partscope.errors import PerformerError


def template_scale(n: int) -> float:
    """Scale tau that turns a template of height 1 into the template of the filter loss.

    ``tau = 0.5 / n^2``, so that ``tr(x . T)`` is at most half the mean activation.

    Args:
        n: side of the map, in units, n >= 1.

    Returns:
        tau, without unit.

    >>> template_scale(5)
    0.02

    Source: Zhang et al. 2018, "Interpretable CNNs", implementation details.
    """
    return 0.5 / (n * n)


def part_templates(
    n: int,
    *,
    beta: float = 4.0,
    low: float = -1.0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> Float[Tensor, "units n n"]:
    """Templates of every part location, of height 1 at their own unit and not scaled by tau.

    ``m_mu[i, j] = max(1 - beta * (|i - mu_row| + |j - mu_column|) / n, low)``. Row ``u`` of the result is
    the template of the unit with row-major index ``u = mu_row * n + mu_column``.

    Args:
        n: side of the map, in units, n >= 1.
        beta: steepness; the template falls by ``beta / n`` per unit.
        low: lowest value: -1 in the filter loss (off-peak activation is punished), 0 in the mask.
        dtype: floating-point type of the result.
        device: where the result lies.

    Returns:
        One template per unit.

    >>> part_templates(4)[1].tolist()[0]
    [0.0, 1.0, 0.0, -1.0]

    Source: paper, section 3.1 (mask layer); Zhang et al. 2018, "Interpretable CNNs", section 3.
    """
    position = torch.arange(n, dtype=dtype, device=device)
    offset = (position[:, None] - position[None, :]).abs()
    distance = offset[:, None, :, None] + offset[None, :, None, :]
    return (1 - beta * distance / n).clamp(min=low).reshape(n * n, n, n)


def template_side(x: Float[Tensor, "*lead H W"]) -> int:
    """Side of square maps, the only ones for which templates are defined.

    Args:
        x: maps.

    Returns:
        The side, in units.

    Raises:
        PerformerError: the maps are not square.

    >>> template_side(torch.zeros(2, 3, 7, 7))
    7
    """
    height, width = x.shape[-2:]
    if height != width:
        raise PerformerError(
            "placing part templates on a feature map",
            f"maps of {height} x {width} units",
            "tap a layer whose maps are square: templates, masks and the filter loss need them",
        )
    return int(height)
