"""Margin and shape of crops, and other categories of the same data set as negatives."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data import paper_trees, trees
from partscope.data import load_photos
from partscope.data.crops import PixelBox, framed
from partscope.errors import DataError, SettingsError
from partscope.settings import DataSettings


@st.composite
def boxes(draw: st.DrawFn) -> tuple[PixelBox, int, int]:
    width, height = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    tall, wide = draw(st.integers(1, height - top)), draw(st.integers(1, width - left))
    return PixelBox(top, left, tall, wide), width, height


@settings(deadline=None, max_examples=300)
@given(boxes(), st.floats(0, 3), st.sampled_from(["stretch", "square"]))
def test_a_frame_holds_its_box_and_stays_in_the_image(
    case: tuple[PixelBox, int, int], margin: float, aspect: str
) -> None:
    box, width, height = case
    got = framed(box, width, height, margin, aspect)
    assert got.top >= 0 and got.left >= 0
    assert got.top + got.height <= height and got.left + got.width <= width
    assert got.top <= box.top and got.top + got.height >= box.top + box.height
    assert got.left <= box.left and got.left + got.width >= box.left + box.width
    plain = framed(box, width, height, margin, "stretch")
    assert plain.height <= box.height + 2 * round(margin * box.height)
    if aspect == "square":
        side = max(plain.height, plain.width)
        assert (got.height, got.width) == (min(side, height), min(side, width))


def test_no_margin_and_no_square_leave_the_box() -> None:
    box = PixelBox(3, 4, 5, 6)
    assert framed(box, 20, 14, 0.0, "stretch") == box
    assert framed(box, 20, 14, 0.5, "stretch") == PixelBox(1, 1, 9, 12)
    assert framed(box, 20, 14, 0.0, "square") == PixelBox(3, 4, 6, 6)
    assert framed(PixelBox(5, 4, 4, 8), 20, 14, 0.0, "square") == PixelBox(3, 4, 8, 8)
    # moved inwards at the edge, cut off where the image is too small
    assert framed(PixelBox(0, 0, 2, 10), 20, 14, 0.0, "square") == PixelBox(0, 0, 10, 10)
    assert framed(PixelBox(12, 0, 2, 10), 20, 14, 0.0, "square") == PixelBox(4, 0, 10, 10)
    assert framed(PixelBox(5, 0, 2, 18), 20, 14, 0.0, "square") == PixelBox(0, 0, 14, 18)


def test_pixels_and_landmarks_move_together(tmp_path: Path) -> None:
    made = trees.write_coco(tmp_path)
    # box columns 2 to 17, rows 3 to 12; a margin of a tenth adds a row above and below and two columns each side
    photos = load_photos(replace(made, margin=0.1), 36, "train")
    whole = Image.open(tmp_path / "images" / "01.png").convert("RGB").crop((0, 2, 20, 14))
    assert torch.equal(photos[0].image, load_whole(whole, 36))
    rows = [(4 - 2 + 0.5) * 36 / 12 - 0.5, (6 - 0 + 0.5) * 36 / 20 - 0.5]
    assert photos[0].landmarks[0].tolist() == pytest.approx(rows)
    square = load_photos(replace(made, aspect="square"), 36, "train")[0]
    # 16 columns by 10 rows: the image has 14 rows, all of them are taken
    assert square.landmarks[0].tolist() == pytest.approx([(4 + 0.5) * 36 / 14 - 0.5, (6 - 2 + 0.5) * 36 / 16 - 0.5])


def load_whole(image: Image.Image, size: int) -> torch.Tensor:
    from partscope.data.crops import cut

    return cut(image, PixelBox(0, 0, image.height, image.width), torch.zeros(0, 2), size)[0]


def test_a_mirrored_frame_swaps_left_and_right(tmp_path: Path) -> None:
    made = replace(trees.write_coco(tmp_path), margin=0.2, mirror=True)
    photos = load_photos(made, 32, "train")
    before, after = photos[0], photos[5]
    assert photos.landmark_names[:2] == ("left eye", "right eye") and before.present[:2].all()
    for left, right in ((0, 1), (1, 0)):
        row, column = before.landmarks[right].tolist()
        assert after.landmarks[left].tolist() == pytest.approx([row, 31 - column])


def test_a_landmark_beside_its_box_is_present_where_the_margin_shows_it(tmp_path: Path) -> None:
    table = trees.coco_table()
    table["annotations"][0].update(bbox=[10, 3, 8, 8])  # its left eye is at column 6
    made = trees.write_coco(tmp_path, table)
    assert not load_photos(made, 16, "train")[0].present[0]
    assert load_photos(replace(made, margin=0.5), 16, "train")[0].present[0]


def test_digests_tell_the_frame(tmp_path: Path) -> None:
    made = trees.write_coco(tmp_path)
    changes = ({}, {"margin": 0.1}, {"margin": 0.2}, {"aspect": "square"}, {"margin": 0.1, "aspect": "square"})
    found = [load_photos(replace(made, **change), 16, "train") for change in changes]  # type: ignore[arg-type]
    assert len({photos.transform_digest for photos in found}) == 5
    assert len({photos.landmark_digest for photos in found}) == 1


# negatives


WRITERS = {
    "folder": (trees.write_classes, "cat", "dog"),
    "coco": (trees.write_coco, "cat", "dog"),
    "cub200": (trees.write_cub, "001.Wren", "002.Crow"),
    "pascal_part": (paper_trees.write_pascal, "bird", "cat"),
    "part_tables": (paper_trees.write_voc_tables, "bird", "cow"),
    "huggingface": (paper_trees.write_hub, "cat", "dog"),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("single", [None, "animal"])
def test_other_categories_as_negatives(kind: str, named: bool, single: str | None, tmp_path: Path) -> None:
    write, kept, other = WRITERS[kind]
    made = replace(write(tmp_path), single_category=single, negative_categories=(other,))
    if kind == "pascal_part" and not named:
        made = replace(made, negative_categories=("cat", "cow", "dog", "horse", "sheep"))
    made = replace(made, categories=(kept,) if named else ())
    apart = replace(made, negative_categories=(), categories=(kept,), single_category=None)
    total = 0
    for split in ("train", "test"):
        photos = load_photos(made, 16, split)
        assert photos.categories == (single or kept,)
        alone = load_photos(apart, 16, split)
        positive = alone.names()
        assert [n for i, n in enumerate(photos.names()) if photos.category_of(i) == 0] == positive
        assert sorted(photos.landmark_names) == sorted(alone.landmark_names)
        order = [photos.landmark_names.index(name) for name in alone.landmark_names]
        for i, name in enumerate(positive):
            sample = photos[photos.names().index(name)]
            assert torch.equal(sample.landmarks[order], alone[i].landmarks)
            assert torch.equal(sample.present[order], alone[i].present)
        negative = [i for i in range(len(photos)) if photos.category_of(i) == -1]
        assert len(negative) == len(photos) - len(positive)
        total += len(negative)
        assert not any(photos[i].present.any() for i in negative)
        assert photos.names() == load_photos(replace(made, categories=(kept,)), 16, split).names()
    assert total > 0


def failure(made: DataSettings) -> str:
    with pytest.raises((DataError, SettingsError)) as caught:
        load_photos(made, 16, "train")
    return str(caught.value)


def test_negatives_that_cannot_be(tmp_path: Path) -> None:
    made = trees.write_classes(tmp_path)
    both = failure(replace(made, categories=("cat", "dog"), negative_categories=("dog",)))
    assert both == (
        "while checking the settings of the data\n"
        "  got: category 'dog' in data.categories and in data.negative_categories\n"
        "  do:  name it in one of them"
    )
    for categories in ((), ("cat",)):
        unknown = failure(replace(made, categories=categories, negative_categories=("dgo",)))
        assert unknown == (
            "while choosing by the setting data.negative_categories\n"
            "  got: no category 'dgo' in the data\n"
            "  do:  the nearest is 'dog'; there are: cat, dog"
        )
        assert "category 'dog' twice" in failure(
            replace(made, categories=categories, negative_categories=("dog", "dog"))
        )
    assert "no category 'cta' in the data" in failure(replace(made, categories=("cta",), negative_categories=("dog",)))
    every = failure(replace(made, negative_categories=("dog", "cat")))
    assert "got: data.negative_categories names all categories" in every


@pytest.mark.parametrize("change", [{"negative_categories": ("cat",)}, {"margin": 0.1}, {"aspect": "square"}])
def test_drawings_have_neither(change: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="with drawn creatures"):
        load_photos(replace(DataSettings(train_images=5), **change), 16, "train")  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"margin": -0.1}, {"margin": 11.0}, {"min_side": -1}])
def test_sizes_out_of_range(change: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="give a min_side of 0 or more and a margin from 0 to 10"):
        load_photos(replace(DataSettings(), **change), 16, "train")  # type: ignore[arg-type]
