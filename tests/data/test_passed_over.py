"""What readers take none of though it has no fault: never in silence."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import datasets
import pytest

from data import paper_trees, trees
from partscope.data import load_photos, survey_photos
from partscope.data.load import Split
from partscope.settings import DataSettings


def crowded(root: Path) -> DataSettings:
    table = trees.coco_table()
    table["annotations"][0]["iscrowd"] = 1  # a dog
    table["annotations"][1]["iscrowd"] = 1  # a cat
    del table["annotations"][7]
    return replace(trees.write_coco(root, table), categories=("cat",))


def beside(root: Path) -> DataSettings:
    trees.write_split_classes(root)
    trees.write_negatives(root)
    trees.write_image(root / "loose.png", seed=70)
    trees.write_image(root / "train.png", seed=71)
    trees.write_image(root / "val" / "cat" / "0.png", seed=72)
    return replace(trees.write_split_classes(root), negatives="nothing")


def hub(root: Path) -> DataSettings:
    part = datasets.Dataset.from_dict(paper_trees.hub_columns(3)).cast_column("image", datasets.Image())
    datasets.DatasetDict({"train": part, "test": part, "validation": part, "extra": part}).save_to_disk(str(root))
    return DataSettings(kind="huggingface", root=str(root))


def marked_once(root: Path) -> DataSettings:
    return replace(paper_trees.write_det_tables(root, samples=False), min_side=100)


WRITERS: dict[str, tuple[Callable[[Path], DataSettings], dict[str, int]]] = {
    "coco": (crowded, {"crowds (iscrowd)": 1, "images without an object": 1}),
    "folder": (beside, {"images beside train and test": 2, "images in the folder 'val', beside train and test": 1}),
    "huggingface": (hub, {"rows of the split 'validation'": 3, "rows of the split 'extra'": 3}),
    "pascal_part": (
        lambda root: replace(paper_trees.write_pascal(root), min_side=10, categories=("bird",)),
        {"objects of less area than 10 x 10 px (data.min_side)": 1},
    ),
    "part_tables": (
        marked_once,
        {
            "objects of less area than 100 x 100 px (data.min_side)": 4,
            "objects of which the tables hold no box": 3,
        },
    ),
}


def survey(settings: DataSettings, split: Split) -> Mapping[str, int]:
    steps = survey_photos(settings, 16, split)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Mapping[str, int] = end.value.passed_over
            return found


@pytest.mark.parametrize("kind", WRITERS)
def test_it_is_counted_for_both_splits_at_once(kind: str, tmp_path: Path) -> None:
    write, expected = WRITERS[kind]
    settings = write(tmp_path)
    assert survey(settings, "train") == survey(settings, "test") == expected


def test_nothing_is_told_where_all_is_taken(tmp_path: Path) -> None:
    for k, write in enumerate((trees.write_coco, trees.write_split_classes, trees.write_csv, paper_trees.write_pascal)):
        assert survey(write(tmp_path / f"{k}"), "train") == {}


def test_landmarks_that_only_negatives_can_have_are_dropped(tmp_path: Path) -> None:
    coco = replace(trees.write_coco(tmp_path / "coco"), negative_categories=("dog",))
    assert load_photos(coco, 16, "train").landmark_names == ("tail", "nose")
    assert load_photos(replace(coco, negative_categories=("cat",)), 16, "test").landmark_names == (
        "left eye",
        "right eye",
        "tail",
    )
    pascal = paper_trees.write_pascal(tmp_path / "pascal")
    birds = load_photos(replace(pascal, negative_categories=("cat", "cow", "dog", "horse", "sheep")), 16, "train")
    assert birds.landmark_names == load_photos(replace(pascal, categories=("bird",)), 16, "train").landmark_names
    tables = replace(paper_trees.write_voc_tables(tmp_path / "voc"), landmarks=("head", "beak"))
    assert load_photos(replace(tables, negative_categories=("cow",)), 16, "train").landmark_names == ("head", "beak")
