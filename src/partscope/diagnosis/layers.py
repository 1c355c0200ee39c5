"""The two layers that the paper's figures compare, and one pass that looks at chosen filters of theirs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from partscope.diagnosis.observe import Peaks, field_of
from partscope.maths import ReceptiveField, conv_chain_field, part_location, unit_points
from partscope.nets import Explainer
from partscope.performers import Performer, top_layer
from partscope.training import FeatureStore


class Layer(NamedTuple):
    """A layer whose filters are drawn."""

    name: str
    """What a person calls it, e.g. ``conv5`` or ``conv-interp-2``."""
    maps: Callable[[Tensor], Tensor]
    """Turns the tap's maps (N, D, L, L) into this layer's (N, F, U, V), after ReLU and mask, without gradient."""
    field: ReceptiveField
    """Centres of its units as the diagnosis reads them, and the side of the theoretical receptive field, px."""


class Seen(NamedTuple):
    """A layer on all images."""

    peaks: Peaks
    """Of all its filters."""
    maps: Float[Tensor, "n c u v"]
    """Of the chosen filters, half precision."""
    chosen: tuple[int, ...]
    """Those filters."""

    def map_of(self, filter_: int, image: int) -> Float[Tensor, "u v"]:
        """The map of one filter on one image."""
        return self.maps[image, self.chosen.index(filter_)].float()


def explainer_layer(explainer: Explainer, performer: Performer, tap: Tensor) -> Layer:
    """conv-interp-2 after its ReLU and mask: 3x3 convolutions twice on the tap.

    Args:
        explainer: fitted.
        performer: the network, for the tap's field.
        tap: the tap's maps of any image, for their size.
    """

    @torch.no_grad()
    def maps(features: Tensor) -> Tensor:
        parts: Tensor = explainer.interpretable(features).parts
        return parts

    field = conv_chain_field([(3, 1, 1), (3, 1, 1)], field_of(performer, tap, tap))
    return Layer("conv-interp-2", maps, field)


def performer_layer(performer: Performer, tap: Tensor) -> Layer:
    """The performer's top conv layer after its ReLU.

    Args:
        performer: the network.
        tap: the tap's maps of any image, for their size.
    """
    top = top_layer(performer)

    @torch.no_grad()
    def maps(features: Tensor) -> Tensor:
        return top.maps(features).relu()

    centres = field_of(performer, maps(tap[:1]), tap)
    return Layer(top.name, maps, centres._replace(size=top.field().size))


def look(
    store: FeatureStore, layers: Mapping[str, tuple[Layer, Sequence[int]]], batch_size: int = 64
) -> Iterator[int | dict[str, Seen]]:
    """Goes through all images once.

    Args:
        store: features of the images.
        layers: by key, a layer and those of its filters whose maps are to be kept.
        batch_size: images at a time.

    Yields:
        Images done so far, and last what was seen of each layer.
    """
    rows: dict[str, list[tuple[Tensor, ...]]] = {key: [] for key in layers}
    units = dict.fromkeys(layers, 0)
    for index, features in store.batches(batch_size):
        for key, (layer, chosen) in layers.items():
            maps = layer.maps(features.tap)
            found = part_location(maps)
            points = unit_points(found.unit, maps.shape[3], layer.field, layer.field)
            kept = maps[:, torch.tensor(list(chosen), dtype=torch.long, device=maps.device)].half()
            row = (found.unit, found.peak, maps.sum((2, 3)), points, kept)
            rows[key].append(tuple(value.cpu() for value in row))
            units[key] = maps.shape[2] * maps.shape[3]
        yield int(index[-1]) + 1
    seen = {}
    for key, (_, chosen) in layers.items():
        unit, score, total, points, maps = (torch.cat(parts) for parts in zip(*rows[key], strict=True))
        seen[key] = Seen(Peaks(unit, score, total, points, units[key]), maps, tuple(chosen))
    yield seen


def threshold(maps: Float[Tensor, "n u v"], share: float) -> float:
    """Value that a share of a filter's activations lie above.

    Args:
        maps: one filter's maps.
        share: 0 to 1.

    >>> threshold(torch.arange(10.0).view(1, 2, 5), 0.2)
    7.0
    """
    values = maps.float().flatten().sort(descending=True).values
    return float(values[min(int(share * len(values)), len(values) - 1)])


def exciting_images(
    score: Float[Tensor, " n"], tau: float, candidates: Int[Tensor, " m"], count: int, generator: torch.Generator
) -> list[int]:
    """Images to show of a filter: drawn at random among those whose peak reaches tau, strongest first.

    Where too few do, the strongest ones are taken instead, as in the released code. Silent images are never shown.

    Args:
        score: the filter's peak on each image.
        tau: the threshold.
        candidates: images to choose among.
        count: how many.
        generator: of random numbers.

    Returns:
        Their indices.
    """
    active = candidates[score[candidates] > 0]
    over = active[score[active] >= tau]
    if len(over) >= count:
        picked = over[torch.randperm(len(over), generator=generator)[:count]]
    else:
        picked = active[score[active].argsort(descending=True, stable=True)[:count]]
    order = score[picked].argsort(descending=True, stable=True)
    return [int(i) for i in picked[order]]
