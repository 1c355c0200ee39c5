"""What the masks of Pascal-Part say, as boxes and centres; kept in a file, as reading all masks takes a minute."""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partscope.data.matlab import read_mat
from partscope.errors import DataError, RunError
from partscope.files import write_json

ANIMALS = ("bird", "cat", "cow", "dog", "horse", "sheep")
"""The classes of Pascal-Part that are read; it has fourteen others."""

INDEX_NAME = "partscope_index.json"
"""Beside `Annotations_Part`; may be deleted at any time."""

_FORMAT = 1
_LOG = logging.getLogger(__name__)
_REPORTED = 500


class Marked(NamedTuple):
    """One object on an image."""

    number: int
    """In its file, from 1."""
    category: str
    box: tuple[float, float, float, float] | None
    """Left, top, width, height of its mask in pixels."""
    parts: Mapping[str, tuple[float, float]]
    """For each part with pixels, the (row, column) of its box's centre."""
    fault: str = ""


class Entry(NamedTuple):
    """One `.mat` file."""

    image: str
    """Name of the image without its ending."""
    size: tuple[int, int]
    """Width and height of its masks; 0 where it has no animal."""
    objects: tuple[Marked, ...]
    fault: str = ""
    """Why the file cannot be read, if it cannot."""


def read_index(folder: Path) -> dict[str, Entry]:
    """Boxes and part centres of the animals in every `.mat` file of a folder, by file name, sorted.

    They are kept in `partscope_index.json` beside the folder, each with the size and time of its file; a file
    that has changed is read again. Where that place cannot be written, all are read each time.

    Raises:
        DataError: the folder has no `.mat` file.
    """
    files = sorted(folder.glob("*.mat"))
    if not files:
        raise DataError(
            f"listing the annotations in {str(folder)!r}",
            "no .mat file" if folder.is_dir() else "no such folder",
            "unpack Pascal-Part's Annotations_Part there, or set data.root and data.folder to the folder that has it",
        )
    place = folder.parent / INDEX_NAME
    known = _kept(place)
    entries: dict[str, Entry] = {}
    kept: dict[str, Any] = {}
    read = 0
    for path in files:
        state = path.stat()
        stamp = [state.st_size, state.st_mtime_ns]
        row = known.get(path.name)
        if not isinstance(row, dict) or row.get("stamp") != stamp:
            read += 1
            if read % _REPORTED == 0:
                _LOG.info("read the masks of %d files of %s", read, folder)
            row = {"stamp": stamp, **_as_row(_read_entry(path, *stamp))}
        kept[path.name], entries[path.name] = row, _as_entry(row)
    if read:
        with suppress(RunError):
            write_json(place, {"format": _FORMAT, "files": kept})
    return entries


def _kept(place: Path) -> dict[str, Any]:
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        files = content["files"] if content["format"] == _FORMAT else {}
        for row in files.values():
            _as_entry(row)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return dict(files)


def _as_row(entry: Entry) -> dict[str, Any]:
    return {**entry._asdict(), "objects": [marked._asdict() for marked in entry.objects]}


def _as_entry(row: Mapping[str, Any]) -> Entry:
    objects = tuple(
        Marked(
            int(m["number"]),
            str(m["category"]),
            None if m["box"] is None else (m["box"][0], m["box"][1], m["box"][2], m["box"][3]),
            {code: (float(centre[0]), float(centre[1])) for code, centre in m["parts"].items()},
            m["fault"],
        )
        for m in row["objects"]
    )
    return Entry(row["image"], (int(row["size"][0]), int(row["size"][1])), objects, row["fault"])


@lru_cache(maxsize=20_000)
def _read_entry(path: Path, size: int, time: int) -> Entry:
    """Kept for the other split of the same job, also where the index cannot be written."""
    try:
        (anno,) = read_mat(path, "anno")
        image, rows = str(anno["imname"]), anno["objects"]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise TypeError("objects that are no list of structs")
        objects = [_marked(k, row) for k, row in enumerate(rows, 1) if str(row["class"]) in ANIMALS]
    except DataError as error:
        return Entry("", (0, 0), (), f"{error.got}")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return Entry("", (0, 0), (), f"not the structure of Pascal-Part ({type(error).__name__}: {error})")
    sizes = {shape for _, shape in objects}
    if len(sizes) > 1:
        return Entry(image, (0, 0), (), f"masks of {len(sizes)} different sizes")
    height, width = sizes.pop() if sizes else (0, 0)
    return Entry(image, (width, height), tuple(marked for marked, _ in objects))


def _marked(number: int, row: Mapping[str, Any]) -> tuple[Marked, tuple[int, int]]:
    category, mask = str(row["class"]), np.asarray(row["mask"])
    if mask.ndim != 2:
        raise ValueError(f"a mask with {mask.ndim} axes")
    frame = _frame(mask)
    parts: dict[str, tuple[float, float]] = {}
    for part in row["parts"]:
        code, region = str(part["part_name"]), np.asarray(part["mask"])
        if region.shape != mask.shape:
            bad = f"the mask of part {code!r} is {region.shape}, the object's {mask.shape}"
            return Marked(number, category, None, {}, bad), mask.shape
        edges = _frame(region)
        if edges is not None:
            parts[code] = ((edges[0] + edges[1]) / 2, (edges[2] + edges[3]) / 2)
    if frame is None:
        return Marked(number, category, None, {}, "a mask without pixels"), mask.shape
    top, bottom, left, right = map(float, frame)
    return Marked(number, category, (left, top, right - left + 1, bottom - top + 1), parts), mask.shape


def _frame(mask: NDArray[Any]) -> tuple[int, int, int, int] | None:
    """First and last row and column that have a pixel."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])) if rows.size else None
