"""The page: self-contained, escaped, and true to diagnosis.json."""

import html
import json
import re
import stat
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_run import EVIL_CLASS, EVIL_FILE, make_diagnosis, make_gallery, number, write_run

from partscope.errors import RunError
from partscope.report import write_report

Make = Callable[..., tuple[Path, dict[str, Any]]]
VOID = {"meta", "link", "img", "input", "br", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Collects tags and text, and checks that tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.fields: list[tuple[dict[str, str | None], str]] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if attributes.get("id"):
            self.ids.append(str(attributes["id"]))
        if "data-field" in attributes:
            self.fields.append((attributes, ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data
        if self.fields and self.open[-1:] == ["span"] and self.fields[-1][1] == "":
            self.fields[-1] = (self.fields[-1][0], data)


def render(make_run: Make, **variant: Any) -> tuple[str, Page, dict[str, Any]]:
    folder, diagnosis = make_run(**variant)
    text = write_report(folder).read_text(encoding="utf-8")
    return text, Page(text), diagnosis


def atlas_of(text: str) -> str:
    found = re.search(r'<script type="application/json" class="atlas" data-run="">(.*?)</script>', text, re.S)
    assert found is not None
    return found[1]


def look_up(document: Any, field: str) -> Any:
    for key in field.split("."):
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def numbers_of(node: Any, path: str = "") -> list[str]:
    if isinstance(node, dict) and set(node) == {"value", "low", "high", "n"}:
        return [path]
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else []
    return [found for key, value in pairs for found in numbers_of(value, f"{path}.{key}" if path else str(key))]


VARIANTS = [{}, {"collapsed": True}, {"landmarks": False}, {"labels": False}]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_number_equals_the_diagnosis(make_run: Make, variant: dict[str, bool]) -> None:
    _, page, diagnosis = render(make_run, **variant)
    shown = set()
    for attributes, text in page.fields:
        field = str(attributes["data-field"])
        shown.add(field)
        truth = look_up(diagnosis, field)
        if isinstance(truth, dict):
            assert int(str(attributes["data-n"])) == truth["n"], field
            for key in ("low", "high"):
                assert json.loads(str(attributes[f"data-{key}"])) == truth[key], field
            truth = truth["value"]
        assert json.loads(str(attributes["data-value"])) == truth, field
        assert_reads_as(text, truth, str(attributes.get("data-kind")), diagnosis["crop"]["diagonal_px"])
    assert set(numbers_of(diagnosis)) <= shown
    for index, row in enumerate(diagnosis["filters"]):
        assert {f"filters.{index}.{key}" for key, value in row.items() if isinstance(value, float)} <= shown
    left_out = {f"counts.left_out.{key}" for key in ("train", "test", "unknown")}
    assert {f"counts.{key}" for key in diagnosis["counts"] if key != "left_out"} | left_out <= shown
    assert "(the first fault: bounding_boxes.txt, line 7, '<b>four</b>')" in page.text


def assert_reads_as(text: str, truth: Any, kind: str, diagonal: float) -> None:
    if isinstance(truth, bool):
        return
    if kind == "px":
        assert text == f"{truth * diagonal:.0f} px"
        return
    if truth is None:
        assert text in ("none", "not computed")
        return
    scale = 100 if kind in ("percent", "share") else 1
    read = float(text.replace("−", "-").replace(",", "").rstrip("%")) / scale
    assert read == pytest.approx(truth, abs=0.51 * {"percent": 1e-3, "share": 1e-4, "places": 0.1}.get(kind, 1e-3))


def test_missing_values_are_said_and_never_zero(tmp_path: Path) -> None:
    diagnosis = make_diagnosis()
    diagnosis["p"] = number(None, n=0)
    diagnosis["location_instability"]["released"]["tap"] = number(None, n=1)
    diagnosis["fidelity"]["full"]["fvu"][1] = number(None, n=0)
    diagnosis["filters"][0]["contribution"] = None
    diagnosis["counts"]["silent_maps"] = None
    folder = write_run(tmp_path, diagnosis, make_gallery(diagnosis, rows=3, images=2))
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    written = {str(a["data-field"]): text for a, text in page.fields}
    assert written["p"] == "not computed"
    assert written["location_instability.released.tap"] == "not computed"
    assert written["counts.silent_maps"] == "none"
    assert "p or the fidelity of the part track alone could not be computed" in page.text


def test_nothing_is_loaded_from_elsewhere(make_run: Make) -> None:
    text, page, _ = render(make_run)
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, value)
        assert not any(name.startswith("on") for name in attributes), tag
    assert "url(" not in text
    assert "fetch(" not in text and "XMLHttpRequest" not in text
    assert "@import" not in text
    assert "http:" not in text and "https:" not in text
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; img-src data:")


def test_names_are_escaped(make_run: Make) -> None:
    text, page, _ = render(make_run)
    assert EVIL_FILE not in text and json.dumps(EVIL_FILE)[1:-1] not in text
    assert EVIL_CLASS not in text
    assert json.loads(atlas_of(text))["names"].count(EVIL_FILE) == 1
    assert html.escape(EVIL_FILE) in text
    assert EVIL_CLASS in page.text
    assert [attributes.get("type") for tag, attributes in page.tags if tag == "script"] == ["application/json", None]
    assert "b" not in {tag for tag, _ in page.tags}


def test_page_can_be_read_without_seeing_it(make_run: Make) -> None:
    _, page, _ = render(make_run)
    assert page.tags[0] == ("html", {"lang": "en"})
    pictures = [a for tag, a in page.tags if tag == "canvas"]
    assert [a["class"] for a in pictures].count("tile") == 4 * 3
    assert [a["class"] for a in pictures].count("closeup") == 3 * 3
    assert all(a["role"] == "img" and re.match(r"Filter \d+ on .+: ", str(a["aria-label"])) for a in pictures)
    charts = [a for tag, a in page.tags if tag == "svg" and a.get("role") == "img"]
    assert len(charts) == 1 + 3 + 3
    assert all(len(str(chart["aria-label"])) > 10 for chart in charts)
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
    assert len(set(page.ids)) == len(page.ids)
    for tag, attributes in page.tags:
        target = str(attributes.get("href", ""))
        shown = re.fullmatch(r"#part-(\d+)", target)
        assert tag != "a" or (f"filter-{shown[1]}" if shown else target[1:]) in page.ids


def test_collapse_is_said_in_words(make_run: Make) -> None:
    _, page, _ = render(make_run, collapsed=True)
    assert "Warning: the filters have collapsed" in page.text
    assert "Most part filters point at nearly the same place in every image" in page.text
    assert "the filters have collapsed onto one place: spread 0.041 of the diagonal" in page.text
    assert "collapsed" in page.ids


def test_no_warning_without_cause(make_run: Make) -> None:
    _, page, _ = render(make_run)
    assert "Warning" not in page.text
    assert "collapsed" not in page.ids


def test_without_landmarks_the_page_says_what_is_absent(make_run: Make) -> None:
    text, page, _ = render(make_run, landmarks=False)
    assert "Not measured: the images carry no landmarks." in page.text
    assert "location instability: the images carry no landmarks" in page.text
    assert "chart-location" not in page.ids
    assert json.loads(atlas_of(text))["labels"] == {}
    assert "the filter’s best landmark" not in page.text


def test_p_carries_its_warning(make_run: Make) -> None:
    _, page, _ = render(make_run)
    assert "p is a gate between the two tracks, not a share of information." in page.text


def test_gallery_is_sorted_by_contribution(make_run: Make) -> None:
    _, page, diagnosis = render(make_run, rows=8)
    contribution = {row["filter"]: row["contribution"] for row in diagnosis["filters"]}
    order = [int(name.removeprefix("filter-")) for name in page.ids if re.fullmatch(r"filter-\d+", name)]
    assert len(order) == 8
    assert [contribution[f] for f in order] == sorted((contribution[f] for f in order), reverse=True)


def test_settings_and_provenance_are_all_there(make_run: Make) -> None:
    _, page, _ = render(make_run)
    for text in (
        "data.kind",
        "cub200",
        "fit.eta",
        "0.5",
        "data.mirror",
        "weights_digest",
        "seconds.fit",
        "versions.python",
    ):
        assert text in page.text


def test_full_gallery_stays_below_eight_megabytes(tmp_path: Path) -> None:
    diagnosis = make_diagnosis(filters=256)
    gallery = make_gallery(diagnosis, rows=100, images=12, count=200)
    draw = np.random.default_rng(0)  # twelve hundred photographs of noise: none is heavier
    gallery["images"] = draw.integers(0, 256, (200, 3, 96, 96), dtype=np.uint8)[np.arange(1200) % 200]
    for name in ("landmarks", "present", "image_contributions", "image_points", "image_peaks", "image_scores"):
        gallery[name] = gallery[name][np.arange(1200) % 200]
    gallery["image_index"] = np.arange(1200).reshape(100, 12)
    assert write_report(write_run(tmp_path, diagnosis, gallery)).stat().st_size < 8_000_000


def test_per_image_view_needs_a_gallery_that_has_it(make_run: Make) -> None:
    text, page, _ = render(make_run)
    pictures = json.loads(atlas_of(text))
    assert pictures["field"] == 99.0
    assert {"names", "photos", "parts", "images"} <= pictures.keys()
    assert "Not shown: the gallery of this run was written by an older version" not in page.text
    text, page, _ = render(make_run, whole=False, name="old")
    assert json.loads(atlas_of(text))["images"] is None
    assert "Not shown: the gallery of this run was written by an older version" in page.text


def test_each_part_says_how_much_its_filter_sees(make_run: Make) -> None:
    _, page, diagnosis = render(make_run)
    seen = [text for attributes, text in page.fields if str(attributes["data-field"]).endswith(".field_side")]
    assert seen == ["41 px", "58 px"]
    assert page.text.count("sees about41 px; theoretical 99 px") == 1
    assert page.text.count("sees aboutnot measured; theoretical 99 px") == 2
    assert "by covering 3 images of it. The covering square is 32 px wide" in page.text
    folder, _ = make_run(name="boundless")
    diagnosis["receptive_field"]["theoretical"] = None
    (folder / "diagnosis.json").write_text(json.dumps(diagnosis), encoding="utf-8")
    assert "sees about41 px; theoretical without bounds" in Page(write_report(folder).read_text(encoding="utf-8")).text
    del diagnosis["receptive_field"]  # as in version 0.1
    (folder / "diagnosis.json").write_text(json.dumps(diagnosis), encoding="utf-8")
    old = Page(write_report(folder).read_text(encoding="utf-8")).text
    assert "sees about" not in old and "covering square" not in old


def test_empty_gallery(tmp_path: Path) -> None:
    diagnosis = make_diagnosis(filters=3)
    gallery = make_gallery(diagnosis, rows=2, images=2)
    empty = {name: array if len(array) == 6 else array[:0] for name, array in gallery.items()}
    gallery = {
        **gallery,
        **{
            name: empty[name]
            for name in ("filters", "image_index", "points", "maps", "raw_maps", "field_maps", "field_images")
        },
    }
    folder = write_run(tmp_path, diagnosis, make_gallery(diagnosis, rows=2, images=2))
    from safetensors.numpy import save_file
    from synthetic_run import gallery_metadata

    metadata = gallery_metadata(make_gallery(diagnosis, rows=2, images=2))
    save_file(gallery, folder / "gallery.safetensors", metadata)
    assert "No filter is shown" in write_report(folder).read_text(encoding="utf-8")


def test_two_reports_of_one_run_are_identical(make_run: Make) -> None:
    folder, _ = make_run()
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first


def test_a_failed_write_leaves_the_old_report_and_no_litter(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = make_run()
    path = write_report(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.write_text("old", encoding="utf-8")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("partscope.files.os.fsync", full)
    with pytest.raises(RunError) as caught:
        write_report(folder)
    assert caught.value.doing == f"writing '{path}'"
    assert "No space left on device" in caught.value.got
    assert caught.value.todo.startswith("free some space")
    assert path.read_text(encoding="utf-8") == "old"
    assert not list(folder.glob(".*.tmp"))
