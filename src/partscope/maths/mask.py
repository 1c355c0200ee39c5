"""The mask layer: keep what lies around the peak, remove the rest."""

from jaxtyping import Float
from torch import Tensor

from partscope.maths.location import part_location
from partscope.maths.template import part_templates, template_side


def part_mask(x: Float[Tensor, "N D H W"]) -> Float[Tensor, "N D H W"]:
    """Mask of every map: the template at its own peak, cut off at zero.

    ``mask = max(m_mu_hat, 0)``. Its height is 1 at the peak: the scale tau of the filter loss has no place
    here. The mask is a constant: no gradient passes through the choice of the peak.

    Args:
        x: maps after their ReLU; square.

    Returns:
        Masks in [0, 1].

    Raises:
        PerformerError: the maps are not square.

    >>> import torch
    >>> part_mask(torch.eye(4)[None, None])[0, 0].tolist()[0]
    [1.0, 0.0, 0.0, 0.0]

    Source: paper, section 3.1 (mask layer).
    """
    n = template_side(x)
    templates = part_templates(n, low=0.0, dtype=x.dtype, device=x.device)
    return templates[part_location(x.detach()).unit]


def masked(x: Float[Tensor, "N D H W"]) -> Float[Tensor, "N D H W"]:
    """Maps times their masks; the mask is a constant in the backward pass.

    ``x_masked = x o mask``, hence ``dL/dx = mask o dL/dx_masked``.

    Args:
        x: maps after their ReLU; square.

    Returns:
        Maps with a single activation peak each.

    Raises:
        PerformerError: the maps are not square.

    >>> import torch
    >>> masked(3 * torch.eye(4)[None, None])[0, 0].diagonal().tolist()
    [3.0, 0.0, 0.0, 0.0]

    Source: paper, section 3.1 (mask layer).
    """
    return x * part_mask(x)
