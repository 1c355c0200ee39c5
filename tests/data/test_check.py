"""A look at every image: what is damaged is named with its split, and a fit never meets it."""

import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data import trees
from partscope.data import (
    Problem,
    batches,
    check_images,
    contact_sheet,
    load_photos,
    open_photos,
    overview,
    survey_photos,
)
from partscope.data.contact_sheet import COLOURS
from partscope.data.crops import open_rgb
from partscope.data.overview import CountRow, Sizes
from partscope.data.problems import NOTHING, Faults, brief, gone, left_out, told_left_out
from partscope.errors import DataError
from partscope.settings import DataSettings


def ended(steps: Generator[Any, None, Any]) -> tuple[list[Any], Any]:
    said = []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            return said, end.value


def damaged(root: Path, left: int = 30) -> DataSettings:
    """Birds and negatives: a bird cut short (train), another of no picture (test), an empty negative (test)."""
    trees.write_negatives(root, 5)
    settings = trees.write_cub(root / "birds", bounding_boxes=f"1 2 1 12 10\n2 0 0 20 14\n4 {left} 1 9 9\n7 3 3 8 8\n")
    image = root / "birds" / "images" / "001.Wren" / "a.png"
    image.write_bytes(image.read_bytes()[:200])
    (root / "birds" / "images" / "001.Wren" / "b.png").write_text("no picture")
    (root / "nothing" / "4.png").write_bytes(b"")
    return replace(settings, root=str(root), folder="birds", negatives="nothing")


def test_every_damaged_image_is_named_and_the_others_stay(tmp_path: Path) -> None:
    settings = replace(damaged(tmp_path, left=1), on_problem="skip")
    train, test = (load_photos(settings, 16, split) for split in ("train", "test"))
    assert train.names() == ["002.Crow/c.png", "nothing/0.png", "nothing/1.png", "nothing/2.png"]
    assert test.names() == ["002.Crow/d.png", "nothing/3.png"]
    assert [(p.where, p.what.split(":")[0], p.split) for p in test.left_out] == [
        ("image '001.Wren/b.png'", "UnidentifiedImageError", "test"),
        ("image 'nothing/4.png'", "UnidentifiedImageError", "test"),
    ]
    for photos in (train, test):
        assert sum(len(k) for _, k in batches(photos, 2)) == len(photos)


def test_an_annotation_that_does_not_fit_names_its_line(tmp_path: Path) -> None:
    photos = load_photos(damaged(tmp_path), 16, "train")
    said, found = ended(check_images(photos, "train"))
    assert said == [1, 2, 3, 4, 5]
    assert sorted(found.problems) == [0, 1]
    assert found.problems[1] == Problem(
        "image '002.Crow/c.png'",
        "a box (30.0, 1.0, 9.0, 9.0) that has no area on the 20 x 14 px image "
        "(image 4 of bounding_boxes.txt and parts/part_locs.txt)",
        "correct the box (left, top, width, height), or remove the object from the annotations",
        "train",
    )
    assert found.present.shape == (5, 3)
    assert not found.present.any()


def test_refusing_raises_when_the_image_is_decoded(tmp_path: Path) -> None:
    photos = load_photos(damaged(tmp_path), 16, "train")
    assert photos.left_out == ()
    with pytest.raises(DataError, match=r"reading the image '.*a.png'"):
        photos[0]


def test_a_set_that_is_all_damaged_says_so(tmp_path: Path) -> None:
    settings = replace(trees.write_split_classes(tmp_path), on_problem="skip")
    for path in (tmp_path / "train").rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="none of cat, dog in this split; 6 rows or files have a fault"):
        load_photos(settings, 16, "train")


def test_progress_is_told_only_where_images_are_looked_at(tmp_path: Path) -> None:
    settings = trees.write_cub(tmp_path)
    assert ended(open_photos(settings, 16, "train"))[0] == []
    said, photos = ended(open_photos(replace(settings, on_problem="skip"), 16, "train"))
    assert said == [(1, 2), (2, 2)]
    assert photos.digest() == load_photos(settings, 16, "train").digest()


def test_stopping_the_look_leaves_no_thread(tmp_path: Path) -> None:
    steps = check_images(load_photos(trees.write_classes(tmp_path, count=40), 16, "train"))
    next(steps)
    steps.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("partscope-check")]


def test_a_survey_refuses_nothing_and_shows_nothing_twice(tmp_path: Path) -> None:
    settings = replace(damaged(tmp_path), mirror=True)
    train, test = (ended(survey_photos(settings, 16, split))[1] for split in ("train", "test"))
    found = overview(train, test)
    assert found.categories == [CountRow("001.Wren", 0, 0), CountRow("002.Crow", 0, 1), CountRow("(negatives)", 3, 1)]
    assert found.landmarks == [CountRow("beak", 0, 1), CountRow("left eye", 0, 1), CountRow("right eye", 0, 0)]
    assert found.sizes == Sizes(5, (20, 20, 20), (14, 14, 14))
    assert [p.split for p in found.problems] == ["train", "train", "test", "test"]
    assert left_out(found.problems) == {
        "train": 2,
        "test": 2,
        "unknown": 0,
        "problems": [{"where": p.where, "what": p.what} for p in found.problems],
    }


def test_creatures_are_surveyed_too() -> None:
    settings = DataSettings(train_images=10, test_images=5)
    surveys = [ended(survey_photos(settings, 32, split))[1] for split in ("train", "test")]
    found = overview(*surveys)
    assert [row.train for row in found.categories] == [2, 2, 2, 2, 2]
    assert found.sizes is None and found.problems == ()
    shown = torch.stack([surveys[0].photos[i].present for i in range(10)])
    assert torch.equal(surveys[0].present, shown)


def test_sizes_are_those_of_the_upright_images(tmp_path: Path) -> None:
    settings = trees.write_flat(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 10)).save(tmp_path / "00.JPG", exif=exif)
    assert open_rgb(tmp_path / "00.JPG").size == (10, 30)
    surveys = [ended(survey_photos(settings, 16, split))[1] for split in ("train", "test")]
    assert overview(*surveys).sizes == Sizes(12, (10, 20, 20), (14, 14, 30))


def test_a_turned_annotation_is_told_what_it_refers_to(tmp_path: Path) -> None:
    settings = trees.write_coco(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 14)).save(tmp_path / "images" / "01.png", exif=exif)
    with pytest.raises(DataError) as caught:
        load_photos(settings, 16, "train")[0]
    assert caught.value.got == "an image of 14 x 20 px, annotated as 20 x 14 px"
    assert caught.value.todo == "annotate the upright image, or store it upright (its EXIF orientation may turn it)"


def test_the_contact_sheet_draws_each_landmark_in_its_colour_at_its_place(tmp_path: Path) -> None:
    """One black image a split, one landmark at the centre of pixel (5, 10) of 20 x 14."""
    header = "file,category,split,tail_x,tail_y,nose_x,nose_y\n"
    for name in ("a", "b"):
        Image.new("RGB", (20, 14)).save(tmp_path / f"{name}.png")
    (tmp_path / "annotations.csv").write_text(header + "a.png,cat,train,10,5,2,12\nb.png,cat,test,,,,\n")
    settings = DataSettings(kind="csv", root=str(tmp_path))
    surveys = [ended(survey_photos(settings, 92, split))[1] for split in ("train", "test")]
    sheet = np.asarray(contact_sheet(*surveys, "cats"))
    top, left = tile_corner(sheet)
    for colour, row, column in ((COLOURS[0], 5, 10), (COLOURS[1], 12, 2)):
        y, x = top + (row + 0.5) / 14 * 184, left + (column + 0.5) / 20 * 184
        wanted = tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))
        assert tuple(sheet[round(y), round(x)]) == wanted
    assert (np.asarray(contact_sheet(*surveys, "cats")) == sheet).all()


def tile_corner(sheet: np.ndarray) -> tuple[int, int]:
    """Where the first image begins: the first column with a long run of black."""
    dark = (sheet == 0).all(-1)
    left = int(np.flatnonzero(dark.sum(0) > 120)[0])
    return int(np.flatnonzero(dark[:, left])[0]), left


def test_a_sheet_of_many_categories_shows_the_first_twelve(tmp_path: Path) -> None:
    def sheet_of(count: int) -> Image.Image:
        settings = trees.write_classes(tmp_path / str(count), tuple(f"kind {k:02d}" for k in range(count)), count=3)
        return contact_sheet(*(ended(survey_photos(settings, 16, split))[1] for split in ("train", "test")), "many")

    twelve, thirteen, twenty = (sheet_of(count) for count in (12, 13, 20))
    assert twelve.size[0] == thirteen.size[0]
    assert twelve.size[1] < thirteen.size[1] == twenty.size[1] < twelve.size[1] + 40


def test_faults_keep_their_order_and_forget_what_nobody_asked_for() -> None:
    faults = Faults()
    faults.add("a.txt, line 1", "x", "mend it", 7)
    faults.add("a.txt, line 2", "y", "mend it", 8)
    faults.add("a.txt, line 3", "z", "mend it")
    faults.add("a.txt, line 1", "x", "mend it", 7)
    assert faults.images == {7, 8}
    assert [(p.where, p.split) for p in faults.problems({7: "test"}, unwanted=[8])] == [
        ("a.txt, line 1", "test"),
        ("a.txt, line 3", None),
    ]


def test_only_the_first_twenty_are_kept_and_all_are_counted() -> None:
    found = left_out([Problem(f"line {k}", "x", "y", "test" if k % 3 else None) for k in range(30)])
    assert (found["train"], found["test"], found["unknown"], len(found["problems"])) == (0, 20, 10, 20)


def test_values_in_messages_are_short_and_printable() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    for value in ("x" * 999, "\ud800\n", list(range(999)), deep, {"a": "b" * 999}, 10**4000):
        said = brief(value)
        said.encode()
        assert len(said) <= 200 and said.isprintable()


def counted(settings: DataSettings) -> tuple[int, int, int, int]:
    """Gone from training, test and unknown images, and how many faults that took."""
    skipping = replace(settings, on_problem="skip")
    photos = [load_photos(skipping, 16, split) for split in ("train", "test")]
    found = left_out([p for part in photos for p in part.left_out])
    return found["train"], found["test"], found["unknown"], len(found["problems"])


def test_a_row_with_five_faults_is_one_row(tmp_path: Path) -> None:
    bad = "/x.png,,val,a,3,b,9,c,4,d,5\n"
    settings = trees.write_csv(tmp_path, trees.CSV_TABLE + bad)
    image = tmp_path / "photos" / "0.png"
    image.write_bytes(image.read_bytes()[:200])
    assert counted(settings) == (1, 0, 1, 7)
    skipping = replace(settings, on_problem="skip")
    assert told_left_out(left_out(load_photos(skipping, 16, "train").left_out)) == (
        "Damaged rows or files were left out: 1 of the training, 0 of the test, 1 of unknown split. "
        "The first fault is annotations.csv, line 7: the absolute file name '/x.png'."
    )


def test_a_repeated_row_whose_image_stays_counts_nothing(tmp_path: Path) -> None:
    again = trees.CSV_TABLE.splitlines()[1] + "\n"
    settings = trees.write_csv(tmp_path / "csv", trees.CSV_TABLE + again)
    assert counted(settings) == (0, 0, 0, 1)
    assert told_left_out(left_out(load_photos(replace(settings, on_problem="skip"), 16, "train").left_out)) == ""
    table = trees.coco_table()
    table["annotations"].append(table["annotations"][0])
    splits = {"train": [1, 2, 3, 4, 5, 5, 99], "test": [6, 7, 8]}
    assert counted(trees.write_coco(tmp_path / "coco", table, splits=splits)) == (0, 0, 0, 3)
    boxes, names = (trees.CUB_TABLES[name] for name in ("bounding_boxes.txt", "images.txt"))
    doubled = {"bounding_boxes": boxes + boxes.splitlines()[0] + "\n", "images": names + names.splitlines()[0] + "\n"}
    assert counted(trees.write_cub(tmp_path / "cub", **doubled)) == (0, 0, 0, 2)


def test_an_image_that_three_tables_lack_is_one_image(tmp_path: Path) -> None:
    changed = {
        "bounding_boxes": "1 2.5 1.0 12.0 10.0\nfour\n4 1.0 1.0 9.0 9.0\n7 3.0 3.0 8.0 8.0\n",
        "image_class_labels": "1 1\n2 9\n4 2\n7 2\n",
        "parts": "1 beak\n2 left eye\n3 right eye\n",
    }
    assert counted(trees.write_cub(tmp_path, **changed)) == (0, 1, 1, 3)


def test_an_image_in_both_splits_is_gone_and_one_named_twice_in_one_is_not(tmp_path: Path) -> None:
    settings = trees.write_coco(tmp_path, splits={"train": [1, 2, 3, 4, 5], "test": [6, 7, 8, 5]})
    train, test, unknown, _ = counted(settings)
    assert train + test + unknown == 2  # the image's entry, and its object


def test_the_split_of_a_row_is_the_one_that_any_of_its_faults_knows() -> None:
    one = Problem("a.csv, line 2", "x", "mend it")
    found = gone([one, one._replace(what="y", split="test"), one._replace(where="a.csv, line 3", takes=NOTHING)])
    assert found == {"a.csv, line 2": "test"}


def test_ids_of_species_are_no_ids_of_images(tmp_path: Path) -> None:
    """Species 2 twice: its images are gone, and none of that is said of image 2, which is a wren."""
    settings = trees.write_cub(tmp_path, classes="1 001.Wren\n2 002.Crow\n2 003.Jay\n")
    problems = load_photos(replace(settings, on_problem="skip"), 16, "test").left_out
    assert (problems[0].where, problems[0].split) == ("classes.txt, line 3", None)
