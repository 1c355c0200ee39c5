"""From the settings to the images of one split."""

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from partscope.data.check import Checked, check_images
from partscope.data.choices import chosen
from partscope.data.coco_keypoints import read_coco
from partscope.data.creature_kinds import KINDS, PARTS
from partscope.data.creatures import CreaturePhotos
from partscope.data.csv_table import read_csv
from partscope.data.cub200 import read_cub200
from partscope.data.download import fetch_if_missing
from partscope.data.folder import read_folder, read_negatives
from partscope.data.huggingface import read_huggingface
from partscope.data.moved import with_moved_crops
from partscope.data.negatives import read_with_negatives
from partscope.data.part_tables import read_part_tables
from partscope.data.pascal_part import read_pascal_part
from partscope.data.photos import FilePhotos, JoinedPhotos, Listing, MirroredPhotos
from partscope.data.problems import gone, refuse
from partscope.data.sample import PhotoSet
from partscope.errors import DataError, SettingsError
from partscope.settings import DataSettings

Split = Literal["train", "test"]

_READERS = {
    "folder": read_folder,
    "coco": read_coco,
    "csv": read_csv,
    "cub200": read_cub200,
    "pascal_part": read_pascal_part,
    "part_tables": read_part_tables,
    "huggingface": read_huggingface,
}
_OWN_SPLIT = ("pascal_part", "part_tables")


class Progress(NamedTuple):
    """Images looked at, of so many."""

    done: int
    total: int


class Survey(NamedTuple):
    """One split with every image looked at."""

    photos: PhotoSet
    """The images without a fault, unmirrored; what is wrong with the others is in its `left_out`."""
    present: Bool[Tensor, "n k"]
    """Which landmarks are on each image."""
    passed_over: Mapping[str, int] = {}
    """What lies in the data set and is not taken though it has no fault; of both splits, with its number."""


def load_photos(settings: DataSettings, input_size: int, split: Split) -> PhotoSet:
    """List the images of one split; nothing is decoded yet, unless damaged images are to be left out.

    Args:
        settings: which images. With ``on_problem="skip"`` every image is looked at once.
        input_size: side of the square crops in pixels.
        split: `train` or `test`; they share no image.

    Returns:
        The objects, then the negatives; of the training images with `crops` further crops, and with `mirror`
        all of it a second time, mirrored.

    Raises:
        SettingsError: a setting is out of its range.
        DataError: files or annotations are missing or wrong, a category or landmark is unknown, or the split
            is empty.
    """
    steps = open_photos(settings, input_size, split)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            photos: PhotoSet = end.value
            return photos


def open_photos(settings: DataSettings, input_size: int, split: Split) -> Generator[Progress, None, PhotoSet]:
    """As `load_photos`, telling how far the look at the images is.

    Yields:
        Progress, with ``on_problem="skip"``.

    Returns:
        The images, through ``return`` of the generator.

    Raises:
        SettingsError: as `load_photos`.
        DataError: as `load_photos`.
    """
    photos, *negatives = _parts(settings, input_size, split)
    if settings.on_problem == "refuse":
        refuse(
            [p for part in (photos, *negatives) for p in part.left_out],
            f"listing the {split} images of {_place(settings)!r}",
        )
    else:
        photos, *_ = yield from _looked_at(photos, split)
    if not len(photos):
        faults = f"; {len(gone(photos.left_out))} rows or files have a fault" if photos.left_out else ""
        raise DataError(
            f"listing the {split} images of {_place(settings)!r}",
            f"{_nothing_of(photos.categories)} in this split{faults}",
            "add images, or change data.test_share or data.categories",
        )
    for others in negatives:
        if settings.on_problem == "skip":
            others, *_ = yield from _looked_at(others, split)
        photos = JoinedPhotos(photos, others)
    if split == "train":
        photos = with_moved_crops(photos, settings.crops)
    return MirroredPhotos(photos) if settings.mirror and split == "train" else photos


def _nothing_of(categories: tuple[str, ...]) -> str:
    """How a message says that a split is empty.

    >>> _nothing_of(("cat", "dog")), _nothing_of(())
    ('none of cat, dog', 'no object of any category')
    """
    return f"none of {', '.join(categories)}" if categories else "no object of any category"


def survey_photos(settings: DataSettings, input_size: int, split: Split) -> Generator[Progress, None, Survey]:
    """Looks at every image of one split and refuses none of them, whatever the settings say of damaged ones.

    Yields:
        Progress.

    Returns:
        The images without a fault and their landmarks, through ``return`` of the generator.

    Raises:
        SettingsError: as `load_photos`.
        DataError: the data set cannot be read at all, or a category or landmark is unknown.
    """
    photos, *negatives = _parts(settings, input_size, split)
    photos, present, passed_over = yield from _looked_at(photos, split)
    for others in negatives:
        others, *_ = yield from _looked_at(others, split)
        photos = JoinedPhotos(photos, others)
        present = torch.cat([present, torch.zeros(len(others), present.shape[1], dtype=torch.bool)])
    return Survey(photos, present, passed_over)


def _looked_at(photos: PhotoSet, split: Split) -> Generator[Progress, None, Survey]:
    steps = check_images(photos, split)
    while True:
        try:
            yield Progress(next(steps), len(photos))
        except StopIteration as end:
            found: Checked = end.value
            break
    good = [i for i in range(len(photos)) if i not in found.problems]
    if not isinstance(photos, FilePhotos):
        return Survey(photos, found.present[good])
    return Survey(photos.without(found.problems), found.present[good], photos.passed_over)


def _parts(settings: DataSettings, input_size: int, split: Split) -> list[PhotoSet]:
    """The objects and, if there are to be any, the negatives; as their tables have them."""
    _check(settings, input_size)
    read = _drawn if settings.kind == "creatures" else _read
    parts: list[PhotoSet] = [read(settings, input_size, split)]
    if settings.negatives is not None:
        negatives = read_negatives(Path(settings.root or "."), settings.negatives, split)
        parts.append(FilePhotos(negatives, input_size))
    return parts


def _read(settings: DataSettings, input_size: int, split: Split) -> PhotoSet:
    root = Path(settings.root or ".") / settings.folder
    if settings.download:
        fetch_if_missing(settings.kind, root)
    listing: Listing = read_with_negatives(_READERS[settings.kind], root, settings, split)
    carried = _landmarks(listing.landmark_names, settings)
    return FilePhotos(listing, input_size, carried, margin=settings.margin, aspect=settings.aspect)


def _place(settings: DataSettings) -> str:
    return str(Path(settings.root or ".") / settings.folder)


def _check(settings: DataSettings, input_size: int) -> None:
    doing = "checking the settings of the data"
    if settings.kind not in ("creatures", *_READERS):
        raise SettingsError(doing, f"data.kind {settings.kind!r}", f"use one of: creatures, {', '.join(_READERS)}")
    if not 0 <= settings.test_share <= 1:
        raise SettingsError(doing, f"data.test_share {settings.test_share}", "give a share from 0 to 1")
    if min(settings.train_images, settings.test_images) < 1 or settings.seed < 0:
        raise SettingsError(
            doing,
            f"{settings.train_images} training and {settings.test_images} test images, seed {settings.seed}",
            "give at least one image of each and a seed of 0 or more",
        )
    if input_size < 1:
        raise SettingsError(doing, f"images of {input_size} px", "give an input_size of at least 1 px")
    if settings.min_side < 0 or not 0 <= settings.margin <= 10:
        raise SettingsError(
            doing,
            f"data.min_side {settings.min_side}, data.margin {settings.margin}",
            "give a min_side of 0 or more and a margin from 0 to 10",
        )
    if not 1 <= settings.crops <= 100:
        raise SettingsError(
            doing, f"data.crops {settings.crops}", "give 1 (the box alone) to 100 crops of each photograph"
        )
    if settings.split == "authors" and settings.kind not in _OWN_SPLIT:
        raise SettingsError(
            doing, f"data.split 'authors' with data.kind {settings.kind!r}", f"it is for: {', '.join(_OWN_SPLIT)}"
        )
    if settings.root is None and settings.kind != "creatures":
        raise SettingsError(doing, f"no data.root for data.kind {settings.kind!r}", "set data.root to a folder")


def _landmarks(found: tuple[str, ...], settings: DataSettings) -> tuple[int, ...]:
    return tuple(found.index(n) for n in chosen(found, settings.landmarks, "landmark", "data.landmarks"))


def _drawn(settings: DataSettings, input_size: int, split: Split) -> PhotoSet:
    if settings.negative_categories or settings.margin or settings.aspect != "stretch" or settings.crops > 1:
        raise SettingsError(
            "checking the settings of the data",
            "data.negative_categories, data.margin, data.aspect or data.crops with drawn creatures",
            "leave them out: drawings have negatives of their own and no box",
        )
    if settings.single_category is not None:
        raise SettingsError(
            "checking the settings of the data",
            f"data.single_category {settings.single_category!r} with drawn creatures",
            "choose kinds by data.categories",
        )
    return CreaturePhotos(
        settings.train_images if split == "train" else settings.test_images,
        split,
        seed=settings.seed,
        input_size=input_size,
        categories=chosen(tuple(KINDS), settings.categories, "category", "data.categories"),
        landmarks=_landmarks(PARTS, settings),
    )
