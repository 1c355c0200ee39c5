"""What every performer keeps to: all rows of the catalogue, and odd networks of users."""

import copy
import hashlib
from typing import NamedTuple

import pytest
import torch
import torchvision
from odd_nets import ODD_NETS, ODD_PLANS, build
from torch import Tensor, nn

from partscope.performers import CATALOGUE, Performer
from partscope.performers.catalogue import _resize

SMALL = {"vgg16": 64, "resnet18": 33, "resnet50": 33, "resnet50_v1": 33, "resnet101": 33, "resnet152": 33}
TOP_UNITS: dict[str, tuple[str, ...]] = {
    "creatures_net": ("conv5", "relu5", "pool5"),
    "alexnet": ("features.10", "features.11", "features.12"),
    **dict.fromkeys(("alexnet_bvlc", "vgg_m", "vgg_s"), ("conv5", "relu5", "pool5")),
    "vgg16": ("features.28", "features.29", "features.30"),
    "squeezenet1_0": ("features.10", "features.11"),
    **dict.fromkeys(("resnet18", "resnet50", "resnet50_v1", "resnet101", "resnet152"), ()),
}
TOLERANCE = 1e-5  # of the largest score: the same kernels on the same numbers, other batch sizes


class Case(NamedTuple):
    module: nn.Module
    performer: Performer
    images: Tensor
    scores: Tensor
    before: str


def state_of(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in module.state_dict().items():
        digest.update(key.encode() + value.numpy().tobytes())
    for key, part in module.named_modules():
        hooks = (len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks))
        digest.update(f"{key} {part.training} {getattr(part, 'inplace', None)} {hooks}".encode())
    for key, value in module.named_parameters():
        digest.update(f"{key} {value.requires_grad} {value.grad is None}".encode())
    return digest.hexdigest()


def build_row(name: str) -> nn.Module:
    """The catalogue's network with a narrow head (and narrow blocks), so that it is quick."""
    row = CATALOGUE[name]
    with torch.device("meta"):
        if name in ("resnet50", "resnet101", "resnet152"):
            module = torchvision.models.get_model(name, weights=None, num_classes=7, width_per_group=4)
        else:
            module = row.build(7)
        if row.head:
            _resize(module, row.head, (24, 16, 7))
    module = module.to_empty(device="cpu")
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
            part.reset_parameters()
    return module


@pytest.fixture(scope="module", params=[*CATALOGUE, *ODD_NETS])
def case(request: pytest.FixtureRequest) -> Case:
    name = request.param
    row = CATALOGUE.get(name)
    module = build_row(name) if row else build(name)
    size = SMALL.get(name, row.input_size if row else 32)
    images = torch.rand(3 if size < 100 else 2, 3, size, size, generator=torch.Generator().manual_seed(2))
    mean, std = (row.mean, row.std) if row else ((0.5, 0.4, 0.3), (0.2, 0.3, 0.25))
    with torch.no_grad():
        inputs = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        scores = copy.deepcopy(module).eval()(inputs)
    module.train()
    next(module.children()).eval()
    next(module.parameters()).requires_grad_(False)
    before = state_of(module)
    performer = Performer.for_model(module, size, mean, std, name=name)
    return Case(module, performer, images, scores, before)


def starts(case: Case) -> list[str | int]:
    return ["tap", "last", *range(len(case.performer.plan.targets))]


def test_rule_finds_tap_top_unit_and_targets(case: Case) -> None:
    performer = case.performer
    row = CATALOGUE.get(performer.name)
    tap, top, targets = ODD_PLANS[performer.name] if row is None else (row.tap, TOP_UNITS[performer.name], row.targets)
    assert (performer.tap_name, performer.target_names) == (tap, targets)
    assert tuple(step.label for step in performer.top_unit) == top


def test_shapes(case: Case) -> None:
    performer, n = case.performer, len(case.images)
    features = performer.features(case.images)
    assert features.tap.shape == (n, *performer.tap_shape)
    assert [value.shape for value in features.targets] == [(n, *shape) for shape in performer.target_shapes]
    assert not features.tap.requires_grad
    assert performer.top_output(features.tap).shape == (n, *performer.top_shape)
    assert performer.outputs == case.scores.shape[1]
    pooled = performer.pool()(torch.zeros(1, performer.top_shape[0], *performer.tap_shape[1:]))
    assert pooled.shape[1:] == performer.top_shape


def test_scores_are_the_networks_own(case: Case) -> None:
    gap = (case.performer.scores(case.images) - case.scores).abs().max()
    assert gap <= TOLERANCE * case.scores.abs().max()


def test_resume_is_forward_from_every_start(case: Case) -> None:
    features = case.performer.features(case.images)
    for start in starts(case):
        gap = (case.performer.resume(features, start) - case.scores).abs().max()
        assert gap <= TOLERANCE * case.scores.abs().max(), start


def test_resume_takes_gradient_and_leaves_features_alone(case: Case) -> None:
    features = case.performer.features(case.images)
    for start in starts(case):
        tensor = features.tap if start == "tap" else features.targets[-1 if start == "last" else int(start)]
        kept = tensor.clone()
        tensor.requires_grad_()
        (gradient,) = torch.autograd.grad(case.performer.resume(tensor, start)[:, 0].sum(), tensor)
        assert torch.equal(tensor, kept)
        assert gradient.abs().max() > 0, start
        tensor.requires_grad_(False)


def test_features_are_before_any_overwriting(case: Case) -> None:
    features = case.performer.features(case.images)
    again = case.performer.features(case.images)
    case.performer.resume(features, "tap")
    case.performer.top_map(features)
    assert torch.equal(features.tap, again.tap)
    assert all(torch.equal(a, b) for a, b in zip(features.targets, again.targets, strict=True))


def test_decoder_makes_the_targets_from_the_top_units_output(case: Case) -> None:
    features = case.performer.features(case.images)
    value = case.performer.top_output(features.tap)
    for segment, target in zip(case.performer.decoder_modules(), features.targets, strict=True):
        segment.train()
        kept = value.clone()
        found = segment(value)
        assert torch.equal(value, kept)
        value = found
        assert (value - target).abs().max() <= TOLERANCE * target.abs().max()
        assert not any(isinstance(part, nn.Dropout) for part in segment.modules())
        assert all(not part.training for part in segment.modules())
        assert all(weight.requires_grad for weight in segment.parameters())


def test_decoder_weights_are_copies(case: Case) -> None:
    for segment in case.performer.decoder_modules():
        with torch.no_grad():
            for weight in segment.parameters():
                weight.zero_()
    features = case.performer.features(case.images)
    assert (case.performer.resume(features, "tap") - case.scores).abs().max() <= TOLERANCE * case.scores.abs().max()


def test_top_map_is_the_layer_below_the_activation(case: Case) -> None:
    performer = case.performer
    features = performer.features(case.images)
    found = performer.top_map(features)
    assert found.shape[0] == len(case.images) and found.ndim == 4
    assert torch.equal(found, performer.top_map(features.tap)) or performer.plan.top_end == performer.plan.tap + 1
    if performer.top_conv is not None:
        assert (found < 0).any()


def test_everything_comes_back_as_it_was(case: Case) -> None:
    """Training flags, need of gradients, hooks, buffers and weights of the user's module."""
    hooks = [len(part._forward_hooks) for part in case.performer.module.modules()]
    case.performer.features(case.images)
    case.performer.scores(case.images)
    case.performer.describe()
    assert [len(part._forward_hooks) for part in case.performer.module.modules()] == hooks
    assert state_of(case.module) == case.before


def test_field_is_on_the_image(case: Case) -> None:
    field, n, last_pixel = case.performer.field, case.performer.tap_shape[1], case.performer.input_size - 1
    last = field.start + field.stride * (n - 1)
    off_centre = abs(field.start + last - last_pixel) / 2
    assert off_centre <= field.stride / 4 + 1e-6 or min(field.start, last_pixel - last) >= field.stride / 4
    assert case.performer._probe.method != "even grid"
