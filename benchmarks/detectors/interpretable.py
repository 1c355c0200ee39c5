"""The interpretable CNN (paper, App. A; Zhang et al. 2018): the performer's own upper layers with part filters inside.

The top conv layer and one more behind it have a filter loss and masks, the layers above stay as they are, and all of
them learn to classify: no second track, no features to rebuild. The layers below the tap are frozen, so that it sees
what the explainer sees. Same images, epochs, batches, filter rule and strength as the explainer beside it; step sizes
of at most :data:`RATES`, since no norm-layer keeps magnitudes where they were: it fails on drawn creatures at 3e-3. Its
twin has the same masks and learns the same way without the filter loss, which tells what that loss costs.
"""

import math

import torch
from torch import Tensor, nn

from partscope.maths import map_gradient_norm, masked, robust_gradient
from partscope.nets import InterpretableMaps
from partscope.performers import Performer
from partscope.performers.learning import loss_of
from partscope.performers.segment import trainable_copy
from partscope.settings import ExplainerSettings, FitSettings
from partscope.training import FeatureStore, Labels, OnlineState, build_explainer, score_index, step_sizes, survey

REMEASURE_EVERY, WARM_UP = 10, 0.05
RATES = (3e-4, 2e-4)
"""Largest step sizes of Adam, of the interpretable layers and of those above."""


class InterpretableCnn(nn.Module):
    """From the tap's maps to scores; starts as the performer as far as masks allow."""

    scale: Tensor

    def __init__(self, performer: Performer, store: FeatureStore, labels: Labels, seed: int) -> None:
        super().__init__()
        objects = labels.category >= 0
        gain = survey(performer, store, objects).gain
        self.track = build_explainer(performer, store, gain, ExplainerSettings(), seed).interpretable
        rest = [step.module for step in performer.spine.steps[performer.plan.targets[-1] + 1 :]]
        self.upper = nn.Sequential(*performer.decoder_modules(), trainable_copy(rest))
        self.register_buffer("scale", torch.ones_like(gain))
        with torch.no_grad():  # masks take activation away: the copied layers shall find the magnitudes that they know
            total = torch.zeros_like(gain)
            for index, features in store.batches():
                total += self.pooled(self.maps(features.tap))[objects[index]].relu().sum((0, 2, 3))
            self.scale.copy_(gain / (total / int(objects.sum())).clamp(min=1e-6))

    def maps(self, tap: Tensor) -> InterpretableMaps:
        """Both interpretable layers' maps."""
        first = self.track.conv_interp_1(tap).relu()
        raw = self.track.conv_interp_2(masked(first))
        second = raw.relu()
        parts = masked(second)
        return InterpretableMaps(first, raw, second, parts, parts)

    def pooled(self, maps: InterpretableMaps) -> Tensor:
        """What the layers above take in."""
        pooled: Tensor = self.track.pool(maps.parts) * self.scale[:, None, None]
        return pooled

    def scores(self, maps: InterpretableMaps) -> Tensor:
        """The classification."""
        scores: Tensor = self.upper(self.pooled(maps))
        return scores


def learn(
    performer: Performer,
    store: FeatureStore,
    labels: Labels,
    settings: FitSettings,
    seed: int,
    rates: tuple[float, float] = RATES,
) -> InterpretableCnn:
    """Trains it on the features of the training images; its twin where `settings.filter_strength` is 0."""
    network = InterpretableCnn(performer, store, labels, seed)
    right = score_index(labels, performer.outputs)
    assert right is not None, "labels do not match the performer's scores"
    states = [OnlineState(len(network.scale), labels.owners) for _ in range(2)]
    own = step_sizes(settings, network.track.conv_interp_1.weight.shape[1])
    rates = (min(own[0], rates[0]), min(own[1], rates[1]))
    track = [*network.track.conv_interp_1.parameters(), *network.track.conv_interp_2.parameters()]
    weights = [track, list(network.upper.parameters())]
    optimiser = torch.optim.Adam([{"params": w} for w in weights], lr=1.0, fused=True)
    per_epoch = max(1, math.ceil(len(store) / settings.batch_size))
    steps = per_epoch * settings.epochs
    for step in range(steps):
        epoch, position = divmod(step, per_epoch)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        rows = torch.randperm(len(store), generator=generator).tensor_split(per_epoch)[position]
        maps = network.maps(store.rows(rows).tap)
        judged = right[rows] >= 0
        scores, answers = network.scores(maps)[judged], right[rows][judged]
        several = scores.shape[1] > 1
        loss = loss_of("softmax" if several else "logistic", scores, answers if several else answers[:, None].float())
        push = _filter_push(maps, states, labels, labels.category[rows], loss, settings, step)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss + push)
        nn.utils.clip_grad_norm_([w for group in weights for w in group], settings.clip or math.inf)
        course = min(1.0, (step + 1) / max(1, round(WARM_UP * steps))) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * course
        optimiser.step()
    return network.eval()


def _filter_push(
    maps: InterpretableMaps,
    states: list[OnlineState],
    labels: Labels,
    category: Tensor,
    loss: Tensor,
    settings: FitSettings,
    step: int,
) -> Tensor:
    """A term whose gradient is the filter loss's, in the asked ratio to the classification's, on both layers."""
    layers = (maps.first, maps.second)
    norms = torch.autograd.grad(loss, layers, retain_graph=True) if step % REMEASURE_EVERY == 0 else None
    push = loss.new_zeros(())
    for i, (state, map_) in enumerate(zip(states, layers, strict=True)):
        seen = map_.detach()
        state.see(seen, category)
        positive = state.positives(seen, category)
        counted = (state.category >= 0)[None].expand_as(positive)
        mine, other = _balance(state, labels, settings)
        gradient = robust_gradient(
            seen, positive, state.mean_peak, counted=counted, weight_positive=mine, weight_negative=other
        )
        if norms is not None:
            state.measure(map_gradient_norm(norms[i]), map_gradient_norm(gradient), step == 0)
        push = push + (state.strength(settings.filter_strength)[:, None, None] * gradient * map_).sum()
    return push


def _balance(state: OnlineState, labels: Labels, settings: FitSettings) -> tuple[Tensor, Tensor]:
    """Half the push each for a filter's positives and negatives, as in the explainer's learning."""
    ones = torch.ones(len(state.mean_peak))
    if settings.labels == "single":
        return ones, ones
    share = torch.bincount(labels.category.clamp(min=-1) + 1, minlength=len(labels.names) + 1)[1:]
    density = (share / len(labels.category)).clamp(0.01, 0.99)[state.category.clamp(min=0)]
    return 0.5 / density, 0.5 / (1 - density)
