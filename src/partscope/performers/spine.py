"""The spine: the chain of module calls that leads from some point of a network to its scores."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from partscope.errors import DivergedError, PerformerError
from partscope.performers.bridges import find_bridge
from partscope.performers.calls import Call, record_calls
from partscope.performers.frozen import device_of, dtype_of, in_place_layers, set_in_place, undisturbed

_TOLERANCE = 1e-5


@final
@dataclass(frozen=True, eq=False)
class SpineStep:
    """One step of the spine."""

    name: str
    """Dotted name of the module; empty for a functional step between two modules."""
    label: str
    """What users call it: the name, ``name@2`` for a second call, ``name+relu`` for a functional step."""
    module: nn.Module
    """What runs."""
    index: int
    """How many calls of the same module come before this one in a forward pass."""
    output_shape: tuple[int, ...]
    """Shape of its output without the batch axis."""
    convolves: bool = False
    """Whether a convolution inside it works on maps of more than one position (a gate's does not)."""
    entry: bool = False
    """Whether it stands for what goes into the module, where that is no module's output."""


@final
@dataclass(frozen=True, eq=False)
class Spine:
    """A suffix of the forward pass: the steps in order turn the first one's output into the scores."""

    steps: tuple[SpineStep, ...]
    """From the first position that can be resumed to the scores."""
    containers: dict[str, int]
    """Opened modules by dotted name, e.g. a whole stage, with the position of their output."""
    origin: str = ""
    """Why the chain begins where it does; empty where it begins at the image."""

    def run(self, tensor: Tensor, first: int, last: int | None = None) -> Tensor:
        """Run steps ``first`` to ``last`` (excluded) on a tensor, which stays as it is.

        Args:
            tensor: output of step ``first - 1``.
            first: position of the first step to run.
            last: position after the last step to run; None runs to the scores.

        Returns:
            Output of step ``last - 1``.
        """
        value = tensor.clone()
        for step in self.steps[first:last]:
            value = step.module(value)
        return value

    def position(self, label: str) -> int | None:
        """Find a position by its label.

        Returns:
            Its number, None if the spine has no such step.
        """
        found = {step.label: i for i, step in reversed(list(enumerate(self.steps)))}
        return found.get(label, self.containers.get(label))


def find_spine(module: nn.Module, input_size: int, name: str = "", channels: int = 3) -> Spine:
    """Trace a frozen network once and find its spine.

    The walk goes backwards from the scores: the last module call whose output *bridges* to them (is them, or
    becomes them by a few functional steps), then the call whose output bridges to that one's input, and so
    on. A call with parameters that is not on this chain ends it. A call is opened into the calls inside it if
    those form such a chain from its input to its output, so that residual and inception blocks stay whole.
    The spine is checked on a second random batch, of another size and larger values.

    Args:
        module: a frozen copy of the network in evaluation mode; its in-place flags are turned off if that
            leaves its scores alone.
        input_size: side of the square input, px.
        name: what to call the network in errors.
        channels: number of input channels.

    Returns:
        The spine, verified step by step to 1e-5 relative.

    Raises:
        PerformerError: the network does not run on such input, does not return one score vector per image, or
            no module call leads to its scores.
        DivergedError: some layer's output is not finite.
    """
    name = name or type(module).__name__
    device, dtype = device_of(module), dtype_of(module)
    generator = torch.Generator().manual_seed(20)
    shape = (channels, input_size, input_size)
    first = torch.randn(2, *shape, generator=generator).to(device, dtype)
    second = (3 * torch.randn(1, *shape, generator=generator)).to(device, dtype)
    with undisturbed(device), torch.no_grad():
        try:
            _calm_in_place(module, second)
            root = record_calls(module, first)
            check = record_calls(module, second)
        except Exception as error:
            raise PerformerError(
                f"tracing {name} with input {tuple(first.shape)}",
                f"{type(error).__name__}: {error}",
                "check that the network takes float images of this size (set performer.input_size)",
            ) from error
        _check_scores(root, name)
        spine = _build(root)
        return _verified(spine, check, name)


def _calm_in_place(module: nn.Module, images: Tensor) -> None:
    """Turn in-place layers off, unless the network's result depends on their overwriting."""
    names = in_place_layers(module)
    if not names:
        return
    own = module(images.clone())
    before = set_in_place(module, dict.fromkeys(names, False))
    calm = module(images.clone())
    if not (isinstance(own, Tensor) and isinstance(calm, Tensor) and torch.equal(own, calm)):
        set_in_place(module, before)


def _check_scores(root: Call, name: str) -> None:
    scores = root.output
    if scores is None or scores.ndim != 2:
        got = "something that is not one tensor" if scores is None else f"a tensor {tuple(scores.shape)}"
        raise PerformerError(
            f"tracing {name}",
            f"{got} as its output",
            "hand over a classifier with scores (N, classes)",
        )
    if not bool(torch.isfinite(scores).all()):
        layer = _first_bad(root) or name
        raise DivergedError(
            f"tracing {name} with random images",
            f"values that are not finite in the output of '{layer}'",
            "check the network's weights",
        )


def _first_bad(call: Call) -> str | None:
    for child in call.children:
        found = _first_bad(child)
        if found is not None:
            return found
    if call.output is None or bool(torch.isfinite(call.output).all()):
        return None
    return call.label


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _chain(call: Call) -> tuple[list[Call | nn.Module], bool]:
    """Walk back from a call's output over the calls inside it; tell whether the walk reached its input.

    The first item is a call, or a bridge from the input.
    """
    items: list[Call | nn.Module] = []
    if call.output is None:
        return items, False
    current, end = call.output, len(call.children)
    while True:
        found = None
        for k in range(end - 1, -1, -1):
            child = call.children[k]
            bridge = None if child.output is None else find_bridge(child.output, current)
            if bridge is not None:
                found = k
                break
            if _has_parameters(child.module):
                return items, False
        if found is None:
            bridge = None if call.input is None else find_bridge(call.input, current)
            return [*(bridge or ()), *items], bridge is not None
        child = call.children[found]
        items = [child, *(bridge or ()), *items]
        if child.input is None:
            return items, False
        current, end = child.input, found


def _expand(item: Call | nn.Module, opened: list[tuple[str, Call | nn.Module]]) -> list[Call | nn.Module]:
    if not isinstance(item, Call) or not item.children:
        return [item]
    inner, complete = _chain(item)
    if not complete or not any(isinstance(part, Call) for part in inner):
        return [item]
    flat = [leaf for part in inner for leaf in _expand(part, opened)]
    opened.append((item.label, flat[-1]))
    return flat


def _build(root: Call) -> Spine:
    opened: list[tuple[str, Call | nn.Module]] = []
    items: list[Call | nn.Module] = []
    chain, whole = _chain(root)
    for item in chain:
        items += _expand(item, opened)
    while items and not isinstance(items[0], Call):
        items = items[1:]
    steps: list[SpineStep] = []
    value: Tensor | None = None
    origin, entry = ("", None) if whole or not items else _origin(items[0], root)
    if entry is not None:
        steps.append(entry)
    for item in items:
        if isinstance(item, Call):
            value = item.output
            assert value is not None
            shape = tuple(value.shape[1:])
            steps.append(SpineStep(item.name, item.label, item.module, item.index, shape, _convolves(item)))
        else:
            assert value is not None
            value = item(value)
            label = f"{steps[-1].label}+{type(item).__name__.lower()}"
            steps.append(SpineStep("", label, item, 0, tuple(value.shape[1:])))
    places = {id(item): i for i, item in enumerate(items, start=len(steps) - len(items))}
    return Spine(tuple(steps), {label: places[id(end)] for label, end in opened if id(end) in places}, origin)


def _origin(first: Call | nn.Module, root: Call) -> tuple[str, SpineStep | None]:
    """Say why a chain begins at its first call; make a step of what goes into it where that is a map."""
    assert isinstance(first, Call)
    if first.input is None:
        return f"'{first.label}' takes several tensors", None
    origin = f"what goes into '{first.label}' is no module's output"
    image = root.input is not None and first.input.shape == root.input.shape
    if first.input.ndim != 4 or image:
        return origin, None
    shape = tuple(first.input.shape[1:])
    return origin, SpineStep(first.name, f"{first.label}.input", nn.Identity(), first.index, shape, entry=True)


def _convolves(call: Call) -> bool:
    maps = call.output
    if isinstance(call.module, nn.Conv2d) and maps is not None and maps.ndim == 4 and maps.shape[2:].numel() > 1:
        return True
    return any(_convolves(child) for child in call.children)


def _verified(spine: Spine, check: Call, name: str) -> Spine:
    """Run every step alone on a second batch; keep the part of the spine, up to the scores, that agrees."""
    recorded = _by_name(check)
    start, value = 0, None
    for i, step in enumerate(spine.steps):
        own = recorded.get((step.name, step.index, step.entry)) if step.name else None
        if step.name and own is None:
            start, value = i + 1, None
            continue
        ran = None if value is None else step.module(value.clone())
        if own is None:
            value = ran
            start = i + 1 if ran is None else start
            continue
        if ran is not None and not agree(ran, own):
            ran = None
        if ran is None:
            start = i
        value = own
    if value is None or check.output is None or not agree(value, check.output):
        start = len(spine.steps)
    steps = spine.steps[start:]
    if not steps:
        raise PerformerError(
            f"finding the chain of layers that leads to the scores of {name}",
            "no module whose output becomes the scores by itself",
            "hand over a CNN whose forward ends with modules called one after the other",
        )
    containers = {label: at - start for label, at in spine.containers.items() if at >= start}
    origin = spine.origin if start == 0 else f"what lies below '{steps[0].label}' cannot be computed step by step"
    return Spine(steps, containers, origin)


def agree(value: Tensor, own: Tensor) -> bool:
    """Tell whether two results are the same to 1e-5 of the largest value.

    Returns:
        False also where the number of values differs.
    """
    if value.numel() != own.numel():
        return False
    gap = (value.reshape(-1) - own.reshape(-1)).abs().max()
    return bool(gap <= _TOLERANCE * own.abs().max())


def _by_name(call: Call) -> dict[tuple[str, int, bool], Tensor]:
    """List what was recorded by name, number of the call, and whether it is what went in."""
    found = {} if call.output is None else {(call.name, call.index, False): call.output}
    if call.input is not None:
        found[call.name, call.index, True] = call.input
    for child in call.children:
        found |= _by_name(child)
    return found
