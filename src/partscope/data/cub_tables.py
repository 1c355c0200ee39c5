"""The text tables of CUB-200-2011: rows of numbers, one or several for each image, with every fault in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partscope.data.files import read_text
from partscope.data.names import text_fault
from partscope.data.problems import Faults, Problem, brief
from partscope.errors import DataError

_LARGEST = 1e9
_DIGITS = 15


class Table(NamedTuple):
    """Rows of numbers without a fault."""

    name: str
    """Of the file, for messages."""
    values: NDArray[np.float64]
    """(R, width)"""
    lines: NDArray[np.int_]
    """(R,) the line that each row stands in, counted from 1."""
    broken: frozenset[int] = frozenset()
    """Images that a line with a fault names."""

    def where(self, row: int) -> str:
        """File and line of a row."""
        return f"{self.name}, line {self.lines[row]}"


def named_rows(root: Path, name: str, faults: Faults, *, images: bool = False) -> dict[int, tuple[str, int]]:
    """Rows of a number and a name: the name and the line of each number.

    A number that is there twice is left out, unless its name is the same. `images`: the numbers are ids of images.

    Raises:
        DataError: the file is missing, is no text, or holds no such row.
    """
    rows: dict[int, tuple[str, int]] = {}
    doubled: set[int] = set()
    text = read_text(root / name)
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{name}, line {number}"
        key, _, label = line.strip().partition(" ")
        if not line.strip(" \t"):
            continue
        if not (key.isascii() and key.isdecimal() and len(key) <= _DIGITS and text_fault(label) is None):
            faults.note(Problem(where, brief(line), "give a number and a name"), None)
        elif int(key) in rows:
            same = rows[int(key)][0] == label.strip()
            again = f"id {key} a second time" + (" (the same name)" if same else f" (also in line {rows[int(key)][1]})")
            note = faults.repeat if same else faults.add
            note(where, again, "give each id one line", int(key) if images else None)
            doubled |= set() if same else {int(key)}
        else:
            rows[int(key)] = label.strip(), number
    kept = {key: row for key, row in rows.items() if key not in doubled}
    if not kept:
        got = "no line with a number and a name" if text.strip() else "an empty file"
        raise DataError(f"reading {str(root / name)!r}", got, "restore it")
    return kept


def number_rows(root: Path, name: str, width: int, keys: int, faults: Faults) -> Table:
    """Rows of numbers; a line that is none is a fault of the image that its first number names.

    Args:
        root: the data set's folder.
        name: of the file below it.
        width: numbers in a row.
        keys: how many of them, from the left, are ids: whole numbers from 0.
        faults: takes the faults.

    Raises:
        DataError: the file is missing, empty, or no text.
    """
    text = read_text(root / name)
    if not text.strip():
        raise DataError(f"reading {str(root / name)!r}", "an empty file", "restore it")
    lines = text.removesuffix("\n").split("\n")
    try:
        table = np.array(text.split(), float)
    except ValueError:
        table = np.zeros(0)
    even = table.size == width * len(lines) and all(line.count(" ") == width - 1 for line in lines)
    if even and bool(_sound(table.reshape(-1, width), keys).all()):
        return Table(name, table.reshape(-1, width), np.arange(1, len(lines) + 1))
    rows, numbers, broken = [], [], set[int]()
    for number, line in enumerate(lines, 1):
        words = line.split()
        row = _row_of(words, width)
        if row is not None and bool(_sound(row[None], keys)[0]):
            rows.append(row)
            numbers.append(number)
        elif line.strip(" \t"):
            image = (
                int(words[0])
                if words and words[0].isascii() and words[0].isdecimal() and len(words[0]) <= _DIGITS
                else None
            )
            faults.add(f"{name}, line {number}", brief(line), f"give {width} numbers separated by spaces", image)
            broken |= set() if image is None else {image}
    return Table(name, np.array(rows).reshape(-1, width), np.array(numbers, int), frozenset(broken))


def _row_of(words: Sequence[str], width: int) -> NDArray[np.float64] | None:
    try:
        return np.array([float(word) for word in words]) if len(words) == width else None
    except ValueError:
        return None


def _sound(table: NDArray[np.float64], keys: int) -> NDArray[np.bool_]:
    ids = table[:, :keys]
    near = np.isfinite(table).all(1) & (np.abs(np.where(np.isfinite(table), table, 0)) < _LARGEST).all(1)
    whole = (ids >= 0).all(1) & (ids == np.floor(ids)).all(1)
    return np.asarray(near & whole)


def places_of(keys: NDArray[np.float64], ids: NDArray[np.int_]) -> NDArray[np.int_]:
    """Position in `ids` of each key; -1 for one that is not there.

    >>> places_of(np.array([7.0, 5.0, 2.0]), np.array([2, 7])).tolist()
    [1, -1, 0]
    """
    order = np.argsort(ids)
    whole = keys.astype(int)
    place = np.minimum(np.searchsorted(ids, whole, sorter=order), len(ids) - 1)
    return np.where(ids[order[place]] == whole, order[place], -1)


class Slots(NamedTuple):
    """The rows of a table, each in its place."""

    values: NDArray[np.float64]
    """(S, width of what is not a key) numbers of each place; 0 where there is no row."""
    filled: NDArray[np.bool_]
    """(S,) whether there is a row; of several the first, whose image is a fault's if another says otherwise."""
    line: NDArray[np.int_]
    """(S,) the line of the first row for it; 0 where there is none."""


def one_each(
    table: Table, slot: NDArray[np.int_], count: int, keys: int, what: str, ids: NDArray[np.int_], faults: Faults
) -> Slots:
    """Puts rows into places; a second row for a place is a fault, and takes its image away unless it says the same.

    Args:
        table: the rows.
        slot: (R,) the place of each; -1 for a row that has none.
        count: S, the number of places.
        keys: how many numbers of a row are ids.
        what: what a place is, for messages.
        ids: the image of each row.
        faults: takes the faults.
    """
    known = np.flatnonzero(slot >= 0)
    row = np.full(count, -1)
    row[slot[known][::-1]] = known[::-1]
    filled = row >= 0
    for later in known[row[slot[known]] != known].tolist():
        place = int(slot[later])
        same = bool((table.values[later] == table.values[row[place]]).all())
        again = f"{what} a second time" + (
            " (the same numbers)" if same else f" (also in line {table.lines[row[place]]})"
        )
        image = int(ids[later])
        if same:
            faults.repeat(table.where(later), again.format(image), "give it one line", image)
        else:
            faults.add(table.where(later), again.format(image), "give it one line", image)
    values = np.zeros((count, table.values.shape[1] - keys))
    values[filled] = table.values[row[filled], keys:]
    lines = np.zeros(count, int)
    lines[row >= 0] = table.lines[row[row >= 0]]
    return Slots(values, filled, lines)
