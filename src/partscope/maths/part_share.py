"""How much of a network's decision rests on a few places of the image, as parts do, and how much on all of it.

Two images that the network answers differently are cut and pasted at the tap: some units of one, all others of the
other. What a set of units *moves* of the decision is the truth about them, whatever a gradient says.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


def smoothed(evidence: Float[Tensor, "N H W"]) -> Float[Tensor, "N H W"]:
    """Mean of every unit and its neighbours, 3 x 3 units; at the border of those that exist.

    Parts are wider than a unit, and single units are noisy.

    >>> smoothed(torch.tensor([[[9.0, 0.0], [0.0, 0.0]]]))[0].tolist()
    [[2.25, 2.25], [2.25, 2.25]]
    """
    return functional.avg_pool2d(evidence[:, None], 3, 1, 1, count_include_pad=False)[:, 0]


def ranked_band(evidence: Float[Tensor, "N H W"], start: float, stop: float) -> Bool[Tensor, "N H W"]:
    """Units whose rank, from the strongest evidence (0) to the weakest (1), lies in ``[start, stop)``.

    Args:
        evidence: of each unit; of equal ones the first in row-major order ranks higher.
        start: share of the units that are stronger than the band, 0 to 1.
        stop: share of the units down to the band's end, above `start`.

    Returns:
        The band; it holds the same number of units on every map.

    >>> ranked_band(torch.tensor([[[4.0, 1.0], [3.0, 2.0]]]), 0.25, 0.75)[0].tolist()
    [[False, False], [True, True]]
    """
    flat = evidence.flatten(1)
    count = flat.shape[1]
    order = flat.argsort(dim=1, descending=True, stable=True)[:, round(start * count) : round(stop * count)]
    chosen = torch.zeros_like(flat, dtype=torch.bool).scatter_(1, order, True)
    return chosen.view_as(evidence)


def pasted(
    base: Float[Tensor, "N C H W"], patch: Float[Tensor, "N C H W"], where: Bool[Tensor, "N H W"]
) -> Float[Tensor, "N C H W"]:
    """The features of ``patch`` at the units ``where``, those of ``base`` at all others."""
    return torch.where(where[:, None], patch, base)


def moved(
    into: Float[Tensor, "N"], out_of: Float[Tensor, "N"], own: Float[Tensor, "N"], other: Float[Tensor, "N"]
) -> Float[Tensor, "N"]:
    """How far the margin between the two answers moves when a set of units changes its owner, both ways.

    ``((g(other with the units) - g(other)) + (g(own) - g(own without the units))) / 2``; over a set of units and its
    complement these add up to ``g(own) - g(other)`` exactly.

    Args:
        into: margin g of the other image with this set of units from the own one.
        out_of: margin of the own image with this set of units from the other one.
        own: margin of the own image.
        other: margin of the other image.

    >>> moved(*(torch.tensor([v]) for v in (1.0, -2.0, 4.0, -4.0))).tolist()
    [5.5]
    """
    return ((into - other) + (own - out_of)) / 2


def part_share(
    band: Float[Tensor, "N"], control: Float[Tensor, "N"], weight: Float[Tensor, "B N"]
) -> Float[Tensor, "B"]:
    """One minus what a middling place moves, over what any place moves; kept within 0 and 1.

    Evidence that is everywhere (texture, colour, light) is moved by a place of middling evidence as much as by any
    other place of that size; evidence in a few places is not moved by it at all. So if a share s of the margin comes
    from few places and the rest from everywhere, ``band = (1 - s) control`` where the network adds them up.

    Args:
        band: what the band of middle rank moves, nats, for each pair of images.
        control: what the band of another pair moves.
        weight: of each pair; a row for each resample.

    Returns:
        The share for each row, float64; ``nan`` where the control moves nothing.

    >>> one = torch.ones(1, 2)
    >>> part_share(torch.tensor([0.5, 0.0]), torch.tensor([1.0, 1.0]), one).tolist()
    [0.75]
    """
    above, below = weight.double() @ band.double(), weight.double() @ control.double()
    share = (1 - above / below).clamp(0, 1)
    return share.where(below > 0, torch.nan)
