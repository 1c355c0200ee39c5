"""Which filters are which parts: categories, liveness, strength, best landmark, contribution."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from partscope.diagnosis.observe import Peaks


class Assignment(NamedTuple):
    """A layer's filters and the images that speak for each."""

    category: Int[Tensor, " f"]
    """Category whose images excite the filter most; -1 where none may own filters."""
    valid: Bool[Tensor, "n f"]
    """Images of the filter's category on which its map is not silent."""
    mine: Bool[Tensor, "n f"]
    """Images of the filter's category."""

    @property
    def dead(self) -> Bool[Tensor, " f"]:
        """Filters that are silent on every image of their category."""
        return ~self.valid.any(0)


def assign(peaks: Peaks, category: Int[Tensor, " n"], owners: Bool[Tensor, " c"]) -> Assignment:
    """Gives each filter to the category whose images have the largest mean total activation (paper, App. H).

    Args:
        peaks: a layer's peaks.
        category: category of each image, -1 for negatives.
        owners: categories that may own filters.
    """
    totals = torch.full((peaks.total.shape[1], len(owners)), -torch.inf)
    for c in range(len(owners)):
        of_c = category == c
        if bool(owners[c]) and bool(of_c.any()):
            totals[:, c] = peaks.total[of_c].mean(0)
    best, owner = totals.max(1)
    owner = torch.where(torch.isfinite(best), owner, -1)
    mine = (category[:, None] == owner[None]) & (owner >= 0)
    return Assignment(owner, mine & (peaks.score > 0), mine)


def mean_strength(peaks: Peaks, assignment: Assignment) -> Float[Tensor, " f"]:
    """Mean peak over the images of a filter's category, silent maps counted as 0; nan without images."""
    peak = peaks.score.clamp(min=0) * assignment.mine
    return peak.sum(0) / assignment.mine.sum(0)


def silent_share(assignment: Assignment) -> Float[Tensor, " f"]:
    """Share of the images of a filter's category on which its map is silent; nan without images."""
    return 1 - assignment.valid.sum(0) / assignment.mine.sum(0)


def wander(peaks: Peaks, assignment: Assignment) -> Float[Tensor, " f"]:
    """How far a filter's peak moves over images: sqrt((var_row + var_column) / 2) in pixels."""
    weight = assignment.valid[..., None].float()
    count = assignment.valid.sum(0)
    mean = (peaks.points * weight).sum(0) / count.clamp(min=1)[:, None]
    variance = ((peaks.points - mean).square() * weight).sum(0) / (count - 1).clamp(min=1)[:, None]
    return torch.where(count > 1, variance.mean(1).sqrt(), torch.nan)


def contribution_shares(contribution: Float[Tensor, "n f"], objects: Bool[Tensor, " n"]) -> Float[Tensor, " f"]:
    """Each filter's signed share of what the part track adds to the scores of images with an object.

    Shares add to 1. Where the total is not clearly positive a share has no meaning: nan.
    """
    mean = contribution[objects].double().mean(0)
    total = float(mean.sum())
    if not total > 1e-9 * float(mean.abs().sum()):
        return torch.full((contribution.shape[1],), torch.nan)
    return (mean / total).float()
