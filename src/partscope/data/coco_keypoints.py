"""Objects with keypoints in COCO's format: `annotations.json`, `images/` and, if there, `splits.json`."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from partscope.data.choices import chosen, held_out
from partscope.data.files import read_text, require_files
from partscope.data.photos import Listing, Photo, checked_box
from partscope.errors import DataError
from partscope.settings import DataSettings

Split = Literal["train", "test"]
Row = Mapping[str, Any]


def read_coco(root: Path, settings: DataSettings, split: Split) -> Listing:
    """List the objects of one split, each cropped to its box.

    `splits.json` holds lists of image ids under `train` and `test`; without it a hash of the file
    name decides.
    A keypoint `[x, y, v]` with v > 0 is present. Crowds (`iscrowd`) are no single objects and are left out.

    Raises:
        DataError: a file, row or value is missing, doubled or impossible.
    """
    path = root / "annotations.json"
    table = _loaded(path)
    images = _by_id(path, table, "images", ("file_name",))
    categories = _by_id(path, table, "categories", ("name",))
    objects = _by_id(path, table, "annotations", ("image_id", "category_id", "bbox"))
    names = [row["name"] for row in categories.values()]
    kept = chosen(sorted(set(names)), settings.categories, "category", "data.categories")
    points = {key: tuple(row.get("keypoints", ())) for key, row in categories.items() if row["name"] in kept}
    landmark_names = tuple(dict.fromkeys(name for group in points.values() for name in group))
    tested = _test_images(root / "splits.json", images, settings.test_share)
    single = settings.single_category
    shared = _shared_images(objects)
    photos = []
    for key, row in objects.items():
        source = f"{path.name}, annotation {key}"
        image = _looked_up(path, images, row["image_id"], "image", source)
        category = _looked_up(path, categories, row["category_id"], "category", source)
        if row["category_id"] not in points or row.get("iscrowd") or tested[row["image_id"]] != (split == "test"):
            continue
        landmarks, present = _keypoints(row, points[row["category_id"]], landmark_names, path, source)
        size = (int(image["width"]), int(image["height"])) if {"width", "height"} <= image.keys() else None
        photo = Photo(
            root / "images" / image["file_name"],
            image["file_name"] + (f"#{key}" if row["image_id"] in shared else ""),
            0 if single else kept.index(category["name"]),
            landmarks,
            present,
            _box(row, path, source),
            size,
            source,
        )
        if size is not None:
            checked_box(photo, *size)
        photos.append(photo)
    require_files(root / "images", ((p.path.relative_to(root / "images").as_posix(), p.source) for p in photos))
    return Listing(photos, (single,) if single else kept, landmark_names)


def _loaded(path: Path) -> Row:
    text = read_text(path)
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"reading {str(path)!r}",
            f"no JSON in line {error.lineno}, column {error.colno}: {error.msg}",
            "export the annotations again",
        ) from error
    if not isinstance(table, dict):
        raise DataError(f"reading {str(path)!r}", f"a {type(table).__name__}", "give a JSON object")
    return table


def _by_id(path: Path, table: Row, key: str, needed: tuple[str, ...]) -> dict[int, Row]:
    doing = f"reading {key!r} of {str(path)!r}"
    rows = table.get(key)
    if not isinstance(rows, list):
        raise DataError(doing, f"no list of {key!r}; keys: {', '.join(table)}", "export COCO keypoint annotations")
    found: dict[int, Row] = {}
    for number, row in enumerate(rows):
        lacking = [k for k in ("id", *needed) if not isinstance(row, dict) or k not in row]
        if lacking:
            raise DataError(doing, f"entry {number} has no {lacking[0]!r}", "add it")
        if row["id"] in found:
            raise DataError(doing, f"id {row['id']} twice", "give each entry an id of its own")
        found[row["id"]] = row
    return found


def _looked_up(path: Path, rows: dict[int, Row], key: int, noun: str, source: str) -> Row:
    if key not in rows:
        raise DataError(
            f"reading {str(path)!r}",
            f"{source}: no {noun} with id {key}",
            f"add the {noun}, or remove the annotation",
        )
    return rows[key]


def _shared_images(objects: dict[int, Row]) -> set[int]:
    times = Counter(row["image_id"] for row in objects.values())
    return {key for key, count in times.items() if count > 1}


def _box(row: Row, path: Path, source: str) -> tuple[float, float, float, float]:
    try:
        left, top, width, height = map(float, row["bbox"])
    except (TypeError, ValueError) as error:
        raise DataError(
            f"reading {str(path)!r}", f"{source}: bbox {row['bbox']!r}", "give [left, top, width, height]"
        ) from error
    return left, top, width, height


def _keypoints(
    row: Row, names: tuple[str, ...], wanted: tuple[str, ...], path: Path, source: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    landmarks, present = np.zeros((len(wanted), 2), np.float32), np.zeros(len(wanted), bool)
    values = row.get("keypoints", [0] * (3 * len(names)))
    if len(values) != 3 * len(names):
        raise DataError(
            f"reading {str(path)!r}",
            f"{source}: {len(values)} numbers for {len(names)} keypoints",
            f"give x, y, v for each of: {', '.join(names)}",
        )
    for name, x, y, visible in zip(names, values[0::3], values[1::3], values[2::3], strict=True):
        if visible > 0:
            landmarks[wanted.index(name)], present[wanted.index(name)] = (y, x), True
    return landmarks, present


def _test_images(path: Path, images: dict[int, Row], test_share: float) -> dict[int, bool]:
    """For each image, whether it is for testing."""
    if not path.is_file():
        return {key: held_out(row["file_name"], test_share) for key, row in images.items()}
    table = _loaded(path)
    doing = f"reading the split of {str(path)!r}"
    tested: dict[int, bool] = {}
    for split in ("train", "test"):
        if not isinstance(table.get(split), list):
            raise DataError(doing, f"no list {split!r}; keys: {', '.join(table)}", "list image ids as train and test")
        for key in table[split]:
            if key not in images:
                raise DataError(doing, f"{split}: no image with id {key} in annotations.json", "remove the id")
            if key in tested:
                raise DataError(doing, f"image id {key} twice", "name each image once, in train or in test")
            tested[key] = split == "test"
    lacking = [key for key in images if key not in tested]
    if lacking:
        raise DataError(doing, f"image id {lacking[0]} in neither train nor test", "name each image in one of them")
    return tested
