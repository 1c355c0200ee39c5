"""What a run learns from and is measured on: its images' labels and landmarks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import Tensor

from partscope.data import PhotoSet
from partscope.diagnosis import Subject, Truth
from partscope.errors import RunError, SettingsError
from partscope.performers import Performer
from partscope.settings import Job
from partscope.training import (
    FeatureStore,
    Labels,
    given_labels,
    match_classes,
    predicted_classes,
    predicted_labels,
    read_class_names,
    score_index,
)

_EVERY = 64


class OpenedRun(NamedTuple):
    """A finished fit, loaded and checked, on its test images."""

    job: Job
    subject: Subject
    photos: PhotoSet


def labels_of_training(
    job: Job, performer: Performer, train: PhotoSet, store: FeatureStore
) -> tuple[Labels, dict[str, Any]]:
    """Categories of the training images, and what ``run.json`` says of them.

    Args:
        job: every setting.
        performer: the network.
        train: the training images.
        store: their features.

    Raises:
        SettingsError: there are several categories where the settings say one.
    """
    if job.fit.labels == "none":
        classes = predicted_classes(performer, store)
        names = read_class_names(job.performer) or list(performer.class_names) or None
        labels, kept = predicted_labels(classes, names, job.fit.min_category_images)
        found: dict[str, Any] = {"classes": kept.tolist()}
    else:
        category = [train.category_of(i) for i in range(len(train))]
        if job.fit.labels == "single" and len(train.categories) != 1:
            raise SettingsError(
                "taking the images as one category against negatives",
                f"{len(train.categories)} categories: {', '.join(train.categories[:5])}",
                "set --data.single_category NAME, or --fit.labels multi",
            )
        labels, found = given_labels(train.categories, category), {"classes": None}
    counts = [int((labels.category == c).sum()) for c in range(len(labels.names))]
    return labels, {
        **found,
        "categories": list(labels.names),
        "category_images": counts,
        "train_images": len(store),
    }


def labels_of_test(
    run: dict[str, Any], performer: Performer, test: PhotoSet, store: FeatureStore
) -> tuple[Labels, Tensor | None]:
    """Categories of the test images as the fit counted them, and the score that is right for each.

    Args:
        run: contents of ``run.json``.
        performer: the network.
        test: the test images.
        store: their features.

    Raises:
        RunError: the categories are not those of the fit.
    """
    names = tuple(run["categories"])
    columns = performer.resume(store.rows([0]), "last").shape[1]
    if run["classes"] is not None:
        category = match_classes(predicted_classes(performer, store), torch.tensor(run["classes"]))
        owners = torch.tensor([True] * len(run["classes"]) + [False])
        return Labels(names, category, owners), None
    if names != tuple(test.categories):
        raise RunError(
            "matching the test images' categories with the fit's",
            f"{', '.join(test.categories)} instead of {', '.join(names)}",
            "give the data set of the fit",
        )
    labels = given_labels(names, [test.category_of(i) for i in range(len(test))])
    return labels, score_index(labels, columns)


def read_truth(test: PhotoSet) -> Iterator[int | Truth | None]:
    """Reads the landmarks of all test images, which decodes each of them.

    Yields:
        Images done so far, and last the landmarks; None where the images carry none.
    """
    if not test.landmark_names:
        yield None
        return
    samples = []
    with ThreadPoolExecutor(2) as pool:
        for sample in pool.map(lambda i: test[i][2:4], range(len(test))):
            samples.append(sample)
            if len(samples) % _EVERY == 0:
                yield len(samples)
    yield Truth(tuple(test.landmark_names), torch.stack([s[0] for s in samples]), torch.stack([s[1] for s in samples]))
