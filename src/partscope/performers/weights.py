"""Reading files of weights: tensors only, never an object."""

import pickle
import warnings
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from partscope.errors import PerformerError

MEAN, STD = "normalisation.mean", "normalisation.std"
"""Names of the normalisation among the tensors of a file of weights: three numbers, or a mean image (3, S, S)."""

PIXELS = (1 / 255, 1 / 255, 1 / 255)
"""Standard deviation that turns images in [0, 1] into the 0 to 255 that Caffe's and MatConvNet's networks take."""

_WRAPPERS = ("state_dict", "model", "model_state_dict")


@final
class Weights(NamedTuple):
    """Weights as they were read, and what came with them."""

    state: dict[str, Tensor]
    """Tensors by dotted name, in torch's order."""
    source: str
    """Where they come from, for errors."""
    mean: tuple[float, ...] | Tensor | None = None
    """Mean of the normalisation in the scale [0, 1], three numbers or an image; None where the source says nothing."""
    std: tuple[float, ...] | None = None
    """Standard deviation of the normalisation; None where the source says nothing."""
    class_names: tuple[str, ...] = ()
    """Names of the classes; empty where the source says nothing."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a ``.safetensors``, ``.pth`` or ``.npz`` file.

    A ``.pth`` file is read with ``torch.load(weights_only=True)`` and an ``.npz`` file with
    ``numpy.load(allow_pickle=False)``; there is no way round that. A state dict
    inside a dictionary (``state_dict``, ``model``) and the prefix ``module.`` are understood.

    Args:
        path: the file.

    Returns:
        Tensors by dotted name.

    Raises:
        PerformerError: there is no such file, it is damaged, holds other objects, or is of another kind.
    """
    doing = f"reading the weights '{path}'"
    if not path.is_file():
        raise PerformerError(doing, "no such file", "set performer.weights to a .safetensors or .pth file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".npz":
            return _read_npz(path, doing)
        if path.suffix not in (".pth", ".pt"):
            raise PerformerError(
                doing,
                f"a file of kind '{path.suffix}'",
                _CONVERT.get(path.suffix, "convert it to .safetensors, or to a .pth file"),
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PerformerError(
            doing,
            "something other than tensors, refused because unpickling it could run code",
            "save module.state_dict() alone, best as .safetensors",
        ) from error
    except PerformerError:
        raise
    except Exception as error:  # damaged bytes raise many kinds, in old .pth files nearly every one
        raise PerformerError(
            doing, f"a damaged file ({first_line(error)})", "copy or download the file again"
        ) from error
    return _state_dict(content, doing)


_CONVERT = {
    ".h5": "in Keras: numpy.savez('weights.npz', **{w.path: w.numpy() for w in model.weights})",
    ".keras": "in Keras: numpy.savez('weights.npz', **{w.path: w.numpy() for w in model.weights})",
    ".caffemodel": "in Caffe: numpy.savez('weights.npz', **{f'{n}/{i}': b.data for n, p in net.params.items() "
    "for i, b in enumerate(p)})",
    ".npy": "store the arrays by name with numpy.savez, without pickled objects",
}


_ZIP = b"PK\x03\x04"


def _read_npz(path: Path, doing: str) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: torch.from_numpy(np.array(content[name])) for name in content.files}
    except (ValueError, TypeError) as error:
        if path.read_bytes()[:4] != _ZIP:
            raise
        raise PerformerError(
            doing,
            "something other than arrays of numbers, refused because unpickling it could run code",
            "store the arrays by name with numpy.savez",
        ) from error


def first_line(error: Exception) -> str:
    """Shorten an error of a library to what fits into one of ours.

    Returns:
        Its first line, or its kind where it says nothing.
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _state_dict(content: object, doing: str) -> dict[str, Tensor]:
    if isinstance(content, dict):
        for wrapper in _WRAPPERS:
            if isinstance(content.get(wrapper), dict):
                content = content[wrapper]
                break
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise PerformerError(doing, "something that is not a state dict", "save module.state_dict() alone")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def fit_weights(module: nn.Module, state: dict[str, Tensor], source: str, *, may_miss: tuple[str, ...] = ()) -> None:
    """Load a state dict strictly.

    Args:
        module: takes the weights, cast to its own types.
        state: tensors by dotted name.
        source: where they come from, for errors.
        may_miss: layers whose weights may all be missing.

    Raises:
        PerformerError: names or shapes differ; names the first and counts all.
    """
    own = module.state_dict()
    optional = {key for key in own if key.rpartition(".")[0] in may_miss}
    if any(key in state for key in optional):
        optional = set()
    wrong = [key for key in own if key in state and own[key].shape != state[key].shape]
    missing = [key for key in own if key not in state and key not in optional]
    extra = [key for key in state if key not in own]
    misfits = len(wrong) + len(missing) + len(extra)
    if misfits:
        if wrong:
            key = wrong[0]
            first = f"'{key}' needs {tuple(own[key].shape)}, the file has {tuple(state[key].shape)}"
        elif missing:
            first = f"'{missing[0]}' {tuple(own[missing[0]].shape)} is missing"
        else:
            first = f"'{extra[0]}' {tuple(state[extra[0]].shape)} is not a layer of it"
        raise PerformerError(
            f"loading {source} into {type(module).__name__}",
            f"{misfits} of {len(own)} keys do not fit; first: {first}",
            "set performer.name to the network that these weights were saved from",
        )
    module.load_state_dict({key: value for key, value in state.items() if key in own}, strict=not optional)
