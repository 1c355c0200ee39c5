"""The paper's networks: VGG-M and VGG-S layer by layer, ResNets under both readings, Caffe's 384 channels on 256."""

import pytest
import torch
import torchvision
from torch import nn

from partscope.nets.start import dense_weight
from partscope.performers import CATALOGUE, VGGM, VGGS, AlexNetBVLC, Performer
from partscope.settings import ExplainerSettings
from partscope.training import FeatureSource, FeatureStore, build_explainer, compute_features

CONV, NORM, POOL = (nn.Conv2d, nn.LocalResponseNorm, nn.MaxPool2d)
TABLES = {
    VGGM: {
        "conv1": (96, 109), "norm1": (96, 109), "pool1": (96, 54), "conv2": (256, 26), "norm2": (256, 26),
        "pool2": (256, 13), "conv3": (512, 13), "conv4": (512, 13), "conv5": (512, 13), "pool5": (512, 6),
    },
    VGGS: {
        "conv1": (96, 109), "norm1": (96, 109), "pool1": (96, 37), "conv2": (256, 33),
        "pool2": (256, 17), "conv3": (512, 17), "conv4": (512, 17), "conv5": (512, 17), "pool5": (512, 6),
    },
}  # fmt: skip


@pytest.mark.parametrize("make", [VGGM, VGGS])
def test_sizes_layer_by_layer(make: type[nn.Sequential]) -> None:
    net, x, found = make(5, 8), torch.zeros(1, 3, 224, 224), {}
    for name, layer in net.named_children():
        x = layer(x)
        if isinstance(layer, (CONV, NORM, POOL)):
            found[name] = (x.shape[1], x.shape[2])
    assert found == TABLES[make]
    assert (net.fc6.in_features, net.fc6.out_features, net.fc7.out_features, x.shape) == (18432, 8, 8, (1, 5))


@pytest.mark.parametrize("make", [VGGM, VGGS])
def test_response_norms_are_caffes(make: type[nn.Sequential]) -> None:
    """x / (2 + 5e-4 / 5 * the sum of squares over 5 channels) ** .75; MatConvNet writes 1e-4 for the same."""
    norm = make(2, 2).norm1
    x = 40 * torch.rand(1, 12, 2, 2, generator=torch.Generator().manual_seed(0))
    for channel in range(12):
        near = x[0, max(0, channel - 2) : channel + 3]
        want = x[0, channel] / (2 + 1e-4 * near.square().sum(0)) ** 0.75
        assert torch.allclose(norm(x)[0, channel], want, rtol=1e-5)
    assert len([layer for layer in make(2, 2) if isinstance(layer, NORM)]) == (2 if make is VGGM else 1)


def narrow_resnet(depth: int) -> nn.Module:
    module: nn.Module = torchvision.models.get_model(f"resnet{depth}", num_classes=3, width_per_group=4)
    return module


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_resnets_under_the_other_reading(depth: int) -> None:
    """R3 by naming the tap alone: the stage below is the tap, the strided block the top unit, the targets stay."""
    module = narrow_resnet(depth)
    row = CATALOGUE[f"resnet{depth}"]
    default = Performer.for_model(module, 64, tap=row.tap, targets=row.targets)
    stage = Performer.for_model(module, 64, tap="layer3")
    assert default.tap_shape == (2048, 2, 2) and default.top_unit == ()
    assert stage.tap_shape == (1024, 4, 4) and stage.top_shape == (2048, 2, 2)
    assert [step.label for step in stage.top_unit] == ["layer4.0"]
    assert default.target_names == stage.target_names == ("layer4.1", "layer4.2")
    images = torch.rand(2, 3, 64, 64)
    found, want = stage.features(images), default.features(images)
    assert all(torch.equal(a, b) for a, b in zip(found.targets, want.targets, strict=True))
    assert torch.equal(stage.top_output(found.tap), want.tap)
    assert torch.allclose(stage.resume(found, "tap"), default.scores(images), rtol=1e-5)
    assert stage.pool()(torch.zeros(1, 2048, 4, 4)).shape[2:] == (2, 2)


def test_resnet18_has_one_reading_only() -> None:
    """Its last stage has two blocks: the block below them is the last stage's input."""
    module = torchvision.models.resnet18(num_classes=3)
    plans = [Performer.for_model(module, 64, tap=tap).plan for tap in (CATALOGUE["resnet18"].tap, "layer3", None)]
    assert plans[0] == plans[1] == plans[2]


def test_caffes_alexnet_keeps_256_filters_on_384_channels() -> None:
    """relu4 holds 384 channels, fc6 takes 256: the first convolutions narrow, conv-interp-2 keeps."""
    torch.manual_seed(0)
    performer = Performer.for_model(AlexNetBVLC(2, 8), 227)
    images = torch.rand(3, 3, 227, 227)

    source = FeatureSource("x", 3, lambda start: iter([images[start:]]))
    store = next(e for e in compute_features(performer, source, None, 3) if isinstance(e, FeatureStore))
    explainer = build_explainer(performer, store, torch.ones(256), ExplainerSettings(), seed=0)
    track = explainer.interpretable
    assert track.conv_interp_1.weight.shape == explainer.ordinary.conv_ordin.weight.shape == (256, 384, 3, 3)
    assert track.conv_interp_2.weight.shape == (256, 256, 3, 3)
    assert performer.top_conv is not None and performer.top_conv.groups == 2
    assert torch.equal(explainer.ordinary.conv_ordin.weight, dense_weight(performer.top_conv))
    tap = performer.features(images).tap
    maps = explainer.ordinary(tap).maps
    assert (explainer.ordinary.pool(maps) - performer.top_output(tap)).abs().max() <= 1e-5 * maps.abs().max()
