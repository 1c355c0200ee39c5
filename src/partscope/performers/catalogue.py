"""The networks we know by name: one row of data each."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple, final

import torch
import torchvision
from torch import Tensor, nn

from partscope.errors import PerformerError
from partscope.performers.caffe import AlexNetBVLC, resnet50_v1
from partscope.performers.creatures_net import CreaturesNet
from partscope.performers.frozen import frozen_copy
from partscope.performers.performer import Performer
from partscope.performers.plan import why_not_tap
from partscope.performers.spine import find_spine
from partscope.performers.trained import opened
from partscope.performers.weights import fit_weights, read_weights
from partscope.settings import PerformerSettings

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """One architecture of the catalogue."""

    build: Callable[[int], nn.Module]
    """Makes it with this many scores, weights at random."""
    tap: str
    """Dotted name of the tap."""
    targets: tuple[str, ...]
    """Dotted names of the targets."""
    classifier: str
    """Dotted name of the layer whose weight has one row a score."""
    input_size: int = 224
    """Side of the square input, px."""
    mean: tuple[float, float, float] = _MEAN
    """Mean of the normalisation."""
    std: tuple[float, float, float] = _STD
    """Standard deviation of the normalisation."""
    outputs: int = 1000
    """Scores where no weights say how many."""
    download: str = ""
    """Name of torchvision's weights; empty where it has none."""
    packaged: str = ""
    """File of weights inside this package."""
    head: tuple[str, ...] = ()
    """Fully connected layers that a new head replaces."""


def _torchvision(name: str) -> Callable[[int], nn.Module]:
    def build(outputs: int) -> nn.Module:
        module: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=outputs)
        return module

    return build


def _resnet(depth: int, tap: str, targets: tuple[str, ...]) -> Row:
    return Row(
        build=_torchvision(f"resnet{depth}"),
        tap=tap,
        targets=targets,
        classifier="fc",
        download=f"ResNet{depth}_Weights.IMAGENET1K_V1",
    )


CATALOGUE: dict[str, Row] = {
    "creatures_net": Row(
        build=CreaturesNet,
        tap="relu4",
        targets=("fc6", "fc7"),
        classifier="fc8",
        input_size=96,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        outputs=4,
        packaged="creatures_net.safetensors",
        head=("fc6", "fc7", "fc8"),
    ),
    "alexnet": Row(
        build=_torchvision("alexnet"),
        tap="features.9",
        targets=("classifier.1", "classifier.4"),
        classifier="classifier.6",
        download="AlexNet_Weights.IMAGENET1K_V1",
        head=("classifier.1", "classifier.4", "classifier.6"),
    ),
    "alexnet_bvlc": Row(
        build=AlexNetBVLC,
        tap="relu4",
        targets=("fc6", "fc7"),
        classifier="fc8",
        input_size=227,
        head=("fc6", "fc7", "fc8"),
    ),
    "vgg16": Row(
        build=_torchvision("vgg16"),
        tap="features.27",
        targets=("classifier.0", "classifier.3"),
        classifier="classifier.6",
        download="VGG16_Weights.IMAGENET1K_V1",
        head=("classifier.0", "classifier.3", "classifier.6"),
    ),
    "squeezenet1_0": Row(
        build=_torchvision("squeezenet1_0"),
        tap="features.9",
        targets=("features.12", "classifier.1"),
        classifier="classifier.1",
        download="SqueezeNet1_0_Weights.IMAGENET1K_V1",
    ),
    "resnet18": _resnet(18, "layer3.1", ("layer4.0", "layer4.1")),
    "resnet50": _resnet(50, "layer4.0", ("layer4.1", "layer4.2")),
    "resnet50_v1": replace(
        _resnet(50, "layer4.0", ("layer4.1", "layer4.2")),
        build=resnet50_v1,
        mean=(123.68 / 255, 116.779 / 255, 103.939 / 255),
        download="",
    ),
    "resnet101": _resnet(101, "layer4.0", ("layer4.1", "layer4.2")),
    "resnet152": _resnet(152, "layer4.0", ("layer4.1", "layer4.2")),
}


def catalogue_row(name: str) -> Row:
    """Look a network up.

    Args:
        name: e.g. ``vgg16``.

    Returns:
        Its row.

    Raises:
        PerformerError: there is none of that name; names the nearest.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    near = get_close_matches(name, CATALOGUE, 3, 0.4)
    hint = f"; nearest: {', '.join(near)}" if near else ""
    raise PerformerError(
        f"looking up the performer '{name}'",
        f"no such network{hint}",
        f"set performer.name to one of {', '.join(CATALOGUE)}; for your own network use Performer.for_model",
    )


def load_performer(settings: PerformerSettings) -> Performer:
    """Build a network of the catalogue, load its weights and make it a performer.

    The number of scores and the width of a head are those of the weights. With ``head = "train"`` the weights
    of the fully connected layers may be missing: they start at random, with one score, until a new head is
    trained and put in with `with_head`. With a folder of `partscope train-performer` as weights the name, the
    normalisation and the input size are the folder's.

    Args:
        settings: name, weights, and what differs from the catalogue's row.

    Returns:
        The performer.

    Raises:
        PerformerError: no such network, no such weights, weights that do not fit, a download that fails, or a
            tap or target that is not there.
    """
    settings, row = row_of(settings)
    state, source = _read(settings, row)
    module = _fitted(settings, row, state, source)
    return Performer.for_model(
        module,
        settings.input_size or row.input_size,
        row.mean,
        row.std,
        tap=settings.tap or row.tap,
        targets=settings.targets or (None if settings.tap else row.targets),
        name=settings.name,
    )


def row_of(settings: PerformerSettings) -> tuple[PerformerSettings, Row]:
    """Find the row that settings mean, also where their weights are a trained performer's folder.

    Returns:
        The settings with the network's name and its file of weights, and the row with its normalisation.

    Raises:
        PerformerError: no such network, or a folder that holds no trained performer.
    """
    settings, trained = opened(settings)
    row = catalogue_row(settings.name)
    return settings, row if trained is None else replace(row, mean=trained.mean, std=trained.std)


def stored_weights(settings: PerformerSettings) -> tuple[dict[str, Tensor], str]:
    """Read the weights that settings name.

    Returns:
        Tensors by dotted name, and where they come from, for errors.

    Raises:
        PerformerError: there are none, or they cannot be read.
    """
    return _read(settings, catalogue_row(settings.name))


def new_network(row: Row, width: int, outputs: int) -> nn.Module:
    """Make a network at random, with this many scores and its hidden fully connected layers this wide."""
    module = row.build(outputs)
    _resize(module, row.head, [width] * (len(row.head) - 1) + [outputs])
    return module


def _fitted(settings: PerformerSettings, row: Row, state: dict[str, Tensor], source: str) -> nn.Module:
    new_head = settings.head == "train"
    if new_head and not row.head:
        raise PerformerError(
            f"preparing a new classifier for {settings.name}",
            "a network without fully connected layers to replace",
            "set performer.head to own, with weights that hold the classifier",
        )
    last = state.get(f"{row.classifier}.weight")
    if last is None and not new_head and row.head:
        raise PerformerError(
            f"loading {source} into {settings.name}",
            f"no weights for its classifier ({', '.join(row.head)})",
            "set performer.head to train, or take weights that hold the classifier",
        )
    module = row.build(row.outputs if last is None or new_head else len(last))
    if new_head:
        state = {key: value for key, value in state.items() if key.rpartition(".")[0] not in row.head}
        _resize(module, row.head, (settings.head_width, settings.head_width, 1))
    elif row.head:
        stored = [state.get(f"{name}.weight") for name in row.head]
        _resize(module, row.head, [len(weight) for weight in stored if weight is not None])
    fit_weights(module, state, source, may_miss=row.head if new_head else ())
    return module


def _resize(module: nn.Module, layers: Sequence[str], widths: Sequence[int]) -> None:
    """Give a chain of linear layers these numbers of outputs where they differ."""
    features = None
    for name, width in zip(layers, widths, strict=False):
        layer = module.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        features = features or layer.in_features
        if (layer.in_features, layer.out_features) != (features, width):
            module.set_submodule(name, nn.Linear(features, width))
        features = width


def _read(settings: PerformerSettings, row: Row) -> tuple[dict[str, Tensor], str]:
    if settings.weights is not None:
        return read_weights(Path(settings.weights).expanduser()), f"'{settings.weights}'"
    if row.packaged:
        with ExitStack() as stack:
            path = stack.enter_context(as_file(files("partscope.performers") / row.packaged))
            return read_weights(path), f"the package's '{row.packaged}'"
    if not row.download:
        raise PerformerError(
            f"loading the weights of {settings.name}",
            "no file, and torchvision has none for it",
            "pass --performer.weights FILE",
        )
    try:
        weights = torchvision.models.get_weight(row.download)
        return dict(weights.get_state_dict(progress=False, check_hash=True)), f"torchvision's {row.download}"
    except (OSError, RuntimeError) as error:
        raise PerformerError(
            f"downloading torchvision's {row.download}",
            f"{type(error).__name__}: {error}",
            "download the file elsewhere and pass --performer.weights FILE",
        ) from error


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


def list_taps(network: str | nn.Module, input_size: int | None = None) -> list[TapRow]:
    """List the layers on the way to the scores; needs no weights.

    Args:
        network: a name of the catalogue, or any module.
        input_size: side of the square input, px; None takes the catalogue's, or 224.

    Returns:
        One row a layer, in order.

    Raises:
        PerformerError: no such network, or it cannot be traced.
    """
    if isinstance(network, str):
        row = catalogue_row(network)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = row.build(row.outputs)
        name, size = network, input_size or row.input_size
    else:
        module, name, size = network, type(network).__name__, input_size or 224
    spine = find_spine(frozen_copy(module), size, name)
    reasons = [why_not_tap(spine, i) for i in range(len(spine.steps))]
    return [
        TapRow(step.label, type(step.module).__name__, step.output_shape, not why, why)
        for step, why in zip(spine.steps, reasons, strict=True)
    ]
