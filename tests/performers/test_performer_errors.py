"""Every bad input is told in a sentence; what fails leaves nothing behind."""

import threading

import pytest
import torch
from odd_nets import FunctionalNet, InPlaceNet, ReusedNet, build
from torch import Tensor, nn

from partscope.errors import DivergedError, PerformerError
from partscope.performers import Features, Performer, list_taps


@pytest.fixture(scope="module")
def performer() -> Performer:
    return Performer.for_model(build("residual"), 32, name="mynet")


def hooks(module: nn.Module) -> int:
    return sum(len(p._forward_hooks) + len(p._forward_pre_hooks) for p in module.modules())


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "got: images of type torch.uint8"),
        (torch.zeros(1, 3, 31, 32), r"got: images of shape \(1, 3, 31, 32\)"),
        (torch.zeros(3, 32, 32), r"got: images of shape \(3, 32, 32\)"),
        (torch.zeros(1, 1, 32, 32), r"got: images of shape \(1, 1, 32, 32\)"),
        (torch.zeros(0, 3, 32, 32), r"got: images of shape \(0, 3, 32, 32\)"),
        (torch.full((1, 3, 32, 32), 255.0), "got: values from 255 to 255"),
        (torch.full((1, 3, 32, 32), -0.1), "got: values from -0.1 to -0.1"),
        (torch.full((1, 3, 32, 32), torch.nan), "got: values from nan to nan"),
    ],
)
def test_images(performer: Performer, images: Tensor, got: str) -> None:
    with pytest.raises(PerformerError, match=got) as caught:
        performer.features(images)
    assert str(caught.value).startswith("while running mynet on images\n")
    assert str(caught.value).endswith(
        "give float images (N, 3, 32, 32) in [0, 1]; the performer normalises them itself"
    )
    with pytest.raises(PerformerError, match=got):
        performer.scores(images)


@pytest.mark.parametrize("start", [2, -1, "first"])
def test_start(performer: Performer, start: int | str) -> None:
    with pytest.raises(PerformerError, match="take 'tap', 'last' or a target's number below 2"):
        performer.resume(torch.zeros(1, 8, 16, 16), start)


def test_resume_shape(performer: Performer) -> None:
    with pytest.raises(PerformerError, match=r"from 'stage.0'\n  got: a tensor \(1, 8, 15, 16\)\n.*\(N, 8, 16, 16\)"):
        performer.resume(torch.zeros(1, 8, 15, 16), "tap")
    with pytest.raises(PerformerError, match=r"got: a tensor \(1, 7, 16, 16\)"):
        performer.top_map(torch.zeros(1, 7, 16, 16))


@pytest.mark.parametrize(
    ("tap", "targets", "message"),
    [
        (
            "stage.9",
            None,
            r"layer 'stage.9' of mynet\n  got: .*nearest: stage\..*\n  do:.*partscope taps mynet",
        ),
        ("stage.1.conv1", None, "a place inside 'stage.1', whose branches meet again later"),
        ("stage.2+adaptiveavgpool2d", None, "got: only 1 spatial position\n  do:  take .*stage.1 8x16x16"),
        ("fc", None, r"got: rank 2, not a map \(N, D, H, W\)"),
        ("stage.2", None, r"got: .*too few convolution blocks"),
        ("stage.1", ("stage.0",), "a target that does not come after the tap"),
        (
            "stem.2",
            ("stage.2", "stage.1"),
            "a target that does not come after the tap and the targets before it",
        ),
        ("stage.1", ("stage.1",), "a target that does not come after"),
        (None, ("stem.0",), "choosing the tap of mynet below 'stem.0'\n  got: no convolution block"),
    ],
)
def test_tap_and_targets(tap: str | None, targets: tuple[str, ...] | None, message: str) -> None:
    with pytest.raises(PerformerError, match=message):
        Performer.for_model(build("residual"), 32, tap=tap, targets=targets, name="mynet")


def test_explicit_tap_and_targets() -> None:
    performer = Performer.for_model(build("residual"), 32, tap="stem.2", targets=("stage.1", "stage.2"))
    assert [step.label for step in performer.top_unit] == ["stage.0"]
    performer = Performer.for_model(build("residual"), 32, tap="stem")
    assert (performer.tap_name, performer.target_names) == ("stem.2", ("stage.1", "stage.2"))
    performer = Performer.for_model(build("residual"), 32, targets=("stage.1",))
    assert (performer.tap_name, performer.top_unit) == ("stage.0", ())


def test_at_most_two_linear_layers_are_targets() -> None:
    head = (
        nn.Flatten(),
        nn.Linear(512, 9),
        nn.ReLU(),
        nn.Linear(9, 8),
        nn.ReLU(),
        nn.Linear(8, 7),
        nn.Linear(7, 2),
    )
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), *head)
    performer = Performer.for_model(module, 32)
    assert (performer.tap_name, performer.target_names) == ("1", ("6", "8"))


def test_normalisation() -> None:
    with pytest.raises(PerformerError, match=r"got: std = \(0.2, 0.2, 0.0\)"):
        Performer.for_model(build("residual"), 32, (0.0, 0.0, 0.0), (0.2, 0.2, 0.0))


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch, self.layer = nn.Conv2d(3, 8, 8, 8), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.patch(x).flatten(2).transpose(1, 2))[:, 0])


class Cells(nn.Module):
    """A last cell that takes two tensors, as in NASNet."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.cell = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(3, 4, 3, 2, 1), nn.Bilinear(4, 4, 4)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.cell(self.a(x).movedim(1, 3), self.b(x).movedim(1, 3)).movedim(3, 1)
        return self.fc(self.pool(y).flatten(1))


class Returns(nn.Module):
    def __init__(self, wrap: bool) -> None:
        super().__init__()
        self.body, self.wrap = build("residual"), wrap

    def forward(self, x: Tensor) -> object:
        return {"out": self.body(x)} if self.wrap else self.body.stem(x)


def test_networks_that_cannot_be_explained() -> None:
    with pytest.raises(
        PerformerError, match=r"too few convolution blocks .*; what goes into 'pool' is no module's output"
    ):
        Performer.for_model(Cells(), 32)
    with pytest.raises(
        PerformerError,
        match=r"on the way to the scores that returns maps \(N, D, H, W\), as in a transformer; the chain is: head; ",
    ):
        Performer.for_model(Tokens(), 32)
    with pytest.raises(PerformerError, match="got: something that is not one tensor as its output"):
        Performer.for_model(Returns(True), 32)
    with pytest.raises(PerformerError, match=r"got: a tensor \(2, 8, 16, 16\) as its output"):
        Performer.for_model(Returns(False), 32)
    with pytest.raises(PerformerError, match=r"tracing FunctionalNet with input \(2, 3, 31, 31\)\n  got: RuntimeError"):
        Performer.for_model(FunctionalNet(), 31)
    with pytest.raises(PerformerError, match=r"lazy LazyLinear whose weights have no shape yet"):
        Performer.for_model(nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), 32)


def test_an_uncopyable_network() -> None:
    module = build("residual")
    module.stem.lock = threading.Lock()
    with pytest.raises(PerformerError, match=r"copying the network ResidualNet\n  got: TypeError"):
        Performer.for_model(module, 32)


def test_weights_that_are_not_finite_name_the_layer() -> None:
    module = InPlaceNet()
    with torch.no_grad():
        module.features[2].weight[0] = torch.nan
    with pytest.raises(DivergedError, match=r"not finite in the output of 'features.2'"):
        Performer.for_model(module, 32)


def test_features_that_are_not_finite_name_the_layer() -> None:
    module = InPlaceNet()
    performer = Performer.for_model(module, 32)
    with torch.no_grad():
        module.features[4].bias[0] = torch.inf
        module.head[1].weight.zero_()
    with pytest.raises(DivergedError, match=r"not finite in the output of 'head.1'"):
        performer.features(torch.rand(1, 3, 32, 32))


class Bomb(nn.Module):
    """Fails in the middle of a forward pass when armed."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.armed = build("functional"), [False]
        self.body.fc1.register_forward_hook(self.trip)

    def trip(self, *args: object) -> None:
        if self.armed[0]:
            raise MemoryError("boom")

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def test_hooks_are_gone_after_a_failure_in_the_middle() -> None:
    module = Bomb().train()
    performer = Performer.for_model(module, 32)
    before = hooks(module), hooks(performer.module)
    state = torch.get_rng_state()
    module.armed[0] = True
    performer.module.armed[0] = True
    with pytest.raises(MemoryError, match="boom"):
        performer.features(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(PerformerError, match="MemoryError: boom"):
        Performer.for_model(module, 32)
    assert (hooks(module), hooks(performer.module)) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert all(part.training for part in module.modules())


def test_users_own_hooks_still_act() -> None:
    module = build("functional")
    module.conv2.register_forward_hook(lambda part, args, output: output * 2)
    images = torch.rand(2, 3, 32, 32)
    performer = Performer.for_model(module, 32)
    with torch.no_grad():
        assert torch.allclose(performer.scores(images), module.eval()(images), rtol=1e-5)
        assert torch.allclose(performer.resume(performer.features(images)), module(images), rtol=1e-5)


class Watcher:
    def __init__(self) -> None:
        self.calls = 0

    def note(self, *args: object) -> None:
        self.calls += 1


def test_users_hooks_are_not_copied() -> None:
    module, watcher = build("functional"), Watcher()
    module.conv2.register_forward_hook(watcher.note)
    performer = Performer.for_model(module, 32)
    before = watcher.calls
    performer.scores(torch.rand(1, 3, 32, 32))
    assert watcher.calls == before + 1


def test_forward_stops_after_the_last_target() -> None:
    module = build("functional")
    performer = Performer.for_model(module, 32)
    seen = []
    performer.module.fc3.register_forward_hook(lambda *args: seen.append("fc3"))
    performer.features(torch.rand(1, 3, 32, 32))
    assert seen == []
    performer.resume(performer.features(torch.rand(1, 3, 32, 32)), "last")
    assert seen == ["fc3"]


def test_random_state_stays() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = build("functional")

        def forward(self, x: Tensor) -> Tensor:
            torch.rand(3)
            return self.body(x)

    before = torch.get_rng_state()
    module = Noisy()
    torch.set_rng_state(before)
    performer = Performer.for_model(module, 32)
    images = torch.full((1, 3, 32, 32), 0.5)
    performer.resume(performer.features(images), "tap")
    performer.scores(images)
    assert torch.equal(torch.get_rng_state(), before)


def test_resume_from_a_tensor_or_features() -> None:
    performer = Performer.for_model(ReusedNet(), 32)
    features = performer.features(torch.rand(2, 3, 32, 32))
    assert isinstance(features, Features)
    assert torch.equal(performer.resume(features, 0), performer.resume(features.targets[0], 0))
    assert torch.equal(performer.resume(features), performer.resume(features.targets[1], "last"))


def test_target_activation() -> None:
    performer = Performer.for_model(build("batch_norm"), 32)
    assert isinstance(performer.target_activation(0), nn.Tanh)
    performer = Performer.for_model(InPlaceNet(), 32)
    activation = performer.target_activation(0)
    assert isinstance(activation, nn.ReLU) and not activation.inplace
    assert isinstance(Performer.for_model(build("residual"), 32).target_activation(1), nn.Identity)


def test_digest_follows_the_weights() -> None:
    module = InPlaceNet()
    performer = Performer.for_model(module, 32)
    before = performer.weights_digest
    assert before == Performer.for_model(module, 32).weights_digest and len(before) == 64
    with torch.no_grad():
        module.head[6].bias[0] += 1
    assert performer.weights_digest != before


def test_digest_knows_names_and_shapes() -> None:
    nets = []
    for kernel, fc in (((1, 3), "fc"), ((3, 1), "fc"), ((1, 3), "head")):
        net = nn.Sequential()
        net.add_module("a", nn.Conv2d(3, 4, 3, 2, 1))
        net.add_module("b", nn.Conv2d(4, 4, kernel, padding=(kernel[0] // 2, kernel[1] // 2)))
        net.add_module("pool", nn.AdaptiveAvgPool2d(1))
        net.add_module("flat", nn.Flatten())
        net.add_module(fc, nn.Linear(4, 2))
        for weight in net.parameters():
            nn.init.constant_(weight, 0.1)
        nets.append(Performer.for_model(net, 16).weights_digest)
    assert len(set(nets)) == 3


def test_pool_of_a_top_unit_with_a_stride() -> None:
    """A block with a stride instead of a pooling: the tracks pool down to its size all the same."""
    maps = [nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1)]
    module = nn.Sequential(*maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    performer = Performer.for_model(module, 32, tap="0", targets=("2",))
    assert performer.tap_shape == (4, 16, 16) and performer.top_shape == (4, 8, 8)
    assert performer.pool()(torch.zeros(1, 4, 16, 16)).shape == (1, 4, 8, 8)


def test_taps_listing() -> None:
    rows = {row.name: row for row in list_taps(build("residual"), 32)}
    assert rows["stage.0"] == ("stage.0", "Residual", (8, 16, 16), True, "", "tap")
    assert rows["fc"].why == "rank 2, not a map (N, D, H, W)" and not rows["fc"].tappable
    assert rows["stage.2+adaptiveavgpool2d"].why == "only 1 spatial position"
    assert list_taps("creatures_net")[0].name == "conv1"
    with pytest.raises(PerformerError, match="performer 'vgg61'\n  got: no such network; nearest: vgg16"):
        list_taps("vgg61")
