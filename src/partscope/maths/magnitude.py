"""Activation magnitude of a channel: what the norm layers divide by."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def magnitude(x: Float[Tensor, "N D H W"], counted: Bool[Tensor, "N"]) -> Float[Tensor, "D"]:
    """Average activation magnitude of every channel.

    ``alpha_k = E_x[sum_ij max(x_ijk, 0)]``, the expectation over the counted images.

    Args:
        x: maps.
        counted: images that count, as a rule those of the category.

    Returns:
        Sum of activations of a mean map, in units of x, with gradient; ``nan`` if no image counts.

    >>> x = torch.tensor([1.0, -1.0, 5.0]).reshape(3, 1, 1, 1)
    >>> magnitude(x, torch.tensor([True, True, False])).tolist()
    [0.5]

    Source: paper, section 3.1 (norm-layer) and App. H.
    """
    total = x.clamp(min=0).sum((2, 3))
    return torch.where(counted[:, None], total, 0.0).sum(0) / counted.sum()


def clamp_magnitude(alpha: Float[Tensor, "D"], floor: float = 1e-3) -> Float[Tensor, "D"]:
    """Magnitudes that are safe to divide by.

    ``max(alpha_k, floor * median(alpha))``, the lower median for an even number of channels; where the median
    is 0 the mean takes its place, and 1 where that is 0 too. A dead channel then stays near silent instead of
    being blown up.

    Args:
        alpha: magnitudes >= 0.
        floor: lowest magnitude, as a fraction of the median.

    Returns:
        Magnitudes > 0.

    >>> clamp_magnitude(torch.tensor([0.0, 2.0, 4.0]), floor=0.25).tolist()
    [0.5, 2.0, 4.0]
    """
    fixed = alpha.detach()
    typical = torch.where(fixed.median() > 0, fixed.median(), fixed.mean())
    return torch.maximum(alpha, floor * torch.where(typical > 0, typical, 1.0))


def normalise(x: Float[Tensor, "N D H W"], alpha: Float[Tensor, "D"]) -> Float[Tensor, "N D H W"]:
    """Maps whose channels all have the same mean magnitude.

    ``x_hat_ijk = x_ijk / alpha_k``.

    Args:
        x: maps.
        alpha: magnitudes > 0.

    Returns:
        Maps with mean sum 1 per channel over the images that alpha was measured on.

    >>> normalise(torch.full((1, 1, 1, 2), 3.0), torch.tensor([6.0])).flatten().tolist()
    [0.5, 0.5]

    Source: paper, section 3.1 (norm-layer).
    """
    return x / alpha[:, None, None]


def limit_magnitude(x: Float[Tensor, "N D H W"], most: float) -> Float[Tensor, "N D H W"]:
    """Normalised maps of which none counts for more than ``most`` mean maps.

    ``x_ijk min(1, most / sum_ij max(x_ijk, 0))``. Where alpha is a mean over a batch of n images, no map's sum can
    exceed n; where it is a running mean, a channel that is nearly always silent would be blown up on the image that
    it fires on.

    Args:
        x: normalised maps.
        most: largest sum of positive activations of a map, in means; above 0.

    Returns:
        Maps whose positive activations sum to ``most`` at most; those below it as they were.

    >>> limit_magnitude(torch.tensor([1.0, 3.0, 8.0, 8.0]).reshape(2, 1, 1, 2), most=4.0).flatten().tolist()
    [1.0, 3.0, 2.0, 2.0]
    """
    total = x.detach().clamp(min=0).sum((2, 3), keepdim=True)
    return x * (most / total.clamp(min=most))
