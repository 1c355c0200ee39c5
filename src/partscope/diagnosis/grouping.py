"""Filters put together into parts: by the landmark they follow, or by lying at the same place."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from partscope.diagnosis.following import strongest
from partscope.diagnosis.observe import Peaks
from partscope.diagnosis.stability import Truth

OTHER = "other"
MAJORITY = 0.5
LEAST_VOTES = 10
"""Images that must vote, or on which two filters must be seen together."""
CONFIDENT = 1.645
REACH = 0.15
"""Fraction of the diagonal within which filters are one part, about the spread of the landmarks of an animal."""
LEAST_FILTERS, LEAST_SHARE = 3, 0.05
"""A cluster of fewer filters, or of a smaller share of them, is no part."""


class Grouping(NamedTuple):
    """A layer's filters in parts."""

    names: tuple[str, ...]
    part: Int[Tensor, " f"]
    """Index of each filter's part among the names; the last one is `other`."""
    named: bool
    """Whether the names are landmarks."""

    @property
    def members(self) -> list[Tensor]:
        """The filters of each part."""
        return [(self.part == k).nonzero().flatten() for k in range(len(self.names))]


def nearest(points: Float[Tensor, "n f 2"], truth: Truth) -> Int[Tensor, "n f"]:
    """The visible landmark nearest to each peak; -1 on images that show none."""
    found = torch.full(points.shape[:2], -1)
    least = torch.full(points.shape[:2], torch.inf)
    for k in range(len(truth.names)):
        distance = torch.linalg.vector_norm(points - truth.landmarks[:, k, None], dim=2)
        closer = (distance < least) & truth.present[:, k, None]
        found[closer], least = k, torch.where(closer, distance, least)
    return found


def follows(points: Float[Tensor, "n 2"], landmark: Float[Tensor, "n 2"]) -> bool:
    """Whether peaks lie nearer to their own image's landmark than to the other images', 95 % sure (one-sided).

    A constant never does, whatever its place.
    """
    if len(points) < LEAST_VOTES:
        return False
    distance = torch.cdist(points.double(), landmark.double())
    own = distance.diagonal()
    gain = (distance.sum(1) - own) / (len(own) - 1) - own
    return float(gain.mean()) > CONFIDENT * float(gain.std()) / math.sqrt(len(gain))


def vote(
    peaks: Peaks, valid: Bool[Tensor, "n f"], truth: Truth, fitted: Bool[Tensor, " n"], top: int | None
) -> Grouping:
    """Gives each filter the landmark that most of its strongest images vote for.

    An image votes for the visible landmark nearest to the peak. A filter without a majority, with fewer than
    10 votes, or whose peaks lie no nearer to their own image's landmark than to other images' is `other`.

    Args:
        peaks: the layer's peaks.
        valid: images that speak for each filter.
        truth: the landmarks.
        fitted: images that vote; the others are kept to check the vote on.
        top: strongest images per filter; None takes all.
    """
    used = strongest(peaks, valid & fitted[:, None], top)
    choice = nearest(peaks.points, truth)
    votes = torch.stack([(used & (choice == k)).sum(0) for k in range(len(truth.names))], 1)
    most, winner = votes.max(1)
    cast = votes.sum(1)
    elected = (most >= MAJORITY * cast) & (cast >= LEAST_VOTES)
    for f in elected.nonzero().flatten().tolist():
        rows = used[:, f] & truth.present[:, winner[f]]
        elected[f] = follows(peaks.points[rows, f], truth.landmarks[rows, winner[f]])
    return Grouping((*truth.names, OTHER), torch.where(elected, winner, len(truth.names)), True)


def together(peaks: Peaks, shown: Bool[Tensor, "n f"], diagonal: float) -> Float[Tensor, "f f"]:
    """How far apart the peaks of two filters lie in one image: a root mean square over images.

    Images count by the product of both peaks' activations, each over its filter's mean.

    Returns:
        Fractions of the diagonal; 1 where fewer than 10 images show both filters.
    """
    score = peaks.score.where(shown, 0).double()
    weight = score / (score.sum(0) / shown.sum(0).clamp(min=1)).clamp(min=1e-30)
    x = (peaks.points.double() / diagonal).where(shown[..., None], 0)
    square = (weight * x.square().sum(2)).T @ weight
    cross = torch.einsum("nfc,ngc->fg", weight[..., None] * x, weight[..., None] * x)
    both = shown.double().T @ shown.double()
    distance = ((square + square.T - 2 * cross) / (weight.T @ weight).clamp(min=1e-30)).clamp(min=0).sqrt()
    return distance.where(both >= LEAST_VOTES, 1.0).fill_diagonal_(0.0)


def cluster(peaks: Peaks, shown: Bool[Tensor, "n f"], diagonal: float) -> Grouping:
    """Puts filters whose peaks lie together into parts, without landmarks.

    Average-linkage clustering of the distances of :func:`together`, cut at .15 of the diagonal: groups whose
    filters lie on average nearer to each other than that stay apart from the rest. There are as many parts as
    groups of at least 5 % of the filters, and 3. Other filters, those silent on all but a few images among them,
    are `other`.

    Args:
        peaks: the layer's peaks.
        shown: images on which each filter is not silent.
        diagonal: the crop's, pixels.
    """
    alive = (shown.sum(0) >= LEAST_VOTES).nonzero().flatten()
    group = torch.full((shown.shape[1],), -1)
    if len(alive) >= LEAST_FILTERS:
        living = peaks._replace(score=peaks.score[:, alive], points=peaks.points[:, alive])
        group[alive] = _groups(together(living, shown[:, alive], diagonal))
    sizes = torch.bincount(group[group >= 0], minlength=1)
    least = max(LEAST_FILTERS, math.ceil(LEAST_SHARE * len(alive)))
    kept = [k for k in sizes.argsort(descending=True, stable=True).tolist() if int(sizes[k]) >= least]
    part = torch.full_like(group, len(kept))
    for place, k in enumerate(kept):
        part[group == k] = place
    return Grouping((*(f"part {k + 1}" for k in range(len(kept))), OTHER), part, False)


def _groups(distance: Float[Tensor, "f f"]) -> Int[Tensor, " f"]:
    from sklearn.cluster import AgglomerativeClustering  # a second to import: only where it is used

    found = AgglomerativeClustering(None, distance_threshold=REACH, metric="precomputed", linkage="average")
    return torch.from_numpy(found.fit_predict(distance.numpy())).long()
