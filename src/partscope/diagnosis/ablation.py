"""A second pass over the test images: what fires at the landmarks, and what each part's absence takes away."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from partscope.diagnosis.observe import Observation, Peaks, field_of, judged_score
from partscope.diagnosis.stability import Truth
from partscope.maths import ReceptiveField
from partscope.nets import Explainer
from partscope.performers import Performer
from partscope.training import FeatureStore

MOST_IMAGES = 1000
"""Images of an object on which parts are taken away; a fixed draw of them where there are more."""
NOBODY = -1
"""Label of a landmark at whose unit no filter is active."""


class Ablation(NamedTuple):
    """Scores with parts taken away, on some of the images."""

    rows: Int[Tensor, " m"]
    """The images."""
    score: Float[Tensor, " m"]
    """Score of each image's category on rebuilt features."""
    without: Float[Tensor, "m p"]
    """The same with a part's filters replaced by their mean over the training images."""
    silent: Float[Tensor, " m"]
    """The same with the whole part track at zero, where gradient x activation counts from."""


@torch.no_grad()
def ablate(
    explainer: Explainer,
    performer: Performer,
    store: FeatureStore,
    category: Int[Tensor, " n"],
    members: list[Tensor],
    rows: Int[Tensor, " m"],
    batch_size: int = 64,
) -> Ablation:
    """Takes every part away in turn.

    Args:
        explainer: fitted, with the mean of its part track over the training images.
        performer: the network, for the scores.
        store: its features on the test images.
        category: score index of each image, -1 where it has none (its highest-scoring class is judged).
        members: filters of each part.
        rows: images to do it on.
        batch_size: images at a time.
    """
    explainer.eval()
    found: list[Tensor] = []
    for chosen in torch.split(rows, batch_size):
        features = store.rows(chosen)
        parts, ordinary = explainer.encode(features.tap)
        own = performer.resume(features, "last")
        judged = judged_score(own, category[chosen])

        def score(track: Tensor, ordinary: Tensor = ordinary.output, judged: Tensor = judged) -> Tensor:
            rebuilt = performer.resume(explainer.decode(track, ordinary)[-1], "last")
            return rebuilt.gather(1, judged[:, None])[:, 0].cpu()

        columns = [score(parts.output), score(torch.zeros_like(parts.output))]
        for filters in members:
            track = parts.output.clone()
            track[:, filters] = explainer.mean_interpretable[filters]
            columns.append(score(track))
        found.append(torch.stack(columns, 1))
    whole = torch.cat(found) if found else torch.zeros(0, 2 + len(members))
    return Ablation(rows, whole[:, 0], whole[:, 2:], whole[:, 1])


def some_objects(owned: Bool[Tensor, " n"], most: int = MOST_IMAGES) -> Int[Tensor, " m"]:
    """The images of an object, or a fixed draw of them."""
    rows = owned.nonzero().flatten()
    if len(rows) <= most:
        return rows
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:most]
    return rows[drawn.sort().values]


def usual_peak(peaks: Peaks) -> Float[Tensor, " f"]:
    """Mean peak of each filter over the images on which it is not silent; 0 where it is on fewer than 2."""
    shown = peaks.score > 0
    count = shown.sum(0)
    return torch.where(count > 1, peaks.score.clamp(min=0).sum(0) / count.clamp(min=1), 0.0)


@torch.no_grad()
def strongest_at(
    explainer: Explainer,
    performer: Performer,
    store: FeatureStore,
    seen: Observation,
    truth: Truth,
    batch_size: int = 64,
) -> dict[str, Int[Tensor, "n k"]]:
    """The filter of each layer that is most active at the unit of each landmark, relative to its usual peak.

    Args:
        explainer: fitted.
        performer: the network, for the top conv layer's maps.
        store: its features on the test images.
        seen: the first pass, for the usual peaks.
        truth: the landmarks.
        batch_size: images at a time.

    Returns:
        Filters by layer, `explainer` and `top_conv`; -1 where no filter is active there.
    """
    explainer.eval()
    usual = {"explainer": usual_peak(seen.explainer), "top_conv": usual_peak(seen.top_conv)}
    found: dict[str, list[Tensor]] = {name: [] for name in usual}
    for index, features in store.batches(batch_size):
        maps = {"explainer": explainer.encode(features.tap)[0].raw, "top_conv": performer.top_map(features)}
        for name, map_ in maps.items():
            value = values_at(map_, truth.landmarks[index], field_of(performer, map_, features.tap))
            found[name].append(most_active(value, usual[name]))
    return {name: torch.cat(rows) for name, rows in found.items()}


def values_at(
    maps: Float[Tensor, "n f h w"], points: Float[Tensor, "n k 2"], field: ReceptiveField
) -> Float[Tensor, "n f k"]:
    """Every filter's value at the unit nearest to each image point.

    Args:
        maps: of a layer.
        points: on the images, pixels.
        field: where the layer's units lie.
    """
    place = ((points - field.start) / field.stride).round().long()
    row, column = (place[..., a].clamp(0, maps.shape[2 + a] - 1) for a in (0, 1))
    unit = (row * maps.shape[3] + column).to(maps.device)
    return maps.flatten(2).gather(2, unit[:, None].expand(-1, maps.shape[1], -1)).cpu()


def most_active(value: Float[Tensor, "n f k"], usual: Float[Tensor, " f"]) -> Int[Tensor, "n k"]:
    """The filter that is most active at each landmark, relative to its usual peak; -1 where none is active.

    Args:
        value: see :func:`values_at`.
        usual: see :func:`usual_peak`; a filter of 0 takes no part.

    >>> most_active(torch.tensor([[[1.0, -1.0], [3.0, -2.0]]]), torch.tensor([1.0, 6.0])).tolist()
    [[0, -1]]
    """
    scale = usual[:, None]
    most, filter_ = torch.where(scale > 0, value / scale.clamp(min=1e-30), 0.0).max(1)
    return torch.where(most > 0, filter_, NOBODY)
