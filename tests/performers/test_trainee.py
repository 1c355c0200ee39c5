"""A network about to be trained: what starts anew, what is frozen, step sizes, the cut, refusals."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from partscope.errors import PerformerError
from partscope.performers import Beginning, Tail, load_performer, prepare_trainee
from partscope.performers.catalogue import CATALOGUE
from partscope.performers.plan import one_sided_end
from partscope.performers.spine import find_spine
from partscope.settings import PerformerSettings

NET = PerformerSettings(head_width=16)
SMALL = {"input_size": 64, "head_width": 8}


def begin(**given: Any) -> Beginning:
    standard: dict[str, Any] = {
        "full": False, "from_layer": None, "random": False, "initial": "he", "dropout": 0.5, "seed": 0,
    }  # fmt: skip
    return Beginning(**{**standard, **given})


def stored() -> dict[str, Tensor]:
    return dict(load_performer(PerformerSettings()).module.state_dict())


def images(n: int = 3, side: int = 96) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_connected_layers_start_anew_and_the_others_from_the_weights() -> None:
    state = torch.get_rng_state()
    trainee = prepare_trainee(NET, 3, begin())
    assert torch.equal(torch.get_rng_state(), state)
    own, before = trainee.module.state_dict(), stored()
    assert trainee.new_layers == ["fc6", "fc7", "fc8"] and trainee.widths() == (16, 16, 3)
    for key in own:
        if key.startswith("conv"):
            assert torch.equal(own[key], before[key])
    assert float(own["fc6.weight"].std()) == pytest.approx((2 / 3456) ** 0.5, rel=0.02)
    assert float(own["fc8.weight"].std()) == pytest.approx(0.01, rel=0.3)
    assert not any(own[f"{name}.bias"].any() for name in trainee.new_layers)
    again, other = prepare_trainee(NET, 3, begin()), prepare_trainee(NET, 3, begin(seed=1))
    assert torch.equal(own["fc6.weight"], again.module.state_dict()["fc6.weight"])
    assert not torch.equal(own["fc6.weight"], other.module.state_dict()["fc6.weight"])
    unknown = prepare_trainee(NET, 3, begin(random=True))
    digests = [t.front.weights_digest for t in (trainee, other, unknown) if t.front is not None]
    assert digests[0] == digests[1] != digests[2]  # kept features depend on the frozen layers alone


def test_the_papers_start_has_a_deviation_of_a_hundredth() -> None:
    own = prepare_trainee(NET, 3, begin(initial="normal")).module.state_dict()
    assert float(own["fc6.weight"].std()) == pytest.approx(0.01, rel=0.02)


def test_the_cut_network_gives_the_whole_ones_scores() -> None:
    for layer in (None, "conv4", "fc7"):
        trainee = prepare_trainee(NET, 3, begin(from_layer=layer))
        assert trainee.front is not None and isinstance(trainee.part, Tail)
        found = trainee.front.features(images())
        whole = (images() - 0.5) / 0.25
        with torch.no_grad():
            assert torch.allclose(trainee.part.eval()(found.tap), trainee.module(whole), atol=1e-6)
        assert (
            found.targets == ()
            and trainee.front.describe()["tap"] == {None: "flatten", "conv4": "pool3", "fc7": "drop6"}[layer]
        )


def test_dropout_is_the_networks_own_with_the_asked_share() -> None:
    def shares(trainee: Any) -> list[float]:
        return [m.p for m in trainee.part.modules() if isinstance(m, nn.Dropout)]

    assert shares(prepare_trainee(NET, 3, begin(dropout=0.8))) == [0.8, 0.8]
    assert shares(prepare_trainee(NET, 3, begin(full=True, dropout=0.8))) == [0.8, 0.8]
    alexnet = prepare_trainee(PerformerSettings(name="alexnet", **SMALL), 2, begin(random=True))
    assert shares(alexnet) == [0.5, 0.5]  # torchvision's has one before fc6, which learns with it
    assert alexnet.front is not None and alexnet.front.tap_name == "avgpool+flatten"


def test_inputs_are_scaled_and_the_first_layer_takes_the_scale_in() -> None:
    trainee = prepare_trainee(NET, 3, begin())
    assert trainee.front is not None and isinstance(trainee.part, Tail)
    tap = trainee.front.features(images()).tap
    trainee.begin_scaled(tap)
    assert trainee.part.scale == pytest.approx(1 / float(tap.square().mean().sqrt()))
    with torch.no_grad():
        scores = trainee.part.eval()(tap)
    trainee.module.load_state_dict(trainee.whole_state(trainee.part.state_dict()))
    with torch.no_grad():
        assert torch.allclose(trainee.module((images() - 0.5) / 0.25), scores, atol=1e-6)
    deeper = prepare_trainee(NET, 3, begin(from_layer="conv5"))
    deeper.begin_scaled(tap)
    assert isinstance(deeper.part, Tail) and deeper.part.scale == 1.0  # conv5 starts from weights


def test_step_sizes_and_decay() -> None:
    trainee = prepare_trainee(NET, 3, begin(full=True))

    def found(*rule: Any) -> dict[str, tuple[float, float]]:
        names = {id(w): n for n, w in trainee.part.named_parameters()}
        groups = trainee.parameter_groups(*rule)
        return {names[id(w)]: (g["rate"], g["weight_decay"]) for g in groups for w in g["params"]}

    plain = found(0.01, 0.1, False)
    assert len(plain) == 16
    assert plain["conv1.weight"] == (0.1, 0.01) and plain["conv5.bias"] == (0.1, 0.0)
    assert plain["fc6.weight"] == (1.0, 0.01) and plain["fc6.bias"] == (1.0, 0.0)
    paper = found(5e-4, 1.0, True)
    assert paper["conv5.bias"] == (5.0, 5e-4) and paper["conv4.bias"] == (1.0, 5e-4) == paper["conv5.weight"]
    assert paper["fc6.bias"] == (2.0, 0.0) and paper["fc6.weight"] == (1.0, 5e-4)


def resnet_file(folder: Path, *without: str) -> PerformerSettings:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = CATALOGUE["resnet18"].build(5).state_dict()
    kept = {k: v.clone() for k, v in state.items() if not k.startswith(without)}
    save_file(kept, folder / "w.safetensors")
    return PerformerSettings(name="resnet18", weights=str(folder / "w.safetensors"), input_size=64)


def test_a_stage_without_weights_starts_anew(tmp_path: Path) -> None:
    trainee = prepare_trainee(resnet_file(tmp_path, "layer4", "fc"), 2, begin(from_layer="layer4"))
    assert {name.split(".")[0] for name in trainee.new_layers} == {"layer4", "fc"}
    assert trainee.front is not None and trainee.front.tap_name == "layer3.1"
    own = trainee.module.state_dict()
    assert float(own["layer4.1.conv1.weight"].std()) == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.02)
    kept = prepare_trainee(resnet_file(tmp_path), 2, begin(from_layer="layer4"))
    assert kept.new_layers == ["fc"]


def test_frozen_norms_stay_and_learning_ones_take_the_batch(tmp_path: Path) -> None:
    trainee = prepare_trainee(resnet_file(tmp_path, "layer4", "fc"), 2, begin(from_layer="layer4"))
    assert trainee.front is not None
    before = trainee.module.state_dict()
    digest = trainee.front.weights_digest
    tap = trainee.front.features(images(4, 64)).tap
    trainee.part.train()(tap).sum().backward()
    after = trainee.whole_state(trainee.part.state_dict())
    assert trainee.front.weights_digest == digest
    changed = {k for k in after if not torch.equal(after[k], before[k])}
    assert changed and all(k.startswith("layer4") and ("running" in k or "tracked" in k) for k in changed)


def test_random_starts_everything_anew() -> None:
    trainee = prepare_trainee(NET, 3, begin(random=True))
    own, before = trainee.module.state_dict(), stored()
    assert len(trainee.new_layers) == 8
    assert not any(torch.equal(own[k], before[k]) for k in own if k.startswith("conv"))
    assert trainee.digest != prepare_trainee(NET, 3, begin()).digest


def test_version_1_strides_in_the_first_convolution() -> None:
    module = CATALOGUE["resnet50_v1"].build(2)
    strides = {n: m.stride for n, m in module.named_modules() if isinstance(m, nn.Conv2d) and m.stride != (1, 1)}
    down = {f"layer{k}.0.{part}": (2, 2) for k in (2, 3, 4) for part in ("conv1", "downsample.0")}
    assert strides == {"conv1": (2, 2), **down}
    assert CATALOGUE["resnet50_v1"].mean == pytest.approx((0.4850196, 0.4579569, 0.4076039), abs=1e-7)


def test_what_cannot_be_trained_is_told(tmp_path: Path) -> None:
    def refused(settings: PerformerSettings, **given: Any) -> tuple[str, str, str]:
        with pytest.raises(PerformerError) as caught:
            prepare_trainee(settings, 2, begin(**given))
        return caught.value.doing, caught.value.got, caught.value.todo

    where = "`partscope taps creatures_net` lists the layers; --train.scope full trains them all"
    assert refused(NET, from_layer="conv6") == (
        "choosing the layers of creatures_net that learn",
        "no layer 'conv6' on the way to the scores",
        f"the nearest is 'conv5'; {where}",
    )
    assert refused(NET, from_layer="conv1") == (
        "choosing the layers of creatures_net that learn",
        "'conv1', below which there is no layer to freeze",
        f"give a later --train.from_layer: {where}",
    )
    squeezenet = PerformerSettings(name="squeezenet1_0", input_size=64)
    assert refused(squeezenet, random=True) == (
        "choosing the layers of squeezenet1_0 that learn",
        "no fully connected layers, and no train.from_layer",
        "give --train.from_layer LAYER: `partscope taps squeezenet1_0` lists the layers; --train.scope full trains "
        "them all",
    )
    doing, got, todo = refused(resnet_file(tmp_path, "layer4", "fc"))
    assert doing == f"loading '{tmp_path / 'w.safetensors'}' into resnet18"
    assert got.startswith("no weights for 'layer4.0.conv1.weight' and ") and got.endswith("would stay as they are")
    assert todo == "give --train.from_layer layer4 to train it anew, or take weights that hold it"
    _, got, todo = refused(resnet_file(tmp_path, "layer4.1", "fc"), from_layer="layer4")
    assert got.startswith("no weights for 'layer4.1.conv1.weight'") and "others of the layers that learn" in got
    assert "layer4.1" in todo
    _, got, _ = refused(
        PerformerSettings(name="resnet18", weights=str(tmp_path / "w.safetensors"), input_size=64), full=True
    )
    assert got.startswith("no weights for 'layer4.1.conv1.weight'")


def why_refused(settings: PerformerSettings, **given: Any) -> tuple[str, str, str]:
    with pytest.raises(PerformerError) as caught:
        prepare_trainee(settings, 2, begin(**given))
    return caught.value.doing, caught.value.got, caught.value.todo


@pytest.mark.parametrize("given", [{"full": True, "random": True}, {"random": True, "from_layer": "features.12"}])
def test_scores_that_never_fall_below_0_are_refused_for_the_logistic_loss(given: dict[str, Any]) -> None:
    squeezenet = PerformerSettings(name="squeezenet1_0", input_size=64)
    assert why_refused(squeezenet, both_sides=True, **given) == (
        "choosing the loss of squeezenet1_0",
        "train.loss logistic, where no score is ever below 0: 'classifier.2' (ReLU) follows the classifier",
        "give --train.loss softmax with --train.labels multi, or take another network",
    )
    assert prepare_trainee(squeezenet, 2, begin(**given)).module
    for settings in (NET, PerformerSettings(name="resnet18", **SMALL)):
        assert prepare_trainee(settings, 2, begin(both_sides=True, random=True)).module


@pytest.mark.parametrize(
    ("end", "label"),
    [
        ([nn.LogSoftmax(1)], "3"),
        ([nn.Sigmoid(), nn.Dropout()], "3"),
        ([nn.Identity()], None),
        ([nn.LeakyReLU()], None),
        ([nn.ReLU(), nn.Linear(2, 2)], None),
    ],
)
def test_which_ends_keep_scores_on_one_side(end: list[nn.Module], label: str | None) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten(), nn.Linear(2, 2), *end).eval()
    step = one_sided_end(find_spine(net, 8))
    assert (step and step.label) == label


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ({"mean": (0.1,)}, "mean = (0.1,)"),
        ({"std": (0.0, 0.0, 0.0)}, "std = (0.0, 0.0, 0.0)"),
        ({"mean": (0.1, 0.1, float("nan"))}, "mean = (0.1, 0.1, nan)"),
        ({"std": (0.1, 0.1, float("inf"))}, "std = (0.1, 0.1, inf)"),
    ],
)
def test_a_normalisation_that_is_none_is_told(given: dict[str, Any], got: str) -> None:
    assert why_refused(replace(NET, **given)) == (
        "setting the normalisation of creatures_net",
        got,
        "give three finite numbers, one a colour channel; std above 0",
    )
