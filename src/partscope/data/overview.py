"""What a data set holds, counted: images by category and split, landmarks by split, sizes."""

import contextlib
import statistics
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from partscope.data.load import Survey
from partscope.data.problems import Problem
from partscope.data.sample import NEGATIVE
from partscope.errors import DataError

NEGATIVES = "(negatives)"
_SIZES_READ = 2000


class CountRow(NamedTuple):
    """One line of a table of counts."""

    name: str
    train: int
    test: int


class Sizes(NamedTuple):
    """Sides of the image files in pixels, upright."""

    images: int
    """How many were asked."""
    width: tuple[int, int, int]
    """Least, median, most."""
    height: tuple[int, int, int]


class Overview(NamedTuple):
    """What `partscope data` prints."""

    categories: list[CountRow]
    """Images of each category, the negatives last if there are any."""
    landmarks: list[CountRow]
    """Images on which each landmark is present."""
    sizes: Sizes | None
    """None where images come from no file."""
    problems: tuple[Problem, ...]
    """Of both splits, each once."""
    empty: tuple[str, ...]
    """Those of the splits (`training`, `test`) without an image of any category, which no fit takes."""
    passed_over: Mapping[str, int]
    """What lies in the data set and is not taken though it has no fault, with its number."""


def overview(train: Survey, test: Survey) -> Overview:
    """Counts what two surveyed splits hold."""
    tallies = [Counter(s.photos.category_of(i) for i in range(len(s.photos))) for s in (train, test)]
    names = dict(enumerate(train.photos.categories)) | {NEGATIVE: NEGATIVES}
    rows = [CountRow(name, *(tally[c] for tally in tallies)) for c, name in names.items()]
    present = [s.present.sum(0).tolist() for s in (train, test)]
    landmarks = [CountRow(name, *counts) for name, *counts in zip(train.photos.landmark_names, *present, strict=True)]
    return Overview(
        rows if rows[-1].train + rows[-1].test else rows[:-1],
        landmarks,
        _sizes(train, test),
        tuple(dict.fromkeys((*train.photos.left_out, *test.photos.left_out))),
        tuple(
            name for name, tally in zip(("training", "test"), tallies, strict=True) if tally.total() == tally[NEGATIVE]
        ),
        train.passed_over,
    )


def _sizes(*surveys: Survey) -> Sizes | None:
    found: list[tuple[int, int] | None] = []
    for survey in surveys:
        photos = survey.photos
        step = max(1, len(photos) // _SIZES_READ)
        for i in range(0, len(photos), step):
            with contextlib.suppress(DataError):  # told among the problems
                found.append(photos.source_size(i))
    known = [size for size in found if size is not None]
    if not known:
        return None
    widths, heights = zip(*known, strict=True)
    return Sizes(len(known), *((min(v), int(statistics.median(v)), max(v)) for v in (widths, heights)))
