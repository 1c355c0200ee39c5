"""The authors' tables: parts by number, boxes, both kinds of places, and every fault in a sentence."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from data import paper_trees as trees
from partscope.data import load_photos
from partscope.data.matlab import read_mat
from partscope.data.part_tables import read_part_tables
from partscope.data.photos import Listing, Photo
from partscope.errors import DataError
from partscope.settings import DataSettings


def listed(settings: DataSettings, **changed: Any) -> tuple[Listing, Listing]:
    settings = replace(settings, **changed)
    root = Path(str(settings.root))
    return read_part_tables(root, settings, "train"), read_part_tables(root, settings, "test")


def objects(settings: DataSettings, **changed: Any) -> dict[str, Photo]:
    train, test = listed(settings, **changed)
    return {p.name: p for p in sorted(train.photos + test.photos, key=lambda p: p.name)}


def points(photo: Photo, listing: Listing) -> dict[str, list[float]]:
    return {n: photo.landmarks[k].tolist() for k, n in enumerate(listing.landmark_names) if photo.present[k]}


def test_voc_centres_are_scaled_between_the_boxs_edges(tmp_path: Path) -> None:
    settings = trees.write_voc_tables(tmp_path)
    train, _ = listed(settings)
    assert train.categories == ("bird", "cow") and train.landmark_names == ("head", "neck", "torso")
    bird = objects(settings)["bird/2009_000000.jpg#1"]
    # edges from column 3 to 18 and row 2 to 12, counted from 1
    assert bird.box == (2, 1, 16, 11) and bird.source == "bird, row 1"
    got = points(bird, train)
    column = 2 + 100 / 224 * 15
    want = {"head": [1 + 20 / 224 * 10, column], "neck": [1 + 40 / 224 * 10, column]}
    want["torso"] = [1 + 60 / 224 * 10, column]
    assert got == {name: pytest.approx(place) for name, place in want.items()}
    assert "neck" not in points(objects(settings)["bird/2009_000001.jpg#2"], train)


def test_other_parts_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    settings = replace(trees.write_voc_tables(tmp_path), landmarks=("muzzle", "beak"))
    train, _ = listed(settings)
    found = objects(settings)
    assert list(points(found["bird/2009_000002.jpg#3"], train)) == ["beak"]
    assert list(points(found["cow/2009_000012.jpg#3"], train)) == ["muzzle"]
    assert list(points(found["bird/2009_000000.jpg#1"], train)) == []
    assert load_photos(settings, 16, "train").landmark_names == ("muzzle", "beak")
    with pytest.raises(DataError, match="no landmark 'wheel' in the data"):
        load_photos(replace(settings, landmarks=("wheel",)), 16, "train")
    tail = listed(settings, landmarks=("tail",))[0]
    assert [p.what.split(": ")[-1] for p in tail.problems] == ["no such file"] * 2
    assert "truth_part13.mat" in tail.problems[0].what and "truth_part19.mat" in tail.problems[1].what


def emptied(path: Path, row: int) -> None:
    table = scipy.io.loadmat(path)["truth"]
    for name in table.dtype.names:
        table[0, row][name] = np.zeros((1, 0))
    scipy.io.savemat(path, {"truth": table})


def test_a_box_may_stand_in_another_parts_table_only(tmp_path: Path) -> None:
    settings = trees.write_voc_tables(tmp_path)
    for part in (1, 2, 3):
        emptied(tmp_path / "cow" / f"truth_part{part:02d}.mat", 2)
    cow = objects(settings)["cow/2009_000012.jpg#3"]
    assert cow.box == (2, 1, 16, 11) and not cow.present.any()
    emptied(tmp_path / "cow" / "truth_part04.mat", 2)
    train, _ = listed(settings)
    assert [str(p) for p in train.problems] == [
        "cow, row 3: no table gives its box (restore the table that the authors published)"
    ]
    assert len(objects(settings)) == 11


def test_a_whole_table_holds_boxes_in_pixels(tmp_path: Path) -> None:
    def box(*edges: float) -> dict[str, Any]:
        return dict(zip(("Wmin", "Wmax", "Hmin", "Hmax"), edges or [trees.EMPTY] * 4, strict=True))

    rows = []
    for k in range(3):
        obj = trees.table_object(f"2009_{k:06d}.jpg", (1, 1, 1, 1), k + 1, name="cow")
        obj[0, 0]["bndbox"] = trees.structs([box(3.0, 18.0, 2.0, 12.0)])
        parts = [box(4.0, 9.0, 2.0, 5.0), box(), box(5.0, 17.0, 3.0, 12.0), box()]
        rows.append({"partbox": trees.structs(parts), "partname": "head", "obj": obj})
        trees.write_image(tmp_path / "images" / f"2009_{k:06d}.jpg", seed=k)
    trees.save_table(tmp_path / "truth_cow.mat", rows)
    settings = DataSettings(kind="part_tables", root=str(tmp_path), min_side=4)
    cow = objects(settings)["cow/2009_000000.jpg#1"]
    assert cow.box == (2, 1, 16, 11)
    assert points(cow, listed(settings)[0]) == {"head": [2.5, 5.5], "torso": [6.5, 10.0]}


def test_ilsvrc_centres_are_pixels_of_the_crop(tmp_path: Path) -> None:
    settings = trees.write_det_tables(tmp_path)
    train, test = listed(settings)
    assert train.categories == ("zebra",) and train.landmark_names == ("head", "frontlegs")
    found = objects(settings)
    assert len(found) == 7 == len(train.photos) + len(test.photos)
    zebra = found["zebra/n02391049_0#1"]
    assert zebra.box == (1, 0, 17, 13)
    want = [(30.5 - 0.5) / 224 * 13 - 0.5, 1 + (60 - 0.5) / 224 * 17 - 0.5]
    assert points(zebra, train)["head"] == pytest.approx(want)
    # in a crop of 224 px, the table's pixel less one
    photos = load_photos(replace(settings, test_share=0.0), 224, "train")
    assert photos[0].landmarks[0].tolist() == pytest.approx([29.5, 59.0], abs=1e-3)
    assert not found["zebra/00006.jpg#6"].present.any()


def test_without_the_images_own_list_only_marked_objects_are_known(tmp_path: Path) -> None:
    settings = trees.write_det_tables(tmp_path, samples=False)
    assert len(objects(settings)) == 4 and not listed(settings)[0].problems
    (tmp_path / "n02391049_obj").rename(tmp_path / "unused")
    for k in range(4):
        trees.write_image(tmp_path / "n02391049" / f"n02391049_{k}.JPEG", seed=k)
    assert len(objects(settings)) == 4
    assert objects(settings)["zebra/n02391049_0#1"].path.name == "n02391049_0.JPEG"


def test_an_ilsvrc_box_that_starts_at_zero_starts_at_the_first_pixel(tmp_path: Path) -> None:
    settings = trees.write_det_tables(tmp_path, box_shift=2)
    assert objects(settings)["zebra/n02391049_0#1"].box == (0, 0, 18, 13)


def test_a_part_that_is_marked_twice_is_no_landmark(tmp_path: Path) -> None:
    settings = trees.write_det_tables(tmp_path)
    path = tmp_path / "n02391049" / "truth_part01.mat"
    table = scipy.io.loadmat(path)["truth"]
    twice = table[0, 0]["obj"]
    table[0, 0]["obj"] = np.concatenate([twice, twice], axis=1)
    table[0, 0]["pHW_center"] = np.array([[3.0, 8.0], [5.0, 9.0]])
    scipy.io.savemat(path, {"truth": table})
    train, _ = listed(settings)
    assert not train.problems
    assert list(points(objects(settings)["zebra/n02391049_0#1"], train)) == ["frontlegs"]


def test_copies_of_one_photograph_stay_on_one_side(tmp_path: Path) -> None:
    settings = trees.write_det_tables(tmp_path)
    folder = tmp_path / "n02391049_obj" / "img" / "img"
    for k in (3, 4, 5, 6, 7):
        (folder / f"{k:05d}.jpg").write_bytes((folder / f"{1 + k % 2:05d}.jpg").read_bytes())
    assert (folder / "00003.jpg").read_bytes() != (folder / "00004.jpg").read_bytes()
    for share in np.linspace(0, 1, 21):
        train, test = listed(settings, test_share=float(share))
        sides = [{p.path.read_bytes() for p in side.photos} for side in (train, test)]
        assert not sides[0] & sides[1]


def test_the_authors_split_counts_each_categorys_objects(tmp_path: Path) -> None:
    settings = trees.write_voc_tables(tmp_path)
    train, test = listed(settings, split="authors")
    # 6 objects: round(5.4) = 5 of them, at round(linspace(1, 6, 5)) = 1, 2, 4, 5, 6
    assert [p.name for p in test.photos] == ["bird/2009_000002.jpg#3", "cow/2009_000012.jpg#3"]
    assert len(train.photos) == 10


def change(path: Path, row: int, **values: Any) -> None:
    table = scipy.io.loadmat(path)["truth"]
    for name, value in values.items():
        if name in ("xmin", "xmax", "ymin", "ymax"):
            table[0, row]["obj"][0, 0]["bndbox"][0, 0][name] = value
        elif name == "filename":
            table[0, row]["obj"][0, 0][name] = value
        else:
            table[0, row][name] = value
    scipy.io.savemat(path, {"truth": table})


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ({"xmin": "99"}, "bndbox from column 99 to 18, row 2 to 12"),
        ({"xmin": "three"}, "could not convert string to float"),
        ({"pHW_center": np.array([[np.nan], [3.0]])}, "pHW_center [nan, 3.0] in truth_part02.mat"),
        ({"pHW_center": np.ones((3, 1))}, "pHW_center [1.0, 1.0, 1.0] in truth_part02.mat"),
        ({"filename": "2009_000001.jpg"}, "truth_part02.mat has another object in this row"),
        ({"xmax": "17"}, "truth_part02.mat has another object in this row"),
        ({"obj": np.ones((1, 1))}, "not the structure of the authors' tables"),
    ],
)
def test_faults_of_a_row(values: dict[str, Any], got: str, tmp_path: Path) -> None:
    settings = trees.write_voc_tables(tmp_path)
    change(tmp_path / "bird" / "truth_part02.mat", 3, **values)
    train, test = listed(settings)
    assert train.problems == test.problems and len(train.problems) == 1
    assert train.problems[0].where == "bird, row 4" and got in train.problems[0].what
    assert len(objects(settings)) == 11 and "bird/2009_000003.jpg#4" not in objects(settings)


@pytest.mark.parametrize(
    ("damage", "got"),
    [
        (lambda r: (r / "bird" / "truth_part01.mat").write_bytes(b"MATLAB"), "truth_part01.mat"),
        (
            lambda r: scipy.io.savemat(r / "bird" / "truth_part02.mat", {"anno": 3}),
            "a .mat file of another kind, with 'anno' and no 'truth'",
        ),
        (
            lambda r: scipy.io.savemat(r / "bird" / "truth_part02.mat", {"truth": np.ones(3)}),
            "a 'truth' that is no list of objects",
        ),
        (
            lambda r: trees.save_table(
                r / "bird" / "truth_part03.mat",
                [trees.table_row(trees.table_object("a.jpg", (1, 1, 9, 9), 1), (3.0, 3.0))],
            ),
            "1 rows, the tables before it 6",
        ),
        (lambda r: (r / "bird" / "truth_part01.mat").write_bytes(b""), "ValueError: an empty file"),
    ],
)
def test_a_damaged_table_leaves_out_its_category(damage: Any, got: str, tmp_path: Path) -> None:
    settings = trees.write_voc_tables(tmp_path)
    damage(tmp_path)
    train, _ = listed(settings)
    assert [p.where for p in train.problems] == ["bird"] and got in train.problems[0].what
    assert {name.split("/")[0] for name in objects(settings)} == {"cow"}


def test_missing_photographs_and_folders(tmp_path: Path) -> None:
    settings = trees.write_voc_tables(tmp_path)
    (tmp_path / "JPEGImages" / "2009_000004.jpg").unlink()
    assert [str(p) for p in listed(settings)[1].problems] == [
        "bird, row 5: no photograph '2009_000004.jpg' (restore the photograph)"
    ]
    (tmp_path / "JPEGImages").rename(tmp_path / "elsewhere")
    assert [p.where for p in listed(settings)[0].problems] == ["bird", "cow"]
    (tmp_path / "person").mkdir()
    (tmp_path / "person" / "truth_part01.mat").touch()
    with pytest.raises(DataError, match="tables of 'person'"):
        listed(settings)
    with pytest.raises(DataError, match=r"no \*/truth_part\*.mat and no truth_\*.mat"):
        listed(replace(settings, root=str(tmp_path / "elsewhere")))
    with pytest.raises(DataError, match="no such folder"):
        listed(replace(settings, root=str(tmp_path / "nowhere")))


def test_lists_of_different_length(tmp_path: Path) -> None:
    settings = trees.write_det_tables(tmp_path)
    trees.save_table(tmp_path / "n02391049_obj" / "img" / "data.mat", [{"obj": trees.EMPTY, "class": 1.0}], "samples")
    assert "1 objects beside tables of 7" in listed(settings)[0].problems[0].what


# version 7.3


def as_hdf5(path: Path, name: str) -> None:
    """Writes a file of version 5 again as MATLAB writes version 7.3."""
    content = scipy.io.loadmat(path)[name]
    with h5py.File(path, "w", userblock_size=512) as file:
        count = iter(range(10**6))

        def put(parent: h5py.Group, key: str, value: Any) -> Any:
            if value.dtype.names:
                group = parent.create_group(key)
                group.attrs["MATLAB_class"] = np.bytes_(b"struct")
                for field in value.dtype.names:
                    if value.size == 1:
                        put(group, field, value[0, 0][field])
                        continue
                    refs = [put(pool, f"r{next(count)}", item[field]).ref for item in value.ravel(order="F")]
                    group.create_dataset(field, data=np.array(refs, h5py.ref_dtype).reshape(-1, 1))
                return group
            if value.size == 0:
                made = parent.create_dataset(key, data=np.array([0, 0], np.uint64))
                made.attrs["MATLAB_empty"], made.attrs["MATLAB_class"] = np.uint8(1), np.bytes_(b"canonical empty")
                return made
            if value.dtype.kind == "U":
                codes = np.array([list(map(ord, "".join(value.ravel())))], np.uint16).T
                made = parent.create_dataset(key, data=codes)
                made.attrs["MATLAB_class"] = np.bytes_(b"char")
                return made
            made = parent.create_dataset(key, data=np.asarray(value).T)
            made.attrs["MATLAB_class"] = np.bytes_(b"double")
            return made

        pool = file.create_group("#refs#")
        put(file, name, content)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64 HDF5 schema 1.00 .".ljust(128))


def same(one: Any, two: Any) -> bool:
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[k], two[k]) for k in one)
    return bool(np.array_equal(one, two)) if isinstance(one, np.ndarray) else bool(one == two)


def test_version_7_3_reads_as_version_5(tmp_path: Path) -> None:
    settings = trees.write_voc_tables(tmp_path)
    path = tmp_path / "bird" / "truth_part02.mat"
    before = read_mat(path, "truth")
    as_hdf5(path, "truth")
    after = read_mat(path, "truth")
    assert same(before, after) and len(after) == 6 and after[1]["obj"] == []
    assert [bool(row) for row in read_mat(path, "truth", {3})] == [False] * 3 + [True] + [False] * 2
    assert not listed(settings)[0].problems and len(objects(settings)) == 12
    with pytest.raises(DataError, match=r"a \.mat file of another kind, with 'truth' and no 'anno'"):
        read_mat(path, "anno")
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match=r"reading 'truth' of .*truth_part02.mat"):
        read_mat(path, "truth")


def test_version_7_3_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.write_voc_tables(tmp_path)
    path = tmp_path / "bird" / "truth_part02.mat"
    as_hdf5(path, "truth")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError) as caught:
        read_mat(path, "truth")
    assert caught.value.got == "a .mat file of version 7.3 (HDF5), and h5py is not installed"
    assert caught.value.todo == "pip install 'partscope[matlab]', or save it in MATLAB with -v7"
