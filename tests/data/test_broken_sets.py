"""Broken data sets are read right or refused in a sentence; what is skipped is named; nothing else ever happens."""

import json
import os
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data import trees
from partscope.data import Problem, load_photos
from partscope.errors import DataError
from partscope.settings import DataSettings

SIZE = 16
EXAMPLES = settings(max_examples=60, deadline=None)


class Seen(NamedTuple):
    """A sample without what depends on which others are there."""

    category: str | None
    pixels: torch.Tensor
    landmarks: dict[str, list[float]]


def read(data: DataSettings) -> tuple[dict[str, Seen], tuple[Problem, ...]]:
    """Every sample of both splits by its name, and every problem."""
    found: dict[str, Seen] = {}
    problems: list[Problem] = []
    for split in ("train", "test"):
        photos = load_photos(data, SIZE, split)  # type: ignore[arg-type]
        problems += photos.left_out
        for i, name in enumerate(photos.names()):
            sample = photos[i]
            present = sample.present.nonzero().flatten().tolist()
            landmarks = {photos.landmark_names[k]: sample.landmarks[k].tolist() for k in present}
            category = photos.categories[sample.category] if sample.category >= 0 else None
            assert f"{split} {name}" not in found
            found[f"{split} {name}"] = Seen(category, sample.image, landmarks)
    return found, tuple(dict.fromkeys(problems))


def three_lines(error: DataError) -> None:
    doing, got, todo = str(error).split("\n")
    assert doing.startswith("while ") and got.startswith("  got: ") and todo.startswith("  do:  ")
    assert all((error.doing, error.got, error.todo))
    str(error).encode()


def same(one: Seen, other: Seen, names: set[str]) -> bool:
    """Whether two samples agree, as far as a set that has lost a landmark's or category's name can."""
    kept = ({k: v for k, v in seen.landmarks.items() if k in names} for seen in (one, other))
    return one.category == other.category and torch.equal(one.pixels, other.pixels) and next(kept) == next(kept)


def check(data: DataSettings, intact: dict[str, Seen], gone: set[str]) -> None:
    """What must hold for any damage.

    Args:
        data: settings of the broken set.
        intact: the samples before.
        gone: samples that the damage removed so that nothing can tell (a whole row, a whole file).
    """
    expected = {name: seen for name, seen in intact.items() if name.split(" ", 1)[1] not in gone}
    try:
        found, problems = read(data)
    except DataError as error:
        three_lines(error)
    else:
        assert not problems
        assert found.keys() == expected.keys()
        assert all(
            same(found[name], expected[name], set(found[name].landmarks) | all_names(expected)) for name in found
        )
    try:
        found, problems = read(replace(data, on_problem="skip"))
    except DataError as error:
        three_lines(error)
        return
    for problem in problems:
        str(problem).encode()
        assert problem.where and problem.what and problem.todo
        assert "\n" not in str(problem)
    missing = expected.keys() - found.keys()
    assert found.keys() <= expected.keys()
    assert len(missing) <= len(problems)
    names = all_names(found) if problems else all_names(expected)
    assert all(same(found[name], expected[name], names) for name in found)
    for name in missing:
        split = name.split(" ")[0]
        assert any(p.split in (split, None) for p in problems)


def all_names(samples: dict[str, Seen]) -> set[str]:
    return {name for seen in samples.values() for name in seen.landmarks}


# ---- damages: each changes a set on disk and returns the names of samples that no reader can miss

Damage = Callable[[Path, random.Random], set[str]]


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines))


def in_table(tables: list[str], header: int = 0) -> dict[str, Damage]:
    """Damages to text tables."""

    def chosen(root: Path, draw: random.Random) -> tuple[Path, list[str], int]:
        path = root / draw.choice(tables)
        lines = lines_of(path)
        return path, lines, draw.randrange(header, max(header + 1, len(lines)))

    def drop_line(root: Path, draw: random.Random) -> set[str]:
        path, lines, k = chosen(root, draw)
        row = lines[k : k + 1]
        if path.suffix == ".csv" and row and not file_of(row[0]).startswith("photos/"):
            return set()  # damaged before: nobody could tell whose line is gone
        del lines[k : k + 1]
        write_lines(path, lines)
        return {file_of(row[0])} if path.suffix == ".csv" and row and row[0] not in lines else set()

    def double_line(root: Path, draw: random.Random) -> set[str]:
        path, lines, k = chosen(root, draw)
        lines[k:k] = lines[k : k + 1]
        write_lines(path, lines)
        return set()

    def junk(root: Path, draw: random.Random) -> set[str]:
        path, lines, k = chosen(root, draw)
        if k < len(lines):
            lines[k] = draw.choice(["four", "?", "1", ",,,", "\x1c\x85", "9" * 400, "nan " * 5, '"', "\0 \0"])
        write_lines(path, lines)
        return set()

    def junk_word(root: Path, draw: random.Random) -> set[str]:
        path, lines, k = chosen(root, draw)
        if k < len(lines) and '"' not in lines[k]:
            separator = "," if path.suffix == ".csv" else " "
            words = lines[k].split(separator)
            # another name is no fault: of a class, a part, or a table's category, which stands second
            told = 1 if path.name in ("classes.txt", "parts.txt") else len(words)
            place = draw.randrange(told)
            place = 0 if path.suffix == ".csv" and place == 1 else place
            words[place] = draw.choice(["x y", "nan", "-inf", "1e30", "²", "../../x", '"'])
            lines[k] = separator.join(words)
        write_lines(path, lines)
        return set()

    def steal(root: Path, draw: random.Random) -> set[str]:
        """A line takes another's id: of two lines with one id nobody knows which is right."""
        path, lines, k = chosen(root, draw)
        if k < len(lines) and path.suffix == ".txt":
            lines[k] = " ".join([draw.choice(lines).split(" ")[0], *lines[k].split(" ")[1:]])
            write_lines(path, lines)
        return set()

    def shuffle(root: Path, draw: random.Random) -> set[str]:
        path, lines, _ = chosen(root, draw)
        below = lines[header:]
        draw.shuffle(below)
        write_lines(path, lines[:header] + below)
        return set()

    def endings(root: Path, draw: random.Random) -> set[str]:
        path, lines, _ = chosen(root, draw)
        text = "".join(line + draw.choice(["\r\n", "\r", "\n", "\n\n"]) for line in lines)
        path.write_bytes(draw.choice([b"", b"\xef\xbb\xbf"]) + text.encode())
        return set()

    return {f.__name__: f for f in (drop_line, double_line, junk, junk_word, steal, shuffle, endings)}


def file_of(line: str) -> str:
    return "photos/3,4.png" if line.startswith('"') else line.split(",")[0]


def images_below(folder: str) -> dict[str, Damage]:
    """Damages to image files."""

    def chosen(root: Path, draw: random.Random) -> Path | None:
        every = sorted(p for p in (root / folder).rglob("*") if p.is_file() and p.suffix.lower() in (".png", ".jpg"))
        return draw.choice(every) if every else None

    def delete(root: Path, draw: random.Random) -> set[str]:
        path = chosen(root, draw)
        if path is None:
            return set()
        path.unlink()
        return {path.relative_to(root).as_posix()} if not folder else set()

    def cut(root: Path, draw: random.Random) -> set[str]:
        path = chosen(root, draw)
        if path is not None:
            whole = path.read_bytes()
            path.write_bytes(whole[: draw.randrange(len(whole) + 1)])
        return set()

    def overwrite(root: Path, draw: random.Random) -> set[str]:
        path = chosen(root, draw)
        if path is not None:
            path.write_bytes(draw.choice([b"", b"no picture", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n"]))
        return set()

    return {f.__name__: f for f in (delete, cut, overwrite)}


JUNK = (None, "x", [], {}, True, float("nan"), float("inf"), 1e30, 10**400, [[]], -(10**12), "\ud800")


def coco_damage(root: Path, draw: random.Random) -> set[str]:
    path = root / "annotations.json"
    table = json.loads(path.read_text())
    kind = draw.choice(["images", "annotations", "categories"])
    rows = table[kind]
    if not rows:
        return set()
    k = draw.randrange(len(rows))
    gone: set[str] = set()
    act = draw.choice(["drop", "double", "steal", "key", "junk", "inside", "row"])
    if not isinstance(rows[k], dict):
        return set()
    if act == "drop":
        row = rows.pop(k)
        if kind == "annotations":
            gone = {f"{row.get('image_id'):02d}.png"} if isinstance(row.get("image_id"), int) else set()
    elif act == "double":
        rows.append({**rows[k], **draw.choice([{}, {"name": "ox"}, {"file_name": "x.png"}, {"bbox": [0, 0, 9, 9]}])})
    elif act == "steal":  # of two entries with one id, or one file, nobody knows which is right
        key, other = draw.choice(["id", "file_name"]), rows[draw.randrange(len(rows))]
        if isinstance(other, dict) and key in other and key in rows[k]:
            rows[k][key] = other[key]
    elif act == "row":
        rows[k] = draw.choice(JUNK)
    else:
        key = draw.choice(sorted(rows[k].keys() - {"iscrowd"}))
        value = rows[k][key]
        if act == "key" and key != "keypoints":
            del rows[k][key]
        elif act == "inside" and isinstance(value, list) and value and kind == "annotations":
            value[draw.randrange(len(value))] = draw.choice([*JUNK, "12"])
        else:
            names = ["/abs.png", "../up.png", "a\0b", 999]
            rows[k][key] = draw.choice([v for v in JUNK if v != "x"] if key == "name" else [*JUNK, *names])
            if kind == "annotations" and key == "keypoints" and rows[k][key] == []:
                del rows[k]["id"]
    path.write_text(json.dumps(table))
    return gone


def splits_damage(root: Path, draw: random.Random) -> set[str]:
    path = root / "splits.json"
    table = json.loads(path.read_text())
    side = draw.choice(["train", "test"])
    k = draw.randrange(len(table[side]))
    act = draw.choice(["drop", "junk", "double", "other"])
    if act == "drop":
        del table[side][k]
    elif act == "junk":
        table[side][k] = draw.choice([*JUNK, 99])
    elif act == "double":
        table[side].append(table[side][k])
    else:
        table["test" if side == "train" else "train"].append(table[side][k])
    path.write_text(json.dumps(table))
    return set()


def add_strays(root: Path, draw: random.Random) -> set[str]:
    """Files that are nobody's, and an image that is in no class folder or has a name that is no text."""
    (root / "notes.txt").write_text("none")
    (root / ".hidden.png").write_bytes(b"")
    if draw.random() < 0.5:
        trees.write_image(root / "loose.png")
    if draw.random() < 0.5:
        source = trees.write_image(root / "cat" / "x.png")
        source.rename(os.fsdecode(os.fsencode(root / "cat") + b"/\xff.png"))
    return set()


CUB = [*trees.CUB_TABLES]
LAYOUTS: dict[str, tuple[Callable[[Path], DataSettings], dict[str, Damage]]] = {
    "folder": (trees.write_classes, {**images_below(""), "add_strays": add_strays}),
    "coco": (trees.write_coco, {**images_below("images"), "coco": coco_damage, "splits": splits_damage}),
    "cub200": (trees.write_cub, {**images_below("images"), **in_table(CUB)}),
    "csv": (trees.write_csv, {**images_below("photos"), **in_table(["annotations.csv"], header=1)}),
}
INTACT: dict[str, dict[str, Seen]] = {}


def intact(layout: str) -> dict[str, Seen]:
    if layout not in INTACT:
        with tempfile.TemporaryDirectory() as place:
            INTACT[layout] = read(LAYOUTS[layout][0](Path(place)))[0]
    return INTACT[layout]


@pytest.mark.parametrize("layout", LAYOUTS)
@EXAMPLES
@given(seed=st.integers(0, 2**32), times=st.integers(1, 3))
def test_what_is_broken_is_refused_or_left_out_by_name(layout: str, seed: int, times: int) -> None:
    write, damages = LAYOUTS[layout]
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        data = write(root)
        gone: set[str] = set()
        for damage in draw.sample(sorted(damages), times):
            gone |= damages[damage](root, draw)
        check(data, intact(layout), gone)


@pytest.mark.parametrize(("layout", "damage"), [(name, d) for name, (_, ds) in LAYOUTS.items() for d in ds])
def test_each_damage_alone(layout: str, damage: str) -> None:
    write, damages = LAYOUTS[layout]
    for seed in range(8):
        with tempfile.TemporaryDirectory() as place:
            data = write(Path(place))
            check(data, intact(layout), damages[damage](Path(place), random.Random(seed)))


TEXTS = {
    "coco": ["annotations.json", "splits.json"],
    "cub200": CUB,
    "csv": ["annotations.csv"],
}


@pytest.mark.parametrize("layout", TEXTS)
@EXAMPLES
@given(data=st.data())
def test_no_bytes_make_anything_but_an_error_in_three_lines(layout: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        made = LAYOUTS[layout][0](root)
        path = root / data.draw(st.sampled_from(TEXTS[layout]))
        whole = path.read_bytes()
        start = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(start, min(len(whole), start + 40)))
        path.write_bytes(
            whole[:start] + data.draw(st.binary(max_size=12) | st.text(max_size=6).map(str.encode)) + whole[end:]
        )
        for policy in ("refuse", "skip"):
            try:
                read(replace(made, on_problem=policy))
            except DataError as error:
                three_lines(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ROW = st.dictionaries(
    st.sampled_from(["id", "file_name", "width", "height", "name", "keypoints", "image_id", "category_id", "bbox"]),
    JSON | st.integers(1, 3) | st.sampled_from(["01.png", [0, 0, 4, 4], [1, 1, 2], ["nose"]]),
)


@EXAMPLES
@given(
    table=st.fixed_dictionaries(
        {key: st.lists(ROW | JSON, max_size=4) | JSON for key in ("images", "annotations", "categories")}
    )
    | JSON,
    splits=st.none() | JSON | st.fixed_dictionaries({"train": JSON, "test": st.lists(JSON, max_size=3)}),
)
def test_no_json_makes_anything_but_an_error_in_three_lines(table: Any, splits: Any) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        trees.write_image(root / "images" / "01.png")
        (root / "annotations.json").write_text(json.dumps(table))
        if splits is not None:
            (root / "splits.json").write_text(json.dumps(splits))
        for policy in ("refuse", "skip"):
            try:
                read(DataSettings(kind="coco", root=place, on_problem=policy))  # type: ignore[arg-type]
            except DataError as error:
                three_lines(error)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 5000 + "1" + "}" * 5000,
        '{"images": ' + "9" * 5000 + "}",
        "\ufeff{}",
        "nan",
        '"\\ud800"',
    ],
)
def test_json_of_another_kind(text: str, tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(DataError) as caught:
        load_photos(DataSettings(kind="coco", root=str(tmp_path)), SIZE, "train")
    three_lines(caught.value)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    table = trees.coco_table()
    table["annotations"][0]["bbox"] = [1, 2, 0, 4]
    table["annotations"][1]["keypoints"][0] = None
    table["annotations"][2].update(image_id=77, category_id=[])
    table["images"][3]["file_name"] = "../04.png"
    table["annotations"][5]["keypoints"][:2] = [99, 5]
    table["annotations"][5]["bbox"][2] = -1
    data = trees.write_coco(tmp_path, table)
    (tmp_path / "images" / "05.png").unlink()
    photos = load_photos(replace(data, on_problem="skip"), SIZE, "test")
    assert photos.names() == ["07.png", "08.png"]
    assert [(p.where, p.what, p.split) for p in photos.left_out] == [
        ("annotations.json, image 4", "the file name '../04.png', which climbs out of the folder", "train"),
        (
            "annotations.json, annotation 10",
            "a box (1.0, 2.0, 0.0, 4.0) that has no area on the 20 x 14 px image",
            "train",
        ),
        ("annotations.json, annotation 20", "None among the keypoints", "train"),
        ("annotations.json, annotation 30", "no image with id 77, or one with a fault", None),
        ("annotations.json, annotation 30", "no category with id [], or one with a fault", None),
        ("annotations.json, annotation 40", "no image with id 4, or one with a fault", "train"),
        ("annotations.json, annotation 50", f"no file '{tmp_path}/images/05.png'", "train"),
        (
            "annotations.json, annotation 60",
            "a box (2.0, 3.0, -1.0, 9.5) that has no area on the 20 x 14 px image",
            "test",
        ),
        (
            "annotations.json, annotation 60",
            "landmark 4 (nose) at row 5, column 99, outside the 20 x 14 px image",
            "test",
        ),
    ]
    with pytest.raises(
        DataError, match="; and 6 more\n  do:  name a file below images/; `partscope data CONFIG` lists"
    ):
        load_photos(data, SIZE, "train")


def test_the_split_of_a_problem_is_told(tmp_path: Path) -> None:
    parts = trees.CUB_TABLES["parts/part_locs.txt"].replace("4 2 7.50", "4 2 x").replace("7 1 5.00", "7 1 y")
    data = replace(trees.write_cub(tmp_path, part_locs=parts), on_problem="skip")
    photos = load_photos(data, SIZE, "train")
    assert photos.names() == ["001.Wren/a.png"]
    assert [(p.where, p.what, p.split) for p in photos.left_out] == [
        ("parts/part_locs.txt, line 8", "'4 2 x 5.00 1'", "train"),
        ("parts/part_locs.txt, line 10", "'7 1 y 6.00 1'", "test"),
    ]
