"""Detectors that need no network of their own: channels, random projections, k-means, NMF."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import MiniBatchNMF
from torch import Tensor
from torch.nn import functional

from partscope.training import FeatureStore

MOST, SAMPLES = 64, 40_000
Maps = Callable[[Tensor], Tensor]
"""From a layer's maps (N, C, H, W) to maps of one channel a detector."""


class Detectors(NamedTuple):
    """What a method makes of a layer's maps (N, C, H, W)."""

    code: Maps
    """Maps (N, L, H, W) of everything that the method finds."""
    chosen: Tensor | None = None
    """The channels of the code that are judged as detectors; None takes all."""
    rebuild: Maps | None = None
    """From the code back to the layer's maps, where the method can."""
    about: dict[str, int] = {}
    """What else is worth keeping."""


def channels(sample: Tensor, count: int, seed: int) -> Detectors:
    """The layer's own channels."""
    del sample, count, seed
    return Detectors(lambda maps: maps)


def projections(sample: Tensor, count: int, seed: int) -> Detectors:
    """Random directions of the centred features."""
    generator = torch.Generator().manual_seed(seed)
    weight = functional.normalize(torch.randn(count, sample.shape[1], generator=generator), dim=1)
    mean = sample.mean(0)[:, None, None]
    return Detectors(lambda maps: torch.einsum("fc,nchw->nfhw", weight, maps - mean))


def clusters(sample: Tensor, count: int, seed: int) -> Detectors:
    """Cosine with the centres of k-means on centred features, above the mean of all centres."""
    mean = sample.mean(0)
    unit = functional.normalize(sample - mean, dim=1)
    found = MiniBatchKMeans(count, random_state=seed, n_init=3, batch_size=4096).fit(unit.numpy())
    centres = functional.normalize(torch.from_numpy(found.cluster_centers_).float(), dim=1)

    def maps_of(maps: Tensor) -> Tensor:
        near = torch.einsum("fc,nchw->nfhw", centres, functional.normalize(maps - mean[:, None, None], dim=1))
        return near - near.mean(1, keepdim=True)

    return Detectors(maps_of)


def factors(sample: Tensor, count: int, seed: int) -> Detectors:
    """Coefficients of non-negative matrix factorisation."""
    model = MiniBatchNMF(count, random_state=seed, batch_size=4096, max_iter=20).fit(sample.relu().numpy())
    parts = torch.from_numpy(model.components_).float()

    def maps_of(maps: Tensor) -> Tensor:
        n, _, height, width = maps.shape
        flat = maps.relu().permute(0, 2, 3, 1).flatten(0, 2).numpy()
        return torch.from_numpy(model.transform(flat)).float().view(n, height, width, count).permute(0, 3, 1, 2)

    return Detectors(maps_of, rebuild=lambda code: torch.einsum("fc,nfhw->nchw", parts, code))


def sampled(store: FeatureStore, maps_of: Callable[[Any], Tensor], most: int, seed: int = 0) -> Tensor:
    """Positions drawn from the training images' maps, as many from each, (M, C)."""
    generator = torch.Generator().manual_seed(seed)
    each = max(1, most // len(store))
    rows = []
    for _, features in store.batches():
        flat = maps_of(features).permute(0, 2, 3, 1).flatten(1, 2)
        drawn = torch.rand(flat.shape[:2], generator=generator).argsort(1)[:, :each]
        rows.append(flat.gather(1, drawn[..., None].expand(-1, -1, flat.shape[2])).flatten(0, 1))
    return torch.cat(rows)
