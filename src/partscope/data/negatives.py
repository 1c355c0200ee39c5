"""Other categories of the same data set as negatives, and several categories as one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from partscope.data.choices import chosen
from partscope.data.photos import Listing
from partscope.data.sample import NEGATIVE
from partscope.errors import DataError, SettingsError
from partscope.settings import DataSettings

Split = Literal["train", "test"]
Reader = Callable[[Path, DataSettings, Split], Listing]

_SETTING = "data.negative_categories"


def read_with_negatives(reader: Reader, root: Path, settings: DataSettings, split: Split) -> Listing:
    """What a reader lists, with the objects of `negative_categories` as negatives: they carry no landmark.

    Landmarks that none but negatives can have are left out.

    Raises:
        SettingsError: a category is wanted both ways, or none is left.
        DataError: as the reader; a category is not in the data.
    """
    wanted = settings.negative_categories
    if not wanted:
        return reader(root, settings, split)
    both = [name for name in wanted if name in settings.categories]
    if both:
        raise SettingsError(
            "checking the settings of the data",
            f"category {both[0]!r} in data.categories and in {_SETTING}",
            "name it in one of them",
        )
    every = (*settings.categories, *wanted) if settings.categories else ()
    try:
        listing = reader(root, replace(settings, categories=every, single_category=None), split)
        chosen(listing.categories, wanted, "category", _SETTING)
    except DataError as error:
        if any(error.got in (f"no category {name!r} in the data", f"category {name!r} twice") for name in wanted):
            raise DataError(f"choosing by the setting {_SETTING}", error.got, error.todo) from error
        raise
    kept = tuple(name for name in listing.categories if name not in wanted)
    if not kept:
        raise SettingsError(
            "checking the settings of the data", f"{_SETTING} names all categories", "leave one of them out"
        )
    every_name, can_have = listing.landmark_names, listing.landmarks_of
    own = {point for name in kept for point in can_have.get(name, every_name)}
    columns = [k for k, name in enumerate(every_name) if name in own]
    single = settings.single_category
    photos = []
    for photo in listing.photos:
        photo = photo._replace(landmarks=photo.landmarks[columns], present=photo.present[columns])
        name = listing.categories[photo.category]
        if name in kept:
            photos.append(photo._replace(category=0 if single else kept.index(name)))
        else:
            nothing = np.zeros_like(photo.landmarks), np.zeros_like(photo.present)
            photos.append(photo._replace(category=NEGATIVE, landmarks=nothing[0], present=nothing[1]))
    return listing._replace(
        photos=photos,
        categories=(single,) if single else kept,
        landmark_names=tuple(every_name[k] for k in columns),
    )
