"""Where to read and what to reconstruct: tap, top unit, decoder segments and targets on a spine."""

from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import final

from torch import nn

from partscope.errors import PerformerError
from partscope.performers.bridges import ACTIVATIONS
from partscope.performers.spine import Spine, SpineStep

ACTIVATION_TYPES: tuple[type[nn.Module], ...] = (
    *dict.fromkeys(type(step) for step in ACTIVATIONS),
    nn.PReLU,
    nn.RReLU,
    nn.CELU,
    nn.Hardtanh,
    nn.Softsign,
)
POOL_TYPES: tuple[type[nn.Module], ...] = (nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, nn.FractionalMaxPool2d)
_WHOLE_POOL_TYPES: tuple[type[nn.Module], ...] = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten)
_ONE_SIDED_TYPES: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Hardsigmoid, nn.Softplus, nn.Softmax, nn.LogSoftmax, nn.LogSigmoid,
)  # fmt: skip
_SILENT_TYPES: tuple[type[nn.Module], ...] = (nn.Identity, nn.modules.dropout._DropoutNd)


@final
@dataclass(frozen=True)
class Plan:
    """Positions on a spine."""

    tap: int
    """Step whose output the explainer takes in."""
    top_end: int
    """Position after the top unit, which begins after the tap; ``tap + 1`` where the top unit is empty."""
    targets: tuple[int, ...]
    """Steps whose outputs are reconstructed, in order."""


def is_spatial(step: SpineStep) -> bool:
    """Tell whether a step returns maps (D, H, W) of more than one position."""
    shape = step.output_shape
    return len(shape) == 3 and shape[1] * shape[2] > 1 and not _channels_last(shape)


def _channels_last(shape: tuple[int, ...]) -> bool:
    """Tell maps (H, W, D) of a square image from maps (D, H, W)."""
    return len(shape) == 3 and shape[0] == shape[1] != shape[2]


def blocks(spine: Spine) -> list[int]:
    """Find the spatial steps that hold a convolution.

    Returns:
        Their positions.
    """
    return [i for i, step in enumerate(spine.steps) if is_spatial(step) and step.convolves]


def block_end(spine: Spine, block: int) -> int:
    """Find the step that ends a block before its activation: the block, or the normalisation right after it.

    Returns:
        That step's position.
    """
    while block + 1 < len(spine.steps):
        following = spine.steps[block + 1]
        kinds = {type(part) for part in following.module.modules()}
        norm = isinstance(following.module, (nn.modules.batchnorm._BatchNorm, nn.GroupNorm))
        if not (norm and is_spatial(following) and nn.Conv2d not in kinds):
            break
        block += 1
    return block


def through_activation(spine: Spine, position: int) -> int:
    """Step over a normalisation and an activation that follow a position.

    Returns:
        Position of the activation, or the end of the block where none follows.
    """
    position = block_end(spine, position)
    if position + 1 < len(spine.steps) and isinstance(spine.steps[position + 1].module, ACTIVATION_TYPES):
        position += 1
    return position


def activation_after(spine: Spine, position: int) -> nn.Module:
    """Find the activation that a step's output goes through next.

    Returns:
        The spine's own module; Identity if there is none.
    """
    for step in spine.steps[position + 1 :]:
        if isinstance(step.module, ACTIVATION_TYPES):
            return step.module
        if not isinstance(step.module, _SILENT_TYPES):
            break
    return nn.Identity()


def one_sided_end(spine: Spine) -> SpineStep | None:
    """Find an activation after the classifier that keeps all scores on one side of 0, as SqueezeNet's.

    Returns:
        Its step; None if the scores may fall on both sides.
    """
    for step in reversed(spine.steps):
        if isinstance(step.module, _ONE_SIDED_TYPES):
            return step
        if not isinstance(step.module, (*_SILENT_TYPES, *POOL_TYPES, *_WHOLE_POOL_TYPES)):
            break
    return None


def make_plan(spine: Spine, name: str, tap: str | None, targets: tuple[str, ...] | None) -> Plan:
    """Choose tap, top unit and targets, by name or by rule.

    Rule for a net that ends in two or more linear layers (or convolutions of a single position): the targets are
    those before the last one (at most two), the tap is the input of the last convolution on maps.
    Rule for other nets: the targets are the
    outputs of the last two convolution blocks; if pooling follows the block before them, that block and the
    pooling are the top unit and the tap is what they take in, else the tap is that block's output. Where a single
    block is left on the chain it is the target, and what goes into the chain is the tap.
    The top unit is the one block right after the tap, with normalisation, activation and pooling, unless that
    block is the first target.

    Args:
        spine: the chain of steps.
        name: what to call the network in errors.
        tap: label of the tap; None chooses.
        targets: labels of the targets, in order; None or empty chooses.

    Returns:
        The plan.

    Raises:
        PerformerError: a name is unknown, off the spine or out of order, or the tap is not a map.
    """
    tap_at = None if tap is None else _find_tap(spine, name, tap)
    targets_at = tuple(find(spine, name, target) for target in targets or ())
    if not targets_at:
        targets_at = _auto_targets(spine, name, -1 if tap_at is None else tap_at)
    if tap_at is None:
        tap_at = _auto_tap(spine, name, targets_at[0])
        if why := why_not_tap(spine, tap_at):
            raise _bad_tap(spine, name, spine.steps[tap_at].label, why)
    order = (tap_at, *targets_at)
    if any(a >= b for a, b in pairwise(order)):
        labels = [spine.steps[i].label for i in order]
        raise PerformerError(
            f"tapping {name} at '{labels[0]}' with targets {', '.join(labels[1:])}",
            "a target that does not come after the tap and the targets before it",
            f"name the targets in the order of: partscope taps {name}",
        )
    return Plan(tap_at, _top_end(spine, tap_at, targets_at[0]), targets_at)


def find(spine: Spine, name: str, label: str) -> int:
    """Find a step by its label.

    Raises:
        PerformerError: the network has no such layer (names the nearest ones), or it is not on the spine.
    """
    at = spine.position(label)
    if at is not None:
        return at
    labels = list(dict.fromkeys((*(step.label for step in spine.steps), *spine.containers)))
    listing = f"partscope taps {name}"
    around = [step.label for step in spine.steps if step.name and label.startswith(f"{step.name}.")]
    if around:
        raise PerformerError(
            f"looking for the layer '{label}' of {name}",
            f"a place inside '{around[0]}', whose branches meet again later",
            f"take '{around[0]}' itself, or one of: {listing}",
        )
    near = get_close_matches(label, labels, 4, 0.4) or labels[-4:]
    raise PerformerError(
        f"looking for the layer '{label}' of {name}",
        f"no such layer on the way to the scores; nearest: {', '.join(near)}",
        f"take one of: {listing}",
    )


def why_not_tap(spine: Spine, position: int) -> str:
    """Tell why a step cannot be the tap.

    Returns:
        A reason in a few words; empty if it can.
    """
    shape = spine.steps[position].output_shape
    if len(shape) != 3:
        return f"rank {len(shape) + 1}, not a map (N, D, H, W)"
    if shape[1] * shape[2] == 1:
        return "only 1 spatial position"
    if _channels_last(shape):
        return f"{' x '.join(map(str, shape))}: channels stand last, not a map (N, D, H, W)"
    if shape[1] != shape[2]:
        return f"a map of {shape[1]} x {shape[2]} positions is not square"
    behind = spine.steps[position + 1 :]
    if not any(next(step.module.parameters(), None) is not None for step in behind):
        return "no layer with weights behind it to reconstruct"
    return ""


def _find_tap(spine: Spine, name: str, label: str) -> int:
    at = find(spine, name, label)
    why = why_not_tap(spine, at)
    if why:
        raise _bad_tap(spine, name, label, why)
    return at


def _bad_tap(spine: Spine, name: str, label: str, why: str) -> PerformerError:
    shapes = [
        f"{step.label} {'x'.join(map(str, step.output_shape))}"
        for i, step in enumerate(spine.steps)
        if not why_not_tap(spine, i)
    ]
    choice = f"take {', '.join(shapes[-3:])}, or another of" if shapes else "look at"
    return PerformerError(f"tapping {name} at '{label}'", why, f"{choice}: partscope taps {name}")


def _linear_tail(spine: Spine) -> list[int]:
    last = max((i for i, step in enumerate(spine.steps) if is_spatial(step)), default=len(spine.steps))
    return [i for i, s in enumerate(spine.steps) if i > last and isinstance(s.module, (nn.Linear, nn.Conv2d))]


def _auto_targets(spine: Spine, name: str, after: int) -> tuple[int, ...]:
    linears = _linear_tail(spine)
    if len(linears) >= 2:
        found = tuple(i for i in linears[:-1][-2:] if i > after)
    else:
        starts = [i for i in blocks(spine) if i > after]
        if after < 0 and not (len(starts) == 1 and spine.steps[0].entry):
            starts = starts[1:]
        found = tuple(block_end(spine, i) for i in starts[-2:])
    if found:
        return found
    if any(_channels_last(step.output_shape) for step in spine.steps):
        got = f"maps whose channels stand last (N, H, W, D) on the way to the scores; {_labels(spine)}"
    elif not any(is_spatial(step) for step in spine.steps):
        got = f"no layer on the way to the scores that returns maps (N, D, H, W), as in a transformer; {_labels(spine)}"
    else:
        got = f"too few convolution blocks or linear layers to reconstruct; {_labels(spine)}"
    raise PerformerError(
        f"choosing what to explain in {name}", got, "name a tap and targets of that chain, or take a CNN"
    )


def _labels(spine: Spine) -> str:
    labels = [step.label for step in spine.steps]
    chain = ", ".join(labels if len(labels) <= 8 else ["...", *labels[-8:]])
    return f"the chain is: {chain}" + (f"; {spine.origin}" if spine.origin else "")


def _auto_tap(spine: Spine, name: str, target: int) -> int:
    starts = [i for i in blocks(spine) if block_end(spine, i) < target]
    if not starts and spine.steps[0].entry and target > 0:
        return 0
    if not starts:
        raise PerformerError(
            f"choosing the tap of {name} below '{spine.steps[target].label}'",
            "no convolution block on the chain below it",
            f"name a later target, or the tap, of: partscope taps {name}",
        )
    block = starts[-1]
    linear = target in _linear_tail(spine)
    pooled = any(isinstance(step.module, POOL_TYPES) for step in spine.steps[block + 1 : target])
    if (linear or pooled) and block > 0 and not why_not_tap(spine, block - 1):
        return block - 1
    return through_activation(spine, block)


def _top_end(spine: Spine, tap: int, target: int) -> int:
    starts = [i for i in blocks(spine) if tap < i and block_end(spine, i) < target]
    if not starts:
        return tap + 1
    end = through_activation(spine, starts[0]) + 1
    while end < target and isinstance(spine.steps[end].module, POOL_TYPES):
        end += 1
    return end
