"""Hugging Face `datasets`: where they lie, which columns they have, and every fault in a sentence."""

import hashlib
import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from data import paper_trees, trees
from partscope.data import load_photos
from partscope.data.huggingface import read_huggingface
from partscope.errors import DataError
from partscope.settings import DataSettings


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept outside the test's folder, and nothing is asked of a network."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def saved(root: Path, columns: dict[str, Any], features: dict[str, Any] | None = None) -> DataSettings:
    found = {"image": paper_trees.hub_columns(len(next(iter(columns.values()))))["image"], **columns}
    kinds = datasets.Features({"image": datasets.Image(), **features}) if features else None
    made = datasets.Dataset.from_dict(found, features=kinds)
    if kinds is None:
        made = made.cast_column("image", datasets.Image())
    made.save_to_disk(str(root))
    return DataSettings(kind="huggingface", root=str(root), test_share=0.0)


def test_bytes_are_those_that_are_stored(tmp_path: Path) -> None:
    settings = replace(paper_trees.write_hub(tmp_path), test_share=0.0)
    photos = load_photos(settings, 14, "train")
    stored = paper_trees.hub_columns(12)["image"][3]["bytes"]
    assert photos.file_digest(3) == hashlib.sha256(stored).hexdigest()
    pixels = np.asarray(Image.open(io.BytesIO(stored)))
    assert photos.categories == ("cat", "dog") and photos.category_of(3) == 1
    assert photos.names()[3] == "all/000003"
    assert abs(float(photos[3].image.mean()) - pixels.mean() / 255) < 0.01


def test_objects_boxes_and_points(tmp_path: Path) -> None:
    photos = load_photos(paper_trees.write_hub_objects(tmp_path), 20, "train")
    assert photos.names()[:2] == ["train/000000#0", "train/000000#1"] and len(photos) == 8
    assert photos.landmark_names == ("left eye", "right eye")
    assert photos[0].present.tolist() == [True, True] and photos[2].present.tolist() == [True, False]
    assert photos[1].present.tolist() == [False, True] and photos.category_of(1) == 1
    # box columns 2 to 11, rows 1 to 9
    assert photos[0].landmarks[0].tolist() == pytest.approx([(4 - 1 + 0.5) * 20 / 9 - 0.5, (5 - 2 + 0.5) * 2 - 0.5])


def test_parquet_files_and_their_splits(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    for name, count, shift in (("train-00000-of-00001", 5, 0), ("validation-00000-of-00001", 3, 40)):
        made = datasets.Dataset.from_dict(paper_trees.hub_columns(count, shift), features=features)
        (tmp_path / "data").mkdir(exist_ok=True)
        made.to_parquet(str(tmp_path / "data" / f"{name}.parquet"))
    settings = DataSettings(kind="huggingface", root=str(tmp_path))
    train, test = load_photos(settings, 8, "train"), load_photos(settings, 8, "test")
    assert (len(train), len(test)) == (5, 3)
    assert test.names()[0] == "validation/000000"


def test_class_folders(tmp_path: Path) -> None:
    trees.write_split_classes(tmp_path)
    settings = DataSettings(kind="huggingface", root=str(tmp_path))
    train, test = load_photos(settings, 8, "train"), load_photos(settings, 8, "test")
    assert (len(train), len(test)) == (6, 4) and train.categories == ("cat", "dog")
    first = next((tmp_path / "train" / "cat").iterdir()).parent / "00.png"
    assert train.file_digest(0) == hashlib.sha256(first.read_bytes()).hexdigest()


def test_labels_that_are_text_or_numbers(tmp_path: Path) -> None:
    text = load_photos(saved(tmp_path / "text", {"label": ["ox", "ant", "ox"]}), 8, "train")
    assert text.categories == ("ant", "ox") and [text.category_of(i) for i in range(3)] == [1, 0, 1]
    settings = replace(saved(tmp_path / "numbers", {"kind": [7, 3]}), label_column="kind")
    assert load_photos(settings, 8, "train").categories == ("3", "7")


def test_points_in_a_list_are_numbered(tmp_path: Path) -> None:
    columns = {"label": ["a", "a"], "points": [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]]}
    settings = replace(saved(tmp_path, columns), keypoints_column="points")
    photos = load_photos(settings, 14, "train")
    assert photos.landmark_names == ("landmark 1", "landmark 2")
    assert photos[0].present.tolist() == [True, True] and photos[1].present.tolist() == [True, False]
    assert photos[0].landmarks[1].tolist() == pytest.approx([4.0, 3.5 * 14 / 20 - 0.5])


def test_objects_as_lists_side_by_side(tmp_path: Path) -> None:
    columns = {"objects": [{"bbox": [[1, 1, 5, 5], [3, 3, 9, 9]], "label": ["a", "b"]}, {"bbox": [], "label": []}]}
    settings = replace(saved(tmp_path, columns), objects_column="objects")
    photos = load_photos(settings, 8, "train")
    assert photos.names() == ["all/000000#0", "all/000000#1"] and photos.categories == ("a", "b")


def problems(settings: DataSettings) -> list[str]:
    listing = read_huggingface(Path(str(settings.root)), settings, "train")
    with pytest.raises(DataError, match=r"--data\.on_problem skip"):
        load_photos(settings, 8, "train")
    return [f"{p.where}: {p.what}" for p in listing.problems]


def test_faulty_rows(tmp_path: Path) -> None:
    names = {"label": datasets.ClassLabel(names=["a", "b"])}
    settings = saved(tmp_path / "labels", {"label": [0, -1, None, 1]}, names)
    assert problems(settings) == [
        "all, row 1: label -1, which is none of the 2 classes",
        "all, row 2: label None, which is none of the 2 classes",
    ]
    assert len(load_photos(replace(settings, on_problem="skip"), 8, "train")) == 2
    assert problems(saved(tmp_path / "text", {"label": ["ox", None]})) == ["all, row 1: no label"]
    boxes = [[[1, 1, 5, 5]], [[1, 1, 0, 5]], [[1, 1, 5]], [[float("nan"), 1, 5, 5]]]
    columns = {"objects": [{"bbox": b, "label": ["a"]} for b in boxes]}
    found = problems(replace(saved(tmp_path / "boxes", columns), objects_column="objects"))
    assert [f.split(":")[0] for f in found] == [f"all, row {k}, object 0" for k in (1, 2, 3)]
    assert "bbox [1.0, 1.0, 0.0, 5.0]: give [left, top, width, height]" in found[0]
    uneven = {"objects": [{"bbox": [[1, 1, 5, 5]], "label": ["a"]}, {"bbox": [[1, 1, 5, 5]], "label": ["a", "b"]}]}
    found = problems(replace(saved(tmp_path / "uneven", uneven), objects_column="objects"))
    assert found == ["all, row 1: 1 boxes beside 2 label"]
    points = {"label": ["a", "a"], "points": [[[1.0, 2.0]], [[float("inf"), 2.0]]]}
    found = problems(replace(saved(tmp_path / "points", points), keypoints_column="points"))
    assert found == ["all, row 1: 'landmark 1' at [inf, 2.0]"]


def test_a_row_without_an_image_or_with_a_damaged_one(tmp_path: Path) -> None:
    images = paper_trees.hub_columns(3)["image"]
    images[1]["bytes"] = images[1]["bytes"][:60]
    images[2] = None  # type: ignore[assignment]
    settings = saved(tmp_path, {"image": images, "label": ["a", "a", "a"]})
    photos = load_photos(settings, 8, "train")
    assert photos[0].image.shape == (3, 8, 8)
    with pytest.raises(DataError, match="all/000001"):
        photos[1]
    for ask in (photos.__getitem__, photos.file_digest):
        with pytest.raises(DataError, match="reading the image of all, row 2\n  got: a row without an image"):
            ask(2)


@pytest.mark.parametrize(
    ("changed", "got", "todo"),
    [
        ({"image_column": "img"}, "no column 'img'", "set data.image_column to one of: image, label"),
        ({"label_column": "class"}, "no column 'class'", "set data.label_column to one of: image, label"),
        ({"objects_column": "things"}, "no column 'things'", "set data.objects_column to one of: image, label"),
        ({"keypoints_column": "pose"}, "no column 'pose'", "set data.keypoints_column to one of: image, label"),
        ({"objects_column": "label"}, "no 'bbox' in the column 'label'", "it has: no fields"),
    ],
)
def test_columns_that_are_not_there(changed: dict[str, str], got: str, todo: str, tmp_path: Path) -> None:
    settings = replace(paper_trees.write_hub(tmp_path), **changed)  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        load_photos(settings, 8, "train")
    assert caught.value.got == got and todo in caught.value.todo


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        settings = DataSettings(kind="huggingface", root=str(root))
        with pytest.raises(DataError) as caught:
            load_photos(settings, 8, "train")
        assert caught.value.doing == f"loading the data set '{root}'"
        assert caught.value.todo.startswith("give a folder of save_to_disk, of Parquet files or of class folders")


def test_splits_that_do_not_say_which_is_which(tmp_path: Path) -> None:
    one = datasets.Dataset.from_dict({"label": [1]})
    datasets.DatasetDict({"a": one, "b": one}).save_to_disk(str(tmp_path))
    with pytest.raises(DataError, match="got: the splits a, b\n  do:  give it a split 'train' and a split 'test'"):
        load_photos(DataSettings(kind="huggingface", root=str(tmp_path)), 8, "train")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = paper_trees.write_hub(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError) as caught:
        load_photos(settings, 8, "train")
    assert str(caught.value) == (
        f"while loading the data set '{tmp_path}'\n"
        "  got: the package `datasets` is not installed\n"
        "  do:  pip install 'partscope[hub]'"
    )


def split_labels(root: Path, train: Any, test: Any) -> DataSettings:
    """Four images a split, labelled 0, 1, 0, 1, whose classes are named in an order of each split's own."""
    made = {}
    for name, kind in (("train", train), ("test", test)):
        columns = {"image": paper_trees.hub_columns(4)["image"], "label": [0, 1, 0, 1]}
        made[name] = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
        made[name] = made[name].cast_column("label", kind)
    datasets.DatasetDict(made).save_to_disk(str(root))
    return DataSettings(kind="huggingface", root=str(root))


def test_each_split_numbers_its_classes_in_an_order_of_its_own(tmp_path: Path) -> None:
    settings = split_labels(tmp_path, datasets.ClassLabel(names=["a", "b"]), datasets.ClassLabel(names=["b", "a"]))
    train, test = (load_photos(settings, 8, side) for side in ("train", "test"))
    assert train.categories == test.categories == ("a", "b")
    assert [train.category_of(i) for i in range(4)] == [0, 1, 0, 1]
    assert [test.category_of(i) for i in range(4)] == [1, 0, 1, 0]


def test_a_class_of_one_split_alone_is_a_category_of_both(tmp_path: Path) -> None:
    settings = split_labels(tmp_path, datasets.ClassLabel(names=["a", "b"]), datasets.ClassLabel(names=["c", "a"]))
    assert load_photos(settings, 8, "train").categories == ("a", "b", "c")
    assert [load_photos(settings, 8, "test").category_of(i) for i in range(2)] == [2, 0]


def test_classes_in_one_split_and_text_in_the_other_meet_by_name(tmp_path: Path) -> None:
    settings = split_labels(tmp_path, datasets.ClassLabel(names=["1", "0"]), datasets.Value("string"))
    assert load_photos(settings, 8, "train").categories == ("1", "0")
    assert [load_photos(settings, 8, "test").category_of(i) for i in range(2)] == [1, 0]


def test_empty_entries_among_the_objects(tmp_path: Path) -> None:
    whole = {"bbox": [1.0, 1.0, 5.0, 5.0], "label": "a", "points": [[2.0, 3.0]]}
    settings = saved(tmp_path, {"objects": [[whole], [None, whole], None]})
    settings = replace(settings, objects_column="objects", keypoints_column="points")
    assert problems(settings) == ["all, row 1, object 0: an empty entry", "all, row 2: no 'objects'"]
    kept = load_photos(replace(settings, on_problem="skip"), 8, "train")
    assert kept.names() == ["all/000000#0", "all/000001#1"]


def test_a_label_that_is_not_a_number_is_no_label(tmp_path: Path) -> None:
    settings = saved(tmp_path, {"label": [float("nan"), 1.0, 2.0]})
    assert problems(settings) == ["all, row 0: no label"]
    assert load_photos(replace(settings, on_problem="skip"), 8, "train").categories == ("1.0", "2.0")


def test_flat_keypoints_are_told_once(tmp_path: Path) -> None:
    columns = {"label": ["a", "a"], "points": [[], [6.0, 4.0, 2.0, 12.0, 5.0, 0.0]]}
    settings = replace(saved(tmp_path, columns), keypoints_column="points")
    with pytest.raises(DataError) as caught:
        load_photos(settings, 8, "train")
    assert caught.value.got == "the flat list [6.0, 4.0, 2.0, 12.0, 5.0, 0.0] in 'points' (all, row 1)"
    assert caught.value.todo == "give a list of [x, y] or [x, y, v] for each object, one for each landmark"


def test_a_point_of_one_number(tmp_path: Path) -> None:
    columns = {"label": ["a", "a"], "points": [[[1.0, 2.0]], [[1.0]]]}
    settings = replace(saved(tmp_path / "list", columns), keypoints_column="points")
    assert problems(settings) == ["all, row 1: 'landmark 1' is [1.0]: give [x, y] or [x, y, v]"]
    named = {"label": ["a"], "points": [{"nose": 4.0}]}
    settings = replace(saved(tmp_path / "named", named), keypoints_column="points")
    assert problems(settings) == ["all, row 0: 'nose' is 4.0: give [x, y] or [x, y, v]"]
