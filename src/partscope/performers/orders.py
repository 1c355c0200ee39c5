"""Weights that another library laid out in another order: Keras's and Caffe's."""

from typing import Literal

from torch import Tensor, nn

from partscope.errors import PerformerError
from partscope.performers.frozen import frozen_copy
from partscope.performers.spine import find_spine
from partscope.performers.weights import MEAN, PIXELS, STD, Weights

Order = Literal["torch", "keras", "keras_bgr", "caffe"]

_KERAS = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_CAFFE = {"0": "weight", "weights": "weight", "1": "bias", "biases": "bias"}
_STORED_MEAN = "mean"


def reordered(arrays: dict[str, Tensor], order: Order, module: nn.Module, input_size: int, source: str) -> Weights:
    """Put tensors of another library into torch's order, under torch's names of the same layers.

    Keras: kernels (height, width, in, out), dense ones (in, out) for maps flattened with the channels last.
    ``keras_bgr`` and Caffe: besides, the first layer takes BLUE, green, red in 0 to 255 minus a mean; that is turned
    into red, green, blue here, and the mean is the tensor ``mean`` of the file (three numbers or an image, as stored).
    Names are ``layer/kernel``, ``layer/bias`` and so on for Keras, ``layer/0`` or ``layer/weights`` for Caffe; the
    layers' names have to be the network's own.

    Args:
        arrays: tensors by name.
        order: whose order they are in.
        module: the network that is to take them.
        input_size: side of its input, px.
        source: where they come from, for errors.

    Returns:
        The weights, and the normalisation where the order implies one.

    Raises:
        PerformerError: a layer stored in parts that have no counterpart, no network to find the flattening of, or a
            normalisation of another shape.
    """
    if order == "torch":
        mean, std = arrays.get(MEAN), arrays.get(STD)
        state = {name: value for name, value in arrays.items() if name not in (MEAN, STD)}
        _check_stored(MEAN, mean, (1, 3), source)
        _check_stored(STD, std, (1,), source)
        numbers = mean if mean is None or mean.ndim == 3 else tuple(map(float, mean.tolist()))
        return Weights(state, source, numbers, None if std is None else tuple(map(float, std.tolist())))
    pixels = order in ("caffe", "keras_bgr")
    mean = arrays.get(_STORED_MEAN) if pixels else None
    rest = {name: value for name, value in arrays.items() if not (pixels and name == _STORED_MEAN)}
    state = _from_caffe(rest, module, source) if order == "caffe" else _from_keras(rest, module, input_size)
    if not pixels:
        return Weights(state, source)
    first = next((n for n, part in module.named_modules() if isinstance(part, nn.Conv2d) and part.in_channels == 3), "")
    key = f"{first}.weight"
    if key in state and state[key].ndim == 4 and state[key].shape[1] == 3:
        state[key] = state[key].flip(1).contiguous()
    return Weights(state, source, None if mean is None else _rgb(mean, source), PIXELS)


def _check_stored(name: str, value: Tensor | None, ranks: tuple[int, ...], source: str) -> None:
    """Refuse a normalisation that is neither three numbers nor, where that is meant, an image."""
    if value is not None and (value.ndim not in ranks or value.is_complex()):
        image = "" if ranks == (1,) else " or an image (3, S, S)"
        raise PerformerError(
            f"reading the normalisation of {source}",
            f"'{name}' of shape {tuple(value.shape)} and type {str(value.dtype).removeprefix('torch.')}",
            f"store three numbers{image} under that name, or leave it out and set performer.{name.rpartition('.')[2]}",
        )


def _rgb(mean: Tensor, source: str) -> tuple[float, ...] | Tensor:
    if mean.numel() == 3:
        return tuple(float(value) / 255 for value in mean.flatten().flip(0))
    if mean.ndim < 3 or mean.shape[-3:].numel() != mean.numel():
        _check_stored(_STORED_MEAN, mean, (), source)
    return mean.reshape(mean.shape[-3:]).flip(0).float() / 255


def _parts(name: str) -> tuple[str, str]:
    """Split ``conv1/conv1/kernel:0`` into the layer and the kind of tensor.

    >>> _parts("conv1/conv1/kernel:0"), _parts("layer4.0.conv1/bias"), _parts("fc6.0")
    (('conv1', 'kernel'), ('layer4.0.conv1', 'bias'), ('fc6', '0'))
    """
    path, _, kind = name.removesuffix(":0").replace("/", "\0").rpartition("\0")
    if not path:
        path, _, kind = name.rpartition(".")
    parts = path.split("\0")
    half = len(parts) // 2
    if half and parts[:half] == parts[half:]:
        parts = parts[:half]
    return ".".join(parts), kind


def _from_keras(arrays: dict[str, Tensor], module: nn.Module, input_size: int) -> dict[str, Tensor]:
    maps: dict[str, tuple[int, ...]] | None = None
    state = {}
    for name, value in arrays.items():
        layer, kind = _parts(name)
        if value.ndim == 4 and kind == "depthwise_kernel":
            value = value.permute(2, 3, 0, 1).flatten(0, 1)[:, None]
        elif value.ndim == 4:
            value = value.permute(3, 2, 0, 1)
        elif value.ndim == 2:
            maps = flattened_maps(module, input_size) if maps is None else maps
            channels, rows, columns = maps.get(layer, (len(value), 1, 1))
            if channels * rows * columns == len(value):
                value = value.reshape(rows, columns, channels, -1).permute(2, 0, 1, 3).flatten(0, 2)
            value = value.T
        state[f"{layer}.{_KERAS.get(kind, kind)}"] = value.contiguous()
    return state


def flattened_maps(module: nn.Module, input_size: int) -> dict[str, tuple[int, ...]]:
    """Find the maps that go, flattened, into linear layers.

    Args:
        module: the network.
        input_size: side of its input, px.

    Returns:
        (channels, rows, columns) by the linear layer's dotted name.

    Raises:
        PerformerError: the network cannot be traced.
    """
    found: dict[str, tuple[int, ...]] = {}
    shape: tuple[int, ...] = ()
    for step in find_spine(frozen_copy(module), input_size).steps:
        if isinstance(step.module, nn.Linear) and len(shape) == 3:
            found[step.name] = shape
        if len(step.output_shape) == 3 or isinstance(step.module, nn.Linear):
            shape = step.output_shape
    return found


def _from_caffe(arrays: dict[str, Tensor], module: nn.Module, source: str) -> dict[str, Tensor]:
    own = module.state_dict()
    state = {}
    for name, value in arrays.items():
        layer, kind = _parts(name)
        if kind == "2":
            raise PerformerError(
                f"putting {source} into torch's order",
                f"three blobs of '{layer}': Caffe's BatchNorm, whose scale and shift are another layer",
                "fold the two into the convolution before them, or store running_mean, running_var, weight and bias",
            )
        key = f"{layer}.{_CAFFE.get(kind, kind)}"
        axes = own[key].ndim if key in own else value.ndim
        if value.ndim == 4 > axes and value.shape[: 4 - axes].numel() == 1:  # Caffe's older files pad shapes with ones
            value = value.reshape(value.shape[4 - axes :])
        state[key] = value.contiguous()
    return state
