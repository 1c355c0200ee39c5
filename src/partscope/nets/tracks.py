"""The two tracks of the encoder (paper, 3.1 and Fig. 2)."""

from typing import Literal, NamedTuple, final

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
    ) -> None:
        super().__init__()
        self.conv_interp_1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.conv_interp_2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.pool = pool
        self.norm = MagnitudeNorm(channels, magnitude)
        self.masks = masks

    def forward(self, x: Float[Tensor, "n c h w"], counted: Bool[Tensor, " n"] | None = None) -> InterpretableMaps:
        """Runs the track; ``counted`` images set the norm-layer's magnitude in training."""
        first = self.conv_interp_1(x).relu()
        raw = self.conv_interp_2(masked(first) if self.masks else first)
        second = raw.relu()
        parts = masked(second) if self.masks else second
        return InterpretableMaps(first, raw, second, parts, self.norm(self.pool(parts), counted))


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
