"""The explainer: two tracks, one mixing weight, one decoder (paper, Fig. 2)."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from partscope.maths import mix, mixing_weight
from partscope.nets.decoder import Decoder
from partscope.nets.tracks import InterpretableMaps, InterpretableTrack, OrdinaryMaps, OrdinaryTrack
from partscope.settings import ExplainerSettings

Silenced = Literal["interpretable", "ordinary"]


class Explained(NamedTuple):
    """What the explainer computes for a batch."""

    outputs: tuple[Tensor, ...]
    """Reconstructions of the targets."""
    interpretable: InterpretableMaps
    ordinary: OrdinaryMaps


@final
class Explainer(nn.Module):
    """Auto-encoder over a performer's tap that stands in for its top unit and next modules.

    Knows nothing of images or of the performer: features in, reconstructed features out.

    Args:
        channels_in: channels of the tap.
        channels: filters D, the channels that the decoder expects.
        pool: pooling of both tracks.
        segments: the decoder's modules, see :class:`Decoder`.
        gain: the decoder's gain, shape (D,).
        pooled_size: height and width of the pooled maps.
        settings: architecture options.
    """

    w_p: nn.Parameter
    mean_interpretable: Tensor
    mean_ordinary: Tensor

    def __init__(
        self,
        channels_in: int,
        channels: int,
        pool: nn.Module,
        segments: Sequence[nn.Module],
        gain: Float[Tensor, " d"],
        pooled_size: tuple[int, int],
        settings: ExplainerSettings,
    ) -> None:
        super().__init__()
        self.interpretable = InterpretableTrack(channels_in, channels, pool, settings.magnitude, settings.masks)
        self.ordinary = OrdinaryTrack(channels_in, channels, pool, settings.magnitude)
        self.decoder = Decoder(segments, gain if settings.decoder_scale else torch.ones_like(gain))
        p = start_of_p(settings, self.decoder)
        self.w_p = nn.Parameter(torch.tensor(math.log(p / (1 - p))))
        self.register_buffer("mean_interpretable", torch.zeros(channels, *pooled_size))
        self.register_buffer("mean_ordinary", torch.zeros(channels, *pooled_size))

    @property
    def p(self) -> Float[Tensor, ""]:
        """The mixing weight p = sigmoid(w_p)."""
        return mixing_weight(self.w_p)

    def encode(
        self, x: Float[Tensor, "n c h w"], counted: Bool[Tensor, " n"] | None = None
    ) -> tuple[InterpretableMaps, OrdinaryMaps]:
        """Runs both tracks on the tap's features."""
        return self.interpretable(x, counted), self.ordinary(x, counted)

    def decode(
        self,
        interpretable: Float[Tensor, "n d h w"],
        ordinary: Float[Tensor, "n d h w"],
        silenced: Silenced | None = None,
    ) -> tuple[Tensor, ...]:
        """Mixes both tracks' outputs and reconstructs the targets.

        Args:
            interpretable: x_interp.
            ordinary: x_ordin.
            silenced: this track's output is replaced by its mean over the training images.
        """
        if silenced == "interpretable":
            interpretable = self.mean_interpretable.expand_as(interpretable)
        if silenced == "ordinary":
            ordinary = self.mean_ordinary.expand_as(ordinary)
        outputs: tuple[Tensor, ...] = self.decoder(mix(self.p, interpretable, ordinary))
        return outputs

    def _repr_html_(self) -> str:
        """How a notebook shows it: its size and the mixing weight."""
        filters, channels = self.interpretable.conv_interp_1.weight.shape[:2]
        rows = {
            "part filters": f"{filters:,}",
            "channels of the tap": f"{channels:,}",
            "mixing weight p": f"{float(self.p.detach()):.3f}",
            "masks": "yes" if self.interpretable.masks else "no",
            "parameters": f"{sum(weight.numel() for weight in self.parameters()):,}",
        }
        lines = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows.items())
        return f"<table><caption>Explainer</caption><tbody>{lines}</tbody></table>"

    def forward(
        self,
        x: Float[Tensor, "n c h w"],
        counted: Bool[Tensor, " n"] | None = None,
        dropped: Bool[Tensor, " n"] | None = None,
    ) -> Explained:
        """Reconstructs every target from the tap's features.

        Args:
            x: the tap's features.
            counted: images whose magnitudes set the norm-layers in training; None uses the running ones.
            dropped: images that are rebuilt without their own ordinary features: the batch's mean stands in.
        """
        interpretable, ordinary = self.encode(x, counted)
        passed = ordinary.output
        if dropped is not None:
            passed = torch.where(dropped[:, None, None, None], passed.mean(0, keepdim=True), passed)
        return Explained(self.decode(interpretable.output, passed), interpretable, ordinary)


def start_of_p(settings: ExplainerSettings, decoder: nn.Module) -> float:
    """The mixing weight to start with, where it is not given: conv layers see single peaks in full height.

    >>> start_of_p(ExplainerSettings(), nn.Linear(2, 2)), start_of_p(ExplainerSettings(), nn.Conv2d(2, 2, 1))
    (0.5, 0.1)
    """
    if settings.initial_p is not None:
        return settings.initial_p
    return 0.1 if any(isinstance(module, nn.Conv2d) for module in decoder.modules()) else 0.5
