"""The frontier: fits with other settings of eta, learned on from a run, beside it in its diagnosis and report."""

import copy
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator

from partscope import DataSettings, FitSettings, sweep_eta
from partscope.diagnosis.number import Number, paired_difference
from partscope.folder import read_job
from partscope.report.frontier import sentence
from partscope.report.schema import diagnosis_schema, find_fault
from partscope.run import Event
from run_folder.runs import go, measure_again, refused
from training.small_job import PHOTOS, Squares, small_job, toy_performer

Copied = Callable[..., Path]
OWN = FitSettings().eta
LOW, HIGH = 0.05, 3.0


def sweep(folder: Path, etas: Sequence[float] | None = (LOW, HIGH), epochs: int = 2, **given: Any) -> list[Event]:
    known = {"performer": toy_performer(), "photos": PHOTOS} | given
    return list(sweep_eta(folder, etas=etas, epochs=epochs, **known))


def content_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "diagnosis.json").read_text())
    return content


def rows_of(folder: Path) -> dict[float, dict[str, Any]]:
    return {row["eta"]: row for row in content_of(folder)["frontier"]}


@pytest.fixture(scope="module")
def swept(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = Path(shutil.copytree(whole, tmp_path_factory.mktemp("swept") / "run"))
    return folder, sweep(folder)


def test_p_rises_with_eta(swept: tuple[Path, list[Event]]) -> None:
    rows = content_of(swept[0])["frontier"]
    assert [(row["eta"], row["epochs"]) for row in rows] == [(LOW, 2), (OWN, 0), (HIGH, 2)]
    shares = [row["p"]["value"] for row in rows]
    assert shares[2] > shares[0] + 0.03  # the run itself, of 18 steps, is still far from where its own eta leads
    for row in rows:
        assert set(row) == {"eta", "epochs", "p", "fvu", "parts_only_fvu", "error", "added_error", "explainer"}
        assert all(row[k]["low"] <= row[k]["value"] <= row[k]["high"] for k in row if isinstance(row[k], dict))


def test_a_fit_of_no_epochs_is_the_run(copied: Copied) -> None:
    folder = copied()
    sweep(folder, (HIGH,), epochs=0)
    content, rows = content_of(folder), rows_of(folder)
    for eta in (OWN, HIGH):
        assert rows[eta]["p"] == content["p"]
        assert rows[eta]["error"] == content["fidelity"]["full"]["error"]
        assert rows[eta]["fvu"] == content["fidelity"]["full"]["fvu"][-1]
        assert rows[eta]["parts_only_fvu"] == content["fidelity"]["parts_only"]["fvu"][-1]
        own = content["fidelity"]["performer"]["error"]["value"]
        assert rows[eta]["added_error"]["value"] == pytest.approx(rows[eta]["error"]["value"] - own)


def test_the_run_itself_stays_as_it_was(swept: tuple[Path, list[Event]], whole: Path) -> None:
    for name in ("config.yaml", "run.json", "log.jsonl", "explainer.safetensors", "training.safetensors"):
        assert (swept[0] / name).read_bytes() == (whole / name).read_bytes()
    content = content_of(swept[0])
    del content["frontier"]
    assert content == content_of(whole)


def test_rows_at_the_same_settings_are_kept(swept: tuple[Path, list[Event]], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(swept[0], tmp_path / "run"))
    before = content_of(folder)
    before["frontier"][0]["p"]["n"] = 12345  # a mark: measured again, it would be gone
    (folder / "diagnosis.json").write_text(json.dumps(before))
    assert sweep(folder, (LOW, HIGH)) == []  # nothing is loaded
    assert content_of(folder) == before
    stages = {event.stage for event in sweep(folder, (1.0,)) if event.record}
    assert stages == {"learning with eta 1"}
    assert list(rows_of(folder)) == [LOW, OWN, 1.0, HIGH] and rows_of(folder)[LOW]["p"]["n"] == 12345
    sweep(folder, (1.0,), epochs=1)  # rows after another number of epochs make way
    assert [(row["eta"], row["epochs"]) for row in content_of(folder)["frontier"]] == [(OWN, 0), (1.0, 1)]


def test_a_row_does_not_depend_on_the_others(swept: tuple[Path, list[Event]], copied: Copied) -> None:
    folder = copied()
    sweep(folder, (HIGH,))
    assert rows_of(folder)[HIGH] == rows_of(swept[0])[HIGH]


def test_left_on_the_way_it_goes_on_with_the_missing_rows(swept: tuple[Path, list[Event]], copied: Copied) -> None:
    folder = copied()
    walk = sweep_eta(folder, etas=(LOW, HIGH), performer=toy_performer(), photos=PHOTOS)
    for event in walk:
        if event.stage == "learning with eta 3":
            walk.close()
            break
    assert list(rows_of(folder)) == [LOW, OWN]
    assert {e.stage for e in sweep(folder) if e.record} == {"learning with eta 3"}
    assert content_of(folder)["frontier"] == content_of(swept[0])["frontier"]


def test_another_diagnosis_keeps_rows_of_the_same_explainer(swept: tuple[Path, list[Event]], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(swept[0], tmp_path / "run"))
    measure_again(folder)
    assert content_of(folder)["frontier"] == content_of(swept[0])["frontier"]
    content = content_of(folder)
    content["frontier"][0]["explainer"] = "another"
    (folder / "diagnosis.json").write_text(json.dumps(content))
    measure_again(folder)
    assert list(rows_of(folder)) == [OWN, HIGH]


def test_the_schema_knows_the_rows(swept: tuple[Path, list[Event]]) -> None:
    content, schema = content_of(swept[0]), diagnosis_schema()
    Draft202012Validator(schema).validate(content)
    assert find_fault(content, schema) is None
    wrong = copy.deepcopy(content)
    wrong["frontier"][1]["p"]["value"] = 1.5
    assert find_fault(wrong, schema) == "frontier.1.p.value is 1.5, above 1"
    del wrong["frontier"][0]["fvu"]
    assert find_fault(wrong, schema) == "frontier.0.fvu is missing"


def test_the_report_shows_chart_and_sentence(swept: tuple[Path, list[Event]]) -> None:
    text = (swept[0] / "report.html").read_text(encoding="utf-8")
    said = sentence(content_of(swept[0])["frontier"])
    assert said is not None and 'id="chart-frontier"' in text
    assert said.replace("'", "&#39;") in text


def test_without_labels_changed_answers_are_the_cost(tmp_path: Path) -> None:
    go(tmp_path, small_job(labels="none", min_category_images=1, epochs=1))
    sweep(tmp_path, (1.0,), epochs=1)
    content = content_of(tmp_path)
    Draft202012Validator(diagnosis_schema()).validate(content)
    own = rows_of(tmp_path)[OWN]
    assert own["disagreement"] == content["fidelity"]["full"]["disagreement"]
    assert "error" not in own and "added_error" not in own


def test_the_default_etas_are_around_the_runs_own(copied: Copied) -> None:
    folder = copied()
    sweep(folder, None, epochs=0)
    assert list(rows_of(folder)) == [0.025, 0.1, 0.25, 0.5, 2.0]


def test_features_that_are_gone_are_computed_again(swept: tuple[Path, list[Event]], copied: Copied) -> None:
    folder = copied("features")
    stages = {event.stage for event in sweep(folder)}
    assert {"features of the train images", "features of the test images"} <= stages
    assert content_of(folder)["frontier"] == content_of(swept[0])["frontier"]


def row(eta: float, p: float, **cost: tuple[float, float, float]) -> dict[str, Any]:
    numbers = {k: dict(zip(("value", "low", "high", "n"), (*v, 300), strict=True)) for k, v in cost.items()}
    return {"eta": eta, "p": {"value": p, "low": p, "high": p, "n": 300}, **numbers}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [
                row(0.1, 0.3, added_error=(-0.002, -0.004, 0.0)),
                row(0.5, 0.6, added_error=(0.01, 0.001, 0.009)),
                row(2.0, 0.9, added_error=(0.011, 0.0, 0.03)),
            ],
            "At no more than 1 point of error more than the performer's own, 60.0 % of the magnitude passes through "
            "parts (eta 0.5): 1.0 points of error, 95 % interval 0.1 to 0.9, n 300.",
        ),
        (
            [row(0.5, 0.6, added_error=(0.005, -0.001, 0.012)), row(1.0, 0.7, added_error=(0.2, 0.1, 0.3))],
            "At no more than 1 point of error more than the performer's own, 60.0 % of the magnitude passes through "
            "parts (eta 0.5): 0.5 points of error, 95 % interval -0.1 to 1.2, n 300; the interval goes beyond 1.",
        ),
        (
            [row(0.5, 0.6, added_error=(0.05, 0.0, 0.1)), row(0.1, 0.25, added_error=(0.04, 0.0, 0.1))],
            "No fit keeps to 1 point of error more than the performer's own: the least adds 4.0 points of error "
            "(eta 0.1), with 25.0 % of the magnitude through parts.",
        ),
        (
            [row(0.5, 0.6, disagreement=(0.0, 0.0, 0.01))],
            "At no more than 1 % of answers other than the performer's, 60.0 % of the magnitude passes through parts "
            "(eta 0.5): 0.0 % of answers, 95 % interval 0.0 to 1.0, n 300.",
        ),
        ([row(0.5, 0.6)], None),
        ([], None),
    ],
)
def test_the_sentence_by_hand(rows: list[dict[str, Any]], said: str | None) -> None:
    assert sentence(rows) == said


def test_the_interval_of_paired_errors() -> None:
    untouched = paired_difference(0, 0, 98)
    assert untouched == Number(0.0, pytest.approx(-0.0196, abs=1e-4), pytest.approx(0.0196, abs=1e-4), 98)
    assert paired_difference(5, 2, 50)[0] == pytest.approx(0.06)
    assert paired_difference(4, 0, 4)[:3] == (1.0, pytest.approx(0.1677, abs=1e-4), 1.0)
    assert paired_difference(0, 0, 0)[3] == 0


def test_the_interval_of_paired_errors_covers() -> None:
    """Of 2,000 draws of 200 cases each, at three rates of change, 95 % intervals hold the true difference."""
    draw = torch.Generator().manual_seed(0)
    for worse, better in ((0.05, 0.05), (0.10, 0.04), (0.02, 0.01)):
        hits = 0
        for u in torch.rand(2000, 200, generator=draw):
            found = paired_difference(int((u < worse).sum()), int((u > 1 - better).sum()), 200)
            hits += found.low <= worse - better <= found.high
        assert 0.93 <= hits / 2000 <= 0.985


@pytest.mark.parametrize(
    ("etas", "epochs", "got"),
    [((0.5, 0.0), 2, "eta 0"), ((-1.0,), 2, "eta -1"), ((float("nan"),), 2, "eta nan"), ((), 2, "no eta")],
)
def test_etas_out_of_range(etas: tuple[float, ...], epochs: int, got: str, whole: Path) -> None:
    said = refused(lambda: sweep(whole, etas, epochs))
    assert said == (
        "choosing the fits of the frontier", got, "give values above 0 and up to 1e9, as in --etas 0.02,0.1,0.5,2",
    )  # fmt: skip


def test_epochs_below_0_and_no_eta_to_start_from(whole: Path) -> None:
    assert refused(lambda: sweep(whole, (1.0,), -1))[1] == "-1 epochs"
    job = read_job(whole)
    without = replace(job, fit=replace(job.fit, eta=0.0))
    assert "the run's own eta is 0" in refused(lambda: sweep(whole, None, job=without))[1]


@pytest.mark.parametrize("name", ["run.json", "explainer.safetensors", "diagnosis.json"])
def test_a_run_that_is_not_finished(name: str, copied: Copied) -> None:
    folder = copied(name)
    assert refused(lambda: sweep(folder)) == (
        f"opening the run '{folder}' for its frontier",
        f"it is not finished: no {name}",
        "run the same `partscope fit` to its end first; it resumes",
    )


def test_other_images_are_refused(copied: Copied) -> None:
    folder = copied()
    assert (
        "the train images are not those of the fit"
        in refused(lambda: sweep(folder, photos=(Squares(70, seed=5), PHOTOS[1])))[1]
    )
    assert "frontier" not in content_of(folder)


def test_features_and_images_gone(copied: Copied, tmp_path: Path) -> None:
    folder = copied("features")
    job = read_job(folder)
    gone = replace(job, data=DataSettings(kind="folder", root=str(tmp_path / "nowhere")))
    said = refused(lambda: list(sweep_eta(folder, etas=(1.0,), job=gone, performer=toy_performer())))
    assert "nowhere" in " ".join(said)
    assert "frontier" not in content_of(folder)
