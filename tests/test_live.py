"""The live view: TensorBoard reads back the log's own numbers, and switching it on changes no result."""

import json
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from partscope import live
from run_folder.runs import JOB, STEPS, check_same, go, leave, refused
from training.small_job import Squares, small_job, toy_learner, toy_performer

JOB_SHOWN = replace(JOB, fit=replace(JOB.fit, tensorboard=True))
TAGS = {"p": "p", "loss/total": "loss", "loss/reconstruction": "reconstruction", "filter_share": "filter_share",
        "images_per_second": "images_per_second"}  # fmt: skip
SIDE, LABEL, GAP = live.SIDE_PX, live.LABEL_PX, live.GAP_PX


def events_of(folder: Path) -> Any:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard")
    found = reader.EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    return found.Reload()


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def check_equal_to_the_log(folder: Path) -> None:
    events, log = events_of(folder), log_of(folder)
    steps = list(range(1, STEPS + 1))
    assert [record["step"] for record in log] == steps
    wanted = {tag: [record[key] for record in log] for tag, key in TAGS.items()}
    wanted["loss/minus_log_p"] = [record["loss"] - record["reconstruction"] for record in log]
    wanted |= {f"fvu/{name}": [record["fvu"][i] for record in log] for i, name in enumerate(("fc3", "fc4"))}
    assert set(events.Tags()["scalars"]) == set(wanted)
    for tag, values in wanted.items():
        assert [event.step for event in events.Scalars(tag)] == steps, tag
        assert [event.value for event in events.Scalars(tag)] == np.float32(values).tolist(), tag  # it keeps float32
    assert [event.step for event in events.Images("parts")] == [9, 18]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same job with and without the live view."""
    pytest.importorskip("tensorboard", reason="needs tensorboard (pip install 'partscope[tensorboard]')")
    shown, plain = tmp_path_factory.mktemp("live") / "shown", tmp_path_factory.mktemp("live") / "plain"
    go(shown, JOB_SHOWN)
    go(plain)
    return shown, plain


def test_tensorboard_shows_what_the_log_holds(runs: tuple[Path, Path]) -> None:
    check_equal_to_the_log(runs[0])


def test_nothing_else_changes(runs: tuple[Path, Path], tmp_path: Path) -> None:
    shown, plain = runs
    assert not (plain / "tensorboard").exists()
    content = json.loads((shown / "diagnosis.json").read_text())
    assert content["settings"]["fit"].pop("tensorboard") is True
    kept = (shown / "diagnosis.json").read_text()
    (shown / "diagnosis.json").write_text(kept.replace('"tensorboard": true', '"tensorboard": false'))
    try:
        check_same(shown, plain)
    finally:
        (shown / "diagnosis.json").write_text(kept)


def test_steps_that_are_taken_again_are_shown_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    leave(tmp_path / "other", lambda event: event.stage == "learning" and event.done == 5, JOB_SHOWN)
    leave(tmp_path / "run", lambda event: event.stage == "learning" and event.done == 12, JOB_SHOWN)
    state = "training.safetensors"
    (tmp_path / "run" / state).write_bytes((tmp_path / "other" / state).read_bytes())  # as after a power cut
    go(tmp_path / "run", JOB_SHOWN)
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 2
    check_equal_to_the_log(tmp_path / "run")
    go(tmp_path / "run", JOB_SHOWN)  # nothing is left to learn: no third file
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 2


def test_it_may_be_switched_on_in_a_run_that_began_without(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    leave(tmp_path, lambda event: event.stage == "learning" and event.done == 10)
    go(tmp_path, JOB_SHOWN)
    assert [event.step for event in events_of(tmp_path).Scalars("p")] == list(range(11, STEPS + 1))


def test_without_the_package_it_says_so_before_anything_is_made(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    doing, got, todo = refused(lambda: go(tmp_path / "run", JOB_SHOWN))
    assert doing == "preparing the live view (fit.tensorboard = true)"
    assert got.startswith("TensorBoard is not installed (")
    assert todo == ("pip install 'partscope[tensorboard]', or leave --fit.tensorboard away: log.jsonl has the numbers")
    assert not (tmp_path / "run").exists()


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    (tmp_path / "tensorboard").write_text("mine")
    doing, got, todo = refused(lambda: go(tmp_path, JOB_SHOWN))
    assert doing == f"starting the live view in '{tmp_path / 'tensorboard'}'"
    assert "exists" in got
    assert todo == "move what is there away, or leave --fit.tensorboard away"


def test_the_montage_in_the_event_file_is_a_picture(runs: tuple[Path, Path]) -> None:
    last = events_of(runs[0]).Images("parts")[-1]
    with Image.open(BytesIO(last.encoded_image_string)) as picture:
        assert picture.size == (LABEL + 6 * (SIDE + GAP), 8 * (SIDE + GAP) - GAP)


@pytest.fixture
def montage() -> tuple[Any, live.Watched]:
    """A learner whose filter 3 peaks where the tap's channel 0 does, and all others are silent."""
    performer, photos = toy_performer(), Squares(40)
    learner = toy_learner(performer=performer)
    gain = torch.zeros(12)
    gain[3], gain[5] = 2.0, 1.0
    track = learner.explainer.interpretable
    with torch.no_grad():
        for conv in (track.conv_interp_1, track.conv_interp_2):
            conv.weight.zero_()
            conv.bias.fill_(-1.0)
        track.conv_interp_1.weight[3, 0, 1, 1], track.conv_interp_1.bias[3] = 1.0, 0.0
        track.conv_interp_2.weight[3, 3, 1, 1], track.conv_interp_2.bias[3] = 1.0, 0.0
    return learner, live.choose_watched(performer, photos, learner, gain)


def test_the_montage_shows_the_strongest_images_ringed_at_their_peaks(montage: Any) -> None:
    learner, watched = montage
    assert watched.filters[:2] == (3, 5)
    assert set(watched.rows.tolist()) == {i for i in range(40) if i % 5 != 4}  # no negatives
    learner.explainer.train()
    picture = live.Montage(watched).draw(learner)
    assert learner.explainer.training
    tap = learner.store.rows(watched.rows).tap[:, 0]
    order = tap.amax((1, 2)).argsort(descending=True, stable=True)[: live.IMAGES]
    for place, row in enumerate(order.tolist()):
        unit = int(tap[row].flatten().argmax())
        y, x = (SIDE / 32 * (1.5 + 4 * n + 0.5) for n in divmod(unit, 8))  # units are 4 px apart, the first at 1.5
        left = LABEL + GAP + place * (SIDE + GAP)
        tile = picture[:SIDE, left : left + SIDE].astype(int)
        for dx, dy in ((7, 0), (-7, 0), (0, 7), (0, -7)):
            column, line = round(x + dx), round(y + dy)
            if 1 <= column < SIDE - 1 and 1 <= line < SIDE - 1:
                near = tile[line - 1 : line + 2, column - 1 : column + 2]
                assert near.min(2).max() > 250, (place, dx, dy)  # the ring is white here
    silent = picture[SIDE + GAP : 2 * SIDE + GAP, LABEL + GAP : LABEL + GAP + SIDE]
    assert silent.min() >= 0.7 * 255 - 2  # dimmed towards white, no ring


def test_what_is_shown_does_not_depend_on_what_is_learned() -> None:
    performer, photos, gain = toy_performer(), Squares(40), torch.arange(12.0)
    learner = toy_learner(performer=performer)
    before = live.choose_watched(performer, photos, learner, gain)
    for _ in zip(range(6), learner, strict=False):
        pass
    after = live.choose_watched(performer, photos, learner, gain)
    assert before.filters == after.filters == (11, 10, 9, 8, 7, 6, 5, 4)
    assert torch.equal(before.rows, after.rows)


def test_of_many_images_the_seed_chooses_some(monkeypatch: Any) -> None:
    monkeypatch.setattr(live, "LOOKED_AT", 10)
    performer, photos, gain = toy_performer(), Squares(40), torch.arange(12.0)
    one, same, other = (
        live.choose_watched(performer, photos, toy_learner(performer=performer, seed=seed), gain).rows.tolist()
        for seed in (0, 0, 1)
    )
    assert one == same != other and len(one) == 10
    assert one == sorted(one) and all(i % 5 != 4 for i in one), "objects alone, in the order of their features"


def test_images_without_any_category_are_shown_too() -> None:
    learner = toy_learner()
    learner.labels.category.fill_(-1)
    watched = live.choose_watched(toy_performer(), Squares(40), learner, torch.arange(12.0))
    assert len(watched.rows) == 40


def test_it_is_off_by_default() -> None:
    assert not small_job().fit.tensorboard
