"""The share p of the interpretable track."""

import torch
from jaxtyping import Float
from torch import Tensor


def mixing_weight(w_p: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Share of the interpretable track, ``p = sigmoid(w_p)``.

    Args:
        w_p: the learned parameter, any real number.

    Returns:
        p in (0, 1).

    >>> mixing_weight(torch.tensor(0.0)).item()
    0.5

    Source: paper, section 3.1.
    """
    return torch.sigmoid(w_p)


def mix(
    p: Float[Tensor, ""] | float,
    interpretable: Float[Tensor, "#N D H W"],
    ordinary: Float[Tensor, "#N D H W"],
) -> Float[Tensor, "_ D H W"]:
    """The encoder's output.

    ``x_enc = p x_interp + (1 - p) x_ordin``. If both tracks have passed their norm layer,
    ``p = E[sum p x_interp] / E[sum x_enc]`` for every channel.

    Args:
        p: share of the interpretable track, in [0, 1].
        interpretable: normalised maps of the interpretable track.
        ordinary: normalised maps of the ordinary track.

    Returns:
        The mixed maps.

    >>> mix(0.75, torch.full((1, 1, 1, 1), 4.0), torch.zeros(1, 1, 1, 1)).item()
    3.0

    Source: paper, section 3.1.
    """
    return p * interpretable + (1 - p) * ordinary


def mixing_loss(w_p: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Price of using the ordinary track, ``-log p = -log sigmoid(w_p)``.

    Stable for every w_p; its gradient is ``-(1 - p)``.

    Args:
        w_p: the learned parameter, any real number.

    Returns:
        The price in nats, >= 0.

    >>> round(mixing_loss(torch.tensor(0.0)).item(), 6), mixing_loss(torch.tensor(-200.0)).item()
    (0.693147, 200.0)

    Source: paper, Eq. 1.
    """
    return -torch.nn.functional.logsigmoid(w_p)


def blend(
    p: Float[Tensor, ""] | float,
    x_f: Float[Tensor, "N D H W"],
    x_ordinary: Float[Tensor, "N D H W"],
) -> Float[Tensor, "N D H W"]:
    """Map on which the second interpretable layer receives its filter loss.

    ``x_tilde_f = p x_f + (1 - p) x_ordin,f``, where no gradient reaches the ordinary map.

    Args:
        p: share of the interpretable track, in [0, 1].
        x_f: maps of the interpretable filters.
        x_ordinary: maps of the ordinary track, same channel by channel, a constant.

    Returns:
        The blended maps.

    >>> blend(0.25, torch.full((1, 1, 1, 1), 4.0), torch.full((1, 1, 1, 1), 8.0)).item()
    7.0

    Source: paper, App. H.
    """
    return p * x_f + (1 - p) * x_ordinary.detach()
