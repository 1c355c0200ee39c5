"""The CSV layout: what its header may say, and what is said of each line that cannot be read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data import trees
from partscope.data import load_photos
from partscope.errors import DataError

HEADER, *LINES = trees.CSV_TABLE.splitlines(keepends=True)


def problems(root: Path, table: str) -> list[str]:
    settings = replace(trees.write_csv(root, table), on_problem="skip")
    return [f"{p.where}: {p.what}" for p in load_photos(settings, 16, "train").left_out]


def refused(root: Path, table: str) -> DataError:
    with pytest.raises(DataError) as caught:
        load_photos(trees.write_csv(root, table), 16, "train")
    return caught.value


def test_boxes_landmarks_and_splits(tmp_path: Path) -> None:
    settings = trees.write_csv(tmp_path)
    train, test = (load_photos(settings, 32, split) for split in ("train", "test"))
    assert train.names() == ["photos/0.png", "photos/1.png", "photos/5.png"]
    assert test.names() == ["photos/2.png", "photos/3,4.png"]
    assert train.categories == test.categories == ("cat", "dog")
    assert train.landmark_names == ("beak", "tail")
    assert [train.category_of(i) for i in range(3)] == [0, 1, 1]
    first, second = train[0], train[1]
    # box columns 2 to 18, rows 3 to 12.5, which touches rows 3 to 12: ten of them
    assert first.landmarks[0].tolist() == pytest.approx([(4 - 3 + 0.5) * 3.2 - 0.5, (6 - 2 + 0.5) * 2 - 0.5])
    assert second.present.tolist() == [True, False]
    assert second.landmarks[0].tolist() == pytest.approx([2.5 * 32 / 14 - 0.5, 1.5 * 32 / 20 - 0.5])


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
def test_separators_and_line_endings(separator: str, ending: str, tmp_path: Path) -> None:
    quoted = trees.CSV_TABLE.replace('"photos/3,4.png"', "photos/3COMMA4.png")
    table = quoted.replace(",", separator).replace("COMMA", ",")
    trees.write_csv(tmp_path)
    (tmp_path / "annotations.csv").write_bytes(b"\xef\xbb\xbf" + table.replace("\n", ending).encode())
    settings = trees.DataSettings(kind="csv", root=str(tmp_path))
    assert load_photos(settings, 16, "test").names() == ["photos/2.png", "photos/3,4.png"]
    plain = load_photos(trees.write_csv(tmp_path / "plain"), 16, "test")
    assert load_photos(settings, 16, "test").landmark_digest == plain.landmark_digest


def test_a_file_alone_is_enough(tmp_path: Path) -> None:
    settings = trees.write_csv(tmp_path, "file\nphotos/0.png\nphotos/1.png\nphotos/2.png\nphotos/5.png\n")
    names = [load_photos(replace(settings, test_share=0.5), 16, split).names() for split in ("train", "test")]
    assert sorted([*names[0], *names[1]]) == [f"photos/{k}.png" for k in (0, 1, 2, 5)]
    photos = load_photos(replace(settings, test_share=0.0), 16, "train")
    assert (photos.categories, photos.landmark_names) == (("object",), ())


def test_objects_of_one_image_are_told_apart_by_their_lines(tmp_path: Path) -> None:
    table = trees.CSV_TABLE + "photos/0.png,dog,train,0,0,5,5,1,1,2,2\n"
    photos = load_photos(trees.write_csv(tmp_path, table), 16, "train")
    assert photos.names() == ["photos/0.png#2", "photos/1.png", "photos/5.png", "photos/0.png#7"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("photos/0.png,cat\n", "line 2: 2 fields instead of 11"),
        (LINES[0].replace("cat", '"cat'), "line 2: a quote that does not close in '\"cat"[:-5]),
        (LINES[0].replace("9.5", "9,5"), "line 2: 12 fields instead of 11"),
        (LINES[0].replace("9.5", "nine"), "line 2: 'nine' among the numbers of the box"),
        (LINES[0].replace("9.5", "nan"), "line 2: 'nan' among the numbers of the box"),
        (LINES[0].replace("9.5", "1e99"), "line 2: '1e99' among the numbers of the box"),
        (LINES[0].replace("9.5", "0"), "line 2: a box (2.0, 3.0, 16.0, 0.0) that has no area on any image"),
        (LINES[0].replace("9.5", ""), "line 2: an empty cell among those of the box"),
        (LINES[0].replace(",12,5", ",12,"), "line 2: an empty cell among those of tail"),
        (LINES[0].replace(",12,5", ",12,-5"), "line 2: landmark 2 (tail) at row -5, column 12, outside any image"),
        (LINES[0].replace("cat", ""), "line 2: the category is '' instead of a name"),
        (LINES[0].replace("train", "val"), "line 2: the split 'val'"),
        (LINES[0].replace("photos/", "../"), "line 2: the file name '../0.png', which climbs out of the folder"),
        (LINES[0].replace("photos/", "/photos/"), "line 2: the absolute file name '/photos/0.png'"),
        (LINES[0].replace("0.png", "9.png"), "line 2: no file '"),
        (LINES[4], "line 6: the same object as in line 2"),
        (LINES[4].replace("train,1", "test,1"), "line 2: the file 'photos/5.png' in train and in test"),
    ],
)
def test_lines_that_cannot_be_read(line: str, said: str, tmp_path: Path) -> None:
    found = problems(tmp_path, HEADER + line + "".join(LINES[1:]))
    assert any(p.startswith(f"annotations.csv, {said}") for p in found), found


def test_all_faults_of_a_line_are_told(tmp_path: Path) -> None:
    line = "../0.png,,val,2,3,16,9.5,6,x,12,5\n"
    found = problems(tmp_path, HEADER + line + "".join(LINES[1:]))
    assert len(found) == 4
    assert all(p.startswith("annotations.csv, line 2: ") for p in found)


@pytest.mark.parametrize(
    ("header", "got"),
    [
        ("", "no header"),
        ("name,category\n", "the columns 'name', 'category'"),
        ("file,file\n", "the column 'file' twice"),
        ("file,left,top,width\n", "the columns 'file', 'left', 'top', 'width': no 'height'"),
        ("file,tail_x\n", "a column 'tail_x' without 'tail_y'"),
        ("file,tail_y\n", "a column 'tail_y' without 'tail_x'"),
    ],
)
def test_headers_that_say_too_little(header: str, got: str, tmp_path: Path) -> None:
    error = refused(tmp_path, header)
    assert error.doing == f"reading the header of '{tmp_path}/annotations.csv'"
    assert error.got == got


def test_refusing_tells_the_first_three_and_counts_all(tmp_path: Path) -> None:
    error = refused(tmp_path, HEADER + "a\nb\nc\nd\ne\n" + "".join(LINES))
    assert str(error) == (
        f"while listing the train images of '{tmp_path}'\n"
        "  got: annotations.csv, line 2: 1 fields instead of 11; annotations.csv, line 3: 1 fields instead of 11; "
        "annotations.csv, line 4: 1 fields instead of 11; and 2 more\n"
        "  do:  give a field for each column; quote one that holds the separator; `partscope data CONFIG` lists every "
        "problem, --data.on_problem skip leaves them out"
    )


def test_faults_of_categories_that_nobody_asked_for_are_passed_over(tmp_path: Path) -> None:
    bad = (
        "photos/0.png,dog,train,a,1,9,9,,,,\nphotos/nosuch.png,dog,test,1,1,9,9,,,,\nphotos/1.png,,train,1,1,9,9,,,,\n"
    )
    settings = trees.write_csv(tmp_path, trees.CSV_TABLE + bad)

    def where(**changed: Any) -> list[str]:
        photos = load_photos(replace(settings, on_problem="skip", **changed), 16, "train")
        return [problem.where for problem in photos.left_out]

    assert where(categories=("cat",)) == ["annotations.csv, line 9"]  # which may be a cat
    assert where() == [f"annotations.csv, line {k}" for k in (7, 9, 8)]
    assert where(categories=("cat",), negative_categories=("dog",)) == where()
