"""The training objective: reconstruction, and the strength of the filter loss beside it."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from partscope.errors import SettingsError


def positive_norm(target: Float[Tensor, "N *feature"]) -> Float[Tensor, "N"]:
    """Norm of the active part of a feature, ``||max(x*, 0)||``.

    Args:
        target: a performer feature, one per image.

    Returns:
        Euclidean norm per image.

    >>> positive_norm(torch.tensor([[3.0, -9.0, 4.0]])).tolist()
    [5.0]

    Source: paper, section 4 (definition of lambda_(l)).
    """
    norm: Tensor = torch.linalg.vector_norm(target.clamp(min=0).flatten(1), dim=1)
    return norm


def reconstruction_scale(mean_norm: float, power: int) -> float:
    """Weight of one target's reconstruction error, ``1 / E[||max(x*, 0)||]^power``.

    Power 1 is the paper's (its constant 5e4 divided out of the whole objective); power 2 makes the error
    relative, hence free of the performer's scale.

    Args:
        mean_norm: mean of :func:`positive_norm` over images, > 0.
        power: 1 or 2.

    Returns:
        The weight.

    Raises:
        SettingsError: the power is neither 1 nor 2, or the mean norm is not positive and finite.

    >>> reconstruction_scale(4.0, 1), reconstruction_scale(4.0, 2)
    (0.25, 0.0625)

    Source: paper, section 4 (definition of lambda_(l)).
    """
    doing = "scaling the reconstruction loss"
    if power not in (1, 2):
        raise SettingsError(doing, f"power {power}", "use 1 (the paper's norm) or 2 (the squared norm)")
    if not (math.isfinite(mean_norm) and mean_norm > 0):
        raise SettingsError(
            doing,
            f"a mean target norm of {mean_norm}",
            "choose a target that is active on the training images",
        )
    return 1 / mean_norm**power


def reconstruction_loss(
    outputs: Sequence[Float[Tensor, "N ..."]],
    targets: Sequence[Float[Tensor, "N ..."]],
    scales: Sequence[float],
) -> Float[Tensor, ""]:
    """Reconstruction loss, mean over images.

    ``E_images[sum_l lambda_(l) ||x_(l) - x*_(l)||^2]``.

    Args:
        outputs: decoder features, one tensor per target.
        targets: performer features of the same shapes.
        scales: lambda_(l), one per target.

    Returns:
        The loss, without unit for scales of power 2.

    >>> reconstruction_loss([torch.tensor([[1.0, 2.0]])], [torch.tensor([[0.0, 0.0]])], [0.5]).item()
    2.5

    Source: paper, Eq. 1.
    """
    errors = [
        scale * (output - target).square().flatten(1).sum(1).mean()
        for output, target, scale in zip(outputs, targets, scales, strict=True)
    ]
    return torch.stack(errors).sum()


def map_gradient_norm(g: Float[Tensor, "N D H W"]) -> Float[Tensor, "D"]:
    """Mean size of a gradient with respect to a filter's map.

    ``E_x[||g||]``, the Frobenius norm per image, averaged over images.

    Args:
        g: gradient of a loss with respect to the maps.

    Returns:
        Mean norm per filter.

    >>> map_gradient_norm(torch.tensor([3.0, 4.0, 0.0, 0.0]).reshape(2, 1, 2, 1)).tolist()
    [2.5]

    Source: paper, App. H (definition of lambda_f).
    """
    norm: Tensor = torch.linalg.vector_norm(g, dim=(2, 3))
    return norm.mean(0)


def paper_strength(epoch: int, constant: float = 300.0) -> float:
    """Strength of the filter loss in the paper's schedule, ``1 / (300 N)`` in epoch N.

    Args:
        epoch: number of the epoch, from 1.
        constant: the paper's 300.

    Returns:
        Norm of the filter-loss gradient as a fraction of the reconstruction gradient's.

    Raises:
        SettingsError: the epoch is below 1.

    >>> paper_strength(2) == 1 / 600
    True

    Source: paper, App. H.
    """
    if epoch < 1:
        raise SettingsError(
            "computing the strength of the filter loss",
            f"epoch {epoch}",
            "count epochs from 1: the strength is 1 / (300 * epoch)",
        )
    return 1 / (constant * epoch)


def filter_strength(
    norm_rec: Float[Tensor, "D"], norm_filter: Float[Tensor, "D"], strength: float
) -> Float[Tensor, "D"]:
    """Factor of every filter's loss gradient.

    ``lambda_f = strength * E||dL_rec/dx_f|| / E||dLoss_f/dx_f||``, a constant without gradient; 0 for a
    filter without a filter-loss gradient.

    Args:
        norm_rec: mean norm of the reconstruction gradient.
        norm_filter: mean norm of the filter-loss gradient.
        strength: wanted ratio of the two, e.g. :func:`paper_strength`.

    Returns:
        lambda_f per filter.

    >>> round(filter_strength(torch.tensor([6.0]), torch.tensor([0.001224533]), 1 / 600).item(), 4)
    8.1664

    Source: paper, App. H.
    """
    tiny = torch.finfo(norm_filter.dtype).tiny
    ratio = norm_rec.detach() / norm_filter.detach().clamp(min=tiny)
    return torch.where(norm_filter > tiny, strength * ratio, 0.0)
