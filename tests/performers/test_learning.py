"""The learner: schedules by hand, the best epoch, what is shown, bit-equal resumption, refusals."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from partscope.errors import DivergedError
from partscope.performers.course import by_epoch, constant, cosine, falling_rates
from partscope.performers.learning import (
    NetworkLearner,
    TrainStep,
    loss_of,
    validation_rows,
    wrong_of,
)


class Rows:
    """Points in a plane, and which rows were asked for."""

    def __init__(self, values: Tensor) -> None:
        self.values, self.asked = values, []

    def stream(self, groups: Sequence[Tensor]) -> Iterator[Tensor]:
        for rows in groups:
            self.asked += rows.tolist()
            yield self.values[rows]


def points(n: int = 42) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    targets = (torch.arange(n) % 2).float()[:, None]
    return torch.randn(n, 4, generator=generator) + 2 * targets, targets


def network(norm: bool = False) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        middle = nn.BatchNorm1d(8) if norm else nn.Identity()
        return nn.Sequential(nn.Linear(4, 8), middle, nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))


def learner(n: int = 42, norm: bool = False, held: int = 10, **given: Any) -> NetworkLearner:
    values, targets = points(n)
    module = network(norm)
    twins = given.get("twins", 0)
    if twins:
        values = torch.cat([values, -values])
    return NetworkLearner(
        module,
        given.pop("optimiser", torch.optim.AdamW)(module.parameters(), lr=1.0),
        Rows(values),
        targets,
        kept=torch.arange(held, n),
        held=torch.arange(held),
        random_state=torch.Generator().manual_seed(3).get_state(),
        **{"loss": "logistic", "epochs": 4, "batch_size": 8, "course": cosine(0.02), **given},
    )


def test_the_papers_tables() -> None:
    """10 log-spaced values from 1e-4 to 1e-5, then 1e-5; times 30 for AlexNet and the number of labels."""
    single = falling_rates(30 * 1e-4, 10, 50)
    assert len(single) == 50
    assert single[0] == pytest.approx(3e-3) and single[9] == pytest.approx(3e-4) == single[49]
    assert single[1] == pytest.approx(3e-3 * 0.774263682681127) and single[3] == pytest.approx(3e-3 * 0.46415888336)
    multi = falling_rates(6 * 30 * 1e-4, 80, 80)
    assert multi[0] == pytest.approx(0.018) and multi[79] == pytest.approx(0.0018) and multi[78] > multi[79]
    ratios = [b / a for a, b in pairwise(multi)]
    assert ratios == pytest.approx([10 ** (-1 / 79)] * 79)
    course = by_epoch(single)
    assert [course(step, 150) for step in (0, 2, 3, 149)] == [single[0], single[0], single[1], single[49]]


def test_the_default_course_by_hand() -> None:
    course = cosine(2.0, 0.1)
    assert [course(step, 20) for step in (0, 1)] == pytest.approx([1.0, 2 * 0.5 * (1 + math.cos(math.pi / 20))])
    assert course(10, 20) == pytest.approx(1.0) and course(19, 20) < 0.02
    assert [constant(2.0, 0.0)(step, 20) for step in (0, 19)] == [2.0, 2.0]


def test_losses_by_hand() -> None:
    scores, targets = torch.tensor([[2.0, -1.0], [0.0, 3.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    terms = [math.log1p(math.exp(-2)), math.log1p(math.exp(-1)), math.log(2), math.log1p(math.exp(3))]
    assert float(loss_of("logistic", scores, targets)) == pytest.approx(sum(terms) / 2)  # over images, not outputs
    assert wrong_of("logistic", scores, targets).tolist() == [0.0, 0.5]
    which = torch.tensor([0, 0])
    expected = (math.log1p(math.exp(-3)) + math.log1p(math.exp(3))) / 2
    assert float(loss_of("softmax", scores, which)) == pytest.approx(expected)
    assert wrong_of("softmax", scores, which).tolist() == [0.0, 1.0]


def test_images_of_one_file_stay_on_one_side() -> None:
    torch.manual_seed(1)
    groups = [k % 20 for k in range(60)]
    kept, held = validation_rows(groups, 0.25)
    assert len(held) == 15 and sorted(kept.tolist() + held.tolist()) == list(range(60))
    assert not {groups[k] for k in kept} & {groups[k] for k in held}
    torch.manual_seed(2)
    assert held.tolist() != validation_rows(groups, 0.25)[1].tolist()
    assert len(validation_rows(groups, 0.0)[1]) == 0


@pytest.mark.parametrize(("optimiser", "rate"), [(torch.optim.AdamW, 0.1), (torch.optim.SGD, 1.0)])
def test_it_learns(optimiser: Any, rate: float) -> None:
    state = torch.get_rng_state()
    subject = learner(optimiser=optimiser, epochs=15, course=cosine(rate))
    records = list(subject)
    assert torch.equal(torch.get_rng_state(), state)
    losses = [r.validation_loss for r in records if r.validation_loss is not None]
    assert len(losses) == 15 and losses[-1] < losses[0] / 2
    assert [r.step for r in records] == list(range(1, subject.steps + 1))
    assert [r.epoch for r in records] == [1 + k // 4 for k in range(60)]


def test_the_best_epoch_is_that_of_the_least_validation_loss() -> None:
    subject = learner(epochs=12, course=constant(0.3))
    states, losses = [], []
    for record in subject:
        if record.validation_loss is not None:
            states.append({k: v.clone() for k, v in subject.module.state_dict().items()})
            losses.append(record.validation_loss)
            assert record.best_epoch == losses.index(min(losses)) + 1
    best = losses.index(min(losses))
    assert best < 11 and subject.best_epoch == best + 1
    assert all(torch.equal(subject.best[k], states[best][k]) for k in subject.best)


def test_without_validation_images_the_last_epoch_is_kept() -> None:
    subject = learner(held=0)
    *_, last = subject
    assert (last.validation_loss, last.validation_error, last.best_epoch) == (None, None, 4)
    assert all(torch.equal(v, subject.best[k]) for k, v in subject.module.state_dict().items())


def test_an_epoch_shows_each_training_image_once_and_no_other() -> None:
    subject = learner(epochs=2)
    walk = iter(subject)
    for _ in range(subject.steps_per_epoch - 1):
        next(walk)
    first = subject.inputs.asked[:24]
    next(walk)
    shown = subject.inputs.asked[:32]
    assert sorted(shown) == list(range(10, 42)) and shown[:24] == first
    assert sorted(subject.inputs.asked[32:]) == list(range(10))  # then validation, images 0 to 9
    list(walk)
    assert sorted(subject.inputs.asked[42:74]) == list(range(10, 42)) and subject.inputs.asked[42:74] != shown


def test_mirror_images_are_shown_half_of_the_time_with_the_same_targets() -> None:
    subject = learner(twins=42, epochs=8)
    list(subject)
    trained = [row for row in subject.inputs.asked if row >= 10]
    mirrored = [row for row in trained if row >= 42]
    assert 0.35 < len(mirrored) / len(trained) < 0.65
    assert all(row % 42 >= 10 for row in mirrored)  # a validation image's twin never trains


def test_an_image_alone_in_its_batch_is_left_out_for_batch_normalisation() -> None:
    subject = learner(n=43, norm=True)
    assert subject.steps_per_epoch == 4
    list(subject)
    assert learner(n=43).steps_per_epoch == 5


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("leave", [1, 4, 6, 16])
def test_restored_at_any_step_it_ends_in_the_same_bits(leave: int, norm: bool) -> None:
    options: dict[str, Any] = {"twins": 42, "norm": norm}
    whole = learner(**options)
    expected = list(whole)
    first = learner(**options)
    records: list[TrainStep] = []
    for record in first:
        records.append(record)
        if record.step == leave:
            break
    again = learner(**options)
    again.restore(first.state())
    records += list(again)
    one, other = whole.state(), again.state()
    assert one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
    plain = [[r._replace(images_per_second=0.0) for r in rs] for rs in (expected, records)]
    assert plain[0] == plain[1]


def _change(key: str, act: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], None]:
    def change(state: dict[str, Tensor]) -> None:
        state[key] = act(state[key])

    return change


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda s: s.pop("step"), KeyError),
        (_change("step", lambda t: t + 99), ValueError),
        (_change("module.0.weight", lambda t: t * torch.nan), ValueError),
        (_change("module.0.weight", lambda t: t[:2]), RuntimeError),
        (_change("best.0.weight", lambda t: t[:2]), ValueError),
        (_change("optimiser.0.exp_avg", lambda t: t[:2]), ValueError),
        (_change("order", lambda t: t[:-1]), ValueError),
        (_change("order", lambda t: t - 10), ValueError),
        (_change("random_state", lambda t: t[:9]), ValueError),
    ],
)
def test_a_foreign_state_is_refused(change: Callable[[dict[str, Tensor]], None], error: type[Exception]) -> None:
    subject = learner()
    next(iter(subject))
    state = subject.state()
    change(state)
    fresh = learner()
    with pytest.raises(error):
        fresh.restore(state)


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    subject = learner()
    subject.inputs.values[subject.kept] = math.nan
    before = subject.state()
    with pytest.raises(DivergedError) as caught:
        next(iter(subject))
    assert caught.value.doing == "taking step 1 of 16 (epoch 1)"
    assert caught.value.got == "a loss of nan with a gradient norm of nan"
    assert caught.value.todo.startswith("lower --train.learning_rate and train into another folder")
    after = subject.state()
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith(("module.", "best.", "step")))


def test_groups_take_their_multiple_of_the_course() -> None:
    module = nn.Linear(4, 1)
    groups = [{"params": [module.weight], "rate": 0.0}, {"params": [module.bias], "rate": 2.0}]
    values, targets = points()
    start = module.weight.detach().clone()
    subject = NetworkLearner(
        module, torch.optim.SGD(groups, lr=1.0), Rows(values), targets, kept=torch.arange(42), held=torch.arange(0),
        loss="logistic", epochs=1, batch_size=21, course=constant(0.1), random_state=torch.get_rng_state(),
    )  # fmt: skip
    next(iter(subject))
    assert torch.equal(module.weight, start)
    assert [group["lr"] for group in subject.optimiser.param_groups] == [0.0, 0.2]
