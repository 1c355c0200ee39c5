"""Where the explainer's conv layers start: from the performer's own top unit."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def dense_weight(conv: nn.Conv2d) -> Float[Tensor, "d c kh kw"]:
    """The weight of a grouped conv layer as that of one without groups, the blocks off its diagonal zero.

    >>> dense_weight(nn.Conv2d(4, 6, 3, groups=2)).shape
    torch.Size([6, 4, 3, 3])
    """
    d, c = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    weight = conv.weight.new_zeros(conv.out_channels, conv.in_channels, *conv.kernel_size)
    for g in range(conv.groups):
        rows, columns = slice(g * d, (g + 1) * d), slice(g * c, (g + 1) * c)
        weight[rows, columns] = conv.weight.detach()[rows]
    return weight


def can_copy(conv: nn.Conv2d) -> bool:
    """Whether a conv layer's weights fit the explainer's 3 x 3, stride 1, zero-padded layers."""
    same = conv.stride == (1, 1) and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    return same and (
        (conv.kernel_size == (3, 3) and conv.padding in ((1, 1), "same"))
        or (conv.kernel_size == (1, 1) and conv.padding in ((0, 0), "same", "valid"))
    )


def start_from_conv(layer: nn.Conv2d, conv: nn.Conv2d) -> None:
    """Copies ``conv`` (see :func:`can_copy`) into the explainer's ``layer``."""
    weight = dense_weight(conv)
    with torch.no_grad():
        layer.weight.copy_(weight if weight.shape[-1] == 3 else F.pad(weight, (1, 1, 1, 1)))
        layer.bias.copy_(conv.bias) if conv.bias is not None else layer.bias.zero_()  # type: ignore[union-attr]


def start_from_identity(layer: nn.Conv2d, noise: float, generator: torch.Generator) -> None:
    """Sets ``layer`` to the identity plus ``noise`` times He's normal start; the bias to zero."""
    assert layer.bias is not None
    with torch.no_grad():
        he = torch.randn(layer.weight.shape, generator=generator)
        layer.weight.copy_(he * noise * (2 / layer.weight[0].numel()) ** 0.5)
        layer.weight[:, :, 1, 1] += torch.eye(*layer.weight.shape[:2])
        layer.bias.zero_()


def start_from_he(layer: nn.Conv2d, generator: torch.Generator) -> None:
    """Sets ``layer`` to He's normal start; the bias to zero."""
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * (2 / layer.weight[0].numel()) ** 0.5)
        layer.bias.zero_()


def start_from_pairs(
    layer: nn.Conv2d,
    inputs: Float[Tensor, "n c h w"],
    outputs: Float[Tensor, "n d h w"],
    generator: torch.Generator,
    positions: int = 16384,
    rounds: int = 4,
) -> None:
    """Fits conv + ReLU to a unit that is no single conv layer, by censored ridge regression.

    Where the unit is silent and the layer is below zero already, there is nothing to mend: the target of
    such a position is the layer's own value (``rounds`` times). The ridge is 1e-3 of the mean variance.

    Args:
        layer: 3 x 3 layer to set.
        inputs: the unit's inputs.
        outputs: its outputs before pooling, of the same height and width.
        generator: draws the positions.
        positions: patches used at most.
        rounds: solutions of the censored problem.
    """
    assert layer.bias is not None
    patches = F.unfold(inputs, 3, padding=1).transpose(1, 2).flatten(0, 1)
    values = outputs.flatten(2).transpose(1, 2).flatten(0, 1)
    chosen = torch.randperm(len(patches), generator=generator)[:positions]
    x, y = patches[chosen].double(), values[chosen].double()
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    gram = x.T @ x
    gram.diagonal()[:-1] += 1e-3 * gram.diagonal()[:-1].mean()
    factor = torch.linalg.cholesky(gram)
    solution = torch.cholesky_solve(x.T @ y, factor)
    for _ in range(rounds - 1):
        predicted = x @ solution
        solution = torch.cholesky_solve(x.T @ torch.where(y > 0, y, predicted.clamp(max=0)), factor)
    with torch.no_grad():
        layer.weight.copy_(solution[:-1].T.reshape(layer.weight.shape))
        layer.bias.copy_(solution[-1])
