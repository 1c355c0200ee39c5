"""One row of data a network that is known by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's training images, as torchvision and timm use it."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's training images, as torchvision and timm use it."""


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """One architecture, of the catalogue or of a library."""

    build: Callable[[int], nn.Module]
    """Makes it with this many scores, weights at random."""
    classifier: str
    """Dotted name of the layer whose weight has one row a score."""
    tap: str | None = None
    """Dotted name of the tap; None leaves it to the rule."""
    targets: tuple[str, ...] = ()
    """Dotted names of the targets; empty leaves them to the rule."""
    input_size: int = 224
    """Side of the square input, px."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Mean of the normalisation."""
    std: tuple[float, ...] = IMAGENET_STD
    """Standard deviation of the normalisation."""
    outputs: int = 1000
    """Scores where no weights say how many."""
    download: str = ""
    """Name of torchvision's weights; empty where it has none."""
    timm: str = ""
    """Name of timm's network, whose own weights are downloaded; empty where it is not timm's."""
    packaged: str = ""
    """File of weights inside this package."""
    head: tuple[str, ...] = ()
    """Fully connected layers that a new head replaces."""
