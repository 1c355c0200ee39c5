"""Where the tap's units lie in the image: a gradient probe through any network."""

import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from partscope.maths.receptive_field import ReceptiveField
from partscope.performers.frozen import device_of

_PASS = {
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "hardswish",
    "hardtanh",
    "prelu",
    "rrelu",
    "softplus",
    "softsign",
    "tanh",
    "threshold",
    "clamp",
    "batch_norm",
    "group_norm",
    "layer_norm",
    "instance_norm",
    "local_response_norm",
    "dropout",
    "dropout2d",
    "feature_dropout",
    "alpha_dropout",
    "pow",
    "__pow",
    "square",
}
_GATES = {"sigmoid", "hardsigmoid", "softmax"}
_MAX_POOLS = {"max_pool2d", "_max_pool2d", "max_pool2d_with_indices"}
_IN_PLACE = {"__iadd__": operator.add, "__imul__": operator.mul, "add_": operator.add, "mul_": operator.mul}
_LARGEST = 6000


class FieldProbe(NamedTuple):
    """A receptive field and how it was found."""

    field: ReceptiveField
    """Centres of the tap's units, px."""
    method: str
    """``gradient``, ``gradient, centred`` or ``even grid``."""


class _Linearised(TorchFunctionMode):
    """Runs a network as a positive linear one: what is left of a gradient is the geometry.

    Convolutions weigh all their inputs equally, max pooling becomes average pooling, activations and
    normalisations pass their input on, gates are open, attention stays at its own position. All channels of a
    convolution are then the same, so that one is computed and repeated. Everything else runs as it is, in double
    precision.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name.rstrip("_") in _PASS:
            return args[0]
        if name.rstrip("_") == "softmax" and args[0].ndim > 2 and args[0].shape[-1] == args[0].shape[-2] > 1:
            return torch.eye(args[0].shape[-1], dtype=args[0].dtype, device=args[0].device).expand_as(args[0])
        if name.rstrip("_") in _GATES:
            return torch.ones_like(args[0])
        if name == "scaled_dot_product_attention" and args[0].shape[-2] == args[2].shape[-2]:
            return args[2]
        if name == "conv2d":
            return _even_conv(*args, **kwargs)
        if name == "linear":
            return args[0].mean(-1, keepdim=True).expand(*args[0].shape[:-1], len(args[1]))
        if name in _IN_PLACE:
            return _IN_PLACE[name](*args)
        if name in _MAX_POOLS or func is functional.max_pool2d:
            return _mean_pool(*args, **kwargs)
        return func(*(_double(value) for value in args), **{key: _double(value) for key, value in kwargs.items()})


def _double(value: Any) -> Any:
    """Give the network's own weights the probe's type, where a function other than the above mixes both."""
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.double()
    return type(value)(_double(v) for v in value) if type(value) in (tuple, list) else value


def _even_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    side = tuple(weight.shape[2:])
    kernel = x.new_full((1, 1, *side), 1 / (side[0] * side[1]))
    y = functional.conv2d(x.mean(1, keepdim=True), kernel, None, stride, padding, dilation)
    return y.expand(-1, weight.shape[0], -1, -1)


def _mean_pool(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if dilation in (1, (1, 1), [1, 1]):
        return functional.avg_pool2d(x, kernel_size, stride or kernel_size, padding, ceil_mode)
    return functional.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode)


def probe_field(
    tap_of: Callable[[Tensor], Tensor], input_size: int, positions: int, like: nn.Module, channels: int = 3
) -> FieldProbe:
    """Find where the units of the tap lie in the image.

    The centre of mass of ``|d unit / d image|`` of two neighbouring units in the middle of an enlarged image
    gives stride and start, with the network made linear and positive. Where the grid so found is off the
    image's centre by more than a quarter of the stride, with its first or last unit that close to the image's
    edge (ResNets: first unit at 0, last at 192 of 223), it is moved to the centre:
    ``start = (S - 1) / 2 - stride * (n - 1) / 2``. VGG-S's grid, from 20 to 212 of 223, stays where it is.

    Args:
        tap_of: turns normalised images into the tap's map, with gradient.
        input_size: side S of the square input, px.
        positions: side n of the tap's map at that size.
        like: the network, for its device.
        channels: number of input channels.

    Returns:
        The field; an even grid over the image if the network's operations hide the geometry.
    """
    even = input_size / positions
    fallback = ReceptiveField((input_size - 1) / 2 - even * (positions - 1) / 2, even, float(input_size))
    found = None
    for width in (input_size // 4, input_size):
        with suppress(Exception):  # whatever a network's own code objects to: sizes, types, assertions
            found = _probe(tap_of, input_size, width, positions, like, channels)
        if found is not None:
            break
    if found is None:
        return FieldProbe(fallback, "even grid")
    last = found.start + found.stride * (positions - 1)
    offset = (input_size - 1 - found.start - last) / 2
    if abs(offset) > found.stride / 4 and min(found.start, input_size - 1 - last) < found.stride / 4:
        return FieldProbe(found._replace(start=_round(found.start + offset)), "gradient, centred")
    return FieldProbe(found, "gradient")


def _probe(
    tap_of: Callable[[Tensor], Tensor], size: int, width: int, positions: int, like: nn.Module, channels: int
) -> ReceptiveField | None:
    """Probe a strip that is high enough for two whole fields; a narrow one is quick."""
    height = 2 * size
    while height <= _LARGEST:
        strip = torch.ones(1, channels, height, width, dtype=torch.float64, device=device_of(like))
        strip.requires_grad_()
        with torch.enable_grad(), _Linearised():
            tap = tap_of(strip)
            middle = tap.shape[2] // 2
            profiles = [
                torch.autograd.grad(tap[0, :, row, tap.shape[3] // 2].sum(), strip, retain_graph=True)[0]
                .abs()
                .sum((0, 1, 3))
                for row in (middle, middle + 1)
            ]
        support = [profile.nonzero().flatten() for profile in profiles]
        if any(len(rows) == 0 for rows in support) or not all(bool(p.isfinite().all()) for p in profiles):
            return None
        if support[0][0] > 0 and support[1][-1] < height - 1:
            first, second = (_centre(profile) for profile in profiles)
            stride = second - first
            field = float(support[0][-1] - support[0][0] + 1)
            if not 0.5 < stride * positions / size < 2:
                return None
            return ReceptiveField(_round(first - stride * middle), _round(stride), field)
        height *= 2
    return None


def _centre(profile: Tensor) -> float:
    rows = torch.arange(len(profile), device=profile.device, dtype=profile.dtype)
    return float((profile * rows).sum() / profile.sum())


def _round(value: float) -> float:
    """Clear float noise: strides and starts are multiples of small fractions of a pixel."""
    return round(value, 3) + 0.0
