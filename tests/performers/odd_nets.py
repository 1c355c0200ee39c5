"""Small networks that a user might hand over, each odd in one way."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride, 1)


class FunctionalNet(nn.Module):
    """ReLU, pooling and flattening written as functions, as in many tutorials."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv(3, 8), conv(8, 10), conv(10, 12)
        self.fc1, self.fc2, self.fc3 = nn.Linear(12 * 4 * 4, 20), nn.Linear(20, 14), nn.Linear(14, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        x = torch.flatten(x, 1)
        x = F.dropout(F.relu(self.fc1(x)), 0.5, self.training)
        return self.fc3(F.relu(self.fc2(x)))


class InPlaceNet(nn.Module):
    """ReLUs that overwrite the tap and the targets."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 8, 2),
            nn.ReLU(inplace=True),
            conv(8, 8),
            nn.ReLU(inplace=True),
            conv(8, 8),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(512, 16), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(16, 8), nn.ReLU(inplace=True), nn.Linear(8, 4),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.features(x)))


class FunctionalInPlaceNet(nn.Module):
    """In-place functions right after the layers that we read."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.fc = conv(3, 6, 2), conv(6, 6), conv(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x).relu_()
        x = self.b(x).relu_()
        x = F.relu(self.c(x), inplace=True)
        return self.fc(x.mean([2, 3]))


class Residual(nn.Module):
    def __init__(self, width: int, zero: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(width, width), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        if zero:
            nn.init.zeros_(self.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + x)


class ResidualNet(nn.Module):
    """Residual blocks; with ``zero`` each is the identity at the start."""

    def __init__(self, zero: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 8, 2), nn.BatchNorm2d(8), nn.ReLU())
        self.stage = nn.Sequential(*(Residual(8, zero) for _ in range(3)))
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage(self.stem(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class DenseLayer(nn.Module):
    def __init__(self, before: int) -> None:
        super().__init__()
        self.conv = conv(before, 4)

    def forward(self, maps: list[Tensor]) -> Tensor:
        return F.relu(self.conv(torch.cat(maps, 1)))


class DenseBlock(nn.Module):
    def __init__(self, before: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([DenseLayer(before), DenseLayer(before + 4)])

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.layers:
            maps.append(layer(maps))
        return torch.cat(maps, 1)


class DenseNet(nn.Module):
    """Concatenations of lists of maps."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block1, self.pool = conv(3, 4, 2), DenseBlock(4), nn.AvgPool2d(2)
        self.block2, self.norm, self.block3 = DenseBlock(12), nn.BatchNorm2d(20), DenseBlock(20)
        self.classifier = nn.Linear(28, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block2(self.pool(self.block1(self.stem(x))))
        x = self.block3(F.relu(self.norm(x)))
        return self.classifier(F.relu(x).mean((2, 3)))


class ReusedNet(nn.Module):
    """One ReLU and one pool called everywhere, one convolution called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice, self.last = conv(3, 8, 2), conv(8, 8), conv(8, 8)
        self.relu, self.pool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
        self.fc6, self.fc7, self.fc8 = nn.Linear(128, 12), nn.Linear(12, 12), nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.first(x)))
        x = self.relu(self.twice(x))
        x = self.relu(self.twice(x))
        x = self.pool(self.relu(self.last(x))).view(x.shape[0], -1)
        return self.fc8(self.relu(self.fc7(self.relu(self.fc6(x)))))


class SqueezeExcite(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.down, self.up = conv(width, width), nn.Linear(width, 4), nn.Linear(4, width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self.conv(x))
        gate = torch.sigmoid(self.up(F.relu(self.down(y.mean([2, 3])))))
        return y * gate[:, :, None, None]


class SqueezeExciteNet(nn.Module):
    """Gates from the whole map inside a block."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 2)
        self.blocks = nn.Sequential(SqueezeExcite(8), SqueezeExcite(8), SqueezeExcite(8))
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(self.stem(x)).mean([2, 3]))


class NonBatchNet(nn.Module):
    """Mixes the images of a batch before the layers that can be tapped."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b, self.c = conv(3, 6, 2), conv(6, 6), conv(6, 6), conv(6, 6)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x - x.mean(0, keepdim=True) / 2
        x = F.relu(self.b(F.relu(self.a(x))))
        return self.fc(F.relu(self.c(x)).amax((2, 3)))


class BatchNormNet(nn.Module):
    """Convolution, normalisation, GELU; pooling before activation; a counter in a buffer; a log-softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(3, 8), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = conv(8, 8), nn.BatchNorm2d(8)
        self.conv3, self.bn3 = conv(8, 8), nn.BatchNorm2d(8)
        self.fc6, self.fc7 = nn.Linear(8 * 16, 10), nn.Linear(10, 3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        for norm in (self.bn1, self.bn2, self.bn3):
            nn.init.uniform_(norm.running_mean, -0.3, 0.3)
            nn.init.uniform_(norm.running_var, 0.2, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x = F.gelu(self.bn1(self.conv1(x)))
        x = F.relu(F.avg_pool2d(self.bn2(self.conv2(x)), 4))
        x = F.max_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        return F.log_softmax(self.fc7(torch.tanh(self.fc6(x.flatten(1)))), 1)


class OverwritingBlock(nn.Module):
    """Its result depends on the in-place ReLU's overwriting the skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.relu, self.conv = nn.ReLU(inplace=True), conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.relu(x)) + x


class OverwritingNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 6, 2), *(OverwritingBlock(6) for _ in range(3)))
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(x).mean([2, 3]))


class ConvTail(nn.Module):
    """Fully connected layers written as convolutions of one position, behind a gate of convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last = nn.Sequential(conv(3, 6, 2), nn.ReLU()), conv(6, 8)
        self.down, self.up = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1)
        self.gate = Gate(self.down, self.up)
        self.fc6, self.fc7, self.fc8 = nn.Conv2d(8, 10, 8), nn.Conv2d(10, 6, 1), nn.Conv2d(6, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.last(self.gate(self.stem(x)))), 2)
        return self.fc8(F.relu(self.fc7(F.relu(self.fc6(x))))).flatten(1)


class Gate(nn.Module):
    def __init__(self, down: nn.Module, up: nn.Module) -> None:
        super().__init__()
        self.down, self.up = down, up

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.up(F.relu(self.down(x.mean([2, 3], keepdim=True)))))


class Branches(nn.Module):
    """Maps that meet outside any module, and a single block behind, as in an HRNet."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.last, self.fc = conv(3, 6, 2), conv(3, 6, 2), conv(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.last(self.a(x) - 2 * self.b(x)))
        return self.fc(x.mean((2, 3)))


ODD_NETS: dict[str, Callable[[], nn.Module]] = {
    "functional": FunctionalNet,
    "in_place": InPlaceNet,
    "functional_in_place": FunctionalInPlaceNet,
    "residual": ResidualNet,
    "zero_gamma": lambda: ResidualNet(zero=True),
    "dense": DenseNet,
    "reused": ReusedNet,
    "squeeze_excite": SqueezeExciteNet,
    "non_batch": NonBatchNet,
    "batch_norm": BatchNormNet,
    "overwriting": OverwritingNet,
    "conv_tail": ConvTail,
    "branches": Branches,
}
"""All for 32 px images."""

ODD_PLANS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "functional": (
        "conv2+relu+maxpool2d",
        ("conv3", "conv3+relu", "conv3+relu+maxpool2d"),
        ("fc1", "fc2"),
    ),
    "in_place": ("features.3", ("features.4", "features.5", "pool"), ("head.1", "head.4")),
    "functional_in_place": ("a+relu", (), ("b", "c")),
    "residual": ("stage.0", (), ("stage.1", "stage.2")),
    "zero_gamma": ("stage.0", (), ("stage.1", "stage.2")),
    "dense": ("stem", ("block1", "pool"), ("norm", "block3")),
    "reused": ("relu@3", ("last", "relu@4", "pool@2"), ("fc6", "fc7")),
    "squeeze_excite": ("blocks.0", (), ("blocks.1", "blocks.2")),
    "non_batch": ("a+relu", (), ("b", "c")),
    "batch_norm": ("bn2+avgpool2d+relu", ("conv3", "bn3", "bn3+relu", "bn3+relu+maxpool2d"), ("fc6",)),
    "overwriting": ("body.1", (), ("body.2", "body.3")),
    "conv_tail": ("gate", ("last", "last+relu", "last+relu+maxpool2d"), ("fc6", "fc7")),
    "branches": ("last.input", (), ("last",)),
}
"""Tap, top unit and targets that the rule must find."""


def build(name: str) -> nn.Module:
    torch.manual_seed(5)
    return ODD_NETS[name]()
