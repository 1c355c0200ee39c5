"""The tables of a COCO file: rows by their id, whatever else the JSON may hold."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from partscope.data.files import read_text
from partscope.data.names import text_fault
from partscope.data.problems import NOTHING, Problem, brief
from partscope.errors import DataError

Row = Mapping[str, Any]
Id = int | str

LARGEST = 1e9
"""Beyond this no value is a place on an image."""


class Rows(NamedTuple):
    """The rows of one table."""

    by_id: dict[Id, Row]
    """Rows without a fault."""
    broken: list[tuple[Problem, Any]]
    """Faults, each with what stands in the row's place."""


def read_object(path: Path) -> Row:
    """A JSON object.

    Raises:
        DataError: the file is missing, or holds none.
    """
    text = read_text(path)
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"reading {str(path)!r}",
            f"no JSON in line {error.lineno}, column {error.colno}: {error.msg}",
            "export the annotations again",
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets in brackets without end
        raise DataError(
            f"reading {str(path)!r}", f"no JSON that can be read: {error}", "export the annotations again"
        ) from error
    if not isinstance(table, dict):
        raise DataError(f"reading {str(path)!r}", f"a {type(table).__name__}", "give a JSON object")
    return table


def as_id(value: object) -> Id | None:
    """A whole number or a text as an id; None if the value is neither.

    >>> as_id(7), as_id(7.0), as_id("a7"), as_id(None), as_id([7]), as_id(True)
    (7, 7, 'a7', None, None, None)
    """
    if isinstance(value, str):
        return None if text_fault(value) else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < 2**63 and value == int(value) else None


def is_number(value: object) -> bool:
    """Whether a value is a finite number of pixels.

    >>> is_number(2.5), is_number("2"), is_number(float("nan")), is_number(True)
    (True, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def rows_by_id(file: str, table: Row, key: str, needed: tuple[str, ...]) -> Rows:
    """The rows of a table; those that share an id are all left out, unless they are the same row again.

    Args:
        file: its name, for messages.
        table: the whole file.
        key: name of the table.
        needed: keys that each row must have.

    Raises:
        DataError: there is no such table.
    """
    rows = table.get(key)
    if not isinstance(rows, list):
        found = ", ".join(map(str, [*table][:12]))
        raise DataError(f"reading {key!r} of {file!r}", f"no list of {key!r}; keys: {found}", "export COCO keypoints")
    good: dict[Id, Row] = {}
    numbers: dict[Id, int] = {}
    doubled: set[Id] = set()
    broken: list[tuple[Problem, Any]] = []
    for number, row in enumerate(rows):
        where = f"{file}, {key} entry {number}"
        if not isinstance(row, dict):
            broken.append((Problem(where, f"{brief(row)} instead of an object", "restore the entry"), row))
            continue
        lacking = [k for k in ("id", *needed) if k not in row]
        if lacking:
            broken.append((Problem(where, f"no {', no '.join(map(repr, lacking))}", "add it"), row))
            continue
        own = as_id(row["id"])
        if own is None:
            broken.append((Problem(where, f"id {brief(row['id'])}", "give a whole number or a text"), row))
        elif own not in good:
            good[own], numbers[own] = row, number
        else:
            same = row == good[own]
            what = f"id {own} twice" + (", the same entry again" if same else "")
            takes = NOTHING if same else None
            broken.append((Problem(where, what, "give each entry an id of its own", takes=takes), row))
            if not same:
                doubled.add(own)
    for own in doubled:
        where = f"{file}, {key} entry {numbers[own]}"
        broken.append((Problem(where, f"id {own} twice", "give each entry an id of its own"), good.pop(own)))
    return Rows(good, broken)
