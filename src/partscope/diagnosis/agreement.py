"""Does the strongest filter at a landmark tell the landmark's name? Beside labels that never look at the image."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from partscope.diagnosis.number import Number, interval
from partscope.diagnosis.stability import Truth
from partscope.maths import adjusted_rand_index, normalised_mutual_information

SHUFFLES = 10
"""Shuffles of the names behind the null; more change its third decimal."""
_ROWS_AT_ONCE = 2**22
SCORES: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "nmi": (normalised_mutual_information, 0.0),
    "ari": (adjusted_rand_index, -0.5),
}


class Pairs(NamedTuple):
    """Every landmark that an object's image shows."""

    image: Int[Tensor, " m"]
    name: Int[Tensor, " m"]
    """Index of the landmark's name."""
    point: Float[Tensor, "m 2"]
    """Where it lies, pixels."""


def landmark_pairs(truth: Truth, owned: Tensor) -> Pairs:
    """All pairs of an image of an object and a landmark that it shows."""
    image, name = (truth.present & owned[:, None]).nonzero(as_tuple=True)
    return Pairs(image, name, truth.landmarks[image, name])


def grid_labels(point: Float[Tensor, "m 2"], labels: int, side: float, finest: int) -> Int[Tensor, " m"]:
    """The cell of a square grid over the crop in which each point lies, as a filter bound to that cell would say.

    Args:
        point: landmarks, pixels.
        labels: labels in use by what the grid is compared with; the grid has the next square number of cells.
        side: of the crop, pixels.
        finest: most cells along a side, those of the map.
    """
    cells = min(math.ceil(labels**0.5), finest)
    cell: Tensor = ((point + 0.5) * cells / side).long().clamp(0, cells - 1)
    label: Tensor = cell[:, 0] * cells + cell[:, 1]
    return label


def tables(label: Int[Tensor, " m"], pairs: Pairs, counts: Int[Tensor, "b n"]) -> Float[Tensor, "b l k"]:
    """How often each label meets each name in every bootstrap draw of the images."""
    _, row = torch.unique(label, return_inverse=True)
    rows, columns = int(row.max()) + 1, int(pairs.name.max()) + 1
    place = row * columns + pairs.name
    found = torch.zeros(len(counts), rows * columns, dtype=torch.float64)
    step = max(1, _ROWS_AT_ONCE // len(place))
    for first in range(0, len(counts), step):
        weight = counts[first : first + step, pairs.image].double()
        found[first : first + step].scatter_add_(1, place.expand_as(weight), weight)
    return found.reshape(len(counts), rows, columns)


def agreement(label: Int[Tensor, " m"], pairs: Pairs, counts: Int[Tensor, "b n"]) -> dict[str, Number]:
    """NMI and ARI of labels with the landmarks' names, with intervals over images."""
    images = len(torch.unique(pairs.image))
    if len(torch.unique(pairs.name)) < 2:
        return dict.fromkeys(SCORES, Number(float("nan"), float("nan"), float("nan"), images))
    once = tables(label, pairs, torch.ones(1, counts.shape[1], dtype=torch.int64))
    drawn = tables(label, pairs, counts)
    return {
        score: interval(float(of(once)), of(drawn), images, least=least, most=1.0)
        for score, (of, least) in SCORES.items()
    }


def shuffled(label: Int[Tensor, " m"], pairs: Pairs, counts: Int[Tensor, "b n"]) -> dict[str, Number]:
    """The same with the names dealt anew among all pairs: what as many labels score by chance."""
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(len(pairs.name), generator=generator) for _ in range(SHUFFLES)]
    found = [agreement(label, pairs._replace(name=pairs.name[o]), counts) for o in orders]

    def mean(score: str) -> Number:
        rows = torch.tensor([f[score][:3] for f in found], dtype=torch.float64)
        value, low, high = rows.mean(0).tolist()
        return Number(value, low, high, found[0][score].n)

    return {score: mean(score) for score in SCORES}


def landmark_agreement(
    levels: dict[str, dict[str, Int[Tensor, "n k"]]],
    truth: Truth,
    owned: Tensor,
    side: float,
    finest: int,
    counts: Int[Tensor, "b n"],
) -> dict[str, Any]:
    """NMI and ARI of every layer's labels at the landmarks, each level beside its own two nulls.

    Args:
        levels: for filters and for clusters of them, the label at each landmark of each image, by layer. The
            nulls have as many labels as the level's first layer uses.
        truth: the landmarks.
        owned: images of an object.
        side: of the crop, pixels.
        finest: units along a side of the map.
        counts: bootstrap multiplicities.
    """
    pairs = landmark_pairs(truth, owned)
    result: dict[str, Any] = {score: {} for score in SCORES}
    for level, layers in levels.items():
        labels = {name: of[pairs.image, pairs.name] for name, of in layers.items()}
        own = next(iter(labels.values()))
        grid = grid_labels(pairs.point, len(torch.unique(own)), side, finest)
        found = {name: agreement(label, pairs, counts) for name, label in labels.items()}
        found["null_grid"] = agreement(grid, pairs, counts)
        found["null_shuffled"] = shuffled(own, pairs, counts)
        for score in SCORES:
            result[score][level] = {name: numbers[score].as_json() for name, numbers in found.items()}
    return result
