"""Pictures and charts."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from synthetic_run import GRID, LANDMARKS, SIDE, START, STRIDE, make_diagnosis, make_gallery, make_log

from partscope.report.charts import MARGIN, interval_chart, training_panels
from partscope.report.estimate import Estimate
from partscope.report.figures import BUDGET_BYTES, in_words, landmark_point, map_digits, map_frame, mark, photo_uris
from partscope.report.reading import Gallery


def gallery(rows: int = 3, images: int = 4) -> tuple[Gallery, dict]:
    diagnosis = make_diagnosis(filters=rows)
    arrays = make_gallery(diagnosis, rows=rows, images=images, whole=False)
    names = [f"bird_{index}.jpg" for index in range(len(arrays["images"]))]
    maps = {name: arrays.pop(name).astype(np.float32) for name in ("maps", "raw_maps")}
    return Gallery(**arrays, **maps, names=names, landmark_names=LANDMARKS), diagnosis


def decode(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


def test_map_lies_where_the_receptive_fields_are() -> None:
    frame = map_frame(gallery()[0])
    for left, size in ((frame.left, frame.width), (frame.top, frame.height)):
        for unit in (0, 5, GRID - 1):
            centre = (left + (unit + 0.5) / GRID * size) * SIDE / 100
            assert centre == pytest.approx(START + STRIDE * unit + 0.5, abs=1e-3)


def test_map_covers_the_image_where_its_peaks_tell_no_place() -> None:
    silent, _ = gallery()
    silent.raw_maps[:] = 0
    assert map_frame(silent) == (0.0, 0.0, 100.0, 100.0)


def test_marks_lie_on_pixel_centres() -> None:
    shown, diagnosis = gallery()
    facts = next(row for row in diagnosis["filters"] if row["filter"] == shown.filters[0])
    point, image = shown.points[0, 1], int(shown.image_index[0, 1])
    place = mark(shown, point)
    assert place.left == pytest.approx(100 * (point[1] + 0.5) / SIDE)
    assert place.top == pytest.approx(100 * (point[0] + 0.5) / SIDE)
    landmark = landmark_point(shown, image, facts["best_landmark"])
    assert landmark is not None
    assert landmark.tolist() == shown.landmarks[image, LANDMARKS.index(facts["best_landmark"])].tolist()
    said = in_words(shown, 0, 1, facts["filter"], facts["best_landmark"])
    assert said.startswith(
        f"Filter {facts['filter']} on {shown.names[image]}: part location at row {point[0]:g}, column "
    )
    assert f"; {facts['best_landmark']} at row {round(float(landmark[0]), 1):g}, column " in said


def test_silent_map_has_no_place_and_an_absent_landmark_no_mark() -> None:
    shown, diagnosis = gallery()
    shown.raw_maps[0, 0] = 0
    shown.present[shown.image_index[0, 0]] = 0
    facts = next(row for row in diagnosis["filters"] if row["filter"] == shown.filters[0])
    assert landmark_point(shown, int(shown.image_index[0, 0]), facts["best_landmark"]) is None
    assert landmark_point(shown, 0, "beak") is None
    assert in_words(shown, 0, 0, facts["filter"], facts["best_landmark"]).endswith(": the filter is silent")


def test_large_maps_are_averaged_down() -> None:
    maps = np.zeros((2, 4, 4), np.float32)
    maps[1, :2, :2] = 3.0
    digits = list(base64.b64decode(map_digits(maps, 3.0, 2)))
    assert digits == [0, 0, 0, 0, 255, 0, 0, 0]
    assert set(base64.b64decode(map_digits(maps, 0.0, 4))) == {0}


def test_photos_keep_within_their_budget_and_unused_ones_are_left_out() -> None:
    generator = np.random.default_rng(0)
    shown, _ = gallery(rows=2)
    noise = shown._replace(
        images=generator.integers(0, 256, (4, 3, 160, 160), dtype=np.uint8),
        image_index=np.tile(np.array([0, 1, 2, 0]), (60, 1)),
    )
    photos = photo_uris(noise)
    assert photos[3] == ""
    assert decode(photos[0]).size == (160, 160)
    assert sum(map(len, photos)) <= BUDGET_BYTES
    small = photo_uris(noise, 20_000)
    assert sum(map(len, small)) <= 20_000
    assert decode(small[0]).size[0] < 120


def test_interval_chart_places() -> None:
    rows = [
        ("a", Estimate("a", 0.5, 0.25, 1.0, 9), "0.5", "explainer"),
        ("b", Estimate("b", None, None, None, 0), "not computed", "null"),
        ("c", Estimate("c", 7.0, None, None, 9), "7", "null"),
    ]
    chart = interval_chart("x", "Title", rows, reference=(1.0, "mean"), cap=1.0)
    span = 100 - 2 * MARGIN
    assert chart.ticks[-1].label == "1"
    assert (chart.bars[0].low, chart.bars[0].at, chart.bars[0].high) == (
        pytest.approx(MARGIN + span / 4),
        pytest.approx(MARGIN + span / 2),
        pytest.approx(MARGIN + span),
    )
    assert chart.bars[1].at is None
    assert (chart.bars[2].at, chart.bars[2].beyond) == (100 - MARGIN, True)
    assert chart.in_words == "Title: a 0.5; b not computed; c 7"


@pytest.mark.parametrize(
    ("reach", "last"), [(0.0004, 0.0004), (0.161, 0.2), (0.95, 1.0), (1.0, 1.0), (1.3, 1.5), (73.0, 80.0)]
)
def test_axes_end_at_a_round_number(reach: float, last: float) -> None:
    chart = interval_chart("x", "t", [("a", Estimate("a", reach, None, None, 1), "", "null")])
    assert float(chart.ticks[-1].label) == pytest.approx(last)
    assert 3 <= len(chart.ticks) <= 6


def test_training_panels() -> None:
    panels = training_panels(make_log(1000), ["one", "two"])
    assert [panel.title for panel in panels] == ["Loss", "Mixing weight p", "FVU on the training batches"]
    assert [line.label for line in panels[2].lines] == ["one", "two"]
    assert (panels[1].bottom, panels[1].top) == ("0.000", "1.000")
    for panel in panels:
        for line in panel.lines:
            places = [tuple(map(float, pair.split(","))) for pair in line.points.split()]
            assert len(places) <= 240
            assert all(0 <= x <= 100 and 4 <= y <= 96 for x, y in places)
    first, *_, last = panels[0].lines[0].points.split()
    assert float(first.split(",")[1]) < 20 < 60 < float(last.split(",")[1])


def test_training_panels_pass_over_what_is_missing_or_not_finite() -> None:
    records = [
        {"step": 0, "loss": 2.0, "p": None},
        {"step": 1, "loss": float("nan"), "fvu": [0.5]},
        {"step": 2, "loss": 1.0, "fvu": "?"},
        {"epoch": 1},
    ]
    (panel,) = training_panels(records, ["one"])
    assert panel.title == "Loss"
    assert re.fullmatch(r"0\.00,[\d.]+ 100\.00,[\d.]+", panel.lines[0].points)
