"""Further crops of training photographs."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from partscope.data import load_photos
from partscope.data.moved import moved_box
from partscope.errors import SettingsError
from partscope.settings import DataSettings


@given(st.floats(0, 100), st.floats(0, 100), st.floats(1, 500), st.floats(1, 500), st.text(max_size=8))
def test_moved_boxes_stay_near(left: float, top: float, width: float, height: float, dice: str) -> None:
    x, y, w, h = moved_box((left, top, width, height), dice)
    assert abs(x + w / 2 - left - width / 2) <= 0.08 * width + 1e-6
    assert abs(y + h / 2 - top - height / 2) <= 0.08 * height + 1e-6
    assert -0.2 - 1e-6 <= math.log(h / height) <= 0.1 + 1e-6
    assert abs(math.log(w / width) - math.log(h / height)) <= 0.08 + 1e-6


@pytest.fixture
def table(tmp_path: Path) -> DataSettings:
    """Two photographs of a bright dot on black, its place as landmark; one negative."""
    rows = ["file,left,top,width,height,category,split,dot_x,dot_y"]
    for name, split in (("a.png", "train"), ("b.png", "train"), ("c.png", "test")):
        image = Image.new("RGB", (200, 160))
        for row in range(76, 85):
            for column in range(96, 105):
                image.putpixel((column, row), (255, 255, 255))
        image.save(tmp_path / name)
        rows.append(f"{name},40,30,120,100,dot,{split},100,80")
    (tmp_path / "annotations.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "others").mkdir()
    for k in range(8):
        Image.new("RGB", (60, 60), (k, 0, 0)).save(tmp_path / "others" / f"{k}.png")
    return DataSettings(kind="csv", root=str(tmp_path), folder=".", negatives="others")


def test_a_landmark_moves_with_its_crop(table: DataSettings) -> None:
    photos = load_photos(replace(table, crops=6), 64, "train")
    places = set()
    for i, name in enumerate(photos.names()):
        sample = photos[i]
        if sample.category < 0:
            continue
        assert bool(sample.present[0])
        bright = (sample.image[0] > 0.5).nonzero().float().mean(0)
        assert torch.allclose(bright, sample.landmarks[0], atol=0.75), name
        places.add(tuple(sample.landmarks[0].tolist()))
    assert len(places) == 1 + 2 * 5  # the boxes alone agree, every other crop is its own


def test_objects_come_before_negatives_and_each_keeps_its_kind(table: DataSettings) -> None:
    plain, more = load_photos(table, 32, "train"), load_photos(replace(table, crops=3), 32, "train")
    objects = sum(plain.category_of(i) >= 0 for i in range(len(plain)))
    negatives = len(plain) - objects
    assert (objects, len(more)) == (2, 3 * len(plain))
    assert [more.category_of(i) for i in range(len(more))] == [0] * 6 + [-1] * 3 * negatives
    assert more.names()[:6] == [f"{n}{k}" for k in ("", " (moved 1)", " (moved 2)") for n in plain.names()[:2]]
    assert len(set(more.names())) == len(more)
    assert more.file_digest(0) == more.file_digest(2)
    assert torch.equal(more[0].image, plain[0].image)
    assert more.transform_digest != plain.transform_digest


def test_the_test_images_are_never_moved_and_mirrors_come_last(table: DataSettings) -> None:
    assert load_photos(replace(table, crops=5), 32, "test").names() == load_photos(table, 32, "test").names()
    both = load_photos(replace(table, crops=2, mirror=True), 32, "train").names()
    assert both[len(both) // 2 :] == [f"{n} (mirrored)" for n in both[: len(both) // 2]]


@pytest.mark.parametrize("crops", [0, 101])
def test_crops_out_of_range(table: DataSettings, crops: int) -> None:
    with pytest.raises(SettingsError, match=rf"data.crops {crops}\n.*give 1 \(the box alone\) to 100"):
        load_photos(replace(table, crops=crops), 32, "train")


def test_drawn_creatures_have_no_crops() -> None:
    with pytest.raises(SettingsError, match=r"data\.crops with drawn creatures"):
        load_photos(DataSettings(crops=2), 32, "train")


def test_a_box_that_reaches_far_outside_is_moved_where_its_object_is(table: DataSettings) -> None:
    listed = Path(str(table.root)) / "annotations.csv"
    text = listed.read_text()
    listed.write_text(text.replace("a.png,40,30,120,100,dot,train,100,80", "a.png,-96,0,100,100,dot,train,,"))
    photos = load_photos(replace(table, crops=12), 16, "train")
    for i in range(24):
        assert photos[i].image.shape == (3, 16, 16)
