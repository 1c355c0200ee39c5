"""The performer's features, computed once and kept as fp16 safetensors shards with a manifest."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, final, runtime_checkable

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from partscope.errors import DivergedError, RunError
from partscope.files import read_json, write_json, write_whole
from partscope.performers import Features


@runtime_checkable
class Reader(Protocol):
    """A frozen network, or the lower part of one, as the cache sees it."""

    @property
    def device(self) -> torch.device:
        """Where it runs."""

    @property
    def tap_name(self) -> str:
        """Label of the layer that is read."""

    @property
    def target_names(self) -> tuple[str, ...]:
        """Labels of the layers that are read beside it."""

    @property
    def weights_digest(self) -> str:
        """SHA-256 of its weights."""

    def features(self, images: Tensor) -> Features:
        """Reads the layers."""

    def describe(self) -> dict[str, object]:
        """What else its features depend on, in values that JSON can hold."""


class FeatureSource(NamedTuple):
    """Images as the performer takes them: decoded batches in order, and what identifies them."""

    digest: str
    """Of the list of files, their contents and the transform."""
    images: int
    batches: Callable[[int], Iterator[Tensor]]
    """From the first row wanted on: batches of images (N, 3, S, S) in [0, 1], in row order.

    An interrupted computation resumes to the bit only where a shard holds whole batches.
    """


@final
class FeatureStore:
    """Rows of features, in memory or in shards on disk; always rounded to fp16, so both give the same.

    Args:
        manifest: what the features were made from and their shapes.
        shards: one mapping of tensor name to tensor or one file per ``shard_rows`` rows.
        device: where rows are handed out.
    """

    def __init__(
        self,
        manifest: Mapping[str, Any],
        shards: Sequence[Mapping[str, Tensor] | Path],
        device: torch.device | str = "cpu",
    ) -> None:
        self.manifest = dict(manifest)
        self._shards = list(shards)
        self.device = device
        self._open: dict[int, Any] = {}

    def __len__(self) -> int:
        return int(self.manifest["rows"])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tensors: the tap, then the targets."""
        return ("tap", *(f"target{i}" for i in range(len(self.manifest["targets"]))))

    def rows(self, index: Sequence[int] | Tensor) -> Features:
        """Returns the features of the given rows, in their order, in float32, on the store's device."""
        where = [int(i) for i in index]
        size = int(self.manifest["shard_rows"])
        columns: list[Tensor] = []
        for name in self.names:
            rows = torch.cat([self._row(i // size, name, i % size) for i in where])
            columns.append(rows.to(self.device).float())
        return Features(columns[0], tuple(columns[1:]))

    def batches(self, batch_size: int = 64) -> Iterator[tuple[Tensor, Features]]:
        """Yields (row indices, features) of all rows in order."""
        for start in range(0, len(self), batch_size):
            index = torch.arange(start, min(start + batch_size, len(self)))
            yield index, self.rows(index)

    def _row(self, shard: int, name: str, row: int) -> Tensor:
        held = self._shards[shard]
        if isinstance(held, Path):
            if shard not in self._open:
                self._open[shard] = safe_open(held, framework="pt")
            tensor: Tensor = self._open[shard].get_slice(name)[row : row + 1]
            return tensor
        return held[name][row : row + 1]


def identity_of(performer: Reader, source: FeatureSource) -> dict[str, Any]:
    """What features depend on: weights, tap, targets, normalisation, images."""
    return {"performer": performer.describe(), "weights": performer.weights_digest, "images": source.digest}


def compute_features(
    performer: Reader, source: FeatureSource, folder: Path | None, shard_rows: int
) -> Iterator[int | FeatureStore]:
    """Computes the features of all images, or opens those already in ``folder``.

    Args:
        performer: the network.
        source: the images.
        folder: where the shards go; None keeps them in memory.
        shard_rows: images in a shard.

    Yields:
        The number of rows done so far, and last the store itself.

    Raises:
        RunError: the folder holds features of another network or other images, or damaged ones.
        DivergedError: a feature is not finite in fp16.
    """
    wanted = {**identity_of(performer, source), "rows": source.images, "dtype": "float16"}
    manifest: dict[str, Any] = {**wanted, "shard_rows": shard_rows, "shards": [], "complete": False}
    if folder is not None and (folder / "manifest.json").exists():
        manifest = _open_manifest(folder, wanted)
        shard_rows = int(manifest["shard_rows"])
    shards = manifest["shards"]
    kept: list[Mapping[str, Tensor] | Path] = [folder / s["file"] for s in shards] if folder else []
    done = sum(s["rows"] for s in shards)
    yield done
    pending: dict[str, Tensor] = {}
    for images in source.batches(done) if done < source.images else ():
        pending = _joined(pending, _rounded(performer, images))
        manifest["targets"] = [name for name in pending if name != "tap"]
        while len(pending["tap"]) >= shard_rows or 0 < len(pending["tap"]) == source.images - done:
            shard = {name: t[:shard_rows].contiguous() for name, t in pending.items()}
            pending = {name: t[shard_rows:] for name, t in pending.items()}
            kept.append(_keep(shard, folder, manifest))
            done += len(shard["tap"])
        yield done + len(pending["tap"])
    if done != source.images:
        raise RunError(
            "computing features",
            f"{done} rows for {source.images} images",
            "pass a data set whose length equals the images that it yields",
        )
    manifest["complete"] = True
    if folder is not None:
        write_json(folder / "manifest.json", manifest)
    yield FeatureStore(manifest, kept, performer.device)


def _rounded(performer: Reader, images: Tensor) -> dict[str, Tensor]:
    features = performer.features(images.to(performer.device))
    tensors = {"tap": features.tap, **{f"target{i}": t for i, t in enumerate(features.targets)}}
    rounded = {name: t.to(torch.float16).cpu() for name, t in tensors.items()}
    for label, (name, t) in zip((performer.tap_name, *performer.target_names), rounded.items(), strict=True):
        if not bool(torch.isfinite(t).all()):
            raise DivergedError(
                f"computing the features of '{label}'",
                f"values beyond what half precision holds (largest {float(tensors[name].abs().max()):.3g})",
                "check the performer's weights and its mean and std",
            )
    return rounded


def _joined(before: dict[str, Tensor], more: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.cat([before[name], t]) for name, t in more.items()} if before else more


def _keep(shard: dict[str, Tensor], folder: Path | None, manifest: dict[str, Any]) -> Mapping[str, Tensor] | Path:
    rows = len(shard["tap"])
    if folder is None:
        manifest["shards"].append({"rows": rows})
        return shard
    file = folder / f"shard-{len(manifest['shards']):05d}.safetensors"
    bytes_needed = sum(t.numel() * t.element_size() for t in shard.values())
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < bytes_needed * 1.1:
        raise RunError(
            f"writing '{file}'",
            f"No space left: {math.ceil(bytes_needed / 1e6)} MB needed",
            "free some space, or run with --cache.mode off",
        )
    write_whole(file, lambda temporary: save_file(shard, temporary))
    manifest["shards"].append({"file": file.name, "rows": rows, "sha256": _sha256(file)})
    write_json(folder / "manifest.json", manifest)
    return file


def _open_manifest(folder: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    doing = f"opening the features in '{folder}'"
    manifest = read_json(folder / "manifest.json", doing)
    for key, value in wanted.items():
        found = manifest.get(key)
        if found != json.loads(json.dumps(value)):
            raise RunError(
                doing,
                f"they were made with other '{key}': {_short(found)} instead of {_short(value)}",
                f"delete '{folder}' to compute them again, or run with --cache.mode off",
            )
    todo = f"delete '{folder}' to compute them again, or run with --cache.mode off"
    if not _well_formed(manifest):
        raise RunError(doing, "'manifest.json' is damaged", todo)
    for shard in manifest["shards"]:
        file = folder / shard["file"]
        if Path(shard["file"]).name != shard["file"] or not file.is_file():
            raise RunError(doing, f"'{file.name}' is missing", todo)
        try:
            with safe_open(file, framework="pt") as opened:
                fits = set(opened.keys()) == {"tap", *manifest["targets"]}
        except SafetensorError as error:
            raise RunError(doing, f"'{file.name}' is truncated or no safetensors file: {error}", todo) from error
        if not fits or _sha256(file) != shard["sha256"]:
            raise RunError(doing, f"'{file.name}' is not what was written: its sha256 differs", todo)
    return manifest


def _well_formed(manifest: Mapping[str, Any]) -> bool:
    size, shards, targets = (manifest.get(key) for key in ("shard_rows", "shards", "targets"))
    if not (isinstance(size, int) and size > 0 and isinstance(shards, list) and isinstance(targets, list)):
        return False
    return all(
        isinstance(shard, dict)
        and {type(shard.get("file")), type(shard.get("sha256"))} == {str}
        and shard.get("rows") == min(size, manifest["rows"] - i * size)
        for i, shard in enumerate(shards)
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 160 else text[:157] + "..."
