"""Photo sets that stand on others: decoded from files, joined, mirrored."""

import copy
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray

from partscope.data.crops import CROP_RULE, PixelBox, cut, framed, mirror, open_rgb, touched_pixels, upright_size
from partscope.data.files import file_sha256
from partscope.data.problems import Problem
from partscope.data.sample import PhotoSet, Sample, checked_index, digest_of
from partscope.errors import DataError

_TOLERANCE = 1.0
_ENDLESS = 10**9


class Photo(NamedTuple):
    """One object on one image file."""

    path: Path
    name: str
    category: int
    landmarks: NDArray[np.float32]
    """(K, 2) (row, column) in pixels of the file's image."""
    present: NDArray[np.bool_]
    """(K,)"""
    box: tuple[float, float, float, float] | None = None
    """Left, top, width, height in pixels; None is the whole image."""
    size: tuple[int, int] | None = None
    """Width and height that the annotation states, if it does."""
    source: str = ""
    """File and line or id of the annotation, for messages."""
    stored: Callable[[], bytes] | None = None
    """Gives the encoded image where it is no file of its own; `path` then only names it."""


class Listing(NamedTuple):
    """What a reader found for one split."""

    photos: list[Photo]
    """Objects without a known fault, in order."""
    categories: tuple[str, ...]
    landmark_names: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    """Faults of both splits' rows and files; what they concern is not among the photos."""
    passed_over: Mapping[str, int] = {}
    """What is there, has no fault, and is not taken all the same; of both splits, with its number."""
    landmarks_of: Mapping[str, tuple[str, ...]] = {}
    """Landmarks that a category can have, by its name; one that is not named here can have all."""


@final
class FilePhotos(PhotoSet):
    """Crops of image files.

    Args:
        listing: the files and their annotations.
        input_size: side of the square crops in pixels.
        landmarks: indices into the listing's landmarks of those to carry; None carries all.
        margin: share of each box's height and width that is added on each side.
        aspect: `stretch` keeps a box's shape, `square` enlarges it to a square within its image.
    """

    def __init__(
        self,
        listing: Listing,
        input_size: int,
        landmarks: tuple[int, ...] | None = None,
        *,
        margin: float = 0.0,
        aspect: str = "stretch",
    ) -> None:
        chosen = tuple(range(len(listing.landmark_names))) if landmarks is None else landmarks
        self.categories = listing.categories
        self.landmark_names = tuple(listing.landmark_names[k] for k in chosen)
        self.input_size = input_size
        self._chosen = list(chosen)
        self.left_out = listing.problems
        self.passed_over = listing.passed_over
        self._photos = listing.photos
        self._margin, self._aspect = margin, aspect
        self._digests: dict[Path, str] = {}

    def without(self, problems: Mapping[int, Problem]) -> "FilePhotos":
        """The set without some of its images, and with what is said of them.

        Args:
            problems: by the index of the image that each takes away.
        """
        fewer = copy.copy(self)
        fewer._photos = [photo for i, photo in enumerate(self._photos) if i not in problems]
        fewer.left_out = (*self.left_out, *problems.values())
        return fewer

    def extended(self, photos: list[Photo]) -> "FilePhotos":
        """The set followed by further photographs."""
        more = copy.copy(self)
        more._photos = [*self._photos, *photos]
        return more

    @property
    def listed(self) -> list[Photo]:
        """The photographs, in order."""
        return list(self._photos)

    def source_size(self, i: int) -> tuple[int, int]:
        """Width and height of image `i`'s file, upright, from its header alone.

        Raises:
            DataError: it cannot be read.
        """
        photo = self._photos[checked_index(i, len(self))]
        return upright_size(photo.path, photo.stored() if photo.stored else None)

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, i: int) -> Sample:
        photo = self._photos[checked_index(i, len(self))]
        image = open_rgb(photo.path, photo.stored() if photo.stored else None)
        box = checked_box(photo, image.width, image.height)
        box = framed(box, image.width, image.height, self._margin, self._aspect)
        points = photo.landmarks[self._chosen]
        present = photo.present[self._chosen] & _within(points, box)
        pixels, moved = cut(image, box, torch.from_numpy(points), self.input_size)
        landmarks = np.where(present[:, None], moved.numpy().clip(-0.5, self.input_size - 0.5), np.float32(0))
        return Sample(pixels, photo.category, torch.from_numpy(landmarks), torch.from_numpy(present), photo.name)

    def names(self) -> list[str]:
        """Names of all images, in order."""
        return [photo.name for photo in self._photos]

    def category_of(self, i: int) -> int:
        """Category of image `i`; -1 for a negative."""
        return self._photos[checked_index(i, len(self))].category

    def file_digest(self, i: int) -> str:
        """SHA-256 (hex) of the file's bytes."""
        photo = self._photos[checked_index(i, len(self))]
        path = photo.path
        if path not in self._digests:
            self._digests[path] = (
                file_sha256(path) if photo.stored is None else hashlib.sha256(photo.stored()).hexdigest()
            )
        return self._digests[path]

    @property
    def transform_digest(self) -> str:
        """SHA-256 (hex) of the crop's rule, its size, margin and shape, and every box."""
        plain = (self._margin, self._aspect) == (0.0, "stretch")
        frame = [] if plain else [f"margin {self._margin!r}, {self._aspect}"]
        return digest_of([CROP_RULE, str(self.input_size), *frame, *(repr(photo.box) for photo in self._photos)])

    @property
    def landmark_digest(self) -> str:
        """SHA-256 (hex) of the landmarks' names, places and presence."""
        places = (p.landmarks[self._chosen].tobytes().hex() for p in self._photos)
        seen = (p.present[self._chosen].tobytes().hex() for p in self._photos)
        return digest_of([*self.landmark_names, *places, *seen])


def _within(points: NDArray[np.float32], box: PixelBox) -> NDArray[np.bool_]:
    """Whether points lie in the box, or no more than a pixel beside it."""
    low = np.array([box.top, box.left], np.float32) - np.float32(0.5)
    high = low + np.array([box.height, box.width], np.float32)
    return np.asarray(((points >= low - _TOLERANCE) & (points <= high + _TOLERANCE)).all(-1))


def misfits(photo: Photo, size: tuple[int, int] | None, names: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Everything in an annotation that does not fit its image: what, and what to do about it.

    Args:
        photo: the annotation.
        size: width and height of the image in pixels; None asks only what holds on any image.
        names: of the landmarks, for the messages.
    """
    found = []
    if size is not None and photo.size is not None and photo.size != size:
        todo = "restore the image that was annotated, or correct the annotation"
        if photo.size == size[::-1]:
            todo = "annotate the upright image, or store it upright (its EXIF orientation may turn it)"
        stated = f"annotated as {photo.size[0]} x {photo.size[1]} px"
        return [(f"an image of {size[0]} x {size[1]} px, {stated}", todo)]
    width, height = size or (_ENDLESS, _ENDLESS)
    on = f"on the {width} x {height} px image" if size else "on any image"
    if touched_pixels(photo.box, width, height) is None:
        todo = "correct the box (left, top, width, height), or remove the object from the annotations"
        found.append((f"a box {shown_box(photo.box)} that has no area {on}", todo))
    if not photo.present.any():
        return found
    low = np.float32(-0.5 - _TOLERANCE)
    high = np.array([height, width], np.float32) - 0.5 + _TOLERANCE
    outside = photo.present & ~((photo.landmarks >= low) & (photo.landmarks <= high)).all(1)
    for k in np.flatnonzero(outside).tolist():
        row, column = photo.landmarks[k].tolist()
        name = f" ({names[k]})" if k < len(names) else ""
        beside = f"outside the {width} x {height} px image" if size else "outside any image"
        what = f"landmark {k + 1}{name} at row {row:g}, column {column:g}, {beside}"
        found.append((what, "correct the landmark (pixels of the whole image), or mark it as not visible"))
    return found


def shown_box(box: tuple[float, float, float, float] | None) -> str:
    """A box as a message writes it.

    >>> shown_box((1.0, 2.5, 3.0, 4.0))
    '(1.0, 2.5, 3.0, 4.0)'
    """
    return "of the whole image" if box is None else str(tuple(float(v) for v in box))


def checked_box(photo: Photo, width: int, height: int) -> PixelBox:
    """The pixels of a photo's box on an image of that size.

    Raises:
        DataError: the annotation states another size, the box is empty, or a landmark lies more than a pixel
            outside the image.
    """
    found = misfits(photo, (width, height))
    box = touched_pixels(photo.box, width, height)
    if found or box is None:
        doing = f"fitting the annotation of {photo.name!r} ({photo.source}) to its image"
        raise DataError(doing, "; ".join(what for what, _ in found), found[0][1])
    return box


@final
class JoinedPhotos(PhotoSet):
    """Two sets of the same size of image as one; the second brings only negatives.

    Args:
        first: gives the categories and landmarks.
        second: its images follow; none has a landmark.
    """

    def __init__(self, first: PhotoSet, second: PhotoSet) -> None:
        self.categories, self.landmark_names = first.categories, first.landmark_names
        self.input_size = first.input_size
        self.left_out = (*first.left_out, *second.left_out)
        self.first, self.second = first, second

    def _part(self, i: int) -> tuple[PhotoSet, int]:
        i = checked_index(i, len(self))
        return (self.first, i) if i < len(self.first) else (self.second, i - len(self.first))

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, i: int) -> Sample:
        part, k = self._part(i)
        if part is self.first:
            return part[k]
        count = len(self.landmark_names)
        return part[k]._replace(landmarks=torch.zeros(count, 2), present=torch.zeros(count, dtype=torch.bool))

    def names(self) -> list[str]:
        """Names of all images, in order."""
        return self.first.names() + self.second.names()

    def category_of(self, i: int) -> int:
        """Category of image `i`; -1 for a negative."""
        part, k = self._part(i)
        return part.category_of(k)

    def file_digest(self, i: int) -> str:
        """SHA-256 (hex) of the bytes that image `i` is made of."""
        part, k = self._part(i)
        return part.file_digest(k)

    def source_size(self, i: int) -> tuple[int, int] | None:
        """Width and height of the file of image `i`, if it has one."""
        part, k = self._part(i)
        return part.source_size(k)

    @property
    def transform_digest(self) -> str:
        """SHA-256 (hex) of both sets' transforms."""
        return digest_of([self.first.transform_digest, self.second.transform_digest])

    @property
    def landmark_digest(self) -> str:
        """SHA-256 (hex) of the first set's landmarks."""
        return self.first.landmark_digest


@final
class MirroredPhotos(PhotoSet):
    """A set followed by its mirror image, left and right landmarks swapped.

    Args:
        photos: the set to double.
    """

    def __init__(self, photos: PhotoSet) -> None:
        self.categories, self.landmark_names = photos.categories, photos.landmark_names
        self.input_size = photos.input_size
        self.left_out = photos.left_out
        self._photos = photos

    def __len__(self) -> int:
        return 2 * len(self._photos)

    def __getitem__(self, i: int) -> Sample:
        i = checked_index(i, len(self))
        sample = self._photos[i % len(self._photos)]
        if i < len(self._photos):
            return sample
        image, landmarks, present = mirror(*sample[0:1], *sample[2:4], self.landmark_names)
        return sample._replace(image=image, landmarks=landmarks, present=present, name=_mirrored_name(sample.name))

    def names(self) -> list[str]:
        """Names of all images, in order."""
        names = self._photos.names()
        return names + [_mirrored_name(name) for name in names]

    def category_of(self, i: int) -> int:
        """Category of image `i`; -1 for a negative."""
        return self._photos.category_of(checked_index(i, len(self)) % len(self._photos))

    def file_digest(self, i: int) -> str:
        """SHA-256 (hex) of the bytes that image `i` is made of; the same for its mirror image."""
        return self._photos.file_digest(checked_index(i, len(self)) % len(self._photos))

    def source_size(self, i: int) -> tuple[int, int] | None:
        """Width and height of the file of image `i`, if it has one."""
        return self._photos.source_size(checked_index(i, len(self)) % len(self._photos))

    @property
    def transform_digest(self) -> str:
        """SHA-256 (hex) of the set's transforms and the mirroring."""
        return digest_of([self._photos.transform_digest, "then mirrored"])

    @property
    def landmark_digest(self) -> str:
        """SHA-256 (hex) of the set's landmarks."""
        return digest_of([self._photos.landmark_digest, "then mirrored"])


def _mirrored_name(name: str) -> str:
    return f"{name} (mirrored)"
