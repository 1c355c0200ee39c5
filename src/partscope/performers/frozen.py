"""A frozen twin of the user's network: same weights in memory, while the user's module is only read."""

import copy
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from partscope.errors import PerformerError

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
)


def frozen_copy(module: nn.Module) -> nn.Module:
    """Copy a network's structure, share its weights, and freeze the copy.

    Parameters of the copy are views of the original's memory that need no gradient; buffers are copied, so
    that a forward pass which counts or averages leaves the original alone. The copy is in evaluation mode.

    Args:
        module: any network; it is only read.

    Returns:
        The frozen twin, with the same dotted names.

    Raises:
        PerformerError: the network cannot be copied, or has parameters without a shape yet.
    """
    memo: dict[int, object] = {}
    for part in module.modules():
        for weight in part._parameters.values():
            if weight is not None and is_lazy(weight):
                raise PerformerError(
                    f"copying the network {type(module).__name__}",
                    f"a lazy {type(part).__name__} whose weights have no shape yet",
                    "run the network once on an image batch before you hand it over",
                )
            if weight is not None:
                memo[id(weight)] = nn.Parameter(weight.detach(), requires_grad=False)
        for value in (*part._buffers.values(), *vars(part).values()):
            if isinstance(value, Tensor) and id(value) not in memo:
                memo[id(value)] = value.detach().clone()
        for attribute in _HOOKS:
            for hook in getattr(part, attribute).values():
                memo[id(hook)] = hook
    try:
        twin = copy.deepcopy(module, memo)
    except Exception as error:
        raise PerformerError(
            f"copying the network {type(module).__name__}",
            f"{type(error).__name__}: {error}",
            "hand over a plain torch.nn.Module that copy.deepcopy can copy",
        ) from error
    return twin.eval()


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Keep torch's random state as it was, whatever runs inside.

    Args:
        device: where the network runs; its random state is kept beside the CPU's.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def device_of(module: nn.Module) -> torch.device:
    """Tell where a network lives.

    Returns:
        The device of its first parameter or buffer; the CPU if it has none.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


def dtype_of(module: nn.Module) -> torch.dtype:
    """Tell the floating-point type of a network.

    Returns:
        The type of its first floating-point parameter or buffer; float32 if it has none.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.float32


def set_in_place(module: nn.Module, flags: dict[str, bool]) -> dict[str, bool]:
    """Set the in-place flag of layers by dotted name.

    Returns:
        The flags as they were, of those same layers.
    """
    before = {}
    for name, part in module.named_modules():
        if name in flags:
            before[name] = bool(part.inplace)
            part.inplace = flags[name]
    return before


def in_place_layers(module: nn.Module) -> list[str]:
    """List the layers that overwrite their input.

    Returns:
        Dotted names of the layers whose in-place flag is set.
    """
    return [name for name, part in module.named_modules() if getattr(part, "inplace", False) is True]


def state_digest(state: Mapping[str, object]) -> str:
    """SHA-256 of a state dict: names, types, shapes and bytes of its tensors, in the order of their names."""
    digest = hashlib.sha256()
    for key, value in sorted(state.items()):
        if not isinstance(value, Tensor):
            continue
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
