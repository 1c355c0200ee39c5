"""Settings of training a performer: frozen dataclasses that load no heavy library."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from partscope.errors import SettingsError
from partscope.settings import CacheSettings, DataSettings, PerformerSettings


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a performer is trained."""

    preset: Literal["default", "paper"] = "default"
    """`paper` puts the paper's constants and schedule in place of all settings that are at their defaults."""
    labels: Literal["single", "multi"] = "multi"
    """`single`: one output, objects against negatives; `multi`: one output a category, all 0 on negatives."""
    loss: Literal["logistic", "softmax"] = "logistic"
    """`logistic`: each output is a yes or no of its own, as the paper; `softmax`: categories exclude each other."""
    scope: Literal["head", "full"] = "head"
    """`head`: the layers below are frozen and their features computed once; `full`: every layer learns, from images."""
    from_layer: str | None = None
    """Scope `head`: first layer that learns, e.g. `layer4`; none takes the fully connected layers."""
    start: Literal["pretrained", "random"] = "pretrained"
    """`random` starts every layer anew, which shows what the pre-trained weights are worth."""
    initial: Literal["he", "normal"] = "he"
    """Start of new layers: He's normal, or a normal distribution of deviation .01 as the paper."""
    optimiser: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or stochastic gradient descent with momentum."""
    epochs: int = 20
    """Passes over the training images."""
    batch_size: int = 64
    """Images a step."""
    learning_rate: float = 1e-4
    """Largest step size, of new layers."""
    pretrained_rate: float = 0.1
    """Step size of layers that start from weights, as a share of the new layers'."""
    schedule: Literal["cosine", "constant", "paper"] = "cosine"
    """`paper`: from `learning_rate` to a tenth in 10 epochs (`multi`: 80) by equal factors, times the outputs."""
    warm_up: float = 0.05
    """Share of the steps in which `cosine` and `constant` rise to their step size (0 to 1)."""
    momentum: float = 0.9
    """Momentum of `sgd` (0 to 1, 1 excluded)."""
    weight_decay: float = 1e-2
    """Weight decay of weights; biases and norms have none unless `biases` is `paper`."""
    biases: Literal["plain", "paper"] = "plain"
    """`paper`: twice the step size and no decay in new layers, five times in the last pre-trained conv layer."""
    dropout: float = 0.5
    """Share of values that the network's own dropout layers drop (0 to 1, 1 excluded)."""
    mirror: bool = True
    """Show each training image mirrored half of the time; scope `head` keeps features of both."""
    normalise: Literal["weights", "training_mean"] = "weights"
    """Mean of the input: of the network's weights, or of the training images channel by channel, as the paper."""
    validation_share: float = 0.2
    """Share of the training images that choose the best epoch and never train (0 to .5); 0 keeps the last epoch."""
    seed: int = 0
    """Seed of new layers, of the validation images, of the order of images and of dropout."""
    device: str = "auto"
    """`auto` takes the first GPU if there is one; or any name that torch knows."""
    save_every: int = 0
    """Steps between two saved states; 0 saves at the end of each epoch."""


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """A whole job of training: data, network, how it learns."""

    data: DataSettings = field(default_factory=DataSettings)
    performer: PerformerSettings = field(default_factory=PerformerSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)


PAPER_TRAIN: dict[str, Any] = {
    "initial": "normal",
    "optimiser": "sgd",
    "epochs": 50,
    "batch_size": 32,
    "learning_rate": 1e-4,
    "pretrained_rate": 1.0,
    "schedule": "paper",
    "weight_decay": 5e-4,
    "biases": "paper",
    "dropout": 0.8,
    "normalise": "training_mean",
}
"""The constants of the released code of Zhang et al. 2018, whose ordinary CNNs are the paper's performers."""

PAPER_EPOCHS_MULTI = 80
PAPER_WIDTH = 4096

PAPER_NETWORKS: dict[str, tuple[float, int]] = {
    "alexnet": (30.0, 512),
    "alexnet_bvlc": (30.0, 512),
    "vgg_m": (30.0, 196),
    "vgg_s": (10.0, 128),
    "vgg16": (1.0, 32),
}
"""Factor on the step size and images a step, by network; others are trained like VGG-16."""

RANGES: tuple[tuple[str, float, float], ...] = (
    ("epochs", 1, 1e6),
    ("batch_size", 1, 1e6),
    ("learning_rate", 0.0, 1e3),
    ("pretrained_rate", 0.0, 1e3),
    ("warm_up", 0.0, 1.0),
    ("momentum", 0.0, 0.999999),
    ("weight_decay", 0.0, 1e3),
    ("dropout", 0.0, 0.999999),
    ("validation_share", 0.0, 0.5),
    ("seed", 0, 2**32),
    ("save_every", 0, 1e9),
)


UNUSED = ("class_names", "tap", "targets", "head", "head_epochs")
"""Settings of the performer that are about explaining it, or about another way of training a head."""


def resolve_training(job: TrainJob) -> TrainJob:
    """Puts a preset's constants in place of the settings that were left at their defaults, and checks ranges.

    Raises:
        SettingsError: a value is out of its range, or two settings contradict each other.

    >>> job = TrainJob(performer=PerformerSettings(name="vgg_s"), train=TrainSettings(preset="paper"))
    >>> resolved = resolve_training(job).train
    >>> resolved.learning_rate, resolved.batch_size, resolved.epochs
    (0.001, 128, 80)
    """
    if job.train.preset == "paper":
        factor, batch = PAPER_NETWORKS.get(job.performer.name, (1.0, 32))
        preset = {**PAPER_TRAIN, "learning_rate": factor * PAPER_TRAIN["learning_rate"], "batch_size": batch}
        if job.train.labels == "multi":
            preset["epochs"] = PAPER_EPOCHS_MULTI
        standard = TrainSettings()
        left = {k: v for k, v in preset.items() if getattr(job.train, k) == getattr(standard, k)}
        performer = job.performer
        if performer.head_width == PerformerSettings().head_width:
            performer = replace(performer, head_width=PAPER_WIDTH)
        job = replace(job, performer=performer, train=replace(job.train, **left))
    _check(job)
    return job


def _check(job: TrainJob) -> None:
    doing = "checking the settings"
    for key, least, most in RANGES:
        value = getattr(job.train, key)
        if not least <= value <= most:
            raise SettingsError(doing, f"train.{key} = {value}", f"give --train.{key} between {least:g} and {most:g}")
    if job.train.scope == "full" and job.train.from_layer is not None:
        raise SettingsError(
            doing,
            f"train.from_layer = {job.train.from_layer} with train.scope = full, which trains every layer",
            "leave --train.from_layer away, or give --train.scope head",
        )
    if job.train.loss == "softmax" and job.train.labels == "single":
        raise SettingsError(
            doing,
            "train.loss = softmax with train.labels = single, which has one output",
            "give --train.loss logistic, or --train.labels multi",
        )
    for key in UNUSED:
        value = getattr(job.performer, key)
        if value != getattr(PerformerSettings, key):
            raise SettingsError(
                doing,
                f"performer.{key} = {value}, which training does not use",
                f"leave --performer.{key} away; `partscope fit` takes it",
            )
    if not 1 <= job.performer.head_width <= 1e6:
        raise SettingsError(
            doing,
            f"performer.head_width = {job.performer.head_width}",
            "give --performer.head_width between 1 and 1e+06",
        )
