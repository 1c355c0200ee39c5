"""One object a row: `annotations.csv` with a file, and what is known of box, category, split and landmarks."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from partscope.data.choices import chosen, held_out
from partscope.data.files import read_text
from partscope.data.names import Shelf, file_fault, text_fault, tidy
from partscope.data.photos import Listing, Photo, misfits
from partscope.data.problems import Faults, brief
from partscope.errors import DataError
from partscope.settings import DataSettings

FILE = "annotations.csv"
BOX = ("left", "top", "width", "height")
NO_CATEGORY = "object"
"""The one category of a table without a column `category`."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?")
_LARGEST = 1e9
_SPLITS: tuple[Literal["train"], Literal["test"]] = ("train", "test")


class Columns(NamedTuple):
    """What the table's header says."""

    width: int
    file: int
    box: tuple[int, ...]
    """Of left, top, width and height; empty where the table has no boxes."""
    category: int | None
    split: int | None
    landmarks: dict[str, tuple[int, int]]
    """Columns of x and y by the landmark's name."""


class Row(NamedTuple):
    """One object, as its line says."""

    line: int
    file: str
    category: str
    split: Literal["train", "test"]
    box: tuple[float, ...] | None
    points: tuple[tuple[float, ...] | None, ...]
    """x and y of each landmark; None where it is absent."""


def read_csv(root: Path, settings: DataSettings, split: Literal["train", "test"]) -> Listing:
    """List the objects of one split of `annotations.csv`, each cropped to its box.

    The header names the columns, in any order: `file` (relative to the table's folder) and, where known, `left`, `top`,
    `width` and `height`, `category`, `split` (`train` or `test`), and `NAME_x` and `NAME_y` for each landmark, in
    pixels of the whole image; two empty cells are an absent landmark, four an object that fills its image. Commas,
    semicolons or tabs separate; no field holds the end of a line. Without `split` a hash of the file's name decides.
    Lines with a fault are among the listing's problems, unless they are of a category that nobody asked for.

    Raises:
        DataError: the file is missing or no text, its header does not say where the files are, or a wanted category is
            not there.
    """
    lines = read_text(root / FILE).split("\n")
    separator = max(",;\t", key=lines[0].count)
    columns = _columns(root / FILE, _cells(lines[0], separator) or [])
    faults, halves, kinds = Faults(), dict[int, str](), dict[int, str]()
    rows = list(_rows(lines, separator, columns, settings.test_share, faults, halves, kinds))
    rows = _without_doubles(rows, faults)
    kept = chosen(sorted({row.category for row in rows}), settings.categories, "category", "data.categories")
    names = tuple(columns.landmarks)
    times = Counter(row.file for row in rows)
    shelf = Shelf(root, f"listing the images of {str(root)!r}")
    single = settings.single_category
    photos: list[Photo] = []
    for row in rows:
        if row.category not in kept:
            continue
        where = f"{FILE}, line {row.line}"
        photo = Photo(
            root / row.file,
            row.file + (f"#{row.line}" if times[row.file] > 1 else ""),
            0 if single else kept.index(row.category),
            np.array([(0, 0) if p is None else p[::-1] for p in row.points], np.float32).reshape(-1, 2),
            np.array([p is not None for p in row.points], bool),
            row.box,  # type: ignore[arg-type]
            None,
            where,
        )
        said = misfits(photo, None, names)
        said += [lacks for lacks in [shelf.lacks(row.file)] if lacks]
        for what, todo in said:
            faults.add(where, what, todo, row.line)
        if not said and row.split == split:
            photos.append(photo)
    unwanted = [line for line, kind in kinds.items() if settings.categories and kind not in kept]
    return Listing(photos, (single,) if single else kept, names, faults.problems(halves, unwanted))


def _cells(line: str, separator: str) -> list[str] | None:
    """The fields of a line; None where a quote is left open or stands where none may."""
    try:
        found = next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return None
    return [cell.strip() for cell in found]


def _columns(path: Path, names: Sequence[str]) -> Columns:
    doing = f"reading the header of {str(path)!r}"
    said = f"the columns {', '.join(map(brief, names[:12]))}" + (" ..." if len(names) > 12 else "")
    twice = [name for name, times in Counter(names).items() if times > 1 and name]
    if twice:
        raise DataError(doing, f"the column {twice[0]!r} twice", "give each column a name of its own")
    if "file" not in names:
        raise DataError(doing, said if names else "no header", "name the columns in the first line, one of them 'file'")
    lacking = [name for name in BOX if name not in names]
    if lacking and len(lacking) < len(BOX):
        raise DataError(doing, f"{said}: no {lacking[0]!r}", f"give all of {', '.join(BOX)}, or none")
    landmarks = {}
    for name in names:
        if name.endswith("_x") and len(name) > 2:
            if f"{name[:-2]}_y" not in names:
                raise DataError(doing, f"a column {name!r} without {name[:-2] + '_y'!r}", "give both, or none")
            landmarks[name[:-2]] = names.index(name), names.index(f"{name[:-2]}_y")
        elif name.endswith("_y") and len(name) > 2 and f"{name[:-2]}_x" not in names:
            raise DataError(doing, f"a column {name!r} without {name[:-2] + '_x'!r}", "give both, or none")
    return Columns(
        len(names),
        names.index("file"),
        () if lacking else tuple(names.index(name) for name in BOX),
        names.index("category") if "category" in names else None,
        names.index("split") if "split" in names else None,
        landmarks,
    )


def _rows(
    lines: Sequence[str],
    separator: str,
    columns: Columns,
    test_share: float,
    faults: Faults,
    halves: dict[int, str],
    kinds: dict[int, str],
) -> Iterator[Row]:
    """Rows without a fault of their own; `halves` and `kinds` take the split and the category of every line."""
    for number, line in enumerate(lines[1:], 2):
        if not line.strip(" \t"):
            continue
        where = f"{FILE}, line {number}"
        cells = _cells(line, separator) if '"' in line else [cell.strip() for cell in line.split(separator)]
        if cells is None:
            faults.add(where, f"a quote that does not close in {brief(line)}", "close it, or double it", number)
            continue
        if len(cells) != columns.width:
            what = f"{len(cells)} fields instead of {columns.width}"
            faults.add(where, what, "give a field for each column; quote one that holds the separator", number)
            continue
        file, said = cells[columns.file], list[tuple[str, str]]()
        fault = file_fault(file)
        if fault is not None:
            said.append((fault, "name a file below the table's folder"))
        category = NO_CATEGORY if columns.category is None else cells[columns.category]
        fault = text_fault(category)
        if fault is None:
            kinds[number] = category
        else:
            said.append((f"the category is {fault}", "name the object's category"))
        split = cells[columns.split] if columns.split is not None else None
        if split is None and not said:
            split = _SPLITS[held_out(tidy(file), test_share)]
        if split in _SPLITS:
            halves[number] = split
        elif columns.split is not None:
            said.append((f"the split {brief(split)}", "give train or test"))
        box = _numbers([cells[k] for k in columns.box], "the box", "left, top, width and height", said)
        points = tuple(
            _numbers([cells[k] for k in pair], name, "x and y", said) for name, pair in columns.landmarks.items()
        )
        for what, todo in said:
            faults.add(where, what, todo, number)
        if not said:
            yield Row(number, tidy(file), category, split, box, points)  # type: ignore[arg-type]


def _numbers(cells: Sequence[str], noun: str, asked: str, said: list[tuple[str, str]]) -> tuple[float, ...] | None:
    """The cells as numbers; None where all are empty, or one is no number, which is told."""
    if not any(cells):
        return None
    wrong = [cell for cell in cells if not _NUMBER.fullmatch(cell) or abs(float(cell)) >= _LARGEST]
    if wrong:
        got = f"{brief(wrong[0])} among the numbers of {noun}" if wrong[0] else f"an empty cell among those of {noun}"
        said.append((got, f"give {asked} as numbers with a decimal point, or leave all of them empty"))
        return None
    return tuple(map(float, cells))


def _without_doubles(rows: Sequence[Row], faults: Faults) -> list[Row]:
    """Rows without those that repeat another, and without those of a file that is in both splits."""
    halves: dict[str, set[str]] = {}
    for row in rows:
        halves.setdefault(row.file, set()).add(row.split)
    first: dict[Row, int] = {}
    kept = []
    for row in rows:
        what = row._replace(line=0)
        if len(halves[row.file]) > 1:
            said = f"the file {row.file!r} in train and in test", "give all objects of an image the same split"
        elif what in first:
            again = f"the same object as in line {first[what]}", "remove one of the two lines"
            faults.repeat(f"{FILE}, line {row.line}", *again, row.line)
            continue
        else:
            first[what] = row.line
            kept.append(row)
            continue
        faults.add(f"{FILE}, line {row.line}", *said, row.line)
    return kept
