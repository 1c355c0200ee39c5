"""Pictures of the gallery: each filter's strongest images with its part location and its map on them."""

import base64
import io
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from partscope.report.reading import Gallery

BUDGET_BYTES = 2_400_000
SIDE_PX = 168
HEAT_STOPS = np.array([[150, 30, 110], [214, 60, 100], [252, 137, 97], [252, 253, 191]], dtype=np.float64)


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


class Tile(NamedTuple):
    """One image of one filter."""

    image: str
    """Data URI of the photograph."""
    masked: str
    """Data URI of the map after the mask, transparent where it is low."""
    raw: str
    """Data URI of the map before the mask."""
    frame: Frame
    """Where both maps lie."""
    peak: Mark | None
    """The part location; none where the map is silent."""
    landmark: Mark | None
    """The filter's best landmark; none where it has none or it is not annotated here."""
    name: str
    """File name of the image."""
    alt: str
    """The picture in words."""


def heat(values: NDArray[np.float32], largest: float) -> NDArray[np.uint8]:
    """Colours a map: purple through orange to pale yellow, and the more opaque the higher.

    Args:
        values: (U, V) map.
        largest: the value drawn at full strength; 0 draws nothing.

    Returns:
        (U, V, 4) red, green, blue, opacity.

    Example:
        >>> heat(np.zeros((1, 1), np.float32), 1.0)[0, 0].tolist()
        [150, 30, 110, 0]
    """
    share = np.clip(values / largest, 0, 1) if largest > 0 else np.zeros_like(values)
    place = np.linspace(0, 1, len(HEAT_STOPS))
    channels = [np.interp(share, place, HEAT_STOPS[:, channel]) for channel in range(3)]
    opacity = 235 * share**0.6
    return np.stack([*channels, opacity], axis=-1).round().astype(np.uint8)


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


def filter_tiles(gallery: Gallery, row: int, facts: dict[str, Any], frame: Frame, photos: list[str]) -> list[Tile]:
    """Draws one filter's images.

    Args:
        gallery: images, maps and points.
        row: the filter's row in the gallery.
        facts: the filter's entry in the diagnosis.
        frame: where the maps lie (`map_frame`).
        photos: data URI of each gallery image (`photo_uris`).

    Returns:
        Its tiles, strongest image first as the gallery has them.
    """
    largest = float(gallery.raw_maps[row].max(initial=0.0))
    landmark = facts["best_landmark"]
    tiles = []
    for place, image in enumerate(gallery.image_index[row].tolist()):
        silent = gallery.raw_maps[row, place].max() <= 0
        point = gallery.points[row, place]
        marked = _landmark_point(gallery, image, landmark)
        name = gallery.names[image]
        where = "the filter is silent" if silent else f"part location at row {point[0]:.0f}, column {point[1]:.0f}"
        near = f"; {landmark} at row {marked[0]:.0f}, column {marked[1]:.0f}" if marked is not None else ""
        tiles.append(
            Tile(
                image=photos[image],
                masked=_png(heat(gallery.maps[row, place], largest)),
                raw=_png(heat(gallery.raw_maps[row, place], largest)),
                frame=frame,
                peak=None if silent else _mark(gallery, point),
                landmark=None if marked is None else _mark(gallery, marked),
                name=name,
                alt=f"Filter {facts['filter']} on {name}: {where}{near}",
            )
        )
    return tiles


def photo_uris(gallery: Gallery) -> list[str]:
    """Encodes each image that is shown, smaller where all of them together would be too heavy.

    Returns:
        A data URI per gallery image; empty text for an image that no filter shows.
    """
    uses = np.bincount(gallery.image_index.ravel(), minlength=len(gallery.images))
    side, quality = SIDE_PX, 84
    while True:
        photos = [
            _jpeg(image, side, quality) if count else "" for image, count in zip(gallery.images, uses, strict=True)
        ]
        weight = sum(len(photo) * int(count) for photo, count in zip(photos, uses, strict=True))
        if weight <= BUDGET_BYTES or side <= 32:
            return photos
        side, quality = int(side * 0.85), max(60, quality - 6)


def _extent(units: NDArray[np.int64], points: NDArray[np.float32], count: int, length: int) -> tuple[float, float]:
    if len(np.unique(units)) < 2:
        return 0.0, 100.0
    stride, start = np.polyfit(units.astype(np.float64), points.astype(np.float64), 1)
    if stride <= 0:
        return 0.0, 100.0
    return 100 * float(start + 0.5 - stride / 2) / length, 100 * float(stride) * count / length


def _landmark_point(gallery: Gallery, image: int, landmark: str | None) -> NDArray[np.float32] | None:
    if landmark not in gallery.landmark_names:
        return None
    index = gallery.landmark_names.index(landmark)
    point: NDArray[np.float32] = gallery.landmarks[image, index]
    return point if gallery.present[image, index] and np.isfinite(point).all() else None


def _mark(gallery: Gallery, point: NDArray[np.float32]) -> Mark:
    height, width = gallery.images.shape[-2:]
    return Mark(left=100 * (float(point[1]) + 0.5) / width, top=100 * (float(point[0]) + 0.5) / height)


def _jpeg(image: NDArray[np.uint8], side: int, quality: int) -> str:
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return _uri("image/jpeg", buffer)


def _png(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return _uri("image/png", buffer)


def _uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
