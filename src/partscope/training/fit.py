"""Learning the explainer by Eq. 1: the loop yields a record a step, the caller acts on it."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from partscope.errors import DivergedError, SettingsError
from partscope.maths import (
    blend,
    map_gradient_norm,
    mixing_loss,
    paper_gradient,
    reconstruction_loss,
    reconstruction_scale,
    released_gradient,
    robust_gradient,
)
from partscope.nets import Explained, Explainer
from partscope.settings import FitSettings
from partscope.training.features import FeatureStore
from partscope.training.online import OnlineState
from partscope.training.survey import Survey
from partscope.training.tail import Tail

REMEASURE_EVERY = 10
WARM_UP = 0.05


class Labels(NamedTuple):
    """Categories of the training images."""

    names: tuple[str, ...]
    category: Int[Tensor, " n"]
    """Index into ``names``; -1 for negatives."""
    owners: Bool[Tensor, " c"]
    """Which categories may own filters (`other` may not)."""


class StepRecord(NamedTuple):
    """What one step did."""

    step: int
    steps: int
    epoch: int
    loss: float
    reconstruction: float
    """The loss without its -log p term: the sum over targets of lambda |u - v|^2, or the classification loss."""
    p: float
    fvu: tuple[float, ...]
    """Share of each target's variance in the batch that is not reconstructed (before its activation)."""
    filter_share: float
    """Mean lambda_f-weighted norm of the filter loss's gradient over the reconstruction's."""
    images_per_second: float


WIDTH, WIDTH_RATES, LARGEST_RATE = 384, (5e-4, 2e-4), 3e-3
"""Channels of the tap of `alexnet_bvlc`, step sizes of its encoder and decoder, and the largest for an encoder."""


def step_sizes(settings: FitSettings, channels: int) -> tuple[float, float]:
    """Adam's step sizes for the encoder and the decoder, where they are not given.

    Adam moves every weight by about its step size, so that an output moves by the step size times the number of
    weights behind it (Yang et al. 2021, "Tensor Programs V"): wide layers take small steps.

    Args:
        settings: which may give either.
        channels: of the tap.

    >>> [f"{rate:.2g}" for rate in step_sizes(FitSettings(), 384) + step_sizes(FitSettings(), 2048)]
    ['0.0005', '0.0002', '9.4e-05', '3.7e-05']
    """
    scale = min(WIDTH / channels, LARGEST_RATE / WIDTH_RATES[0])
    given = (settings.learning_rate, settings.decoder_learning_rate)
    chosen = (float(f"{rate * scale:.3g}") for rate in WIDTH_RATES)  # three digits, as one would give them
    encoder, decoder = (rate if own is None else own for own, rate in zip(given, chosen, strict=True))
    return encoder, decoder


@final
class Learner:
    """An explainer in training: everything that changes from step to step, saved and restored whole.

    Args:
        explainer: on the device to train on.
        store: the performer's features on the training images.
        labels: the images' categories.
        constants: the performer's magnitudes on these images.
        settings: how to learn.
        tail: the judge of an explainer that learns by classification, see :func:`partscope.training.tail_of`.

    Raises:
        SettingsError: the settings ask for another objective than the one that is given.
    """

    def __init__(
        self,
        explainer: Explainer,
        store: FeatureStore,
        labels: Labels,
        constants: Survey,
        settings: FitSettings,
        tail: Tail | None = None,
    ) -> None:
        if (settings.objective == "classification") != (tail is not None):
            raise SettingsError(
                f"learning by {settings.objective}",
                "no tail to judge by" if tail is None else "a tail to judge by",
                "make the tail by tail_of(settings, performer, store, labels), or set fit.objective",
            )
        self.tail = tail
        self.explainer = explainer
        self.store = store
        self.labels = labels
        self.settings = settings
        self.device = explainer.w_p.device
        self.steps_per_epoch = max(1, math.ceil(len(store) / settings.batch_size))
        self.steps = self.steps_per_epoch * settings.epochs
        self.step = 0
        self.scales = [reconstruction_scale(float(n), settings.target_norm_power) for n in constants.target_norms]
        channels = len(constants.gain)
        self.first = OnlineState(channels, labels.owners).to(self.device)
        self.second = OnlineState(channels, labels.owners).to(self.device)
        decoder = list(explainer.decoder.parameters())
        encoder = [*explainer.interpretable.parameters(), *explainer.ordinary.parameters()]
        channels_in = explainer.interpretable.conv_interp_1.weight.shape[1]
        self._rates = (*step_sizes(settings, channels_in), settings.p_learning_rate)
        self.optimiser = torch.optim.Adam(
            [{"params": encoder}, {"params": decoder}, {"params": [explainer.w_p]}], lr=1.0, fused=True
        )

    def __iter__(self) -> Iterator[StepRecord]:
        """Yields a record a step until the last; may be left and taken up again at any step."""
        self.explainer.train()
        while self.step < self.steps:
            yield self._take_step()

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, as tensors with unique names."""
        state = {f"explainer.{k}": v for k, v in self.explainer.state_dict().items()}
        state |= {f"first.{k}": v for k, v in self.first.state_dict().items()}
        state |= {f"second.{k}": v for k, v in self.second.state_dict().items()}
        for i, slots in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{i}.{k}": torch.as_tensor(v) for k, v in slots.items()}
        state["step"] = torch.tensor(self.step)
        return {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Takes up from a saved :meth:`state`.

        Raises:
            KeyError, RuntimeError, ValueError: it is not a state of this learner.
        """

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}

        self.explainer.load_state_dict(part("explainer."))
        self.first.load_state_dict(part("first."))
        self.second.load_state_dict(part("second."))
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in part("optimiser.").items():
            number, name = key.split(".", 1)
            slots.setdefault(int(number), {})[name] = value
        weights = [w for group in self.optimiser.param_groups for w in group["params"]]
        for slot, held in slots.items():
            if any(v.shape not in ((), weights[slot].shape) for v in held.values()):
                raise ValueError(f"optimiser.{slot} has another shape than its weights")
        if not all(bool(torch.isfinite(v).all()) for v in state.values()):
            raise ValueError("it holds values that are not finite")
        if not 0 <= int(state["step"]) <= self.steps:
            raise ValueError(f"step {int(state['step'])} of {self.steps}")
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": slots})
        self.step = int(state["step"])

    def _batch(self) -> Tensor:
        """Rows of the current step: a fresh order each epoch, a function of seed and epoch alone."""
        epoch, position = divmod(self.step, self.steps_per_epoch)
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.store), generator=generator)
        return order.tensor_split(self.steps_per_epoch)[position]

    def _take_step(self) -> StepRecord:
        started = time.perf_counter()
        settings, explainer = self.settings, self.explainer
        rows = self._batch()
        features = self.store.rows(rows)
        category = self.labels.category[rows].to(self.device)
        counted = category >= 0 if bool((category >= 0).any()) else torch.ones_like(category, dtype=torch.bool)
        epoch = self.step // self.steps_per_epoch + 1

        explained = explainer(features.tap, counted, self._dropped(len(rows)))
        reconstruction = (
            reconstruction_loss(explained.outputs, features.targets, self.scales)
            if self.tail is None
            else self.tail.loss(explained.outputs[-1], rows)
        )
        loss = reconstruction + settings.eta * mixing_loss(explainer.w_p)
        push, share = self._filter_push(explained, category, reconstruction, epoch)
        self._set_rates()
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss + push)
        parameters = [w for group in self.optimiser.param_groups for w in group["params"]]
        limit = settings.clip if settings.clip > 0 else math.inf
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(float(norm))):
            raise DivergedError(
                f"taking step {self.step + 1} of {self.steps} (epoch {epoch})",
                f"a loss of {value} with a gradient norm of {float(norm)}",
                f"lower --fit.learning_rate (it was {self._rates[0]:.2g}) and fit into another folder; "
                "this one keeps its last good state",
            )
        self.optimiser.step()
        self.step += 1
        with torch.no_grad():
            fvu = tuple(
                float((u - v).square().sum() / (v - v.mean(0)).square().sum().clamp(min=1e-12))
                for u, v in zip(explained.outputs, features.targets, strict=True)
            )
        speed = len(rows) / (time.perf_counter() - started)
        rebuilt, p = float(reconstruction.detach()), float(explainer.p.detach())
        return StepRecord(self.step, self.steps, epoch, value, rebuilt, p, fvu, share, speed)

    def _dropped(self, images: int) -> Tensor | None:
        """Images of this step that do without their ordinary features; a function of seed and step alone."""
        if self.settings.ordinary_dropout == 0:
            return None
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.step)
        return (torch.rand(images, generator=generator) < self.settings.ordinary_dropout).to(self.device)

    def _set_rates(self) -> None:
        done = self.step / self.steps
        warm = min(1.0, (self.step + 1) / max(1, round(WARM_UP * self.steps)))
        course = 0.5 * (1 + math.cos(math.pi * done)) if self.settings.schedule == "cosine" else 1.0
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * warm * course

    def _filter_push(
        self, explained: Explained, category: Tensor, reconstruction: Tensor, epoch: int
    ) -> tuple[Tensor, float]:
        """A term whose gradient is sum_f lambda_f dLoss_f / dx_f on both interpretable layers.

        The norms of the reconstruction's gradient are measured on their own every ten steps, without the
        filter loss that reaches conv-interp-1 through conv-interp-2.
        """
        settings, explainer = self.settings, self.explainer
        if settings.filter_loss == "none":
            return reconstruction.new_zeros(()), 0.0
        first, second = explained.interpretable.first, explained.interpretable.second
        p = explainer.p if settings.filter_to_p else explainer.p.detach()
        mixed = blend(
            p,
            second / explainer.interpretable.norm.alpha[:, None, None].clamp(min=1e-6),
            explained.ordinary.maps / explainer.ordinary.norm.alpha[:, None, None].clamp(min=1e-6),
        )
        remeasure = self.step % REMEASURE_EVERY == 0
        norms = torch.autograd.grad(reconstruction, (first, second), retain_graph=True) if remeasure else None
        share = settings.filter_strength / (epoch if settings.filter_decay else 1)
        push, used = reconstruction.new_zeros(()), 0.0
        for i, (state, maps) in enumerate(((self.first, first), (self.second, mixed))):
            state.see(maps.detach(), category)
            positive = state.positives(maps.detach(), category)
            gradient = self._rule(maps.detach(), positive, state, epoch)
            if norms is not None:
                on_map = gradient
                if i == 1:
                    on_map = gradient * (p.detach() / explainer.interpretable.norm.alpha.clamp(min=1e-6))[:, None, None]
                state.measure(map_gradient_norm(norms[i]), map_gradient_norm(on_map), self.step == 0)
            weight = state.strength(share)
            push = push + (weight[:, None, None] * gradient * maps).sum()
            used += float((weight * state.norm_filter).sum() / state.norm_reconstruction.sum().clamp(min=1e-30)) / 2
        return push, used

    def _rule(self, maps: Tensor, positive: Tensor, state: OnlineState, epoch: int) -> Tensor:
        owned = state.category >= 0
        counted = owned[None].expand_as(positive)
        if self.settings.filter_loss == "paper":
            return paper_gradient(maps, positive, counted=counted)
        weights = self._balance(state)
        if self.settings.filter_loss == "released":
            return released_gradient(
                maps,
                positive,
                epoch=epoch,
                counted=counted,
                weight_positive=weights[0],
                weight_negative=weights[1],
            )
        return robust_gradient(
            maps,
            positive,
            state.mean_peak,
            counted=counted,
            weight_positive=weights[0],
            weight_negative=weights[1],
        )

    def _balance(self, state: OnlineState) -> tuple[Tensor, Tensor]:
        """Weights of a filter's positives and negatives: half the push each, whatever their numbers."""
        ones = torch.ones(len(state.mean_peak), device=self.device)
        if self.settings.labels == "single":
            return ones, ones
        share = torch.bincount(self.labels.category.clamp(min=-1) + 1, minlength=len(self.labels.names) + 1)[1:]
        density = (share / len(self.labels.category)).clamp(0.01, 0.99).to(self.device)
        mine = density[state.category.clamp(min=0)]
        return 0.5 / mine, 0.5 / (1 - mine)


@torch.no_grad()
def measure_means(explainer: Explainer, store: FeatureStore) -> None:
    """Sets both tracks' mean outputs over the training images, which stand in for a silenced track."""
    explainer.eval()
    totals: Sequence[Tensor] = ()
    for _, features in store.batches():
        interpretable, ordinary = explainer.encode(features.tap)
        sums = (interpretable.output.sum(0), ordinary.output.sum(0))
        totals = [a + b for a, b in zip(totals, sums, strict=True)] if totals else sums
    explainer.mean_interpretable.copy_(totals[0] / len(store))
    explainer.mean_ordinary.copy_(totals[1] / len(store))


@torch.no_grad()
def start_magnitudes(explainer: Explainer, store: FeatureStore, counted: Bool[Tensor, " n"]) -> None:
    """Starts the norm-layers from one pass over the counted images."""
    counted = counted if bool(counted.any()) else torch.ones_like(counted)
    explainer.eval()
    totals: Sequence[Tensor] = ()
    for index, features in store.batches():
        keep = counted[index].to(store.device)
        if bool(keep.any()):
            maps = explainer.encode(features.tap[keep])
            pooled = (explainer.interpretable.pool(maps[0].parts), explainer.ordinary.pool(maps[1].maps))
            sums = [m.relu().sum((0, 2, 3)) for m in pooled]
            totals = [a + b for a, b in zip(totals, sums, strict=True)] if totals else sums
    explainer.interpretable.norm.alpha.copy_(totals[0] / int(counted.sum()))
    explainer.ordinary.norm.alpha.copy_(totals[1] / int(counted.sum()))
