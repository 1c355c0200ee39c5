"""The two architectures of the planted performers, for 64 px images and three classes."""

from collections import OrderedDict
from typing import final

import torch
from torch import Tensor, nn

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
ARCHITECTURES = ("plain", "resnet")


def plain(classes: int) -> nn.Sequential:
    """A plain CNN with fully connected layers, a VGG in small: 16 x 16 maps of 48 channels at relu3."""
    net = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 16, 5, 2, 2), bn1=nn.BatchNorm2d(16), relu1=nn.ReLU(),
            conv2=nn.Conv2d(16, 32, 3, padding=1), bn2=nn.BatchNorm2d(32), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(32, 48, 3, padding=1), bn3=nn.BatchNorm2d(48), relu3=nn.ReLU(),
            conv4=nn.Conv2d(48, 48, 3, padding=1), bn4=nn.BatchNorm2d(48), relu4=nn.ReLU(), pool4=nn.MaxPool2d(2),
            flatten=nn.Flatten(1),
            fc6=nn.Linear(48 * 8 * 8, 96), relu6=nn.ReLU(),
            fc7=nn.Linear(96, 64), relu7=nn.ReLU(), last=nn.Linear(64, classes),
        )
    )  # fmt: skip
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return net


@final
class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = (
            nn.Identity()
            if before == after and stride == 1
            else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Adds the convolutions' output to the shortcut's."""
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


def resnet(classes: int) -> nn.Sequential:
    """A small ResNet with average pooling: 16 x 16 maps of 32 channels, tapped before its last two blocks."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 16, 5, 2, 2, bias=False), bn1=nn.BatchNorm2d(16), relu1=nn.ReLU(),
            block1=Block(16, 32, 2), block2=Block(32, 32, 1), block3=Block(32, 32, 1),
            pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1), last=nn.Linear(32, classes),
        )
    )  # fmt: skip


def network(architecture: str, classes: int, seed: int) -> nn.Sequential:
    """An untrained network of one of `ARCHITECTURES`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {"plain": plain, "resnet": resnet}[architecture](classes)
