"""Image files on disk: which there are, what they hold, and how to say that they are not there."""

import hashlib
import os
from collections import deque
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from partscope.errors import DataError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm")
"""Endings, in any case, by which an image file is known."""

_FOLDERS_SEARCHED = 500


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"reading the image {str(path)!r}",
            f"{type(error).__name__}: {error.strerror}",
            "restore the file, or remove it from the data set",
        ) from error


def read_text(path: Path) -> str:
    r"""Text of an annotation file in UTF-8; a byte order mark is dropped, and lines end by ``\n`` alone.

    Raises:
        DataError: it is missing or is no text; names a folder near by that has one of that name.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"reading {str(path)!r}", f"{error}", "save the file as UTF-8 text") from error
    except OSError as error:
        raise DataError(
            f"reading {str(path)!r}", f"{type(error).__name__}: {error.strerror}", _where_else(path)
        ) from error


def _where_else(path: Path) -> str:
    above = next((p for p in path.parents if p.is_dir()), Path("/"))
    for folder in _folders_from(above):
        if folder != path.parent and (folder / path.name).is_file():
            return f"there is one in {str(folder)!r}: set data.root and data.folder to it"
    return "set data.root and data.folder to the folder of the data set"


def image_names(folder: Path) -> list[str]:
    """Image files in a folder and those below it, relative to it with `/`, sorted; hidden ones left out.

    Links to folders are followed, but for those to a folder that the link itself lies in.
    """
    found = []
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".") and not _leads_back(Path(place, name))]
        below = Path(place).relative_to(folder).as_posix()
        prefix = "" if below == "." else below + "/"
        found += [prefix + name for name in files if _is_image(name)]
    return sorted(found)


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one of those that it lies in, which would never end."""
    return folder.is_symlink() and any(above.samefile(folder) for above in folder.parents)


def required_image_names(folder: Path, doing: str) -> list[str]:
    """As `image_names`.

    Raises:
        DataError: there are none; names the extensions looked for and the nearest folder that has some.
    """
    names = image_names(folder)
    if names:
        return names
    got = (
        f"no image in {str(folder)!r} (looked for {' '.join(EXTENSIONS)})"
        if folder.is_dir()
        else f"no folder {str(folder)!r} (images looked for there: {' '.join(EXTENSIONS)})"
    )
    raise DataError(doing, got, _nearest_images(folder))


def _nearest_images(folder: Path) -> str:
    for above in folder.parents[:2]:
        if not above.is_dir():
            continue
        likely = get_close_matches(folder.name, sorted(p.name for p in above.iterdir()), n=1, cutoff=0.5)
        for start in [*(above / name for name in likely), above]:
            for place in _folders_from(start):
                if any(_is_image(entry.name) for entry in place.iterdir()):
                    return f"set it to the nearest folder with images: {str(place)!r}"
    return "put images there, or set data.root and data.folder to a folder that has some"


def _folders_from(start: Path) -> Iterable[Path]:
    """The folder and those below it, nearest first, as many as can be looked at quickly."""
    waiting = deque([start] if start.is_dir() else [])
    for _ in range(_FOLDERS_SEARCHED):
        if not waiting:
            return
        folder = waiting.popleft()
        try:
            with os.scandir(folder) as entries:
                children = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
        except OSError:
            continue
        yield folder
        waiting += [folder / name for name in children]


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS  # noqa: PTH122
