"""Trainable copies of a performer's modules."""

import copy
from collections.abc import Sequence
from typing import final

from jaxtyping import Float
from torch import Tensor, nn


@final
class Segment(nn.Sequential):
    """Copied modules in order, always in evaluation mode: no dropout, batch statistics as learned."""

    def train(self, mode: bool = True) -> "Segment":
        """Stay in evaluation mode whatever the explainer around it does."""
        super().train(False)
        return self


@final
class _Clone(nn.Module):
    """Hands on a copy, for a module after it that needs to overwrite its input."""

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return a copy."""
        return x.clone()


def trainable_copy(modules: Sequence[nn.Module]) -> Segment:
    """Copy modules, weights and all.

    Args:
        modules: the performer's own modules, in order.

    Returns:
        Their copies with trainable weights and without dropout; single layers work out of place.
    """
    parts = [_without_dropout(copy.deepcopy(module)) for module in modules]
    for part in parts:
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
    if any(getattr(inner, "inplace", False) is True for part in parts for inner in part.modules()):
        parts = [copied for part in parts for copied in (_Clone(), part)]
    segment = Segment(*parts)
    segment.requires_grad_(True)
    return segment.train()


def _without_dropout(module: nn.Module) -> nn.Module:
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return nn.Identity()
    for name, child in module.named_children():
        replaced = _without_dropout(child)
        if replaced is not child:
            module.set_submodule(name, replaced)
    return module
