"""Stopped anywhere and called again, a run ends as if it had never been stopped; what does not fit is refused."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from partscope import CacheSettings, DataSettings, DivergedError, PerformerSettings, RunError
from partscope import files as files_module
from partscope.run import Event
from partscope.training import fit as fit_module
from run_folder.runs import JOB, STEPS, check_same, go, leave, log_of, measure_again, refused
from training.small_job import small_job


@pytest.mark.parametrize(
    ("stage", "done"),
    [
        ("loading", 0),
        ("features of the train images", 64),
        ("learning", 1),
        ("learning", 5),
        ("learning", 13),
        ("learning", STEPS),
        ("features of the test images", 0),
        ("diagnosing", 30),
    ],
)
def test_left_at_any_event_it_goes_on_to_the_same_end(stage: str, done: int, whole: Path, tmp_path: Path) -> None:
    leave(tmp_path, lambda event: (event.stage, event.done) == (stage, done))
    events = go(tmp_path)
    learned = [event.done for event in events if event.stage == "learning"]
    before = done if stage == "learning" else STEPS if stage.startswith(("features of the test", "diag")) else 0
    assert learned == list(range(before + 1, STEPS + 1))
    check_same(tmp_path, whole)


def test_left_again_and_again(whole: Path, tmp_path: Path) -> None:
    for step in (2, 3, 11):
        leave(tmp_path, lambda event, step=step: event.stage == "learning" and event.done == step)  # type: ignore[misc]
    go(tmp_path)
    check_same(tmp_path, whole)


def test_what_was_logged_after_the_last_state_is_logged_once(whole: Path, tmp_path: Path) -> None:
    def fails(event: Event) -> bool:
        if event.stage == "learning" and event.done == 8:
            raise OSError("the machine stopped")
        return False

    with pytest.raises(OSError, match="the machine stopped"):
        leave(tmp_path, fails)
    log = tmp_path / "log.jsonl"
    assert [record["step"] for record in log_of(tmp_path)] == list(range(1, 9))
    state = tmp_path / "training.safetensors"
    state.write_bytes(_earlier_state(tmp_path / "earlier"))  # as after a power cut: saved at 5, logged to 8
    log.write_text(log.read_text() + '{"step": 9, "epo')
    events = go(tmp_path)
    assert next(event.done for event in events if event.stage == "learning") == 6
    check_same(tmp_path, whole)


def _earlier_state(folder: Path) -> bytes:
    leave(folder, lambda event: event.stage == "learning" and event.done == 5)
    return (folder / "training.safetensors").read_bytes()


def test_a_loss_that_is_not_finite_names_its_step_and_keeps_the_last_state(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = fit_module.reconstruction_loss, []

    def breaking(*given: Any) -> Any:
        calls.append(1)
        return real(*given) * (torch.nan if len(calls) == 13 else 1)

    monkeypatch.setattr(fit_module, "reconstruction_loss", breaking)
    with pytest.raises(DivergedError) as caught:
        go(tmp_path)
    assert caught.value.doing == "taking step 13 of 18 (epoch 2)"
    assert caught.value.got.startswith("a loss of nan with a gradient norm of ")
    assert "this one keeps its last good state" in caught.value.todo
    assert int(load_file(tmp_path / "training.safetensors")["step"]) == 10
    assert not (tmp_path / "explainer.safetensors").exists()
    monkeypatch.undo()
    assert [e.done for e in go(tmp_path) if e.stage == "learning"] == list(range(11, STEPS + 1))
    check_same(tmp_path, whole)


def test_a_disk_that_fills_up_again_and_again_loses_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, wanted, left = os.fsync, set(), [0]

    def filling(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(files_module.os, "fsync", filling)
    for room in range(1, 30, 2):
        left[0] = room
        try:
            go(tmp_path)
            break
        except RunError as error:
            wanted.add(error.doing)
            assert error.got == "[Errno 28] No space left on device"
            assert error.todo == (
                "free some space or make the folder writable, then run the same command again: it resumes"
            )
            assert not list(tmp_path.rglob("*.tmp"))
    assert len(wanted) >= 4 and all(doing.startswith(f"writing '{tmp_path}") for doing in wanted)
    check_same(tmp_path, whole)


def test_a_disk_that_fills_up_in_the_log_loses_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Path.open, []

    def filling(self: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if self.name == "log.jsonl" and mode == "a":
            calls.append(1)
            if len(calls) == 7:
                with real(self, mode, *rest, **named) as file:
                    file.write('{"step": 7, ')
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, mode, *rest, **named)

    monkeypatch.setattr(Path, "open", filling)
    with pytest.raises(RunError, match=r"writing '.*log.jsonl'\n  got: .*No space left on device"):
        go(tmp_path)
    go(tmp_path)
    check_same(tmp_path, whole)


def test_other_settings_are_refused_and_named(whole: Path, copied: Callable[..., Path]) -> None:
    folder = copied()
    before = (folder / "config.yaml").read_bytes()
    changed = replace(small_job(epochs=3, save_every=5, eta=0.5), diagnose=replace(JOB.diagnose, top_images=9))
    assert refused(lambda: go(folder, changed)) == (
        f"resuming the run '{folder}'",
        "other settings: fit.epochs is 2 there and 3 here; fit.eta is 0.25 there and 0.5 here; "
        "diagnose.top_images is 10 there and 9 here",
        "give the same settings to resume, or another --out for a new run",
    )
    changed = replace(changed, explainer=replace(changed.explainer, masks=False))
    assert refused(lambda: go(folder, changed))[1].endswith(" ...")
    assert (folder / "config.yaml").read_bytes() == before
    check_same(folder, whole)


def test_where_files_lie_and_how_features_are_kept_may_change(whole: Path, copied: Callable[..., Path]) -> None:
    folder = copied("explainer.safetensors")
    moved = replace(
        JOB,
        data=DataSettings(root="elsewhere"),
        performer=PerformerSettings(weights="elsewhere.pth"),
        cache=CacheSettings(mode="off", shard_rows=8),
    )
    go(folder, moved)
    assert (folder / "explainer.safetensors").read_bytes() == (whole / "explainer.safetensors").read_bytes()


def test_settings_may_change_until_learning_has_begun(tmp_path: Path) -> None:
    leave(tmp_path, lambda event: event.stage.startswith("features"))
    go(tmp_path, small_job(epochs=1))
    assert len(log_of(tmp_path)) == 9


def damaged_state(folder: Path, how: str) -> None:
    file = folder / "training.safetensors"
    state = load_file(file)
    if how == "truncated":
        file.write_bytes(file.read_bytes()[:-9])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "foreign":
        save_file({"weight": torch.ones(3)}, file)
    elif how == "of another shape":
        save_file({**state, "explainer.interpretable.conv_interp_1.bias": torch.ones(5)}, file)
    elif how == "without its step":
        save_file({k: v for k, v in state.items() if k != "step"}, file)
    elif how == "with another shape of the optimiser's":
        save_file({**state, "optimiser.3.exp_avg": torch.ones(1)}, file)
    elif how == "not finite":
        save_file({**state, "explainer.w_p": torch.tensor(torch.nan)}, file)
    else:
        save_file({**state, "step": torch.tensor(999)}, file)


@pytest.mark.parametrize(
    "how",
    [
        "truncated",
        "empty",
        "foreign",
        "of another shape",
        "without its step",
        "with another shape of the optimiser's",
        "not finite",
        "beyond the end",
    ],
)
def test_a_damaged_state_is_refused_and_deleting_it_starts_again(
    how: str, whole: Path, copied: Callable[..., Path]
) -> None:
    folder = copied("explainer.safetensors")
    damaged_state(folder, how)
    doing, got, todo = refused(lambda: go(folder))
    assert doing == f"resuming from '{folder / 'training.safetensors'}'" and got
    assert todo == "delete the file to learn from the start, or restore it"
    if how == "truncated":
        (folder / "training.safetensors").unlink()
        assert [e.done for e in go(folder) if e.stage == "learning"] == list(range(1, STEPS + 1))
        check_same(folder, whole)


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (None, "there is none"),
        (b"no tensors", "Error while deserializing header: "),
        ({"weight": torch.ones(2)}, 'Unexpected key(s) in state_dict: "weight".'),
        ("not finite", "it holds values that are not finite"),
    ],
    ids=["missing", "no safetensors", "foreign", "not finite"],
)
def test_a_missing_or_damaged_explainer_is_refused_and_fitting_again_mends_it(
    content: Any, got: str, whole: Path, copied: Callable[..., Path]
) -> None:
    folder = copied()
    file = folder / "explainer.safetensors"
    tensors = load_file(file)
    file.unlink()
    if content == "not finite":
        save_file({**tensors, "w_p": torch.tensor(torch.nan)}, file)
    elif isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        save_file(content, file)
    doing, found, todo = refused(lambda: measure_again(folder))
    assert doing == f"loading the explainer from '{file}'" and found.startswith(got)
    assert todo.startswith(("run `partscope fit` on this folder to its end first", "fit again: the file is damaged"))
    go(folder)
    check_same(folder, whole)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (None, "there is no '{file}'"),
        ("{", "'{file}' cannot be read: "),
        ("[]", "'{file}' holds no JSON object"),
        ("{}", "'{file}' is damaged"),
    ],
)
def test_a_missing_or_damaged_run_json_is_refused(text: str | None, got: str, copied: Callable[..., Path]) -> None:
    folder = copied()
    file = folder / "run.json"
    file.unlink()
    if text is not None:
        file.write_text(text)
    doing, found, _ = refused(lambda: measure_again(folder))
    assert doing == f"diagnosing the run '{folder}'" and found.startswith(got.format(file=file))
    doing, found, todo = refused(lambda: go(folder))
    assert doing == f"resuming the run '{folder}'"
    if text is None:
        assert found == "it has no run.json, so nothing says which weights and images it learned from"
        assert todo == "restore run.json, or delete training.safetensors to learn from the start"
    else:
        assert found.startswith(got.format(file=file))


@pytest.mark.parametrize("key", ["digests", "categories", "category_images", "train_images", "seconds", "partscope"])
def test_a_run_json_without_one_of_its_facts_is_damaged(key: str, copied: Callable[..., Path]) -> None:
    folder = copied()
    file = folder / "run.json"
    run = json.loads(file.read_text())
    del run[key]
    file.write_text(json.dumps(run))
    assert refused(lambda: measure_again(folder))[1] == f"'{file}' is damaged"


def test_a_missing_or_damaged_config_is_refused(copied: Callable[..., Path]) -> None:
    folder = copied()
    file = folder / "config.yaml"
    text = file.read_text()
    for damaged, got in (
        ("fit: [", "config.yaml cannot be read: "),
        ("- 1", "list"),
        (text.replace("\n  epochs:", "\n  epoch:"), "there is no setting 'fit.epoch'"),
        (text.replace("\n  epochs: 2", "\n  epochs: two"), "fit.epochs = 'two'"),
        (text.replace("\n  epochs: 2", "\n  epochs: 0"), "fit.epochs = 0"),
    ):
        file.write_text(damaged)
        assert refused(lambda: measure_again(folder))[1].startswith(got)
        assert refused(lambda: go(folder))[1].startswith(got)
    file.unlink()
    for act in (measure_again, lambda where: go(where, small_job(epochs=9))):
        doing, got, todo = refused(lambda act=act: act(folder))  # type: ignore[misc]
        assert (doing, got) == (f"opening the run '{folder}'", "it has no config.yaml")
        assert todo == "restore it, or give a folder made by `partscope fit --out`"
    assert not file.exists()


def test_a_folder_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    doing, _, todo = refused(lambda: go(tmp_path / "file"))
    assert doing == f"writing '{tmp_path / 'file' / 'config.yaml'}'" and "make the folder writable" in todo
    assert refused(lambda: measure_again(tmp_path / "nowhere"))[1] == "it has no config.yaml"
