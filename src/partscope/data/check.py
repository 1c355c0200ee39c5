"""Asks for every image once, so that a damaged one is found before anything rests on it."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from partscope.data.problems import Problem
from partscope.data.sample import PhotoSet
from partscope.errors import DataError

_AT_ONCE = 256


class Checked(NamedTuple):
    """What a look at every image found."""

    problems: dict[int, Problem]
    """The fault of each image that cannot be used, by its index."""
    present: Bool[Tensor, "n k"]
    """Which landmarks are on each image; none on one with a fault."""


def check_images(photos: PhotoSet, split: str | None = None, workers: int = 2) -> Generator[int, None, Checked]:
    """Decodes and crops every image once, exactly as a fit would, and keeps what cannot be.

    Finds truncated and empty files, files that are no images, decompression bombs, images of another size than their
    annotation states, boxes without area on their image and landmarks outside of it. Memory does not grow with the
    number of images.

    Args:
        photos: the set.
        split: `train` or `test`, for the problems.
        workers: threads.

    Yields:
        Images looked at so far.

    Returns:
        The problems and the landmarks that are present, through ``return`` of the generator.
    """
    problems: dict[int, Problem] = {}
    present = torch.zeros(len(photos), len(photos.landmark_names), dtype=torch.bool)

    def look(i: int) -> Tensor | DataError:
        try:
            return photos[i].present
        except DataError as error:
            return error

    with ThreadPoolExecutor(workers, thread_name_prefix="partscope-check") as pool:
        names = photos.names()
        for start in range(0, len(photos), _AT_ONCE):
            some = range(start, min(start + _AT_ONCE, len(photos)))
            for i, found in zip(some, pool.map(look, some), strict=True):
                if isinstance(found, DataError):
                    problems[i] = Problem(f"image {names[i]!r}", _said(found), found.todo, split)
                else:
                    present[i] = found
                yield i + 1
    return Checked(problems, present)


def _said(error: DataError) -> str:
    """The error's finding, with the annotation's line where what was being done names it."""
    _, bracket, source = error.doing.partition(" (")
    return f"{error.got} ({source.partition(')')[0]})" if bracket and error.doing.startswith("fitting") else error.got
