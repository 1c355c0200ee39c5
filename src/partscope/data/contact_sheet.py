"""One picture of a data set: random images of each category and split, their landmarks drawn and named."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont
from PIL.ImageFont import ImageFont as BitmapFont

from partscope.data.load import Survey
from partscope.data.overview import NEGATIVES
from partscope.data.sample import NEGATIVE, PhotoSet

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""Okabe and Ito's, which stay apart for colour-blind eyes; a second round of them is square instead of round."""

MOST_ROWS = 12
"""Categories shown; the first ones, and the negatives."""

NAMED = 6
"""With more landmarks than this, numbers stand on the images in place of names."""

_TILE, _LARGE_TILE, _GAP, _MARGIN, _LABEL, _CAPTION = 184, 248, 8, 28, 150, 16
_INK, _MUTED, _PAPER, _RULE = "#1b1b1b", "#5f6368", "#ffffff", "#d9dce0"
_DOT = 4
_Font = FreeTypeFont | BitmapFont


class _Place(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "_Place") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def contact_sheet(train: Survey, test: Survey, title: str, columns: int = 4, seed: int = 0) -> Image.Image:
    """Draws random images of each category, training images to the left and test images to the right.

    Args:
        train: the training images.
        test: the test images.
        title: of the sheet.
        columns: images of a category and split.
        seed: of the choice.

    Returns:
        An RGB picture: a legend of the landmarks, and a row a category. Images are shown as the performer sees them.
    """
    names = train.photos.landmark_names
    side = _TILE if len(names) <= NAMED else _LARGE_TILE
    categories = [*enumerate(train.photos.categories)][:MOST_ROWS]
    rng = np.random.default_rng(seed)
    rows = [(name, [_some(s.photos, c, columns, rng) for s in (train, test)]) for c, name in categories]
    negatives = [_some(s.photos, NEGATIVE, columns, rng) for s in (train, test)]
    if any(len(chosen) for chosen, _ in negatives):
        rows.append((NEGATIVES, negatives))
    legend = _legend_lines(names, float(2 * columns * (side + _GAP) + _LABEL + _GAP))
    head = _MARGIN + 34 + 22 * len(legend) + (8 if legend else 0) + 26
    width = 2 * _MARGIN + _LABEL + 2 * columns * (side + _GAP) + 2 * _GAP
    hidden = len(train.photos.categories) - len(categories)
    height = head + len(rows) * (side + _CAPTION + _GAP) + _MARGIN + (18 if hidden > 0 else 0)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN - 6), title, _INK, _font(20))
    for k, line in enumerate(legend):
        for x, index in line:
            _legend_entry(draw, (float(_MARGIN + x), _MARGIN + 34 + 22 * k + 8), index, names)
    starts = [_MARGIN + _LABEL + half * (columns * (side + _GAP) + 2 * _GAP) for half in (0, 1)]
    for start, split in zip(starts, ("training images", "test images"), strict=True):
        draw.text((start, head - 24), split, _INK, _font(14))
    for r, (name, sides) in enumerate(rows):
        top = head + r * (side + _CAPTION + _GAP)
        draw.line([(_MARGIN, top - 3), (width - _MARGIN, top - 3)], _RULE)
        _row_label(draw, top, name, [total for _, total in sides])
        for start, survey, (chosen, _) in zip(starts, (train, test), sides, strict=True):
            for k, i in enumerate(chosen):
                left = start + k * (side + _GAP)
                sheet.paste(_tile(survey.photos, i, side), (left, top + 2))
                caption = _shortened(draw, survey.photos.names()[i], side, _font(10))
                draw.text((left, top + side + 3), caption, _MUTED, _font(10))
            if not chosen:
                draw.text((start, top + side / 2), "none", _MUTED, _font(13))
    if hidden > 0:
        text = f"{hidden} more categories are not shown; --data.categories chooses others"
        draw.text((_MARGIN, height - _MARGIN - 8), text, _MUTED, _font(12))
    return sheet


def _font(size: int) -> _Font:
    return ImageFont.load_default(size)


def _some(photos: PhotoSet, category: int, count: int, rng: np.random.Generator) -> tuple[list[int], int]:
    """Indices of a few images of a category, and how many it has."""
    every = [i for i in range(len(photos)) if photos.category_of(i) == category]
    return sorted(rng.permutation(every)[:count].tolist()), len(every)


def _style(index: int) -> tuple[str, bool]:
    """Colour of a landmark, and whether its mark is square."""
    return COLOURS[index % len(COLOURS)], index // len(COLOURS) % 2 == 1


def _text_on(names: Sequence[str], index: int) -> str:
    return names[index] if len(names) <= NAMED else str(index + 1)


def _legend_lines(names: Sequence[str], width: float) -> list[list[tuple[float, int]]]:
    """Where each landmark stands in the legend: lines of (x, index)."""
    lines: list[list[tuple[float, int]]] = []
    x = math.inf
    for index, name in enumerate(names):
        wide = 34 + _font(13).getlength(_entry(names, index, name))
        if x + wide > width:
            lines.append([])
            x = 0.0
        lines[-1].append((x, index))
        x += wide
    return lines


def _entry(names: Sequence[str], index: int, name: str) -> str:
    return name if len(names) <= NAMED else f"{index + 1}  {name}"


def _legend_entry(draw: ImageDraw.ImageDraw, centre: tuple[float, int], index: int, names: Sequence[str]) -> None:
    x, y = centre[0] + 6, float(centre[1])
    _mark(draw, x, y, index, 6)
    draw.text((x + 12, y), _entry(names, index, names[index]), _INK, _font(13), anchor="lm")


def _row_label(draw: ImageDraw.ImageDraw, top: int, name: str, totals: Sequence[int]) -> None:
    draw.text((_MARGIN, top + 4), _shortened(draw, name, _LABEL - 12, _font(14)), _INK, _font(14))
    for k, (total, split) in enumerate(zip(totals, ("training", "test"), strict=True)):
        draw.text((_MARGIN, top + 24 + 16 * k), f"{total:,} {split}", _MUTED, _font(12))


def _shortened(draw: ImageDraw.ImageDraw, text: str, width: int, font: _Font) -> str:
    """A text cut in its middle so that it fits."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    if draw.textlength(text, font) <= width:
        return text
    for kept in range(len(text) - 1, 2, -1):
        short = text[: kept // 3] + "…" + text[-(kept - kept // 3) :]
        if draw.textlength(short, font) <= width:
            return short
    return "…"


def _mark(draw: ImageDraw.ImageDraw, x: float, y: float, index: int, radius: int) -> None:
    colour, square = _style(index)
    around = [x - radius, y - radius, x + radius, y + radius]
    shape = draw.rectangle if square else draw.ellipse
    shape([around[0] - 1.5, around[1] - 1.5, around[2] + 1.5, around[3] + 1.5], "#ffffff")
    shape(around, colour, outline="#000000" if colour == "#F0E442" else None)


def _tile(photos: PhotoSet, i: int, side: int) -> Image.Image:
    """An image with its landmarks, labels laid beside them so that none covers another."""
    sample = photos[i]
    pixels: NDArray[np.uint8] = (sample.image * 255).round().byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    scale = side / photos.input_size
    points = {k: ((sample.landmarks[k] + 0.5) * scale).tolist() for k in sample.present.nonzero().flatten().tolist()}
    taken = [_Place(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for y, x in points.values()]
    for k, (y, x) in points.items():
        text = _text_on(photos.landmark_names, k)
        box = _free_place(x, y, draw.textlength(text, _font(11)) + 6, 14, side, taken)
        taken.append(box)
        centre = ((box.left + box.right) / 2, (box.top + box.bottom) / 2)
        draw.line([(x, y), centre], "#ffffff", 3)
        draw.line([(x, y), centre], "#000000", 1)
        draw.rounded_rectangle([*box], 3, "#ffffff", outline=_style(k)[0])
        draw.text(centre, text, "#000000", _font(11), anchor="mm")
    for k, (y, x) in points.items():
        _mark(draw, x, y, k, _DOT)
    return image


def _free_place(x: float, y: float, width: float, height: int, side: int, taken: Sequence[_Place]) -> _Place:
    """The nearest place around a point where a label covers no mark and no other label."""
    best, least = None, math.inf
    for reach in (10, 18, 28, 40, 56, 76):
        for step in range(12):
            angle = 2 * math.pi * step / 12
            cx = x + (reach + width / 2 - 4) * math.cos(angle)
            cy = y + reach * math.sin(angle)
            cx = min(max(cx, width / 2 + 1), side - width / 2 - 2)
            cy = min(max(cy, height / 2 + 1), side - height / 2 - 2)
            place = _Place(cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
            met = sum(place.meets(other) for other in taken)
            if met < least:
                best, least = place, met
            if not met:
                return place
    assert best is not None
    return best
