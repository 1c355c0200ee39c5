"""Objects with keypoints in COCO's format: `annotations.json`, `images/` and, if there, `splits.json`."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from partscope.data.choices import chosen, held_out
from partscope.data.coco_rows import Id, Row, as_id, is_number, read_object, rows_by_id
from partscope.data.names import Shelf, file_fault, text_fault, tidy
from partscope.data.photos import Listing, Photo, misfits
from partscope.data.problems import Faults, Problem, brief
from partscope.errors import DataError
from partscope.settings import DataSettings

Split = Literal["train", "test"]
FILE = "annotations.json"


class Pictures(NamedTuple):
    """The images of an annotation file."""

    names: dict[Id, str]
    """File name of each image without a fault."""
    sizes: dict[Id, tuple[int, int]]
    """Width and height of those whose entry states them."""
    split: dict[Id, Split]
    """Of each image of which it is known, those with a fault included."""


def read_coco(root: Path, settings: DataSettings, split: Split) -> Listing:
    """List the objects of one split, each cropped to its box.

    `splits.json` holds lists of image ids under `train` and `test`; without it a hash of the file
    name decides.
    A keypoint `[x, y, v]` with v > 0 is present. Crowds (`iscrowd`) are no single objects and are left out.
    Rows with a fault are among the listing's problems, and so are the objects of an image or a category with one.

    Raises:
        DataError: a file or table is missing or is no JSON, or a wanted category is not there.
    """
    try:
        return _read(root, settings, split)
    except RecursionError as error:
        raise DataError(f"reading {str(root / FILE)!r}", "lists in lists without end", "export it again") from error


def _read(root: Path, settings: DataSettings, split: Split) -> Listing:
    table = read_object(root / FILE)
    images = rows_by_id(FILE, table, "images", ("file_name",))
    kinds = rows_by_id(FILE, table, "categories", ("name",))
    objects = rows_by_id(FILE, table, "annotations", ("image_id", "category_id", "bbox"))
    faults = Faults()
    for problem, row in images.broken:
        faults.note(problem, _value(row, "id"))
    for problem, _ in kinds.broken:
        faults.note(problem, None)
    categories = _categories(kinds.by_id, faults)
    pictures = _pictures(images.by_id, root / "splits.json", settings.test_share, faults)
    names = {key: name for key, (name, _) in categories.items()}
    kept = chosen(sorted(set(names.values())), settings.categories, "category", "data.categories")
    landmark_names = tuple(dict.fromkeys(p for name, points in categories.values() if name in kept for p in points))
    for problem, row in objects.broken:
        faults.note(problem, _value(row, "image_id"))
    shared = Counter(as_id(row["image_id"]) for row in objects.by_id.values())
    crowds = 0
    shelf = Shelf(root / "images", f"listing the images of {str(root)!r}")
    photos: list[Photo] = []
    for key, row in objects.by_id.items():
        source, image, category = f"{FILE}, annotation {key}", as_id(row["image_id"]), as_id(row["category_id"])
        if category in names and (names[category] not in kept or row.get("iscrowd")):
            crowds += names[category] in kept
            continue
        problems = [Problem(source, *said) for said in _dangling(row, image, category, pictures, names)]
        if not problems and image is not None and category is not None:
            name, points = pictures.names[image], categories[category][1]
            problems += [Problem(source, *said) for said in _shape_faults(row, points)]
            if not problems:
                photo = Photo(
                    root / "images" / name,
                    name + (f"#{key}" if shared[image] > 1 else ""),
                    0 if settings.single_category else kept.index(names[category]),
                    *_landmarks(row, points, landmark_names),
                    tuple(map(float, row["bbox"])),  # type: ignore[arg-type]
                    pictures.sizes.get(image),
                    source,
                )
                problems += [Problem(source, *said) for said in misfits(photo, photo.size, landmark_names)]
                problems += [Problem(source, *said) for said in [shelf.lacks(name)] if said]
                if not problems and pictures.split[image] == split:
                    photos.append(photo)
        for problem in problems:
            faults.note(problem, image)
    single = settings.single_category
    bare = len(pictures.names.keys() - shared.keys())
    passed_over = {"crowds (iscrowd)": crowds, "images without an object": bare}
    can_have = {name: tuple(p for n, points in categories.values() if n == name for p in points) for name in kept}
    return Listing(
        photos,
        (single,) if single else kept,
        landmark_names,
        faults.problems(pictures.split),
        {what: count for what, count in passed_over.items() if count},
        can_have,
    )


def _value(row: Any, key: str) -> Id | None:
    return as_id(row.get(key)) if isinstance(row, dict) else None


def _categories(rows: Mapping[Id, Row], faults: Faults) -> dict[Id, tuple[str, tuple[str, ...]]]:
    """Name and keypoint names of each category."""
    found: dict[Id, tuple[str, tuple[str, ...]]] = {}
    for key, row in rows.items():
        where, points = f"{FILE}, category {key}", row.get("keypoints", [])
        fault = text_fault(row["name"])
        if fault is not None:
            faults.add(where, fault, "give the category a name")
        elif not isinstance(points, list) or any(text_fault(p) for p in points):
            faults.add(where, f"keypoints {brief(points)}", "give a list of names")
        elif len(set(points)) < len(points):
            faults.add(where, f"a keypoint's name twice in {brief(points)}", "give each keypoint a name of its own")
        else:
            found[key] = row["name"], tuple(points)
    return found


def _pictures(rows: Mapping[Id, Row], splits: Path, test_share: float, faults: Faults) -> Pictures:
    names: dict[Id, str] = {}
    sizes: dict[Id, tuple[int, int]] = {}
    for key, row in rows.items():
        where, size = f"{FILE}, image {key}", (row.get("width"), row.get("height"))
        fault = file_fault(row["file_name"])
        if fault is not None:
            faults.add(where, fault, "name a file below images/", key)
            continue
        if size != (None, None):
            if not all(is_number(side) and side >= 1 and side == int(side) for side in size):  # type: ignore[operator,arg-type]
                faults.add(where, f"a size of {brief(size[0])} x {brief(size[1])} px", "give whole numbers", key)
                continue
            sizes[key] = int(size[0]), int(size[1])  # type: ignore[arg-type]
        names[key] = tidy(row["file_name"])
    by_name = {key: held_out(name, test_share) for key, name in names.items()}
    times = Counter(names.values())
    for key in [key for key, name in names.items() if times[name] > 1]:
        name = names.pop(key)
        faults.add(f"{FILE}, image {key}", f"the file {name!r} twice", "give each file one entry", key)
    if splits.is_file():
        found = _named_splits(splits, names, rows.keys(), faults)
    else:
        found = {key: "test" if tested else "train" for key, tested in by_name.items()}
    return Pictures({key: name for key, name in names.items() if key in found}, sizes, found)


def _named_splits(path: Path, names: Mapping[Id, str], known: Any, faults: Faults) -> dict[Id, Split]:
    """The split of each image that the file names in one of them alone."""
    table, found = read_object(path), dict[Id, Split]()
    sides: tuple[Split, Split] = ("train", "test")
    for split in sides:
        if not isinstance(table.get(split), list):
            keys = ", ".join(map(str, table))
            doing = f"reading the split of {str(path)!r}"
            raise DataError(doing, f"no list {split!r}; keys: {keys}", "list image ids as train and test")
    torn: set[Id] = set()
    for split in sides:
        for value in table[split]:
            key, where = as_id(value), f"{path.name}, {split}"
            if key is None or key not in known:
                what = f"no image with id {brief(value)} in {FILE}, or one with a fault"
                faults.repeat(where, what, "remove the id, or mend the image's entry")
                found |= {} if key is None else {key: split}
            elif key in found:
                said = f"image id {key} twice", "name each image once, in train or in test"
                if found[key] == split:
                    faults.repeat(where, *said, key)
                else:
                    faults.add(where, *said, key)
                    torn.add(key)
            else:
                found[key] = split
    for key in names:
        if key not in found:
            what, todo = f"image id {key} in neither train nor test", "name each image in one of them"
            faults.add(path.name, what, todo, key)
    return {key: split for key, split in found.items() if key not in torn}


def _dangling(
    row: Row, image: Id | None, category: Id | None, pictures: Pictures, names: Mapping[Id, str]
) -> Iterator[tuple[str, str]]:
    """What an object refers to and is not there, or has a fault of its own."""
    if image is None or image not in pictures.names:
        yield f"no image with id {brief(row['image_id'])}, or one with a fault", "add the image, or remove the object"
    if category is None or category not in names:
        yield f"no category with id {brief(row['category_id'])}, or one with a fault", "add it, or remove the object"


def _shape_faults(row: Row, points: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What is wrong with an object's box or keypoints, before any size is asked for."""
    box, values = row["bbox"], row.get("keypoints", [0] * (3 * len(points)))
    if not (isinstance(box, list) and len(box) == 4 and all(map(is_number, box))):
        yield f"bbox {brief(box)}", "give [left, top, width, height]"
    if not isinstance(values, list):
        yield f"keypoints {brief(values)}", "give a list of numbers"
    elif len(values) != 3 * len(points):
        todo = f"give x, y, v for each of: {', '.join(points)}" if points else "name the keypoints in the category"
        yield f"{len(values)} numbers for {len(points)} keypoints", todo
    elif not all(map(is_number, values)):
        wrong = next(value for value in values if not is_number(value))
        yield f"{brief(wrong)} among the keypoints", "give x, y, v as numbers; 0, 0, 0 for an absent one"


def _landmarks(row: Row, names: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[Any, Any]:
    landmarks, present = np.zeros((len(wanted), 2), np.float32), np.zeros(len(wanted), bool)
    values = row.get("keypoints", [])
    for name, x, y, visible in zip(names, values[0::3], values[1::3], values[2::3], strict=False):
        if visible > 0:
            place = wanted.index(name)
            landmarks[place], present[place] = (y, x), True
    return landmarks, present
