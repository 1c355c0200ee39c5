"""VGG-M and VGG-S, which torchvision lacks."""

from collections import OrderedDict
from typing import final

from torch import nn


def _norm() -> nn.Module:
    """Caffe's alpha 5e-4; MatConvNet writes 1e-4 for the same norm, because its formula has no division by n."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def _top(pool5: nn.Module, outputs: int, hidden: int) -> list[tuple[str, nn.Module]]:
    return [
        ("conv3", nn.Conv2d(256, 512, 3, padding=1)),
        ("relu3", nn.ReLU()),
        ("conv4", nn.Conv2d(512, 512, 3, padding=1)),
        ("relu4", nn.ReLU()),
        ("conv5", nn.Conv2d(512, 512, 3, padding=1)),
        ("relu5", nn.ReLU()),
        ("pool5", pool5),
        ("flatten", nn.Flatten(1)),
        ("fc6", nn.Linear(512 * 6 * 6, hidden)),
        ("relu6", nn.ReLU()),
        ("drop6", nn.Dropout(0.5)),
        ("fc7", nn.Linear(hidden, hidden)),
        ("relu7", nn.ReLU()),
        ("drop7", nn.Dropout(0.5)),
        ("fc8", nn.Linear(hidden, outputs)),
    ]


@final
class VGGM(nn.Sequential):
    """VGG-M for 224 px images: maps of 109, 54, 26 and 13 positions; relu4 holds 512 channels on 13 x 13.

    Args:
        outputs: number of scores.
        hidden: width of fc6 and fc7 (published: 4096).

    Source: Chatfield et al. 2014, "Return of the Devil in the Details", CNN-M.
    """

    def __init__(self, outputs: int = 1000, hidden: int = 4096) -> None:
        layers: list[tuple[str, nn.Module]] = [
            ("conv1", nn.Conv2d(3, 96, 7, stride=2)),
            ("relu1", nn.ReLU()),
            ("norm1", _norm()),
            ("pool1", nn.MaxPool2d(3, 2, ceil_mode=True)),
            ("conv2", nn.Conv2d(96, 256, 5, stride=2, padding=1)),
            ("relu2", nn.ReLU()),
            ("norm2", _norm()),
            ("pool2", nn.MaxPool2d(3, 2, ceil_mode=True)),
            *_top(nn.MaxPool2d(3, 2, ceil_mode=True), outputs, hidden),
        ]
        super().__init__(OrderedDict(layers))


@final
class VGGS(nn.Sequential):
    """VGG-S for 224 px images: maps of 109, 37, 33 and 17 positions; relu4 holds 512 channels on 17 x 17.

    Its second block has no response normalisation, as in the published weights.

    Args:
        outputs: number of scores.
        hidden: width of fc6 and fc7 (published: 4096).

    Source: Chatfield et al. 2014, "Return of the Devil in the Details", CNN-S.
    """

    def __init__(self, outputs: int = 1000, hidden: int = 4096) -> None:
        layers: list[tuple[str, nn.Module]] = [
            ("conv1", nn.Conv2d(3, 96, 7, stride=2)),
            ("relu1", nn.ReLU()),
            ("norm1", _norm()),
            ("pool1", nn.MaxPool2d(3, 3, ceil_mode=True)),
            ("conv2", nn.Conv2d(96, 256, 5)),
            ("relu2", nn.ReLU()),
            ("pool2", nn.MaxPool2d(2, 2, ceil_mode=True)),
            *_top(nn.MaxPool2d(3, 3, ceil_mode=True), outputs, hidden),
        ]
        super().__init__(OrderedDict(layers))
