"""What the figures are drawn from: Grad-CAM, receptive fields by covering, choices of images, names of parts."""

import math

import pytest
import torch
from torch import nn

from partscope import FieldSettings, PartscopeError
from partscope.diagnosis import (
    exciting_images,
    explainer_layer,
    fields_cost,
    look,
    measure_fields,
    name_parts,
    performer_layer,
    threshold,
)
from partscope.diagnosis.grad_cam import explainer_cam, grad_cam, performer_cam
from partscope.maths import ReceptiveField
from partscope.performers import Performer
from training.small_job import PHOTOS, SIDE, toy_learner, toy_performer


def test_grad_cam_by_hand() -> None:
    """Two channels whose mean gradients are 1 / 4 * 2 and 1 / 4 * -1."""
    maps = torch.tensor([[[[1.0, 2.0], [0.0, 0.0]], [[0.0, 8.0], [4.0, 0.0]]]])
    weight = torch.tensor([2.0, -1.0])

    def scores(x: torch.Tensor) -> torch.Tensor:
        value = (x.mean((2, 3)) * weight).sum(1)
        return torch.stack([-value, value], 1)

    found = grad_cam(scores, maps, torch.tensor([1]))
    expected = (0.5 * maps[:, 0] - 0.25 * maps[:, 1]).relu()
    assert torch.allclose(found, expected) and float(found.max()) == 0.5
    assert torch.allclose(grad_cam(scores, maps, torch.tensor([0])), (-0.5 * maps[:, 0] + 0.25 * maps[:, 1]).relu())


def test_grad_cam_of_explainer_and_performer_is_the_formula() -> None:
    learner, performer = toy_learner(), toy_performer()
    explainer = learner.explainer.eval()
    tap = performer.features(torch.stack([PHOTOS[1][i].image for i in range(4)])).tap
    target = torch.tensor([0, 1, 1, 0])
    with torch.no_grad():
        parts, ordinary = explainer.encode(tap)
    track = explainer.interpretable
    a = parts.parts.detach().requires_grad_()
    y = performer.resume(explainer.decode(track.norm(track.pool(a)), ordinary.output)[-1], "last")
    (g,) = torch.autograd.grad(y.gather(1, target[:, None]).sum(), a)
    expected = (g.mean((2, 3), keepdim=True) * a).sum(1).relu()
    assert torch.allclose(explainer_cam(explainer, performer, tap, target), expected, atol=1e-7)
    b = performer.top_map(tap).relu().requires_grad_()
    after = performer.spine.position("relu2")
    (g,) = torch.autograd.grad(performer.spine.run(b, after + 1).gather(1, target[:, None]).sum(), b)
    expected = (g.mean((2, 3), keepdim=True) * b).sum(1).relu()
    assert float(expected.detach().max()) > 0
    assert torch.allclose(performer_cam(performer, tap, target), expected.detach(), atol=1e-7)
    assert all(weight.grad is None for weight in performer.module.parameters())


class Seer(nn.Sequential):
    """Its one filter sums red in a window of 9 px whose middle lies 6 px right of its unit."""

    def __init__(self) -> None:
        conv = nn.Conv2d(3, 1, 21, stride=4, bias=False)
        conv.weight.data.zero_()
        conv.weight.data[0, 0, 6:15, 12:21] = 1.0
        super().__init__(
            conv, nn.ReLU(), nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4), nn.ReLU(),
            nn.Linear(4, 2),
        )  # fmt: skip
        self[2].weight.data.fill_(1.0)


@pytest.mark.parametrize("centre", ["image", "covered"])
def test_measured_field_is_where_the_filter_looks(centre: str) -> None:
    torch.manual_seed(0)
    performer = Performer.for_model(Seer(), 49, (0.0,) * 3, (1.0,) * 3, tap="1", targets=("5",))
    images = torch.zeros(2, 3, 49, 49)
    images[0, 0, 18:27, 24:33] = 1.0  # seen in whole by the unit at (22, 22)
    images[1, 0, 10:19, 20:29] = 1.0  # by the unit at (14, 18)
    layer = performer_layer(performer, performer.features(images).tap)
    assert layer.field == ReceptiveField(10.0, 4.0, 21.0)
    settings = FieldSettings(side=14, stride=5, keep=0, sigma=0.0, centre=centre)  # 3 px, every px
    *events, (field,) = measure_fields(performer, layer, [(0, [0, 1])], lambda i: images[i], settings)
    assert events[-1] == fields_cost(settings, 49, [(0, [0, 1])]) == 2 * 47 * 47
    assert events == sorted(events)
    rows, columns = (field.average >= field.average.max() / 2).nonzero().float().T
    assert abs(float(rows.mean()) - 49) < 1 and abs(float(columns.mean()) - 55) < 1
    assert 7 <= field.side <= 11, "a window of 9 px, blurred by a square of 3"
    assert field.images == 2 and float(field.shape.max()) == 1


def test_a_filter_that_sees_nothing_has_no_size() -> None:
    performer = toy_performer()
    layer = performer_layer(performer, performer.features(torch.rand(1, 3, SIDE, SIDE)).tap)
    silent = layer._replace(maps=lambda tap: 0 * layer.maps(tap))
    *_, (field,) = measure_fields(performer, silent, [(0, [0])], lambda i: PHOTOS[1][i].image, FieldSettings())
    assert math.isnan(field.side) and not field.shape.any()


def test_filling_hides_what_it_covers() -> None:
    from partscope.diagnosis.receptive_fields import _filling

    performer, image = toy_performer(), torch.zeros(3, SIDE, SIDE)
    assert torch.equal(_filling(performer, image, FieldSettings(), 0), torch.full_like(image, 0.2))
    one, same, other = (_filling(performer, image, FieldSettings(fill="random"), seed) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_look_keeps_what_was_asked_for() -> None:
    learner, performer = toy_learner(), toy_performer()
    explainer, store = learner.explainer.eval(), learner.store
    tap = store.rows([0]).tap
    layers = {"e": (explainer_layer(explainer, performer, tap), (3, 1)), "p": (performer_layer(performer, tap), (2,))}
    *_, seen = look(store, layers, batch_size=16)
    with torch.no_grad():
        expected = explainer.encode(store.rows(range(40)).tap)[0].parts
    assert torch.allclose(seen["e"].map_of(1, 7), expected[7, 1], rtol=1e-2, atol=1e-3)
    assert torch.allclose(seen["e"].peaks.score, expected.amax((2, 3)), atol=1e-5)
    assert seen["p"].maps.shape == (40, 1, 8, 8) and seen["p"].peaks.unit.shape == (40, 12)
    assert layers["e"][0].field.size == performer.field.size + 4 * performer.field.stride


def test_images_are_drawn_among_those_above_the_threshold() -> None:
    score = torch.tensor([0.0, 5.0, 4.0, 3.0, 2.0, 1.0, 9.0])
    own = torch.arange(6)
    drawn = {tuple(exciting_images(score, 2.0, own, 2, torch.Generator().manual_seed(k))) for k in range(40)}
    assert drawn == {(a, b) for a in range(1, 5) for b in range(a + 1, 5)}
    assert exciting_images(score, 4.5, own, 3, torch.Generator()) == [1, 2, 3]
    assert exciting_images(score, 4.5, torch.tensor([0]), 3, torch.Generator()) == []


def test_threshold_is_exceeded_by_its_share() -> None:
    maps = torch.rand(10, 20, 20, generator=torch.Generator().manual_seed(0))
    tau = threshold(maps, 0.003)
    assert int((maps > tau).sum()) == 12


def test_parts_are_grouped() -> None:
    cub = ["back", "beak", "belly", "crown", "left eye", "nape", "right eye", "tail", "throat"]
    found = name_parts(cub, {})
    assert found.names == ("head", "neck", "torso", "tail")
    assert [found.names[g] for g in found.group] == [
        "torso",
        "head",
        "torso",
        "head",
        "head",
        "neck",
        "head",
        "tail",
        "neck",
    ]
    assert name_parts(["left_wing", "head", "wing-right"], {}).names == ("wing", "head")
    some = name_parts(["a", "b", "c"], {"end": ("c", "a")})
    assert some.names == ("end",) and some.columns == (0, 2) and some.group.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("parts", "got", "todo"),
    [
        ({"head": ("beek",)}, "there is no landmark 'beek'", "did you mean 'beak'? The images carry beak, tail"),
        ({"a": ("tail",), "b": ("tail",)}, "'tail' stands in two parts", "give each landmark to one part in --parts"),
    ],
)
def test_wrong_parts_are_refused(parts: dict, got: str, todo: str) -> None:
    with pytest.raises(PartscopeError) as caught:
        name_parts(["beak", "tail"], parts)
    assert caught.value.got == got and caught.value.todo == todo
