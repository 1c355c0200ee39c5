"""Drawn creatures: animals whose parts, boxes and part masks are known exactly, made from a seed."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from partscope.data.creature_kinds import KINDS, PARTS
from partscope.data.creature_paint import BLACK, mixed, random_paint
from partscope.data.creature_scenes import paint_background, random_blades, random_clutter
from partscope.data.creature_shapes import NO_PART, Shape, turned, widened
from partscope.data.sample import NEGATIVE, PhotoSet, Sample, checked_index, digest_of
from partscope.errors import SettingsError

GENERATOR_VERSION = 1
"""Raised whenever the same seed draws another image."""

_FINE = 3
_LINE = 0.008
_SEEN = 0.4
_EVERY = 5
_MARKS = {name: 1 + k for k, name in enumerate(PARTS)} | {NO_PART: 255}
_FULL_WHERE_MARKED = [0] + [255] * 255


@final
@dataclass(frozen=True, eq=False)
class Creature:
    """One drawing and its truth."""

    image: NDArray[np.uint8]
    """(size, size, 3) RGB."""
    landmarks: NDArray[np.float32]
    """(K, 2) centroid (row, column) of each part's visible pixels, ordered as `PARTS`; 0 where absent."""
    present: NDArray[np.bool_]
    """(K,) whether the animal has the part and no blade or leaf hides more than 60 % of it."""
    box: tuple[float, float, float, float]
    """Left, top, width, height in pixels of the whole animal, hidden pixels included; all 0 without one."""
    labels: NDArray[np.uint8]
    """(size, size) 1 + index of the part seen at each pixel's centre; 0 is no part."""

    @property
    def part_masks(self) -> NDArray[np.bool_]:
        """(K, size, size) visible pixels of each part."""
        marks = np.arange(1, len(PARTS) + 1, dtype=np.uint8)
        return np.equal(self.labels[None], marks[:, None, None])


def draw_creature(
    seed: int | tuple[int, ...], kind: str | None, size: int = 96, without: str | None = None
) -> Creature:
    """Draw one scene; the same arguments give the same bytes.

    Args:
        seed: non-negative integers.
        kind: a name in `KINDS`, or None for a scene without an animal.
        size: side in pixels, at least 16.
        without: part in `PARTS` that the animal lacks, all else being the same.

    Returns:
        The image with landmarks, box and part masks.

    Raises:
        SettingsError: an unknown kind, or too small a size.
    """
    if kind is not None and kind not in KINDS:
        raise SettingsError("drawing a creature", f"kind {kind!r}", f"use one of: {', '.join(KINDS)}")
    if size < 16:
        raise SettingsError("drawing a creature", f"a side of {size} px", "use an input size of at least 16 px")
    rng = np.random.default_rng(seed)
    side = size * _FINE
    ground = paint_background(rng, side)
    _paint(ground, random_clutter(rng, side))
    body = [] if kind is None else [shape for shape in _posed(rng, kind, side) if shape.part != without]
    blades = random_blades(rng, side) if rng.random() < 0.5 else []
    scene = np.asarray(ground.reduce(_FINE), np.float32)
    whole = np.zeros((size, size), np.uint8)
    if body:
        animal = Image.new("RGB", (side, side))
        labels = _paint(animal, body)
        whole = _centres(labels)
        silhouette = labels.point(_FULL_WHERE_MARKED)
        scene = _lit(scene, animal.reduce(_FINE), silhouette.reduce(_FINE))
    visible = whole
    if blades:
        front = Image.new("RGB", (side, side))
        cover = _paint(front, blades)
        visible = np.where(_centres(cover) > 0, 0, whole).astype(np.uint8)
        scene = scene * (1 - _share(cover.reduce(_FINE))[..., None]) + np.asarray(front.reduce(_FINE))
    landmarks, present = _centroids(whole, visible)
    return Creature(scene.clip(0, 255).astype(np.uint8), landmarks, present, _box(whole), visible)


def _posed(rng: Generator, kind: str, side: int) -> list[Shape]:
    """The animal tilted, facing left or right, filling 60 to 90 % of the canvas, somewhere on it."""
    shapes = KINDS[kind](rng, random_paint(rng))
    tilt, facing = rng.uniform(-0.3, 0.3), rng.choice([-1.0, 1.0])
    turned_shapes = [turned(s.points, tilt) * [facing, 1.0] for s in shapes]
    cloud = np.concatenate(turned_shapes)
    low, high = cloud.min(0), cloud.max(0)
    scale = rng.uniform(0.62, 0.88) * side / float((high - low).max())
    room = side * 0.97 - (high - low) * scale
    shift = side * 0.015 + room * rng.uniform(0.1, 0.9, 2) - low * scale
    return [s._replace(points=p * scale + shift) for s, p in zip(shapes, turned_shapes, strict=True)]


def _paint(canvas: Image.Image, shapes: list[Shape]) -> Image.Image:
    """Paint the shapes and return their silhouettes: 1 + the part's index, 255 for what is no part."""
    silhouettes = Image.new("L", canvas.size)
    draw, mark = ImageDraw.Draw(canvas), ImageDraw.Draw(silhouettes)
    edges = iter(widened([s.points for s in shapes if s.outlined], _LINE * canvas.width))
    for shape in shapes:
        if shape.outlined:
            edge = next(edges).ravel().tolist()
            draw.polygon(edge, fill=mixed(shape.colour, BLACK, 0.68))
            mark.polygon(edge, fill=_MARKS[shape.part])
        draw.polygon(shape.points.ravel().tolist(), fill=shape.colour)
    return silhouettes


def _centres(fine: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(fine)[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]


def _share(mask: Image.Image) -> NDArray[np.float32]:
    return np.asarray(mask, np.float32) / np.float32(255)


def _lit(ground: NDArray[np.float32], animal: Image.Image, silhouette: Image.Image) -> NDArray[np.float32]:
    """The ground in the animal's soft shadow, and before it the animal lit from the upper left."""
    size = silhouette.width
    soft = _share(silhouette.filter(ImageFilter.GaussianBlur(size / 40)))
    step = max(1, round(size / 36))
    shadow, light = np.zeros_like(soft), np.zeros_like(soft)
    shadow[step:, step:] = soft[:-step, :-step]
    light[step:, step:] = soft[step:, step:] - shadow[step:, step:]
    dimmed = (1 - 0.38 * shadow) * (1 - _share(silhouette))
    return np.asarray(ground * dimmed[..., None] + np.asarray(animal) * (1 + 0.42 * light)[..., None])


def _centroids(whole: NDArray[np.uint8], visible: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    count = len(PARTS) + 1
    rows, columns = np.nonzero(visible)
    parts = visible[rows, columns]
    seen = np.bincount(parts, minlength=count)[1:]
    present = (seen > 0) & (seen >= _SEEN * np.bincount(whole.ravel(), minlength=count)[1:])
    sums = [np.bincount(parts, weights=axis, minlength=count)[1:] for axis in (rows, columns)]
    centroids = np.stack(sums, axis=1) / np.maximum(seen, 1)[:, None]
    return np.where(present[:, None], centroids, 0).astype(np.float32), present


def _box(whole: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(whole.any(1)), np.flatnonzero(whole.any(0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    left, top = float(columns[0]), float(rows[0])
    return left, top, float(columns[-1]) + 1 - left, float(rows[-1]) + 1 - top


def _as_tensor(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).to(torch.float32) / 255


@final
class CreaturePhotos(PhotoSet):
    """A split of drawn creatures: kinds in turn, every fifth image without an animal.

    Args:
        count: number of images.
        split: train and test never share a seed.
        seed: of the whole set.
        input_size: side of the images in pixels.
        categories: kinds to draw, in this order.
        landmarks: indices into `PARTS` of the landmarks to carry.
    """

    def __init__(
        self,
        count: int,
        split: Literal["train", "test"],
        *,
        seed: int = 0,
        input_size: int = 96,
        categories: tuple[str, ...] = tuple(KINDS),
        landmarks: tuple[int, ...] = tuple(range(len(PARTS))),
    ) -> None:
        self.categories = categories
        self.landmark_names = tuple(PARTS[k] for k in landmarks)
        self.input_size = input_size
        self._count, self._split, self._seed = count, split, seed
        self._landmarks = list(landmarks)
        self._drawn: dict[int, tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, i: int) -> Sample:
        i = checked_index(i, self._count)
        if i not in self._drawn:
            creature = self.creature(i)
            self._drawn[i] = creature.image, creature.landmarks, creature.present
        image, landmarks, present = self._drawn[i]
        return Sample(
            _as_tensor(image),
            self.category_of(i),
            torch.from_numpy(landmarks[self._landmarks]),
            torch.from_numpy(present[self._landmarks]),
            self._name(i),
        )

    def creature(self, i: int) -> Creature:
        """The drawing behind image `i`, with its box and part masks."""
        i = checked_index(i, self._count)
        category = self.category_of(i)
        kind = None if category == NEGATIVE else self.categories[category]
        return draw_creature(self._seeds(i), kind, self.input_size)

    def without_part(self, i: int, landmark: int) -> Tensor:
        """Image `i` drawn without the part of one landmark, all else the same."""
        category = self.category_of(i)
        kind = None if category == NEGATIVE else self.categories[category]
        lacking = PARTS[self._landmarks[landmark]]
        return _as_tensor(draw_creature(self._seeds(i), kind, self.input_size, without=lacking).image)

    def names(self) -> list[str]:
        """Names of all images, in order: split, kind, seed and number."""
        return [self._name(i) for i in range(self._count)]

    def _name(self, i: int) -> str:
        category = self.category_of(i)
        kind = "empty" if category == NEGATIVE else self.categories[category]
        return f"{self._split}/{kind}-{self._seed}-{i:05d}"

    def category_of(self, i: int) -> int:
        """Category of image `i`; -1 for every fifth, which has no animal."""
        i = checked_index(i, self._count)
        turn, place = divmod(i, _EVERY)
        return NEGATIVE if place == _EVERY - 1 else (turn * (_EVERY - 1) + place) % len(self.categories)

    def _seeds(self, i: int) -> tuple[int, ...]:
        return self._seed, ("train", "test").index(self._split), i

    def file_digest(self, i: int) -> str:
        """SHA-256 (hex) of all that the drawing depends on: generator, seeds and kind."""
        i = checked_index(i, self._count)
        return digest_of([f"creatures {GENERATOR_VERSION}", repr(self._seeds(i)), self._name(i)])

    @property
    def transform_digest(self) -> str:
        """SHA-256 (hex) of the generator's version and the size."""
        return digest_of([f"creatures {GENERATOR_VERSION}: drawn at {self.input_size} px"])
