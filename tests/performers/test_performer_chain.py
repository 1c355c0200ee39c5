"""Theoretical receptive fields: the closed form against the gradient probe, on every network of the catalogue."""

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn

from partscope.maths import ReceptiveField, conv_chain_field
from partscope.performers import CATALOGUE, VGGM, VGGS, AlexNetBVLC, CreaturesNet, Performer, chain_field, top_layer
from partscope.performers.caffe import resnet50_v1
from performers.test_performer_field import VGG_TAP, thin_alexnet, thin_vgg

Layers = list[tuple[int, int, int]]
SAME = (3, 1, 1)
STEM: Layers = [(7, 2, 3), (3, 2, 1)]


def stages(first: Layers, *blocks: int) -> Layers:
    """The 3x3 convolutions of bottleneck stages 1, 2, ...: the widest way through each block."""
    strided = [layer for n in blocks[1:] for layer in [*first, *[SAME] * (n - 1)]]
    return [*STEM, *[SAME] * blocks[0], *strided]


def thin_resnet(depth: int) -> nn.Module:
    return torchvision.models.get_model(f"resnet{depth}", weights=None, width_per_group=4)


CHAINS: dict[str, tuple[Callable[[], nn.Module], Layers]] = {
    "creatures_net": (lambda: CreaturesNet(2), [(5, 1, 2), (2, 2, 0), SAME, (2, 2, 0), SAME, (2, 2, 0), SAME]),
    "alexnet": (thin_alexnet, [(11, 4, 2), (3, 2, 0), (5, 1, 2), (3, 2, 0), SAME, SAME]),
    "alexnet_bvlc": (lambda: AlexNetBVLC(3, 8), [(11, 4, 0), (3, 2, 0), (5, 1, 2), (3, 2, 0), SAME, SAME]),
    "vgg_m": (lambda: VGGM(3, 8), [(7, 2, 0), (3, 2, 0), (5, 2, 1), (3, 2, 0), SAME, SAME]),
    "vgg_s": (lambda: VGGS(3, 8), [(7, 2, 0), (3, 3, 0), (5, 1, 0), (2, 2, 0), SAME, SAME]),
    "vgg16": (thin_vgg, VGG_TAP),
}
GRAPHS: dict[str, tuple[Callable[[], nn.Module], Layers]] = {
    "squeezenet1_0": (
        lambda: torchvision.models.squeezenet1_0(weights=None),
        [(7, 2, 0), (3, 2, 0), SAME, SAME, SAME, (3, 2, 0), SAME, SAME, SAME],
    ),
    "resnet18": (
        lambda: torchvision.models.resnet18(weights=None),
        [*STEM, *[SAME] * 4, (3, 2, 1), *[SAME] * 3, (3, 2, 1), *[SAME] * 3],
    ),
    "resnet50": (lambda: thin_resnet(50), stages([(3, 2, 1)], 3, 4, 6, 1)),
    "resnet50_v1": (lambda: resnet50_v1(3), stages([(1, 2, 0), SAME], 3, 4, 6, 1)),
    "resnet101": (lambda: thin_resnet(101), stages([(3, 2, 1)], 3, 4, 23, 1)),
    "resnet152": (lambda: thin_resnet(152), stages([(3, 2, 1)], 3, 8, 36, 1)),
}  # fmt: skip


def made(name: str, build: Callable[[], nn.Module]) -> Performer:
    torch.manual_seed(0)
    row = CATALOGUE[name]
    where = {} if name in ("alexnet", "vgg16") else {"tap": row.tap, "targets": row.targets}
    return Performer.for_model(build(), row.input_size, **where)


def test_every_network_of_the_catalogue_is_checked() -> None:
    assert CHAINS.keys() | GRAPHS.keys() == CATALOGUE.keys()


@pytest.mark.parametrize("name", CHAINS)
def test_closed_form_of_a_chain_is_the_probes(name: str) -> None:
    build, layers = CHAINS[name]
    performer = made(name, build)
    closed = chain_field(performer.spine, performer.plan.tap)
    assert closed == conv_chain_field(layers) == performer.field


@pytest.mark.parametrize("name", GRAPHS)
def test_probe_of_a_graph_is_the_closed_form_of_its_widest_way(name: str) -> None:
    build, layers = GRAPHS[name]
    performer = made(name, build)
    assert chain_field(performer.spine, performer.plan.tap) is None
    closed, found = conv_chain_field(layers), performer.field
    middle = (performer.input_size - 1 - closed.stride * (performer.tap_shape[1] - 1)) / 2
    centred = performer.describe()["field_method"] == "gradient, centred"
    assert found == closed._replace(start=middle if centred else closed.start)
    assert centred == name.startswith("resnet")


def test_field_of_the_top_layer_goes_on_from_the_taps() -> None:
    performer = made("creatures_net", lambda: CreaturesNet(2))
    top = top_layer(performer)
    assert top.name == "relu5"
    assert top.field() == conv_chain_field([*CHAINS["creatures_net"][1], SAME])
    assert top.field() == conv_chain_field([SAME], performer.field)


def test_field_of_a_top_layer_with_branches_is_probed() -> None:
    performer = made("squeezenet1_0", GRAPHS["squeezenet1_0"][0])
    assert top_layer(performer).name == "features.10"
    assert top_layer(performer).field() == conv_chain_field([*GRAPHS["squeezenet1_0"][1], SAME])


class Odd(nn.Sequential):
    """Kernels that are not square have no one closed form."""

    def __init__(self, kernel: object, **more: object) -> None:
        conv = nn.Conv2d(3, 4, kernel, **more)  # type: ignore[arg-type]
        super().__init__(
            conv, nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 2)
        )
        self(torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize(
    ("kernel", "more", "found"),
    [
        (3, {"dilation": 2}, ReceptiveField(2.0, 1.0, 5.0)),
        ((3, 3), {"padding": (1, 1)}, ReceptiveField(0.0, 1.0, 3.0)),
        ((3, 1), {"padding": (1, 0)}, None),
        (3, {"padding": "same"}, None),
    ],
)
def test_which_convolutions_have_a_closed_form(kernel: object, more: dict, found: ReceptiveField | None) -> None:
    torch.manual_seed(0)
    performer = Performer.for_model(Odd(kernel, **more), 16, tap="1", targets=("4",))
    assert chain_field(performer.spine, performer.plan.tap) == found


def test_the_top_layers_maps_lead_to_the_scores() -> None:
    """AlexNet, a fire block and a residual network: scores from the layer's maps are the network's own."""
    for name, build in (("alexnet", thin_alexnet), *((n, GRAPHS[n][0]) for n in ("squeezenet1_0", "resnet18"))):
        performer = made(name, build)
        images = torch.rand(2, 3, performer.input_size, performer.input_size)
        tap, top = performer.features(images).tap, top_layer(performer)
        maps = top.maps(tap)
        assert bool((maps >= 0).all())
        assert torch.allclose(top.scores(maps), performer.scores(images), atol=1e-5)
