"""Location instability: how much the distance from a filter's peak to a landmark varies over images."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_ELEMENTS_AT_ONCE = 2**22


class LayerInstability(NamedTuple):
    """Instability of a layer and what it rests on."""

    value: Float[Tensor, "*lead"]
    """Mean over the filters that have a value, as a fraction of the diagonal; ``nan`` if none has."""
    n_filters: Int[Tensor, "*lead"]
    """Number of those filters."""


def location_deviation(
    points: Float[Tensor, "N F 2"],
    scores: Float[Tensor, "N F"],
    valid: Bool[Tensor, "N F"],
    landmarks: Float[Tensor, "N K 2"],
    present: Bool[Tensor, "N K"],
    *,
    diagonal: float,
    top: int | None = 100,
    count: Int[Tensor, "*B N"] | None = None,
) -> Float[Tensor, "*B F K"]:
    """Deviation of every filter's distance to every landmark.

    ``D_fk = std over images of ||p_k - p(mu_hat)|| / diagonal``, with N - 1 in the denominator, over the
    ``top`` highest-scoring images of filter f among those that show landmark k and on which f is not silent.
    Equal scores: the first image first. Computed in float64.

    Args:
        points: image point of every filter's peak, (row, column) in px.
        scores: the peak's activation, finite where valid.
        valid: False for a silent map.
        landmarks: (row, column) in px; ignored where absent.
        present: does the image show the landmark?
        diagonal: diagonal of the crop in px, ``hypot(height, width)``.
        top: images per filter and landmark; None for all.
        count: how often every image occurs (a bootstrap draw), with any leading axes; each occurrence uses
            up one of ``top``. None: once.

    Returns:
        Deviation as a fraction of the diagonal, float64; ``nan`` where fewer than 2 images remain.

    >>> point, yes = torch.tensor([[[0.0, 0.0]], [[0.0, 0.0]]]), torch.ones(2, 1, dtype=torch.bool)
    >>> landmark = torch.tensor([[[3.0, 4.0]], [[0.0, 7.0]]])
    >>> round(location_deviation(point, torch.ones(2, 1), yes, landmark, yes, diagonal=10.0).item(), 6)
    0.141421

    Source: Zhang et al. 2018, "Interpretable CNNs", section 5.2.2, and its released code; paper, section 4.
    """
    n_images, n_filters = scores.shape
    n_landmarks = present.shape[1]
    lead = () if count is None else tuple(count.shape[:-1])
    repeats = torch.ones(1, n_images) if count is None else count.reshape(-1, n_images)
    repeats = repeats.to(device=scores.device, dtype=torch.float64)
    depth = n_images if top is None else min(n_images, 2 * top)
    chunk = max(1, _ELEMENTS_AT_ONCE // max(1, len(repeats) * n_landmarks * depth))
    parts = []
    for first in range(0, n_filters, chunk):
        part = slice(first, first + chunk)
        delta = points[:, part, None].double() - landmarks[:, None].double()
        distance = torch.linalg.vector_norm(delta, dim=-1).flatten(1).T
        eligible = (valid[:, part, None] & present[:, None]).flatten(1).T
        if top is None:
            parts.append(_whole_deviation(distance, eligible, repeats))
            continue
        rank = scores[:, part, None].expand(-1, -1, n_landmarks).flatten(1).T
        rank = rank.masked_fill(~eligible, -math.inf)
        order = rank.argsort(dim=-1, descending=True, stable=True)
        parts.append(_top_deviation(distance, eligible, order, repeats, top, depth))
    deviation = torch.cat(parts, 1) if parts else repeats.new_zeros(len(repeats), 0)
    return (deviation / diagonal).reshape(*lead, n_filters, n_landmarks)


def _mean(distance: Tensor, eligible: Tensor) -> Tensor:
    return (distance.where(eligible, 0).sum(1) / eligible.sum(1).clamp(min=1))[:, None]


def _whole_deviation(distance: Tensor, eligible: Tensor, repeats: Tensor) -> Tensor:
    d = (distance - _mean(distance, eligible)).where(eligible, 0)
    return weighted_deviation(repeats @ eligible.T.double(), repeats @ d.T, repeats @ d.square().T)


def _top_deviation(distance: Tensor, eligible: Tensor, order: Tensor, repeats: Tensor, top: int, depth: int) -> Tensor:
    n_images = distance.shape[1]
    n_eligible = eligible.sum(1)
    while True:
        index = order[:, :depth]
        shown = eligible.gather(1, index)
        times = repeats[:, index] * shown
        total = times.cumsum(-1)
        if depth >= n_images or bool(((total[..., -1] >= top) | (n_eligible <= depth)).all()):
            break
        depth = min(n_images, 2 * depth)
    taken = torch.minimum(times, (top - total + times).clamp(min=0))
    d = (distance.gather(1, index) - _mean(distance, eligible)).where(shown, 0)
    return weighted_deviation(
        taken.sum(-1),
        torch.einsum("bgi,gi->bg", taken, d),
        torch.einsum("bgi,gi->bg", taken, d.square()),
    )


def weighted_deviation(
    n: Float[Tensor, "*shape"], total: Float[Tensor, "*shape"], squares: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Sample standard deviation from sums over weighted values.

    ``sqrt((sum d^2 - (sum d)^2 / n) / (n - 1))``; centre the values beforehand, the difference cancels.

    Args:
        n: sum of the weights, a number of occurrences.
        total: weighted sum of the values.
        squares: weighted sum of their squares.

    Returns:
        The deviation in the values' unit; ``nan`` where n < 2.

    >>> one = torch.ones((), dtype=torch.float64)
    >>> weighted_deviation(3 * one, 0 * one, 2 * one).item()
    1.0
    """
    variance = (squares - total.square() / n.clamp(min=1)) / (n - 1).clamp(min=1)
    return variance.clamp(min=0).sqrt().masked_fill(n < 2, math.nan)


def location_instability(
    points: Float[Tensor, "N F 2"],
    scores: Float[Tensor, "N F"],
    valid: Bool[Tensor, "N F"],
    landmarks: Float[Tensor, "N K 2"],
    present: Bool[Tensor, "N K"],
    *,
    diagonal: float,
    top: int | None = 100,
    count: Int[Tensor, "*B N"] | None = None,
) -> Float[Tensor, "*B F"]:
    """Location instability of every filter: its deviation, averaged over the landmarks that it has one for.

    ``mean_k D_fk``, over the landmarks that at least 2 images show while the filter is not silent: categories
    need not have the same landmarks. Low means that the filter keeps its distances to the landmarks. A filter
    that always fires at the image centre scores low too: compare with :mod:`partscope.maths.nulls` and report
    the spread.

    Args:
        points: image point of every filter's peak, (row, column) in px.
        scores: the peak's activation, finite where valid.
        valid: False for a silent map.
        landmarks: (row, column) in px; ignored where absent.
        present: does the image show the landmark?
        diagonal: diagonal of the crop in px.
        top: images per filter and landmark; None for all.
        count: how often every image occurs, with any leading axes; None: once.

    Returns:
        Instability as a fraction of the diagonal, float64; ``nan`` where no landmark has a value.

    >>> point, yes = torch.tensor([[[0.0, 0.0]], [[0.0, 0.0]]]), torch.ones(2, 1, dtype=torch.bool)
    >>> landmark = torch.tensor([[[3.0, 4.0]], [[0.0, 7.0]]])
    >>> round(location_instability(point, torch.ones(2, 1), yes, landmark, yes, diagonal=10.0).item(), 6)
    0.141421

    Source: Zhang et al. 2018, "Interpretable CNNs", section 5.2.2, and its released code; paper, section 4.
    """
    deviation = location_deviation(points, scores, valid, landmarks, present, diagonal=diagonal, top=top, count=count)
    return deviation.nanmean(-1)


def layer_instability(per_filter: Float[Tensor, "*B F"]) -> LayerInstability:
    """Location instability of a layer: the mean over the filters that have one.

    Args:
        per_filter: instability of every filter, ``nan`` for none.

    Returns:
        The mean and the number of filters behind it.

    >>> value, n_filters = layer_instability(torch.tensor([0.1, float("nan"), 0.2]))
    >>> round(value.item(), 6), n_filters.item()
    (0.15, 2)

    Source: Zhang et al. 2018, "Interpretable CNNs", section 5.2.2.
    """
    return LayerInstability(per_filter.nanmean(-1), (~per_filter.isnan()).sum(-1))
