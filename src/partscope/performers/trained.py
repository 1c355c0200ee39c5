"""The folder of a trained performer: what its weights are of, and how to read them back."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from partscope.errors import PerformerError
from partscope.files import read_json, write_json
from partscope.settings import PerformerSettings

DESCRIPTION = "performer.json"
WEIGHTS = "performer.safetensors"
KIND = "partscope performer 1"


class Trained(NamedTuple):
    """What a folder made by `partscope train-performer` says of its network."""

    network: str
    """Name in the catalogue."""
    outputs: int
    """Number of scores."""
    widths: tuple[int, ...]
    """Outputs of the fully connected layers, the scores last."""
    class_names: tuple[str, ...]
    """One a score; for one score, what 0 and what 1 means."""
    input_size: int
    """Side of the square input, px."""
    mean: tuple[float, ...]
    """Mean of the normalisation, in the scale [0, 1]."""
    std: tuple[float, ...]
    """Standard deviation of the normalisation."""
    sha256: str
    """Of the file of weights."""


def write_trained(folder: Path, trained: Trained) -> None:
    """Writes the description beside the weights, whole or not at all."""
    exact = trained._replace(mean=tuple(map(float, trained.mean)), std=tuple(map(float, trained.std)))
    write_json(folder / DESCRIPTION, {"kind": KIND, **exact._asdict()})


def read_trained(folder: Path) -> Trained:
    """Reads a folder's description and checks that the weights beside it are those it tells of.

    Raises:
        PerformerError: it is no such folder, its training has not ended, or one of the two files was changed.
    """
    doing = f"opening the trained performer '{folder}'"
    if not (folder / DESCRIPTION).is_file():
        if (folder / WEIGHTS).is_file() and (folder / "training.safetensors").is_file():
            raise PerformerError(
                doing,
                f"'{DESCRIPTION}' is missing, though its training has ended",
                "restore the file, or run the same `partscope train-performer` command again, which writes it anew",
            )
        if (folder / "training.safetensors").is_file():
            raise PerformerError(
                doing, "its training has not ended", "run the same `partscope train-performer` command again"
            )
        raise PerformerError(
            doing,
            f"a folder without '{DESCRIPTION}'",
            "give a folder made by `partscope train-performer`, or a file of weights",
        )
    trained = _described(read_json(folder / DESCRIPTION, doing))
    todo = "restore the folder, or train into another one"
    if trained is None:
        raise PerformerError(doing, f"'{DESCRIPTION}' is damaged or of another version", todo)
    if not (folder / WEIGHTS).is_file():
        raise PerformerError(doing, f"'{WEIGHTS}' is missing", todo)
    if file_digest(folder / WEIGHTS) != trained.sha256:
        raise PerformerError(doing, f"'{WEIGHTS}' is not what was trained: its sha256 differs", todo)
    return trained


def check_widths(trained: Trained, layers: Sequence[str], state: Mapping[str, Tensor], folder: Path) -> None:
    """Refuses a description that tells of other layers than the weights hold.

    Args:
        trained: the description.
        layers: dotted names of the fully connected layers, the scores last.
        state: the weights.
        folder: of both.

    Raises:
        PerformerError: other widths, or another number of scores or class names.
    """
    widths = tuple(len(state[f"{layer}.weight"]) for layer in layers if f"{layer}.weight" in state)
    names = 2 if trained.outputs == 1 else trained.outputs
    if trained.widths != widths or widths[-1:] != (trained.outputs,) or len(trained.class_names) != names:
        told = ", ".join(map(str, trained.widths))
        raise PerformerError(
            f"opening the trained performer '{folder}'",
            f"'{DESCRIPTION}' tells of layers of {told} outputs, {trained.outputs} scores and "
            f"{len(trained.class_names)} class names, where '{WEIGHTS}' has layers of {', '.join(map(str, widths))}",
            "restore the folder, or train into another one",
        )


def _described(content: dict[str, Any]) -> Trained | None:
    def numbers(key: str, kind: type, count: int | None = None) -> bool:
        values = content.get(key)
        return (
            isinstance(values, list) and len(values) == (count or len(values)) and all(type(v) is kind for v in values)
        )

    sound = (
        content.get("kind") == KIND
        and all(type(content.get(key)) is str for key in ("network", "sha256"))
        and all(type(content.get(key)) is int for key in ("outputs", "input_size"))
        and numbers("widths", int)
        and numbers("class_names", str)
        and numbers("mean", float, 3)
        and numbers("std", float, 3)
    )
    if not sound:
        return None
    values: dict[str, Any] = {
        key: tuple(content[key]) if isinstance(content[key], list) else content[key] for key in Trained._fields
    }
    return Trained(**values)


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def opened(settings: PerformerSettings) -> tuple[PerformerSettings, Trained | None]:
    """Turns settings whose weights are a trained performer's folder into settings of its network and its file.

    Args:
        settings: any; those whose weights are no folder come back as they are.

    Raises:
        PerformerError: the folder is none of ours, holds another network than the one that is named, or a new
            head is asked for.
    """
    folder = Path(settings.weights).expanduser() if settings.weights is not None else None
    if folder is None or not folder.is_dir():
        return settings, None
    trained = read_trained(folder)
    doing = f"opening the trained performer '{folder}'"
    if settings.name not in (PerformerSettings.name, trained.network):
        raise PerformerError(
            doing,
            f"a network {trained.network}, where performer.name is {settings.name}",
            f"leave --performer.name away, or give {trained.network}",
        )
    if settings.head == "train":
        raise PerformerError(
            doing,
            "performer.head train, where the head has been trained already",
            "leave --performer.head away",
        )
    size = settings.input_size or trained.input_size
    return replace(settings, name=trained.network, weights=str(folder / WEIGHTS), input_size=size), trained
