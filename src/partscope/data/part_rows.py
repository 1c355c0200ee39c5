"""Rows of the authors' part tables: an object's photograph, box and part centres."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from partscope.data.matlab import read_mat
from partscope.errors import DataError

SIDE = 224
"""Side of the square in whose pixels the tables give a part's centre."""

TODO = "restore the table that the authors published"

Edges = tuple[float, float, float, float]
Point = tuple[float, float]


class Row(NamedTuple):
    """One object of a table."""

    file: str = ""
    """Name of the photograph as the table says it; empty where only the row's number tells it."""
    box: tuple[float, float, float, float] | None = None
    """Left, top, width, height in whole pixels from 0; None where the tables hold nothing of this object."""
    points: Mapping[str, Point] = {}
    """For each part that is there, its (row, column) in pixels of the photograph, from 0."""
    fault: str = ""


def scaled_by_edges(centre: Sequence[float], edges: Edges) -> Point:
    """Undoes the VOC tables' (centre - first) / (last - first) * 224.

    >>> scaled_by_edges((112.0, 0.0), (11.0, 31.0, 1.0, 5.0))
    (2.0, 10.0)
    """
    left, right, top, bottom = edges
    return top - 1 + centre[0] / SIDE * (bottom - top), left - 1 + centre[1] / SIDE * (right - left)


def scaled_by_pixels(centre: Sequence[float], edges: Edges) -> Point:
    """Undoes the ILSVRC tables' pixels, from 1, of the crop stretched to 224 x 224.

    >>> scaled_by_pixels((1.0, 224.0), (1.0, 224.0, 11.0, 234.0))
    (10.0, 223.0)
    """
    left, right, top, bottom = edges
    row = top - 1.5 + (centre[0] - 0.5) / SIDE * (bottom - top + 1)
    return row, left - 1.5 + (centre[1] - 0.5) / SIDE * (right - left + 1)


def merged_rows(
    folder: Path,
    parts: Sequence[str],
    wanted: Sequence[str],
    undone: Callable[[Sequence[float], Edges], Point],
    *,
    fill: bool,
) -> list[Row]:
    """Rows of one category from the tables of the wanted parts.

    Args:
        folder: holds `truth_part01.mat` and so on.
        parts: names of the parts by their number, from 1.
        wanted: parts to read.
        undone: what turns a table's centre into pixels of the photograph.
        fill: whether every row must have a box; the tables of the other parts are asked for those that lack one.

    Raises:
        DataError: a wanted table is missing or damaged, or the tables do not go together.
    """
    rows: list[Row] = []
    for part in sorted(wanted, key=parts.index):
        path = folder / f"truth_part{parts.index(part) + 1:02d}.mat"
        table = _table(path, *_stamp(path))
        rows = rows or [Row() for _ in table]
        if len(table) != len(rows):
            raise DataError(f"reading {str(path)!r}", f"{len(table)} rows, the tables before it {len(rows)}", TODO)
        rows = [guarded(partial(_joined, *pair, part, undone, path), pair[0]) for pair in zip(rows, table, strict=True)]
    others = [k for k, part in enumerate(parts, 1) if part not in wanted] if fill else []
    for k in others:
        path = folder / f"truth_part{k:02d}.mat"
        lacking = frozenset(i for i, row in enumerate(rows) if row.box is None and not row.fault)
        if lacking and path.is_file():
            for i, row in enumerate(_table(path, *_stamp(path), lacking)):
                if i in lacking:
                    rows[i] = guarded(partial(_joined, rows[i], row, "", undone, path), rows[i])
    fault = "no table gives its box"
    return [row._replace(fault=fault) if fill and row.box is None and not row.fault else row for row in rows]


def whole_rows(path: Path, parts: Sequence[str]) -> list[Row]:
    """Rows of a `truth_<category>.mat`, which holds boxes of objects and of their first parts in pixels from 1."""
    return [guarded(partial(_whole, row, parts)) for row in _table(path, *_stamp(path))]


def with_samples(rows: list[Row], path: Path) -> list[Row]:
    """Rows that lack a box, with that of the same row of the ILSVRC images' `data.mat`.

    Raises:
        DataError: it has another number of objects.
    """
    samples = _table(path, *_stamp(path), None, "samples")
    if len(samples) != len(rows):
        raise DataError(f"reading {str(path)!r}", f"{len(samples)} objects beside tables of {len(rows)}", TODO)
    return [
        row if row.box is not None or row.fault else guarded(partial(_boxed, sample))
        for row, sample in zip(rows, samples, strict=True)
    ]


def guarded(make: Callable[[], Row], before: Row | None = None) -> Row:
    """A row, or the one before with what is wrong."""
    try:
        return make()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        fault = f"not the structure of the authors' tables ({type(error).__name__}: {error})"
        return (before or Row())._replace(fault=fault)


def _stamp(path: Path) -> tuple[int, int]:
    if not path.is_file():
        raise DataError(f"reading {str(path)!r}", "no such file", TODO)
    return path.stat().st_size, path.stat().st_mtime_ns


@lru_cache(maxsize=128)
def _table(
    path: Path, size: int, time: int, only: frozenset[int] | None = None, name: str = "truth"
) -> list[Mapping[str, Any]]:
    """Kept for the other split of the same job."""
    rows = read_mat(path, name, only)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"reading {str(path)!r}", f"a {name!r} that is no list of objects", TODO)
    return rows


def _joined(
    row: Row, new: Mapping[str, Any], part: str, undone: Callable[[Sequence[float], Edges], Point], path: Path
) -> Row:
    """A row with what the table of one more part says; with no part, its box alone."""
    if row.fault or not new["obj"]:
        return row
    obj = new["obj"][0]
    edges, box = _edges(obj)
    file = str(obj["filename"])
    if row.box is not None and (row.box, row.file) != (box, file):
        return row._replace(fault=f"{path.name} has another object in this row than the tables before it")
    centres = np.asarray(new["pHW_center"], float)
    # Some ILSVRC objects list the part twice or without a place: then it is not one point, and stays absent.
    if not part or centres.size == 0 or (centres.ndim == 2 and centres.shape[0] == 2 and centres.shape[1] > 1):
        return row._replace(box=box, file=file)
    place = centres.ravel().tolist()
    if len(place) != 2 or not np.isfinite(place).all():
        raise ValueError(f"pHW_center {place} in {path.name}")
    return Row(file, box, {**row.points, part: undone(place, edges)})


def _edges(obj: Mapping[str, Any]) -> tuple[Edges, tuple[float, float, float, float]]:
    """First and last column and row from 1 (VOC's habit), and the box from 0 in whole pixels."""
    (given,) = obj["bndbox"]
    words = ("Wmin", "Wmax", "Hmin", "Hmax") if "Wmin" in given else ("xmin", "xmax", "ymin", "ymax")
    left, right, top, bottom = (float(np.asarray(given[w]).item()) for w in words)
    left, top = max(left, 1.0), max(top, 1.0)  # some ILSVRC boxes start at 0; the authors' crop takes 1
    if not (np.isfinite([left, right, top, bottom]).all() and right >= left and bottom >= top):
        raise ValueError(f"bndbox from column {left:g} to {right:g}, row {top:g} to {bottom:g}")
    return (left, right, top, bottom), (left - 1, top - 1, right - left + 1, bottom - top + 1)


def _whole(row: Mapping[str, Any], parts: Sequence[str]) -> Row:
    (obj,) = row["obj"]
    points = {
        part: (_middle(given["Hmin"], given["Hmax"]) - 1, _middle(given["Wmin"], given["Wmax"]) - 1)
        for part, given in zip(parts, row["partbox"], strict=False)
        if len(given["Wmin"])
    }
    return Row(str(obj["filename"]), _edges(obj)[1], points)


def _middle(first: Any, last: Any) -> float:
    return (float(np.asarray(first).item()) + float(np.asarray(last).item())) / 2


def _boxed(sample: Mapping[str, Any]) -> Row:
    (obj,) = sample["obj"]
    return Row("", _edges(obj)[1])
