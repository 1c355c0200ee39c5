"""One image with what is known about it, and the set that yields such images."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor

from partscope.data.problems import Problem

NEGATIVE = -1
"""Category of an image that belongs to none of the set's categories."""


class Sample(NamedTuple):
    """An image as the performer sees it, with its category and landmarks."""

    image: Tensor
    """(3, H, W) float32 in [0, 1]."""
    category: int
    """Index in the set's `categories`; -1 is a negative, which belongs to none."""
    landmarks: Tensor
    """(K, 2) float32 (row, column) in pixels of `image`, pixel centres at integers; 0 where absent."""
    present: Tensor
    """(K,) bool: whether the landmark is on the image."""
    name: str
    """Unique in its set."""


class PhotoSet(ABC):
    """Images of one split, all of one size. Bring your own data by deriving from it.

    Attributes:
        categories: names of the categories, in the order of their index.
        landmark_names: names of the K landmarks, in the order of `Sample.landmarks`.
        input_size: side of the square images in pixels.
        left_out: what is wrong with the images that were left out, if any were.
    """

    categories: tuple[str, ...]
    landmark_names: tuple[str, ...]
    input_size: int
    left_out: tuple[Problem, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abstractmethod
    def __getitem__(self, i: int) -> Sample:
        """Decode or draw image `i`, counted from 0.

        Raises:
            IndexError: `i` is not one of the set's images.
            DataError: the image cannot be read, or its annotation does not fit it.
        """

    @abstractmethod
    def names(self) -> list[str]:
        """Names of all images, in order, none of them decoded."""

    @abstractmethod
    def category_of(self, i: int) -> int:
        """Category of image `i` without decoding it; -1 for a negative."""

    @abstractmethod
    def file_digest(self, i: int) -> str:
        """SHA-256 (hex) of the bytes that image `i` is made of."""

    def source_size(self, i: int) -> tuple[int, int] | None:
        """Width and height of the file of image `i`, without decoding it; None where there is no file."""
        return None

    def without_part(self, i: int, landmark: int) -> Tensor | None:
        """Image `i` drawn without the part of one landmark, (3, S, S); None where a part cannot be left out."""
        return None

    @property
    @abstractmethod
    def transform_digest(self) -> str:
        """SHA-256 (hex) of what is done to each file: crop, resize, mirroring; changes when pixels would."""

    @property
    def landmark_digest(self) -> str:
        """SHA-256 (hex) of the landmarks that the annotations give; a set with none need not override it."""
        return digest_of(self.landmark_names)

    def digest(self) -> str:
        """SHA-256 (hex) of the whole set: names, categories, bytes, transforms and landmarks."""
        rows = (f"{name}\t{self.category_of(i)}\t{self.file_digest(i)}" for i, name in enumerate(self.names()))
        head = (repr(self.categories), repr(self.landmark_names), self.transform_digest, self.landmark_digest)
        return digest_of((*head, *rows))


def digest_of(lines: Iterable[str]) -> str:
    r"""SHA-256 (hex) of lines of text, each ended by a line feed.

    >>> digest_of(["a"]) == hashlib.sha256(b"a\n").hexdigest()
    True
    """
    state = hashlib.sha256()
    for line in lines:
        state.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return state.hexdigest()


def checked_index(i: int, count: int) -> int:
    """`i` counted from 0, or an `IndexError`; negative indices count from the end.

    >>> checked_index(-1, 5)
    4
    """
    if not -count <= i < count:
        raise IndexError(f"image {i} of a set of {count}")
    return i % count
