"""Reading files of weights: tensors only, never an object."""

import pickle
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from partscope.errors import PerformerError

_WRAPPERS = ("state_dict", "model", "model_state_dict")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a ``.safetensors`` or ``.pth`` file.

    A ``.pth`` file is read with ``torch.load(weights_only=True)``; there is no way round that. A state dict
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
        if path.suffix not in (".pth", ".pt"):
            raise PerformerError(
                doing,
                f"a file of kind '{path.suffix}'",
                "convert it to .safetensors, or to a .pth file",
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
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise PerformerError(
            doing, f"a damaged file ({_first_line(error)})", "copy or download the file again"
        ) from error
    return _state_dict(content, doing)


def _first_line(error: Exception) -> str:
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
