"""The networks we know by name: one row of data each."""

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from difflib import get_close_matches
from importlib.resources import as_file, files
from pathlib import Path

import torch
from torch import Tensor, nn

from partscope.errors import PerformerError
from partscope.performers.caffe import AlexNetBVLC, resnet50_v1
from partscope.performers.creatures_net import CreaturesNet
from partscope.performers.library import (
    library_row,
    structure,
    timm_weights,
    torchvision_build,
    torchvision_enum,
    torchvision_weights,
)
from partscope.performers.matconvnet import read_matconvnet
from partscope.performers.orders import reordered
from partscope.performers.performer import Performer
from partscope.performers.row import Row
from partscope.performers.trained import Trained, check_widths, opened
from partscope.performers.vgg_m_s import VGGM, VGGS
from partscope.performers.weights import PIXELS, Weights, fit_weights, read_weights
from partscope.settings import PerformerSettings

_PIXEL_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
"""ImageNet's mean in 0 to 255, for networks that subtract it and divide by nothing."""


def _resnet(depth: int, tap: str, targets: tuple[str, ...]) -> Row:
    """Reading R2: the tap lies below the last two blocks. R3 is ``--performer.tap layer3``, see decision 17."""
    return Row(
        build=torchvision_build(f"resnet{depth}"),
        tap=tap,
        targets=targets,
        classifier="fc",
        download=f"ResNet{depth}_Weights.IMAGENET1K_V1",
    )


def _caffe_style(build: Callable[[int], nn.Module], input_size: int, **normalisation: tuple[float, ...]) -> Row:
    return Row(
        build=build,
        tap="relu4",
        targets=("fc6", "fc7"),
        classifier="fc8",
        input_size=input_size,
        head=("fc6", "fc7", "fc8"),
        **normalisation,  # type: ignore[arg-type]
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
        build=torchvision_build("alexnet"),
        tap="features.9",
        targets=("classifier.1", "classifier.4"),
        classifier="classifier.6",
        download="AlexNet_Weights.IMAGENET1K_V1",
        head=("classifier.1", "classifier.4", "classifier.6"),
    ),
    "alexnet_bvlc": _caffe_style(AlexNetBVLC, 227),
    "vgg_m": _caffe_style(VGGM, 224, mean=_PIXEL_MEAN, std=PIXELS),
    "vgg_s": _caffe_style(VGGS, 224, mean=_PIXEL_MEAN, std=PIXELS),
    "vgg16": Row(
        build=torchvision_build("vgg16"),
        tap="features.27",
        targets=("classifier.0", "classifier.3"),
        classifier="classifier.6",
        download="VGG16_Weights.IMAGENET1K_V1",
        head=("classifier.0", "classifier.3", "classifier.6"),
    ),
    "squeezenet1_0": Row(
        build=torchvision_build("squeezenet1_0"),
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


def catalogue_row(name: str, member: str = "") -> Row:
    """Look a network up.

    Args:
        name: e.g. ``vgg16``, ``torchvision:convnext_tiny`` or ``timm:convnext_tiny``.
        member: name of torchvision's weights, e.g. ``IMAGENET1K_V2``; empty takes the row's.

    Returns:
        Its row.

    Raises:
        PerformerError: there is none of that name; names the nearest.
    """
    library, colon, rest = name.partition(":")
    if colon:
        return library_row(library, rest, member)
    if name in CATALOGUE:
        row = CATALOGUE[name]
        if member and row.download:
            return replace(row, download=str(torchvision_enum(name, member)))
        return row
    near = get_close_matches(name, CATALOGUE, 3, 0.4)
    hint = f"; nearest: {', '.join(near)}" if near else ""
    raise PerformerError(
        f"looking up the performer '{name}'",
        f"no such network{hint}",
        f"set performer.name to one of {', '.join(CATALOGUE)}, torchvision:NAME or timm:NAME; "
        "for your own network use Performer.for_model",
    )


def load_performer(settings: PerformerSettings) -> Performer:
    """Build a network of the catalogue or of a library, load its weights and make it a performer.

    The number of scores and the width of a head are those of the weights. With ``head = "train"`` the weights
    of the fully connected layers may be missing: they start at random, with one score, until a new head is
    trained and put in with `with_head`. The normalisation is the settings', else the weights' own, else the row's;
    with a folder of `partscope train-performer` as weights the name, the normalisation and the input size are its own.

    Args:
        settings: name, weights, and what differs from the row.

    Returns:
        The performer.

    Raises:
        PerformerError: no such network, no such weights, weights that do not fit, a download that fails, or a
            tap or target that is not there.
    """
    settings, trained = opened(settings)
    row = _row(settings, trained)
    size = settings.input_size or row.input_size
    weights = stored_weights(settings)
    names = weights.class_names if trained is None else trained.class_names
    if trained is not None:
        check_widths(trained, row.head or (row.classifier,), weights.state, Path(settings.weights or "").parent)
    module = _fitted(settings, row, weights.state, weights.source)
    return Performer.for_model(
        module,
        size,
        settings.mean or (row.mean if weights.mean is None else weights.mean),
        settings.std or weights.std or row.std,
        tap=settings.tap or row.tap,
        targets=settings.targets or (None if settings.tap else row.targets),
        name=settings.name,
        class_names=names if settings.head == "own" else (),
    )


def row_of(settings: PerformerSettings) -> tuple[PerformerSettings, Row]:
    """Find the row that settings mean, also where their weights are a trained performer's folder.

    Returns:
        The settings with the network's name and its file of weights, and the row with its normalisation.

    Raises:
        PerformerError: no such network, no such weights, or a folder that holds no trained performer.
    """
    settings, trained = opened(settings)
    return settings, _row(settings, trained)


def _row(settings: PerformerSettings, trained: Trained | None) -> Row:
    member, weights = _member(settings.weights), settings.weights
    row = catalogue_row(settings.name, member)
    if weights is not None and not (member and row.download) and not Path(weights).expanduser().exists():
        raise PerformerError(
            f"reading the weights '{weights}'",
            "no such file",
            "set performer.weights to a file of weights, a folder of `train-performer`, or torchvision's name of some",
        )
    return row if trained is None else replace(row, mean=trained.mean, std=trained.std)


def stored_weights(settings: PerformerSettings) -> Weights:
    """Read the weights that settings name.

    Returns:
        Tensors by dotted name, where they come from, and the normalisation that came with them.

    Raises:
        PerformerError: there are none, or they cannot be read.
    """
    member = _member(settings.weights)
    row = catalogue_row(settings.name, member)
    return _read(settings, row, settings.input_size or row.input_size, bool(member))


def new_network(row: Row, width: int, outputs: int) -> nn.Module:
    """Make a network at random, with this many scores and its hidden fully connected layers this wide."""
    module = row.build(outputs)
    _resize(module, row.head, [width] * (len(row.head) - 1) + [outputs])
    return module


def _member(weights: str | None) -> str:
    """Tell torchvision's names of weights, e.g. ``IMAGENET1K_V2``, from files."""
    named = weights is not None and re.fullmatch(r"[A-Z][A-Z0-9_]+", weights) and not Path(weights).exists()
    return weights if weights is not None and named else ""


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


def _read(settings: PerformerSettings, row: Row, size: int, published: bool) -> Weights:
    if settings.weights is not None and not (published and row.download):
        path = Path(settings.weights).expanduser()
        if path.suffix == ".mat":
            return read_matconvnet(path, structure(row.build, row.outputs))
        order = settings.weights_order
        module = structure(row.build, row.outputs) if order in ("torch", "caffe") else random_network(row)
        weights = reordered(read_weights(path), order, module, size, f"'{settings.weights}'")
        if order in ("caffe", "keras_bgr") and weights.mean is None and not settings.mean:
            raise PerformerError(
                f"reading the weights '{settings.weights}' in the order of {order}",
                "no mean to subtract from the images, neither in the file ('mean') nor in the settings",
                "set performer.mean to three numbers in the scale [0, 1], red first",
            )
        return weights
    if row.packaged:
        with ExitStack() as stack:
            path = stack.enter_context(as_file(files("partscope.performers") / row.packaged))
            return Weights(read_weights(path), f"the package's '{row.packaged}'")
    if row.timm:
        return timm_weights(row.timm)
    if not row.download:
        raise PerformerError(
            f"loading the weights of {settings.name}",
            "no file, and torchvision has none for it",
            "pass --performer.weights FILE",
        )
    return torchvision_weights(row.download)


def random_network(row: Row) -> nn.Module:
    """Make the network with random weights; torch's random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return row.build(row.outputs)
