"""Training a head or a small network: learns, is deterministic, complains about labels."""

import pytest
import torch
from hand_made import trained_head
from torch import nn

from partscope.errors import PerformerError
from partscope.performers import CreaturesNet, Performer, train_network, with_head


def clusters(classes: int, n: int = 120) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(n) % classes
    centres = 2 * torch.randn(classes, 4, 2, 2, generator=generator)
    return 100 * (centres[labels] + torch.randn(n, 4, 2, 2, generator=generator)), labels


@pytest.mark.parametrize(("outputs", "classes"), [(1, 2), (3, 3)])
def test_head_learns(outputs: int, classes: int) -> None:
    features, labels = clusters(classes)
    state = torch.get_rng_state()
    settings = {"outputs": outputs, "hidden": 32, "epochs": 30, "learning_rate": 1e-2}
    records, head = trained_head(features, labels, seed=1, **settings)
    assert torch.equal(torch.get_rng_state(), state)
    scores = head(features.flatten(1))
    assert scores.abs().max() < 50  # fc6 has taken in the features' scale of 100
    answers = (scores[:, 0] > 0).long() if outputs == 1 else scores.argmax(1)
    assert (answers == labels).float().mean() > 0.95 and records[-1].loss < records[0].loss / 2
    assert [r.step for r in records] == list(range(1, 61)) and {r.steps for r in records} == {60}
    assert [name for name, _ in head.named_children()][::3] == ["fc6", "fc7", "fc8"] and not head.training
    _, again = trained_head(features, labels, seed=1, **settings)
    _, other = trained_head(features, labels, seed=2, **settings)
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), again.parameters(), strict=True))
    assert not torch.equal(head[0].weight, other[0].weight)


def test_every_image_is_learned_from() -> None:
    """Labels at random, which only learning by heart gets right."""
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(80, 30, generator=generator), torch.arange(80) % 2
    _, head = trained_head(features, labels, outputs=1, hidden=64, epochs=100, seed=0, learning_rate=5e-3)
    with torch.no_grad():
        assert torch.equal((head(features)[:, 0] > 0).long(), labels)


@pytest.mark.parametrize(
    ("labels", "outputs", "message"),
    [
        (
            [0, 1, -1],
            1,
            r"1 output\n  got: \(3,\) labels from -1 to 1 for 3 images\n  do:  give one label from 0 to 1",
        ),
        ([0, 1, 3], 3, "3 outputs\n  got: .* labels from 0 to 3"),
        ([0, 1], 2, r"\(2,\) labels from 0 to 1 for 3 images"),
    ],
)
def test_labels(labels: list[int], outputs: int, message: str) -> None:
    with pytest.raises(PerformerError, match=message):
        trained_head(torch.zeros(3, 4), torch.tensor(labels), outputs=outputs)


def test_new_head_in_a_performer() -> None:
    torch.manual_seed(0)
    performer = Performer.for_model(CreaturesNet(2), 96)
    images = torch.rand(4, 3, 96, 96)
    features = performer.features(images)
    top = performer.top_output(features.tap)
    _, head = trained_head(top, torch.tensor([0, 1, 2, 1]), outputs=3, hidden=10, epochs=2)
    before = performer.weights_digest
    headed = with_head(performer, head)
    assert performer.weights_digest == before
    assert headed.outputs == 3 and headed.target_shapes == ((10,), (10,)) and headed.tap_name == "relu4"
    with torch.no_grad():
        assert torch.allclose(headed.scores(images), head(top.flatten(1)), atol=1e-6)
    _, wrong = trained_head(top[:, :5], torch.tensor([0, 1, 0, 1]), outputs=1, hidden=4, epochs=1)
    with pytest.raises(PerformerError, match="got: 3 linear layers from 180 features; the performer has 3 from 3456"):
        with_head(performer, wrong)


def stripes(n: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(n) % 2
    images = torch.randint(0, 60, (n, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    images[labels == 1, :, ::4] += 120
    images[labels == 0, :, :, ::4] += 120
    return images.to(torch.uint8), labels


def tiny(outputs: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, outputs)
    )


@pytest.mark.parametrize("outputs", [1, 2])
def test_network_learns_and_repeats(outputs: int) -> None:
    images, labels = stripes()
    runs = []
    for seed in (0, 0, 1):
        state = torch.get_rng_state()
        module = tiny(outputs)
        torch.set_rng_state(state)
        records = list(train_network(module, images, labels, epochs=12, learning_rate=1e-2, batch_size=16, seed=seed))
        assert torch.equal(torch.get_rng_state(), state)
        runs.append((records, module[0].weight))
    assert runs[0][0][-1].accuracy > 0.9 and runs[0][0][0].loss > runs[0][0][-1].loss
    assert torch.equal(runs[0][1], runs[1][1]) and not torch.equal(runs[0][1], runs[2][1])
    assert [record.epoch for record in runs[0][0]] == list(range(1, 13)) and not module.training


def test_network_labels() -> None:
    images, labels = stripes()
    with pytest.raises(PerformerError, match="labels from -1 to 1"):
        next(train_network(tiny(2), images, torch.where(labels == 0, -1, 1), epochs=1))


class Sees(nn.Module):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.seen = nn.Linear(1, 1), []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.detach())
        return self.fc(x.mean((1, 2, 3))[:, None])


def test_images_are_normalised_and_mirrored_half_of_the_time() -> None:
    images = torch.zeros(64, 3, 2, 2, dtype=torch.uint8)
    images[..., 1] = 255
    shown = {}
    for mirror in (True, False):
        module = Sees()
        list(train_network(module, images, torch.arange(64) % 2, epochs=1, mirror=mirror))
        shown[mirror] = torch.cat(module.seen)
    assert shown[False].unique(dim=0).flatten()[:2].tolist() == [-2.0, 2.0]
    assert 16 < int((shown[True][:, 0, 0, 0] == 2).sum()) < 48 and len(shown[False].unique(dim=0)) == 1
