"""How much of a network's evidence stands out in a few places, as parts do, from what lies everywhere.

Not in the paper. Evidence is what tells two images apart that the network answers differently, unit by unit; sorted,
it has a *profile*. Evidence that lies everywhere (texture, colour, light) varies evenly about its mean, so its profile
falls along a straight line; evidence in few places stands out above that line at the strong end.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

MIDDLE = (0.4, 0.8)
"""Ranks between which the line is laid; parts, and what receptive fields smear of them, may fill those above."""


def smoothed(evidence: Float[Tensor, "N H W"]) -> Float[Tensor, "N H W"]:
    """Mean of every unit and its neighbours, 3 x 3 units; at the border of those that exist.

    Parts are wider than a unit, and single units are noisy.

    >>> smoothed(torch.tensor([[[9.0, 0.0], [0.0, 0.0]]]))[0].tolist()
    [[2.25, 2.25], [2.25, 2.25]]
    """
    return functional.avg_pool2d(evidence[:, None], 3, 1, 1, count_include_pad=False)[:, 0]


def evidence_profile(evidence: Float[Tensor, "N H W"]) -> Float[Tensor, "N U"]:
    """The evidence of each map's units from the strongest to the weakest.

    >>> evidence_profile(torch.tensor([[[1.0, 4.0], [-2.0, 3.0]]]))[0].tolist()
    [4.0, 3.0, 1.0, -2.0]
    """
    return evidence.flatten(1).sort(dim=1, descending=True).values


def normal_profile(profile: Float[Tensor, "N U"]) -> Float[Tensor, "N U"]:
    """The profile that evidence of the same mean and variance would have if it were normally distributed over units.

    Expected order statistics by Blom's approximation: ``m + s z((U - r - 3/8) / (U + 1/4))`` at rank r from 0, z the
    normal quantile, m the mean and s the standard deviation over the map's units. Chance alone leaves such a profile.

    >>> [round(v, 2) for v in normal_profile(torch.tensor([[3.0, 1.0, -1.0]]))[0].tolist()]
    [2.42, 1.0, -0.42]
    """
    units = profile.shape[1]
    rank = torch.arange(units, dtype=profile.dtype, device=profile.device)
    quantile: Tensor = torch.special.ndtri((units - rank - 0.375) / (units + 0.25))
    deviation = profile.var(1, correction=0, keepdim=True).sqrt()
    return profile.mean(1, keepdim=True) + deviation * quantile


def spread_line(profile: Float[Tensor, "B U"]) -> Float[Tensor, "B U"]:
    """What evidence that lies everywhere would have at each rank: the straight line through middling ranks.

    Least squares over the ranks between `MIDDLE`, continued to both ends, not below 0.

    Args:
        profile: falling evidence, at least 10 units.

    >>> spread_line(torch.tensor([[99.0, 50.0, 9.0, 8.0, 6.0, 5.0, 4.0, 3.0, 0.0, -9.0]]))[0].tolist()
    [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    """
    units = profile.shape[1]
    rank = torch.arange(units, dtype=profile.dtype, device=profile.device)
    middle = slice(round(MIDDLE[0] * units), round(MIDDLE[1] * units))
    offset = rank[middle] - rank[middle].mean()
    level = profile[:, middle].mean(1, keepdim=True)
    slope = (profile[:, middle] - level) @ offset / offset.square().sum()
    return (level + slope[:, None] * (rank - rank[middle].mean())).clamp(min=0)


def part_share(profile: Float[Tensor, "B U"]) -> Float[Tensor, "B"]:
    """Share of the evidence for the answers that stands out in few places.

    A unit of evidence e where evidence everywhere would have l counts with weight ``1 - (l/e)^2``: nearly whole where
    it stands out twofold, not at all where it lies on the line. (With the weight ``1 - l/e`` only the excess would
    count; but where an animal stands there is no background to be seen, so its units hold no share of l.)

        share = sum over r of the stronger half  max(e_r - l_r^2 / e_r, 0)  /  sum over r  max(e_r, 0)

    Args:
        profile: falling evidence summed over pairs of images; a row for each resample.

    Returns:
        Share from 0 to 1, float64; ``nan`` where no evidence is positive.

    >>> part_share(torch.tensor([[8.0] + 9 * [0.0]])).tolist()
    [1.0]
    >>> part_share(torch.arange(10.0, 0.0, -1.0)[None]).tolist()
    [0.0]
    """
    e = profile.double()
    half = e[:, : e.shape[1] // 2]
    line = spread_line(e)[:, : e.shape[1] // 2]
    above = half > line
    counted = (half - line.square() / half.where(above, 1.0)).where(above, 0.0).sum(1)
    total = e.clamp(min=0).sum(1)
    return (counted / total).where(total > 0, torch.nan)
