"""Every kind of image file is read to the pixels that it should have, or refused."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from partscope.data.crops import open_rgb, upright_size
from partscope.errors import DataError

PIXELS: NDArray[np.uint8] = np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8)


def read(path: Path) -> NDArray[np.uint8]:
    image = open_rgb(path)
    assert image.mode == "RGB"
    assert upright_size(path) == image.size
    return np.asarray(image)


def png(path: Path, rows: NDArray[np.generic], colour: int, depth: int, extra: bytes = b"") -> Path:
    """A PNG made by hand: rows of samples, big-endian."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = rows.shape[:2]
    body = b"".join(b"\0" + row.astype(">u2" if depth == 16 else ">u1").tobytes() for row in rows)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b""))
    return path


def chunk_of(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_plain_colour(tmp_path: Path) -> None:
    assert (read(png(tmp_path / "a.png", PIXELS, 2, 8)) == PIXELS).all()


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = PIXELS[..., 0]
    assert (read(png(tmp_path / "a.png", grey, 0, 8)) == grey[..., None]).all()
    Image.fromarray(grey).save(tmp_path / "a.jpg", quality=100)
    assert np.abs(read(tmp_path / "a.jpg").astype(int) - grey[..., None]).max() <= 3
    bits = Image.fromarray(grey > 127)
    bits.save(tmp_path / "b.png")
    assert (read(tmp_path / "b.png") == np.where(grey > 127, 255, 0)[..., None]).all()


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_of_sixteen_bits_the_upper_eight_are_kept(colour: int, tmp_path: Path) -> None:
    """Grey, colour, and both with transparency; the two bytes differ, so that neither passes for the other."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    deep = np.random.default_rng(1).integers(0, 2**16, (5, 7, channels), np.uint16)
    deep[0, 0], deep[0, 1] = 65535, 255
    shown = deep[..., : 3 if colour in (2, 6) else 1] // 256
    assert (read(png(tmp_path / "a.png", deep, colour, 16)) == shown).all()


def test_sixteen_bits_in_other_files(tmp_path: Path) -> None:
    deep = np.random.default_rng(1).integers(0, 2**16, (5, 7), np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.tif")
    (tmp_path / "a.ppm").write_bytes(b"P5 7 5 65535\n" + deep.astype(">u2").tobytes())
    for name in ("a.tif", "a.ppm"):
        assert (read(tmp_path / name) == (deep // 256)[..., None]).all(), name


@pytest.mark.parametrize("samples", [np.linspace(0, 1, 35, dtype=np.float32), np.arange(35, dtype=np.int32) * 5000])
def test_samples_of_no_stated_range_are_refused(samples: NDArray[np.generic], tmp_path: Path) -> None:
    """Real numbers from 0 to 1 would become a black image, 32-bit ones a white one."""
    Image.fromarray(samples.reshape(5, 7)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"samples of mode [FI], from 0 to (1|170000), of no stated range"):
        open_rgb(tmp_path / "a.tif")


def test_palettes_show_their_colours_transparent_or_not(tmp_path: Path) -> None:
    index = np.arange(35, dtype=np.uint8).reshape(5, 7)
    palette = np.random.default_rng(2).integers(0, 256, (35, 3), np.uint8)
    plte = chunk_of(b"PLTE", palette.tobytes())
    assert (read(png(tmp_path / "a.png", index, 3, 8, plte)) == palette[index]).all()
    alpha = chunk_of(b"tRNS", bytes(range(35)))
    assert (read(png(tmp_path / "b.png", index, 3, 8, plte + alpha)) == palette[index]).all()
    Image.open(tmp_path / "a.png").save(tmp_path / "c.gif")
    assert (read(tmp_path / "c.gif") == palette[index]).all()


def test_transparency_is_dropped_and_hidden_colours_show(tmp_path: Path) -> None:
    alpha = np.arange(35, dtype=np.uint8).reshape(5, 7, 1)
    assert (read(png(tmp_path / "a.png", np.concatenate([PIXELS, alpha], 2), 6, 8)) == PIXELS).all()
    grey = PIXELS[..., :1]
    assert (read(png(tmp_path / "b.png", np.concatenate([grey, alpha], 2), 4, 8)) == grey).all()


INKS = [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255), (100, 50, 200, 60)]


def shown_ink(ink: tuple[int, ...]) -> list[int]:
    """(1 - C)(1 - K) and so on."""
    return [round(255 * (1 - c / 255) * (1 - ink[3] / 255)) for c in ink[:3]]


@pytest.mark.parametrize("ink", INKS)
def test_ink_becomes_light(ink: tuple[int, ...], tmp_path: Path) -> None:
    """A JPEG of four channels holds them inverted, as Adobe writes them; a TIFF holds them as they are."""
    image = Image.new("CMYK", (8, 8), ink)
    image.save(tmp_path / "a.tif")
    assert np.abs(read(tmp_path / "a.tif").astype(int) - shown_ink(ink)).max() <= 1
    image.save(tmp_path / "a.jpg", quality=100, subsampling=0)
    assert np.abs(read(tmp_path / "a.jpg").astype(int) - shown_ink(ink)).max() <= 3
    stored = io.BytesIO()
    Image.merge("RGB", image.split()[:3]).save(stored, "JPEG", quality=100, subsampling=0)
    data = (tmp_path / "a.jpg").read_bytes()
    assert b"Adobe" in data  # the marker by which readers know
    raw = Image.open(tmp_path / "a.jpg")
    raw.tile = [tile._replace(args=("CMYK", *tile.args[1:])) for tile in raw.tile]
    assert np.abs(np.asarray(raw).astype(int) - (255 - np.array(ink))).max() <= 3  # inverted in the file


TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_turned_files_are_read_upright(orientation: int, tmp_path: Path) -> None:
    """The EXIF standard says by which row and column of the stored image the upright one begins."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif)
    assert (read(tmp_path / "a.png") == TURNS[orientation](PIXELS)).all()


def test_of_several_frames_the_first_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("#804020", "#000000")]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    assert (read(tmp_path / "a.tif") == (0x80, 0x40, 0x20)).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_a_file_cut_anywhere_is_refused_or_whole(kind: str, tmp_path: Path) -> None:
    stored = io.BytesIO()
    Image.fromarray(np.tile(PIXELS, (5, 5, 1))).save(stored, kind)
    whole = stored.getvalue()
    path = tmp_path / "a.img"
    path.write_bytes(whole)
    intact = read(path)
    refused = 0
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        try:
            found = read(path)
        except DataError as error:
            refused += 1
            assert error.doing == f"reading the image '{path}'"
        else:
            assert (found == intact).all(), length
    assert refused > 40


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0"]
)
def test_files_that_are_no_images(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    for ask in (open_rgb, upright_size):
        with pytest.raises(DataError, match=r"reading the image '.*a.jpg'\n  got: \w+: .+\n  do:  replace the file"):
            ask(tmp_path / "a.jpg")


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk_of(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk_of(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk_of(b"IHDR", head) + body)
    with pytest.raises(DataError, match=r"DecompressionBombError: Image size .3600000000 pixels. exceeds limit"):
        open_rgb(tmp_path / "a.png")
