"""Reading intermediate outputs of a network with hooks that always come off."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from partscope.performers.spine import Spine


class _Done(BaseException):
    """Everything asked for has been read; not an Exception, so that no network's own handler catches it."""


def read_positions(
    module: nn.Module,
    spine: Spine,
    positions: Sequence[int],
    images: Tensor,
    *,
    keep_graph: bool = False,
) -> list[Tensor]:
    """Run a network and read its outputs at some positions of the spine; stop after the last one.

    Args:
        module: the network that the spine belongs to.
        spine: its spine.
        positions: places on the spine, in order.
        images: normalised images.
        keep_graph: keep the outputs' gradient graph instead of detaching them.

    Returns:
        One tensor a position, a clone.
    """
    sources = [_named_step(spine, position) for position in positions]
    found: dict[int, Tensor] = {}
    calls: dict[tuple[str, bool], int] = {}

    def note(name: str, entry: bool, value: Tensor) -> None:
        count = calls.get((name, entry), 0)
        calls[name, entry] = count + 1
        for source in sources:
            step = spine.steps[source]
            if (step.name, step.index, step.entry) == (name, count, entry):
                found[source] = value.clone() if keep_graph else value.detach().clone()
        if sources[-1] in found:
            raise _Done

    def before(name: str) -> Callable[..., None]:
        def hook(part: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            note(name, True, next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)))

        return hook

    def after(name: str) -> Callable[..., None]:
        return lambda part, args, output: note(name, False, output)

    handles = []
    try:
        for name, entry in dict.fromkeys((spine.steps[s].name, spine.steps[s].entry) for s in sources):
            part = module.get_submodule(name)
            if entry:
                handles.append(part.register_forward_pre_hook(before(name), with_kwargs=True))
            else:
                handles.append(part.register_forward_hook(after(name)))
        module(images)
    except _Done:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return [
        spine.run(found[source], source + 1, position + 1) for source, position in zip(sources, positions, strict=True)
    ]


def _named_step(spine: Spine, position: int) -> int:
    """Find the module call that a position is computed from by functional steps alone."""
    while not spine.steps[position].name:
        position -= 1
    return position
