"""The decoder: the performer's own next modules, copied and trained on."""

from collections.abc import Sequence
from typing import final

from jaxtyping import Float
from torch import Tensor, nn


@final
class Decoder(nn.Module):
    """Turns x_enc into one reconstruction per target (paper, 3.1; fc-dec-1 and fc-dec-2).

    Args:
        segments: copies of the performer's modules; segment l turns target l - 1 into target l.
        gain: c_k, the performer's own mean total activation of channel k where the segments begin; x_enc,
            whose channels have mean total 1, is multiplied by it so that the copied weights fit from the
            first step. Ones leave x_enc as it is.
    """

    gain: Tensor

    def __init__(self, segments: Sequence[nn.Module], gain: Float[Tensor, " d"]) -> None:
        super().__init__()
        self.segments = nn.ModuleList(segments)
        self.register_buffer("gain", gain.detach().clone().float())

    def train(self, mode: bool = True) -> "Decoder":
        """Keeps copied batch norms and dropouts in evaluation: they are the performer's."""
        super().train(mode)
        for segment in self.segments:
            segment.eval()
        return self

    def forward(self, encoded: Float[Tensor, "n d h w"]) -> tuple[Tensor, ...]:
        """Returns the reconstructions of all targets, in the performer's order."""
        x = encoded * self.gain[:, None, None]
        outputs = []
        for segment in self.segments:
            x = segment(x)
            outputs.append(x)
        return tuple(outputs)
