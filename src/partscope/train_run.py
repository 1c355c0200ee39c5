"""Training a performer in a folder that `fit` takes: resumes what is there, keeps the best epoch, tests it once."""

import json
import platform
import shutil
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from partscope.data import PhotoSet, batches, left_out, open_photos
from partscope.data.photos import MirroredPhotos
from partscope.diagnosis.number import proportion
from partscope.errors import RunError
from partscope.files import append_line, read_json, write_json, write_whole
from partscope.folder import Clock, chosen_device, cut_log, keep_settings, peak_memory, read_settings
from partscope.performers import (
    Front,
    NetworkLearner,
    Trained,
    Trainee,
    TrainStep,
    load_performer,
    prepare_trainee,
    read_trained,
    write_trained,
)
from partscope.performers.catalogue import row_of
from partscope.performers.trained import DESCRIPTION, WEIGHTS, file_digest
from partscope.settings import DataSettings, PerformerSettings, made_from_dict
from partscope.train_settings import TrainJob, resolve_training
from partscope.training import (
    Answers,
    FeatureSource,
    FeatureStore,
    answers_of,
    beginning,
    chance_errors,
    compute_features,
    errors_of,
    make_learner,
    split_images,
    training_mean,
)
from partscope.training.answers import Count
from partscope.version import __version__

BATCH = 64
STATE = "training.safetensors"


class TrainEvent(NamedTuple):
    """Progress of training a performer: a stage and how much of it is done; learning adds its step's record."""

    stage: str
    done: int
    total: int
    record: TrainStep | None = None


class _Images(NamedTuple):
    """The images of a job, and what is asked about them."""

    train: PhotoSet
    test: PhotoSet
    category: Tensor
    test_category: Tensor
    answers: Answers


def read_train_job(folder: Path) -> TrainJob:
    """The settings of a folder made by `partscope train-performer`.

    Raises:
        RunError: it has none, they cannot be read, or they are of another kind of run.
        SettingsError: one of them is unknown, of the wrong type or out of its range.
    """
    content = read_settings(folder, "train-performer")
    if isinstance(content, dict) and "explainer" in content:
        raise RunError(
            f"opening the run '{folder}'",
            "a run of `partscope fit`",
            "give another --out for the trained performer",
        )
    return resolve_training(made_from_dict(content, TrainJob, "train-performer"))


def train_performer(
    job: TrainJob, out: Path | str, *, photos: tuple[PhotoSet, PhotoSet] | None = None
) -> Generator[TrainEvent, None, Path]:
    """Trains a network of the catalogue in a folder that `fit` and `load_performer` take; resumes what is there.

    Stop it by leaving the loop and closing the generator (which happens by itself when nothing refers to it): the
    state is saved, and the same call goes on from there. The test images are looked at once, after the end.

    Args:
        job: every setting.
        out: the folder; made if needed.
        photos: your own (training, test) images; None loads those that the settings name.

    Yields:
        An event for each batch or step.

    Returns:
        The folder, through ``return`` of the generator; its ``run.json`` tells the errors.

    Raises:
        PartscopeError: any of its children, see their texts; the folder keeps the last good state.
    """
    folder, job, clock = Path(out), resolve_training(job), Clock()
    device = chosen_device(job.train.device, "train.device")
    keep_settings(job, folder, read_train_job)
    yield TrainEvent("loading", 0, 1)
    images = yield from _open(job, photos)
    split = split_images(images.train, job.train.validation_share, job.train.seed)
    mean = None
    if job.train.normalise == "training_mean":
        mean = yield from _mean(images.train)
    trainee = prepare_trainee(job.performer, images.answers.outputs, beginning(job.train), mean).to(device)
    run = _provenance(job, device, trainee, images, len(split.held))
    _check_run(folder, run)
    clock.lap("loading")
    if not (folder / DESCRIPTION).is_file():
        photos_shown = MirroredPhotos(images.train) if job.train.mirror else images.train
        shown: PhotoSet | FeatureStore = photos_shown
        if trainee.front is not None:
            shown = yield from _features(job, folder, trainee.front, photos_shown)
            clock.lap("features")
        learner = make_learner(trainee, shown, images.category, images.answers, split, job.train)
        yield from _learn(job, folder, learner)
        clock.lap("learning")
        found = {"best_epoch": learner.best_epoch, "validation": _best_record(folder, learner.best_epoch)}
        write_json(folder / "run.json", {**run, **found, "seconds": clock.laps})
        _keep(folder, trainee, learner, images.answers)
    shutil.rmtree(folder / "features", ignore_errors=True)  # of no use after the end, and large
    yield from _test(folder, images, device, clock)
    return folder


def _open(job: TrainJob, photos: tuple[PhotoSet, PhotoSet] | None) -> Generator[TrainEvent, None, _Images]:
    if photos is None:
        settings, row = row_of(job.performer)
        size, data = settings.input_size or row.input_size, job.data
        if job.train.mirror:  # the mirror images then are drawn while learning, not listed
            data = replace(data, mirror=False)
        photos = (yield from _opened(data, size, "train")), (yield from _opened(data, size, "test"))
    category, tested = (torch.tensor([p.category_of(i) for i in range(len(p))]) for p in photos)
    answers = answers_of(job.train.labels, job.train.loss, photos[0].categories, category, tested)
    return _Images(*photos, category, tested, answers)


def _opened(data: DataSettings, size: int, split: Literal["train", "test"]) -> Generator[TrainEvent, None, PhotoSet]:
    steps = open_photos(data, size, split)
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            photos: PhotoSet = end.value
            return photos
        yield TrainEvent(f"looking at the {split} images", done, total)


def _mean(photos: PhotoSet) -> Generator[TrainEvent, None, tuple[float, float, float]]:
    for found in training_mean(photos):
        if isinstance(found, tuple):
            return found
        yield TrainEvent("mean of the images", found, len(photos))
    raise AssertionError("training_mean ends with the mean")


def _provenance(job: TrainJob, device: str, trainee: Trainee, images: _Images, held: int) -> dict[str, Any]:
    categories = images.answers.categories
    return {
        "partscope": __version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device,
        "threads": torch.get_num_threads(),
        "seed": job.train.seed,
        "digests": {"weights": trainee.digest, "train": images.train.digest(), "test": images.test.digest()},
        "left_out": left_out((*images.train.left_out, *images.test.left_out)),
        "categories": list(categories),
        "category_images": [int((images.category == c).sum()) for c in range(len(categories))],
        "negatives": int((images.category < 0).sum()),
        "images": {"train": len(images.train) - held, "validation": held, "test": len(images.test)},
        "learning_weights": sum(w.numel() for w in trainee.part.parameters()),
    }


def _check_run(folder: Path, run: dict[str, Any]) -> None:
    """Writes ``run.json`` into a new folder; in one that has it, checks weights and images."""
    file, doing = folder / "run.json", f"resuming the run '{folder}'"
    if not file.exists():
        if (folder / STATE).exists():
            raise RunError(
                doing,
                "it has no run.json, so nothing says which weights and images it learned from",
                f"restore run.json, or delete {STATE} to learn from the start",
            )
        write_json(file, {**run, "seconds": {}})
        return
    before = read_json(file, doing).get("digests")
    if not isinstance(before, dict) or before.keys() != run["digests"].keys():
        raise RunError(doing, f"'{file}' is damaged", "restore the file or train again in another folder")
    for name, digest in run["digests"].items():
        if before[name] != digest:
            what = "the weights to start from" if name == "weights" else f"the {name} images"
            raise RunError(
                doing,
                f"{what} are not those that it began with (digest {digest[:12]}, then {str(before[name])[:12]})",
                "point --data.root and --performer.weights to the same files, or train in another folder",
            )


def _features(job: TrainJob, folder: Path, front: Front, photos: PhotoSet) -> Generator[TrainEvent, None, FeatureStore]:
    def images(start: int) -> Iterator[Tensor]:
        return (shots for shots, _ in batches(photos, BATCH, indices=range(start, len(photos))))

    where = folder / "features" if job.cache.mode == "on" else None
    source = FeatureSource(photos.digest(), len(photos), images)
    whole_batches = -(-job.cache.shard_rows // BATCH) * BATCH
    for event in compute_features(front, source, where, whole_batches):
        if isinstance(event, FeatureStore):
            return event
        yield TrainEvent("features", event, len(photos))
    raise AssertionError("compute_features ends with a store")


def _learn(job: TrainJob, folder: Path, learner: NetworkLearner) -> Iterator[TrainEvent]:
    state_file, log_file = folder / STATE, folder / "log.jsonl"
    if state_file.exists():
        try:
            learner.restore(load_file(state_file))
        except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
            raise RunError(
                f"resuming from '{state_file}'",
                f"{type(error).__name__}: {str(error).splitlines()[-1].strip()}",
                "delete the file to learn from the start, or restore it",
            ) from error
    cut_log(log_file, learner.step)
    every = job.train.save_every or learner.steps_per_epoch

    def save() -> None:
        write_whole(state_file, lambda temporary: save_file(learner.state(), temporary))

    try:
        for record in learner:
            append_line(log_file, json.dumps(record._asdict()))
            if record.step % every == 0 or record.step == learner.steps:
                save()
            yield TrainEvent("learning", record.step, record.steps, record)
    except GeneratorExit:
        save()
        raise


def _best_record(folder: Path, epoch: int) -> dict[str, float | None]:
    """What the log says of the validation images after an epoch."""
    for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["epoch"] == epoch and record["validation_loss"] is not None:
            return {"loss": record["validation_loss"], "error": record["validation_error"]}
    return {"loss": None, "error": None}


def _keep(folder: Path, trainee: Trainee, learner: NetworkLearner, answers: Answers) -> None:
    state = trainee.whole_state(learner.best)
    write_whole(folder / WEIGHTS, lambda temporary: save_file(state, temporary))
    row = trainee.row
    described = Trained(
        trainee.name, answers.outputs, trainee.widths(), answers.names, trainee.input_size, row.mean, row.std,
        file_digest(folder / WEIGHTS),
    )  # fmt: skip
    write_trained(folder, described)


def _test(folder: Path, images: _Images, device: str, clock: Clock) -> Iterator[TrainEvent]:
    """Measures the best epoch on the test images, once."""
    run = read_json(folder / "run.json", f"testing '{folder}'")
    read_trained(folder)
    if "test" in run:
        return
    performer = load_performer(PerformerSettings(weights=str(folder))).to(device)
    scores = []
    for shots, rows in batches(images.test, BATCH):
        scores.append(performer.scores(shots).cpu())
        yield TrainEvent("testing", rows[-1] + 1, len(images.test))
    answers, category = images.answers, images.test_category
    found = {name: _number(c) for name, c in errors_of(answers, torch.cat(scores), category).items()}
    chance = {name: _number(c) for name, c in chance_errors(answers, category).items()}
    clock.lap("testing")
    seconds = {**run["seconds"], **clock.laps}
    write_json(
        folder / "run.json",
        {**run, "test": found, "chance": chance, "seconds": seconds, "peak_memory_gib": peak_memory()},
    )


def _number(count: Count) -> dict[str, Any]:
    """A share with its Wilson interval; the outputs of one image count as one case, since they are not independent."""
    return proportion(count.wrong, count.cases).as_json()
