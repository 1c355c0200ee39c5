"""A job small enough for a test: a toy network on toy images, a second or less from photos to report."""

import hashlib
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from partscope import (
    CacheSettings,
    DiagnoseSettings,
    FitSettings,
    Job,
    Performer,
    PhotoSet,
    Sample,
)
from partscope.run import Event, fit
from partscope.training import (
    FeatureSource,
    FeatureStore,
    Labels,
    Learner,
    build_explainer,
    compute_features,
    start_magnitudes,
    survey,
    tail_of,
)

SIDE = 32


class Squares(PhotoSet):
    """A bright square of a colour of its category somewhere on noise; every fifth image has none."""

    def __init__(
        self,
        count: int,
        seed: int = 0,
        categories: tuple[str, ...] = ("red", "green"),
        landmarks: tuple[str, ...] = ("middle", "corner"),
        negatives: bool = True,
    ) -> None:
        self.categories, self.landmark_names, self.input_size = categories, landmarks, SIDE
        self._count, self._seed, self._negatives = count, seed, negatives

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, i: int) -> Sample:
        generator = torch.Generator().manual_seed(self._seed * 100_000 + i)
        image = 0.3 * torch.rand(3, SIDE, SIDE, generator=generator)
        row, column = torch.randint(0, SIDE - 8, (2,), generator=generator).tolist()
        category, count = self.category_of(i), len(self.landmark_names)
        if category >= 0:
            image[category % 3, row : row + 8, column : column + 8] += 0.7
        points = torch.tensor([[row + 3.5, column + 3.5], [float(row), float(column)]])[:count]
        present = torch.full((count,), category >= 0)
        return Sample(image, category, points * present[:, None], present, f"{i}.png")

    def names(self) -> list[str]:
        return [f"{i}.png" for i in range(self._count)]

    def category_of(self, i: int) -> int:
        return -1 if self._negatives and i % 5 == 4 else i % len(self.categories)

    def file_digest(self, i: int) -> str:
        return hashlib.sha256(f"{self._seed} {i}".encode()).hexdigest()

    @property
    def transform_digest(self) -> str:
        return "none"


def toy_net(outputs: int = 2, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, 8, 3, padding=1),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(4),
                conv2=nn.Conv2d(8, 12, 3, padding=1),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
                flatten=nn.Flatten(1),
                fc3=nn.Linear(12 * 16, 16),
                relu3=nn.ReLU(),
                fc4=nn.Linear(16, 12),
                relu4=nn.ReLU(),
                fc5=nn.Linear(12, outputs),
            )
        )


def toy_performer(outputs: int = 2, seed: int = 0, **given: Any) -> Performer:
    where = {"tap": "pool1", "targets": ("fc3", "fc4")} | given
    return Performer.for_model(toy_net(outputs, seed), SIDE, (0.2,) * 3, (0.3,) * 3, **where)


def source_of(photos: PhotoSet, batch: int = 8) -> FeatureSource:
    def images(start: int) -> Any:
        for first in range(start, len(photos), batch):
            yield torch.stack([photos[i].image for i in range(first, min(first + batch, len(photos)))])

    return FeatureSource(photos.digest(), len(photos), images)


def store_of(performer: Performer, photos: PhotoSet, folder: Path | None = None, rows: int = 8) -> FeatureStore:
    *_, store = compute_features(performer, source_of(photos), folder, rows)
    assert isinstance(store, FeatureStore)
    return store


def labels_of(photos: PhotoSet) -> Labels:
    category = torch.tensor([photos.category_of(i) for i in range(len(photos))])
    return Labels(photos.categories, category, torch.ones(len(photos.categories), dtype=torch.bool))


SMALL_FIT = FitSettings(epochs=4, batch_size=8, device="cpu", learning_rate=2e-3, decoder_learning_rate=2e-3)
SMALL = Job(
    fit=SMALL_FIT,
    diagnose=DiagnoseSettings(resamples=20, top_images=10, gallery_filters=3, gallery_images=3),
    cache=CacheSettings(shard_rows=64),
)


def small_job(**fit_settings: Any) -> Job:
    return replace(SMALL, fit=replace(SMALL_FIT, **fit_settings))


def toy_learner(count: int = 40, *, seed: int = 0, performer: Performer | None = None, **settings: Any) -> Learner:
    performer, photos = performer or toy_performer(), Squares(count)
    store, labels = store_of(performer, photos), labels_of(photos)
    constants = survey(performer, store, labels.category >= 0)
    job = small_job(seed=seed, **settings)
    explainer = build_explainer(performer, store, constants.gain, job.explainer, seed)
    start_magnitudes(explainer, store, labels.category >= 0)
    return Learner(explainer, store, labels, constants, job.fit, tail_of(job.fit, performer, store, labels))


PHOTOS = Squares(70), Squares(30, seed=1)


def run_to_end(job: Job, out: Path, performer: Performer | None = None, photos: Any = PHOTOS) -> list[Event]:
    return list(fit(job, out, performer=performer or toy_performer(), photos=photos))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[k].dtype == other[k].dtype and torch.equal(one[k], other[k]) for k in one
    )
