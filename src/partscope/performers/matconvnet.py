"""Reading MatConvNet's published networks (``imagenet-vgg-m.mat`` and the like): weights, mean image, class names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from partscope.errors import PerformerError
from partscope.matlab5 import read_variables
from partscope.performers.weights import PIXELS, Weights, first_line

Array = NDArray[Any]
_VARIABLES = ("layers", "meta", "normalization", "classes")
_AGAIN = "copy or download the file again"


class _Layer(NamedTuple):
    """One layer of the file: its name, kind and MATLAB structure."""

    name: str
    kind: str
    fields: dict[str, Any]


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
    content = path.read_bytes()
    if b"MATLAB 7.3" in content[:128]:
        raise PerformerError(
            doing,
            "a MATLAB file of version 7.3 (HDF5)",
            "save it again in MATLAB with save(file, '-struct', 'net', '-v7')",
        )
    try:
        return read_variables(content, _VARIABLES)
    except Exception as error:  # damaged bytes raise many kinds
        raise PerformerError(doing, f"a damaged file ({first_line(error)})", _AGAIN) from error


def _layers(content: dict[str, Any], doing: str) -> list[_Layer]:
    cells = content.get("layers")
    structs = [_struct(cell) for cell in cells] if isinstance(cells, list) else []
    if "layers" not in content:
        found = "no variable 'layers'"
    elif isinstance(cells, list) and any(isinstance(cell, dict) and "block" in cell for cell in cells):
        found = "a DagNN, whose layers branch"
    elif not structs or any(struct is None for struct in structs):
        found = "a variable 'layers' that is not a list of layers"
    else:
        layers = [_Layer(_text(s, "name"), _text(s, "type"), s) for s in structs if s is not None]
        if any(layer.kind == "conv" for layer in layers):
            return layers
        found = "a list of layers without a convolution"
    raise PerformerError(doing, found, "give a MatConvNet network saved as a SimpleNN, or weights as .safetensors")


def _struct(value: object) -> dict[str, Any] | None:
    """The one structure that a value is, as the reader gives it; None where it is none or several."""
    single = isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict)
    return value[0] if single and isinstance(value, list) else None


def _get(struct: dict[str, Any] | None, name: str) -> Any:
    """Find a field of a structure, unwrapped; None where it is missing or empty."""
    value = None if struct is None else struct.get(name)
    while isinstance(value, list) and len(value) == 1 and not isinstance(value[0], dict):
        value = value[0]
    return None if isinstance(value, (list, str)) and not value else value


def _text(struct: dict[str, Any], name: str) -> str:
    value = _get(struct, name)
    return value if isinstance(value, str) else ""


def _numbers(layer: _Layer, key: str, default: Sequence[float], counts: Sequence[int], doing: str) -> list[float]:
    value = _get(layer.fields, key)
    if value is None:
        return list(default)
    if not isinstance(value, np.ndarray) or value.size not in counts:
        found = f"{value.size} numbers" if isinstance(value, np.ndarray) else _kind(value)
        raise PerformerError(
            doing, f"layer '{layer.name}' with {key} of {found} where {' or '.join(map(str, counts))} belong", _AGAIN
        )
    return [float(v) for v in value.flat]


def _kind(value: object) -> str:
    return f"the text '{value[:20]}'" if isinstance(value, str) else "a list of values"


def _reals(value: Any, what: str, doing: str) -> NDArray[np.float32]:
    """An array of finite numbers; refuses everything else that a `.mat` file may hold in its place."""
    if not isinstance(value, np.ndarray):
        raise PerformerError(doing, f"{what} that is {_kind(value)}", _AGAIN)
    with np.errstate(over="ignore"):
        numbers = value.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise PerformerError(doing, f"{what} with values that are not finite", _AGAIN)
    return numbers


def _weights(layer: _Layer, name: str, part: nn.Module, doing: str) -> dict[str, Tensor]:
    """Put one layer's filters and biases into torch's order; MATLAB drops trailing axes of length 1."""
    cell = _get(layer.fields, "weights")
    if cell is None:
        pair = [_get(layer.fields, "filters"), _get(layer.fields, "biases")]
    else:
        pair = [*cell, None][:2] if isinstance(cell, list) else [cell, None]
    filters, biases = pair
    if filters is None or (isinstance(filters, (list, str)) and not filters):
        _differ(doing, f"layer '{layer.name}' of the file holds no filters")
    filters = _reals(filters, f"a filter bank of layer '{layer.name}'", doing)
    if filters.ndim > 4:
        _differ(doing, f"layer '{layer.name}' of the file with filters of shape {filters.shape}")
    filters = filters.reshape(*filters.shape, *[1] * (4 - filters.ndim))
    weight = np.ascontiguousarray(filters.transpose(3, 2, 0, 1))
    if isinstance(part, nn.Linear):
        weight = weight.reshape(len(weight), -1)
    empty = biases is None or (isinstance(biases, (list, str)) and not biases)
    numbers = (
        np.zeros(len(weight), np.float32)
        if empty
        else _reals(biases, f"a row of biases of layer '{layer.name}'", doing).reshape(-1)
    )
    state = {f"{name}.weight": torch.from_numpy(weight)}
    if getattr(part, "bias", None) is not None or numbers.any():
        state[f"{name}.bias"] = torch.from_numpy(numbers)
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
            found, wanted = _geometry(layer, doing), _own_geometry(part)
            for key, value in wanted.items():
                if not np.allclose(found[key], value, rtol=1e-4):
                    file, net = (", ".join(f"{v:g}" for v in values) for values in (found[key], value))
                    _differ(doing, f"layer '{layer.name}' with {key} {file}, the network's '{name}' has {net}")


def _geometry(layer: _Layer, doing: str) -> dict[str, list[float]]:
    if layer.kind in ("lrn", "normalize"):
        size, k, alpha, beta = _numbers(layer, "param", (5.0, 1.0, 1.0, 0.5), (4,), doing)
        return {"param (n, k, alpha, beta)": [size, k, alpha * size, beta]}
    pad = _numbers(layer, "pad", (0.0,), (1, 4), doing)
    stride, window = (
        _numbers(layer, key, (1.0,), (1, 2), doing) if key == "stride" or layer.kind == "pool" else [1.0]
        for key in ("stride", "pool")
    )
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


def _meta(content: dict[str, Any], group: str) -> dict[str, Any] | None:
    """Find a group of facts, in `meta` (later releases) or beside the layers (earlier ones)."""
    meta = _struct(content.get("meta"))
    return _struct(content.get(group) if meta is None else _get(meta, group))


def _mean(content: dict[str, Any], doing: str) -> tuple[float, ...] | Tensor | None:
    stored = _get(_meta(content, "normalization"), "averageImage")
    if stored is None:
        return None
    image = _reals(stored, "an averageImage", doing)
    if image.size == 3:
        return tuple(float(value) / 255 for value in stored.flat)
    if image.ndim != 3 or image.shape[2] != 3:
        raise PerformerError(
            doing, f"an averageImage of shape {image.shape}", "give one of (height, width, 3), or three numbers"
        )
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)) / np.float32(255))


def _class_names(content: dict[str, Any]) -> tuple[str, ...]:
    names = _get(_meta(content, "classes"), "description")
    cells = names if isinstance(names, list) else [names] if isinstance(names, str) else []
    return tuple(cell if isinstance(cell, str) else "" for cell in cells)
