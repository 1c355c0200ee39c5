"""A network about to be trained: which layers start anew, which are frozen, and what each weight's step size is."""

from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from partscope.errors import PartscopeError, PerformerError
from partscope.performers.catalogue import new_network, row_of, stored_weights
from partscope.performers.front import Front, Tail, outside, under
from partscope.performers.frozen import frozen_copy, state_digest
from partscope.performers.images import check_normalisation
from partscope.performers.plan import one_sided_end
from partscope.performers.row import Row
from partscope.performers.spine import Spine, find_spine
from partscope.performers.weights import Weights, fit_weights
from partscope.settings import PerformerSettings

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


class Beginning(NamedTuple):
    """Where training begins."""

    full: bool
    """Every layer learns; else those from ``from_layer`` on."""
    from_layer: str | None
    """Dotted name; None takes the fully connected layers."""
    random: bool
    """No layer starts from weights."""
    initial: Literal["he", "normal"]
    """Start of new layers."""
    dropout: float
    """Of the dropout layers that the network has."""
    seed: int
    """Of new layers."""
    both_sides: bool = False
    """The scores have to be able to fall on both sides of 0, as the logistic loss asks."""


@final
class Trainee:
    """A network, cut in two if its lower layers stay frozen.

    Attributes:
        module: the whole network as training begins.
        front: the frozen layers; None if every layer learns.
        part: what learns.
        new_layers: dotted names of the layers that start anew.
        digest: SHA-256 of the weights that it begins with.
    """

    def __init__(
        self,
        name: str,
        row: Row,
        size: int,
        module: nn.Module,
        spine: Spine | None,
        first: int,
        new: list[str],
        digest: str,
    ) -> None:
        self.name, self.row, self.input_size, self.module = name, row, size, module
        self.new_layers, self.digest = new, digest
        self.front: Front | None = None
        self.part: nn.Module = module
        if spine is not None:
            frozen = frozen_copy(module)
            spine = find_spine(frozen, size, name)
            self.front = Front(frozen, spine, first - 1, name=name, input_size=size, mean=row.mean, std=row.std)
            self.part = Tail(spine.steps[first:])

    def to(self, device: str) -> "Trainee":
        """Move it; returns itself."""
        self.part.to(device)
        if self.front is not None:
            self.front.to(device)
        return self

    def begin_scaled(self, features: Tensor) -> None:
        """Let the tail see its inputs at a mean square of 1, where its first layer is new and can take the scale in.

        Args:
            features: some of the front's outputs.
        """
        if isinstance(self.part, Tail):
            weight = self.part.scaled_weight()
            if weight is not None and weight.rpartition(".")[0] in self.new_layers:
                self.part.scale = float(1 / features.float().square().mean().sqrt().clamp_min(1e-12))

    def parameter_groups(self, weight_decay: float, pretrained_rate: float, paper_biases: bool) -> list[dict[str, Any]]:
        """Sort the learning weights by step size and decay.

        Plain: biases and norms do not decay; layers that start from weights take ``pretrained_rate`` of the
        step. The released code's rule instead: biases of new layers take twice the step and do not decay, the
        bias of the last pre-trained convolution takes five times the step.

        Returns:
            Groups for an optimiser, with ``rate`` the multiple of the step size.
        """
        convs = [n for n, m in self.module.named_modules() if isinstance(m, nn.Conv2d) and n not in self.new_layers]
        last_bias = f"{convs[-1]}.bias" if convs else ""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for own, weight in self.part.named_parameters():
            name = self.part.whole_name(own) if isinstance(self.part, Tail) else own
            new, bias = name.rpartition(".")[0] in self.new_layers, name.endswith(".bias")
            rate, decay = 1.0 if new else pretrained_rate, 0.0 if weight.ndim <= 1 else weight_decay
            if paper_biases:
                decay = 0.0 if new and bias else weight_decay
                rate *= 5 if name == last_bias else 2 if new and bias else 1
            groups.setdefault((rate, decay), []).append(weight)
        return [{"params": p, "rate": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]

    def whole_state(self, part_state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The whole network's state dict from one of the part that learns."""
        found = self.part.whole_state(part_state) if isinstance(self.part, Tail) else part_state
        state = {**self.module.state_dict(), **found}
        return {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}

    def widths(self) -> tuple[int, ...]:
        """Outputs of the fully connected layers, the scores last."""
        state = self.module.state_dict()
        return tuple(len(state[f"{name}.weight"]) for name in self.row.head or (self.row.classifier,))


def prepare_trainee(
    settings: PerformerSettings, outputs: int, begin: Beginning, mean: tuple[float, ...] | None = None
) -> Trainee:
    """Build a network of the catalogue for training.

    The fully connected layers, or the classifier of a network without them, always start anew. Other layers that
    learn start from the weights, or all of them anew where the weights hold none of them; frozen ones must be
    there.

    Args:
        settings: name, weights, width of the fully connected layers, input size.
        outputs: number of scores.
        begin: what learns and how it starts.
        mean: of the normalisation; None takes the network's own.

    Returns:
        The network, on the CPU.

    Raises:
        PerformerError: no such network or layer, weights that do not fit, or none for a frozen layer; a normalisation
            that is none; scores on one side of 0 where they need both.
    """
    settings, row = row_of(settings)
    name, size = settings.name, settings.input_size or row.input_size
    stored = Weights({}, "nothing") if begin.random else stored_weights(settings)
    state, source, digest = stored.state, stored.source, state_digest(stored.state)
    row = _normalised(row, settings, stored)
    check_normalisation(row.mean, row.std, size, name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(begin.seed)
        module = new_network(row, settings.head_width, outputs)
    connected = list(row.head or (row.classifier,))
    if begin.both_sides:
        _check_both_sides(module, size, name)
    spine, first, learning = None, 0, [""]
    if not begin.full:
        spine = find_spine(frozen_copy(module), size, name)
        first = _first_step(spine, module, name, connected, begin.from_layer)
        learning = [step.name for step in spine.steps[first:] if step.name]
    state = outside(state, connected)
    layers = [part for part, _ in module.named_modules() if _own_tensors(module, part)]
    upper = [part for part in layers if not begin.full and under(part, learning) and part not in connected]
    new = [part for part in layers if part in connected]
    if begin.random:
        new = layers
    elif not any(key.rpartition(".")[0] in upper for key in state):
        new += upper
    if not begin.random:
        _check_missing(module, state, source, name, new, learning)
        fit_weights(module, state, source, may_miss=tuple(new))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(begin.seed)
        for part in new:
            _start_anew(module.get_submodule(part), begin.initial, last=part == row.classifier)
    if mean is not None:
        row = replace(row, mean=mean)
    trainee = Trainee(name, row, size, module.eval(), spine, first, new, digest)
    for part in trainee.part.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = begin.dropout
    return trainee


def _normalised(row: Row, settings: PerformerSettings, stored: Weights) -> Row:
    """The row with the settings' normalisation, else the weights' own; of a mean image its mean by channel."""
    own = stored.mean
    if isinstance(own, Tensor):
        own = tuple(float(v) for v in own.mean((1, 2)))
    return replace(row, mean=settings.mean or own or row.mean, std=settings.std or stored.std or row.std)


def _check_both_sides(module: nn.Module, size: int, name: str) -> None:
    """Refuse a network with an activation after its classifier that leaves the logistic loss no way to its least."""
    try:
        step = one_sided_end(find_spine(frozen_copy(module), size, name))
    except PartscopeError:  # no chain to look at; whoever needs one says so
        return
    if step is not None:
        side = "above" if isinstance(step.module, (nn.LogSoftmax, nn.LogSigmoid)) else "below"
        raise PerformerError(
            f"choosing the loss of {name}",
            f"train.loss logistic, where no score is ever {side} 0: "
            f"'{step.label}' ({type(step.module).__name__}) follows the classifier",
            "give --train.loss softmax with --train.labels multi, or take another network",
        )


def _own_tensors(module: nn.Module, part: str) -> bool:
    layer = module.get_submodule(part)
    return any(True for _ in layer.parameters(recurse=False)) or any(True for _ in layer.buffers(recurse=False))


def _first_step(spine: Spine, module: nn.Module, name: str, connected: list[str], layer: str | None) -> int:
    """Position of the first step that learns; dropout right before the fully connected layers is part of them."""
    doing = f"choosing the layers of {name} that learn"
    listed = f"`partscope taps {name}` lists the layers; --train.scope full trains them all"
    wanted = layer or connected[0]
    if layer is None and not isinstance(module.get_submodule(wanted), nn.Linear):
        raise PerformerError(
            doing, "no fully connected layers, and no train.from_layer", f"give --train.from_layer LAYER: {listed}"
        )
    found = [i for i, step in enumerate(spine.steps) if step.name and under(step.name, [wanted])]
    if not found:
        names = {step.name.rsplit(".", k)[0] for step in spine.steps for k in range(step.name.count(".") + 1)}
        near = get_close_matches(wanted, sorted(names - {""}), 1, 0.0)
        hint = f"the nearest is '{near[0]}'; " if near else ""
        raise PerformerError(doing, f"no layer '{wanted}' on the way to the scores", f"{hint}{listed}")
    first = found[0]
    while layer is None and first > 1 and isinstance(spine.steps[first - 1].module, nn.modules.dropout._DropoutNd):
        first -= 1
    if first == 0:
        raise PerformerError(
            doing,
            f"'{wanted}', below which there is no layer to freeze",
            f"give a later --train.from_layer: {listed}",
        )
    return first


def _check_missing(
    module: nn.Module, state: dict[str, Tensor], source: str, name: str, new: list[str], learning: list[str]
) -> None:
    """Refuse frozen layers without weights, naming the first and what would train it."""
    own = module.state_dict()
    lacking = [key for key in own if key not in state and key.rpartition(".")[0] not in new]
    if lacking and all(key in own and own[key].shape == value.shape for key, value in state.items()):
        first, full = lacking[0], learning == [""]
        begun = full or any(under(key, learning) for key in lacking)
        layer = ".".join(first.split(".")[: 2 if begun else 1])
        raise PerformerError(
            f"loading {source} into {name}",
            f"no weights for '{first}' and {len(lacking) - 1} more"
            + (", but for others of the layers that learn" if begun else ", which would stay as they are"),
            f"give {'--train.scope head ' if full else ''}--train.from_layer {layer} to train it anew, or take weights "
            "that hold it",
        )


def _start_anew(layer: nn.Module, initial: Literal["he", "normal"], *, last: bool) -> None:
    """Draw a layer's weights: He's for ReLU, the scores' and the paper's with a deviation of .01; biases are 0."""
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        if initial == "normal" or last:
            nn.init.normal_(layer.weight, std=0.01)
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    elif isinstance(layer, _NORMS):
        layer.reset_parameters()
