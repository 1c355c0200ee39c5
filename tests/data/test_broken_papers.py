"""Broken `.mat` files and photographs are read right or refused in a sentence, and what is skipped is named."""

import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from data import paper_trees
from data.test_broken_sets import Seen, read, same, three_lines
from partscope.data.pascal_index import INDEX_NAME
from partscope.errors import DataError
from partscope.settings import DataSettings

EXAMPLES = settings(max_examples=40, deadline=None)

Damage = Callable[[Path, random.Random], None]


def tables(root: Path) -> list[Path]:
    return sorted(root.rglob("*.mat"))


def cut(root: Path, draw: random.Random) -> None:
    path = draw.choice(tables(root))
    whole = path.read_bytes()
    path.write_bytes(whole[: draw.randrange(len(whole) + 1)])


def other_kind(root: Path, draw: random.Random) -> None:
    path = draw.choice(tables(root))
    name = draw.choice(["anno", "truth", "samples", "layers"])
    value = draw.choice([np.ones((3, 3)), "text", {"imname": "x"}, np.array([[1, "a"]], object), {"obj": {"a": 1}}])
    scipy.io.savemat(path, {name: value})


def junk(root: Path, draw: random.Random) -> None:
    draw.choice(tables(root)).write_bytes(draw.choice([b"", b"\0" * 200, b"MATLAB 7.3" + b" " * 600, b"\x89HDF\r\n"]))


def swapped(root: Path, draw: random.Random) -> None:
    one, two = draw.choice(tables(root)), draw.choice(tables(root))
    if one.parent == two.parent and one.name.startswith("2008"):
        content = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(content)


def photograph(root: Path, draw: random.Random) -> None:
    path = draw.choice(sorted(p for p in root.rglob("*.jpg")) or [root / "none.jpg"])
    act = draw.randrange(3)
    if act == 0:
        path.unlink(missing_ok=True)
    elif path.exists():
        whole = path.read_bytes()
        path.write_bytes(b"no picture" if act == 1 else whole[: draw.randrange(len(whole) + 1)])


def index(root: Path, draw: random.Random) -> None:
    (root / INDEX_NAME).write_text(draw.choice(["", "{", "[1]", '{"format": 1, "files": 3}', "\ud7ff", "null"]))


WRITERS: dict[str, Callable[[Path], DataSettings]] = {
    "pascal": paper_trees.write_pascal,
    "voc": paper_trees.write_voc_tables,
    "det": paper_trees.write_det_tables,
}
DAMAGES: tuple[Damage, ...] = (cut, other_kind, junk, swapped, photograph, index)
INTACT: dict[str, dict[str, Seen]] = {}


def intact(layout: str) -> dict[str, Seen]:
    if layout not in INTACT:
        with tempfile.TemporaryDirectory() as place:
            INTACT[layout] = read(WRITERS[layout](Path(place)))[0]
    return INTACT[layout]


@pytest.mark.parametrize("layout", WRITERS)
@EXAMPLES
@given(seed=st.integers(0, 2**32), times=st.integers(1, 3))
def test_what_is_broken_is_refused_or_left_out(layout: str, seed: int, times: int) -> None:
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        data = WRITERS[layout](Path(place))
        for _ in range(times):
            draw.choice(DAMAGES)(Path(place), draw)
        expected = intact(layout)
        try:
            found, problems = read(data)
        except DataError as error:
            three_lines(error)
        else:
            assert not problems and found.keys() == expected.keys()
            assert all(same(found[name], expected[name], set(found[name].landmarks)) for name in found)
        try:
            found, problems = read(replace(data, on_problem="skip"))
        except DataError as error:
            three_lines(error)
            return
        assert found.keys() <= expected.keys() and (problems or found.keys() == expected.keys())
        for problem in problems:
            assert problem.where and problem.what and problem.todo and "\n" not in str(problem)
        names = {name for seen in found.values() for name in seen.landmarks}
        assert all(same(found[name], expected[name], names) for name in found)


@pytest.mark.parametrize("layout", WRITERS)
@EXAMPLES
@given(data=st.data())
def test_no_bytes_make_anything_but_an_error_in_three_lines(layout: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        made = WRITERS[layout](Path(place))
        path = data.draw(st.sampled_from(tables(Path(place))))
        whole = path.read_bytes()
        start = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(start, min(len(whole), start + 40)))
        path.write_bytes(whole[:start] + data.draw(st.binary(max_size=12)) + whole[end:])
        for policy in ("refuse", "skip"):
            try:
                read(replace(made, on_problem=policy))  # type: ignore[arg-type]
            except DataError as error:
                three_lines(error)
