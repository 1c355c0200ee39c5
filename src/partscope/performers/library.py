"""Any network of torchvision or timm by name, with the library's own normalisation, input size and weights."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import torch
import torchvision
from torch import nn

from partscope.errors import PerformerError
from partscope.performers.row import IMAGENET_MEAN, IMAGENET_STD, Row
from partscope.performers.weights import Weights

_PUBLISHED: dict[str, dict[str, Any]] = {
    "googlenet": {"transform_input": True, "aux_logits": True, "init_weights": False},
    "inception_v3": {"transform_input": True, "aux_logits": True, "init_weights": False},
}
"""What torchvision's builders set only together with its published weights; the row takes the same."""


def library_row(library: str, name: str, member: str = "") -> Row:
    """Describe a network of a library as a row of the catalogue; tap and targets are left to the rule.

    Args:
        library: ``torchvision`` or ``timm``.
        name: the library's own name, e.g. ``convnext_tiny``.
        member: name of torchvision's weights; empty takes its default ones.

    Returns:
        Its row.

    Raises:
        PerformerError: no such library, network or weights; names the nearest.
    """
    if library == "torchvision":
        return _torchvision_row(name, member)
    if library == "timm":
        return _timm_row(name)
    raise PerformerError(
        f"looking up the performer '{library}:{name}'",
        f"no such library '{library}'",
        "set performer.name to torchvision:NAME, timm:NAME, or a name of the catalogue (partscope taps)",
    )


def _unknown(library: str, name: str, known: Sequence[str]) -> PerformerError:
    near = get_close_matches(name, known, 3, 0.4)
    hint = f"; nearest: {', '.join(f'{library}:{n}' for n in near)}" if near else ""
    return PerformerError(
        f"looking up the performer '{library}:{name}'",
        f"no such network in this version of {library}{hint}",
        f"set performer.name to one of the {len(known)} classifiers of {library}",
    )


def _torchvision_row(name: str, member: str) -> Row:
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise _unknown("torchvision", name, known)
    weights = torchvision_enum(name, member)
    facts = weights.transforms() if weights is not None else None
    build = torchvision_build(name)
    return Row(
        build=build,
        classifier=last_layer(build, 1000),
        input_size=facts.crop_size[0] if facts else 224,
        mean=tuple(facts.mean) if facts else IMAGENET_MEAN,
        std=tuple(facts.std) if facts else IMAGENET_STD,
        download=str(weights) if weights is not None else "",
    )


def torchvision_build(name: str) -> Callable[[int], nn.Module]:
    """Make a builder of a torchvision network with random weights, in the form that its published weights need.

    Returns:
        A function from the number of scores to the network.
    """

    def build(outputs: int) -> nn.Module:
        made: nn.Module = torchvision.models.get_model(
            name, weights=None, num_classes=outputs, **_PUBLISHED.get(name, {})
        )
        return made

    return build


def torchvision_enum(name: str, member: str) -> Any:
    """Find torchvision's weights of a network.

    Args:
        name: of the network.
        member: e.g. ``IMAGENET1K_V2``; empty takes torchvision's default.

    Returns:
        The member of torchvision's enum; None where a network has no weights and none are asked for.

    Raises:
        PerformerError: the network has no weights of that name; lists those it has.
    """
    enum: Any = torchvision.models.get_model_weights(name)
    if not member:
        return getattr(enum, "DEFAULT", None)
    if member not in enum.__members__:
        raise PerformerError(
            f"looking up torchvision's weights '{member}' of {name}",
            f"{enum.__name__} has {', '.join(enum.__members__) or 'none'}",
            "set performer.weights to one of these, or to a file",
        )
    return enum[member]


def torchvision_weights(full_name: str) -> Weights:
    """Download torchvision's weights through torchvision, which checks their hash.

    Args:
        full_name: e.g. ``ResNet50_Weights.IMAGENET1K_V2``.

    Returns:
        The weights with their class names.

    Raises:
        PerformerError: the download fails.
    """
    try:
        weights = torchvision.models.get_weight(full_name)
        state = dict(weights.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise PerformerError(
            f"downloading torchvision's {full_name}",
            f"{type(error).__name__}: {error}",
            "download the file elsewhere and pass --performer.weights FILE",
        ) from error
    return Weights(state, f"torchvision's {full_name}", class_names=tuple(weights.meta.get("categories", ())))


def structure(build: Callable[[int], nn.Module], outputs: int) -> nn.Module:
    """Make a network to look at, without memory for its weights where it can be built so; torch's random state stays.

    Args:
        build: makes the network.
        outputs: its number of scores.

    Returns:
        The network; its weights may hold nothing.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build(outputs)
        except (RuntimeError, NotImplementedError):  # networks that compute their own sizes with tensors
            return build(outputs)


def last_layer(build: Callable[[int], nn.Module], outputs: int) -> str:
    """Find the layer of a network that gives its scores, without computing anything.

    Args:
        build: makes the network.
        outputs: its number of scores.

    Returns:
        Dotted name of its last linear layer or convolution.
    """
    parts = structure(build, outputs).named_modules()
    names: list[str] = [name for name, part in parts if isinstance(part, (nn.Linear, nn.Conv2d))]
    return names[-1]


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise PerformerError(
            "looking up a network of timm",
            f"timm is not installed ({error})",
            "install it: pip install 'partscope[timm]'",
        ) from error
    return timm


def _timm_row(name: str) -> Row:
    timm = _timm()
    plain, _, tag = name.partition(".")
    if not timm.is_model(plain) or (tag and name not in timm.list_pretrained()):
        known = timm.list_pretrained(f"{plain}.*") if timm.is_model(plain) else timm.list_models()
        raise _unknown("timm", name, known)
    facts = timm.get_pretrained_cfg(name)
    facts = {} if facts is None else facts.to_dict()
    classifier = facts.get("classifier") or ""

    def build(outputs: int) -> nn.Module:
        made: nn.Module = timm.create_model(name, pretrained=False, num_classes=outputs)
        return made

    outputs = int(facts.get("num_classes") or 1000)
    return Row(
        build=build,
        classifier=classifier if isinstance(classifier, str) and classifier else last_layer(build, outputs),
        input_size=int(facts.get("input_size", (3, 224, 224))[1]),
        mean=tuple(facts.get("mean", IMAGENET_MEAN)),
        std=tuple(facts.get("std", IMAGENET_STD)),
        outputs=outputs,
        timm=name,
    )


def timm_weights(name: str) -> Weights:
    """Download a network's weights through timm, which reads safetensors or tensors alone.

    Args:
        name: timm's name.

    Returns:
        The weights.

    Raises:
        PerformerError: timm has no weights of it, or the download fails.
    """
    timm = _timm()
    facts = timm.get_pretrained_cfg(name)
    if facts is None or not facts.has_weights or facts.custom_load:
        raise PerformerError(
            f"downloading timm's weights of {name}",
            "timm has none that it reads as tensors",
            "pass --performer.weights FILE, or name another of: timm.list_pretrained()",
        )
    try:
        state = timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # of the hub's client, the network or the file: timm passes all of them on
        raise PerformerError(
            f"downloading timm's weights of {name}",
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            "download the file elsewhere and pass --performer.weights FILE",
        ) from error
    return Weights(state, f"timm's weights of {name}")
