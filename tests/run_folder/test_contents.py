"""What a run folder holds, and what it rests on: nothing of it is a pickle, and the performer stays as it was."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from jsonschema import Draft202012Validator
from safetensors import safe_open

from partscope import CacheSettings, SettingsError
from partscope.folder import read_job
from partscope.report.schema import diagnosis_schema
from partscope.settings import resolve
from run_folder.runs import JOB, STEPS, check_same, diagnosis_of, gallery_of, go, log_of, measure_again, refused
from training.small_job import PHOTOS, Squares, small_job, toy_performer

FILES = {
    "config.yaml", "run.json", "log.jsonl", "training.safetensors", "explainer.safetensors",
    "diagnosis.json", "gallery.safetensors", "report.html", "features",
}  # fmt: skip


def test_a_run_holds_its_files_and_no_pickle(whole: Path) -> None:
    assert {p.name for p in whole.iterdir()} == FILES
    for path in whole.rglob("*"):
        assert path.is_dir() or path.suffix in (".yaml", ".json", ".jsonl", ".html", ".safetensors")
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as opened:
                assert len(list(opened.keys())) > 0
    assert read_job(whole) == resolve(JOB)
    assert [record["step"] for record in log_of(whole)] == list(range(1, STEPS + 1))
    assert (whole / "report.html").read_text().lower().startswith("<!doctype html>")


def test_the_diagnosis_is_as_the_schema_says(whole: Path) -> None:
    content = json.loads((whole / "diagnosis.json").read_text())
    Draft202012Validator(diagnosis_schema()).validate(content)
    expected = json.loads(json.dumps(asdict(JOB)))
    assert expected["explainer"].pop("initial_p") is None  # the network chose it
    assert content["settings"]["explainer"].pop("initial_p") == 0.5
    assert content["settings"] == expected


def test_the_report_gets_measured_receptive_fields(whole: Path) -> None:
    content = json.loads((whole / "diagnosis.json").read_text())
    _, gallery = gallery_of(whole)
    sides = {row["filter"]: row["field_side"] for row in content["filters"] if "field_side" in row}
    assert list(sides) == sorted(gallery["filters"]) and set(gallery["field_images"]) == {3}
    assert content["receptive_field"]["images"] == 3
    page = (whole / "report.html").read_text()
    diagonal = content["crop"]["diagonal_px"]
    for side in sides.values():
        assert f">{side * diagonal:.0f} px</span>; theoretical" in page


def test_the_provenance_says_what_it_rests_on(whole: Path) -> None:
    run, content = json.loads((whole / "run.json").read_text()), json.loads((whole / "diagnosis.json").read_text())
    performer = toy_performer()
    assert run["digests"] == {
        "weights": performer.weights_digest, "train": PHOTOS[0].digest(), "test": PHOTOS[1].digest(),
    }  # fmt: skip
    assert (run["torch"], run["device"], run["seed"], run["threads"]) == (
        torch.__version__, "cpu", 0, torch.get_num_threads(),
    )  # fmt: skip
    assert run["categories"] == ["red", "green"] and run["classes"] is None
    assert run["train_images"] == 70 and run["category_images"] == [28, 28]
    assert set(run["seconds"]) == {"loading", "features", "fit"}
    assert content["provenance"]["weights_digest"] == performer.weights_digest
    assert content["provenance"]["data_digest"] == PHOTOS[1].digest()
    assert set(content["provenance"]["seconds"]) == {
        "loading",
        "features",
        "fit",
        "test features",
        "diagnose",
        "receptive fields",
    }
    assert content["provenance"]["peak_memory_gib"] > 0.05


def test_what_the_network_chose_is_kept_told_and_checked(tmp_path: Path) -> None:
    fit = replace(JOB.fit, epochs=1, learning_rate=None, decoder_learning_rate=None)
    job, folder = replace(JOB, fit=fit), tmp_path / "run"
    go(folder, job)
    run, content = json.loads((folder / "run.json").read_text()), json.loads((folder / "diagnosis.json").read_text())
    assert run["chosen"] == {
        "fit.learning_rate": 3e-3, "fit.decoder_learning_rate": 1.2e-3, "explainer.initial_p": 0.5,
    }  # fmt: skip
    assert content["settings"]["fit"]["learning_rate"] == 3e-3
    assert '"mono">fit.learning_rate</th><td class="mono">0.003</td>' in (folder / "report.html").read_text()
    run["chosen"]["fit.learning_rate"] = 1e-3
    (folder / "run.json").write_text(json.dumps(run))
    assert refused(lambda: go(folder, job)) == (
        f"resuming the run '{folder}'",
        "fit.learning_rate was 0.001, and this version would take 0.003",
        "give --fit.learning_rate 0.001 in a new folder, or resume with the older version",
    )
    del run["chosen"]
    (folder / "run.json").write_text(json.dumps(run))
    go(folder, job)
    assert json.loads((folder / "diagnosis.json").read_text())["settings"]["fit"]["learning_rate"] == 3e-3


def test_the_performer_is_bit_identical_afterwards(tmp_path: Path) -> None:
    performer = toy_performer()
    before = {k: v.clone() for k, v in performer.module.state_dict().items()}
    digest = performer.weights_digest
    go(tmp_path / "run", small_job(epochs=1), performer)
    after = performer.module.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
    assert performer.weights_digest == digest
    assert not performer.module.training


def test_the_same_call_again_learns_nothing_and_changes_nothing(whole: Path, copied: Callable[..., Path]) -> None:
    again = copied()
    assert "learning" not in {event.stage for event in go(again)}
    check_same(again, whole)


def test_features_kept_and_computed_again_give_the_same(whole: Path, tmp_path: Path) -> None:
    off = tmp_path / "off"
    go(off, replace(JOB, cache=CacheSettings(mode="off")))
    assert not (off / "features").exists()
    check_same(off, whole)


def test_a_folder_copied_elsewhere_without_its_features_gives_the_same_numbers(
    whole: Path, copied: Callable[..., Path]
) -> None:
    moved = copied("features", "training.safetensors", "diagnosis.json", "report.html", "gallery.safetensors")
    events = measure_again(moved)
    assert {event.stage for event in events} == {
        "loading",
        "features of the test images",
        "diagnosing",
        "taking parts away",
        "receptive fields",
    }
    check_same(moved, whole)


def test_measuring_again_where_it_is_changes_nothing(whole: Path, copied: Callable[..., Path]) -> None:
    again = copied()
    measure_again(again)
    check_same(again, whole)


def test_other_weights_and_other_images_are_refused(copied: Callable[..., Path]) -> None:
    folder = copied("features")
    todo = "point --data.root and --performer.weights to the same files, or fit again in another folder"
    train, test = PHOTOS
    for what, act in {
        "the performer's weights": lambda: measure_again(folder, toy_performer(seed=1)),
        "the test images": lambda: measure_again(folder, photos=Squares(30, seed=2)),
        "the train images": lambda: go(folder, photos=(Squares(70, seed=3), test)),
    }.items():
        doing, got, last = refused(act)
        assert doing == f"opening the run '{folder}'" and last == todo
        assert got.startswith(f"{what} are not those of the fit (digest ")
        (folder / "features" / "train" / "manifest.json").unlink(missing_ok=True)
    assert refused(lambda: go(folder, performer=toy_performer(seed=1)))[1].startswith("the performer's weights are not")
    (folder / "features" / "train" / "manifest.json").unlink(missing_ok=True)
    assert refused(lambda: go(folder, photos=(train, Squares(31, seed=1))))[1].startswith("the test images are not")


def test_features_of_other_weights_are_refused_before_anything_else(copied: Callable[..., Path]) -> None:
    assert refused(lambda: go(copied(), performer=toy_performer(seed=1)))[1].startswith(
        "they were made with other 'weights': "
    )


def test_without_labels_the_predictions_are_the_categories_and_other_owns_nothing(tmp_path: Path) -> None:
    performer = toy_performer(5, seed=3)
    photos = Squares(70), Squares(30, seed=1)
    go(tmp_path, small_job(epochs=1, labels="none", min_category_images=12), performer, photos)
    content, run = diagnosis_of(tmp_path), json.loads((tmp_path / "run.json").read_text())
    names = [c["name"] for c in content["categories"]]
    assert names == [*(f"class {c}" for c in run["classes"]), "other"] and len(names) >= 2
    assert content["categories"][-1]["filters"] == 0
    assert sum(c["filters"] for c in content["categories"]) == 12
    assert "other" not in {row["category"] for row in content["filters"]}
    assert all(c["train"] >= 12 for c in content["categories"][:-1])
    assert content["fidelity"]["measure"] == "disagreement" and "performer" not in content["fidelity"]
    assert "fidelity.performer" in content["absent"]
    assert sum(c["test"] for c in content["categories"]) == content["counts"]["test_images"] == 30


def test_without_landmarks_only_what_needs_them_is_absent(whole: Path, tmp_path: Path) -> None:
    photos = Squares(70, landmarks=()), Squares(30, seed=1, landmarks=())
    go(tmp_path, photos=photos)
    content, expected = diagnosis_of(tmp_path), diagnosis_of(whole)
    Draft202012Validator(diagnosis_schema()).validate(json.loads((tmp_path / "diagnosis.json").read_text()))
    assert "location_instability" not in content
    assert content["absent"].keys() - expected["absent"].keys() == {"location_instability", "diversity.landmarks"}
    assert content["fidelity"] == expected["fidelity"] and content["p"] == expected["p"]
    assert content["diversity"]["explainer"] == expected["diversity"]["explainer"]


def test_one_category_against_negatives(tmp_path: Path) -> None:
    photos = Squares(70, categories=("red",)), Squares(30, seed=1, categories=("red",))
    go(tmp_path, small_job(epochs=1, labels="single"), toy_performer(1), photos)
    content = diagnosis_of(tmp_path)
    assert content["categories"] == [{"name": "red", "train": 56, "test": 24, "filters": 12}]
    assert content["counts"]["test_negatives"] == 6
    assert content["fidelity"]["measure"] == "error"
    assert content["fidelity"]["performer"]["error"]["n"] == 30  # negatives have a right answer too: "no"


def test_several_categories_are_not_one(tmp_path: Path) -> None:
    assert refused(lambda: go(tmp_path, small_job(labels="single"))) == (
        "taking the images as one category against negatives",
        "2 categories: red, green",
        "set --data.single_category NAME, or --fit.labels multi",
    )


def test_an_empty_split_and_an_unknown_landmark_are_told(tmp_path: Path) -> None:
    assert refused(lambda: go(tmp_path, photos=(Squares(70), Squares(0))))[:2] == (
        "splitting the images",
        "70 training and 0 test images",
    )
    job = replace(JOB, diagnose=replace(JOB.diagnose, landmarks=("midle",)))
    with pytest.raises(SettingsError, match=r"there is no landmark 'midle'\n  do:  did you mean 'middle'\?"):
        go(tmp_path, job)


def test_a_device_that_is_not_there_is_told(tmp_path: Path) -> None:
    doing, _, todo = refused(lambda: go(tmp_path, small_job(device="warp")))
    assert (doing, todo) == ("choosing the device 'warp'", "give --fit.device auto, cpu or cuda")
    assert not (tmp_path / "config.yaml").exists()


def test_categories_of_the_test_images_are_those_of_the_fit(copied: Callable[..., Path]) -> None:
    folder = copied()
    run = json.loads((folder / "run.json").read_text())
    run["categories"] = ["red", "blue"]
    (folder / "run.json").write_text(json.dumps(run))
    assert refused(lambda: measure_again(folder))[:2] == (
        "matching the test images' categories with the fit's",
        "red, green instead of red, blue",
    )
