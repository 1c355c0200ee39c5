"""The gradient probe against the closed form of convolution chains."""

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.vgg import cfgs, make_layers

from partscope.maths.receptive_field import ReceptiveField, conv_chain_field
from partscope.performers import CATALOGUE, VGGM, VGGS, AlexNetBVLC, Performer

VGG_TAP = [layer for n in (2, 2, 3, 3) for layer in [(3, 1, 1)] * n + [(2, 2, 0)]] + [(3, 1, 1)] * 2


def thin_vgg() -> nn.Module:
    widths = [width if width == "M" else int(width) // 32 for width in cfgs["D"]]
    return nn.Sequential(make_layers(widths), nn.Flatten(), nn.Linear(16 * 49, 8), nn.ReLU(), nn.Linear(8, 3))


def thin_alexnet() -> nn.Module:
    def layer(before: int, after: int, *geometry: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, *geometry), nn.ReLU()]

    return nn.Sequential(
        *layer(3, 4, 11, 4, 2), nn.MaxPool2d(3, 2), *layer(4, 4, 5, 1, 2), nn.MaxPool2d(3, 2),
        *layer(4, 6, 3, 1, 1), *layer(6, 6, 3, 1, 1), *layer(6, 6, 3, 1, 1), nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Linear(216, 8), nn.ReLU(), nn.Linear(8, 3),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("build", "size", "chain", "centres"),
    [
        (thin_vgg, 224, VGG_TAP, (7.5, 16.0)),
        (
            thin_alexnet,
            224,
            [(11, 4, 2), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1), (3, 1, 1)],
            (15.0, 16.0),
        ),
        (
            lambda: AlexNetBVLC(3, 8),
            227,
            [(11, 4, 0), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1), (3, 1, 1)],
            (17.0, 16.0),
        ),
        (lambda: VGGM(3, 8), 224, [(7, 2, 0), (3, 2, 0), (5, 2, 1), (3, 2, 0), (3, 1, 1), (3, 1, 1)], (17.0, 16.0)),
        (lambda: VGGS(3, 8), 224, [(7, 2, 0), (3, 3, 0), (5, 1, 0), (2, 2, 0), (3, 1, 1), (3, 1, 1)], (20.0, 12.0)),
    ],
)
def test_probe_is_the_closed_form(build, size: int, chain: list, centres: tuple[float, float]) -> None:
    torch.manual_seed(0)
    performer = Performer.for_model(build(), size)
    assert performer.field == conv_chain_field(chain)
    assert performer.field[:2] == centres
    assert performer.describe()["field_method"] == "gradient"


@pytest.mark.parametrize(
    ("name", "start", "stride", "units"),
    [
        ("alexnet_bvlc", 18, 16, 13),
        ("alexnet", 16, 16, 13),
        ("vgg_m", 18, 16, 13),
        ("vgg_s", 21, 12, 17),
        ("vgg16", 8.5, 16, 14),
        ("resnet18", 8.5, 16, 14),
        ("resnet50", 16.5, 32, 7),
        ("resnet101", 16.5, 32, 7),
        ("resnet152", 16.5, 32, 7),
    ],
)
def test_grids_of_the_papers_networks(name: str, start: float, stride: float, units: int) -> None:
    """Published starts count pixels from 1; a ResNet's 1 (or 193 at the end) is moved to the centre."""
    row = CATALOGUE[name]
    if name.startswith("resnet"):
        module: nn.Module = torchvision.models.get_model(name, weights=None, **THIN if name != "resnet18" else {})
    else:
        module = thin_vgg() if name == "vgg16" else thin_alexnet() if name == "alexnet" else row.build(2)
    performer = Performer.for_model(module, row.input_size)
    assert performer.field[:2] == (start - 1, stride) and performer.tap_shape[1:] == (units, units)


THIN = {"width_per_group": 4}


class Strided(nn.Module):
    """Every stride begins at the first pixel, as in a ResNet; functional pooling, gates, sums in place."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 7, 2, 3), nn.Conv2d(4, 4, 3, 2, 1)
        self.c = nn.Conv2d(4, 4, 3, 2, 1)
        self.block = Gated(4)
        self.last, self.fc = nn.Conv2d(4, 4, 3, 1, 1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.a(x)), 3, 2, 1)
        x = F.hardswish(self.c(F.silu(self.b(x))))
        return self.fc(self.last(self.block(x)).mean([2, 3]))


class Gated(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(width, width, 3, 1, 1), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y += x
        y *= torch.sigmoid(self.gate(x.mean([2, 3])))[..., None, None]
        return F.layer_norm(y, y.shape[1:])


def test_grid_off_the_middle_is_centred() -> None:
    torch.manual_seed(0)
    performer = Performer.for_model(Strided(), 224, tap="block", targets=("last",))
    closed = conv_chain_field([(7, 2, 3), (3, 2, 1), (3, 2, 1), (3, 2, 1), (3, 1, 1)])
    assert closed == ReceptiveField(0.0, 16.0, closed.size)
    assert performer.field == ReceptiveField(7.5, 16.0, closed.size)
    assert performer.describe()["field_method"] == "gradient, centred"


class ChannelGate(nn.Module):
    """Its own weights, in single precision, meet the probe's maps in a function that the probe does not replace."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.mix, self.b = nn.Conv2d(3, 4, 3, 2, 0), nn.Conv1d(1, 1, 3, padding=1), nn.Conv2d(4, 4, 3)
        self.scale, self.fc = nn.Parameter(torch.ones(4, 1, 1)), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a(x))
        x = self.scale * x * torch.sigmoid(self.mix(x.mean((2, 3))[:, None])).transpose(1, 2)[..., None]
        return self.fc(F.relu(self.b(x)).mean([2, 3]))


class OwnPosition(nn.Module):
    """Attention over all positions, written with a softmax or as one function."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.a, self.b, self.fc, self.fused = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(4, 4, 1), nn.Linear(4, 2), fused

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        q = x.flatten(2).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, q, q) if self.fused else (q @ q.transpose(1, 2)).softmax(-1) @ q
        x = x + y.transpose(1, 2).reshape(x.shape) ** 2
        return self.fc(F.relu(self.b(x)).mean([2, 3]))


@pytest.mark.parametrize(
    ("net", "found"), [(ChannelGate, (3.0, 2.0, 7.0)), (lambda: OwnPosition(True), (1.5, 4.0, 4.0)),
                       (lambda: OwnPosition(False), (1.5, 4.0, 4.0))],
)  # fmt: skip
def test_gates_and_attention_do_not_hide_the_geometry(net, found: tuple[float, float, float]) -> None:
    torch.manual_seed(0)
    performer = Performer.for_model(net(), 32, tap="b", targets=("fc",))
    assert performer.field[:2] == found[:2] and performer.describe()["field_method"].startswith("gradient")
    assert performer.field.size == found[2]


class Hidden(nn.Module):
    """Its maps come from a list of pixels: no geometry for the probe to find."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.fc = nn.Linear(3072, 256), nn.Linear(4, 2)
        self.a, self.b = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a(self.mix(x.flatten(1)).view(-1, 4, 8, 8)))
        return self.fc(self.b(x).mean([2, 3]))


def test_even_grid_where_nothing_can_be_found() -> None:
    torch.manual_seed(0)
    performer = Performer.for_model(Hidden(), 32)
    assert performer.field == ReceptiveField(1.5, 4.0, 32.0)
    assert performer.describe()["field_method"] == "even grid"
