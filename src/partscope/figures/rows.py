"""Drawing rows of tiles: one filter's images with what it looks at."""

from typing import Any

import numpy as np

from partscope.figures.look import Row, Tile
from partscope.figures.pixels import dimmed_outside
from partscope.figures.sheet import INK, MUTED, Sheet

GAP = 0.045


def draw_tile(sheet: Sheet, tile: Tile, left: float, top: float, side: float, colour: str, dot: bool = True) -> None:
    """An image, dark outside the region, whose outline has the layer's colour; a dot at the part location."""
    axes = sheet.picture(dimmed_outside(tile.image, tile.region), left, top, side)
    region = tile.region.numpy().astype(float)
    if 0 < region.mean() < 1:
        axes.contour(np.pad(region, 1), levels=[0.5], colors=[colour], linewidths=1.1, extent=_extent(region))
    if dot:
        row, column = tile.peak
        axes.plot(column, row, "o", ms=3.0, mfc="white", mec=INK, mew=0.7, clip_on=True)


def draw_row(
    sheet: Sheet, row: Row, left: float, top: float, side: float, count: int, colour: str, dot: bool = True
) -> None:
    """A filter's tiles; words where it has none."""
    for place, tile in enumerate(row.tiles):
        draw_tile(sheet, tile, left + place * (side + GAP), top, side, colour, dot)
    if not row.tiles:
        middle = left + (count * (side + GAP) - GAP) / 2
        sheet.text(
            middle, top + side / 2, "silent on every image of its category", ha="center", va="center", color=MUTED
        )


def width_of(count: int, side: float) -> float:
    """Width of a row of tiles, in inches."""
    return count * (side + GAP) - GAP


def _extent(region: Any) -> tuple[float, float, float, float]:
    height, width = region.shape
    return (-1.5, width + 0.5, -1.5, height + 0.5)
