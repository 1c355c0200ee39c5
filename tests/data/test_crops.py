"""Landmark arithmetic on images small enough to see each pixel."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from partscope.data.crops import PixelBox, cut, mirror, mirrored_order, open_rgb, touched_pixels
from partscope.data.photos import FilePhotos, Listing, Photo
from partscope.errors import DataError


def bright(height: int, width: int, row: int, column: int) -> Image.Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[row, column] = 255
    return Image.fromarray(pixels)


def centroid(image: torch.Tensor) -> tuple[float, float]:
    weight = image[0].double()
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in weight.shape)
    return (
        float((weight.sum(1) * rows).sum() / weight.sum()),
        float((weight.sum(0) * columns).sum() / weight.sum()),
    )


@pytest.mark.parametrize(
    ("box", "row", "column", "size"),
    [
        (PixelBox(0, 0, 12, 30), 5, 13, 48),
        (PixelBox(3, 7, 9, 15), 8, 11, 45),
        (PixelBox(2, 4, 16, 24), 9, 17, 8),
        (PixelBox(3, 7, 9, 15), 6, 18, 9),
    ],
)
def test_a_bright_pixel_stays_under_its_landmark(box: PixelBox, row: int, column: int, size: int) -> None:
    """Where the pixel's spread is not cut by the border, its centroid is its exact place."""
    image = bright(20, 40, row, column)
    crop, moved = cut(image, box, torch.tensor([[row, column]], dtype=torch.float32), size)
    want = (
        (row - box.top + 0.5) * size / box.height - 0.5,
        (column - box.left + 0.5) * size / box.width - 0.5,
    )
    assert moved[0].tolist() == pytest.approx(want, abs=1e-4)
    # an 8-bit image rounds each weight to 1/255, which moves a centroid by up to a few hundredths of a pixel
    assert centroid(crop) == pytest.approx(want, abs=0.06)
    flipped, across, seen = mirror(crop, moved, torch.tensor([True]), ("beak",))
    assert centroid(flipped) == pytest.approx((want[0], size - 1 - want[1]), abs=0.06)
    assert across[0].tolist() == pytest.approx((want[0], size - 1 - want[1]), abs=1e-4)
    assert seen.tolist() == [True]


def test_nothing_from_beside_the_box_enters_the_crop() -> None:
    pixels = np.zeros((10, 12, 3), np.uint8)
    pixels[3:7, 2:9] = (255, 128, 0)
    crop, _ = cut(Image.fromarray(pixels), PixelBox(3, 2, 4, 7), torch.zeros(1, 2), 40)
    assert torch.equal(crop, torch.tensor([255, 128, 0]).div(255).view(3, 1, 1).expand(3, 40, 40))


def test_shrinking_is_antialiased() -> None:
    pixels = np.indices((64, 64)).sum(0) % 2 * 255
    board = Image.fromarray(np.repeat(pixels[..., None], 3, -1).astype(np.uint8))
    crop, _ = cut(board, PixelBox(0, 0, 64, 64), torch.zeros(1, 2), 8)
    assert (crop - 0.5).abs().max() < 0.02


@given(
    top=st.integers(0, 30),
    left=st.integers(0, 30),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.integers(1, 64),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_points_return_from_the_crop(
    top: int, left: int, height: int, width: int, size: int, place: tuple[float, float]
) -> None:
    box = PixelBox(top, left, height, width)
    point = torch.tensor([[top - 0.5 + place[0] * height, left - 0.5 + place[1] * width]])
    _, moved = cut(Image.new("RGB", (80, 80)), box, point, size)
    assert (moved >= -0.5 - 1e-4).all() and (moved <= size - 0.5 + 1e-4).all()
    scale = torch.tensor([height / size, width / size])
    back = (moved + 0.5) * scale - 0.5 + torch.tensor([[top, left]])
    assert torch.allclose(back, point, atol=1e-3)


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((2.4, 1.0, 3.0, 2.0), PixelBox(1, 2, 2, 4)),
        ((-3.0, -2.0, 5.0, 50.0), PixelBox(0, 0, 9, 2)),
        ((38.40, 1.0, 208.0 - 200.0, 2.0), None),
        ((2.0, 2.0, 0.0, 4.0), None),
        ((2.0, 2.0, 4.0, -1.0), None),
        ((float("nan"), 2.0, 4.0, 1.0), None),
        ((10.0, 2.0, 4.0, 1.0), None),
        (None, PixelBox(0, 0, 9, 10)),
    ],
)
def test_touched_pixels(box: tuple[float, float, float, float] | None, pixels: PixelBox | None) -> None:
    assert touched_pixels(box, 10, 9) == pixels


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("LEFT_EYE", "RIGHT_EYE"),
        ("Left-Eye", "Right-Eye"),
        ("L_eye", "R_eye"),
        ("eye_l", "eye_r"),
        ("eye.L", "eye.R"),
        ("l eye 2", "r eye 2"),
        ("leftEye", "rightEye"),
        ("eyeLeft", "eyeRight"),
        ("earL", "earR"),
        ("lEar", "rEar"),
        ("left2", "right2"),
    ],
)
def test_the_usual_names_of_sides_swap(name: str, twin: str) -> None:
    assert mirrored_order((name, twin)) == [1, 0]
    assert mirrored_order((name, "tail")) == [None, 1]


@pytest.mark.parametrize(
    "name", ["upright", "Brightness", "cleft", "L1", "2r", "LEar", "eyeLower", "tall", "ALL", "rear"]
)
def test_words_that_only_look_like_sides_stay(name: str) -> None:
    assert mirrored_order((name,)) == [0]


def test_left_and_right_swap() -> None:
    names = ("tail", "left eye", "right_wing", "right eye", "left_wing", "upright ear", "right leg")
    assert mirrored_order(names) == [0, 3, 4, 1, 2, 5, None]
    points = torch.arange(14, dtype=torch.float32).view(7, 2)
    present = torch.tensor([True, True, True, False, True, True, True])
    _, moved, seen = mirror(torch.zeros(3, 20, 20), points, present, names)
    assert seen.tolist() == [True, False, True, True, True, True, False]
    assert moved[3].tolist() == [2, 16]
    assert moved[1].tolist() == [0, 0]
    assert moved[6].tolist() == [0, 0]


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def test_unusual_files_become_upright_rgb(tmp_path: Path) -> None:
    grey = Image.new("L", (4, 3), 128)
    deep = Image.fromarray(np.full((3, 4), 128 * 256, np.uint16))
    ink = Image.new("CMYK", (4, 3), (0, 0, 0, 127))
    palette = Image.new("P", (4, 3), 0)
    palette.putpalette([128, 128, 128])
    clear = Image.new("RGBA", (4, 3), (128, 128, 128, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [
        save(tmp_path / "grey.png", grey),
        save(tmp_path / "deep.png", deep),
        save(tmp_path / "ink.jpg", ink),
        save(tmp_path / "palette.png", palette, transparency=b"\x80"),
        save(tmp_path / "clear.png", clear),
        save(tmp_path / "turned.jpg", Image.new("RGB", (3, 4), (128, 128, 128)), exif=exif),
    ]
    for path in files:
        image = open_rgb(path)
        assert (image.mode, image.size) == ("RGB", (4, 3)), path.name
        assert np.abs(np.asarray(image).astype(int) - 128).max() <= 3, path.name


def photo(path: Path, **changed: object) -> FilePhotos:
    landmarks = np.array([[1.0, 1.0], [2.0, 3.0]], np.float32)
    whole = Photo(path, "x", 0, landmarks, np.array([True, True]), source="parts.txt, line 7")
    return FilePhotos(Listing([whole._replace(**changed)], ("c",), ("a", "b")), 8)  # type: ignore[arg-type]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    good = save(
        tmp_path / "good.jpg",
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)),
    )
    cut_short = tmp_path / "short.jpg"
    cut_short.write_bytes(good.read_bytes()[:900])
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    for path, got in (
        (cut_short, "truncated"),
        (text, "UnidentifiedImageError"),
        (tmp_path / "no.jpg", "FileNotFound"),
    ):
        with pytest.raises(DataError) as caught:
            photo(path)[0]
        assert caught.value.doing == f"reading the image {str(path)!r}"
        assert got in caught.value.got
        assert caught.value.todo == "replace the file with an intact one, or remove it from the data set"
    with pytest.raises(DataError, match=r"reading the image .*no.jpg'\n  got: FileNotFoundError: No such file"):
        photo(tmp_path / "no.jpg").file_digest(0)


def test_annotations_that_do_not_fit(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGB", (8, 6)))

    def error(**changed: object) -> str:
        with pytest.raises(DataError) as caught:
            photo(path, **changed)[0]
        assert caught.value.doing == "fitting the annotation of 'x' (parts.txt, line 7) to its image"
        return caught.value.got

    assert error(size=(9, 6)) == "an image of 8 x 6 px, annotated as 9 x 6 px"
    assert error(box=(1.0, 1.0, 0.0, 3.0)) == "a box (1.0, 1.0, 0.0, 3.0) that has no area on the 8 x 6 px image"
    outside = np.array([[1, 1], [2, 9]], np.float32)
    assert error(landmarks=outside) == "landmark 2 at row 2, column 9, outside the 8 x 6 px image"
    assert error(landmarks=outside * np.nan).startswith("landmark 1 at row nan")
    hidden = photo(path, landmarks=outside, present=np.array([True, False]))[0]
    assert hidden.present.tolist() == [True, False]
    edge = photo(path, landmarks=np.array([[-1.4, 0], [6.4, 8.4]], np.float32))[0]
    assert edge.landmarks.tolist() == [[-0.5, 0.0], [7.5, 7.5]]


def test_a_landmark_beside_the_box_is_absent(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGB", (8, 6)))
    sample = photo(path, box=(4.0, 0.0, 4.0, 4.0), landmarks=np.array([[1, 7], [1, 2]], np.float32))[0]
    assert sample.present.tolist() == [True, False]
    assert sample.landmarks.tolist() == [[2.5, 6.5], [0.0, 0.0]]


def test_the_digests_follow_what_they_describe(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGB", (8, 6)))
    plain, boxed = photo(path), photo(path, box=(0.0, 0.0, 4.0, 4.0))
    moved = photo(path, landmarks=np.zeros((2, 2), np.float32))
    assert plain.transform_digest == moved.transform_digest != boxed.transform_digest
    assert plain.landmark_digest == boxed.landmark_digest != moved.landmark_digest
    assert len({s.digest() for s in (plain, boxed, moved)}) == 3
