"""File names as annotations give them: inside the data set's folder, and there."""

import os
import posixpath
import re
import unicodedata
from difflib import get_close_matches
from pathlib import Path
from typing import final

from partscope.data.files import required_image_names
from partscope.data.problems import brief

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_NEAREST_SOUGHT = 3
_NO_LETTERS = ("Cc", "Cs")
"""Control characters, and half surrogate pairs: JSON can spell them, and a file's name that is no UTF-8 has them."""


def text_fault(text: object) -> str | None:
    r"""Why a value is no name of anything; None if it is one.

    >>> text_fault("tail"), text_fault(" "), text_fault("a\0")
    (None, "' ' instead of a name", "'a\\x00', which holds characters that no name has")
    """
    if not isinstance(text, str) or not text.strip():
        return f"{brief(text)} instead of a name"
    if any(unicodedata.category(letter) in _NO_LETTERS for letter in text):
        return f"{brief(text)}, which holds characters that no name has"
    return None


def file_fault(name: object) -> str | None:
    """Why a value is no file name inside a folder; None if it is one.

    >>> file_fault("../x.jpg"), file_fault("a/x.jpg")
    ("the file name '../x.jpg', which climbs out of the folder", None)
    """
    fault = text_fault(name)
    if fault is not None or not isinstance(name, str):
        return f"the file name is {fault}"
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return f"the absolute file name {brief(name)}"
    if ".." in re.split(r"[\\/]", name):
        return f"the file name {brief(name)}, which climbs out of the folder"
    return None


def tidy(name: str) -> str:
    """A relative file name in its plain form, so that one file has one name.

    >>> tidy("./cat//001.jpg")
    'cat/001.jpg'
    """
    return posixpath.normpath(name)


@final
class Shelf:
    """A folder of images, each of its folders listed once.

    Args:
        folder: where the names start.
        doing: what is being done, for the message.

    Raises:
        DataError: it is not there, or holds no image at all.
    """

    def __init__(self, folder: Path, doing: str) -> None:
        if not folder.is_dir():
            required_image_names(folder, doing)
        self._folder = folder
        self._listed: dict[str, set[str]] = {}
        self._sought = 0

    def lacks(self, name: str) -> tuple[str, str] | None:
        """What is said of a file that is not there, and what to do; None if it is there."""
        below, _, last = name.rpartition("/")
        if below not in self._listed:
            self._listed[below] = _files_in(self._folder / below)
        there = self._listed[below]
        if last in there:
            return None
        self._sought += 1
        close = get_close_matches(last, sorted(there), n=1) if self._sought <= _NEAREST_SOUGHT else []
        todo = f"restore it (nearest name there: {close[0]!r})" if close else "restore it, or remove its annotation"
        return f"no file {str(self._folder / name)!r}", todo


def _files_in(place: Path) -> set[str]:
    try:
        with os.scandir(place) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except (OSError, ValueError):
        return set()
