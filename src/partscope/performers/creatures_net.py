"""A small network for drawn creatures, trained by us and shipped with the package."""

from collections import OrderedDict
from itertools import pairwise
from typing import final

from torch import nn


@final
class CreaturesNet(nn.Sequential):
    """A VGG in small for 96 px images: 12 x 12 maps of 96 channels at relu4, fewer than a million weights.

    Args:
        outputs: number of scores.
        hidden: widths of fc6 and fc7.
    """

    def __init__(self, outputs: int, hidden: tuple[int, int] = (192, 128)) -> None:
        layers: list[tuple[str, nn.Module]] = []
        widths = (3, 24, 48, 96, 96, 96)
        for number, (before, after) in enumerate(pairwise(widths), start=1):
            kernel = 5 if number == 1 else 3
            layers.append((f"conv{number}", nn.Conv2d(before, after, kernel, padding=kernel // 2)))
            layers.append((f"relu{number}", nn.ReLU()))
            if number != 4:
                layers.append((f"pool{number}", nn.MaxPool2d(2)))
        layers += [
            ("flatten", nn.Flatten(1)),
            ("fc6", nn.Linear(widths[-1] * 6 * 6, hidden[0])),
            ("relu6", nn.ReLU()),
            ("drop6", nn.Dropout(0.3)),
            ("fc7", nn.Linear(hidden[0], hidden[1])),
            ("relu7", nn.ReLU()),
            ("drop7", nn.Dropout(0.3)),
            ("fc8", nn.Linear(hidden[1], outputs)),
        ]
        super().__init__(OrderedDict(layers))
        for layer in self:
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
