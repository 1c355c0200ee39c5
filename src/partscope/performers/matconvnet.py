"""Reading MatConvNet's published networks (``imagenet-vgg-m.mat`` and the like): weights, mean image, class names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import loadmat
from torch import Tensor, nn

from partscope.errors import PerformerError
from partscope.performers.weights import PIXELS, Weights, first_line

Array = NDArray[Any]
_VARIABLES = ["layers", "meta", "normalization", "classes"]


class _Layer(NamedTuple):
    """One layer of the file: its name, kind and MATLAB structure."""

    name: str
    kind: str
    fields: Array


def read_matconvnet(path: Path, module: nn.Module) -> Weights:
    """Read a network that MatConvNet saved as a list of layers.

    Filters stand as (height, width, in, out) and fully connected layers as convolutions; both are put into torch's
    order. Layers are matched with the network's own in their order, and every stride, padding, pooling and response
    norm is compared, because VGG-M and VGG-S differ in nothing else. The images of these networks are RGB, 0 to 255,
    minus a mean image (or three means); here that is ``(x - mean / 255) / (1 / 255)`` of images in [0, 1].

    Args:
        path: a ``.mat`` file of version 5 to 7.
        module: the network that is to take the weights; only its structure is looked at.

    Returns:
        The weights under the network's own names, the mean, the standard deviation and the class names.

    Raises:
        PerformerError: no such file, a damaged one, one of version 7.3 or of another kind, or layers that are not those
            of the network; names the layer.
    """
    doing = f"reading the weights '{path}'"
    content = _content(path, doing)
    layers = _layers(content, doing)
    weighted = [layer for layer in layers if layer.kind == "conv"]
    own = [(name, part) for name, part in module.named_modules() if isinstance(part, (nn.Conv2d, nn.Linear))]
    doing = f"matching the layers of '{path}' with those of {type(module).__name__}"
    if len(weighted) > len(own):
        raise PerformerError(
            doing,
            f"{len(weighted)} layers with weights where the network has {len(own)}; first: '{weighted[len(own)].name}'",
            "set performer.name to the network that these weights are of",
        )
    state: dict[str, Tensor] = {}
    names = {name for name, _ in own}
    for layer, (name, part) in zip(weighted, own, strict=False):
        if layer.name in names and layer.name != name:
            _differ(doing, f"layer '{layer.name}' of the file stands where the network has '{name}'")
        state |= _weights(layer, name, part, doing)
    _compare(layers, module, doing)
    return Weights(state, f"'{path}'", _mean(content, doing), PIXELS, _class_names(content))


def _content(path: Path, doing: str) -> dict[str, Any]:
    if not path.is_file():
        raise PerformerError(doing, "no such file", "set performer.weights to a .mat file of MatConvNet")
    try:
        content: dict[str, Any] = loadmat(path, variable_names=_VARIABLES, squeeze_me=False, struct_as_record=True)
    except NotImplementedError as error:
        raise PerformerError(
            doing,
            "a MATLAB file of version 7.3 (HDF5)",
            "save it again in MATLAB with save(file, '-struct', 'net', '-v7')",
        ) from error
    except Exception as error:  # scipy raises many kinds for a file that is cut off or no .mat file
        raise PerformerError(
            doing, f"a damaged file ({first_line(error)})", "copy or download the file again"
        ) from error
    return content


def _layers(content: dict[str, Any], doing: str) -> list[_Layer]:
    cells = content.get("layers")
    if cells is None:
        found = "no variable 'layers'"
    elif cells.dtype.names is not None and "block" in cells.dtype.names:
        found = "a DagNN, whose layers branch"
    elif cells.dtype != object or not all(_is_struct(cell) for cell in cells.flat):
        found = "a variable 'layers' that is not a list of layers"
    else:
        layers = [_Layer(_text(cell, "name"), _text(cell, "type"), cell) for cell in cells.flat]
        if any(layer.kind == "conv" for layer in layers):
            return layers
        found = "a list of layers without a convolution"
    raise PerformerError(doing, found, "give a MatConvNet network saved as a SimpleNN, or weights as .safetensors")


def _is_struct(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.names is not None and value.size == 1


def _get(struct: Array, name: str) -> Array | None:
    """Find a field of a structure, unwrapped; None where it is missing or empty."""
    if struct.dtype.names is None or name not in struct.dtype.names or struct.size != 1:
        return None
    value = struct[name].flat[0]
    while isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.flat[0]
    return value if isinstance(value, np.ndarray) and value.size else None


def _text(struct: Array, name: str) -> str:
    value = _get(struct, name)
    return "" if value is None else str(value.flat[0])


def _numbers(struct: Array, name: str, default: Sequence[float]) -> list[float]:
    value = _get(struct, name)
    return list(default) if value is None else [float(v) for v in value.flat]


def _weights(layer: _Layer, name: str, part: nn.Module, doing: str) -> dict[str, Tensor]:
    """Put one layer's filters and biases into torch's order; MATLAB drops trailing axes of length 1."""
    cell = _get(layer.fields, "weights")
    if cell is None:
        pair = [_get(layer.fields, "filters"), _get(layer.fields, "biases")]
    else:
        pair = [*cell.flat] if cell.dtype == object else [cell]
    filters = pair[0] if pair else None
    if filters is None or filters.dtype.kind != "f" or filters.ndim > 4:
        _differ(doing, f"layer '{layer.name}' of the file holds no filters")
    assert filters is not None
    filters = filters.reshape(*filters.shape, *[1] * (4 - filters.ndim))
    weight = np.ascontiguousarray(filters.transpose(3, 2, 0, 1), dtype=np.float32)
    if isinstance(part, nn.Linear):
        weight = weight.reshape(len(weight), -1)
    biases = pair[1] if len(pair) > 1 and pair[1] is not None and pair[1].size else np.zeros(len(weight))
    state = {f"{name}.weight": torch.from_numpy(weight)}
    if getattr(part, "bias", None) is not None or biases.any():
        state[f"{name}.bias"] = torch.from_numpy(biases.reshape(-1).astype(np.float32))
    return state


def _compare(layers: list[_Layer], module: nn.Module, doing: str) -> None:
    """Refuse layers whose geometry or norm is not the network's."""
    kinds: list[tuple[tuple[str, ...], type[nn.Module]]] = [
        (("conv",), nn.Conv2d),
        (("pool",), nn.MaxPool2d),
        (("lrn", "normalize"), nn.LocalResponseNorm),
    ]
    for names, kind in kinds:
        own = [(name, part) for name, part in module.named_modules() if isinstance(part, kind)]
        stored = [layer for layer in layers if layer.kind in names]
        if kind is not nn.Conv2d and len(own) != len(stored):
            _differ(doing, f"{len(stored)} layers of kind '{names[0]}' where the network has {len(own)}")
        for layer, (name, part) in zip(stored, own, strict=False):
            found, wanted = _geometry(layer), _own_geometry(part)
            for key, value in wanted.items():
                if not np.allclose(found[key], value, rtol=1e-4):
                    file, net = (", ".join(f"{v:g}" for v in values) for values in (found[key], value))
                    _differ(doing, f"layer '{layer.name}' with {key} {file}, the network's '{name}' has {net}")


def _geometry(layer: _Layer) -> dict[str, list[float]]:
    if layer.kind in ("lrn", "normalize"):
        size, k, alpha, beta = _numbers(layer.fields, "param", (5.0, 1.0, 1.0, 0.5))
        return {"param (n, k, alpha, beta)": [size, k, alpha * size, beta]}
    pad, stride = _numbers(layer.fields, "pad", (0.0,)), _numbers(layer.fields, "stride", (1.0,))
    window = _numbers(layer.fields, "pool", (1.0,))
    return {"stride": _wide(stride, 2), "padding": _wide(pad, 4), "window": _wide(window, 2)}


def _own_geometry(part: nn.Module) -> dict[str, list[float]]:
    if isinstance(part, nn.LocalResponseNorm):
        return {"param (n, k, alpha, beta)": [float(v) for v in (part.size, part.k, part.alpha, part.beta)]}
    if isinstance(part, nn.MaxPool2d):  # the file's padding stands for ceil_mode, and differs between releases
        return {"stride": _pair(part.stride), "window": _pair(part.kernel_size)}
    assert isinstance(part, nn.Conv2d) and not isinstance(part.padding, str)
    rows, columns = part.padding
    return {"stride": _pair(part.stride), "padding": [float(v) for v in (rows, rows, columns, columns)]}


def _pair(value: int | tuple[int, ...]) -> list[float]:
    return [float(value)] * 2 if isinstance(value, int) else [float(v) for v in value]


def _wide(values: list[float], count: int) -> list[float]:
    return values * count if len(values) == 1 else values


def _differ(doing: str, got: str) -> None:
    raise PerformerError(doing, got, "set performer.name to the network that these weights are of")


def _meta(content: dict[str, Any], group: str) -> Array | None:
    """Find a group of facts, in `meta` (later releases) or beside the layers (earlier ones)."""
    if _is_struct(content.get("meta")):
        return _get(content["meta"], group)
    return content.get(group) if _is_struct(content.get(group)) else None


def _mean(content: dict[str, Any], doing: str) -> tuple[float, ...] | Tensor | None:
    group = _meta(content, "normalization")
    image = None if group is None else _get(group, "averageImage")
    if image is None:
        return None
    if image.size == 3:
        return tuple(float(value) / 255 for value in image.flat)
    if image.ndim != 3 or image.shape[2] != 3:
        raise PerformerError(
            doing, f"an averageImage of shape {image.shape}", "give one of (height, width, 3), or three numbers"
        )
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / np.float32(255))


def _class_names(content: dict[str, Any]) -> tuple[str, ...]:
    group = _meta(content, "classes")
    cells = None if group is None else _get(group, "description")
    if cells is None or cells.dtype != object:
        return ()
    return tuple(str(cell.flat[0]) if isinstance(cell, np.ndarray) and cell.size else "" for cell in cells.flat)
