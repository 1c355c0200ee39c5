"""The same fit with other seeds, beside the run in its diagnosis and report."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from partscope import repeat_seeds
from partscope.folder import read_job
from partscope.report.schema import diagnosis_schema, find_fault
from partscope.run import Event, diagnose
from run_folder.runs import JOB, go, measure_again, refused
from training.small_job import PHOTOS, toy_performer

Copied = Callable[..., Path]


def repeat(folder: Path, seeds: int = 3, **given: Any) -> list[Event]:
    return list(repeat_seeds(folder, seeds=seeds, **({"performer": toy_performer(), "photos": PHOTOS} | given)))


def content_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "diagnosis.json").read_text())
    return content


def fits_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {number["name"]: number["fits"] for number in content_of(folder)["seeds"]["numbers"]}


@pytest.fixture(scope="module")
def repeated(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = Path(shutil.copytree(whole, tmp_path_factory.mktemp("repeated") / "run"))
    return folder, repeat(folder)


def test_each_seed_is_what_a_run_of_that_seed_measures(repeated: tuple[Path, list[Event]], tmp_path: Path) -> None:
    found, own = fits_of(repeated[0]), content_of(repeated[0])
    assert content_of(repeated[0])["seeds"]["seeds"] == [0, 1, 2]
    go(tmp_path / "other", replace(JOB, fit=replace(JOB.fit, seed=2)))
    other = content_of(tmp_path / "other")
    for content, place in ((own, 0), (other, 2)):
        assert found["p"][place] == content["p"]
        assert found["fidelity.parts_only.fvu.1"][place] == content["fidelity"]["parts_only"]["fvu"][-1]
        released = content["location_instability"]["released"]["explainer"]
        assert found["location_instability.released.explainer"][place] == released
    assert found["p"][0]["value"] != found["p"][1]["value"] != found["p"][2]["value"]
    assert "fidelity.full.disagreement" not in found and "fidelity.full.error" in found


def test_the_mean_is_over_fits_with_students_interval(repeated: tuple[Path, list[Event]]) -> None:
    number = content_of(repeated[0])["seeds"]["numbers"][0]
    values = [fit["value"] for fit in number["fits"]]
    mean = sum(values) / 3
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / 2)
    assert number["mean"]["value"] == pytest.approx(mean, rel=1e-5) and number["mean"]["n"] == 3
    assert number["mean"]["high"] - mean == pytest.approx(4.3027 * deviation / math.sqrt(3), rel=1e-3)


def test_the_run_itself_stays_as_it_was(repeated: tuple[Path, list[Event]], whole: Path) -> None:
    for name in ("config.yaml", "run.json", "log.jsonl", "explainer.safetensors", "training.safetensors"):
        assert (repeated[0] / name).read_bytes() == (whole / name).read_bytes()
    content = content_of(repeated[0])
    del content["seeds"]
    assert content == content_of(whole)
    assert {event.stage for event in repeated[1] if event.record} == {"learning with seed 1", "learning with seed 2"}


def test_left_on_the_way_it_goes_on_with_the_missing_seeds(repeated: tuple[Path, list[Event]], copied: Copied) -> None:
    folder = copied()
    walk = repeat_seeds(folder, seeds=3, performer=toy_performer(), photos=PHOTOS)
    for event in walk:
        if event.stage == "learning with seed 2":
            walk.close()
            break
    assert content_of(folder)["seeds"]["seeds"] == [0, 1]
    assert {event.stage for event in repeat(folder) if event.record} == {"learning with seed 2"}
    assert content_of(folder) == content_of(repeated[0])
    assert repeat(folder) == []  # nothing is loaded
    assert repeat(folder, 2) == [] and content_of(folder)["seeds"]["seeds"] == [0, 1, 2]


def test_another_diagnosis_keeps_seeds_of_the_same_run(repeated: tuple[Path, list[Event]], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(repeated[0], tmp_path / "run"))
    measure_again(folder)
    assert content_of(folder)["seeds"] == content_of(repeated[0])["seeds"]
    content = content_of(folder)
    content["seeds"]["explainer"] = "another"
    (folder / "diagnosis.json").write_text(json.dumps(content))
    measure_again(folder)
    assert "seeds" not in content_of(folder)


def test_settings_that_the_numbers_depend_on_must_be_those_of_the_diagnosis(
    repeated: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(repeated[0], tmp_path / "run"))
    job = read_job(folder)
    other = replace(job, diagnose=replace(job.diagnose, resamples=job.diagnose.resamples + 1))
    doing, got, todo = refused(lambda: repeat(folder, 2, job=other))
    assert doing.endswith("with other seeds") and got == "its diagnosis was measured with other settings"
    assert todo == "run `partscope diagnose` with these settings first"
    list(diagnose(folder, job=other, performer=toy_performer(), photos=PHOTOS[1]))
    assert "seeds" not in content_of(folder)
    stages = {event.stage for event in repeat(folder, 2, job=other) if event.record}
    assert stages == {"learning with seed 1"} and content_of(folder)["seeds"]["seeds"] == [0, 1]
    assert fits_of(folder)["p"][0] == content_of(folder)["p"]
    more = replace(other, diagnose=replace(other.diagnose, gallery_images=2))
    list(diagnose(folder, job=more, performer=toy_performer(), photos=PHOTOS[1]))
    assert content_of(folder)["seeds"]["seeds"] == [0, 1]  # pictures are no numbers


def test_seeds_of_another_version_make_way(repeated: tuple[Path, list[Event]], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(repeated[0], tmp_path / "run"))
    content = content_of(folder)
    content["seeds"]["partscope"] = "0.0.1"
    (folder / "diagnosis.json").write_text(json.dumps(content))
    measure_again(folder)
    assert "seeds" not in content_of(folder)


def test_what_cannot_exceed_1_does_not(repeated: tuple[Path, list[Event]]) -> None:
    for number in content_of(repeated[0])["seeds"]["numbers"]:
        assert number["mean"]["low"] >= 0
        if number["name"] in ("p", "fidelity.full.error"):
            assert number["mean"]["high"] <= 1


def test_the_schema_and_the_report_know_the_seeds(repeated: tuple[Path, list[Event]]) -> None:
    content, schema = content_of(repeated[0]), diagnosis_schema()
    Draft202012Validator(schema).validate(content)
    assert find_fault(content, schema) is None
    text = (repeated[0] / "report.html").read_text(encoding="utf-8")
    assert 'id="seeds"' in text and "the table of seeds shows the first" in text
    value = content["seeds"]["numbers"][0]["fits"][2]["value"]
    assert f'data-field="seeds.numbers.0.fits.2" data-kind="plain" data-value="{value!r}"' in text


def test_one_seed_and_an_unfinished_run_are_refused(copied: Copied) -> None:
    folder = copied("diagnosis.json")
    assert refused(lambda: repeat(folder, 1)) == (
        "fitting with other seeds", "1 in all", "give --seeds 2 or more; 3 show a spread",
    )  # fmt: skip
    doing, got, _ = refused(lambda: repeat(folder))
    assert doing.endswith("for further seeds") and got == "it is not finished: no diagnosis.json"
