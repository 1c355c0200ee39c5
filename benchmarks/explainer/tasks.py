"""The tasks of the explainer's bench: which performer on which images, and how they are kept apart."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from partscope import (
    CacheSettings,
    DataSettings,
    DiagnoseSettings,
    FitSettings,
    Job,
    PerformerSettings,
)
from partscope.data import PhotoSet, Sample, load_photos
from partscope.data.choices import held_out
from partscope.data.photos import MirroredPhotos
from partscope.data.sample import digest_of

Stage = Literal["validation", "test"]
VALIDATION_SHARE = 0.25
WEIGHTS = "weights/alexnet_bvlc_features.safetensors"


class Task(NamedTuple):
    """A performer on a set of images."""

    job: Job
    needs_root: bool = True


class Some(PhotoSet):
    """Some images of a set."""

    def __init__(self, photos: PhotoSet, rows: list[int]) -> None:
        self.categories, self.landmark_names = photos.categories, photos.landmark_names
        self.input_size, self._photos, self._rows = photos.input_size, photos, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> Sample:
        return self._photos[self._rows[i]]

    def names(self) -> list[str]:
        """Names of the images."""
        names = self._photos.names()
        return [names[i] for i in self._rows]

    def category_of(self, i: int) -> int:
        """Category of image `i`."""
        return self._photos.category_of(self._rows[i])

    def file_digest(self, i: int) -> str:
        """SHA-256 of the image's bytes."""
        return self._photos.file_digest(self._rows[i])

    @property
    def transform_digest(self) -> str:
        """SHA-256 of the transform and the choice."""
        return digest_of([self._photos.transform_digest, *map(str, self._rows)])

    @property
    def landmark_digest(self) -> str:
        """SHA-256 of the landmarks."""
        return self._photos.landmark_digest


def _alexnet(data: DataSettings, labels: Literal["single", "multi"], landmarks: tuple[str, ...]) -> Task:
    job = Job(
        data=data,
        performer=PerformerSettings(name="alexnet_bvlc", head="train", weights=WEIGHTS),
        fit=FitSettings(labels=labels),
        diagnose=DiagnoseSettings(landmarks=landmarks),
    )
    return Task(job)


def _voc(*categories: str) -> Task:
    data = DataSettings(kind="coco", folder="voc_part", categories=categories, negatives="negatives", mirror=True)
    return _alexnet(data, "single" if len(categories) == 1 else "multi", ("head", "neck", "torso"))


TASKS: dict[str, Task] = {
    "creatures": Task(Job(), needs_root=False),
    "birds": _alexnet(
        DataSettings(kind="cub200", folder="CUB_200_2011", single_category="bird", negatives="negatives", mirror=True),
        "single",
        ("back", "forehead", "tail"),
    ),
    "cat": _voc("cat"),
    "horse": _voc("horse"),
    "pets": _voc("cat", "dog", "horse"),
    "resnet50": Task(
        Job(
            data=DataSettings(kind="coco", folder="voc_part", categories=("cat", "dog", "horse")),
            performer=PerformerSettings(weights="nets/resnet50_voc"),
            diagnose=DiagnoseSettings(landmarks=("head", "neck", "torso")),
        )
    ),
    "squeezenet": Task(
        Job(
            data=DataSettings(kind="coco", folder="voc_part", categories=("cat", "dog", "horse")),
            performer=PerformerSettings(
                name="squeezenet1_0",
                weights="weights/squeezenet1_0.safetensors",
                class_names="weights/imagenet_classes.txt",
            ),
            fit=FitSettings(labels="none"),
            diagnose=DiagnoseSettings(landmarks=("head", "neck", "torso")),
        )
    ),
}


def located(task: Task, root: Path | None, resnet: Path | None = None) -> Job:
    """The task's job with its files found below `root`."""
    job = task.job
    if not task.needs_root:
        return job
    assert root is not None, "give --root"
    weights = str(resnet) if job.performer.weights == "nets/resnet50_voc" else str(root / str(job.performer.weights))
    performer = replace(job.performer, weights=weights)
    if performer.class_names:
        performer = replace(performer, class_names=str(root / performer.class_names))
    return replace(job, data=replace(job.data, root=str(root)), performer=performer, cache=CacheSettings())


def split(job: Job, size: int, stage: Stage) -> tuple[PhotoSet, PhotoSet]:
    """Images to learn on and to measure on; validation takes both from the training images.

    Creatures are drawn anew for validation, from another seed; of photographs a quarter is held out by the
    name of their source.
    """
    if stage == "test":
        return load_photos(job.data, size, "train"), load_photos(job.data, size, "test")
    if job.data.kind == "creatures":
        data = replace(job.data, seed=5)
        return load_photos(data, size, "train"), load_photos(data, size, "test")
    photos = load_photos(replace(job.data, mirror=False), size, "train")
    held = [held_out(_source(name), VALIDATION_SHARE) for name in photos.names()]
    learn = Some(photos, [i for i, h in enumerate(held) if not h])
    measure = Some(photos, [i for i, h in enumerate(held) if h and "(moved" not in photos.names()[i]])
    return (MirroredPhotos(learn) if job.data.mirror else learn), measure


def _source(name: str) -> str:
    """What is held out as one: crops of one photograph stand next to each other and are numbered on."""
    folder, _, file = name.partition(" (moved")[0].rpartition("/")
    stem = file.partition(".")[0]
    return f"{folder}/{int(stem) // 8}" if stem.isdigit() else name
