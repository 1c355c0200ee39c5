"""Files of MATLAB's version 5, read here because scipy's reader crashes the whole process on some damaged ones."""

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
_CELL, _STRUCT, _CHAR = 1, 2, 4
_STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
    16: "u1",
    17: "u2",
}
"""How numbers and letters lie in the file, by their tag."""
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX = 0x800
_DEEPEST = 30
_LARGEST = 1 << 30
"""Bytes that one variable may unfold to."""


class _Element(NamedTuple):
    tag: int
    payload: memoryview
    after: int
    """Where the next element begins."""


def read_version5(content: bytes, name: str) -> tuple[bool, Any, list[str]]:
    """One variable of a file of version 5, checked by its own checksum where it is compressed.

    Args:
        content: the file's bytes.
        name: the variable.

    Returns:
        Whether it is there, its value as `read_mat` says, and the names of the variables before it.

    Raises:
        ValueError: the bytes are no such file, or not a whole one.
    """
    found: list[str] = []
    for reader in _matrices(content, strict=True):
        if reader.name == name:
            return True, reader.value(), found
        found.append(reader.name)
    return False, None, found


def read_variables(content: bytes, names: Collection[str]) -> dict[str, Any]:
    """Some variables of a file of version 5, with `[]` in the place of function handles and objects.

    Args:
        content: the file's bytes.
        names: the variables; those that are not there are left out.

    Raises:
        ValueError: the bytes are no such file, or not a whole one.
    """
    return {reader.name: reader.value() for reader in _matrices(content, strict=False) if reader.name in names}


def _matrices(content: bytes, strict: bool) -> Iterator["_Matrix"]:
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or content[124:126] not in (b"\0\1", b"\1\0"):
        raise ValueError("no .mat file of version 5 or 7.3")
    place = _HEADER
    while place < len(content):
        element = _next(memoryview(content), place, order)
        place = element.after
        if element.tag == _COMPRESSED:
            element = _next(memoryview(_unfolded(element.payload)), 0, order)
        if element.tag != _MATRIX:
            raise ValueError(f"an element of kind {element.tag} where a variable should be")
        yield _Matrix(element.payload, order, 0, strict)


def _unfolded(payload: memoryview) -> bytes:
    unfolder = zlib.decompressobj()
    try:
        content = unfolder.decompress(payload, _LARGEST)
    except zlib.error as error:
        raise ValueError(f"damaged compressed data ({error})") from error
    if not unfolder.eof:
        raise ValueError("compressed data that end too early" if len(content) < _LARGEST else "over 1 GiB of data")
    return content


def _next(data: memoryview, place: int, order: str) -> _Element:
    """The element that begins at a place: a tag of eight bytes and what it announces, or four bytes in the tag."""
    head = data[place : place + 8]
    if len(head) < 8:
        raise ValueError("the file ends within an element's tag")
    tag, size = struct.unpack(order + "II", head)
    if tag >> 16:
        size, tag = tag >> 16, tag & 0xFFFF
        start, after = place + 4, place + 8
        if size > 4:
            raise ValueError(f"a small element of {size} bytes")
    else:
        start = place + 8
        after = start + size if tag == _COMPRESSED else start + (size + 7) // 8 * 8
    payload = data[start : start + size]
    if len(payload) < size:
        raise ValueError(f"the file ends within an element of {size} bytes")
    return _Element(tag, payload, after)


class _Matrix:
    """One array with its parts read in order."""

    def __init__(self, data: memoryview, order: str, depth: int, strict: bool) -> None:
        if depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} values within each other")
        self._data, self._order, self._depth, self._place, self._strict = data, order, depth, 0, strict
        flags = int(self._numbers()[0])
        self._kind, self._complex = flags & 0xFF, bool(flags & _COMPLEX)
        self.name = ""
        if self._passed_over():  # what follows in objects is no shape
            return
        self._shape = tuple(self._numbers().tolist())
        if len(self._shape) < 2 or min(self._shape) < 0:
            raise ValueError(f"an array of shape {self._shape}")
        self.name = self._numbers().tobytes().decode("latin-1")

    def _element(self) -> _Element:
        element = _next(self._data, self._place, self._order)
        self._place = element.after
        return element

    def _numbers(self) -> NDArray[Any]:
        element = self._element()
        if element.tag not in _STORED:
            raise ValueError(f"an element of kind {element.tag} where numbers should be")
        return np.frombuffer(element.payload, self._order + _STORED[element.tag])

    def _passed_over(self) -> bool:
        return not self._strict and self._kind not in (_STRUCT, _CELL, _CHAR, *_CLASSES)

    def value(self) -> Any:
        """Lists of dictionaries for structs, lists for cells, text, or an array; `[]` for what is empty."""
        if self._passed_over():
            return []
        if self._kind == _STRUCT:
            return self._structs()
        if self._kind == _CELL:
            return [self._inner() for _ in range(self._count(1))]
        if self._kind == _CHAR:
            return self._text()
        if self._kind not in _CLASSES:
            raise ValueError(f"a value of class {self._kind}, which holds no plain data")
        if self._complex:
            raise ValueError("complex numbers")
        if math.prod(self._shape) == 0:
            return []
        return self._numbers().astype(_CLASSES[self._kind]).reshape(self._shape, order="F")

    def _count(self, each: int) -> int:
        """Number of inner values, each of which takes eight bytes at least."""
        count = int(math.prod(self._shape))
        if count * each * 8 > len(self._data):
            raise ValueError(f"{count} values announced in {len(self._data)} bytes")
        return count

    def _inner(self) -> Any:
        element = self._element()
        if element.tag != _MATRIX:
            raise ValueError(f"an element of kind {element.tag} where a value should be")
        if not len(element.payload):
            return []
        return _Matrix(element.payload, self._order, self._depth + 1, self._strict).value()

    def _structs(self) -> list[dict[str, Any]]:
        width = int(self._numbers()[0])
        letters = self._numbers().tobytes()
        if width < 1 or len(letters) % width:
            raise ValueError(f"field names of {width} letters in {len(letters)} bytes")
        names = [letters[k : k + width].split(b"\0")[0].decode("latin-1") for k in range(0, len(letters), width)]
        count = self._count(max(len(names), 1))
        return [{key: self._inner() for key in names} for _ in range(count)]

    def _text(self) -> str:
        if math.prod(self._shape) == 0:
            return ""
        element = self._element()
        wide = element.tag in (3, 4, 17)
        text = bytes(element.payload).decode(("utf-16-le" if self._order == "<" else "utf-16-be") if wide else "utf-8")
        if len(text) != math.prod(self._shape):
            raise ValueError(f"a text of {len(text)} letters in an array of shape {self._shape}")
        letters = np.array(list(text)).reshape(self._shape, order="F")
        return "".join(letters.ravel().tolist())
