"""The two tracks of the encoder (paper, 3.1 and Fig. 2)."""

from typing import Literal, NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from partscope.maths import masked
from partscope.nets.layers import MagnitudeNorm


class InterpretableMaps(NamedTuple):
    """What the interpretable track computes for a batch."""

    first: Float[Tensor, "n d h w"]
    """conv-interp-1 after its ReLU, before its mask: where the first filter loss acts."""
    raw: Float[Tensor, "n d h w"]
    """conv-interp-2 before its ReLU: where part locations are read."""
    second: Float[Tensor, "n d h w"]
    """conv-interp-2 after its ReLU, before its mask: where the second filter loss acts."""
    parts: Float[Tensor, "n d h w"]
    """conv-interp-2 after its mask: one peak a map."""
    output: Float[Tensor, "n d hp wp"]
    """x_interp: pooled and normalised."""


class OrdinaryMaps(NamedTuple):
    """What the ordinary track computes for a batch."""

    maps: Float[Tensor, "n d h w"]
    """conv-ordin after its ReLU."""
    output: Float[Tensor, "n d hp wp"]
    """x_ordin: pooled and normalised."""


@final
class InterpretableTrack(nn.Module):
    """conv-interp-1, ReLU, mask, conv-interp-2, ReLU, mask, pool, norm.

    Args:
        channels_in: channels of the tap.
        channels: filters D of either conv layer.
        pool: the performer's own pooling, or the identity.
        magnitude: mode of the norm-layer.
        masks: False leaves the masks out (an ablation).
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        pool: nn.Module,
        magnitude: Literal["batch", "running"],
        masks: bool = True,
        reach: int = 3,
        first_mask: bool = True,
        place: float = 0.0,
    ) -> None:
        super().__init__()
        self.first_mask, self.place = first_mask, place
        self.register_buffer("mean_place", torch.zeros(channels, 2))
        self.register_buffer("var_place", torch.full((channels,), 1e6))
        self.register_buffer("placed", torch.zeros(channels, dtype=torch.bool))
        self.conv_interp_1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.conv_interp_2 = nn.Conv2d(channels, channels, reach, padding=reach // 2)
        self.pool = pool
        self.norm = MagnitudeNorm(channels, magnitude)
        self.masks = masks

    def forward(self, x: Float[Tensor, "n c h w"], counted: Bool[Tensor, " n"] | None = None) -> InterpretableMaps:
        """Runs the track; ``counted`` images set the norm-layer's magnitude in training."""
        first = self.conv_interp_1(x).relu()
        raw = self.conv_interp_2(masked(first) if self.masks and self.first_mask else first)
        if self.place > 0:
            raw = raw * self._window(raw)
            if self.training and counted is not None and bool(counted.any()):
                self._see(raw.detach()[counted])
        second = raw.relu()
        parts = masked(second) if self.masks else second
        return InterpretableMaps(first, raw, second, parts, self.norm(self.pool(parts), counted))


    def _window(self, raw: Tensor) -> Tensor:
        rows = torch.arange(raw.shape[2], device=raw.device, dtype=raw.dtype)
        columns = torch.arange(raw.shape[3], device=raw.device, dtype=raw.dtype)
        d = (rows[:, None] - self.mean_place[:, 0, None, None]).square() + (
            columns - self.mean_place[:, 1, None, None]
        ).square()
        window = torch.exp(-0.5 * self.place * d / self.var_place.clamp(min=1.0)[:, None, None])
        return torch.where(raw > 0, window, 1.0)

    @torch.no_grad()
    def _see(self, raw: Tensor) -> None:
        peak, unit = raw.flatten(2).max(2)
        live = (peak > 0).to(raw.dtype)
        n = live.sum(0)
        points = torch.stack([unit // raw.shape[3], unit % raw.shape[3]], 2).to(raw.dtype)
        weight = (live * peak / (live * peak).sum(0).clamp(min=1e-9))[..., None]
        mean = (points * weight).sum(0)
        var = ((points - mean).square().sum(2) * weight[..., 0]).sum(0) / 2
        rate = torch.where(self.placed, 0.05, 1.0) * (n > 1)
        self.mean_place.lerp_(mean, rate[:, None])
        self.var_place.lerp_(var, rate)
        self.placed |= n > 1


@final
class OrdinaryTrack(nn.Module):
    """conv-ordin, ReLU, pool, norm; arguments as for the interpretable track."""

    def __init__(
        self, channels_in: int, channels: int, pool: nn.Module, magnitude: Literal["batch", "running"]
    ) -> None:
        super().__init__()
        self.conv_ordin = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.pool = pool
        self.norm = MagnitudeNorm(channels, magnitude)

    def forward(self, x: Float[Tensor, "n c h w"], counted: Bool[Tensor, " n"] | None = None) -> OrdinaryMaps:
        """Runs the track; ``counted`` images set the norm-layer's magnitude in training."""
        maps = self.conv_ordin(x).relu()
        return OrdinaryMaps(maps, self.norm(self.pool(maps), counted))
