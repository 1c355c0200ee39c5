"""CUB-200-2011 in its official layout: birds with boxes and fifteen part locations."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from partscope.data.choices import chosen
from partscope.data.files import read_text, require_files
from partscope.data.photos import Listing, Photo
from partscope.errors import DataError
from partscope.settings import DataSettings


def read_cub200(root: Path, settings: DataSettings, split: Literal["train", "test"]) -> Listing:
    """List the birds of the official split, each cropped to its box; only visible parts are present.

    Raises:
        DataError: a table is missing, has a row that cannot be read, lacks a row, or has one twice.
    """
    names = _named_rows(root / "images.txt")
    species = _named_rows(root / "classes.txt")
    parts = _named_rows(root / "parts" / "parts.txt")
    ids = np.fromiter(names, int, len(names))
    boxes = _for_each(root / "bounding_boxes.txt", ids, 5)
    labels = _for_each(root / "image_class_labels.txt", ids, 2)[:, 0].astype(int)
    training = _for_each(root / "train_test_split.txt", ids, 2)[:, 0] != 0
    unknown = ~np.isin(labels, list(species))
    if unknown.any():
        raise DataError(
            f"reading {str(root / 'image_class_labels.txt')!r}",
            f"image {ids[unknown][0]} is of class {labels[unknown][0]}, which classes.txt lacks",
            "restore the line of classes.txt",
        )
    kept = chosen(sorted(species.values()), settings.categories, "category", "data.categories")
    points, visible = _part_locations(root / "parts" / "part_locs.txt", ids, np.fromiter(parts, int, len(parts)))
    single = settings.single_category
    file_names = list(names.values())
    photos = [
        Photo(
            root / "images" / file_names[i],
            file_names[i],
            0 if single else kept.index(species[label]),
            points[i],
            visible[i],
            (boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]),
            None,
            f"image {ids[i]} of bounding_boxes.txt and parts/part_locs.txt",
        )
        for i, label in enumerate(labels.tolist())
        if species[label] in kept and training[i] == (split == "train")
    ]
    require_files(root / "images", ((p.name, f"images.txt, {p.source.split(' of ')[0]},") for p in photos))
    return Listing(photos, (single,) if single else kept, tuple(parts.values()))


def _named_rows(path: Path) -> dict[int, str]:
    """Rows of a number and a name."""
    rows: dict[int, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        key, _, name = line.strip().partition(" ")
        if not line.strip():
            continue
        if not key.isdigit() or not name:
            raise _bad_line(path, number, f"{line!r}", "give a number and a name")
        if int(key) in rows:
            raise _bad_line(path, number, f"id {key} a second time", "give each id one line")
        rows[int(key)] = name.strip()
    if not rows:
        raise DataError(f"reading {str(path)!r}", "an empty file", "restore it")
    return rows


def _bad_line(path: Path, number: int, got: str, todo: str) -> DataError:
    return DataError(f"reading line {number} of {str(path)!r}", got, todo)


def _numbers(path: Path, width: int) -> NDArray[np.float64]:
    """Rows of `width` numbers."""
    text = read_text(path)
    lines = text.splitlines()
    try:
        table = np.array(text.split(), float)
    except ValueError:
        table = np.zeros(0)
    if table.size == width * len(lines) and np.isfinite(table).all() and _even(lines, width):
        return table.reshape(-1, width)
    for number, line in enumerate(lines, 1):
        try:
            good = len(line.split()) == width and np.isfinite([float(word) for word in line.split()]).all()
        except ValueError:
            good = False
        if not good:
            raise _bad_line(path, number, f"{line!r}", f"give {width} numbers separated by spaces")
    raise DataError(f"reading {str(path)!r}", "an empty file", "restore it")


def _even(lines: list[str], width: int) -> bool:
    return bool(lines) and all(line.count(" ") == width - 1 for line in lines)


def _rows_of(path: Path, keys: NDArray[np.int_], ids: NDArray[np.int_]) -> NDArray[np.int_]:
    """Position in `ids` of each key; -1 for one that `images.txt` does not have."""
    order = np.argsort(ids)
    place = np.minimum(np.searchsorted(ids, keys, sorter=order), len(ids) - 1)
    return np.where(ids[order[place]] == keys, order[place], -1)


def _for_each(path: Path, ids: NDArray[np.int_], width: int) -> NDArray[np.float64]:
    """The numbers behind each image's id, in the order of `ids`."""
    table = _numbers(path, width)
    place = _rows_of(path, table[:, 0].astype(int), ids)
    counts = np.bincount(place[place >= 0], minlength=len(ids))
    if (counts > 1).any():
        twice = ids[counts > 1][0]
        number = int(np.flatnonzero(table[:, 0] == twice)[1]) + 1
        raise _bad_line(path, number, f"image {twice} a second time", "give each image one line")
    if (counts == 0).any():
        raise DataError(
            f"reading {str(path)!r}",
            f"no line for image {ids[counts == 0][0]} of images.txt",
            "restore the line",
        )
    values = np.zeros((len(ids), width - 1))
    values[place[place >= 0]] = table[place >= 0, 1:]
    return values


def _part_locations(
    path: Path, ids: NDArray[np.int_], parts: NDArray[np.int_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(N, K, 2) (row, column) and (N, K) whether visible."""
    table = _numbers(path, 5)
    image, part = _rows_of(path, table[:, 0].astype(int), ids), _rows_of(path, table[:, 1].astype(int), parts)
    if (part < 0).any():
        number = int(np.flatnonzero(part < 0)[0])
        raise _bad_line(path, number + 1, f"part {table[number, 1]:g}, which parts.txt lacks", "correct the part's id")
    known = image >= 0
    slot = image[known] * len(parts) + part[known]
    counts = np.bincount(slot, minlength=len(ids) * len(parts))
    if (counts > 1).any():
        number = int(np.flatnonzero(known)[np.flatnonzero(slot == np.argmax(counts > 1))[1]]) + 1
        raise _bad_line(path, number, "an image and part a second time", "give each part of an image one line")
    if (counts == 0).any():
        one, k = divmod(int(np.argmax(counts == 0)), len(parts))
        raise DataError(f"reading {str(path)!r}", f"no line for image {ids[one]}, part {parts[k]}", "restore the line")
    points = np.zeros((len(ids) * len(parts), 2), np.float32)
    visible = np.zeros(len(ids) * len(parts), bool)
    points[slot], visible[slot] = table[known, 3:1:-1], table[known, 4] != 0
    return points.reshape(len(ids), -1, 2), visible.reshape(len(ids), -1)
