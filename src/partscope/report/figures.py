"""Photographs and places of the gallery, light enough for one page."""

import base64
import io
from typing import NamedTuple

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from PIL import Image

from partscope.report.reading import Gallery

BUDGET_BYTES = 4_400_000
SIDE_PX, LEAST_PX = 256, 40
SAMPLE = 24


class Mark(NamedTuple):
    """A place on an image, in percent of its width and height."""

    left: float
    top: float


class Frame(NamedTuple):
    """Where a map lies on its image, in percent of the image's width and height."""

    left: float
    top: float
    width: float
    height: float


def map_frame(gallery: Gallery) -> Frame:
    """Finds where the maps' grid lies on the image, from the peaks' units and their image points.

    A unit's point is ``start + stride * unit``; both are fitted by least squares to all peaks that are shown.
    With peaks in fewer than two rows (columns) the grid is spread over the whole image instead.

    Args:
        gallery: maps and points.

    Returns:
        The frame of the whole grid, each unit's cell centred on its point.
    """
    height, width = gallery.images.shape[-2:]
    rows, columns = gallery.raw_maps.shape[-2:]
    shown = gallery.raw_maps.max(axis=(-2, -1), initial=-np.inf) > 0
    units = gallery.raw_maps.reshape(*shown.shape, rows * columns)[shown].argmax(-1) if rows * columns else []
    unit_row, unit_column = np.divmod(np.asarray(units, dtype=np.int64), max(columns, 1))
    points = gallery.points[shown]
    top, frame_height = _extent(unit_row, points[:, 0], rows, height)
    left, frame_width = _extent(unit_column, points[:, 1], columns, width)
    return Frame(left, top, frame_width, frame_height)


def mark(gallery: Gallery, point: NDArray[np.float32]) -> Mark:
    """A point (row, column), px, as a place on its image: pixel centres lie half a pixel in."""
    height, width = gallery.images.shape[-2:]
    return Mark(left=100 * (float(point[1]) + 0.5) / width, top=100 * (float(point[0]) + 0.5) / height)


def landmark_point(gallery: Gallery, image: int, landmark: str | None) -> NDArray[np.float32] | None:
    """Where a landmark lies on an image (row, column), px; none where it is unknown or not annotated."""
    if landmark not in gallery.landmark_names:
        return None
    index = gallery.landmark_names.index(landmark)
    point: NDArray[np.float32] = gallery.landmarks[image, index]
    return point if gallery.present[image, index] and np.isfinite(point).all() else None


def in_words(gallery: Gallery, row: int, place: int, filter_: int, landmark: str | None) -> str:
    """One image of one filter for those who cannot see it."""
    image = int(gallery.image_index[row, place])
    point, marked = gallery.points[row, place], landmark_point(gallery, image, landmark)
    where = f"part location at {_spot(point)}"
    near = f"; {landmark} at {_spot(marked)}" if marked is not None else ""
    silent = gallery.raw_maps[row, place].max() <= 0
    return f"Filter {filter_} on {gallery.names[image]}: {'the filter is silent' if silent else where}{near}"


def photo_uris(gallery: Gallery, budget: int = BUDGET_BYTES) -> list[str]:
    """Encodes each image that is shown, smaller where all of them together would be too heavy.

    Args:
        gallery: its images; none is enlarged.
        budget: most characters of all of them together.

    Returns:
        A data URI per gallery image; empty text for an image that no filter shows.
    """
    used = sorted({int(image) for image in gallery.image_index.ravel()})
    side, quality = min(SIDE_PX, max(gallery.images.shape[-2:])), 82
    sample = used[:: max(1, len(used) // SAMPLE)]
    while sample and side > LEAST_PX:
        weight = sum(len(_photo(gallery.images[image], side, quality)) for image in sample)
        if weight * len(used) <= 0.95 * budget * len(sample):
            break
        side, quality = int(side * 0.85), max(60, quality - 4)
    while True:
        photos = {image: _photo(gallery.images[image], side, quality) for image in used}
        if side <= LEAST_PX or sum(map(len, photos.values())) <= budget:
            return [photos.get(image, "") for image in range(len(gallery.images))]
        side, quality = int(side * 0.9), max(60, quality - 4)


def field_outline(maps: NDArray[np.float32], cell: int) -> list[list[float]]:
    """Outlines of the area where a measured receptive field is at least half its maximum.

    Args:
        maps: (C, C) averaged losses; the unit is the middle cell.
        cell: side of a cell, px.

    Returns:
        A list for each closed line: right, down, right, down ... of its corners, px from the unit; none where nothing
        was lost.

    Example:
        >>> (line,) = field_outline(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32), 4)
        >>> sorted(set(zip(line[::2], line[1::2])))
        [(-2.0, 0.0), (0.0, -2.0), (0.0, 2.0), (2.0, 0.0)]
    """
    if maps.max(initial=0.0) <= 0:
        return []
    beyond = np.pad(maps, 1)  # so that every line closes
    places = (np.arange(len(beyond)) - len(beyond) // 2) * cell
    lines = contour_generator(places, places, beyond).lines(float(maps.max()) / 2)
    return [[round(float(value), 1) for value in np.asarray(line).ravel()] for line in lines]


def map_digits(maps: NDArray[np.float32], largest: float, side: int) -> str:
    """Writes maps as one byte a unit, base64: 0 for silence, 255 for the largest value.

    Args:
        maps: (I, U, V), one after the other in the text.
        largest: the value written as 255.
        side: most units along a side; larger maps are averaged down.

    Example:
        >>> list(base64.b64decode(map_digits(np.array([[[0.0, 2.0], [1.0, 9.0]]], np.float32), 4.0, 2)))
        [0, 128, 64, 255]
    """
    shares = np.clip(maps / largest, 0, 1) if largest > 0 else np.zeros_like(maps)
    digits = (255 * shares).round().astype(np.uint8)
    if max(maps.shape[-2:], default=0) > side:
        small = [Image.fromarray(digit).resize(map_shape(maps, side)[::-1], Image.Resampling.BOX) for digit in digits]
        digits = np.stack([np.asarray(picture) for picture in small])
    return base64.b64encode(np.ascontiguousarray(digits).tobytes()).decode("ascii")


def map_shape(maps: NDArray[np.float32], side: int) -> tuple[int, int]:
    """Rows and columns of maps as `map_digits` writes them."""
    rows, columns = maps.shape[-2:]
    return min(rows, side), min(columns, side)


def _extent(units: NDArray[np.int64], points: NDArray[np.float32], count: int, length: int) -> tuple[float, float]:
    if len(np.unique(units)) < 2:
        return 0.0, 100.0
    stride, start = np.polyfit(units.astype(np.float64), points.astype(np.float64), 1)
    if stride <= 0:
        return 0.0, 100.0
    return 100 * float(start + 0.5 - stride / 2) / length, 100 * float(stride) * count / length


def _spot(point: NDArray[np.float32]) -> str:
    row, column = (round(float(value), 1) for value in point)
    return f"row {row:g}, column {column:g}"


def _photo(image: NDArray[np.uint8], side: int, quality: int) -> str:
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=3)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
