"""Colours and coats of the drawn creatures, drawn independently of the kind of animal."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from partscope.data.creature_shapes import Colour, Shape, Tube, blob

_COATS: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((232, 119, 46), (255, 226, 186), (122, 52, 24)),
    ((64, 132, 196), (214, 236, 250), (244, 178, 54)),
    ((214, 72, 74), (255, 214, 196), (70, 40, 62)),
    ((92, 160, 92), (226, 240, 190), (238, 196, 76)),
    ((150, 104, 188), (236, 218, 246), (248, 158, 120)),
    ((242, 190, 66), (255, 244, 206), (196, 88, 52)),
    ((66, 164, 168), (212, 242, 234), (236, 104, 92)),
    ((158, 110, 76), (240, 216, 184), (84, 54, 44)),
    ((118, 128, 146), (232, 234, 236), (214, 96, 80)),
    ((228, 124, 158), (255, 226, 230), (120, 62, 118)),
)
"""Main colour, light colour (belly, tips), accent (beak, spots, socks)."""

WHITE: Colour = (252, 250, 244)
BLACK: Colour = (28, 24, 32)


class Paint(NamedTuple):
    """The colours of one animal and the pattern of its coat."""

    main: Colour
    light: Colour
    accent: Colour
    far: Colour
    line: Colour
    coat: str


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """The colour at `share` of the way from one to the other.

    >>> mixed((0, 0, 0), (100, 50, 10), 0.5)
    (50, 25, 5)
    """
    r, g, b = (round(x + (y - x) * share) for x, y in zip(one, other, strict=True))
    return r, g, b


def jittered(rng: Generator, colour: Colour, width: float = 14.0) -> Colour:
    """The colour, each channel moved by up to `width` of 255."""
    r, g, b = np.clip(np.asarray(colour) + rng.uniform(-width, width, 3), 0, 255).astype(int).tolist()
    return r, g, b


def random_paint(rng: Generator) -> Paint:
    """A palette and coat."""
    main, light, accent = (jittered(rng, c) for c in _COATS[rng.integers(len(_COATS))])
    coat = ("plain", "spots", "stripes", "saddle")[rng.integers(4)]
    return Paint(main, light, accent, mixed(main, BLACK, 0.3), mixed(main, BLACK, 0.72), coat)


def random_object_colour(rng: Generator) -> Colour:
    """A colour of the same family as the animals', so that a patch of it is no evidence of one."""
    return jittered(rng, _COATS[rng.integers(len(_COATS))][rng.integers(3)])


def coat_shapes(rng: Generator, paint: Paint, tube: Tube, part: str, length: float) -> list[Shape]:
    """Spots, stripes or a saddle on the upper side of a body; none on a plain one."""
    tone = paint.accent if rng.random() < 0.5 else mixed(paint.main, paint.line, 0.45)
    if paint.coat == "spots":
        along, across = rng.uniform(0.12, 0.9, 7), rng.uniform(-0.72, 0.3, 7)
        sizes = rng.uniform(0.018, 0.042, 7) * length
        return [
            Shape(blob((x, y), (s, s)), part, tone, False)
            for (x, y), s in zip(tube.at(along, across).tolist(), sizes.tolist(), strict=True)
        ]
    if paint.coat == "stripes":
        starts = np.linspace(0.14, 0.8, 5) + rng.uniform(-0.02, 0.02, 5)
        return [Shape(tube.crescent(s, s + 0.09, 0.35, -0.97), part, tone, False) for s in starts.tolist()]
    if paint.coat == "saddle":
        return [Shape(tube.crescent(0.08, 0.92, -0.25, -0.97), part, tone, False)]
    return []
