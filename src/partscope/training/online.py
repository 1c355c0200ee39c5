"""Running statistics of the filter loss, kept per interpretable layer."""

from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from partscope.maths import filter_strength

OWNER_MOMENTUM = 0.1
NORM_MOMENTUM = 0.1


@final
class OnlineState(nn.Module):
    """What one interpretable layer's filter loss remembers between steps; buffers only, so it saves itself.

    Args:
        channels: filters D.
        categories: categories C; the running mean of each says which filter is whose.
        owners: which categories may own filters.
    """

    activation: Tensor
    seen: Tensor
    mean_peak: Tensor
    norm_reconstruction: Tensor
    norm_filter: Tensor
    owners: Tensor

    def __init__(self, channels: int, owners: Bool[Tensor, " c"]) -> None:
        super().__init__()
        self.register_buffer("activation", torch.zeros(channels, len(owners)))
        self.register_buffer("seen", torch.zeros(len(owners), dtype=torch.bool))
        self.register_buffer("mean_peak", torch.zeros(channels))
        self.register_buffer("norm_reconstruction", torch.zeros(channels))
        self.register_buffer("norm_filter", torch.zeros(channels))
        self.register_buffer("owners", owners)

    @torch.no_grad()
    def see(self, maps: Float[Tensor, "n d h w"], category: Int[Tensor, " n"]) -> None:
        """Moves each category's mean activation (paper, App. H) by the batch's own."""
        totals = maps.sum((2, 3))
        for c in sorted(set(category.tolist())):
            if c >= 0:
                batch = totals[category == c].mean(0)
                rate = OWNER_MOMENTUM if bool(self.seen[c]) else 1.0
                self.activation[:, c].lerp_(batch, rate)
                self.seen[c] = True

    @property
    def category(self) -> Int[Tensor, " d"]:
        """Each filter's category: the one whose images excite it most; -1 where none may own filters."""
        if not bool((self.owners & self.seen).any()):
            return torch.full((len(self.mean_peak),), -1, device=self.mean_peak.device)
        return self.activation.masked_fill(~(self.owners & self.seen), -torch.inf).argmax(1)

    @torch.no_grad()
    def positives(self, maps: Float[Tensor, "n d h w"], category: Int[Tensor, " n"]) -> Bool[Tensor, "n d"]:
        """Says which images are of each filter's category, and moves the filters' mean peak by them."""
        positive = category[:, None] == self.category[None]
        peaks = maps.amax((2, 3))
        count = positive.sum(0)
        mean = (peaks * positive).sum(0) / count.clamp(min=1)
        rate = torch.where(self.mean_peak > 0, OWNER_MOMENTUM, 1.0) * (count > 0)
        self.mean_peak.lerp_(mean, rate)
        return positive

    @torch.no_grad()
    def measure(self, reconstruction: Float[Tensor, " d"], filter_loss: Float[Tensor, " d"], first: bool) -> None:
        """Moves the mean gradient norms of both losses by a batch's own."""
        rate = 1.0 if first else NORM_MOMENTUM
        self.norm_reconstruction.lerp_(reconstruction, rate)
        self.norm_filter.lerp_(filter_loss, rate)

    def strength(self, share: float) -> Float[Tensor, " d"]:
        """lambda_f: makes the filter loss's gradient ``share`` times the reconstruction's, per filter."""
        return filter_strength(self.norm_reconstruction, self.norm_filter, share)
