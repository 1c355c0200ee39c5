"""Part locations chosen together: a filter leaves a crowded place where its map allows it."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from partscope.maths.location import part_location
from partscope.maths.template import part_templates, template_side


def uncrowded_location(
    x: Float[Tensor, "M D H W"], positive: Bool[Tensor, "M D"], discount: float
) -> Int[Tensor, "M D"]:
    """Unit that each map's target template stands at, other filters' peaks discounted.

    ``argmax_u x_f(u) / (1 + discount * c(u))``, ``c(u)`` the crowd of the other positive filters of the image at
    u in units of what they would have spread evenly: ``c(u) = sum_{f' != f} max(m_mu_f', 0)(u)`` over its mean.
    A discount of 0 is the map's own peak.

    Args:
        x: maps after their ReLU, before their mask; square.
        positive: does the image belong to the filter's category? Others crowd nobody.
        discount: strength, >= 0.

    Returns:
        Row-major unit per map.

    >>> x = torch.zeros(1, 3, 4, 4)
    >>> x[0, :, 0, 0] = 2
    >>> x[0, 2, 3, 3] = 1.5
    >>> uncrowded_location(x, torch.ones(1, 3, dtype=torch.bool), 1.0).tolist()
    [[0, 0, 15]]
    """
    x = x.detach()
    n = template_side(x)
    location = part_location(x)
    if discount == 0:
        return location.unit
    window = part_templates(n, low=0.0, dtype=x.dtype, device=x.device).flatten(1)
    live = (positive & (location.peak > 0)).to(x.dtype)
    at = torch.zeros(len(x), n * n, dtype=x.dtype, device=x.device).scatter_add_(1, location.unit, live)
    crowd = (at @ window)[:, None] - window[location.unit] * live[..., None]
    crowd = crowd / crowd.mean(-1, keepdim=True).clamp(min=1e-6)
    return (x.flatten(2) / (1 + discount * crowd)).argmax(-1)
