"""The benchmark's own part detectors: what a sparse autoencoder and an interpretable CNN are, on cases by hand."""

from typing import NamedTuple

import pytest
import torch
from detectors import interpretable, sparse
from detectors.measures import dealt
from detectors.simple import factors
from detectors.sparse import SparseCode, strongest, uses
from torch import Tensor
from torch.nn import functional

from partscope.maths import map_gradient_norm
from partscope.settings import FitSettings
from partscope.training import FeatureStore, Labels, score_index, survey
from training.small_job import Squares, labels_of, store_of, toy_performer


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_strongest_values_stay_where_they_are_above_nothing() -> None:
    values = torch.tensor([[3.0, -1.0, 2.0, 1.0], [-1.0, -3.0, 0.5, -2.0]])
    assert strongest(values, 2).tolist() == [[3, 0, 2, 0], [0, 0, 0.5, 0]]
    assert strongest(values, 9).tolist() == values.relu().tolist()


class Planted(NamedTuple):
    atoms: Tensor
    positions: Tensor


@pytest.fixture(scope="module")
def planted() -> Planted:
    """Positions that are sums of 2 of 20 atoms in 16 dimensions."""
    generator = torch.Generator().manual_seed(1)
    atoms = functional.normalize(rand(20, 16), dim=1)
    chosen = torch.rand(6000, 20, generator=generator).argsort(1)[:, :2]
    weight = torch.zeros(6000, 20).scatter(1, chosen, 1 + torch.rand(6000, 2, generator=generator))
    return Planted(atoms, 5 * weight @ atoms + 2)


def test_a_sparse_autoencoder_finds_the_atoms(planted: Planted) -> None:
    code = sparse.learn(planted.positions, 0, latents=64, active=2, epochs=40)
    z = code.encode(planted.positions)
    assert int((z > 0).sum(1).max()) <= 2
    torch.testing.assert_close(code.decoder.norm(dim=1), torch.ones(64))
    found = (planted.atoms @ code.decoder.T).amax(1)
    assert int((found > 0.95).sum()) >= 18
    left = (code.decode(z) - planted.positions).square().sum()
    assert float(left / (planted.positions - planted.positions.mean(0)).square().sum()) < 0.1


def test_latents_that_are_silent_learn_from_what_is_left(planted: Planted) -> None:
    start = functional.normalize(rand(256, 16, seed=5), dim=1)

    def untouched(patience: int) -> int:
        code = sparse.learn(planted.positions, 5, latents=256, active=2, epochs=2, patience=patience)
        return int((code.encoder == start).all(1).sum())

    assert untouched(10**9) > 20
    assert untouched(1000) == 0


def test_maps_are_coded_position_by_position() -> None:
    code = SparseCode(rand(7, 5), rand(7, seed=1), rand(7, 5, seed=2), rand(5, seed=3), torch.tensor(2.0), 3)
    maps = rand(2, 5, 3, 4, seed=4)
    z = code.code(maps)
    assert z.shape == (2, 7, 3, 4)
    one = maps[1, :, 1, 2]
    by_hand = strongest(((one - code.mean) / 2 @ code.encoder.T + code.bias)[None], 3)
    torch.testing.assert_close(z[1, :, 1, 2], by_hand[0])
    torch.testing.assert_close(code.rebuild(z)[1, :, 1, 2], (by_hand @ code.decoder * 2 + code.mean)[0].relu())


def test_latents_are_counted_by_images() -> None:
    maps = torch.zeros(3, 4, 2, 2)
    maps[0, 0] = 1  # everywhere on one image
    maps[:2, 1, 0, 0] = 1  # somewhere on two
    maps[1:, 2, 1] = 1  # in two places on two
    assert uses(lambda m: m, [maps[:2], maps[2:]]).argsort(descending=True).tolist() == [2, 1, 0, 3]


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
def test_factors_rebuild_what_they_were_made_of() -> None:
    parts = torch.tensor([[1.0, 0, 2, 0], [0, 3.0, 0, 1]])
    maps = torch.einsum("fc,nfhw->nchw", parts, rand(40, 2, 3, 5).abs())
    made = factors(maps.permute(0, 2, 3, 1).flatten(0, 2), 2, 0)
    assert made.rebuild is not None
    left = made.rebuild(made.code(maps)) - maps
    assert float(left.square().sum() / maps.square().sum()) < 0.05


def test_each_image_gets_another_one_of_its_category() -> None:
    category = torch.tensor([0, 0, 0, 1, 1, -1, -1, 0, 1])
    order = dealt(category)
    assert torch.equal(category[order], category)
    assert sorted(order.tolist()) == list(range(9))
    assert not bool((order == torch.arange(9)).any())


class Toy(NamedTuple):
    store: FeatureStore
    labels: Labels
    settings: FitSettings


@pytest.fixture(scope="module")
def toy() -> Toy:
    photos = Squares(60)
    settings = FitSettings(epochs=10, batch_size=12)
    return Toy(store_of(toy_performer(3), photos), labels_of(photos), settings)


def test_an_interpretable_cnn_starts_at_the_performers_magnitudes(toy: Toy) -> None:
    performer = toy_performer(3)
    network = interpretable.InterpretableCnn(performer, toy.store, toy.labels, 0)
    objects = toy.labels.category >= 0
    pooled = network.pooled(network.maps(toy.store.rows(range(60)).tap[objects]))
    torch.testing.assert_close(
        pooled.sum((2, 3)).mean(0), survey(performer, toy.store, objects).gain, rtol=1e-3, atol=1e-4
    )
    assert torch.equal(network.upper[-1][-1].weight, performer.module.get_submodule("fc5").weight)


def test_an_interpretable_cnn_learns_and_leaves_the_performer_alone(toy: Toy) -> None:
    performer = toy_performer(3)
    before, right = performer.weights_digest, score_index(toy.labels, 3)
    assert right is not None
    wrong = []
    for epochs in (0, 30):
        settings = FitSettings(
            epochs=epochs, batch_size=12, learning_rate=1.0, decoder_learning_rate=1.0, filter_strength=0.3
        )
        network = interpretable.learn(performer, toy.store, toy.labels, settings, 0, rates=(3e-3, 3e-3))
        with torch.no_grad():
            maps = network.maps(toy.store.rows(range(60)).tap)
            wrong.append(float((network.scores(maps).argmax(1) != right).float().mean()))
    assert wrong[1] < 0.1 < 0.4 < wrong[0]
    assert performer.weights_digest == before
    assert float((maps.parts > 0).float().mean()) < 0.8 * float((maps.second > 0).float().mean())


def test_its_filter_loss_has_the_asked_share_and_its_twin_none(toy: Toy) -> None:
    network = interpretable.InterpretableCnn(toy_performer(3), toy.store, toy.labels, 0)
    maps = network.maps(toy.store.rows(range(60)).tap)
    right = score_index(toy.labels, 3)
    assert right is not None
    loss = functional.cross_entropy(network.scores(maps), right)
    for strength in (0.0, 0.5):
        states = [interpretable.OnlineState(12, toy.labels.owners) for _ in range(2)]
        settings = FitSettings(filter_strength=strength)
        push = interpretable._filter_push(maps, states, toy.labels, toy.labels.category, loss, settings, 0)
        (pushing,) = torch.autograd.grad(push, maps.second, retain_graph=True)
        (wanted,) = torch.autograd.grad(loss, maps.second, retain_graph=True)
        pushed, whole = map_gradient_norm(pushing), map_gradient_norm(wanted)
        moved = pushed > 0
        assert bool(moved.any()) is (strength > 0)
        torch.testing.assert_close((pushed / whole)[moved], torch.full_like(pushed, strength)[moved], rtol=1e-3, atol=0)
