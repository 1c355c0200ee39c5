"""Files that are missing, damaged or foreign are refused in three lines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from synthetic_run import gallery_metadata

from partscope.errors import RunError
from partscope.report import write_report
from partscope.report.reading import read_log

Make = Callable[..., tuple[Path, dict[str, Any]]]


def refusal(folder: Path) -> RunError:
    with pytest.raises(RunError) as caught:
        write_report(folder)
    assert len(str(caught.value).splitlines()) == 3
    assert "partscope diagnose" in caught.value.todo
    assert not (folder / "report.html").exists()
    return caught.value


def test_missing_diagnosis(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert error.doing == f"reading the diagnosis '{tmp_path / 'diagnosis.json'}'"
    assert error.got == "there is no such file"


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ('{"format": 1,', "it is damaged: "),
        ('{"format": NaN}', "it is damaged: NaN where a number or null belongs"),
        ("[1, 2]", "a file that partscope did not write: it names no format"),
        ('{"name": "package.json"}', "a file that partscope did not write: it names no format"),
        ('{"format": 1}', "p is missing"),
    ],
)
def test_damaged_or_foreign_diagnosis(make_run: Make, text: str, got: str) -> None:
    folder, _ = make_run()
    (folder / "diagnosis.json").write_text(text, encoding="utf-8")
    assert refusal(folder).got.startswith(got)


def test_binary_diagnosis(make_run: Make) -> None:
    folder, _ = make_run()
    (folder / "diagnosis.json").write_bytes(b"\x89PNG\xff\xfe")
    assert refusal(folder).got.startswith("it is damaged: ")


def test_diagnosis_of_a_later_format(make_run: Make) -> None:
    folder, diagnosis = make_run()
    (folder / "diagnosis.json").write_text(json.dumps({**diagnosis, "format": 2}), encoding="utf-8")
    assert refusal(folder).got == "format is 2, not 1"


def test_fvu_must_match_the_targets(make_run: Make) -> None:
    folder, diagnosis = make_run()
    diagnosis["fidelity"]["full"]["fvu"].pop()
    (folder / "diagnosis.json").write_text(json.dumps(diagnosis), encoding="utf-8")
    assert refusal(folder).got == "fidelity.full.fvu has 1 numbers for 2 targets"


def test_a_filter_named_twice(make_run: Make) -> None:
    folder, diagnosis = make_run()
    diagnosis["filters"][1]["filter"] = diagnosis["filters"][0]["filter"]
    (folder / "diagnosis.json").write_text(json.dumps(diagnosis), encoding="utf-8")
    assert refusal(folder).got == "filters names one filter twice"


def test_missing_gallery(make_run: Make) -> None:
    folder, _ = make_run()
    (folder / "gallery.safetensors").unlink()
    error = refusal(folder)
    assert error.doing == f"reading the gallery '{folder / 'gallery.safetensors'}'"
    assert error.got == "there is no such file"


@pytest.mark.parametrize("keep", [0, 5, 900])
def test_truncated_gallery(make_run: Make, keep: int) -> None:
    folder, _ = make_run()
    path = folder / "gallery.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(folder).got.startswith("it is damaged: ")


def with_gallery(folder: Path, change: Callable[[dict[str, np.ndarray]], None], **metadata: str) -> None:
    path = folder / "gallery.safetensors"
    arrays = load_file(path)
    names = gallery_metadata(arrays)
    change(arrays)
    save_file(arrays, path, {**names, **metadata})


def drop_maps(arrays: dict[str, np.ndarray]) -> None:
    del arrays["maps"]


def spoil_index(arrays: dict[str, np.ndarray]) -> None:
    arrays["image_index"][0, 0] = 99


def spoil_filter(arrays: dict[str, np.ndarray]) -> None:
    arrays["filters"][0] = 5000


def repeat_filter(arrays: dict[str, np.ndarray]) -> None:
    arrays["filters"][1] = arrays["filters"][0]


def spoil_points(arrays: dict[str, np.ndarray]) -> None:
    arrays["points"][0, 0] = np.nan


def spoil_shape(arrays: dict[str, np.ndarray]) -> None:
    arrays["maps"] = arrays["maps"][:, :2].copy()


def spoil_facts(arrays: dict[str, np.ndarray]) -> None:
    arrays["image_peaks"] = arrays["image_peaks"][:, 1:].copy()


def drop_facts(arrays: dict[str, np.ndarray]) -> None:
    del arrays["image_scores"]


def spoil_contributions(arrays: dict[str, np.ndarray]) -> None:
    arrays["image_contributions"][0, 0] = np.inf


def drop_counts(arrays: dict[str, np.ndarray]) -> None:
    del arrays["field_images"]


def spoil_fields(arrays: dict[str, np.ndarray]) -> None:
    arrays["field_maps"][0, 0, 0] = np.nan


def narrow_fields(arrays: dict[str, np.ndarray]) -> None:
    arrays["field_maps"] = arrays["field_maps"][:, 1:].copy()


def spoil_kind(arrays: dict[str, np.ndarray]) -> None:
    arrays["images"] = arrays["images"].astype(np.float32)


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (drop_maps, "no tensor named 'maps'"),
        (spoil_index, "an image_index outside its 9 images"),
        (spoil_filter, "filter 5000, which diagnosis.json does not know"),
        (repeat_filter, "one filter shown twice"),
        (spoil_points, "points that are not finite"),
        (spoil_shape, "'maps' of shape (4, 2, 13, 13), which does not fit the others"),
        (spoil_facts, "'image_peaks' of shape (9, 39), which does not fit the others"),
        (drop_facts, "no tensor named 'image_scores'"),
        (spoil_contributions, "image_contributions that are not finite"),
        (drop_counts, "no tensor named 'field_images'"),
        (spoil_fields, "field_maps that are not finite"),
        (narrow_fields, "'field_maps' of shape (4, 64, 65), which does not fit the others"),
        (spoil_kind, "images of type float32, not uint8"),
    ],
)
def test_gallery_that_does_not_fit(make_run: Make, change: Callable[[dict[str, np.ndarray]], None], got: str) -> None:
    folder, _ = make_run()
    with_gallery(folder, change)
    assert refusal(folder).got == got


@pytest.mark.parametrize("names", ["[", '["one.jpg"]', '"nine.jpg"', "[1, 2, 3, 4, 5, 6, 7, 8, 9]"])
def test_gallery_without_its_names(make_run: Make, names: str) -> None:
    folder, _ = make_run()
    with_gallery(folder, lambda arrays: None, names=names)
    assert refusal(folder).got == "metadata 'names' that is not a list of 9 names"


@pytest.mark.parametrize(
    ("key", "text", "got"),
    [
        ("field", "[1]", "metadata 'field' that is no receptive field"),
        ("field", '{"start": 1, "stride": 2}', "metadata 'field' that is no receptive field"),
        ("field", '{"start": 1, "stride": 2, "size": NaN}', "metadata 'field' that is no receptive field"),
        ("field_cell", "null", "metadata 'field_cell' that is no number"),
        ("field_cell", "NaN", "metadata 'field_cell' that is no number"),
        ("judged", "[1]", "metadata 'judged' that is not a list of 9 names"),
        ("categories", "[0,0,0,0,0,0,0,0,0]", "metadata 'categories' that is not a list of 9 names"),
    ],
)
def test_gallery_whose_words_do_not_fit(make_run: Make, key: str, text: str, got: str) -> None:
    folder, _ = make_run()
    with_gallery(folder, lambda arrays: None, **{key: text})
    assert refusal(folder).got == got


def test_log_passes_over_a_line_cut_short(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 0, "loss": 2.0}\n7\n{"step": 1, "lo', encoding="utf-8")
    assert read_log(tmp_path) == [{"step": 0, "loss": 2.0}]


def test_run_without_log_or_record_still_has_a_report(make_run: Make) -> None:
    folder, _ = make_run()
    (folder / "log.jsonl").unlink()
    (folder / "run.json").write_text("{", encoding="utf-8")
    page = write_report(folder).read_text(encoding="utf-8")
    assert "The run folder has no log of the fit" in page
    assert "Run record" not in page
