"""CUB-200-2011 in its official layout: birds with boxes and fifteen part locations."""

from collections import Counter
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partscope.data.choices import chosen
from partscope.data.cub_tables import Slots, Table, named_rows, number_rows, one_each, places_of
from partscope.data.names import Shelf, file_fault, tidy
from partscope.data.photos import Listing, Photo, misfits
from partscope.data.problems import Faults
from partscope.settings import DataSettings

IMAGES, LOCATIONS = "images.txt", "parts/part_locs.txt"


def read_cub200(root: Path, settings: DataSettings, split: Literal["train", "test"]) -> Listing:
    """List the birds of the official split, each cropped to its box; only visible parts are present.

    An image that a table lacks, doubles or garbles is among the listing's problems, and so is a row for an image,
    class or part that is not known.

    Raises:
        DataError: a table is missing or holds nothing, or a wanted species is not there.
    """
    faults = Faults()
    names = _file_names(root, faults)
    species = {key: name for key, (name, _) in named_rows(root, "classes.txt", faults).items()}
    parts = {key: name for key, (name, _) in named_rows(root, "parts/parts.txt", faults).items()}
    birds = _Birds(root, np.fromiter(names, int, len(names)), faults, set())
    boxes = birds.read("bounding_boxes.txt", 5)
    labels = birds.read("image_class_labels.txt", 2)
    training = birds.read("train_test_split.txt", 2)
    label = labels.values[:, 0].astype(int).tolist()
    for i in np.flatnonzero(labels.filled).tolist():
        if label[i] not in species:
            what = f"image {birds.ids[i]} is of class {labels.values[i, 0]:g}, which classes.txt lacks"
            where = f"image_class_labels.txt, line {labels.line[i]}"
            faults.add(where, what, "restore the line of classes.txt, or correct the class", int(birds.ids[i]))
    halves = training.values[:, 0]
    for i in np.flatnonzero(training.filled & (halves != 0) & (halves != 1)).tolist():
        where, what = f"train_test_split.txt, line {training.line[i]}", f"{halves[i]:g} instead of 0 or 1"
        faults.add(where, what, "give 1 for training, 0 for testing", int(birds.ids[i]))
    points, visible = _part_locations(birds, np.fromiter(parts, int, len(parts)), tuple(parts.values()))
    kept = chosen(sorted(set(species.values())), settings.categories, "category", "data.categories")
    shelf = Shelf(root / "images", f"listing the images of {str(root)!r}")
    single = settings.single_category
    ids = birds.ids.tolist()
    split_of = {
        key: "train" if half == 1 else "test"
        for key, half, known in zip(ids, halves.tolist(), training.filled.tolist(), strict=True)
        if known and half in (0, 1)
    }
    unwanted = [
        key
        for key, kind, known in zip(ids, label, labels.filled.tolist(), strict=True)
        if known and kind in species and species[kind] not in kept
    ]
    passed_over = {*unwanted, *faults.images}
    photos: list[Photo] = []
    for i, key in enumerate(ids):
        if key in passed_over or not (boxes.filled[i] and labels.filled[i] and training.filled[i]):
            continue
        name = names[key]
        box = boxes.values[i]
        source = f"image {key} of bounding_boxes.txt and {LOCATIONS}"
        category = 0 if single else kept.index(species[label[i]])
        photo = Photo(
            root / "images" / name,
            name,
            category,
            points[i],
            visible[i],
            (box[0], box[1], box[2], box[3]),
            None,
            source,
        )
        said = misfits(photo, None, tuple(parts.values()))
        for what, todo in said:
            where = f"bounding_boxes.txt, line {boxes.line[i]}" if what.startswith("a box") else LOCATIONS
            faults.add(where, f"image {key}: {what}", todo, key)
        lacks = shelf.lacks(name)
        if lacks is not None:
            faults.add(f"{IMAGES}, image {key}", *lacks, key)
        if not said and lacks is None and split_of[key] == split:
            photos.append(photo)
    return Listing(photos, (single,) if single else kept, tuple(parts.values()), faults.problems(split_of, unwanted))


def _file_names(root: Path, faults: Faults) -> dict[int, str]:
    rows = named_rows(root, IMAGES, faults, images=True)
    times = Counter(tidy(name) for name, _ in rows.values())
    found = {}
    for key, (name, line) in rows.items():
        where, fault = f"{IMAGES}, line {line}", file_fault(name)
        if fault is not None:
            faults.add(where, fault, "name a file below images/", key)
        elif times[tidy(name)] > 1:
            faults.add(where, f"the file {name!r} twice", "give each file one line", key)
        found[key] = tidy(name)
    return found


class _Birds(NamedTuple):
    """The images that the tables speak of."""

    root: Path
    ids: NDArray[np.int_]
    faults: Faults
    strange: set[int]
    """Ids that `images.txt` lacks and that were told already."""

    def table(self, name: str, width: int, keys: int) -> tuple[Table, NDArray[np.int_]]:
        """Rows of numbers, and the place of each row's image; -1 for an image that is not known."""
        table = number_rows(self.root, name, width, keys, self.faults)
        place = places_of(table.values[:, 0], self.ids)
        for row in np.flatnonzero(place < 0).tolist():
            key = int(table.values[row, 0])
            if key not in self.strange:
                self.strange.add(key)
                what = f"image {key}, which {IMAGES} lacks or has in another line with a fault"
                self.faults.add(table.where(row), what, f"restore the line of {IMAGES}, or remove this one", key)
        return table, place

    def read(self, name: str, width: int) -> Slots:
        """The numbers behind each image's id."""
        table, place = self.table(name, width, 1)
        slots = one_each(table, place, len(self.ids), 1, "image {}", table.values[:, 0].astype(int), self.faults)
        for key in self.ids[slots.line == 0].tolist():
            if key not in table.broken:
                self.faults.add(name, f"no line for image {key} of {IMAGES}", "restore the line", key)
        return slots


def _part_locations(
    birds: _Birds, parts: NDArray[np.int_], names: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(N, K, 2) (row, column) and (N, K) whether visible."""
    table, image = birds.table(LOCATIONS, 5, 2)
    part = places_of(table.values[:, 1], parts)
    for key in np.unique(table.values[part < 0, 1]).tolist():
        row = int(np.flatnonzero(table.values[:, 1] == key)[0])
        what, todo = f"part {key:g}, which parts.txt lacks", "correct the part's id"
        birds.faults.add(table.where(row), what, todo)
    slot = np.where((image >= 0) & (part >= 0), image * len(parts) + part, -1)
    count = len(birds.ids) * len(parts)
    ids = table.values[:, 0].astype(int)
    slots = one_each(table, slot, count, 2, "an image and part (image {})", ids, birds.faults)
    empty = (slots.line == 0).reshape(len(birds.ids), -1)
    for i in np.flatnonzero(empty.any(1)).tolist():
        key, lacking = int(birds.ids[i]), parts[empty[i]].tolist()
        if key not in table.broken:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            what = f"no line for image {key}, part {lacking[0]}{more}"
            birds.faults.add(LOCATIONS, what, "restore the line", key)
    odd = slots.filled & (slots.values[:, 2] != 0) & (slots.values[:, 2] != 1)
    for place in np.flatnonzero(odd).tolist():
        what = f"visible is {slots.values[place, 2]:g} instead of 0 or 1"
        image_id = int(birds.ids[place // len(parts)])
        birds.faults.add(f"{LOCATIONS}, line {slots.line[place]}", what, "correct it", image_id)
    points = slots.values[:, 1::-1].astype(np.float32)
    seen = slots.values[:, 2] == 1
    return points.reshape(len(birds.ids), -1, 2), seen.reshape(len(birds.ids), -1)
