"""Networks as they were trained with Caffe, where torchvision's differ: AlexNet, ResNet-50 version 1."""

from collections import OrderedDict
from typing import final

import torchvision
from torch import nn


@final
class AlexNetBVLC(nn.Sequential):
    """Caffe's AlexNet for 227 px images, layers named as in its weights.

    Unlike torchvision's it has 96 filters without padding in conv1, groups in conv2, conv4 and conv5, and
    local response normalisation; relu4 holds 384 channels on 13 x 13, conv5 256.

    Args:
        outputs: number of scores.
        hidden: width of fc6 and fc7 (Caffe: 4096).

    Source: Krizhevsky et al. 2012; BVLC reference model.
    """

    def __init__(self, outputs: int = 1000, hidden: int = 4096) -> None:
        def norm() -> nn.Module:
            return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)

        layers: list[tuple[str, nn.Module]] = [
            ("conv1", nn.Conv2d(3, 96, 11, stride=4)),
            ("relu1", nn.ReLU()),
            ("norm1", norm()),
            ("pool1", nn.MaxPool2d(3, 2)),
            ("conv2", nn.Conv2d(96, 256, 5, padding=2, groups=2)),
            ("relu2", nn.ReLU()),
            ("norm2", norm()),
            ("pool2", nn.MaxPool2d(3, 2)),
            ("conv3", nn.Conv2d(256, 384, 3, padding=1)),
            ("relu3", nn.ReLU()),
            ("conv4", nn.Conv2d(384, 384, 3, padding=1, groups=2)),
            ("relu4", nn.ReLU()),
            ("conv5", nn.Conv2d(384, 256, 3, padding=1, groups=2)),
            ("relu5", nn.ReLU()),
            ("pool5", nn.MaxPool2d(3, 2)),
            ("flatten", nn.Flatten(1)),
            ("fc6", nn.Linear(256 * 6 * 6, hidden)),
            ("relu6", nn.ReLU()),
            ("drop6", nn.Dropout(0.5)),
            ("fc7", nn.Linear(hidden, hidden)),
            ("relu7", nn.ReLU()),
            ("drop7", nn.Dropout(0.5)),
            ("fc8", nn.Linear(hidden, outputs)),
        ]
        super().__init__(OrderedDict(layers))


def resnet50_v1(outputs: int = 1000) -> nn.Module:
    """Make the ResNet-50 of the original paper, whose stages stride in their first 1x1 convolution.

    torchvision's ("version 1.5") strides in the 3x3 convolution, with the same weights' names and shapes. Keras's
    `ResNet50` weights, converted from Caffe, are of version 1; in the other network they compute something else.

    Args:
        outputs: number of scores.

    Returns:
        The network, weights at random, layers named as torchvision's.

    Source: He et al. 2016.
    """
    module: nn.Module = torchvision.models.resnet50(weights=None, num_classes=outputs)
    for stage in ("layer2.0", "layer3.0", "layer4.0"):
        first, second = (module.get_submodule(f"{stage}.conv{k}") for k in (1, 2))
        assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)
        first.stride, second.stride = second.stride, first.stride
    return module
