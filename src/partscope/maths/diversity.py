"""Do the filters look at different places, and do they follow landmarks?

Instability alone rewards filters that have collapsed onto one place; report these beside it.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def _spread(points: Tensor, valid: Tensor) -> Tensor:
    weight = valid[..., None].double()
    n = weight.sum(1)
    p = points.double().where(valid[..., None], 0)
    offset = (p - p.sum(1, keepdim=True) / n.clamp(min=1)[:, None]).where(valid[..., None], 0)
    variance = offset.square().sum(1) / n
    return (variance.sum(-1) / 2).sqrt()


def peak_spread(points: Float[Tensor, "N F 2"], valid: Bool[Tensor, "N F"]) -> Float[Tensor, "N"]:
    """Spread of the filters' peaks within every image.

    ``sqrt((var_row + var_column) / 2)``, population variances over the filters that are not silent.

    Args:
        points: image point of every filter's peak, (row, column) in px.
        valid: False for a silent map.

    Returns:
        Spread in px, float64; 0 if all peaks coincide, ``nan`` on an image where every filter is silent.

    >>> points = torch.tensor([[[0.0, 0.0], [6.0, 8.0]]])
    >>> round(peak_spread(points, torch.tensor([[True, True]])).item(), 6)
    3.535534
    """
    return _spread(points, valid)


def landmark_spread(landmarks: Float[Tensor, "N K 2"], present: Bool[Tensor, "N K"]) -> Float[Tensor, "N"]:
    """Spread of the landmarks within every image, the yardstick of :func:`peak_spread`.

    Args:
        landmarks: (row, column) in px; ignored where absent.
        present: does the image show the landmark?

    Returns:
        Spread in px, float64; ``nan`` on an image without landmarks.

    >>> landmark_spread(torch.tensor([[[0.0, 0.0], [4.0, 4.0]]]), torch.tensor([[True, True]])).item()
    2.0
    """
    return _spread(landmarks, present)


def effective_locations(unit: Int[Tensor, "N F"], valid: Bool[Tensor, "N F"], n_units: int) -> Float[Tensor, "N"]:
    """Effective number of different peak locations within every image.

    ``exp(-sum_u h_u log h_u)``, h the share of the filters that peak at unit u.

    Args:
        unit: row-major index of every filter's peak.
        valid: False for a silent map.
        n_units: number of units of the map.

    Returns:
        Between 1 (one place) and the number of filters, float64; ``nan`` where every filter is silent.

    >>> unit = torch.tensor([[0, 0, 3, 3]])
    >>> round(effective_locations(unit, unit >= 0, 9).item(), 6)
    2.0
    """
    histogram = torch.zeros(len(unit), n_units, dtype=torch.float64, device=unit.device)
    histogram = histogram.scatter_add(1, unit.long(), valid.double())
    share = histogram / valid.sum(1, keepdim=True)
    entropy: Tensor = torch.special.entr(share).sum(1)
    return entropy.exp()


class NearestLandmark(NamedTuple):
    """The landmark that a filter stays closest to."""

    landmark: Int[Tensor, "F"]
    """Index of the landmark; -1 if no landmark shares 3 images with the filter."""
    r2: Float[Tensor, "F"]
    """Share of the landmark's movement that the filter's peak follows, in [0, 1], or ``nan``."""


def nearest_landmark_r2(
    points: Float[Tensor, "N F 2"],
    valid: Bool[Tensor, "N F"],
    landmarks: Float[Tensor, "N K 2"],
    present: Bool[Tensor, "N K"],
) -> NearestLandmark:
    """How far every filter's peak moves along with its nearest landmark.

    The nearest landmark has the least mean distance over the images that show it and on which the filter is
    not silent, at least 3 of them. ``R^2 = 1 - sum |p_mu - p_k - mean offset|^2 / sum |p_k - mean p_k|^2``,
    floored at 0: a filter that always fires at one point scores 0, whatever its instability.

    Args:
        points: image point of every filter's peak, (row, column) in px.
        valid: False for a silent map.
        landmarks: (row, column) in px; ignored where absent.
        present: does the image show the landmark?

    Returns:
        Landmark and R^2 per filter, float64; ``nan`` without 3 common images or if the landmark never moves.

    >>> landmark = torch.tensor([[[0.0, 0.0]], [[4.0, 0.0]], [[8.0, 0.0]]])
    >>> yes, offset = torch.ones(3, 1, dtype=torch.bool), torch.tensor([1.0, 2.0])
    >>> [v.item() for v in nearest_landmark_r2(landmark + offset, yes, landmark, yes)]
    [0, 1.0]
    """
    distances, scores = [], []
    for k in range(present.shape[1]):
        both = valid & present[:, k, None]
        n = both.sum(0)
        landmark = landmarks[:, k, None].double().where(both[..., None], 0)
        offset = points.double().where(both[..., None], 0) - landmark
        distance = torch.linalg.vector_norm(offset, dim=-1).sum(0) / n
        unexplained = _squared_deviation(offset, both, n)
        movement = _squared_deviation(landmark, both, n)
        scores.append(torch.where(movement > 0, (1 - unexplained / movement).clamp(min=0), math.nan))
        distances.append(distance.where(n >= 3, math.inf))
    distance, index = torch.stack(distances).min(0)
    r2 = torch.stack(scores).gather(0, index[None])[0]
    known = distance.isfinite()
    return NearestLandmark(index.where(known, -1), r2.where(known, math.nan))


def _squared_deviation(vectors: Tensor, listed: Tensor, n: Tensor) -> Tensor:
    mean = vectors.sum(0) / n.clamp(min=1)[:, None]
    return (vectors - mean).where(listed[..., None], 0).square().sum((0, 2))


def landmark_movement(
    points: Float[Tensor, "N F 2"],
    valid: Bool[Tensor, "N F"],
    landmarks: Float[Tensor, "N K 2"],
    present: Bool[Tensor, "N K"],
    landmark: Int[Tensor, "F"],
    weights: Float[Tensor, "B N"],
) -> Float[Tensor, "B F"]:
    """R^2 of :func:`nearest_landmark_r2` with images weighted and each filter's landmark given.

    Args:
        points: image point of every filter's peak, (row, column) in px.
        valid: False for a silent map.
        landmarks: (row, column) in px; ignored where absent.
        present: does the image show the landmark?
        landmark: the landmark that each filter is compared with; -1 for none.
        weights: how often every image counts, e.g. in bootstrap draws.

    Returns:
        R^2 in [0, 1] per draw and filter, float64; ``nan`` without a landmark, or if it never moves.

    >>> points = torch.tensor([[[0.0, 0.0]], [[4.0, 0.0]], [[8.0, 1.0]]])
    >>> yes, one = torch.ones(3, 1, dtype=torch.bool), torch.zeros(1, dtype=torch.long)
    >>> round(landmark_movement(points, yes, points.square(), yes, one, torch.ones(1, 3)).item(), 4)
    0.2166
    """
    index = landmark.clamp(min=0)
    both = valid & present[:, index]
    target = landmarks[:, index].double().where(both[..., None], 0)
    offset = points.double().where(both[..., None], 0) - target
    n = weights.double() @ both.double()
    unexplained, movement = (_weighted_deviation(v, both, weights.double(), n) for v in (offset, target))
    rounding = 1e-9 * (weights.double() @ target.square().sum(2))
    r2 = torch.where(movement > rounding, (1 - unexplained / movement).clamp(min=0), math.nan)
    return r2.masked_fill(landmark < 0, math.nan)


def _weighted_deviation(vectors: Tensor, listed: Tensor, weights: Tensor, n: Tensor) -> Tensor:
    """Weighted sum of squared distances from the weighted mean, (B, F)."""
    centre = vectors.sum(0) / listed.sum(0).clamp(min=1)[:, None]
    v = (vectors - centre).where(listed[..., None], 0)
    squares = weights @ v.square().sum(2)
    sums = torch.einsum("bn,nfc->bfc", weights, v)
    return (squares - sums.square().sum(2) / n.clamp(min=1)).clamp(min=0)
