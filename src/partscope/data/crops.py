"""From a file to the square crop that the performer sees, its landmarks carried along."""

import io
import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from partscope.errors import DataError

CROP_RULE = "whole pixels that the box touches, clipped to the image, antialiased bilinear, 1"
"""What `cut` does, in words; changes whenever its pixels would."""

_DEEPEST = 2**16 - 1
_ORIENTATION = 0x0112
_LYING = (5, 6, 7, 8)
_ROUNDING = 1e-3
_HALF_PIXEL = 0.5

_BEGINS = r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
_ENDS = r"(?:(?![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
_SIDE = re.compile(rf"{_BEGINS}(?:[Ll]eft|LEFT|[Rr]ight|RIGHT|(?<!\d)[LlRr](?!\d)){_ENDS}")
_OTHER_SIDE = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "l": "r", "L": "R"}
_OTHER_SIDE |= {right: left for left, right in _OTHER_SIDE.items()}


class PixelBox(NamedTuple):
    """Whole pixels of an image."""

    top: int
    left: int
    height: int
    width: int


def open_rgb(path: Path, encoded: bytes | None = None) -> Image.Image:
    """Decode an image file, or its bytes where they are given, to 8-bit RGB, upright.

    * An EXIF orientation is applied first: boxes, landmarks and sizes refer to the *upright* image, the one that a
      person sees who annotates it.
    * Grey and palette files are converted. CMYK becomes (1 - C)(1 - K) and so on; JPEGs of four channels are read as
      Adobe writes them, inverted.
    * Of 16-bit samples, grey or colour, the upper eight bits are kept (v // 256), whichever format holds them.
    * Transparency is dropped: a hidden pixel shows the colour that the file gives it.
    * Of several frames or pages the first is taken.

    Raises:
        DataError: the file cannot be read or decoded; it asks for more pixels than Pillow takes from a file that may be
            a decompression bomb; or its samples are real numbers or 32-bit, whose range nothing states.
    """
    try:
        with Image.open(path if encoded is None else io.BytesIO(encoded)) as file:
            file.load()
            return _rgb(ImageOps.exif_transpose(file))
    except Exception as error:  # damaged files make Pillow's decoders raise nearly anything
        raise _unreadable(path, error) from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        deep = np.asarray(image)
        if image.mode == "F" or deep.min() < 0 or deep.max() > _DEEPEST:
            raise ValueError(f"samples of mode {image.mode}, from {deep.min():g} to {deep.max():g}, of no stated range")
        return Image.fromarray((deep // 256).astype(np.uint8)).convert("RGB")
    if image.mode == "P":
        image = image.convert("RGBA")
    return image.convert("RGB")


def upright_size(path: Path, encoded: bytes | None = None) -> tuple[int, int]:
    """Width and height of an image file, or of its bytes where they are given, upright; reads the header alone.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with Image.open(path if encoded is None else io.BytesIO(encoded)) as file:
            turned = file.getexif().get(_ORIENTATION, 1) in _LYING
            return file.size[::-1] if turned else file.size
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"reading the image {str(path)!r}",
        f"{type(error).__name__}: {error}" if str(error) else type(error).__name__,
        "replace the file with an intact one, or remove it from the data set",
    )


def touched_pixels(box: tuple[float, float, float, float] | None, width: int, height: int) -> PixelBox | None:
    """The whole pixels that a box touches within its image; None if there are none.

    Args:
        box: left, top, width, height in pixels, pixel (0, 0) covering [0, 1) x [0, 1); None takes the whole
            image.
        width: of the image in pixels.
        height: of the image in pixels.

    >>> touched_pixels((1.5, 2.0, 3.0, 4.0), 10, 5)
    PixelBox(top=2, left=1, height=3, width=4)
    """
    if box is None:
        return PixelBox(0, 0, height, width)
    if not all(map(math.isfinite, box)) or box[2] <= 0 or box[3] <= 0:
        return None
    left = max(0, math.floor(box[0] + _ROUNDING))
    top = max(0, math.floor(box[1] + _ROUNDING))
    right = min(width, math.ceil(box[0] + box[2] - _ROUNDING))
    bottom = min(height, math.ceil(box[1] + box[3] - _ROUNDING))
    return PixelBox(top, left, bottom - top, right - left) if right > left and bottom > top else None


def framed(box: PixelBox, width: int, height: int, margin: float, aspect: str) -> PixelBox:
    """A box with some of its surroundings, within its image.

    Args:
        box: pixels of the object.
        width: of the image in pixels.
        height: of the image in pixels.
        margin: share of the box's own height and width that is added on each side; cut off at the image's edge.
        aspect: `stretch` leaves the shape; `square` lengthens the shorter side to the longer one, moved (and
            where the image is too small, cut off) so as to stay in the image. Nothing is ever padded.

    >>> framed(PixelBox(4, 4, 4, 8), 20, 20, 0.25, "square")
    PixelBox(top=0, left=2, height=12, width=12)
    """
    tall, wide = round(margin * box.height), round(margin * box.width)
    top, bottom = max(0, box.top - tall), min(height, box.top + box.height + tall)
    left, right = max(0, box.left - wide), min(width, box.left + box.width + wide)
    if aspect == "square":
        side = max(bottom - top, right - left)
        top, bottom = _lengthened(top, bottom, side, height)
        left, right = _lengthened(left, right, side, width)
    return PixelBox(top, left, bottom - top, right - left)


def _lengthened(low: int, high: int, length: int, limit: int) -> tuple[int, int]:
    low = min(max(0, low - (length - (high - low)) // 2), max(0, limit - length))
    return low, min(limit, low + length)


def cut(image: Image.Image, box: PixelBox, points: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Crop a box, stretch it to a square, and carry points along.

    A point in row r moves to (r - top + 1/2) S / height - 1/2, and so for columns: pixel centres are at
    integers.

    Args:
        image: RGB.
        box: pixels to keep.
        points: (K, 2) (row, column) in pixels of `image`.
        size: S, side of the square in pixels.

    Returns:
        (3, S, S) float32 in [0, 1], and the points in its pixels.
    """
    top, left, height, width = box
    part = image.crop((left, top, left + width, top + height))
    # Python's lock is held for as little as can be: threads decode side by side
    pixels = torch.from_numpy(np.array(part)).permute(2, 0, 1)
    crop = transforms.resize_image(pixels, [size, size], InterpolationMode.BILINEAR, antialias=True)
    scale = np.array([size / height, size / width], np.float32)
    corner = np.array([top - _HALF_PIXEL, left - _HALF_PIXEL], np.float32)
    moved = (points.numpy() - corner) * scale - np.float32(_HALF_PIXEL)
    return crop.to(torch.float32).div_(255), torch.from_numpy(moved)


def mirrored_order(names: tuple[str, ...]) -> list[int | None]:
    """For each landmark of a mirrored image, the one it was before; None if that one is not carried.

    A side is `left`, `right`, `l` or `r`, small, large or capitalised, as a word or as a part of one in camelCase.

    >>> mirrored_order(("beak", "left eye", "right eye", "left wing"))
    [0, 2, 1, None]
    >>> mirrored_order(("LEFT_EYE", "earL", "earR", "rightPaw", "leftPaw", "RIGHT_EYE"))
    [5, 2, 1, 4, 3, 0]
    """
    twins = [_SIDE.sub(lambda found: _OTHER_SIDE[found[0]], name) for name in names]
    return [names.index(twin) if twin in names else None for twin in twins]


def mirror(image: Tensor, landmarks: Tensor, present: Tensor, names: tuple[str, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Mirror a crop left to right: column c becomes W - 1 - c, left landmarks become right ones."""
    order = mirrored_order(names)
    index = torch.tensor([0 if k is None else k for k in order], dtype=torch.long)
    known = torch.tensor([k is not None for k in order], dtype=torch.bool)
    seen = present[index] & known
    rows, columns = landmarks[index].unbind(-1)
    moved = torch.stack([rows, image.shape[-1] - 1 - columns], dim=-1)
    return image.flip(-1), torch.where(seen[:, None], moved, torch.zeros_like(moved)), seen
