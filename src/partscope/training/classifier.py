"""From the settings of training to a learner: features or images, their order, the step sizes."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from partscope.data import PhotoSet, batches
from partscope.errors import SettingsError
from partscope.performers import Beginning, NetworkLearner, Trainee
from partscope.performers.course import Course, by_epoch, constant, cosine, falling_rates
from partscope.performers.images import normalised
from partscope.performers.learning import validation_rows
from partscope.train_settings import TrainSettings
from partscope.training.answers import Answers
from partscope.training.features import FeatureStore

SPAN_SINGLE, SPAN_MULTI = 10, 80
"""Epochs in which the paper's step size falls to a tenth."""
IMAGES_AT_A_TIME = 64
SCALE_ROWS = 256


class Split(NamedTuple):
    """The training images that train and those that choose the epoch."""

    kept: Tensor
    held: Tensor


def split_images(photos: PhotoSet, share: float, seed: int) -> Split:
    """Draws the images that choose the epoch; those made of the same file stay together.

    Raises:
        SettingsError: one side would be empty.
    """
    digests = [photos.file_digest(i) for i in range(len(photos))]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kept, held = validation_rows(digests, share)
    if len(kept) < 2 or (share > 0 and len(held) == 0):
        raise SettingsError(
            "splitting the training images",
            f"{len(kept)} that train and {len(held)} that choose the epoch",
            "give more images, or another --train.validation_share (0 keeps the last epoch)",
        )
    return Split(kept, held)


def training_mean(photos: PhotoSet) -> Iterator[int | tuple[float, float, float]]:
    """The mean of the images, channel by channel.

    Yields:
        The number of images done so far, and last the mean, in the scale [0, 1].
    """
    total = torch.zeros(3, dtype=torch.float64)
    for images, rows in batches(photos, IMAGES_AT_A_TIME):
        total += images.double().mean((2, 3)).sum(0)
        yield rows[-1] + 1
    red, green, blue = (total / len(photos)).tolist()
    yield red, green, blue


def beginning(settings: TrainSettings) -> Beginning:
    """Where training begins, by its settings."""
    return Beginning(
        full=settings.scope == "full",
        from_layer=settings.from_layer,
        random=settings.start == "random",
        initial=settings.initial,
        dropout=settings.dropout,
        seed=settings.seed,
        both_sides=settings.loss == "logistic",
    )


def course_of(settings: TrainSettings, outputs: int) -> Course:
    """The course of the step size.

    >>> paper = TrainSettings(schedule="paper", labels="multi", learning_rate=1e-3, epochs=80)
    >>> round(course_of(paper, 6)(0, 80), 6), round(course_of(paper, 6)(79, 80), 6)
    (0.006, 0.0006)
    """
    if settings.schedule == "paper":
        span = SPAN_SINGLE if settings.labels == "single" else SPAN_MULTI
        return by_epoch(falling_rates(settings.learning_rate * outputs, span, settings.epochs))
    shape = cosine if settings.schedule == "cosine" else constant
    return shape(settings.learning_rate, settings.warm_up)


@final
class FeatureRows:
    """Cached features of the front."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store

    def stream(self, groups: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yields the features of each group of rows."""
        return (self._store.rows(rows).tap for rows in groups)


@final
class ImageRows:
    """Images decoded while the network learns, normalised."""

    def __init__(self, photos: PhotoSet, mean: Sequence[float], std: Sequence[float]) -> None:
        self._photos, self._mean, self._std = photos, mean, std

    def stream(self, groups: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yields the images of each group of rows; decodes ahead."""
        rows = [int(row) for group in groups for row in group]
        for images, _ in batches(self._photos, len(groups[0]), indices=rows):
            yield normalised(images, self._mean, self._std)


def make_learner(
    trainee: Trainee,
    shown: PhotoSet | FeatureStore,
    category: Tensor,
    answers: Answers,
    split: Split,
    settings: TrainSettings,
) -> NetworkLearner:
    """Puts a learner together.

    Args:
        trainee: the network, on the device to train on.
        shown: images, or the front's features of them; followed by their mirror images if ``mirror`` is set.
        category: of each image.
        answers: what the outputs mean.
        split: which images train.
        settings: how to learn.

    Raises:
        SettingsError: one image a step, where a batch normalisation learns.
    """
    norms = [n for n, part in trainee.part.named_modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    if settings.batch_size == 1 and norms:
        raise SettingsError(
            f"training {trainee.name}",
            f"train.batch_size = 1 with {len(norms)} batch normalisations among the layers that learn",
            "give --train.batch_size 2 or more: one image has no spread to divide by",
        )
    if isinstance(shown, FeatureStore):
        trainee.begin_scaled(shown.rows(split.kept[:SCALE_ROWS]).tap)
        inputs: FeatureRows | ImageRows = FeatureRows(shown)
    else:
        inputs = ImageRows(shown, trainee.row.mean, trainee.row.std)
    groups = trainee.parameter_groups(settings.weight_decay, settings.pretrained_rate, settings.biases == "paper")
    optimisers: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "adamw": lambda: torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True),
        "sgd": lambda: torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed + 1)
        state = torch.get_rng_state()
    return NetworkLearner(
        trainee.part,
        optimisers[settings.optimiser](),
        inputs,
        answers.targets(category),
        kept=split.kept,
        held=split.held,
        loss=answers.loss,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        course=course_of(settings, answers.outputs),
        random_state=state,
        twins=len(category) if settings.mirror else 0,
        evaluation_batch=IMAGES_AT_A_TIME,
    )
