"""Our reader of version 5 against scipy's, on whole files; damaged ones are refused and never end the process."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from data.paper_trees import structs
from partscope.data.matlab import read_mat
from partscope.errors import DataError


def plain(value: Any) -> Any:
    """What scipy read, as `read_mat` gives it."""
    if not isinstance(value, np.ndarray):
        return value
    if value.size == 0:
        return "" if value.dtype.kind == "U" else []
    if value.dtype.names is not None:
        return [{key: plain(row[key]) for key in value.dtype.names} for row in value.ravel(order="F")]
    if value.dtype == object:
        return [plain(item) for item in value.ravel(order="F")]
    return "".join(value.ravel().tolist()) if value.dtype.kind == "U" else value


def same(one: Any, two: Any) -> bool:
    if isinstance(one, list):
        return isinstance(two, list) and len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, dict):
        return isinstance(two, dict) and one.keys() == two.keys() and all(same(one[k], two[k]) for k in one)
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and one.shape == two.shape and bool(np.array_equal(one, two))
    return type(one) is type(two) and bool(one == two)


KINDS = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
NUMBERS = st.builds(
    lambda kind, shape: (np.arange(np.prod(shape)) % 100).astype(kind).reshape(shape),
    st.sampled_from(KINDS),
    st.tuples(st.integers(0, 3), st.integers(0, 4)),
)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cn"]), max_size=9)


def cell(items: list[Any]) -> Any:
    made = np.empty((1, len(items)), object)
    for k, item in enumerate(items):
        made[0, k] = item
    return made


VALUES = st.recursive(
    NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(cell)
        | st.lists(st.fixed_dictionaries({"a": inner, "long_name": inner}), min_size=1, max_size=3).map(structs)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(value=VALUES, other=NUMBERS, compressed=st.booleans())
def test_it_reads_what_scipy_reads(value: Any, other: Any, compressed: bool, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("mat") / "x.mat"
    scipy.io.savemat(path, {"before": other, "x": value}, do_compression=compressed)
    assert same(read_mat(path, "x"), plain(scipy.io.loadmat(path)["x"]))


def element(tag: int, payload: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "II", tag, len(payload)) + payload + b"\0" * (-len(payload) % 8)


def matrix(kind: int, shape: tuple[int, ...], content: bytes, name: bytes = b"x", order: str = "<") -> bytes:
    flags = element(6, struct.pack(order + "II", kind, 0), order)
    size = element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    return element(14, flags + size + element(1, name, order) + content, order)


def file(path: Path, *elements: bytes, order: str = "<") -> Path:
    version = struct.pack(order + "H", 0x100) + (b"IM" if order == "<" else b"MI")
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + version + b"".join(elements))
    return path


def test_big_endian_and_stored_small(tmp_path: Path) -> None:
    # doubles that are stored as one byte each, as MATLAB does with whole numbers
    for order in ("<", ">"):
        path = file(tmp_path / "x.mat", matrix(6, (2, 3), element(2, bytes(range(6)), order), order=order), order=order)
        found = read_mat(path, "x")
        assert found.dtype == np.float64 and found.tolist() == [[0, 2, 4], [1, 3, 5]]
        text = "maß".encode("utf-16-le" if order == "<" else "utf-16-be")
        path = file(tmp_path / "x.mat", matrix(4, (1, 3), element(4, text, order), order=order), order=order)
        assert read_mat(path, "x") == "maß"


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (matrix(6, (2, 3), element(9, b"\0" * 40)), "cannot reshape array of size 5 into shape (2,3)"),
        (matrix(6, (2, -3), element(9, b"")), "an array of shape (2, -3)"),
        (matrix(6, (2,), element(9, b"")), "an array of shape (2,)"),
        (matrix(1, (10**9, 10**9), b""), "values announced in"),
        (matrix(2, (9999, 1), element(5, b"\4\0\0\0") + element(1, b"ab\0\0")), "9999 values announced in"),
        (matrix(2, (1, 1), element(5, b"\0\0\0\0") + element(1, b"ab\0\0")), "field names of 0 letters in 4 bytes"),
        (matrix(3, (1, 1), b""), "a value of class 3, which holds no plain data"),
        (matrix(6, (1, 1), element(14, b"")), "an element of kind 14 where numbers should be"),
        (matrix(1, (1, 1), element(9, b"\0" * 8)), "an element of kind 9 where a value should be"),
        (matrix(4, (1, 4), element(16, b"abc")), "a text of 3 letters in an array of shape (1, 4)"),
        (matrix(6 | 0x800, (1, 1), element(9, b"\0" * 8)), "complex numbers"),
        (element(9, b"\0" * 8), "an element of kind 9 where a variable should be"),
        (element(15, b"nothing")[:15], "damaged compressed data"),
        (element(15, zlib.compress(b"\0" * 99)[:-4]), "compressed data that end too early"),
        (matrix(6, (1, 1), element(9, b"\0" * 8))[:-9], "the file ends within an element of"),
        (b"\1\2\3", "the file ends within an element's tag"),
        (struct.pack("<HH", 2, 5) + b"\0" * 4, "a small element of 5 bytes"),
    ],
)
def test_damage_is_told(content: bytes, got: str, tmp_path: Path) -> None:
    path = file(tmp_path / "x.mat", content)
    with pytest.raises(DataError) as caught:
        read_mat(path, "x")
    assert caught.value.doing == f"reading 'x' of '{path}'"
    assert caught.value.got.startswith("ValueError: ") and got in caught.value.got


def test_values_within_each_other_end_somewhere(tmp_path: Path) -> None:
    inner = matrix(6, (1, 1), element(9, b"\0" * 8), b"")
    for _ in range(40):
        inner = matrix(1, (1, 1), inner, b"x")
    with pytest.raises(DataError, match="more than 30 values within each other"):
        read_mat(file(tmp_path / "x.mat", inner), "x")


def test_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"y": 1.0, "z": 2.0})
    with pytest.raises(DataError, match=r"a \.mat file of another kind, with 'y', 'z' and no 'x'"):
        read_mat(path, "x")
    scipy.io.savemat(path, {"x": 1.0}, format="4")
    with pytest.raises(DataError, match=r"no \.mat file of version 5 or 7\.3"):
        read_mat(path, "x")
    with pytest.raises(DataError, match="FileNotFoundError"):
        read_mat(tmp_path / "none.mat", "x")
    path.write_bytes(b"")
    with pytest.raises(DataError, match="ValueError: an empty file"):
        read_mat(path, "x")
