"""The tree of module calls of one forward pass."""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(eq=False)
class Call:
    """One call of a module: what went in, what came out, and the calls inside."""

    name: str
    """Dotted name of the module; empty for the network itself."""
    index: int
    """How many calls of the same module came before."""
    module: nn.Module
    """The module that was called."""
    input: Tensor | None = None
    """Its input, where it was given exactly one tensor."""
    output: Tensor | None = None
    """Its output, where that is one tensor."""
    children: list["Call"] = field(default_factory=list)
    """The calls that its forward made, in order."""

    @property
    def label(self) -> str:
        """Dotted name; later calls of the same module are told apart by ``@2``, ``@3`` ..."""
        return self.name if self.index == 0 else f"{self.name}@{self.index + 1}"


class _Recorder:
    """Clones each tensor once per state: a tensor changed in place between two hooks is cloned again."""

    def __init__(self) -> None:
        self.stack: list[Call] = []
        self.counts: dict[str, int] = {}
        self.kept: dict[int, tuple[weakref.ref[Tensor], int, Tensor]] = {}

    def keep(self, values: Sequence[object]) -> Tensor | None:
        if len(values) != 1 or not isinstance(values[0], Tensor):
            return None
        tensor = values[0]
        known = self.kept.get(id(tensor))
        if known is not None and known[0]() is tensor and known[1] == tensor._version:
            return known[2]
        clone = tensor.detach().clone()
        self.kept[id(tensor)] = (weakref.ref(tensor), tensor._version, clone)
        return clone

    def enter(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = [v for v in (*args, *kwargs.values()) if isinstance(v, (Tensor, list, tuple, dict))]
            count = self.counts.get(name, 0)
            self.counts[name] = count + 1
            call = Call(name, count, module, self.keep(given))
            if self.stack:
                self.stack[-1].children.append(call)
            self.stack.append(call)

        return hook

    def leave(self, module: nn.Module, args: tuple[Any, ...], output: object) -> None:
        call = self.stack[-1]
        call.output = self.keep([output])
        if len(self.stack) > 1:
            self.stack.pop()


def record_calls(module: nn.Module, images: Tensor) -> Call:
    """Run a network once and record every module call.

    Hooks clone what they keep, because a later in-place layer overwrites it; they come off whatever happens.

    Args:
        module: the network, in evaluation mode.
        images: normalised images (N,3,S,S).

    Returns:
        The call of the network itself, with all others below it.
    """
    recorder = _Recorder()
    handles = []
    try:
        for name, part in module.named_modules():
            handles.append(part.register_forward_pre_hook(recorder.enter(name), with_kwargs=True))
            handles.append(part.register_forward_hook(recorder.leave))
        with torch.no_grad():
            module(images)
    finally:
        for handle in handles:
            handle.remove()
    return recorder.stack[0]
