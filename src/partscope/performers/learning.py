"""Training a network or its upper part: the loop yields a record a step, all that changes is saved and restored."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple, Protocol, final, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from partscope.errors import DivergedError
from partscope.performers.course import Course

LossKind = Literal["logistic", "softmax"]


@runtime_checkable
class Inputs(Protocol):
    """What the trained part takes in, row by row."""

    def stream(self, groups: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yields the inputs of each group of rows, in order; all groups but the last have the same size."""


class TrainStep(NamedTuple):
    """What one step did; the last one of an epoch also says how the validation images fare."""

    step: int
    steps: int
    epoch: int
    """Number of the epoch, from 1."""
    loss: float
    """Mean over the batch, nats an image; of `logistic` the sum over the outputs."""
    learning_rate: float
    images_per_second: float
    validation_loss: float | None = None
    """Mean over the validation images, after the epoch; None within an epoch or without such images."""
    validation_error: float | None = None
    """Share of wrong answers on them; of several logistic outputs the mean over outputs."""
    best_epoch: int = 0
    """The epoch that is kept so far."""


def loss_of(kind: LossKind, scores: Float[Tensor, "n c"], targets: Tensor) -> Float[Tensor, ""]:
    """The classification loss: its mean over images, nats.

    ``logistic``: the sum over outputs of ``log(1 + exp(-y s))``, y = +1 or -1, as in the released code;
    ``softmax``: cross-entropy.

    Args:
        kind: which.
        scores: the network's outputs.
        targets: (n, c) of 0 and 1 for `logistic`, (n,) indices for `softmax`.

    >>> round(float(loss_of("logistic", torch.zeros(2, 3), torch.ones(2, 3))), 4)
    2.0794
    """
    if kind == "logistic":
        return functional.binary_cross_entropy_with_logits(scores, targets) * scores.shape[1]
    return functional.cross_entropy(scores, targets)


def wrong_of(kind: LossKind, scores: Float[Tensor, "n c"], targets: Tensor) -> Float[Tensor, " n"]:
    """The share of each image's answers that are wrong: 0 or 1 where it has one answer.

    >>> wrong_of("logistic", torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, 1.0]])).tolist()
    [0.5]
    """
    if kind == "logistic":
        return ((scores > 0) != (targets > 0.5)).float().mean(1)
    return (scores.argmax(1) != targets).float()


def validation_rows(groups: Sequence[object], share: float) -> tuple[Int[Tensor, " k"], Int[Tensor, " h"]]:
    """Draws the images that choose the epoch, by torch's random state; images of one group stay together.

    Args:
        groups: what each image is made of, e.g. its file's digest: twins and mirror images have the same.
        share: of the groups, 0 to 1.

    Returns:
        The rows that train, and the rows that validate, both in the order drawn.

    >>> kept, held = validation_rows(["a", "b", "a", "c"], 0.34)
    >>> sorted(kept.tolist() + held.tolist()), len({0, 2} & set(held.tolist())) in (0, 2)
    ([0, 1, 2, 3], True)
    """
    members: dict[object, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    rows = list(members.values())
    order = torch.randperm(len(rows)).tolist()
    first = int(share * len(rows))
    held = [row for k in order[:first] for row in rows[k]]
    kept = [row for k in order[first:] for row in rows[k]]
    return torch.tensor(kept, dtype=torch.int64), torch.tensor(held, dtype=torch.int64)


@final
class NetworkLearner:
    """A network in training: everything that changes from step to step, saved and restored whole.

    The epoch with the lowest validation loss is kept (`best`); without validation images the last one.

    Args:
        module: turns inputs into scores; trained in place.
        optimiser: of its parameters; a group's ``rate`` multiplies the course.
        inputs: what the module takes in.
        targets: one row an image; see `loss_of`.
        kept: rows that train.
        held: rows that validate.
        loss: which.
        epochs: passes over the rows that train.
        batch_size: images a step.
        course: of the step size.
        random_state: of torch, on the CPU: where order, mirroring and dropout are drawn from.
        twins: number of rows after which an image's mirror image follows, shown half of the time; 0 without.
        evaluation_batch: validation images at a time.
    """

    def __init__(
        self,
        module: nn.Module,
        optimiser: torch.optim.Optimizer,
        inputs: Inputs,
        targets: Tensor,
        *,
        kept: Tensor,
        held: Tensor,
        loss: LossKind,
        epochs: int,
        batch_size: int,
        course: Course,
        random_state: Tensor,
        twins: int = 0,
        evaluation_batch: int = 1024,
    ) -> None:
        self.module, self.optimiser, self.inputs, self.targets = module, optimiser, inputs, targets
        self.kept, self.held, self.loss = kept, held, loss
        self.batch_size, self.course, self.twins = batch_size, course, twins
        self.evaluation_batch = evaluation_batch
        self.device = next(module.parameters()).device
        self._alone = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())
        self.steps_per_epoch = max(1, math.ceil(self._shown() / batch_size))
        self.steps = self.steps_per_epoch * epochs
        self.step = 0
        self.order = torch.zeros(0, dtype=torch.int64)
        self.random_state = random_state.clone()
        self.best = {k: v.detach().clone() for k, v in module.state_dict().items()}
        self.best_loss, self.best_epoch = math.inf, 0

    def __iter__(self) -> Iterator[TrainStep]:
        """Yields a record a step until the last; may be left and taken up again at any step."""
        while self.step < self.steps:
            position = self.step % self.steps_per_epoch
            if position == 0:
                self.order = self._drawn_order()
            groups = torch.split(self.order, self.batch_size)[position:]
            for rows, inputs in zip(groups, self.inputs.stream(groups), strict=True):
                yield self._take_step(rows, inputs)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, as tensors with unique names."""
        state = {f"module.{k}": v for k, v in self.module.state_dict().items()}
        state |= {f"best.{k}": v for k, v in self.best.items()}
        for i, slots in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{i}.{k}": torch.as_tensor(v) for k, v in slots.items() if v is not None}
        state |= {"order": self.order, "random_state": self.random_state, "step": torch.tensor(self.step)}
        state["best_loss"] = torch.tensor(self.best_loss if self.best_epoch else 0.0, dtype=torch.float64)
        state["best_epoch"] = torch.tensor(self.best_epoch)
        return {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Takes up from a saved `state`.

        Raises:
            KeyError, RuntimeError, ValueError: it is not a state of this learner.
        """

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}

        if not all(bool(torch.isfinite(v).all()) for v in state.values() if v.is_floating_point()):
            raise ValueError("it holds values that are not finite")
        step = int(state["step"])
        if not 0 <= step <= self.steps:
            raise ValueError(f"step {step} of {self.steps}")
        best, own = part("best."), self.module.state_dict()
        if {k: v.shape for k, v in best.items()} != {k: v.shape for k, v in own.items()}:
            raise ValueError("the best epoch's tensors are not those of the network")
        shown = state["order"] % self.twins if self.twins else state["order"]
        if step and not (len(shown) == self._shown() and bool(torch.isin(shown, self.kept).all())):
            raise ValueError("the order of images is damaged")
        if state["random_state"].shape != self.random_state.shape or state["random_state"].dtype != torch.uint8:
            raise ValueError("the random state is damaged")
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in part("optimiser.").items():
            number, name = key.split(".", 1)
            slots.setdefault(int(number), {})[name] = value
        weights = [w for group in self.optimiser.param_groups for w in group["params"]]
        for slot, values in slots.items():
            if any(v.shape not in ((), weights[slot].shape) for v in values.values()):
                raise ValueError(f"optimiser.{slot} has another shape than its weights")
        self.module.load_state_dict(part("module."))
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": slots})
        self.best = {k: v.to(self.device) for k, v in best.items()}
        self.best_epoch = int(state["best_epoch"])
        self.best_loss = float(state["best_loss"]) if self.best_epoch else math.inf
        self.order, self.random_state, self.step = state["order"], state["random_state"], step

    def _shown(self) -> int:
        """Images an epoch; one that is left over alone says nothing to a batch normalisation."""
        return len(self.kept) - (self._alone and len(self.kept) % self.batch_size == 1 and len(self.kept) > 1)

    def _drawn_order(self) -> Tensor:
        with self._random():
            order = self.kept[torch.randperm(len(self.kept))][: self._shown()]
            if self.twins:
                order = order + self.twins * (torch.rand(len(order)) < 0.5)
        return order

    @contextmanager
    def _random(self) -> Iterator[None]:
        """Draws from the learner's own random state and leaves torch's alone."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.set_rng_state(self.random_state)
            if devices:
                torch.cuda.manual_seed(int(torch.randint(2**31, ())))
            yield
            self.random_state = torch.get_rng_state()

    def _take_step(self, rows: Tensor, inputs: Tensor) -> TrainStep:
        started = time.perf_counter()
        self.module.train()
        rate = self.course(self.step, self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("rate", 1.0)
        targets = self.targets[rows % self.twins if self.twins else rows].to(self.device)
        with self._random():
            scores = self.module(inputs.to(self.device))
        loss = loss_of(self.loss, scores, targets)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        gradients = [w.grad for group in self.optimiser.param_groups for w in group["params"] if w.grad is not None]
        value, norm = float(loss.detach()), float(torch.nn.utils.get_total_norm(gradients))
        epoch = self.step // self.steps_per_epoch + 1
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise DivergedError(
                f"taking step {self.step + 1} of {self.steps} (epoch {epoch})",
                f"a loss of {value} with a gradient norm of {norm}",
                "lower --train.learning_rate and train into another folder; this one keeps its last good state",
            )
        self.optimiser.step()
        self.step += 1
        record = TrainStep(
            self.step, self.steps, epoch, value, rate, len(rows) / (time.perf_counter() - started),
            best_epoch=self.best_epoch,
        )  # fmt: skip
        return self._validated(record) if self.step % self.steps_per_epoch == 0 else record

    def _validated(self, record: TrainStep) -> TrainStep:
        loss = error = None
        criterion = -float(record.epoch)
        if len(self.held):
            scores, targets = self._scores(self.held), self.targets[self.held]
            loss = criterion = float(loss_of(self.loss, scores, targets))
            error = float(wrong_of(self.loss, scores, targets).mean())
        if criterion < self.best_loss:
            self.best_loss, self.best_epoch = criterion, record.epoch
            self.best = {k: v.detach().clone() for k, v in self.module.state_dict().items()}
        return record._replace(validation_loss=loss, validation_error=error, best_epoch=self.best_epoch)

    @torch.no_grad()
    def _scores(self, rows: Tensor) -> Tensor:
        self.module.eval()
        groups = torch.split(rows, self.evaluation_batch)
        return torch.cat([self.module(inputs.to(self.device)).cpu() for inputs in self.inputs.stream(groups)])
