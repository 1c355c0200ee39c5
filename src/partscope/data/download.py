"""Fetching a data set's own archive: resumed where it stopped, checked, and unpacked into its folder or not at all."""

import hashlib
import logging
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from partscope.errors import DataError

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 20
_SECONDS = 60
_PARTIAL = 206
_OUT_OF_RANGE = 416


class Archive(NamedTuple):
    """A published tar archive and where its content belongs."""

    url: str
    md5: str
    inside: str
    """Folder of the archive whose content is wanted."""
    below: str
    """Folder below the data set's own that this content becomes; empty for the data set's own."""


ARCHIVES = {
    "cub200": Archive(
        "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
        "97eceeb196236b17998738112f37df78",
        "CUB_200_2011",
        "",
    ),
    "pascal_part": Archive(
        "https://thor.robots.ox.ac.uk/pascal/VOC/voc2010/VOCtrainval_03-May-2010.tar",
        "da459979d0c395079b5c75ee67908abb",
        "VOCdevkit/VOC2010/JPEGImages",
        "JPEGImages",
    ),
}
"""For each kind of data with a stable public address, its archive; `pascal_part` brings the photographs only."""


class Progress(NamedTuple):
    """How much of an archive has come."""

    done: int
    """Bytes."""
    total: int | None
    """Bytes, where the server says it."""


def fetch_if_missing(kind: str, root: Path) -> None:
    """Downloads and unpacks the data set of a kind, if its folder is missing or empty; tells the log how far it is.

    Raises:
        DataError: the kind has no address, the network fails, or the archive is not the published one.
    """
    if kind not in ARCHIVES:
        raise DataError(
            f"downloading data of the kind {kind!r}",
            "no stable public address is known for it",
            f"fetch it by hand (see docs/how-to/papers-data.md); known are: {', '.join(ARCHIVES)}",
        )
    told = -1
    for progress in download(ARCHIVES[kind], root):
        tenth = progress.done * 10 // progress.total if progress.total else progress.done >> 26
        if tenth > told:
            told = tenth
            _LOG.info("%s: %d of %s bytes", ARCHIVES[kind].url, progress.done, progress.total or "unknown")


def download(archive: Archive, root: Path) -> Iterator[Progress]:
    """Fetches an archive, checks it and unpacks it; yields after each piece, and does nothing where data are there.

    What has come is kept beside the folder in `.<archive>.part`, and the next call goes on there if the server
    allows. Nothing is unpacked before the checksum agrees; an archive with a path that leaves its folder, with a
    link or a device is refused by that entry's name; the folder appears whole or not at all.

    Args:
        archive: which, and where it belongs.
        root: the data set's own folder.

    Raises:
        DataError: the network or the disk fails, the checksum differs, or the archive holds what it must not.
    """
    target = root / archive.below if archive.below else root
    if target.is_dir() and any(target.iterdir()):
        return
    part = root.parent / f".{PurePosixPath(archive.url).name}.part"
    doing = f"downloading {archive.url}"
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        yield from _fetch(archive.url, part)
    except OSError as error:  # URLError and its children are OSErrors
        raise DataError(
            doing,
            f"{type(error).__name__}: {error}",
            f"run the same command again: it goes on at {part.stat().st_size if part.exists() else 0} bytes; or "
            f"unpack the archive yourself so that its {archive.inside!r} is {str(target)!r}",
        ) from error
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != archive.md5:
        part.unlink()
        raise DataError(
            doing,
            f"a file with the MD5 {found}, published is {archive.md5}",
            "run the same command again; if it stays so, the address no longer serves the published archive",
        )
    _unpack(part, archive, target)
    part.unlink()


def _fetch(url: str, part: Path) -> Iterator[Progress]:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == _OUT_OF_RANGE and have:  # all of it is there already; the checksum will tell
            yield Progress(have, have)
            return
        raise
    with answer:
        if getattr(answer, "status", None) != _PARTIAL:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            while piece := answer.read(_CHUNK):
                file.write(piece)
                have += len(piece)
                yield Progress(have, total)
    if total is not None and have < total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def _unpack(path: Path, archive: Archive, target: Path) -> None:
    doing = f"unpacking {archive.url}"
    todo = "do not use this archive; fetch the data set from its publisher by hand"
    inside = PurePosixPath(archive.inside)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".unpacking"))
    try:
        with tarfile.open(path) as tar:
            members = tar.getmembers()
            for member in members:
                fault = _fault(member)
                if fault:
                    raise DataError(doing, f"the entry {member.name!r}: {fault}", todo)
            wanted = [m for m in members if inside in PurePosixPath(m.name).parents]
            if not wanted:
                raise DataError(doing, f"no folder {archive.inside!r} in it", todo)
            for member in wanted:
                name = PurePosixPath(member.name).relative_to(inside).as_posix()
                tar.extract(member.replace(name=name), temporary, filter="data")
        temporary.chmod(0o755)
        if target.is_dir():
            target.rmdir()
        temporary.rename(target)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(doing, f"{type(error).__name__}: {error}", "free some space, or fetch it by hand") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fault(member: tarfile.TarInfo) -> str:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        return "its path leaves the folder"
    if member.issym() or member.islnk():
        return "a link"
    return "" if member.isfile() or member.isdir() else "a device or another special file"
