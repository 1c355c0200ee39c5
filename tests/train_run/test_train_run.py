"""Training in a folder: resumes to the same bits, keeps the best epoch, tests once, is accepted by `fit`, refuses."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from partscope import (
    CacheSettings,
    DataSettings,
    DiagnoseSettings,
    FitSettings,
    Job,
    PartscopeError,
    PerformerSettings,
    PhotoSet,
    Sample,
    TrainEvent,
    TrainJob,
    TrainSettings,
    fit,
    load_performer,
    load_photos,
    train_performer,
)
from partscope.performers import read_trained, write_trained
from partscope.performers.catalogue import CATALOGUE
from partscope.training import read_class_names

DATA = DataSettings(train_images=60, test_images=30, categories=("fox", "fish"))
JOB = TrainJob(
    data=DATA,
    performer=PerformerSettings(head_width=24),
    train=TrainSettings(epochs=3, batch_size=16, learning_rate=3e-3, device="cpu", save_every=2),
)
STEPS = 9  # 48 of 60 images train, in three batches
FULL = replace(JOB, train=replace(JOB.train, scope="full", epochs=2))


def changed(**train: Any) -> TrainJob:
    return replace(JOB, train=replace(JOB.train, **train))


def go(folder: Path, job: TrainJob = JOB, photos: Any = None) -> list[TrainEvent]:
    return list(train_performer(job, folder, photos=photos))


def leave(folder: Path, when: Callable[[TrainEvent], bool], job: TrainJob = JOB) -> None:
    walk = train_performer(job, folder)
    for event in walk:
        if when(event):
            walk.close()
            return
    raise AssertionError("it was never left")


def run_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return {k: v for k, v in content.items() if k not in ("seconds", "peak_memory_gib")}


def log_of(folder: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in record.items() if k != "images_per_second"} for record in records]


def check_same(one: Path, other: Path) -> None:
    for name in ("performer.safetensors", "training.safetensors", "performer.json", "config.yaml"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert run_of(one) == run_of(other) and log_of(one) == log_of(other)
    assert {p.name for p in one.iterdir()} == {p.name for p in other.iterdir()}


def refused(act: Callable[[], Any]) -> tuple[str, str, str]:
    with pytest.raises(PartscopeError) as caught:
        act()
    assert len(str(caught.value).splitlines()) == 3
    return caught.value.doing, caught.value.got, caught.value.todo


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "net"
    go(folder)
    return folder


@pytest.fixture(scope="module")
def whole_full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full") / "net"
    go(folder, FULL)
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Callable[..., Path]:
    def copy(*without: str) -> Path:
        return Path(shutil.copytree(whole, tmp_path / "net", ignore=shutil.ignore_patterns(*without)))

    return copy


@pytest.mark.parametrize(
    ("stage", "done"),
    [("loading", 0), ("features", 64), ("learning", 1), ("learning", 3), ("learning", 5), ("learning", STEPS),
     ("testing", 30)],
)  # fmt: skip
def test_left_at_any_event_it_goes_on_to_the_same_end(stage: str, done: int, whole: Path, tmp_path: Path) -> None:
    leave(tmp_path, lambda event: (event.stage, event.done) == (stage, done))
    events = go(tmp_path)
    learned = [event.done for event in events if event.stage == "learning"]
    before = done if stage == "learning" else STEPS if stage == "testing" else 0
    assert learned == list(range(before + 1, STEPS + 1))
    check_same(tmp_path, whole)


@pytest.mark.parametrize("done", [2, 3, 5])
def test_the_same_where_every_layer_learns(done: int, whole_full: Path, tmp_path: Path) -> None:
    leave(tmp_path, lambda event: (event.stage, event.done) == ("learning", done), FULL)
    go(tmp_path, FULL)
    check_same(tmp_path, whole_full)


def test_killed_it_goes_on_from_the_last_saved_state(whole: Path, tmp_path: Path) -> None:
    walk = train_performer(JOB, tmp_path)
    for event in walk:
        if event.stage == "learning" and event.done == 5:
            break
    state = (tmp_path / "training.safetensors").read_bytes()  # saved after step 4
    walk.close()
    (tmp_path / "training.safetensors").write_bytes(state)
    assert [e.done for e in go(tmp_path) if e.stage == "learning"] == list(range(5, STEPS + 1))
    check_same(tmp_path, whole)


def test_frozen_layers_are_bit_identical_afterwards_and_the_others_are_not(whole: Path, whole_full: Path) -> None:
    before = load_performer(PerformerSettings()).module.state_dict()
    after, full = load_file(whole / "performer.safetensors"), load_file(whole_full / "performer.safetensors")
    frozen = [k for k in before if k.startswith("conv")]
    assert len(frozen) == 10
    assert all(torch.equal(before[k], after[k]) for k in frozen)
    assert not any(torch.equal(before[k], full[k]) for k in frozen)
    assert after["fc8.weight"].shape == (2, 24) and after["fc6.weight"].std() > 0


def test_the_best_epoch_is_that_of_the_least_validation_loss(whole: Path) -> None:
    held = {r["epoch"]: r for r in log_of(whole) if r["validation_loss"] is not None}
    assert list(held) == [1, 2, 3]
    best = min(held, key=lambda epoch: held[epoch]["validation_loss"])
    run = run_of(whole)
    assert run["best_epoch"] == best
    assert run["validation"] == {"loss": held[best]["validation_loss"], "error": held[best]["validation_error"]}
    assert run["images"] == {"train": 48, "validation": 12, "test": 30}


def test_the_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    job = changed(learning_rate=0.05, epochs=6, save_every=0)
    states = {}
    for event in train_performer(job, tmp_path):
        if event.record is not None and event.record.validation_loss is not None:
            states[event.record.epoch] = load_file(tmp_path / "training.safetensors")
    run = run_of(tmp_path)
    assert run["best_epoch"] < 6
    bias = load_file(tmp_path / "performer.safetensors")["fc7.bias"]
    same = [e for e, s in states.items() if any(k.startswith("module.") and torch.equal(v, bias) for k, v in s.items())]
    assert same == [run["best_epoch"]]


def test_it_learns(tmp_path: Path) -> None:
    job = replace(JOB, data=replace(DATA, train_images=150, test_images=80), train=replace(JOB.train, epochs=8))
    go(tmp_path, job)
    run, losses = run_of(tmp_path), [r["loss"] for r in log_of(tmp_path)]
    assert losses[-1] < 0.6 * losses[0]
    assert run["test"]["error"]["high"] < run["chance"]["error"]["value"]
    assert run["test"]["error"]["n"] == 80 and run["test"]["argmax_error"]["n"] == 64  # a fifth are negatives
    assert run["chance"]["error"]["value"] == pytest.approx(0.4)


class Guarded(PhotoSet):
    """Counts looks at its images."""

    def __init__(self, photos: PhotoSet) -> None:
        self.categories, self.landmark_names, self.input_size = photos.categories, photos.landmark_names, 96
        self._photos, self.looks = photos, 0

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, i: int) -> Sample:
        self.looks += 1
        return self._photos[i]

    def names(self) -> list[str]:
        return self._photos.names()

    def category_of(self, i: int) -> int:
        return self._photos.category_of(i)

    def file_digest(self, i: int) -> str:
        return self._photos.file_digest(i)

    @property
    def transform_digest(self) -> str:
        return self._photos.transform_digest


def test_test_images_are_looked_at_once_after_the_end(tmp_path: Path, whole: Path) -> None:
    photos = load_photos(DATA, 96, "train"), Guarded(load_photos(DATA, 96, "test"))
    for event in train_performer(JOB, tmp_path, photos=photos):
        if event.stage != "testing":
            assert photos[1].looks == 0
    assert photos[1].looks == 30
    events = go(tmp_path, photos=photos)
    assert [event.stage for event in events] == ["loading"] and photos[1].looks == 30
    assert run_of(tmp_path)["test"] == run_of(whole)["test"]


@pytest.mark.parametrize(
    ("train", "data", "outputs", "names"),
    [
        ({"labels": "single"}, {"categories": ("fox",)}, 1, ["not fox", "fox"]),
        ({"labels": "multi"}, {}, 2, ["fox", "fish"]),
        ({"loss": "softmax"}, {}, 3, ["fox", "fish", "none of them"]),
    ],
)
def test_outputs_by_labels_and_loss(
    train: dict[str, Any], data: dict[str, Any], outputs: int, names: list[str], tmp_path: Path
) -> None:
    job = replace(changed(epochs=1, mirror=False, **train), data=replace(DATA, **data))
    go(tmp_path / "net", job)
    settings = PerformerSettings(weights=str(tmp_path / "net"))
    assert load_performer(settings).outputs == outputs and read_class_names(settings) == names
    described = json.loads((tmp_path / "net" / "performer.json").read_text())
    assert described["class_names"] == names and described["widths"] == [24, 24, outputs]
    assert described["network"] == "creatures_net" and described["outputs"] == outputs


def test_the_training_images_own_mean(tmp_path: Path) -> None:
    go(tmp_path, changed(epochs=1, normalise="training_mean", mirror=False))
    photos = load_photos(DATA, 96, "train")
    mean = torch.stack([photos[i].image.double().mean((1, 2)) for i in range(60)]).mean(0)
    assert json.loads((tmp_path / "performer.json").read_text())["mean"] == pytest.approx(mean.tolist(), abs=1e-6)
    performer = load_performer(PerformerSettings(weights=str(tmp_path)))
    assert performer.mean == pytest.approx(tuple(mean.tolist()), abs=1e-6) and performer.std == (0.25, 0.25, 0.25)


def test_random_start_and_the_papers_preset(tmp_path: Path) -> None:
    job = replace(JOB, train=TrainSettings(preset="paper", scope="full", start="random", epochs=1, device="cpu"))
    go(tmp_path, replace(job, performer=PerformerSettings(head_width=16)))
    rates = [r["learning_rate"] for r in log_of(tmp_path)]
    assert rates == pytest.approx([2 * 1e-4] * 2)  # two outputs, 48 images in batches of 32
    before = CATALOGUE["creatures_net"].build(2).state_dict()
    assert not torch.equal(load_file(tmp_path / "performer.safetensors")["conv1.weight"], before["conv1.weight"])


FIT = Job(
    data=DATA,
    fit=FitSettings(epochs=1, batch_size=16, device="cpu"),
    diagnose=DiagnoseSettings(resamples=20, gallery_filters=2, gallery_images=2),
    cache=CacheSettings(mode="off"),
)


def test_fit_takes_the_folder_and_checks_it(whole: Path, tmp_path: Path) -> None:
    net = shutil.copytree(whole, tmp_path / "net")
    job = replace(FIT, performer=PerformerSettings(weights=str(net)))
    assert list(fit(job, tmp_path / "run"))
    found = json.loads((tmp_path / "run" / "diagnosis.json").read_text())
    assert found["performer"]["name"] == "creatures_net" and found["performer"]["outputs"] == 2
    argmax, own = run_of(whole)["test"]["argmax_error"], found["fidelity"]["performer"]["error"]
    assert (argmax["value"], argmax["n"]) == (own["value"], own["n"])
    digest = load_performer(job.performer).weights_digest
    assert found["provenance"]["weights_digest"] == digest
    go(tmp_path / "other", changed(seed=1, epochs=1))
    other = replace(job, performer=PerformerSettings(weights=str(tmp_path / "other")))
    assert "the performer's weights are not those of the fit" in refused(lambda: list(fit(other, tmp_path / "run")))[1]
    state = load_file(net / "performer.safetensors")
    state["fc8.bias"] += 1
    save_file(state, net / "performer.safetensors")
    assert refused(lambda: list(fit(job, tmp_path / "run2"))) == (
        f"opening the trained performer '{net}'",
        "'performer.safetensors' is not what was trained: its sha256 differs",
        "restore the folder, or train into another one",
    )


def test_fit_refuses_scores_of_other_categories_or_in_another_order(whole: Path, tmp_path: Path) -> None:
    turned = replace(
        FIT, data=replace(DATA, categories=("fish", "fox")), performer=PerformerSettings(weights=str(whole))
    )
    doing = "matching the performer's scores with the categories"
    assert refused(lambda: list(fit(turned, tmp_path / "run"))) == (
        doing,
        "scores of fox, fish, where the images need fish, fox",
        "give --data.categories [fox,fish], or say by --performer.class_names FILE what the scores are of",
    )
    assert not (tmp_path / "run" / "run.json").exists()
    others = replace(turned, data=replace(DATA, categories=("bird", "fish")))
    assert refused(lambda: list(fit(others, tmp_path / "run")))[1:] == (
        "scores of fox, fish, where the images need bird, fish",
        "give the categories that it was trained on, or say by --performer.class_names FILE what the scores are of",
    )
    (tmp_path / "names.txt").write_text("fish\nfox\n")
    told = replace(turned, performer=PerformerSettings(weights=str(whole), class_names=str(tmp_path / "names.txt")))
    assert list(fit(told, tmp_path / "run"))
    assert load_performer(PerformerSettings(weights=str(whole))).class_names == ("fox", "fish")


def test_names_without_labels_are_those_it_was_trained_with(whole: Path, tmp_path: Path) -> None:
    job = replace(
        FIT,
        performer=PerformerSettings(weights=str(whole)),
        fit=replace(FIT.fit, labels="none", min_category_images=1),
    )
    list(fit(job, tmp_path / "run"))
    assert set(json.loads((tmp_path / "run" / "run.json").read_text())["categories"]) <= {"fox", "fish", "other"}


def test_a_trained_performer_can_be_trained_on(whole: Path, tmp_path: Path) -> None:
    job = replace(changed(epochs=1), performer=PerformerSettings(weights=str(whole), head_width=12))
    go(tmp_path, job)
    first, second = (load_file(f / "performer.safetensors") for f in (whole, tmp_path))
    assert torch.equal(first["conv5.weight"], second["conv5.weight"]) and second["fc8.weight"].shape == (2, 12)


def told_widths(widths: str, scores: int, names: int) -> str:
    return (
        f"'performer.json' tells of layers of {widths} outputs, {scores} scores and {names} class names, "
        "where 'performer.safetensors' has layers of 24, 24, 2"
    )


def _rewrite(key: str, value: Any) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        content = json.loads((folder / "performer.json").read_text())
        content[key] = value
        (folder / "performer.json").write_text(json.dumps(content))

    return act


@pytest.mark.parametrize(
    ("act", "got", "todo"),
    [
        (
            lambda f: (f / "performer.json").unlink(),
            "'performer.json' is missing, though its training has ended",
            "restore the file, or run the same `partscope train-performer` command again, which writes it anew",
        ),
        (
            lambda f: [(f / f"performer.{kind}").unlink() for kind in ("json", "safetensors")],
            "its training has not ended",
            "run the same `partscope train-perf",
        ),
        (_rewrite("widths", [24, 24, 3]), told_widths("24, 24, 3", 2, 2), "restore the folder"),
        (_rewrite("outputs", 1), told_widths("24, 24, 2", 1, 2), "restore the folder"),
        (_rewrite("class_names", ["fox"]), told_widths("24, 24, 2", 2, 1), "restore the folder"),
        (lambda f: (f / "performer.safetensors").unlink(), "'performer.safetensors' is missing", "restore the folder"),
        (_rewrite("kind", "x"), "'performer.json' is damaged or of another version", "restore the folder"),
        (_rewrite("mean", [0.5]), "'performer.json' is damaged or of another version", "restore the folder"),
        (_rewrite("network", "os.system"), "no such network", "set performer.name to one of creatures_net"),
        (lambda f: [p.unlink() for p in f.iterdir()], "a folder without 'performer.json'", "give a folder made by"),
    ],
)
def test_a_folder_that_is_no_trained_performer(
    act: Callable[[Path], Any], got: str, todo: str, copied: Callable[..., Path]
) -> None:
    folder = copied()
    act(folder)
    found = refused(lambda: load_performer(PerformerSettings(weights=str(folder))))
    assert found[1] == got and found[2].startswith(todo)


def test_a_lost_description_is_written_anew(whole: Path, copied: Callable[..., Path]) -> None:
    folder = copied("performer.json")
    assert not [event for event in go(folder) if event.stage == "learning"]
    check_same(folder, whole)


def test_settings_that_contradict_the_folder(whole: Path) -> None:
    doing = f"opening the trained performer '{whole}'"
    assert refused(lambda: load_performer(PerformerSettings(name="vgg16", weights=str(whole)))) == (
        doing,
        "a network creatures_net, where performer.name is vgg16",
        "leave --performer.name away, or give creatures_net",
    )
    assert refused(lambda: load_performer(PerformerSettings(head="train", weights=str(whole)))) == (
        doing,
        "performer.head train, where the head has been trained already",
        "leave --performer.head away",
    )


class OneKind(Guarded):
    """No image without an object."""

    def __len__(self) -> int:
        return 10

    def names(self) -> list[str]:
        return self._photos.names()[:10]

    def category_of(self, i: int) -> int:
        return 0


def test_one_category_needs_negatives_and_single_one_category(tmp_path: Path) -> None:
    fox = load_photos(replace(DATA, categories=("fox",)), 96, "train")
    assert refused(lambda: go(tmp_path / "a", changed(labels="single"), (OneKind(fox), OneKind(fox)))) == (
        "training a classifier of one category",
        "no image that is not of 'fox'",
        "set --data.negatives FOLDER, or use several categories with --train.labels multi",
    )
    both = load_photos(replace(DATA, categories=("fox",)), 96, "test")
    assert refused(lambda: go(tmp_path / "d", changed(labels="single"), (both, OneKind(fox)))) == (
        "testing a classifier of one category",
        "no test image that is not of 'fox'",
        "put more images into data.negatives, whose second half tests, or take several categories",
    )
    assert refused(lambda: go(tmp_path / "b", changed(labels="single"))) == (
        "training one category against negatives",
        "2 categories: fox, fish",
        "choose one by --data.categories or --data.single_category, or set --train.labels multi",
    )
    few = changed(validation_share=0.01)
    assert refused(lambda: go(tmp_path / "c", few)) == (
        "splitting the training images",
        "60 that train and 0 that choose the epoch",
        "give more images, or another --train.validation_share (0 keeps the last epoch)",
    )


def test_other_settings_images_or_weights_on_resuming(whole: Path, copied: Callable[..., Path], tmp_path: Path) -> None:
    folder = copied()
    assert refused(lambda: go(folder, changed(epochs=5, dropout=0.1))) == (
        f"resuming the run '{folder}'",
        "other settings: train.epochs is 3 there and 5 here; train.dropout is 0.5 there and 0.1 here",
        "give the same settings to resume, or another --out for a new run",
    )
    photos = load_photos(replace(DATA, seed=4), 96, "train"), load_photos(DATA, 96, "test")
    _, got, todo = refused(lambda: go(folder, photos=photos))
    assert got.startswith("the train images are not those that it began with (digest ")
    assert todo == "point --data.root and --performer.weights to the same files, or train in another folder"
    state = {k: v.clone() for k, v in CATALOGUE["creatures_net"].build(5).state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    other = replace(JOB, performer=replace(JOB.performer, weights=str(tmp_path / "w.safetensors")))
    assert refused(lambda: go(folder, other))[1].startswith("the weights to start from are not those")
    (folder / "run.json").write_text("{}")
    assert refused(lambda: go(folder))[1] == f"'{folder / 'run.json'}' is damaged"
    (folder / "run.json").unlink()
    assert refused(lambda: go(folder)) == (
        f"resuming the run '{folder}'",
        "it has no run.json, so nothing says which weights and images it learned from",
        "restore run.json, or delete training.safetensors to learn from the start",
    )


def test_a_damaged_state_is_refused(copied: Callable[..., Path]) -> None:
    folder = copied("performer.json")
    (folder / "training.safetensors").write_bytes(b"none")
    doing, _, todo = refused(lambda: go(folder))
    assert doing == f"resuming from '{folder / 'training.safetensors'}'"
    assert todo == "delete the file to learn from the start, or restore it"


def test_a_run_of_fit_is_no_place_to_train_in(tmp_path: Path) -> None:
    next(fit(Job(), tmp_path))
    (tmp_path / "run.json").write_text("{}")
    assert refused(lambda: go(tmp_path)) == (
        f"opening the run '{tmp_path}'",
        "a run of `partscope fit`",
        "give another --out for the trained performer",
    )


def test_a_trained_performer_is_no_place_to_fit_in(whole: Path) -> None:
    assert refused(lambda: next(fit(FIT, whole))) == (
        f"opening the run '{whole}'",
        "a performer trained by `partscope train-performer`",
        f"give another --out for the run, and this folder as --performer.weights {whole}",
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"head": "train"}, "train"),
        ({"head_epochs": 3}, "3"),
        ({"tap": "conv4"}, "conv4"),
        ({"targets": ("fc6",)}, "('fc6',)"),
        ({"class_names": "names.txt"}, "names.txt"),
    ],
)
def test_settings_that_training_does_not_use_are_refused(given: dict[str, Any], shown: str, tmp_path: Path) -> None:
    (key,) = given
    job = replace(JOB, performer=replace(JOB.performer, **given))
    assert refused(lambda: go(tmp_path, job)) == (
        "checking the settings",
        f"performer.{key} = {shown}, which training does not use",
        f"leave --performer.{key} away; `partscope fit` takes it",
    )


def test_a_loss_that_is_not_finite_keeps_the_last_state(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from partscope.performers import learning

    real, calls = learning.loss_of, []

    def breaking(*given: Any) -> Any:
        calls.append(1)
        return real(*given) * (torch.nan if len(calls) == 6 else 1)  # 3 steps, a validation, 2 steps

    monkeypatch.setattr(learning, "loss_of", breaking)
    doing, got, todo = refused(lambda: go(tmp_path))
    assert doing == "taking step 5 of 9 (epoch 2)" and got.startswith("a loss of nan")
    assert todo.startswith("lower --train.learning_rate and train into another folder")
    assert int(load_file(tmp_path / "training.safetensors")["step"]) == 4
    monkeypatch.undo()
    go(tmp_path)
    check_same(tmp_path, whole)


@pytest.mark.parametrize(
    ("train", "got", "todo"),
    [
        ({"dropout": 1.0}, "train.dropout = 1.0", "give --train.dropout between 0 and 0.999999"),
        ({"validation_share": 0.6}, "train.validation_share = 0.6", "give --train.validation_share between 0 and 0.5"),
        (
            {"scope": "full", "from_layer": "conv4"},
            "train.from_layer = conv4 with train.scope = full, which trains every layer",
            "leave --train.from_layer away, or give --train.scope head",
        ),
        (
            {"loss": "softmax", "labels": "single"},
            "train.loss = softmax with train.labels = single, which has one output",
            "give --train.loss logistic, or --train.labels multi",
        ),
    ],
)
def test_settings_out_of_range(train: dict[str, Any], got: str, todo: str, tmp_path: Path) -> None:
    assert refused(lambda: go(tmp_path, changed(**train))) == ("checking the settings", got, todo)
    assert not any(tmp_path.iterdir())


def test_a_normalisation_of_whole_numbers_does_not_spoil_the_end(whole: Path, copied: Callable[..., Path]) -> None:
    """As `PerformerSettings(mean=(0, 0, 0))` gives it."""
    folder = copied()
    write_trained(folder, read_trained(folder)._replace(mean=(0, 0, 0), std=(1, 1, 1)))
    performer = load_performer(PerformerSettings(weights=str(folder)))
    assert performer.mean == (0.0, 0.0, 0.0) and performer.std == (1.0, 1.0, 1.0)


def test_one_image_a_step_is_refused_where_a_batch_normalisation_learns(tmp_path: Path) -> None:
    job = replace(
        changed(scope="full", start="random", batch_size=1, epochs=1),
        performer=PerformerSettings(name="resnet18", input_size=32),
    )
    assert refused(lambda: go(tmp_path / "a", job)) == (
        "training resnet18",
        "train.batch_size = 1 with 20 batch normalisations among the layers that learn",
        "give --train.batch_size 2 or more: one image has no spread to divide by",
    )
    go(tmp_path / "b", changed(batch_size=1, epochs=1))


def test_scores_on_one_side_are_refused_for_the_default_loss(tmp_path: Path) -> None:
    job = replace(
        changed(start="random", scope="full"), performer=PerformerSettings(name="squeezenet1_0", input_size=64)
    )
    doing, got, todo = refused(lambda: go(tmp_path, job))
    assert doing == "choosing the loss of squeezenet1_0" and "no score is ever below 0" in got
    assert todo == "give --train.loss softmax with --train.labels multi, or take another network"
