"""More of few photographs: crops of the same objects, moved and rescaled."""

import math
import random

from partscope.data.photos import FilePhotos, JoinedPhotos, Photo
from partscope.data.sample import PhotoSet

Box = tuple[float, float, float, float]

SHIFT = 0.08
"""Largest move along each axis, as a share of the box's own side."""
GROWTH = (-0.2, 0.1)
"""Range of the logarithm of the change of size: rather nearer than farther, a box is seldom too tight."""
STRETCH = 0.08
"""Largest logarithm of the change of shape."""


def with_moved_crops(photos: PhotoSet, crops: int) -> PhotoSet:
    """A set followed by moved and rescaled crops of its own images, negatives among themselves.

    Args:
        photos: of files, or joined of such; a set of another kind stays as it is.
        crops: of each image, the first its own box; 1 changes nothing.

    Raises:
        DataError: an image without a box cannot be read.
    """
    if crops == 1:
        return photos
    if isinstance(photos, JoinedPhotos):
        return JoinedPhotos(with_moved_crops(photos.first, crops), with_moved_crops(photos.second, crops))
    return photos.extended(_copies(photos, crops)) if isinstance(photos, FilePhotos) else photos


def _copies(photos: FilePhotos, crops: int) -> list[Photo]:
    boxes = [within(photos.listed[i].box, photos.source_size(i)) for i in range(len(photos))]
    return [
        photo._replace(box=moved_box(box, f"{photo.name} {k}"), name=f"{photo.name} (moved {k})")
        for k in range(1, crops)
        for photo, box in zip(photos.listed, boxes, strict=True)
    ]


def within(box: Box | None, size: tuple[int, int]) -> Box:
    """The part of a box that lies on its image: the box of an object that a file shows.

    Args:
        box: left, top, width, height in pixels; None is the whole image.
        size: width and height of the image.

    >>> within((-96.0, 0.0, 100.0, 100.0), (200, 160))
    (0.0, 0.0, 4.0, 100.0)
    """
    left, top, width, height = box or (0.0, 0.0, *map(float, size))
    right, bottom = min(left + width, float(size[0])), min(top + height, float(size[1]))
    left, top = max(left, 0.0), max(top, 0.0)
    return left, top, right - left, bottom - top


def moved_box(box: Box, dice: str) -> Box:
    """A box near another, the same for the same `dice`.

    Args:
        box: left, top, width, height in pixels; the result may reach beyond the image.
        dice: what the draw depends on.

    What a moved box has outside the image is cut off, as of any box; its middle never leaves the object.

    >>> moved_box((10.0, 20.0, 100.0, 50.0), "a.jpg 1") == moved_box((10.0, 20.0, 100.0, 50.0), "a.jpg 1")
    True
    """
    draw = random.Random(dice)
    left, top, width, height = box
    scale, shape = math.exp(draw.uniform(*GROWTH)), math.exp(draw.uniform(-STRETCH, STRETCH))
    wide, tall = width * scale * shape, height * scale
    column = left + width / 2 + draw.uniform(-SHIFT, SHIFT) * width
    row = top + height / 2 + draw.uniform(-SHIFT, SHIFT) * height
    return column - wide / 2, row - tall / 2, wide, tall
