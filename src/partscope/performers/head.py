"""Training a performer's own head on frozen features, or a small network from scratch."""

import copy
import math
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from partscope.errors import PerformerError
from partscope.performers.course import cosine
from partscope.performers.frozen import frozen_copy
from partscope.performers.learning import LossKind, NetworkLearner, TrainStep, loss_of, wrong_of
from partscope.performers.performer import Performer


class TrainingRecord(NamedTuple):
    """One epoch of a small network's training."""

    epoch: int
    """Number of the epoch, from 1."""
    loss: float
    """Mean training loss, nats."""
    accuracy: float
    """Share of right answers on the training images, mirrored as they were shown."""
    learning_rate: float
    """Step size at its end."""


def train_head(
    features: Tensor,
    labels: Tensor,
    *,
    outputs: int,
    hidden: int = 1024,
    epochs: int = 20,
    seed: int = 0,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
) -> Generator[TrainStep, None, nn.Sequential]:
    """Train a fresh fully connected head (fc6, ReLU, dropout, fc7, ReLU, dropout, fc8) on frozen features.

    Adam with decoupled weight decay and a cosine course over all images; the last epoch is kept.
    The features are scaled to a mean square of 1 in training; fc6 takes the scale in at the end.

    Args:
        features: outputs of the top unit, pooled (N, D, H, W) or flat (N, F).
        labels: (N,) whole numbers; 0 or 1 for one output, else 0 to ``outputs - 1``.
        outputs: number of scores; one score is trained with the logistic loss, several with cross-entropy.
        hidden: width of fc6 and fc7.
        epochs: passes over the features.
        seed: of the start, the order and dropout.
        learning_rate: largest step size.
        weight_decay: of AdamW.
        batch_size: images a step.
        device: where to train.

    Yields:
        What each step did.

    Returns:
        The head in evaluation mode, on the CPU, for flattened features; see `with_head`. Through ``return`` of the
        generator.

    Raises:
        PerformerError: a label is out of range, or there are fewer than two images.
        DivergedError: the loss is not finite.
    """
    _check_labels(labels, outputs, len(features))
    flat = features.flatten(1)
    scale = 1 / flat.float().square().mean().sqrt().clamp_min(1e-12)
    kind, targets = _targets(labels, outputs)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = _fresh_head(flat.shape[1], hidden, outputs).to(device)
        learner = NetworkLearner(
            head,
            torch.optim.AdamW(head.parameters(), lr=learning_rate, weight_decay=weight_decay),
            _Rows(flat, scale),
            targets,
            kept=torch.arange(len(flat)),
            held=torch.arange(0),
            loss=kind,
            epochs=epochs,
            batch_size=batch_size,
            course=cosine(learning_rate),
            random_state=torch.get_rng_state(),
        )
    yield from learner
    with torch.no_grad():
        next(head.parameters()).mul_(scale.to(device))
    return head.cpu().eval()


@final
class _Rows:
    """Features in memory, scaled."""

    def __init__(self, features: Tensor, scale: Tensor) -> None:
        self._features, self._scale = features, scale

    def stream(self, groups: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yields the features of each group of rows."""
        return (self._features[rows].float() * self._scale for rows in groups)


def with_head(performer: Performer, head: nn.Sequential) -> Performer:
    """Put a new head into a performer whose decoder is fully connected.

    Args:
        performer: its last three linear layers on the way to the scores are replaced; it is only read.
        head: from `train_head`, on its own top unit's outputs.

    Returns:
        A new performer with the same tap and targets.

    Raises:
        PerformerError: the performer has no such head, or its first layer takes another number of features.
    """
    steps = [
        step
        for step in performer.spine.steps[performer.plan.top_end :]
        if isinstance(step.module, nn.Linear) and step.name
    ]
    fresh = [layer for layer in head if isinstance(layer, nn.Linear)]
    if len(steps) != len(fresh) or steps[0].module.in_features != fresh[0].in_features:
        takes = steps[0].module.in_features if steps else "none"
        got = f"{len(fresh)} linear layers from {fresh[0].in_features} features"
        raise PerformerError(
            f"putting a new head into {performer.name}",
            f"{got}; the performer has {len(steps)} from {takes}",
            "train the head on performer.top_output(features.tap) of this performer",
        )
    module = frozen_copy(performer.module)
    for step, layer in zip(steps, fresh, strict=True):
        module.set_submodule(step.name, copy.deepcopy(layer).to(performer.device))
    return Performer.for_model(
        module,
        performer.input_size,
        performer.mean,
        performer.std,
        tap=performer.tap_name,
        targets=performer.target_names,
        name=performer.name,
    )


def train_network(
    module: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-3,
    batch_size: int = 64,
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
    std: tuple[float, float, float] = (0.25, 0.25, 0.25),
    mirror: bool = True,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Iterator[TrainingRecord]:
    """Train a network from scratch, in place; yields after each epoch, so that stopping is a ``break``.

    Adam with decoupled weight decay, a warm-up of 5 % of the steps and a cosine course.

    Args:
        module: returns scores (N, outputs) for normalised images.
        images: (N, 3, S, S) uint8, all in memory.
        labels: (N,) whole numbers; 0 or 1 if the network has one output, else 0 to outputs - 1.
        epochs: passes over the images.
        learning_rate: largest step size.
        weight_decay: of AdamW.
        batch_size: images a step.
        mean: of the normalisation, in the scale [0, 1].
        std: of the normalisation.
        mirror: show each image mirrored half of the time.
        seed: of order, mirroring and dropout; the network's start is the caller's.
        device: where to train.

    Yields:
        Epoch, mean loss, share of right answers in training, step size.

    Raises:
        PerformerError: a label is out of range.
    """
    module.to(device).train()
    centre = torch.tensor(mean, device=device).view(3, 1, 1)
    spread = torch.tensor(std, device=device).view(3, 1, 1)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=weight_decay)
    total = epochs * math.ceil(len(images) / batch_size)
    course = cosine(learning_rate, warm_up=0.05)
    step = 0
    checked = False
    for epoch in range(1, epochs + 1):
        losses, right = [], []
        module.train()
        for rows in torch.split(torch.randperm(len(images), generator=generator), batch_size):
            x = images[rows].to(device).float().div_(255).sub_(centre).div_(spread)
            if mirror:
                flip = torch.rand(len(rows), generator=generator).lt(0.5).to(device)
                x = torch.where(flip[:, None, None, None], x.flip(3), x)
            with torch.random.fork_rng():
                torch.manual_seed(seed * 1_000_003 + step)
                scores = module(x)
            if not checked:
                _check_labels(labels, scores.shape[1], len(images))
                checked = True
            kind, y = _targets(labels[rows].to(device), scores.shape[1])
            rate = course(step, total)
            for group in optimiser.param_groups:
                group["lr"] = rate
            step += 1
            loss = loss_of(kind, scores, y)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            losses.append(loss.detach() * len(rows))
            right.append(len(rows) - wrong_of(kind, scores.detach(), y).sum())
        mean_loss = float(torch.stack(losses).sum()) / len(images)
        module.eval()
        yield TrainingRecord(epoch, mean_loss, float(torch.stack(right).sum()) / len(images), rate)


def _fresh_head(features: int, hidden: int, outputs: int) -> nn.Sequential:
    layers: list[tuple[str, nn.Module]] = [
        ("fc6", nn.Linear(features, hidden)),
        ("relu6", nn.ReLU()),
        ("drop6", nn.Dropout(0.5)),
        ("fc7", nn.Linear(hidden, hidden)),
        ("relu7", nn.ReLU()),
        ("drop7", nn.Dropout(0.5)),
        ("fc8", nn.Linear(hidden, outputs)),
    ]
    head = nn.Sequential(OrderedDict(layers))
    for layer in head:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    last = head.get_submodule("fc8")
    assert isinstance(last, nn.Linear)
    nn.init.normal_(last.weight, std=0.01)
    return head


def _targets(labels: Tensor, outputs: int) -> tuple[LossKind, Tensor]:
    """The loss that so many outputs are trained with, and its targets."""
    return ("logistic", labels.float()[:, None]) if outputs == 1 else ("softmax", labels.long())


def _check_labels(labels: Tensor, outputs: int, images: int) -> None:
    highest = max(outputs - 1, 1)
    low, high = (int(labels.min()), int(labels.max())) if labels.numel() else (0, 0)
    if labels.shape != (images,) or images < 2 or low < 0 or high > highest:
        raise PerformerError(
            f"training a classifier with {outputs} output{'s' if outputs > 1 else ''}",
            f"{tuple(labels.shape)} labels from {low} to {high} for {images} images",
            f"give one label from 0 to {highest} an image, for two images or more",
        )
