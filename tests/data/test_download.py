"""Archives: fetched, resumed, checked before anything is unpacked, and refused when they would leave their folder."""

import hashlib
import io
import logging
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from data import trees
from partscope.cli import run
from partscope.data import download as module
from partscope.data import load_photos
from partscope.data.download import ARCHIVES, Archive, Progress, download, fetch_if_missing
from partscope.errors import DataError
from partscope.settings import DataSettings


def packed(path: Path, members: dict[str, bytes], odd: tuple[tarfile.TarInfo, ...] = ()) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in odd:
            tar.addfile(info)
    return path


CONTENT = {"SET/images.txt": b"1 a.png\n", "SET/images/a.png": b"png", "SET/parts/parts.txt": b"", "other.txt": b"x"}


def archive_of(path: Path, **changed: str) -> Archive:
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    return Archive(path.as_uri(), digest, "SET", "")._replace(**changed)


def spent(archive: Archive, root: Path) -> list[Progress]:
    return list(download(archive, root))


def test_the_wanted_folder_is_unpacked_and_the_archive_removed(tmp_path: Path) -> None:
    archive = archive_of(packed(tmp_path / "set.tgz", CONTENT))
    root = tmp_path / "data" / "set"
    progress = spent(archive, root)
    assert progress[-1].done == progress[-1].total == (tmp_path / "set.tgz").stat().st_size
    found = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    assert found == {"images.txt", "images/a.png", "parts/parts.txt"}
    assert [p.name for p in root.parent.iterdir()] == ["set"]
    (root / "images.txt").write_text("mine")
    assert spent(archive, root) == []
    assert (root / "images.txt").read_text() == "mine"


def test_a_folder_below_beside_what_is_there(tmp_path: Path) -> None:
    archive = archive_of(packed(tmp_path / "set.tgz", CONTENT), inside="SET/images", below="JPEGImages")
    root = tmp_path / "data"
    (root / "Annotations_Part").mkdir(parents=True)
    (root / "JPEGImages").mkdir()
    spent(archive, root)
    assert (root / "JPEGImages" / "a.png").read_bytes() == b"png"
    assert (root / "Annotations_Part").is_dir()


def test_another_file_than_the_published_one(tmp_path: Path) -> None:
    archive = archive_of(packed(tmp_path / "set.tgz", CONTENT), md5="0" * 32)
    with pytest.raises(DataError) as caught:
        spent(archive, tmp_path / "data" / "set")
    digest = hashlib.md5((tmp_path / "set.tgz").read_bytes()).hexdigest()
    assert caught.value.got == f"a file with the MD5 {digest}, published is {'0' * 32}"
    assert list((tmp_path / "data").iterdir()) == []


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (special("SET/../../out.txt", tarfile.REGTYPE), "its path leaves the folder"),
        (special("../out.txt", tarfile.REGTYPE), "its path leaves the folder"),
        (special("/tmp/out.txt", tarfile.REGTYPE), "its path leaves the folder"),
        (special("SET/link", tarfile.SYMTYPE, "/etc"), "a link"),
        (special("SET/link", tarfile.SYMTYPE, "images.txt"), "a link"),
        (special("SET/hard", tarfile.LNKTYPE, "SET/images.txt"), "a link"),
        (special("SET/dev", tarfile.CHRTYPE), "a device or another special file"),
        (special("SET/pipe", tarfile.FIFOTYPE), "a device or another special file"),
        (special("elsewhere/../../x", tarfile.REGTYPE), "its path leaves the folder"),
    ],
)
def test_entries_that_leave_the_folder_are_refused_by_name(odd: tarfile.TarInfo, why: str, tmp_path: Path) -> None:
    archive = archive_of(packed(tmp_path / "set.tgz", CONTENT, (odd,)))
    with pytest.raises(DataError) as caught:
        spent(archive, tmp_path / "data" / "set")
    assert caught.value.got == f"the entry {odd.name!r}: {why}"
    assert caught.value.todo == "do not use this archive; fetch the data set from its publisher by hand"
    assert not (tmp_path / "data" / "set").exists() and not list(tmp_path.rglob("out.txt"))
    assert [p.name for p in (tmp_path / "data").iterdir()] == [".set.tgz.part"]


def test_no_archive_and_one_without_the_folder(tmp_path: Path) -> None:
    (tmp_path / "set.tgz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"unpacking file://.*\n  got: ReadError"):
        spent(archive_of(tmp_path / "set.tgz"), tmp_path / "data" / "set")
    whole = packed(tmp_path / "two.tgz", CONTENT)
    with pytest.raises(DataError, match="no folder 'BIRDS' in it"):
        spent(archive_of(whole, inside="BIRDS"), tmp_path / "data" / "set")
    whole.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"got: (EOFError|ReadError)"):
        spent(archive_of(whole), tmp_path / "other" / "set")


def test_an_address_that_does_not_answer(tmp_path: Path) -> None:
    archive = Archive((tmp_path / "none.tgz").as_uri(), "", "SET", "")
    with pytest.raises(DataError) as caught:
        spent(archive, tmp_path / "data")
    assert caught.value.got.startswith("URLError: <urlopen error [Errno 2] No such file")
    assert caught.value.todo == (
        f"run the same command again: it goes on at 0 bytes; or unpack the archive yourself so that its 'SET' is "
        f"'{tmp_path}/data'"
    )


class Server(ThreadingHTTPServer):
    content = b""
    ranges: list[str]
    knows_ranges = True
    breaks_at = 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        wanted = self.headers.get("Range", "")
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.knows_ranges else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.server.content) - start))
        self.end_headers()
        end = self.server.breaks_at or len(self.server.content)
        self.wfile.write(self.server.content[start:end])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.ranges = []
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_broken_download_goes_on(knows_ranges: bool, server: Server, tmp_path: Path) -> None:
    path = packed(tmp_path / "set.tgz", CONTENT)
    server.content, server.knows_ranges, server.breaks_at = path.read_bytes(), knows_ranges, 100
    archive = archive_of(path, url=f"http://127.0.0.1:{server.server_address[1]}/files/set.tgz")
    root = tmp_path / "data"
    with pytest.raises(DataError, match="goes on at 100 bytes"):
        spent(archive, root)
    assert not root.exists() and (tmp_path / ".set.tgz.part").stat().st_size == 100
    server.breaks_at = 0
    progress = spent(archive, root)
    assert server.ranges == ["", "bytes=100-"]
    assert progress[-1] == Progress(len(server.content), len(server.content))
    assert (root / "images.txt").read_bytes() == b"1 a.png\n"


def test_an_archive_that_has_come_whole_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    path = packed(tmp_path / "set.tgz", CONTENT)
    server.content = path.read_bytes()
    (tmp_path / ".set.tgz.part").write_bytes(server.content)
    archive = archive_of(path, url=f"http://127.0.0.1:{server.server_address[1]}/set.tgz")
    assert spent(archive, tmp_path / "data") == [Progress(len(server.content), len(server.content))]
    assert (tmp_path / "data" / "images.txt").is_file()


def test_an_address_that_refuses(server: Server, tmp_path: Path) -> None:
    archive = Archive(f"http://127.0.0.1:{server.server_address[1]}/set.tgz", "", "SET", "")
    with pytest.raises(DataError, match="HTTPError: HTTP Error 416"):
        spent(archive, tmp_path / "data")


def test_a_data_set_is_fetched_when_its_settings_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trees.write_cub(tmp_path / "CUB_200_2011")
    path = tmp_path / "CUB.tgz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tmp_path / "CUB_200_2011", "CUB_200_2011")
    archive = archive_of(path, inside=ARCHIVES["cub200"].inside)
    monkeypatch.setitem(module.ARCHIVES, "cub200", archive)
    settings = DataSettings(kind="cub200", root=str(tmp_path / "new"), folder="birds")
    with pytest.raises(DataError):
        load_photos(settings, 16, "train")
    with caplog.at_level(logging.INFO, "partscope"):
        photos = load_photos(replace(settings, download=True), 16, "train")
    assert photos.names() == ["001.Wren/a.png", "002.Crow/c.png"] and photos[0].present.any()
    size = path.stat().st_size
    assert caplog.messages == [f"{archive.url}: {size} of {size} bytes"]


def test_the_command_line_tells_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trees.write_cub(tmp_path / "CUB_200_2011")
    with tarfile.open(tmp_path / "CUB.tgz", "w:gz") as tar:
        tar.add(tmp_path / "CUB_200_2011", "CUB_200_2011")
    archive = archive_of(tmp_path / "CUB.tgz", inside="CUB_200_2011")
    monkeypatch.setitem(module.ARCHIVES, "cub200", archive)
    arguments = ["--data.kind", "cub200", "--data.root", str(tmp_path / "new"), "--data.download", "true"]
    assert run(["data", *arguments, "--out", str(tmp_path / "sheet.png")]) == 0
    size = (tmp_path / "CUB.tgz").stat().st_size
    assert f"{archive.url}: {size} of {size} bytes\n" in capsys.readouterr().err
    assert logging.getLogger("partscope").handlers == []


def test_kinds_without_an_address(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        fetch_if_missing("coco", tmp_path)
    assert caught.value.got == "no stable public address is known for it"
    assert caught.value.todo.endswith("known are: cub200, pascal_part")


def test_addresses_are_encrypted_and_checksums_whole() -> None:
    for archive in ARCHIVES.values():
        assert archive.url.startswith("https://") and len(archive.md5) == 32
