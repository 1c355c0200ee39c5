"""What `partscope taps` lists: a network's layers, what is chosen by default, and why a layer cannot be tapped."""

from typing import Literal, NamedTuple, final

from torch import nn

from partscope.errors import PerformerError
from partscope.performers.catalogue import catalogue_row, random_network
from partscope.performers.frozen import frozen_copy
from partscope.performers.plan import make_plan, why_not_tap
from partscope.performers.spine import find_spine


@final
class TapRow(NamedTuple):
    """One line of `partscope taps NAME`."""

    name: str
    """Dotted name to give as tap or target."""
    kind: str
    """Class of the module."""
    shape: tuple[int, ...]
    """Shape of its output without the batch axis."""
    tappable: bool
    """Whether it can be the tap."""
    why: str
    """Why not; empty if it can."""
    role: Literal["", "tap", "top unit", "target"] = ""
    """What it is where tap and targets are left to their defaults."""


@final
class TapTable(NamedTuple):
    """The layers of a network."""

    rows: list[TapRow]
    """In order."""
    why_no_default: str
    """Why no tap and targets are chosen by default; empty if they are."""


def list_taps(network: str | nn.Module, input_size: int | None = None) -> list[TapRow]:
    """List the layers on the way to the scores; needs no weights.

    Args:
        network: a name of the catalogue, ``torchvision:NAME``, ``timm:NAME``, or any module.
        input_size: side of the square input, px; None takes the row's, or 224.

    Returns:
        One row a layer, in order.

    Raises:
        PerformerError: no such network, or it cannot be traced.

    >>> [(row.name, row.role) for row in list_taps("creatures_net") if row.role][:2]
    [('relu4', 'tap'), ('conv5', 'top unit')]
    """
    return tap_table(network, input_size).rows


def tap_table(network: str | nn.Module, input_size: int | None = None) -> TapTable:
    """As `list_taps`, with the reason where nothing is chosen by default."""
    tap: str | None = None
    targets: tuple[str, ...] = ()
    if isinstance(network, str):
        row = catalogue_row(network)
        module, tap, targets = random_network(row), row.tap, row.targets
        name, size = network, input_size or row.input_size
    else:
        module, name, size = network, type(network).__name__, input_size or 224
    spine = find_spine(frozen_copy(module), size, name)
    roles: dict[int, Literal["", "tap", "top unit", "target"]] = {}
    why_no_default = ""
    try:
        plan = make_plan(spine, name, tap, targets)
    except PerformerError as error:
        why_no_default = error.got
    else:
        roles = dict.fromkeys(range(plan.tap + 1, plan.top_end), "top unit")
        roles |= {plan.tap: "tap", **dict.fromkeys(plan.targets, "target")}
    rows = []
    for i, step in enumerate(spine.steps):
        why = why_not_tap(spine, i)
        kind = type(step.module).__name__
        rows.append(TapRow(step.label, kind, step.output_shape, not why, why, roles.get(i, "")))
    return TapTable(rows, why_no_default)
