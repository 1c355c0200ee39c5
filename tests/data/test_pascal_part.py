"""Pascal-Part: boxes and part centres of masks, the two splits, the index, and every fault in a sentence."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from data import paper_trees as trees
from partscope.data import load_photos
from partscope.data.choices import authors_training
from partscope.data.pascal_index import INDEX_NAME
from partscope.data.pascal_part import read_pascal_part, training_objects
from partscope.data.photos import Listing, Photo
from partscope.errors import DataError, SettingsError
from partscope.settings import DataSettings


def listed(settings: DataSettings, **changed: Any) -> tuple[Listing, Listing]:
    settings = replace(settings, **changed)
    root = Path(str(settings.root))
    return read_pascal_part(root, settings, "train"), read_pascal_part(root, settings, "test")


def objects(settings: DataSettings, **changed: Any) -> dict[str, Photo]:
    train, test = listed(settings, **changed)
    return {photo.name: photo for photo in sorted(train.photos + test.photos, key=lambda p: p.name)}


def test_landmarks_are_the_centres_of_the_parts_boxes(tmp_path: Path) -> None:
    settings = trees.write_pascal(tmp_path)
    found = objects(settings)
    assert len(found) == 9 and "2008_000003.jpg#3" in found
    bird = found["2008_000000.jpg#2"]
    assert bird.box == (2, 1, 16, 11) and bird.size == (20, 14)
    assert bird.source == "Annotations_Part/2008_000000.mat, object 2"
    train, _ = listed(settings)
    assert train.categories == ("bird", "cat", "cow", "dog", "horse", "sheep")
    assert train.landmark_names[:6] == ("head", "neck", "torso", "tail", "left eye", "right eye")
    here = {n: bird.landmarks[k].tolist() for k, n in enumerate(train.landmark_names) if bird.present[k]}
    # head: rows 2 to 4, columns 3 to 7; torso: rows 5 to 9, columns 8 to 15
    assert here == {"head": [3.0, 5.0], "left eye": [2.0, 4.0], "torso": [7.0, 11.5]}


def test_persons_and_small_animals_are_left_out(tmp_path: Path) -> None:
    settings = trees.write_pascal(tmp_path)
    assert "2008_000003.jpg#3" in objects(settings, min_side=8)  # its box has 8 x 8 pixels
    assert "2008_000003.jpg#3" not in objects(settings, min_side=9)
    assert not any(name.endswith("#1") for name in objects(settings))
    assert DataSettings().min_side == 50 and objects(settings, min_side=50) == {}


def test_the_clean_split_keeps_an_image_on_one_side(tmp_path: Path) -> None:
    settings = trees.write_pascal(tmp_path)
    for share in np.linspace(0, 1, 11):
        train, test = listed(settings, test_share=float(share))
        assert not {p.path for p in train.photos} & {p.path for p in test.photos}
        assert len(train.photos) + len(test.photos) == 9


def test_the_authors_split_is_by_object_in_each_category(tmp_path: Path) -> None:
    parts = {"head": (2, 3, 3, 5)}
    for k in range(12):
        birds = [trees.pascal_object("bird", (1, 2, 11, 16), parts)] * (2 if k == 6 else 1)
        cats = [trees.pascal_object("cat", (1, 2, 11, 16), parts)] if k < 5 else []
        trees.write_anno(tmp_path, f"2008_{k:06d}", [*birds, *cats], seed=k)
    train, test = listed(DataSettings(kind="pascal_part", root=str(tmp_path), min_side=4, split="authors"))
    # 13 birds: round(linspace(1, 13, 12)) leaves out the 7th; 5 cats: round(4.5) = 5, all of them train
    assert [p.name for p in test.photos] == ["2008_000006.jpg#1"]
    assert len(train.photos) == 17 and "2008_000006.jpg#2" in {p.name for p in train.photos}


@pytest.mark.parametrize(("count", "tested"), [(388, 39), (559, 56), (194, 19), (681, 68), (293, 29), (263, 26)])
def test_the_authors_counts(count: int, tested: int) -> None:
    assert count - len(authors_training(count)) == tested
    wanted = int(np.floor(0.9 * count + 0.5))
    assert authors_training(count) == set((np.floor(np.linspace(1, count, wanted) + 0.5) - 1).astype(int).tolist())


def test_few_objects_all_train() -> None:
    for count in range(5):
        assert authors_training(count) == set(range(count))
    assert training_objects([]) == set()


def test_the_authors_split_is_only_for_their_data(tmp_path: Path) -> None:
    settings = DataSettings(kind="folder", root=str(tmp_path), split="authors")
    with pytest.raises(SettingsError, match=r"data\.split 'authors' with data\.kind 'folder'") as caught:
        load_photos(settings, 16, "train")
    assert caught.value.todo == "it is for: pascal_part, part_tables"


def test_masks_are_read_once_and_again_when_their_file_changes(tmp_path: Path) -> None:
    settings = trees.write_pascal(tmp_path)
    before = objects(settings)
    place = tmp_path / INDEX_NAME
    index = json.loads(place.read_text())
    index["files"]["2008_000000.mat"]["objects"][0]["parts"]["head"] = [9, 9]
    place.write_text(json.dumps(index))
    assert objects(settings)["2008_000000.jpg#2"].landmarks[0].tolist() == [9, 9]
    moved = trees.pascal_object("bird", (1, 2, 11, 16), {"head": (4, 4, 1, 1), "torso": (5, 8, 5, 8)})
    trees.write_anno(tmp_path, "2008_000000", [moved])
    assert objects(settings)["2008_000000.jpg#1"].landmarks[0].tolist() == [4, 4]
    for damaged in ("{", "[]", '{"format": 1}', '{"format": 1, "files": {"a.mat": {}}}', '{"format": 0, "files": {}}'):
        place.write_text(damaged)
        assert objects(settings).keys() == {"2008_000000.jpg#1", *before} - {"2008_000000.jpg#2"}
        assert json.loads(place.read_text())["format"] == 1


def test_without_a_place_for_the_index_the_masks_are_read_each_time(tmp_path: Path) -> None:
    settings = trees.write_pascal(tmp_path)
    (tmp_path / INDEX_NAME).mkdir()
    (tmp_path / INDEX_NAME / "in the way").touch()
    assert len(objects(settings)) == 9


def test_photographs_where_the_devkit_puts_them(tmp_path: Path) -> None:
    settings = trees.write_pascal(tmp_path)
    (tmp_path / "VOCdevkit" / "VOC2010").mkdir(parents=True)
    (tmp_path / "JPEGImages").rename(tmp_path / "VOCdevkit" / "VOC2010" / "JPEGImages")
    assert len(objects(settings)) == 9


def fault(tmp_path: Path, write: Any) -> str:
    settings = trees.write_pascal(tmp_path)
    write(tmp_path / "Annotations_Part")
    train, test = listed(settings)
    assert train.problems == test.problems and len(train.problems) == 1
    problem = train.problems[0]
    with pytest.raises(DataError) as caught:
        load_photos(settings, 16, "train")
    assert caught.value.got == f"{problem.where}: {problem.what}"
    assert "--data.on_problem skip" in caught.value.todo
    skipped = load_photos(replace(settings, on_problem="skip"), 16, "train")
    assert skipped.left_out == train.problems
    assert problem.where.split(",")[0].split("/")[-1].removesuffix(".mat") not in str(skipped.names())
    return str(caught.value.got)


def replaced(**changed: Any) -> Any:
    """The second annotation with one bird, changed."""

    def write(folder: Path) -> None:
        bird = trees.pascal_object("bird", (1, 2, 11, 16), {"head": (2, 3, 3, 5)}) | changed
        trees.write_anno(folder.parent, "2008_000001", [bird], seed=1)

    return write


@pytest.mark.parametrize(
    ("write", "got"),
    [
        (lambda f: (f / "2008_000001.mat").write_bytes(b""), "ValueError: an empty file"),
        (
            lambda f: (f / "2008_000001.mat").write_text("no matrix " * 40),
            "ValueError: no .mat file of version 5 or 7.3",
        ),
        (
            lambda f: scipy.io.savemat(f / "2008_000001.mat", {"truth": np.ones(2), "x": 1}),
            "a .mat file of another kind, with 'truth', 'x' and no 'anno'",
        ),
        (
            lambda f: scipy.io.savemat(f / "2008_000001.mat", {"anno": np.ones((2, 2))}),
            "not the structure of Pascal-Part",
        ),
        (
            lambda f: scipy.io.savemat(f / "2008_000001.mat", {"anno": {"imname": "2008_000001", "objects": "bird"}}),
            "not the structure of Pascal-Part",
        ),
        (replaced(mask=np.zeros((14, 20), np.uint8)), "object 1: a mask without pixels"),
        (replaced(mask=np.ones((14, 20, 3), np.uint8)), "a mask with 3 axes"),
        (replaced(mask=np.ones((13, 20), np.uint8)), "the mask of part 'head' is (14, 20), the object's (13, 20)"),
        (
            replaced(parts=trees.structs([{"part_name": "wheel_1", "mask": trees.region(1, 1, 2, 2)}])),
            "object 1: a part 'wheel_1', which Pascal-Part has on no bird",
        ),
        (lambda f: (f.parent / "JPEGImages" / "2008_000001.jpg").unlink(), "no photograph '2008_000001.jpg'"),
        (
            lambda f: (f / "2008_000001.mat").rename(f / "2009_000001.mat"),
            "2009_000001.mat: it annotates '2008_000001', not '2009_000001'",
        ),
    ],
)
def test_faults_are_found_and_what_they_concern_is_left_out(write: Any, got: str, tmp_path: Path) -> None:
    assert got in fault(tmp_path, write)


def test_a_truncated_file_at_any_place(tmp_path: Path) -> None:
    settings = trees.write_pascal(tmp_path)
    path = tmp_path / "Annotations_Part" / "2008_000001.mat"
    whole = path.read_bytes()
    for length in (1, 100, 127, 128, 130, 140, len(whole) // 2, len(whole) - 9):
        path.write_bytes(whole[:length])
        train, _ = listed(settings)
        assert [p.where for p in train.problems] == ["Annotations_Part/2008_000001.mat"], length


def test_masks_of_two_sizes_in_one_file(tmp_path: Path) -> None:
    settings = trees.write_pascal(tmp_path)
    other = trees.pascal_object("bird", (1, 2, 11, 16), {}) | {"mask": np.ones((13, 20), np.uint8)}
    trees.write_anno(tmp_path, "2008_000001", [trees.pascal_object("cat", (1, 2, 11, 16), {}), other])
    assert [p.what for p in listed(settings)[0].problems] == ["masks of 2 different sizes"]


def test_faults_of_animals_that_are_not_asked_for_do_not_matter(tmp_path: Path) -> None:
    settings = trees.write_pascal(tmp_path)
    replaced(mask=np.zeros((14, 20), np.uint8))(tmp_path / "Annotations_Part")
    assert listed(settings)[0].problems and not listed(settings, categories=("cat",))[0].problems


def test_a_mask_of_another_size_than_its_photograph(tmp_path: Path) -> None:
    settings = trees.write_pascal(tmp_path)
    trees.write_image(tmp_path / "JPEGImages" / "2008_000002.jpg", 21, 14)
    photos = [p for split in ("train", "test") for p in [load_photos(settings, 16, split)]]  # type: ignore[arg-type]
    where = [(p, p.names().index("2008_000002.jpg#2")) for p in photos if "2008_000002.jpg#2" in p.names()]
    with pytest.raises(DataError, match="an image of 21 x 14 px, annotated as 20 x 14 px"):
        where[0][0][where[0][1]]


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    settings = DataSettings(kind="pascal_part", root=str(tmp_path))
    with pytest.raises(DataError, match="none of the folders 'JPEGImages', 'VOCdevkit/VOC2010/JPEGImages'"):
        load_photos(settings, 16, "train")
    (tmp_path / "JPEGImages").mkdir()
    with pytest.raises(DataError, match="no such folder\n  do:  unpack Pascal-Part's Annotations_Part there"):
        load_photos(settings, 16, "train")
    (tmp_path / "Annotations_Part").mkdir()
    with pytest.raises(DataError, match=r"got: no \.mat file"):
        load_photos(settings, 16, "train")
    with pytest.raises(DataError, match="no category 'person' in the data"):
        load_photos(replace(settings, categories=("person",)), 16, "train")
