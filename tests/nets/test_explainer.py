"""The explainer's wiring: tracks, masks, norm-layers, mixing, decoder, and where they start."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from partscope.nets import Explainer, MagnitudeNorm
from partscope.nets.start import (
    can_copy,
    dense_weight,
    start_from_conv,
    start_from_he,
    start_from_identity,
    start_from_pairs,
)
from partscope.performers import Performer
from partscope.settings import ExplainerSettings
from partscope.training import FeatureStore, build_explainer


def explainer(settings: ExplainerSettings | None = None) -> Explainer:
    torch.manual_seed(0)
    segments = [nn.Sequential(nn.Flatten(), nn.Linear(8 * 9, 5)), nn.Sequential(nn.ReLU(), nn.Linear(5, 4))]
    gain = torch.rand(8) + 1
    return Explainer(6, 8, nn.MaxPool2d(2), segments, gain, (3, 3), settings or ExplainerSettings())


def images(n: int = 5) -> Tensor:
    return torch.rand(n, 6, 6, 6, generator=torch.Generator().manual_seed(1))


def test_outputs_have_the_targets_shapes() -> None:
    out = explainer()(images())
    assert [tuple(o.shape) for o in out.outputs] == [(5, 5), (5, 4)]
    assert out.interpretable.output.shape == (5, 8, 3, 3)


def test_every_map_after_a_mask_keeps_its_peak_and_little_else() -> None:
    out = explainer()(images())
    second, parts = out.interpretable.second, out.interpretable.parts
    assert torch.equal(second.amax((2, 3)), parts.amax((2, 3)))
    assert int((parts > 0).sum((2, 3)).max()) <= 13


def test_without_masks_the_maps_pass_whole() -> None:
    out = explainer(ExplainerSettings(masks=False))(images())
    assert torch.equal(out.interpretable.second, out.interpretable.parts)


def test_p_is_the_share_of_magnitude_that_passes_through_the_parts() -> None:
    net = explainer(ExplainerSettings(initial_p=0.8)).train()
    counted = torch.tensor([True, True, True, False, False])
    out = net(images(), counted)
    through = (net.p * out.interpretable.output)[counted].sum((0, 2, 3))
    whole = through + ((1 - net.p) * out.ordinary.output)[counted].sum((0, 2, 3))
    alive = (through > 0.1) & (whole - through > 0.1)
    assert int(alive.sum()) >= 5
    torch.testing.assert_close((through / whole)[alive], torch.full_like(whole, 0.8)[alive])


def test_a_silenced_track_is_replaced_by_its_mean() -> None:
    net = explainer().eval()
    out = net(images())
    net.mean_ordinary.copy_(torch.rand(8, 3, 3))
    rebuilt = net.decode(out.interpretable.output, out.ordinary.output, "ordinary")
    by_hand = net.decode(out.interpretable.output, net.mean_ordinary.expand(5, 8, 3, 3))
    assert torch.equal(rebuilt[1], by_hand[1])
    other = net.decode(out.interpretable.output, out.ordinary.output, "interpretable")
    assert not torch.equal(rebuilt[1], other[1])


def test_the_decoder_multiplies_by_the_gain_unless_told_otherwise() -> None:
    plain = explainer(ExplainerSettings(decoder_scale=False))
    assert torch.equal(plain.decoder.gain, torch.ones(8))
    scaled = explainer()
    x = torch.rand(2, 8, 3, 3)
    assert torch.allclose(scaled.decoder(x)[0], plain.decoder(x * scaled.decoder.gain[:, None, None])[0], atol=1e-6)


def test_training_mode_leaves_copied_layers_in_evaluation() -> None:
    segments = [nn.Sequential(nn.BatchNorm2d(8), nn.Flatten(), nn.Dropout(0.5))]
    net = Explainer(6, 8, nn.Identity(), segments, torch.ones(8), (6, 6), ExplainerSettings()).train()
    assert net.training and not any(m.training for m in net.decoder.segments[0].modules())


def test_norm_in_training_takes_the_batch_and_in_evaluation_the_running_magnitude() -> None:
    norm = MagnitudeNorm(3, "batch", momentum=0.5)
    x = torch.rand(4, 3, 2, 2) + 0.1
    counted = torch.tensor([True, True, False, False])
    out = norm.train()(x, counted)
    torch.testing.assert_close(out[:2].sum((2, 3)).mean(0), torch.ones(3))
    torch.testing.assert_close(norm.alpha, 0.5 + 0.5 * x[:2].sum((2, 3)).mean(0))
    torch.testing.assert_close(norm.eval()(x, counted), x / norm.alpha[:, None, None])


def test_norm_lets_the_gradient_through_alpha_only_in_batch_mode() -> None:
    x = torch.rand(4, 3, 2, 2)
    everyone = torch.ones(4, dtype=torch.bool)
    for mode, invariant in (("batch", True), ("running", False)):
        scale = torch.ones(3, requires_grad=True)
        norm = MagnitudeNorm(3, mode).train()  # type: ignore[arg-type]
        norm(x * scale[:, None, None], everyone).square().sum().backward()
        assert scale.grad is not None
        assert bool((scale.grad.abs() < 1e-5).all()) is invariant


def test_norm_blows_no_rare_filter_up_after_training_by_batches() -> None:
    x = torch.tensor([0.5, 40.0]).reshape(1, 2, 1, 1)
    none = torch.zeros(1, dtype=torch.bool)
    for mode, expected in (("batch", [0.5, 32.0]), ("running", [0.5, 40.0])):
        norm = MagnitudeNorm(2, mode)  # type: ignore[arg-type]
        assert norm.eval()(x).flatten().tolist() == expected
        assert norm.train()(x, none).flatten().tolist() == expected


def test_norm_without_counted_images_does_not_move() -> None:
    norm = MagnitudeNorm(3, "batch").train()
    norm(torch.rand(2, 3, 2, 2), torch.zeros(2, dtype=torch.bool))
    assert torch.equal(norm.alpha, torch.ones(3))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_copied_conv_layer_gives_the_same_maps(groups: int) -> None:
    conv, layer = nn.Conv2d(4, 6, 3, padding=1, groups=groups), nn.Conv2d(4, 6, 3, padding=1)
    start_from_conv(layer, conv)
    x = torch.rand(2, 4, 5, 5)
    torch.testing.assert_close(layer(x), conv(x), atol=1e-5, rtol=1e-5)
    assert dense_weight(conv).shape == (6, 4, 3, 3)


def test_a_copied_1x1_conv_layer_gives_the_same_maps() -> None:
    conv, layer = nn.Conv2d(4, 6, 1, bias=False), nn.Conv2d(4, 6, 3, padding=1)
    start_from_conv(layer, conv)
    x = torch.rand(2, 4, 5, 5)
    torch.testing.assert_close(layer(x), conv(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("conv", "fits"),
    [
        (nn.Conv2d(4, 4, 3, padding=1), True),
        (nn.Conv2d(4, 4, 3), False),
        (nn.Conv2d(4, 4, 3, padding=1, stride=2), False),
        (nn.Conv2d(4, 4, 1), True),
        (nn.Conv2d(4, 4, 5, padding=2), False),
        (nn.Conv2d(4, 4, 3, padding=2, dilation=2), False),
    ],
)
def test_which_conv_layers_can_be_copied(conv: nn.Conv2d, fits: bool) -> None:
    assert can_copy(conv) is fits


@torch.no_grad()
def test_the_identity_start_passes_maps_and_the_he_start_does_not() -> None:
    layer = nn.Conv2d(4, 4, 3, padding=1)
    x = torch.rand(2, 4, 5, 5)
    start_from_identity(layer, 0.0, torch.Generator())
    assert torch.equal(layer(x), x)
    start_from_identity(layer, 0.1, torch.Generator().manual_seed(0))
    assert 0 < float((layer(x) - x).std()) < 0.2
    start_from_he(layer, torch.Generator().manual_seed(0))
    assert abs(float(layer.weight.std()) / (2 / 36) ** 0.5 - 1) < 0.25


def test_a_regression_start_finds_a_conv_layer_followed_by_relu() -> None:
    torch.manual_seed(0)
    truth, layer = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(3, 5, 3, padding=1)
    x = torch.randn(20, 3, 8, 8)
    with torch.no_grad():
        y = truth(x).relu()
        start_from_pairs(layer, x, y, torch.Generator().manual_seed(0))
        error = (layer(x).relu() - y).square().sum() / (y - y.mean()).square().sum()
        start_from_pairs(layer, x, y, torch.Generator().manual_seed(0), rounds=1)
        plain = (layer(x).relu() - y).square().sum() / (y - y.mean()).square().sum()
    assert float(error) < 0.6 * float(plain)


def test_settings_reach_the_start_of_p() -> None:
    assert float(explainer(replace(ExplainerSettings(), initial_p=0.25)).p.detach()) == pytest.approx(0.25)


def test_p_starts_low_before_a_decoder_of_conv_layers() -> None:
    block = nn.Sequential(nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU()))
    conv = Explainer(6, 8, nn.Identity(), [block], torch.ones(8), (6, 6), ExplainerSettings())
    given = Explainer(6, 8, nn.Identity(), [block], torch.ones(8), (6, 6), ExplainerSettings(initial_p=0.7))
    starts = [float(net.p.detach()) for net in (explainer(), conv, given)]
    assert starts == pytest.approx([0.5, 0.1, 0.7])


def test_a_dropped_image_is_rebuilt_without_its_own_ordinary_features() -> None:
    net = explainer().train()
    x, counted = images(4), torch.ones(4, dtype=torch.bool)
    dropped = torch.tensor([True, False, False, True])
    net.ordinary.norm.momentum = net.interpretable.norm.momentum = 0.0
    plain, out = net(x, counted), net(x, counted, dropped)
    mean = plain.ordinary.output.mean(0, keepdim=True).expand(4, -1, -1, -1)
    alone = net.decode(plain.interpretable.output, mean)
    assert torch.equal(out.outputs[1][1:3], plain.outputs[1][1:3])
    torch.testing.assert_close(out.outputs[1][[0, 3]], alone[1][[0, 3]])
    assert not torch.allclose(out.outputs[1][[0, 3]], plain.outputs[1][[0, 3]])


def test_a_batch_norm_behind_the_top_conv_layer_is_folded_into_the_start() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(6)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    norm.running_mean.normal_()  # type: ignore[union-attr]
    norm.running_var.uniform_(0.2, 3.0)  # type: ignore[union-attr]
    net = nn.Sequential(
        *(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 6, 3, padding=1), norm, nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(1), nn.Linear(6 * 64, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 2)),
    )
    performer = Performer.for_model(net, 16)
    assert [type(step.module).__name__ for step in performer.top_unit] == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    features = performer.features(torch.rand(8, 3, 16, 16))
    manifest = {"rows": 8, "shard_rows": 8, "targets": ["target0", "target1"]}
    shard = {"tap": features.tap, "target0": features.targets[0], "target1": features.targets[1]}
    store = FeatureStore(manifest, [shard])
    explainer = build_explainer(performer, store, torch.ones(6), ExplainerSettings(), 0)
    maps = explainer.ordinary.conv_ordin(features.tap).relu()
    wanted = performer.top_output(features.tap)
    assert torch.allclose(nn.functional.max_pool2d(maps, 2), wanted, atol=1e-5)  # float32, other order of sums


def test_a_notebook_shows_its_size_and_p() -> None:
    text = explainer(ExplainerSettings(initial_p=0.8))._repr_html_()
    for name, value in (("part filters", "8"), ("channels of the tap", "6"), ("mixing weight p", "0.800")):
        assert f"<th>{name}</th><td>{value}</td>" in text
