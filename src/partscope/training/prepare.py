"""Loads the performer; one whose classifier is missing gets a new one first."""

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from partscope.data import PhotoSet, batches
from partscope.errors import RunError, SettingsError
from partscope.files import write_whole
from partscope.performers import Performer, load_performer, read_trained, train_head, with_head
from partscope.performers.learning import TrainStep
from partscope.settings import PerformerSettings

BATCH = 64
Stage = tuple[str, int, int]


def prepare_performer(
    settings: PerformerSettings,
    kept: Path,
    training_photos: Callable[[int], PhotoSet] | None,
    seed: int,
) -> Generator[Stage, None, Performer]:
    """Loads the network that the settings name; trains its classifier first if they ask for it.

    A new classifier scores "object or not" where the images have one category, else the categories, with
    one score more for "none of them" where there are negatives.

    Args:
        settings: the network.
        kept: file that a newly trained network is kept in, and read from when it is there.
        training_photos: makes the training images for an input size; None forbids training.
        seed: of the new classifier.

    Yields:
        (stage, done, total).

    Returns:
        The performer, through ``return`` of the generator.

    Raises:
        RunError: a classifier is to be trained, and there is neither a kept one nor training images.
    """
    if settings.head == "own":
        return load_performer(settings)
    if kept.exists():
        return load_performer(replace(settings, weights=str(kept), weights_order="torch", head="own"))
    if training_photos is None:
        raise RunError(
            "loading the performer",
            f"its classifier is missing: no '{kept}'",
            "run `partscope fit` on this folder first",
        )
    performer = load_performer(settings)
    photos = training_photos(performer.input_size)
    features = yield from _top_outputs(performer, photos)
    category = torch.tensor([photos.category_of(i) for i in range(len(photos))])
    classes = len(photos.categories)
    if classes == 1 and not bool((category < 0).any()):
        raise SettingsError(
            "training a classifier of one category",
            "no image that is not of it",
            "set --data.negatives FOLDER, or use several categories",
        )
    several = classes + int(bool((category < 0).any()))
    labels = (category >= 0).long() if classes == 1 else torch.where(category < 0, classes, category)
    steps = train_head(
        features,
        labels,
        outputs=1 if classes == 1 else several,
        hidden=settings.head_width,
        epochs=settings.head_epochs,
        seed=seed,
        learning_rate=HEAD_LEARNING_RATE,
    )
    performer = with_head(performer, (yield from _steps_of(steps)))
    state = {k: v.contiguous().clone() for k, v in performer.saved_state().items()}
    write_whole(kept, lambda temporary: save_file(state, temporary))
    return performer


HEAD_LEARNING_RATE = 1e-4


def read_class_names(settings: PerformerSettings) -> list[str] | None:
    """The performer's class names, one a line in its file, or those that it was trained with; None without any.

    Raises:
        SettingsError: the file cannot be read.
        PerformerError: the weights are a folder that holds no trained performer.
    """
    if settings.class_names is None:
        weights = Path(settings.weights or "").expanduser()
        return list(read_trained(weights).class_names) if settings.weights and weights.is_dir() else None
    try:
        text = Path(settings.class_names).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            "reading the class names", str(error), "give --performer.class_names a text file, one name a line"
        ) from error
    return [line.strip() for line in text.splitlines()]


def _top_outputs(performer: Performer, photos: PhotoSet) -> Generator[Stage, None, Tensor]:
    found = []
    for images, rows in batches(photos, BATCH):
        with torch.no_grad():
            found.append(performer.top_output(performer.features(images).tap).flatten(1))
        yield "features for a new classifier", rows[-1] + 1, len(photos)
    return torch.cat(found)


def _steps_of(steps: Generator[TrainStep, None, nn.Sequential]) -> Generator[Stage, None, nn.Sequential]:
    """Tells each step; returns what the steps end with."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            head: nn.Sequential = end.value
            return head
        yield "training the classifier", step.step, step.steps
