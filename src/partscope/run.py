"""A run folder: the unit of work. Fits, resumes, saves and loads; no pickles, whole files only."""

import json
import platform
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from partscope.data import PhotoSet, Progress, batches, left_out, load_photos, open_photos
from partscope.diagnosis import (
    Diagnosed,
    EmpiricalField,
    Subject,
    check_landmarks,
    diagnose_subject,
    field_facts,
    make_gallery,
    measure_shown,
    mimic,
)
from partscope.errors import RunError, SettingsError
from partscope.files import append_line, write_json, write_whole
from partscope.folder import (
    Clock,
    check_digests,
    check_run,
    chosen_device,
    cut_log,
    keep_settings,
    kept_frontier,
    kept_seeds,
    load_explainer,
    peak_memory,
    read_job,
    read_run,
    settled,
)
from partscope.live import check_live_view, live_records
from partscope.performers import Performer
from partscope.report import write_report
from partscope.settings import Job, resolve
from partscope.subject import OpenedRun, labels_of_test, labels_of_training, read_truth
from partscope.training import (
    FeatureSource,
    FeatureStore,
    Labels,
    StepRecord,
    check_score_names,
    chosen_by_network,
    compute_features,
    fresh_learner,
    measure_means,
    prepare_performer,
    read_class_names,
)
from partscope.version import __version__

BATCH = 64


class Event(NamedTuple):
    """Progress of a job: a stage and how much of it is done; training adds its step's record."""

    stage: str
    done: int
    total: int
    record: StepRecord | None = None


def fit(
    job: Job,
    out: Path | str,
    *,
    performer: Performer | None = None,
    photos: tuple[PhotoSet, PhotoSet] | None = None,
) -> Generator[Event, None, Path]:
    """Runs a whole job in a folder: features, explainer, diagnosis, report; resumes what is there.

    Stop it by leaving the loop and closing the generator (which happens by itself when nothing refers to it): the
    state is saved, and the same call goes on from there.

    Args:
        job: every setting.
        out: the run folder; made if needed.
        performer: your own network; None loads the one that the settings name.
        photos: your own (training, test) images; None loads those that the settings name.

    Yields:
        An event for each batch or step.

    Returns:
        The report's path, through ``return`` of the generator.

    Raises:
        PartscopeError: any of its children, see their texts; the folder keeps the last good state.
    """
    folder, job = Path(out), resolve(job)
    device, clock = _device(job), Clock()
    check_live_view(job.fit)
    keep_settings(job, folder, read_job)
    yield Event("loading", 0, 1)
    performer, train, test = yield from _open(job, folder, performer, photos)
    if len(train) == 0 or len(test) == 0:
        raise SettingsError(
            "splitting the images",
            f"{len(train)} training and {len(test)} test images",
            "give images to both splits, or set --data.test_share between 0 and 1",
        )
    check_landmarks(job.diagnose.landmarks, test.landmark_names)
    if job.fit.labels != "none" and job.performer.head == "own":
        names = read_class_names(job.performer)
        check_score_names(
            names or performer.class_names,
            performer.outputs,
            train.categories,
            certain=names is not None and job.performer.class_names is None,
        )
    performer = performer.to(device)
    known = {"weights": performer.weights_digest, "train": train.digest(), "test": test.digest()}
    clock.lap("loading")
    store = yield from _features(job, folder, performer, train, "train", known["train"])
    clock.lap("features")
    labels, record = labels_of_training(job, performer, train, store)
    run = {
        "partscope": __version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device,
        "threads": torch.get_num_threads(),
        "seed": job.fit.seed,
        "digests": known,
        "left_out": left_out((*train.left_out, *test.left_out)),
        "chosen": chosen_by_network(performer, store, job.explainer, job.fit),
        **record,
    }
    check_run(folder, run)
    yield from _learn(job, folder, performer, store, labels, train)
    clock.lap("fit")
    write_json(folder / "run.json", {**run, "seconds": clock.laps})
    yield from _diagnose(job, folder, performer, test, clock)
    return write_report(folder)


def diagnose(
    out: Path | str,
    *,
    job: Job | None = None,
    performer: Performer | None = None,
    photos: PhotoSet | None = None,
) -> Generator[Event, None, Path]:
    """Measures a fitted run again, here or on another machine; checks that nothing it rests on has changed.

    Args:
        out: the run folder.
        job: its settings with other paths; None takes them as they were.
        performer: the network, if the settings do not name it.
        photos: the test images, if the settings do not name them.

    Yields:
        An event for each batch.

    Returns:
        The path of ``diagnosis.json``, through ``return`` of the generator.

    Raises:
        RunError: the folder holds no finished fit, or weights or images differ from those of the fit.
    """
    folder = Path(out)
    job = job or read_job(folder)
    clock = Clock()
    performer, test = yield from _again(job, folder, performer, photos)
    clock.lap("loading")
    return (yield from _diagnose(job, folder, performer, test, clock))


def open_run(
    out: Path | str,
    *,
    job: Job | None = None,
    performer: Performer | None = None,
    photos: PhotoSet | None = None,
    landmarks: bool = True,
) -> Generator[Event, None, OpenedRun]:
    """Loads a fitted run with its network and test images; arguments and errors as for `diagnose`.

    Args:
        out: the run folder.
        job: its settings with other paths; None takes them as they were.
        performer: the network, if the settings do not name it.
        photos: the test images, if the settings do not name them.
        landmarks: False leaves out the landmarks, for which every image has to be decoded.

    Yields:
        An event for each batch.

    Returns:
        The run, through ``return`` of the generator.
    """
    folder = Path(out)
    job = job or read_job(folder)
    performer, test = yield from _again(job, folder, performer, photos)
    subject = yield from _subject(job, folder, performer, test, test.digest(), landmarks)
    return OpenedRun(job, subject, test)


def open_training(
    job: Job, folder: Path, performer: Performer, photos: PhotoSet | None = None
) -> Generator[Event, None, tuple[FeatureStore, Labels]]:
    """Features and labels that a run learned from; features that are gone from its cache are computed again.

    Raises:
        RunError: the training images are not those of the fit.
    """
    photos = photos if photos is not None else (yield from _opened(job, performer.input_size, "train"))
    check_digests(folder, read_run(folder, "opening"), {"train": photos.digest()})
    store = yield from _features(job, folder, performer.to(_device(job)), photos, "train", photos.digest())
    return store, labels_of_training(job, performer, photos, store)[0]


def _again(
    job: Job, folder: Path, performer: Performer | None, photos: PhotoSet | None
) -> Generator[Event, None, tuple[Performer, PhotoSet]]:
    yield Event("loading", 0, 1)
    if performer is None:
        performer = yield from _as_events(
            prepare_performer(job.performer, folder / "performer.safetensors", None, job.fit.seed)
        )
    return performer, photos if photos is not None else (yield from _opened(job, performer.input_size, "test"))


def _device(job: Job) -> str:
    return chosen_device(job.fit.device, "fit.device")


def _open(
    job: Job, folder: Path, performer: Performer | None, photos: tuple[PhotoSet, PhotoSet] | None
) -> Generator[Event, None, tuple[Performer, PhotoSet, PhotoSet]]:
    opened: dict[int, PhotoSet] = {}
    if performer is None:

        def training_photos(size: int) -> PhotoSet:
            opened[size] = photos[0] if photos else load_photos(job.data, size, "train")
            return opened[size]

        performer = yield from _as_events(
            prepare_performer(job.performer, folder / "performer.safetensors", training_photos, job.fit.seed)
        )
    if photos is None:
        size = performer.input_size
        train = opened[size] if size in opened else (yield from _opened(job, size, "train"))
        photos = train, (yield from _opened(job, size, "test"))
    return performer, *photos


def _opened(job: Job, size: int, split: Literal["train", "test"]) -> Generator[Event, None, PhotoSet]:
    steps: Generator[Progress, None, PhotoSet] = open_photos(job.data, size, split)
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            photos: PhotoSet = end.value
            return photos
        yield Event(f"looking at the {split} images", done, total)


def _as_events(
    steps: Generator[tuple[str, int, int], None, Performer],
) -> Generator[Event, None, Performer]:
    while True:
        try:
            yield Event(*next(steps))
        except StopIteration as end:
            performer: Performer = end.value
            return performer


def _features(
    job: Job, folder: Path, performer: Performer, photos: PhotoSet, split: str, digest: str
) -> Generator[Event, None, FeatureStore]:
    def images(start: int) -> Iterator[Tensor]:
        return (shots for shots, _ in batches(photos, BATCH, indices=range(start, len(photos))))

    where = folder / "features" / split if job.cache.mode == "on" else None
    source = FeatureSource(digest, len(photos), images)
    whole_batches = -(-job.cache.shard_rows // BATCH) * BATCH
    steps = compute_features(performer, source, where, whole_batches)
    store: FeatureStore = yield from told(f"features of the {split} images", steps, len(photos))
    return store


def _learn(
    job: Job, folder: Path, performer: Performer, store: FeatureStore, labels: Labels, photos: PhotoSet
) -> Iterator[Event]:
    state_file, log_file = folder / "training.safetensors", folder / "log.jsonl"
    learner, constants = fresh_learner(performer, store, labels, job.explainer, job.fit, _device(job))
    explainer = learner.explainer
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
    every = job.fit.save_every or learner.steps_per_epoch

    def save() -> None:
        write_whole(state_file, lambda temporary: save_file(learner.state(), temporary))

    try:
        for record in live_records(learner, folder, performer, photos, constants.gain):
            append_line(log_file, json.dumps(record._asdict()))
            if record.step % every == 0 or record.step == learner.steps:
                save()
            yield Event("learning", record.step, record.steps, record)
    except GeneratorExit:
        save()
        raise
    measure_means(explainer, store)
    weights = {k: v.cpu().contiguous().clone() for k, v in explainer.state_dict().items()}
    write_whole(folder / "explainer.safetensors", lambda temporary: save_file(weights, temporary))


def _subject(
    job: Job, folder: Path, performer: Performer, test: PhotoSet, digest: str, landmarks: bool = True
) -> Generator[Event, None, Subject]:
    run = read_run(folder, "diagnosing")
    check_digests(folder, run, {"weights": performer.weights_digest, "test": digest})
    performer = performer.to(_device(job))
    store = yield from _features(job, folder, performer, test, "test", digest)
    explainer = load_explainer(folder, performer, store.rows([0]).tap, job).to(_device(job))
    labels = labels_of_test(run, performer, test, store)
    reading = read_truth(test) if landmarks else iter([None])
    truth = yield from told("landmarks of the test images", reading, len(test))
    lost = run.get("left_out", left_out(()))
    return Subject(explainer, performer, store, *labels, truth, run["category_images"], run["train_images"], lost)


def _diagnose(
    job: Job, folder: Path, performer: Performer, test: PhotoSet, clock: Clock
) -> Generator[Event, None, Path]:
    digest = test.digest()
    subject = yield from _subject(job, folder, performer, test, digest)
    run = read_run(folder, "diagnosing")
    clock.lap("test features")
    found: Diagnosed = yield from told("diagnosing", diagnose_subject(subject, job.diagnose), len(test))
    followed: dict[str, Any] = yield from told("taking parts away", mimic(subject, found, test, job.diagnose))
    clock.lap("diagnose")
    fields: dict[int, EmpiricalField] = yield from told(
        "receptive fields", measure_shown(subject, found, lambda i: test[i].image, job.diagnose)
    )
    clock.lap("receptive fields")
    tensors, metadata = make_gallery(subject, found, fields, lambda i: test[i].image, test.names(), job.diagnose)
    write_whole(folder / "gallery.safetensors", lambda temporary: save_file(tensors, temporary, metadata))
    content = {
        **found.content,
        **followed,
        **field_facts(subject, found.content, fields),
        **kept_frontier(folder),
        **kept_seeds(folder, asdict(job.diagnose)),
        "settings": settled(job, run),
        "provenance": {
            "partscope": __version__,
            "torch": torch.__version__,
            "fitted_with": {"partscope": run["partscope"], "torch": run["torch"]},
            "weights_digest": run["digests"]["weights"],
            "data_digest": digest,
            "preset": job.fit.preset,
            "peak_memory_gib": peak_memory(),
            "seconds": {**run["seconds"], **{k: v for k, v in clock.laps.items() if k != "loading"}},
        },
    }
    file = folder / "diagnosis.json"
    write_json(file, content)
    return file


def told(stage: str, steps: Iterator[Any], total: int = 0) -> Generator[Event, None, Any]:
    """Yields an event for each number of images done, or pair of done and to do; returns what comes last."""
    for step in steps:
        if isinstance(step, int):
            yield Event(stage, step, total)
        elif type(step) is tuple:  # a result may be a named one
            yield Event(stage, *step)
        else:
            return step
    raise AssertionError(f"{stage} ends with what it found")
