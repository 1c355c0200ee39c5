"""Which part a filter stands for, and what each part adds to the scores."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

OTHER = -1
"""Number of no part: filters without a majority, or without an image that says anything."""


class PartShares(NamedTuple):
    """What parts add to the scores, as shares of what all filters add."""

    signed: Float[Tensor, " G1"]
    """Sum of the contributions of each part's filters, and last those of no part; they add up to 1."""
    absolute: Float[Tensor, " G1"]
    """The same of the contributions' absolute values, divided by their sum over all filters."""
    filters: Int[Tensor, " G1"]
    """Number of filters."""


def vote_part(
    points: Float[Tensor, "N F 2"],
    score: Float[Tensor, "N F"],
    valid: Bool[Tensor, "N F"],
    landmarks: Float[Tensor, "N K 2"],
    present: Bool[Tensor, "N K"],
    group: Int[Tensor, " K"],
    reach: float = math.inf,
    top: int = 100,
    majority: float = 0.5,
) -> Int[Tensor, " F"]:
    """Part of each filter by vote: on each of its strongest images, the part of the landmark nearest to its peak.

    A landmark out of reach is a vote for no part. Images without a landmark do not vote. A part needs `majority` of
    the votes that are cast.

    Args:
        points: part locations, px.
        score: value of each map's peak.
        valid: images that speak for a filter.
        landmarks: annotated points, px.
        present: whether a landmark is annotated.
        group: number of the part, from 0, that each landmark belongs to.
        reach: longest distance between part location and landmark, px.
        top: strongest images of a filter that vote.
        majority: least share of votes, 0 to 1.

    Returns:
        Number of each filter's part, `OTHER` (-1) for none; the lower number where two parts have half each.

    >>> at = torch.tensor([[[1.0, 1.0]], [[8.0, 8.0]], [[2.0, 2.0]]])
    >>> marks = torch.tensor([[0.0, 0.0], [9.0, 9.0]]).expand(3, 2, 2)
    >>> said = torch.ones(3, 1), torch.ones(3, 1, dtype=torch.bool), marks, torch.ones(3, 2, dtype=torch.bool)
    >>> vote_part(at, *said, torch.tensor([0, 1])).tolist()
    [0]
    """
    distance = (points[:, :, None] - landmarks[:, None]).square().sum(-1)
    distance = distance.masked_fill(~present[:, None], torch.inf)
    nearest = distance.min(-1)
    voted = group[nearest.indices].where(nearest.values <= reach**2, OTHER)
    votes = valid & present.any(1, keepdim=True)
    rank = score.masked_fill(~votes, -torch.inf).argsort(dim=0, descending=True, stable=True).argsort(dim=0)
    votes = votes & (rank < top)
    parts = torch.arange(int(group.max()) + 1, device=group.device)
    counts = ((voted[..., None] == parts) & votes[..., None]).sum(0)
    most, winner = counts.max(1)
    cast = votes.sum(0)
    return torch.where((cast > 0) & (most >= majority * cast), winner, OTHER)


def part_shares(contribution: Float[Tensor, " F"], part: Int[Tensor, " F"], parts: int) -> PartShares:
    """Sum contributions by part.

    Args:
        contribution: signed share of each filter.
        part: number of its part, `OTHER` for none.
        parts: number G of parts.

    Returns:
        Shares and counts of each part, and last of the filters of no part.

    >>> found = part_shares(torch.tensor([0.75, -0.25, 0.5]), torch.tensor([0, 0, -1]), 1)
    >>> found.signed.tolist(), found.filters.tolist()
    ([0.5, 0.5], [2, 1])
    """
    place = torch.where(part >= 0, part, parts)
    none = contribution.double().new_zeros(parts + 1)
    signed = none.index_add(0, place, contribution.double())
    absolute = none.index_add(0, place, contribution.double().abs())
    total = absolute.sum()
    return PartShares(
        signed.to(contribution.dtype),
        (absolute / total).to(contribution.dtype),
        torch.bincount(place, minlength=parts + 1),
    )
