"""What surrounds a drawn creature: backgrounds, clutter behind it, blades of grass and leaves before it."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from partscope.data.creature_paint import BLACK, WHITE, jittered, mixed, random_object_colour
from partscope.data.creature_shapes import NO_PART, Colour, Shape, Tube, blob, ray, smooth, turned

_GROUNDS: tuple[tuple[Colour, Colour], ...] = (
    ((206, 226, 236), (168, 200, 220)),
    ((224, 232, 204), (188, 206, 160)),
    ((244, 230, 206), (226, 202, 166)),
    ((236, 220, 230), (212, 188, 208)),
    ((58, 78, 92), (40, 58, 74)),
    ((62, 82, 70), (44, 62, 52)),
    ((214, 214, 220), (184, 186, 198)),
    ((92, 78, 98), (70, 58, 80)),
)
"""Two tones of a background."""

BACKGROUNDS = ("clouds", "stripes", "dots", "leaves", "grid")
"""The kinds of background texture."""

_GREENS: tuple[Colour, ...] = ((86, 142, 74), (58, 110, 82), (142, 160, 70), (104, 96, 66))


def _fill(draw: ImageDraw.ImageDraw, points: NDArray[np.float64], colour: Colour) -> None:
    draw.polygon(points.ravel().tolist(), fill=colour)


_SPOKES = np.array([ray(angle, 1.0) for angle in np.arange(8) * np.pi / 4])


def paint_background(rng: Generator, side: int) -> Image.Image:
    """A textured background of `side` x `side` canvas pixels."""
    light, dark = (jittered(rng, c, 8.0) for c in _GROUNDS[rng.integers(len(_GROUNDS))])
    kind = BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
    cells = 9 if kind == "clouds" else 3
    share = rng.random((cells, cells, 1)) ** (1.0 if kind == "clouds" else 2.0)
    tones = np.asarray(light) * (1 - share) + np.asarray(dark) * share
    canvas = Image.fromarray(tones.astype(np.uint8)).resize((side // 3, side // 3), Image.Resampling.BICUBIC)
    canvas = canvas.resize((side, side), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(canvas)
    tone = mixed(light, dark, rng.uniform(0.5, 0.9))
    if kind == "stripes":
        _stripes(rng, draw, side, tone)
    elif kind == "grid":
        _stripes(rng, draw, side, tone, crossed=True)
    elif kind == "dots":
        _dots(rng, draw, side, tone)
    elif kind == "leaves":
        for _ in range(16):
            leaf, vein = _leaf(rng, rng.uniform(0.12, 0.26) * side)
            place = rng.uniform(0, side, 2)
            _fill(draw, leaf + place, tone)
            _fill(draw, vein + place, mixed(tone, light, 0.5))
    return canvas


def _stripes(rng: Generator, draw: ImageDraw.ImageDraw, side: int, tone: Colour, *, crossed: bool = False) -> None:
    angle = rng.uniform(0, np.pi)
    pitch = rng.uniform(0.1, 0.17) * side
    width = pitch * (rng.uniform(0.1, 0.2) if crossed else rng.uniform(0.3, 0.5))
    for turn in (angle, angle + np.pi / 2) if crossed else (angle,):
        for k in np.arange(-0.75 * side, 0.75 * side, pitch):
            bar = np.array([[-side, k], [side, k], [side, k + width], [-side, k + width]], float)
            _fill(draw, turned(bar, turn) + side / 2, tone)


def _dots(rng: Generator, draw: ImageDraw.ImageDraw, side: int, tone: Colour) -> None:
    pitch = rng.uniform(0.11, 0.17) * side
    radius = pitch * rng.uniform(0.18, 0.3)
    row, column = np.mgrid[-7:8, -7:8]
    centres = np.stack([column + 0.5 * (row % 2), row], axis=-1).reshape(-1, 2) * pitch
    for x, y in (turned(centres, rng.uniform(0, np.pi)) + side / 2).tolist():
        if -radius < x < side + radius and -radius < y < side + radius:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tone)


def _leaf(rng: Generator, length: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    wide = rng.uniform(0.16, 0.28)
    half = np.array([[0.5, 0.0], [0.2, -wide], [-0.2, -0.9 * wide], [-0.5, 0.0], [-0.2, 0.9 * wide], [0.2, wide]])
    vein = np.array([[-0.42, -0.02], [0.4, 0.0], [-0.42, 0.02]])
    angle = rng.uniform(0, 2 * np.pi)
    return turned(smooth(half) * length, angle), turned(vein * length, angle)


def random_clutter(rng: Generator, side: int) -> list[Shape]:
    """Stones, discs, shards, leaves and twigs in the animals' own colours, in canvas pixels."""
    shapes = []
    for kind in rng.integers(5, size=rng.integers(3, 8)).tolist():
        colour = random_object_colour(rng)
        size = rng.uniform(0.045, 0.12) * side
        place = rng.uniform(0.02, 0.98, 2) * side
        if kind == 0:
            radius = rng.uniform(0.65, 1.1, 8)[:, None] * size
            spokes = _SPOKES
            shapes.append(Shape(smooth(spokes * radius) + place, NO_PART, colour))
            shapes.append(
                Shape(
                    smooth(spokes * radius * 0.45) + place - 0.22 * size,
                    NO_PART,
                    mixed(colour, WHITE, 0.3),
                    False,
                )
            )
        elif kind == 1:
            x, y = place.tolist()
            shapes.append(Shape(blob((x, y), (size, size)), NO_PART, colour))
            shapes.append(Shape(blob((x, y), (0.55 * size, 0.55 * size)), NO_PART, mixed(colour, WHITE, 0.4), False))
        elif kind == 2:
            corners = np.array([ray(a, 1.0) for a in rng.uniform(0, 2) + np.array([0, 1.9, 4.1])])
            shapes.append(Shape(corners * size * 1.2 + place, NO_PART, colour))
        elif kind == 3:
            leaf, vein = _leaf(rng, 3 * size)
            shapes.append(Shape(leaf + place, NO_PART, colour))
            shapes.append(Shape(vein + place, NO_PART, mixed(colour, BLACK, 0.4), False))
        else:
            angle = rng.uniform(0, 2 * np.pi)
            joints = np.array([place, place + ray(angle, 1.3 * size), place + ray(angle + 0.5, 2.6 * size)])
            shapes.append(
                Shape(Tube.through(joints, [0.3 * size, 0.26 * size, 0.14 * size]).outline(), NO_PART, colour)
            )
    return shapes


def random_blades(rng: Generator, side: int) -> list[Shape]:
    """One to three blades of grass, or a leaf on its stalk, that may hide part of what is behind."""
    shapes = []
    green = jittered(rng, _GREENS[rng.integers(len(_GREENS))])
    if rng.random() < 0.35:
        leaf, vein = _leaf(rng, rng.uniform(0.3, 0.42) * side)
        place = rng.uniform(0.15, 0.85, 2) * side
        shapes.append(Shape(leaf + place, NO_PART, green))
        shapes.append(Shape(vein + place, NO_PART, mixed(green, WHITE, 0.35), False))
        return shapes
    for _ in range(int(rng.integers(1, 4))):
        foot = np.array([rng.uniform(0.05, 0.95), 1.04]) * side
        lean = rng.uniform(-0.3, 0.3)
        height = rng.uniform(0.35, 0.75) * side
        joints = np.array([foot, foot + ray(-np.pi / 2 + lean / 2, height / 2), foot + ray(-np.pi / 2 + lean, height)])
        blade = Tube.through(joints, [0.035 * side, 0.03 * side, 0.004 * side])
        tone = jittered(rng, green, 10.0)
        shapes.append(Shape(blade.outline(), NO_PART, tone))
        shapes.append(Shape(blade.band(0.0, 0.95, -0.15, 0.15), NO_PART, mixed(tone, WHITE, 0.3), False))
    return shapes
