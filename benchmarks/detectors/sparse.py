"""A TopK sparse autoencoder of a layer's positions (Gao et al. 2024, "Scaling and evaluating sparse autoencoders").

z = relu(TopK(W (x - m) / s + b)), x^ = m + s D z, the columns of D of norm 1, W starting as D transposed. What is
minimised is the squared error over the variance, and 1/32 of the same for the error that is left, rebuilt by latents
that have been silent for :data:`SILENT` positions: without it most latents die.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

OVERCOMPLETE, LATENTS, ACTIVE = 4, 1024, 24
"""Latents per channel, most latents, and how many are active at a position."""
EPOCHS, BATCH, RATE = 8, 512, 1e-3
SILENT, REVIVED = 30_000, 1 / 32


class SparseCode(NamedTuple):
    """A learned autoencoder."""

    encoder: Tensor
    """(L, C)."""
    bias: Tensor
    """(L,)."""
    decoder: Tensor
    """(L, C), rows of norm 1."""
    mean: Tensor
    scale: Tensor
    active: int

    def encode(self, x: Tensor) -> Tensor:
        """Latents (M, L) of positions (M, C); at most `active` of them are above 0."""
        return strongest((x - self.mean) / self.scale @ self.encoder.T + self.bias, self.active)

    def decode(self, z: Tensor) -> Tensor:
        """Positions (M, C) of latents."""
        return z @ self.decoder * self.scale + self.mean

    def code(self, maps: Tensor) -> Tensor:
        """Latent maps (N, L, H, W) of maps (N, C, H, W)."""
        n, _, height, width = maps.shape
        z = self.encode(maps.permute(0, 2, 3, 1).flatten(0, 2))
        return z.view(n, height, width, -1).permute(0, 3, 1, 2)

    def rebuild(self, code: Tensor) -> Tensor:
        """Maps of latent maps; features lie behind a ReLU, so that nothing below 0 is meant."""
        n, _, height, width = code.shape
        x = self.decode(code.permute(0, 2, 3, 1).flatten(0, 2))
        return x.relu().view(n, height, width, -1).permute(0, 3, 1, 2)


def strongest(values: Tensor, count: int) -> Tensor:
    """The `count` largest values of each row where they are above 0; the others are 0."""
    top, index = values.topk(min(count, values.shape[1]), 1)
    return torch.zeros_like(values).scatter(1, index, top.relu())


def learn(
    sample: Tensor, seed: int, *, latents: int, active: int, epochs: int = EPOCHS, patience: int = SILENT
) -> SparseCode:
    """Learns the autoencoder of positions (M, C).

    Args:
        sample: positions.
        seed: of the start and the order.
        latents: L.
        active: latents active at a position.
        epochs: passes over the positions.
        patience: positions after which a latent that stayed silent is called dead.
    """
    generator = torch.Generator().manual_seed(seed)
    mean = sample.mean(0)
    scale = (sample - mean).square().mean().sqrt()
    x = (sample - mean) / scale
    decoder = functional.normalize(torch.randn(latents, x.shape[1], generator=generator), dim=1)
    weights = [w.requires_grad_() for w in (decoder.clone(), torch.zeros(latents), decoder, torch.zeros(x.shape[1]))]
    encoder, bias, decoder, centre = weights
    optimiser = torch.optim.Adam(weights, lr=RATE, fused=True)
    silent = torch.zeros(latents)
    steps, step = epochs * -(-len(x) // BATCH), 0
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            batch = x[rows]
            before = (batch - centre) @ encoder.T + bias
            z = strongest(before, active)
            left = batch - centre - z @ decoder
            variance = batch.var(0, unbiased=False).sum()
            loss = left.square().sum(1).mean() / variance
            silent = torch.where((z > 0).any(0), 0, silent + len(rows))
            dead = silent > patience
            if bool(dead.any()):
                again = strongest(before.masked_fill(~dead, 0), x.shape[1] // 2) @ decoder
                loss = loss + REVIVED * (again - left.detach()).square().sum(1).mean() / variance
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            with torch.no_grad():  # only what turns a unit vector, not what lengthens it
                assert decoder.grad is not None
                decoder.grad -= (decoder.grad * decoder).sum(1, keepdim=True) * decoder
            for group in optimiser.param_groups:
                group["lr"] = RATE * min(1.0, (step + 1) / 50, 5 * (steps - step) / steps)
            optimiser.step()
            step += 1
            with torch.no_grad():
                decoder.copy_(functional.normalize(decoder, dim=1))
    encoder, bias, decoder, centre = (w.detach() for w in weights)
    return SparseCode(encoder, bias, decoder, mean + scale * centre, scale, active)


@torch.no_grad()
def uses(code: Callable[[Tensor], Tensor], maps: Iterable[Tensor]) -> Tensor:
    """On how many images each latent is active somewhere; ties go by how many positions."""
    total: Tensor | None = None
    for batch in maps:
        active = code(batch) > 0
        images, places = active.flatten(2).any(2).double().sum(0), active.double().mean((0, 2, 3))
        total = images + 1e-6 * places if total is None else total + images + 1e-6 * places
    assert total is not None
    return total
