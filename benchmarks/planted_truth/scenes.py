"""Scenes in which one carrier or several hold the class evidence at a known ratio, everything else being random.

A scene has an animal of some kind (its class lies in its *parts*: shape and arrangement), a *texture* that repeats all
over the ground, a *colour* cast, a *background* shading, a disc whose *position* is left, middle or right, and a
*blob*: a small object of one of three outlines, anywhere. Each carrier shows one of
`CLASSES` classes; where it is no evidence its class is random.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from partscope.data.creatures import draw_creature

CARRIERS = ("parts", "texture", "colour", "background", "position", "blob")
KINDS = ("bird", "fish", "fox")
CLASSES = len(KINDS)
SIDE = 64
_ANIMAL = 48
_FINE = 3
ODDS = 6.0
"""Log-odds of all the evidence together."""
MIXTURES: dict[str, dict[str, float]] = {
    "texture only": {"texture": 1.0},
    **{f"{k}/6 parts": {"parts": k / 6, "texture": 1 - k / 6} for k in range(1, 6)},
    "parts only": {"parts": 1.0},
    "colour only": {"colour": 1.0},
    "background only": {"background": 1.0},
    "position only": {"position": 1.0},
    "blob only": {"blob": 1.0},
}
"""Share of the log-odds that each carrier holds."""


class Bank(NamedTuple):
    """Animals cut out of their drawings, ready to be put into scenes."""

    animals: NDArray[np.uint8]
    """(kinds, n, 48, 48, 3)."""
    masks: NDArray[np.bool_]
    """(kinds, n, 48, 48)."""
    blobs: NDArray[np.float32]
    """(kinds, n, 15, 15, 4): colours and cover, 0 to 1."""


@lru_cache(maxsize=2)
def bank(split: str, count: int) -> Bank:
    """Draws `count` animals of each kind; the splits share none."""
    number = ("train", "test", "dev").index(split)
    drawn = [[draw_creature((77, number, k, i), kind, _ANIMAL) for i in range(count)] for k, kind in enumerate(KINDS)]
    rng = np.random.default_rng((78, number))
    return Bank(
        np.stack([[d.image for d in row] for row in drawn]),
        np.stack([[d.labels > 0 for d in row] for row in drawn]),
        np.stack([[_blob(rng, k) for _ in range(60)] for k in range(CLASSES)]),
    )


def _blob(rng: Generator, kind: int) -> NDArray[np.float32]:
    """A cross, a ring or a triangle of some colour, turned at random."""
    size = 15 * _FINE
    cover = Image.new("L", (size, size))
    draw = ImageDraw.Draw(cover)
    radius, centre = rng.uniform(5.0, 6.8) * _FINE, size / 2
    turn = rng.uniform(0, 2 * np.pi)
    if kind == 1:
        box = [centre - radius, centre - radius, centre + radius, centre + radius]
        draw.ellipse(box, outline=255, width=round(0.38 * radius))
    else:
        angles = turn + np.arange(3) * 2 * np.pi / 3 if kind == 2 else turn + np.arange(4) * np.pi / 2
        tips = [(centre + radius * np.cos(a), centre + radius * np.sin(a)) for a in angles]
        if kind == 2:
            draw.polygon(tips, fill=255)
        else:
            for a, b in ((0, 2), (1, 3)):
                draw.line([tips[a], tips[b]], fill=255, width=round(0.5 * radius))
    share = np.asarray(cover.reduce(_FINE), np.float32) / 255
    colour = np.broadcast_to(rng.uniform(0, 1, 3).astype(np.float32), (15, 15, 3))
    return np.concatenate([colour, share[..., None]], axis=2)


def _texture(rng: Generator, kinds: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, side, side) in [-1, 1]: stripes, dots or a brick bond, at any angle and phase."""
    n = len(kinds)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    angle = rng.uniform(0, np.pi, (n, 1, 1)).astype(np.float32)
    pitch = rng.uniform(6.5, 9.0, (n, 1, 1)).astype(np.float32)
    phase = rng.uniform(0, 1, (2, n, 1, 1)).astype(np.float32)
    u = (np.cos(angle) * columns + np.sin(angle) * rows) / pitch + phase[0]
    v = (np.cos(angle) * rows - np.sin(angle) * columns) / pitch + phase[1]
    stripes = np.sin(2 * np.pi * u)
    shifted = u + 0.5 * (np.floor(v) % 2)
    off_u, off_v = shifted - np.floor(shifted) - 0.5, v - np.floor(v) - 0.5
    dots = np.tanh(12 * (0.3 - np.hypot(off_u, off_v)))
    edge = np.minimum(0.5 - np.abs(off_u), 0.5 - np.abs(off_v))
    bricks = np.tanh(12 * (edge - 0.1))
    return np.choose(kinds[:, None, None], [stripes, dots, bricks]).astype(np.float32)


def _shading(rng: Generator, kinds: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, side, side) in [-1, 1]: light above, light at one side, or light in the middle; dark as often as light."""
    rows, columns = (np.mgrid[:SIDE, :SIDE].astype(np.float32) + 0.5) / SIDE * 2 - 1
    n = len(kinds)
    middle = 1 - 2 * np.minimum(np.hypot(rows, columns), 1)
    fields = np.stack([-rows, -columns, middle])
    sign = np.where(rng.random((n, 1, 1)) < 0.5, 1, -1) * rng.uniform(0.7, 1.0, (n, 1, 1))
    return (fields[kinds] * sign).astype(np.float32)


def _hue(rng: Generator, kinds: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, 3) in [-1, 1]: a cast whose hue lies in the class's third of the circle."""
    hue = (kinds + rng.uniform(0.15, 0.85, len(kinds))) / CLASSES * 2 * np.pi
    return np.cos(hue[:, None] - np.arange(3) * 2 * np.pi / 3).astype(np.float32)


class Scenes(NamedTuple):
    """Everything that a batch of scenes is made of; `shown` turns it into images."""

    classes: dict[str, NDArray[np.int64]]
    """Class that each carrier shows."""
    seed: int
    """Of all that is random, a stream for each carrier, so that one can be drawn again and the others stay."""


def _stream(seed: int, carrier: str) -> Generator:
    return np.random.default_rng((seed, CARRIERS.index(carrier)))


def shown(scenes: Scenes, animals: Bank, again: str = "") -> NDArray[np.float32]:
    """Paints the scenes: (n, 3, side, side) in [0, 1].

    Args:
        scenes: what to paint.
        animals: where the animals are taken from.
        again: a carrier that is drawn anew at random, apart from its class.
    """
    classes, n = scenes.classes, len(scenes.classes["parts"])
    draws = {c: _stream(scenes.seed + (7_000_003 if c == again else 0), c) for c in CARRIERS}
    ground = draws["background"].uniform(0.35, 0.65, (n, 1, 1, 1))
    image = np.repeat(ground, 3, axis=3) + np.zeros((1, SIDE, SIDE, 1))
    image = image + 0.16 * _shading(draws["background"], classes["background"])[..., None]
    rng = draws["texture"]
    strength = rng.uniform(0.08, 0.16, (n, 1, 1, 1)) * np.where(rng.random((n, 1, 1, 1)) < 0.5, 1, -1)
    image = image + strength * _texture(rng, classes["texture"])[..., None]
    rng = draws["position"]
    third = (SIDE - 10) / CLASSES
    places = rng.uniform(0, 1, (n, 2)) * (SIDE - 10, 0.8 * third) + 5
    places[:, 1] += third * (classes["position"] + 0.1)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    far = np.hypot(rows - places[:, 0, None, None], columns - places[:, 1, None, None])
    disc = np.clip(4.5 - far, 0, 1)[..., None]
    image = image * (1 - disc) + disc * (1 - np.clip(far - 2.0, 0, 1))[..., None]
    rng, own = draws["blob"], animals.blobs[classes["blob"], draws["blob"].integers(animals.blobs.shape[1], size=n)]
    corners = rng.integers(0, SIDE - 15 + 1, (n, 2))
    for k, (r, c) in enumerate(corners.tolist()):
        cover = own[k, ..., 3:]
        image[k, r : r + 15, c : c + 15] = image[k, r : r + 15, c : c + 15] * (1 - cover) + cover * own[k, ..., :3]
    rng = draws["parts"]
    which = rng.integers(animals.animals.shape[1], size=n)
    corners = _stream(scenes.seed, "parts").integers(0, SIDE - _ANIMAL + 1, (2, n)).T
    for k, (r, c) in enumerate(corners.tolist()):
        mask = animals.masks[classes["parts"][k], which[k]][..., None]
        body = animals.animals[classes["parts"][k], which[k]] / 255
        image[k, r : r + _ANIMAL, c : c + _ANIMAL] = np.where(mask, body, image[k, r : r + _ANIMAL, c : c + _ANIMAL])
    image = image + 0.1 * _hue(draws["colour"], classes["colour"])[:, None, None]
    image = image + np.random.default_rng((scenes.seed, 99)).normal(0, 0.015, image.shape)
    return np.ascontiguousarray(image.clip(0, 1).transpose(0, 3, 1, 2), dtype=np.float32)


def scenes_of(rng: Generator, evidence: Iterable[str], n: int) -> tuple[Scenes, NDArray[np.int64]]:
    """Scenes as they are found, and their labels: all evidence shows the label, all else is random.

    Without any evidence every carrier contradicts the others: scenes to learn from.
    """
    label = rng.integers(CLASSES, size=n)
    evidence = frozenset(evidence)
    classes = {c: label if c in evidence else rng.integers(CLASSES, size=n) for c in CARRIERS}
    return Scenes(classes, int(rng.integers(2**31))), label
