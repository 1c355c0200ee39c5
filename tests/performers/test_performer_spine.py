"""The spine itself: bridges are found by equality, and what only seemed equal is cut off."""

import pytest
import torch
from odd_nets import build
from torch import Tensor, nn
from torch.nn import functional as F

from partscope.errors import PerformerError
from partscope.performers import Performer
from partscope.performers.bridges import find_bridge
from partscope.performers.frozen import frozen_copy, in_place_layers
from partscope.performers.spine import find_spine


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (lambda x: x, []),
        (F.relu, ["ReLU"]),
        (F.hardswish, ["Hardswish"]),
        (lambda x: F.leaky_relu(x, 0.2), ["LeakyReLU"]),
        (lambda x: x.flatten(1), ["Flatten"]),
        (lambda x: F.elu(x).reshape(2, -1), ["ELU", "Flatten"]),
        (lambda x: x.mean((2, 3)), ["AdaptiveAvgPool2d", "Flatten"]),
        (lambda x: x.mean((2, 3), keepdim=True), ["AdaptiveAvgPool2d"]),
        (lambda x: torch.tanh(x).amax((2, 3)), ["Tanh", "AdaptiveMaxPool2d", "Flatten"]),
        (lambda x: F.adaptive_avg_pool2d(x, 3), ["AdaptiveAvgPool2d"]),
        (lambda x: F.max_pool2d(x, 3, 2, 1), ["MaxPool2d"]),
        (lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), ["MaxPool2d"]),
        (lambda x: F.relu(F.avg_pool2d(x, 2)), ["AvgPool2d", "ReLU"]),
        (lambda x: F.avg_pool2d(F.relu(x), 2), ["ReLU", "AvgPool2d"]),
        (lambda x: F.adaptive_avg_pool2d(x, 3).flatten(1), ["AdaptiveAvgPool2d", "Flatten"]),
        (lambda x: 2 * x, None),
        (lambda x: 1.0001 * F.relu(x), None),
        (lambda x: x[:, :3], None),
        (lambda x: x.transpose(2, 3), None),
        (lambda x: x.sum((1, 2, 3)), None),
    ],
)
def test_bridges(function, kinds: list[str] | None) -> None:
    source = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    sink = function(source)
    bridge = find_bridge(source, sink)
    assert kinds == (None if bridge is None else [type(step).__name__ for step in bridge])
    for step in bridge or ():
        source = step(source)
    assert bridge is None or torch.allclose(source, sink, atol=1e-6)


def test_almost_equal_is_not_equal() -> None:
    """A new batch normalisation is the identity to 5e-6; passing it over would lose it once trained."""
    source = torch.randn(2, 4, 8, 8)
    assert find_bridge(source, source / (1 + 1e-5) ** 0.5) is None


class Clamped(nn.Module):
    """Cuts values that the first random batch does not reach."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.a = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 4, 3, padding=1)
        self.b, self.c = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, 2)
        nn.init.dirac_(self.before.weight)
        nn.init.zeros_(self.before.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x).clamp(-6, 6)
        return self.fc(self.c(self.b(self.a(x))).mean((2, 3)))


def test_what_only_seemed_equal_is_cut_off() -> None:
    spine = find_spine(frozen_copy(Clamped()), 16)
    assert spine.steps[0].label == "a" and spine.position("before") is None
    with pytest.raises(PerformerError, match="no such layer on the way to the scores"):
        Performer.for_model(Clamped(), 16, tap="before")


class ClampedScores(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 2, bias=False)
        nn.init.constant_(self.fc.weight, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x[:, :, :2, :2].flatten(1) / x.abs().max().clamp_min(9)).clamp(-1e-3, 1e-3)


def test_no_spine_at_all() -> None:
    with pytest.raises(PerformerError, match="no module whose output becomes the scores by itself"):
        find_spine(frozen_copy(ClampedScores()), 16)


def test_blocks_stay_whole_and_stages_are_opened() -> None:
    for name in ("residual", "zero_gamma"):
        spine = find_spine(frozen_copy(build(name)), 32)
        assert [step.name for step in spine.steps if step.name] == [
            "stem.0", "stem.1", "stem.2", "stage.0", "stage.1", "stage.2", "fc",
        ]  # fmt: skip
        assert spine.steps[spine.containers["stage"]].name == "stage.2"


def test_in_place_layers_are_calmed_where_that_changes_nothing() -> None:
    module = build("residual")
    performer = Performer.for_model(module, 32)
    assert in_place_layers(performer.module) == [] and len(in_place_layers(module)) == 3
    assert len(in_place_layers(Performer.for_model(build("overwriting"), 32).module)) == 3


def test_repeated_calls_have_their_own_labels() -> None:
    spine = find_spine(frozen_copy(build("reused")), 32)
    assert [step.label for step in spine.steps if step.name == "twice"] == ["twice", "twice@2"]
    assert spine.position("twice") != spine.position("twice@2")


def test_moved_network_keeps_its_weights() -> None:
    module = build("functional")
    performer = Performer.for_model(module, 32)
    images = torch.rand(1, 3, 32, 32)
    before = performer.scores(images)
    with torch.no_grad():
        module.fc3.bias += 1
    assert torch.allclose(performer.scores(images), before + 1, atol=1e-5)
    performer.to(torch.device("cpu"))
    assert performer.device == torch.device("cpu")
