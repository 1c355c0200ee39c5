"""Every mistake in data or settings is told in three lines that name the file, the line and the way out."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data import trees
from partscope.data import load_photos
from partscope.data.choices import held_out
from partscope.errors import DataError, PartscopeError, SettingsError
from partscope.settings import DataSettings


def failure(settings: DataSettings, split: str = "train", kind: type[PartscopeError] = DataError) -> PartscopeError:
    with pytest.raises(kind) as caught:
        load_photos(settings, 16, split)  # type: ignore[arg-type]
    assert str(caught.value).count("\n  ") == 2
    return caught.value


# choices


def test_categories_keep_the_order_of_the_settings(tmp_path: Path) -> None:
    settings = trees.write_classes(tmp_path, ("dog", "ant", "cat"))
    assert load_photos(settings, 16, "train").categories == ("ant", "cat", "dog")
    some = load_photos(replace(settings, categories=("dog", "ant")), 16, "train")
    assert some.categories == ("dog", "ant")
    assert {name.split("/")[0]: some.category_of(i) for i, name in enumerate(some.names())} == {
        "dog": 0,
        "ant": 1,
    }


def test_unknown_category(tmp_path: Path) -> None:
    error = failure(replace(trees.write_classes(tmp_path), categories=("dgo",)))
    assert str(error) == (
        "while choosing by the setting data.categories\n"
        "  got: no category 'dgo' in the data\n"
        "  do:  the nearest is 'dog'; there are: cat, dog"
    )
    assert failure(replace(trees.write_classes(tmp_path), categories=("dog", "dog"))).got == "category 'dog' twice"


def test_landmarks_are_chosen_by_name(tmp_path: Path) -> None:
    settings = trees.write_coco(tmp_path)
    every = load_photos(settings, 16, "train")
    assert every.landmark_names == ("left eye", "right eye", "tail", "nose")
    some = load_photos(replace(settings, landmarks=("nose", "left eye")), 16, "train")
    assert some.landmark_names == ("nose", "left eye")
    for i in range(len(some)):
        assert some[i].landmarks.tolist() == every[i].landmarks[[3, 0]].tolist()
        assert some[i].present.tolist() == every[i].present[[3, 0]].tolist()
    error = failure(replace(settings, landmarks=("tial",)))
    assert error.got == "no landmark 'tial' in the data"
    assert error.todo == "the nearest is 'tail'; there are: left eye, right eye, tail, nose"
    error = failure(replace(trees.write_flat(tmp_path / "flat"), landmarks=("tail",)))
    assert error.todo == "the data have no landmark"


def test_the_split_by_name_is_stable_and_near_its_share() -> None:
    want = [True, False, False, True, False, False, False, False]
    assert [held_out(f"cat/{k}.jpg", 0.3) for k in range(8)] == want
    assert sum(held_out(f"{k}", 0.2) for k in range(2000)) == pytest.approx(400, abs=80)


@pytest.mark.parametrize(
    ("changed", "got"),
    [
        ({"test_share": 1.5}, "data.test_share 1.5"),
        ({"train_images": 0}, "0 training and 500 test images, seed 0"),
        ({"seed": -1}, "2000 training and 500 test images, seed -1"),
        ({"kind": "coco"}, "no data.root for data.kind 'coco'"),
        ({"single_category": "animal"}, "data.single_category 'animal' with drawn creatures"),
    ],
)
def test_settings_out_of_range(changed: dict[str, Any], got: str) -> None:
    error = failure(replace(DataSettings(), **changed), kind=SettingsError)
    assert (error.doing, error.got) == ("checking the settings of the data", got)


def test_unknown_kind() -> None:
    settings = DataSettings()
    object.__setattr__(settings, "kind", "flickr")
    error = failure(settings, kind=SettingsError)
    assert error.got == "data.kind 'flickr'"
    assert error.todo.startswith("use one of: creatures, folder, coco, csv, cub200, ")


def test_size_out_of_range() -> None:
    with pytest.raises(SettingsError, match="images of 0 px\n  do:  give an input_size of at least 1 px"):
        load_photos(DataSettings(), 0, "train")


# folders


def test_a_folder_without_images_names_the_nearest_that_has_some(tmp_path: Path) -> None:
    trees.write_classes(tmp_path / "birds" / "crops")
    (tmp_path / "bords").mkdir()
    (tmp_path / "bords" / "notes.txt").write_text("none")
    error = failure(DataSettings(kind="folder", root=str(tmp_path), folder="bords"))
    assert error.doing == f"listing the images of '{tmp_path}/bords'"
    assert error.got == (f"no image in '{tmp_path}/bords' (looked for .jpg .jpeg .png .bmp .webp .tif .tiff .gif .ppm)")
    assert error.todo == f"set it to the nearest folder with images: '{tmp_path}/birds/crops/cat'"
    error = failure(DataSettings(kind="folder", root=str(tmp_path), folder="brids"))
    assert error.got.startswith(f"no folder '{tmp_path}/brids' (images looked for there: .jpg")
    assert "birds/crops/cat" in error.todo


def test_negatives_without_images(tmp_path: Path) -> None:
    trees.write_classes(tmp_path / "pets")
    settings = DataSettings(kind="folder", root=str(tmp_path), folder="pets", negatives="none")
    error = failure(settings)
    assert error.doing == f"listing the negatives of '{tmp_path}/none'"
    assert "/pets/cat" in error.todo


def test_a_train_folder_without_a_test_folder(tmp_path: Path) -> None:
    trees.write_classes(tmp_path / "train")
    error = failure(DataSettings(kind="folder", root=str(tmp_path)))
    assert error.got == "a folder 'train' without a folder 'test'"
    assert "call the other split's folder 'test', or set data.folder to 'train'" in error.todo
    (tmp_path / "test").mkdir()
    error = failure(DataSettings(kind="folder", root=str(tmp_path)))
    assert error.doing == f"listing the test images of '{tmp_path}'"


def test_an_empty_split(tmp_path: Path) -> None:
    settings = replace(trees.write_classes(tmp_path), test_share=0.0)
    error = failure(settings, "test")
    assert error.doing == f"listing the test images of '{tmp_path}'"
    assert error.got == "none of cat, dog in this split"


def test_flat_images_are_one_category(tmp_path: Path) -> None:
    photos = load_photos(trees.write_flat(tmp_path), 16, "train")
    assert photos.categories == ("image",)
    assert photos.landmark_names == ()


# COCO


def test_coco_boxes_and_keypoints(tmp_path: Path) -> None:
    photos = load_photos(trees.write_coco(tmp_path), 32, "train")
    assert photos.names() == ["01.png", "02.png", "03.png", "04.png", "05.png"]
    assert photos.categories == ("cat", "dog")
    first = photos[0]
    assert first.category == 1
    assert first.present.tolist() == [True, True, False, False]
    # box columns 2 to 18, rows 3 to 12.5, which touches rows 3 to 12: ten of them
    assert first.landmarks[0].tolist() == pytest.approx([(4 - 3 + 0.5) * 3.2 - 0.5, (6 - 2 + 0.5) * 2 - 0.5])


def test_coco_without_splits_holds_out_whole_images(tmp_path: Path) -> None:
    table = trees.coco_table()
    table["annotations"].append({**table["annotations"][0], "id": 99})
    table["annotations"].append({**table["annotations"][0], "id": 98, "iscrowd": 1})
    settings = trees.write_coco(tmp_path, table)
    (tmp_path / "splits.json").unlink()
    names = {split: load_photos(replace(settings, test_share=0.5), 16, split).names() for split in ("train", "test")}
    assert len(names["train"]) + len(names["test"]) == 9
    together = [group for group in names.values() if "01.png#10" in group]
    assert len(together) == 1 and "01.png#99" in together[0]


def coco(change: Callable[[dict[str, Any]], object], tmp_path: Path) -> PartscopeError:
    table = trees.coco_table()
    change(table)
    return failure(trees.write_coco(tmp_path, table))


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (
            lambda t: t["annotations"][0].update(image_id=77),
            "annotations.json, annotation 10: no image with id 77",
        ),
        (lambda t: t["annotations"][0].update(category_id=5), "annotation 10: no category with id 5"),
        (lambda t: t["annotations"][1].update(id=10), "id 10 twice"),
        (lambda t: t["images"][1].update(id=1), "id 1 twice"),
        (lambda t: t["images"][2].pop("file_name"), "annotations.json, images entry 2: no 'file_name'"),
        (lambda t: t.pop("images"), "no list of 'images'; keys: annotations, categories"),
        (
            lambda t: t["annotations"][0].update(keypoints=[1, 2, 2]),
            "annotation 10: 3 numbers for 3 keypoints",
        ),
        (lambda t: t["annotations"][0].update(bbox=[1, 2, 3]), "annotation 10: bbox [1, 2, 3]"),
        (
            lambda t: t["annotations"][0].update(bbox=[1, 2, 0, 4]),
            "a box (1.0, 2.0, 0.0, 4.0) that has no area",
        ),
        (
            lambda t: t["annotations"][0]["keypoints"].__setitem__(0, 22),
            "annotation 10: landmark 1 (left eye) at row 4, column 22, outside",
        ),
    ],
)
def test_coco_mistakes(change: Callable[[dict[str, Any]], object], got: str, tmp_path: Path) -> None:
    error = coco(change, tmp_path)
    assert got in error.got
    assert "annotations.json" in error.doing + error.got
    assert error.doing.startswith(("listing the train images of", "reading 'images' of"))


@pytest.mark.parametrize(
    ("splits", "got"),
    [
        ({"train": [1, 2], "test": [3, 4, 5, 6, 7]}, "splits.json: image id 8 in neither train nor test"),
        ({"train": [1, 2], "test": [2, 3, 4, 5, 6, 7, 8]}, "splits.json, test: image id 2 twice"),
        ({"train": [1, 20], "test": [2]}, "splits.json, train: no image with id 20 in annotations.json"),
        ({"train": [1], "val": [2]}, "no list 'test'; keys: train, val"),
        ([1, 2], "a list"),
    ],
)
def test_coco_splits(splits: Any, got: str, tmp_path: Path) -> None:
    error = failure(trees.write_coco(tmp_path, splits=splits))
    assert error.got.startswith(got)
    assert "splits.json" in error.doing + error.got


def test_coco_files(tmp_path: Path) -> None:
    settings = trees.write_coco(tmp_path / "pets" / "coco")
    (tmp_path / "pets" / "coco" / "images" / "02.png").unlink()
    error = failure(settings)
    assert error.got == f"annotations.json, annotation 20: no file '{tmp_path}/pets/coco/images/02.png'"
    assert error.todo.startswith("restore it (nearest name there: '0")
    error = failure(replace(settings, root=str(tmp_path), folder="pets"))
    assert error.got == "FileNotFoundError: No such file or directory"
    assert error.todo == f"there is one in '{tmp_path}/pets/coco': set data.root and data.folder to it"
    (tmp_path / "pets" / "coco" / "annotations.json").write_text('{"images": [,]}')
    assert failure(settings).got == "no JSON in line 1, column 13: Expecting value"
    (tmp_path / "pets" / "coco" / "annotations.json").write_bytes(b"\xff\xfe")
    assert failure(settings).todo == "save the file as UTF-8 text"


def test_coco_image_of_another_size(tmp_path: Path) -> None:
    photos = load_photos(trees.write_coco(tmp_path), 16, "train")
    trees.write_image(tmp_path / "images" / "03.png", 21, 14)
    with pytest.raises(DataError, match="an image of 21 x 14 px, annotated as 20 x 14 px"):
        photos[2]


# CUB


def test_cub_rows(tmp_path: Path) -> None:
    settings = trees.write_cub(tmp_path)
    train, test = (load_photos(settings, 24, split) for split in ("train", "test"))
    assert train.names() == ["001.Wren/a.png", "002.Crow/c.png"]
    assert test.names() == ["001.Wren/b.png", "002.Crow/d.png"]
    assert train.landmark_names == ("beak", "left eye", "right eye")
    assert [train.category_of(i) for i in range(2)] == [0, 1]
    sample = train[0]
    assert sample.present.tolist() == [True, True, False]
    # box columns 2.5 to 14.5, which touches columns 2 to 14: thirteen; rows 1 to 10: ten
    want = [(6 - 1 + 0.5) * 2.4 - 0.5, (5 - 2 + 0.5) * 24 / 13 - 0.5]
    assert sample.landmarks[0].tolist() == pytest.approx(want, abs=1e-4)
    merged = load_photos(replace(settings, single_category="bird"), 24, "train")
    assert merged.categories == ("bird",) and [merged.category_of(i) for i in range(2)] == [0, 0]
    crow = load_photos(replace(settings, categories=("002.Crow",), single_category="bird"), 24, "train")
    assert crow.names() == ["002.Crow/c.png"]


TABLES = {Path(name).stem: text for name, text in trees.CUB_TABLES.items()}


@pytest.mark.parametrize(
    ("table", "old", "new", "got"),
    [
        ("images", "4 002", "2 002", "images.txt, line 3: id 2 a second time (also in line 2)"),
        ("images", "4 002.Crow/c.png", "four", "images.txt, line 3: 'four'"),
        ("bounding_boxes", "4 1.0 1.0 9.0 9.0\n", "", "bounding_boxes.txt: no line for image 4 of images.txt"),
        ("bounding_boxes", "4 1.0 1.0", "4 1.0", "bounding_boxes.txt, line 3: '4 1.0 9.0 9.0'"),
        ("bounding_boxes", "4 1.0", "4 one", "bounding_boxes.txt, line 3: '4 one 1.0 9.0 9.0'"),
        ("bounding_boxes", "4 1.0", "4 nan", "bounding_boxes.txt, line 3: '4 nan 1.0 9.0 9.0'"),
        ("bounding_boxes", "4 1.0", "4.5 1.0", "bounding_boxes.txt, line 3: '4.5 1.0 1.0 9.0 9.0'"),
        ("bounding_boxes", "4 1.0 1.0 9.0", "4 1.0 1.0 0.0", "line 3: image 4: a box (1.0, 1.0, 0.0, 9.0) that has no"),
        (
            "image_class_labels",
            "4 2",
            "2 2",
            "image_class_labels.txt, line 3: image 2 a second time (also in line 2)",
        ),
        ("image_class_labels", "4 2", "4 9", "labels.txt, line 3: image 4 is of class 9, which classes.txt lacks"),
        ("train_test_split", "7 0\n", "", "train_test_split.txt: no line for image 7 of images.txt"),
        ("train_test_split", "7 0\n", "7 3\n", "train_test_split.txt, line 4: 3 instead of 0 or 1"),
        ("part_locs", "4 2 7.50 5.00 1\n", "", "parts/part_locs.txt: no line for image 4, part 2"),
        ("part_locs", "4 2 7.50", "4 1 7.50", "parts/part_locs.txt, line 8: an image and part (image 4) a second time"),
        ("part_locs", "4 2 7.50", "4 5 7.50", "parts/part_locs.txt, line 8: part 5, which parts.txt lacks"),
        ("part_locs", "4 2 7.50 5.00 1", "4 2 7.50 5.00 2", "part_locs.txt, line 8: visible is 2 instead of 0 or 1"),
        ("part_locs", "4 2 7.50", "4 2 -9.5", "part_locs.txt: image 4: landmark 2 (left eye) at row 5, column -9.5"),
    ],
)
def test_cub_tables(table: str, old: str, new: str, got: str, tmp_path: Path) -> None:
    assert old in TABLES[table]
    error = failure(trees.write_cub(tmp_path, **{table: TABLES[table].replace(old, new)}))
    assert error.doing == f"listing the train images of '{tmp_path}'"
    assert got in error.got


@pytest.mark.parametrize("table", sorted(TABLES))
def test_cub_tables_that_are_empty(table: str, tmp_path: Path) -> None:
    error = failure(trees.write_cub(tmp_path, **{table: ""}))
    assert f"{table}.txt" in error.doing
    assert error.got == "an empty file"


def test_cub_files(tmp_path: Path) -> None:
    settings = trees.write_cub(tmp_path)
    (tmp_path / "images" / "002.Crow" / "c.png").unlink()
    error = failure(settings)
    assert error.got == f"images.txt, image 4: no file '{tmp_path}/images/002.Crow/c.png'"
    assert error.todo.startswith("restore it (nearest name there: 'd.png')")
    (tmp_path / "classes.txt").unlink()
    assert failure(settings).doing == f"reading '{tmp_path}/classes.txt'"


def test_cub_annotations_that_do_not_fit(tmp_path: Path) -> None:
    parts = TABLES["part_locs"].replace("4 1 5.00 6.00", "4 1 5.00 26.00")
    photos = load_photos(trees.write_cub(tmp_path, part_locs=parts), 16, "train")
    want = "'002.Crow/c.png' (image 4 of bounding_boxes.txt and parts/part_locs.txt) to its image"
    want += "\n  got: landmark 1 at row 26"
    with pytest.raises(DataError, match=re.escape(want)):
        photos[1]
    boxes = TABLES["bounding_boxes"].replace("4 1.0 1.0 9.0", "4 30.0 1.0 9.0")
    with pytest.raises(DataError, match="that has no area on the 20 x 14 px image"):
        load_photos(trees.write_cub(tmp_path, bounding_boxes=boxes), 16, "train")[1]


def test_tables_are_written_as_promised(tmp_path: Path) -> None:
    trees.write_coco(tmp_path)
    assert len(json.loads((tmp_path / "annotations.json").read_text())["images"]) == 8


def test_linked_class_folders_are_followed_and_those_that_lead_back_are_not(tmp_path: Path) -> None:
    trees.write_classes(tmp_path / "store", ("cat", "dog"), count=4)
    (tmp_path / "pets").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).symlink_to(tmp_path / "store" / name, target_is_directory=True)
    (tmp_path / "store" / "cat" / "back").symlink_to(tmp_path / "pets", target_is_directory=True)
    (tmp_path / "store" / "dog" / "again").symlink_to(".", target_is_directory=True)
    (tmp_path / "store" / "dog" / "gone").symlink_to("nowhere", target_is_directory=True)
    settings = DataSettings(kind="folder", root=str(tmp_path / "pets"), test_share=0.0)
    photos = load_photos(settings, 8, "train")
    assert photos.categories == ("cat", "dog")
    assert photos.names() == [f"{name}/{k:02d}.png" for name in ("cat", "dog") for k in range(4)]
