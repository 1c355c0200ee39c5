"""Reading what a run folder holds for its report, and refusing what is not ours."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from partscope.errors import RunError
from partscope.report.estimate import Diagnosis
from partscope.report.schema import diagnosis_schema, find_fault

TODO = "run `partscope diagnose` on this run folder, then `partscope report` again"
AXES = {
    "images": ("G", 3, "H", "W"),
    "filters": ("R",),
    "image_index": ("R", "I"),
    "points": ("R", "I", 2),
    "maps": ("R", "I", "U", "V"),
    "raw_maps": ("R", "I", "U", "V"),
    "landmarks": ("G", "K", 2),
    "present": ("G", "K"),
}
IMAGE_AXES = {
    "image_contributions": ("G", "F"),
    "image_points": ("G", "F", 2),
    "image_peaks": ("G", "F"),
    "image_scores": ("G", 2),
}
FIELD_AXES = {"field_maps": ("R", "C", "C"), "field_images": ("R",)}


class ImageFacts(NamedTuple):
    """What every filter did on every image of the gallery; filters in the order of the diagnosis."""

    contributions: NDArray[np.float32]
    """(G, F) gradient x activation to the judged score, in the score's unit."""
    points: NDArray[np.float32]
    """(G, F, 2) part locations (row, column), px."""
    peaks: NDArray[np.float32]
    """(G, F) peaks before the ReLU; <= 0 where the map is silent."""
    scores: NDArray[np.float32]
    """(G, 2) the judged score, of the performer itself and on rebuilt features."""
    judged: list[str]
    """Whose score was judged, by image."""
    categories: list[str | None]
    """Category of each image."""


class MeasuredFields(NamedTuple):
    """Receptive fields as covering the images measures them, seen from the unit that peaks."""

    maps: NDArray[np.float32]
    """(R, C, C) mean loss of the filter's map by where it was covered, its maximum 1; the unit is the middle cell."""
    images: NDArray[np.int64]
    """(R,) images that each rests on; 0 where a filter's field was not measured."""
    cell: int
    """Side of a cell, px; odd."""


class Gallery(NamedTuple):
    """The test images that excite the shown filters most, with the filters' maps on them."""

    images: NDArray[np.uint8]
    """(G, 3, H, W) crops as the performer saw them."""
    names: list[str]
    """File name of each image."""
    filters: NDArray[np.int64]
    """(R,) index of each shown filter."""
    image_index: NDArray[np.int64]
    """(R, I) each filter's strongest images, by row of ``images``."""
    points: NDArray[np.float32]
    """(R, I, 2) part locations (row, column), px."""
    maps: NDArray[np.float32]
    """(R, I, U, V) maps after the mask."""
    raw_maps: NDArray[np.float32]
    """(R, I, U, V) maps before the mask."""
    landmarks: NDArray[np.float32]
    """(G, K, 2) landmarks (row, column), px."""
    present: NDArray[np.uint8]
    """(G, K) 1 where the landmark is annotated."""
    landmark_names: list[str]
    """Name of each landmark."""
    facts: ImageFacts | None = None
    """Every filter on every image; none in galleries of version 0.1."""
    field: dict[str, float] | None = None
    """``start``, ``stride`` and ``size`` of a unit's receptive field, px; none where it is not known."""
    measured: MeasuredFields | None = None
    """Measured receptive fields; none in galleries of version 0.1."""


def read_diagnosis(run_folder: Path) -> Diagnosis:
    """Reads and checks ``diagnosis.json``.

    Raises:
        RunError: the file is missing, damaged, of another format, or not a diagnosis.
    """
    path = run_folder / "diagnosis.json"
    doing = f"reading the diagnosis '{path}'"
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise RunError(doing, "there is no such file", TODO) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(doing, f"it is damaged: {error}", TODO) from error
    if not isinstance(document, dict) or "format" not in document:
        raise RunError(doing, "a file that partscope did not write: it names no format", TODO)
    fault = find_fault(document, diagnosis_schema()) or _fault_between_fields(document)
    if fault:
        raise RunError(doing, fault, TODO)
    return Diagnosis(document)


def read_gallery(run_folder: Path, diagnosis: Diagnosis) -> Gallery:
    """Reads and checks ``gallery.safetensors``.

    Raises:
        RunError: the file is missing, damaged, foreign, or belongs to another diagnosis.
    """
    path = run_folder / "gallery.safetensors"
    doing = f"reading the gallery '{path}'"
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise RunError(doing, "there is no such file", TODO) from None
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise RunError(doing, f"it is damaged: {error}", TODO) from error
    sizes = _sizes(arrays, AXES, {}, doing)
    names = _names(metadata, "names", sizes["G"], doing)
    landmark_names = _names(metadata, "landmark_names", sizes["K"], doing)
    index, filters = arrays["image_index"], arrays["filters"]
    if arrays["images"].dtype != np.uint8:
        raise RunError(doing, f"images of type {arrays['images'].dtype}, not uint8", TODO)
    if index.size and not 0 <= index.min() <= index.max() < sizes["G"]:
        raise RunError(doing, f"an image_index outside its {sizes['G']} images", TODO)
    if len(set(filters.tolist())) < len(filters):
        raise RunError(doing, "one filter shown twice", TODO)
    strangers = set(filters.tolist()) - {row["filter"] for row in diagnosis.get("filters")}
    if strangers:
        raise RunError(doing, f"filter {min(strangers)}, which diagnosis.json does not know", TODO)
    for name in ("points", "maps", "raw_maps"):
        if not np.isfinite(arrays[name]).all():
            raise RunError(doing, f"{name} that are not finite", TODO)
    return Gallery(
        images=arrays["images"],
        names=names,
        filters=filters,
        image_index=index,
        points=arrays["points"],
        maps=arrays["maps"].astype(np.float32),
        raw_maps=arrays["raw_maps"].astype(np.float32),
        landmarks=arrays["landmarks"],
        present=arrays["present"],
        landmark_names=landmark_names,
        facts=_image_facts(arrays, metadata, {**sizes, "F": len(diagnosis.get("filters"))}, doing),
        field=_field(metadata, doing),
        measured=_measured(arrays, metadata, sizes, doing),
    )


def read_log(run_folder: Path) -> list[dict[str, Any]]:
    """Reads the records of ``log.jsonl``; none where there is no log; unreadable lines are passed over."""
    path = run_folder / "log.jsonl"
    records = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                records.append(record)
    return records


def read_run(run_folder: Path) -> dict[str, Any]:
    """Reads ``run.json``; empty where it is missing or unreadable: the diagnosis has its own provenance."""
    try:
        content = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _fault_between_fields(document: dict[str, Any]) -> str | None:
    fidelity = document["fidelity"]
    for part in ("full", "parts_only", "ordinary_only"):
        found, wanted = len(fidelity[part]["fvu"]), len(fidelity["targets"])
        if found != wanted:
            return f"fidelity.{part}.fvu has {found} numbers for {wanted} targets"
    ids = [row["filter"] for row in document["filters"]]
    if len(set(ids)) != len(ids):
        return "filters names one filter twice"
    return None


def _image_facts(
    arrays: dict[str, NDArray[Any]], metadata: dict[str, str], sizes: dict[str, int], doing: str
) -> ImageFacts | None:
    if not IMAGE_AXES.keys() & arrays.keys():
        return None
    _sizes(arrays, IMAGE_AXES, sizes, doing)
    values = [arrays[name].astype(np.float32) for name in IMAGE_AXES]
    for name, value in zip(IMAGE_AXES, values, strict=True):
        if not np.isfinite(value).all():
            raise RunError(doing, f"{name} that are not finite", TODO)
    judged, categories = (
        _names(metadata, key, sizes["G"], doing, (str, type(None))) for key in ("judged", "categories")
    )
    contributions, points, peaks, scores = values
    return ImageFacts(contributions, points, peaks, scores, judged, categories)


def _measured(
    arrays: dict[str, NDArray[Any]], metadata: dict[str, str], sizes: dict[str, int], doing: str
) -> MeasuredFields | None:
    if not FIELD_AXES.keys() & arrays.keys():
        return None
    _sizes(arrays, FIELD_AXES, dict(sizes), doing)
    maps = arrays["field_maps"].astype(np.float32)
    if not np.isfinite(maps).all():
        raise RunError(doing, "field_maps that are not finite", TODO)
    try:
        cell = int(json.loads(metadata.get("field_cell", "null"), parse_constant=_refuse_constant))
    except (ValueError, TypeError) as error:
        raise RunError(doing, "metadata 'field_cell' that is no number", TODO) from error
    return MeasuredFields(maps, arrays["field_images"], cell)


def _field(metadata: dict[str, str], doing: str) -> dict[str, float] | None:
    try:
        field = json.loads(metadata.get("field", "null"), parse_constant=_refuse_constant)
        return None if field is None else {key: float(field[key]) for key in ("start", "stride", "size")}
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(doing, "metadata 'field' that is no receptive field", TODO) from error


def _sizes(
    arrays: dict[str, NDArray[Any]], wanted: Mapping[str, Sequence[int | str]], sizes: dict[str, int], doing: str
) -> dict[str, int]:
    for name, axes in wanted.items():
        if name not in arrays:
            raise RunError(doing, f"no tensor named '{name}'", TODO)
        shape = arrays[name].shape
        wrong = len(shape) != len(axes) or any(
            length != (axis if isinstance(axis, int) else sizes.setdefault(axis, length))
            for axis, length in zip(axes, shape, strict=False)
        )
        if wrong:
            raise RunError(doing, f"'{name}' of shape {tuple(shape)}, which does not fit the others", TODO)
    return sizes


def _names(metadata: dict[str, str], key: str, count: int, doing: str, kinds: tuple[type, ...] = (str,)) -> list[Any]:
    try:
        names = json.loads(metadata.get(key, "null"))
    except ValueError:
        names = None
    if not isinstance(names, list) or len(names) != count or not all(isinstance(name, kinds) for name in names):
        raise RunError(doing, f"metadata '{key}' that is not a list of {count} names", TODO)
    return names


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} where a number or null belongs")
