"""Two runs beside each other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import EVIL_CLASS, number, write_run
from test_html import Page, assert_reads_as, look_up

from partscope.errors import RunError
from partscope.report import write_comparison
from partscope.report.compare import beside, differing, groups, names, notes, sentences
from partscope.report.estimate import Diagnosis

Make = Callable[..., tuple[Path, dict[str, Any]]]


@pytest.fixture
def two(make_run: Make) -> tuple[Path, Path, dict[str, Any], dict[str, Any]]:
    one, first = make_run(name="one")
    other, second = make_run(name="other", seed=5)
    second["p"] = number(0.402, 0.01)
    second["fidelity"]["full"]["error"] = number(0.025, 0.008, 1854)
    second["settings"]["fit"]["eta"] = 2.0
    second["provenance"]["data_digest"] = "sha256:ffff"
    (other / "diagnosis.json").write_text(json.dumps(second), encoding="utf-8")
    return one, other, first, second


def test_every_number_is_that_of_its_run(two: tuple[Path, Path, dict[str, Any], dict[str, Any]]) -> None:
    one, other, first, second = two
    path = write_comparison(one, other)
    assert path == one / "comparison.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    seen = set()
    for attributes, shown in page.fields:
        run, field = str(attributes["data-run"]), str(attributes["data-field"])
        seen.add((run, field))
        truth = look_up({"a": first, "b": second}[run], field)
        truth = truth["value"] if isinstance(truth, dict) else truth
        assert json.loads(str(attributes["data-value"])) == truth, field
        assert_reads_as(shown, truth, str(attributes["data-kind"]), 1.0)
    assert {(run, "p") for run in "ab"} | {(run, "location_instability.released.explainer") for run in "ab"} <= seen
    assert EVIL_CLASS not in text and EVIL_CLASS in page.text
    assert "They explain different networks" not in page.text
    assert "The runs were measured on different test images" in page.text


def test_reading_follows_the_intervals(two: tuple[Path, Path, dict[str, Any], dict[str, Any]]) -> None:
    one, two_ = Diagnosis(two[2]), Diagnosis(two[3])
    said = sentences(one, two_, ("old", "new"))
    assert said[0].startswith("Part share of the performer’s evidence: no clear difference (46.3% against 46.3%)")
    assert said[1] == "Mixing weight p: no clear difference (0.581 against 0.402)." or said[1].startswith(
        "Mixing weight p: lower in new (0.581 against 0.402)"
    )
    assert said[2] == "Fidelity, explainer’s error: no clear difference (2.3% against 2.5%)."
    readings = {(group.title, pair.label): pair.reading for group in groups(one, two_) for pair in group.pairs}
    assert readings["Mixing weight p", "p"] == "B is lower"
    assert readings["Fidelity", "Explainer’s error"] == "no clear difference"
    swapped = {(g.title, pair.label): pair.reading for g in groups(two_, one) for pair in g.pairs}
    assert swapped["Mixing weight p", "p"] == "A is lower"


def test_a_number_that_one_lacks_has_no_reading(two: tuple[Path, Path, dict[str, Any], dict[str, Any]]) -> None:
    two[3]["p"] = number(None, n=0)
    one, other = Diagnosis(two[2]), Diagnosis(two[3])
    pair = groups(one, other)[1].pairs[0]
    assert (pair.reading, [span.look for span in pair.spans]) == ("–", ["a"])
    assert not any(sentence.startswith("Mixing") for sentence in sentences(one, other, ("x", "y")))


def test_notes_name_what_cannot_be_compared(two: tuple[Path, Path, dict[str, Any], dict[str, Any]]) -> None:
    one, other = Diagnosis(two[2]), Diagnosis(two[3])
    assert len(notes(one, one)) == 1
    other.document["provenance"]["weights_digest"] = "sha256:0"
    other.document["fidelity"]["measure"] = "disagreement"
    other.document["fidelity"]["targets"] = ["classifier.1", "classifier.6"]
    said = " ".join(notes(one, other))
    for text in (
        "different test images",
        "different networks (alexnet, alexnet, or other weights",
        "the other disagreement",
        "last targets differ",
    ):
        assert text in said


def test_settings_that_differ(two: tuple[Path, Path, dict[str, Any], dict[str, Any]]) -> None:
    assert differing(two[2]["settings"], two[3]["settings"]) == [("fit.eta", "0.5", "2.0")]
    assert differing({"a": 1}, {"b": 2}) == [("a", "1", "–"), ("b", "–", "2")]


def test_names_are_as_short_as_can_be(tmp_path: Path) -> None:
    assert names(tmp_path / "x", tmp_path / "y") == ("x", "y")
    assert names(tmp_path / "x" / "run", tmp_path / "y" / "run") == ("x/run", "y/run")
    assert names(tmp_path, tmp_path)[0] == names(tmp_path, tmp_path)[1]


def test_only_live_parts_stand_beside_each_other(make_run: Make) -> None:
    from partscope.report.reading import read_diagnosis, read_gallery
    from partscope.report.view import part_cards

    folder, _ = make_run(rows=6)
    diagnosis = read_diagnosis(folder)
    shown = part_cards(diagnosis, read_gallery(folder, diagnosis))
    (row,) = beside(shown, [card for card in shown if not card.facts["dead"]][:1])
    assert row.category == EVIL_CLASS
    assert [len(column) for column in row.columns] == [4, 1]
    assert not any(card.facts["dead"] for column in row.columns for card in column)


def test_a_missing_run_is_told(make_run: Make, tmp_path: Path) -> None:
    folder, _ = make_run()
    with pytest.raises(RunError) as caught:
        write_comparison(folder, tmp_path / "nowhere")
    assert caught.value.doing == f"reading the diagnosis '{tmp_path / 'nowhere' / 'diagnosis.json'}'"
    assert not (folder / "comparison.html").exists()


def test_an_old_gallery_can_stand_beside_a_new_one(make_run: Make) -> None:
    one, _ = make_run(name="one")
    other, _ = make_run(name="other", whole=False, landmarks=False)
    write_run(other, json.loads((other / "diagnosis.json").read_text()))
    assert write_comparison(one, other).is_file()
