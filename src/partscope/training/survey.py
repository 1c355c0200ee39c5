"""One pass over the performer's features before training: the constants of the loss and of the start."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from partscope.nets import Explainer
from partscope.nets.start import (
    can_copy,
    start_from_conv,
    start_from_he,
    start_from_identity,
    start_from_pairs,
)
from partscope.performers import Performer
from partscope.performers.plan import POOL_TYPES
from partscope.settings import ExplainerSettings
from partscope.training.features import FeatureStore


class Survey(NamedTuple):
    """Constants of a frozen performer on the training images."""

    gain: Float[Tensor, " d"]
    """c_k: mean total activation of channel k of the pooled top unit, over the counted images."""
    target_norms: Float[Tensor, " l"]
    """E ||max(x*, 0)|| of each target, over all images (lambda_(l)'s denominator)."""


def survey(performer: Performer, store: FeatureStore, counted: Bool[Tensor, " n"]) -> Survey:
    """Measures the performer's magnitudes on the training images.

    Args:
        performer: the network.
        store: its features on the training images.
        counted: images that are objects, not negatives; all count if none is.
    """
    counted = counted if bool(counted.any()) else torch.ones_like(counted)
    gain: Tensor | None = None
    norms: Tensor | None = None
    with torch.no_grad():
        for index, features in store.batches():
            keep = counted[index].to(store.device)
            norm = torch.stack([t.relu().flatten(1).norm(dim=1).sum() for t in features.targets]).double().cpu()
            norms = norm if norms is None else norms + norm
            if bool(keep.any()):
                total = performer.top_output(features.tap[keep]).relu().sum((0, 2, 3)).double().cpu()
                gain = total if gain is None else gain + total
    assert gain is not None and norms is not None
    return Survey((gain / int(counted.sum())).float(), (norms / len(store)).float())


def build_explainer(
    performer: Performer,
    store: FeatureStore,
    gain: Float[Tensor, " d"],
    settings: ExplainerSettings,
    seed: int,
) -> Explainer:
    """Makes an explainer that starts as close to the performer's own top unit as its shape allows.

    conv-ordin and conv-interp-1 start as the performer's top conv layer; where the top unit is something
    else, as a censored regression of it; where it is empty, as the identity. conv-interp-2 starts near the
    identity, so that each filter begins as one of the performer's own channels and stays distinct.

    Args:
        performer: the network.
        store: its features on the training images; only a few are used, for the regression.
        gain: c_k, see :class:`Survey`.
        settings: architecture options.
        seed: draws the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    sample = store.rows(range(min(64, len(store))))
    with torch.no_grad():
        pooled = performer.top_output(sample.tap[:1])
    explainer = Explainer(
        sample.tap.shape[1],
        len(gain),
        performer.pool(),
        performer.decoder_modules(),
        gain,
        (pooled.shape[2], pooled.shape[3]),
        settings,
    )
    first, second = explainer.interpretable.conv_interp_1, explainer.interpretable.conv_interp_2
    _start_as_top_unit(explainer.ordinary.conv_ordin, performer, sample.tap, generator)
    if settings.start == "identity":
        first.load_state_dict(explainer.ordinary.conv_ordin.state_dict())
        start_from_identity(second, 0.1, generator)
    else:
        first.load_state_dict(explainer.ordinary.conv_ordin.state_dict())
        start_from_he(second, generator)
    return explainer


def empty_explainer(performer: Performer, tap: Float[Tensor, "n c h w"], settings: ExplainerSettings) -> Explainer:
    """Makes an explainer of the right shape whose weights are to be loaded."""
    with torch.no_grad():
        pooled = performer.top_output(tap[:1])
    return Explainer(
        tap.shape[1],
        pooled.shape[1],
        performer.pool(),
        performer.decoder_modules(),
        torch.ones(pooled.shape[1]),
        (pooled.shape[2], pooled.shape[3]),
        settings,
    )


def _plain_conv(performer: Performer) -> nn.Conv2d | None:
    """The top unit's convolution with a batch norm behind it folded in; None if more than ReLU and pooling follows."""
    conv, behind = performer.top_conv, [step.module for step in performer.top_unit[1:]]
    if conv is not None and behind and isinstance(behind[0], nn.BatchNorm2d):
        conv, behind = fuse_conv_bn_eval(conv, behind[0]), behind[1:]
    plain = (nn.ReLU, nn.Identity, *POOL_TYPES)
    return conv if all(isinstance(module, plain) for module in behind) else None


def _start_as_top_unit(
    layer: nn.Conv2d, performer: Performer, tap: Float[Tensor, "n c h w"], generator: torch.Generator
) -> None:
    conv = _plain_conv(performer)
    if conv is not None and can_copy(conv):
        start_from_conv(layer, conv)
    elif not performer.top_unit:
        start_from_identity(layer, 0.0, generator)
    else:
        with torch.no_grad():
            maps = performer.top_map(tap).relu()
        if maps.shape[2:] != tap.shape[2:]:
            maps = nn.functional.interpolate(maps, size=tap.shape[2:], mode="bilinear", align_corners=False)
        start_from_pairs(layer, tap, maps, generator)
