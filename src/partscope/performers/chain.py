"""Receptive fields in closed form, where the way from the image is a chain of convolutions and poolings."""

from torch import nn

from partscope.maths.receptive_field import ReceptiveField, conv_chain_field
from partscope.performers.plan import ACTIVATION_TYPES
from partscope.performers.spine import Spine, SpineStep

_PLACE_BY_PLACE: tuple[type[nn.Module], ...] = (
    *ACTIVATION_TYPES,
    nn.Identity,
    nn.modules.dropout._DropoutNd,
    nn.modules.batchnorm._BatchNorm,
    nn.LocalResponseNorm,
)


def chain_of(steps: tuple[SpineStep, ...]) -> list[tuple[int, int, int]] | None:
    """Read the geometry of a chain of modules.

    Args:
        steps: of a spine.

    Returns:
        ``(kernel, stride, padding)`` of each convolution and pooling, a dilated kernel at its whole length; None
        where a step is a block with branches, is not square, or is not known to work place by place.
    """
    found: list[tuple[int, int, int]] = []
    for step in steps:
        module = step.module
        if isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            geometry = _geometry(module)
            if geometry is None:
                return None
            found.append(geometry)
        elif not isinstance(module, _PLACE_BY_PLACE):
            return None
    return found


def chain_field(spine: Spine, position: int) -> ReceptiveField | None:
    """Receptive field of a step's units in closed form.

    Args:
        spine: of the network.
        position: of the step.

    Returns:
        The field, not moved to the image's centre as the probe's may be; None where the spine does not begin at the
        image, or the way there is no chain (`chain_of`).
    """
    if spine.origin or not spine.steps or spine.steps[0].entry:
        return None
    layers = chain_of(spine.steps[: position + 1])
    return None if layers is None else conv_chain_field(layers)


def _geometry(module: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> tuple[int, int, int] | None:
    dilation = 1 if isinstance(module, nn.AvgPool2d) else module.dilation
    values = [_one(value) for value in (module.kernel_size, module.stride, module.padding, dilation)]
    kernel, stride, padding, spacing = values
    if kernel is None or stride is None or padding is None or spacing is None:
        return None
    return (kernel - 1) * spacing + 1, stride, padding


def _one(value: object) -> int | None:
    """One number for both axes; None where they differ, or where it is a word such as `same`."""
    if isinstance(value, tuple):
        return value[0] if len(set(value)) == 1 and isinstance(value[0], int) else None
    return value if isinstance(value, int) else None
