"""A small job's run, what counts as the same result, and ways to leave it on the way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from partscope import PartscopeError
from partscope.run import Event, diagnose, fit
from training.small_job import PHOTOS, small_job, toy_performer

JOB = small_job(epochs=2, save_every=5)  # 18 steps; states after 5, 10, 15 and 18
STEPS = 18


def diagnosis_of(folder: Path) -> dict[str, Any]:
    """Everything but how long it took and how much memory."""
    content: dict[str, Any] = json.loads((folder / "diagnosis.json").read_text())
    for key in ("seconds", "peak_memory_gib"):
        del content["provenance"][key]
    return content


def log_of(folder: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in record.items() if k != "images_per_second"} for record in records]


def gallery_of(folder: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """The file's own bytes hold its metadata in any order."""
    with safe_open(folder / "gallery.safetensors", framework="pt") as opened:
        return opened.metadata(), {name: opened.get_tensor(name).tolist() for name in sorted(opened.keys())}


def check_same(one: Path, other: Path) -> None:
    assert (one / "explainer.safetensors").read_bytes() == (other / "explainer.safetensors").read_bytes()
    assert gallery_of(one) == gallery_of(other)
    assert log_of(one) == log_of(other)
    found, expected = diagnosis_of(one), diagnosis_of(other)
    for content in (found, expected):
        del content["settings"]["cache"], content["settings"]["data"]["root"]
    assert found == expected
    assert not list(one.rglob("*.tmp"))


def go(folder: Path, job: Any = JOB, performer: Any = None, photos: Any = PHOTOS) -> list[Event]:
    return list(fit(job, folder, performer=performer or toy_performer(), photos=photos))


def measure_again(folder: Path, performer: Any = None, photos: Any = PHOTOS[1]) -> list[Event]:
    return list(diagnose(folder, performer=performer or toy_performer(), photos=photos))


def leave(folder: Path, when: Callable[[Event], bool], job: Any = JOB) -> Event:
    walk = fit(job, folder, performer=toy_performer(), photos=PHOTOS)
    for event in walk:
        if when(event):
            walk.close()
            return event
    raise AssertionError("it was never left")


def refused(act: Callable[[], Any]) -> tuple[str, str, str]:
    """What an error says: doing, got, todo."""
    with pytest.raises(PartscopeError) as caught:
        act()
    assert len(str(caught.value).splitlines()) == 3
    return caught.value.doing, caught.value.got, caught.value.todo
