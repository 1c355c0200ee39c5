"""The norm-layer: every channel of a track gets the same mean total activation."""

from typing import Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from partscope.maths import clamp_magnitude, limit_magnitude, magnitude, normalise

LARGEST = 32.0
"""Mean maps that one map counts for at most where alpha is a running mean, as in a batch of the default's size."""


@final
class MagnitudeNorm(nn.Module):
    """Divides each channel by its mean total activation alpha_k over the counted images (paper, 3.1).

    In training ``batch`` takes alpha from the batch and lets the gradient through it, as batch
    normalisation does; ``running`` takes the running mean without gradient. Evaluation always takes the
    running mean, so a map's value then depends on its own image alone; after training with ``batch`` no map counts for
    more than :data:`LARGEST` mean ones, as none could in training.

    Args:
        channels: number of channels D.
        mode: what alpha is in training.
        momentum: share of the batch in the running mean at each step.
    """

    alpha: Tensor

    def __init__(self, channels: int, mode: Literal["batch", "running"], momentum: float = 0.05) -> None:
        super().__init__()
        self.mode = mode
        self.momentum = momentum
        self.register_buffer("alpha", torch.ones(channels))

    def forward(
        self, x: Float[Tensor, "n d h w"], counted: Bool[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n d h w"]:
        """Normalises ``x``; in training also moves the running alpha by the ``counted`` images' own."""
        if not self.training or counted is None or not bool(counted.any()):
            found = normalise(x, clamp_magnitude(self.alpha))
            return limit_magnitude(found, LARGEST) if self.mode == "batch" else found
        batch = magnitude(x, counted)
        with torch.no_grad():
            self.alpha.lerp_(batch.detach(), self.momentum)
        return normalise(x, clamp_magnitude(batch if self.mode == "batch" else self.alpha.clone()))
