"""What the page's script is given to draw."""

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
from synthetic_run import CELL, EVIL_CLASS, GRID, LANDMARKS, SIDE, make_diagnosis, make_gallery

from partscope.report.atlas import PARTS_PER_IMAGE, as_script, atlas
from partscope.report.estimate import Diagnosis
from partscope.report.reading import Gallery, ImageFacts, MeasuredFields


def pictures(**variant: Any) -> tuple[dict[str, Any], Gallery, dict[str, Any]]:
    diagnosis = make_diagnosis(**variant)
    arrays = make_gallery(diagnosis, rows=4, images=3)
    facts = ImageFacts(
        *(arrays.pop(f"image_{name}") for name in ("contributions", "points", "peaks", "scores")),
        judged=[EVIL_CLASS] * 9,
        categories=[EVIL_CLASS] * 8 + [None],
    )
    maps = {name: arrays.pop(name).astype(np.float32) for name in ("maps", "raw_maps")}
    measured = MeasuredFields(arrays.pop("field_maps").astype(np.float32), arrays.pop("field_images"), CELL)
    names = [f"{index}.jpg" for index in range(9)]
    field = {"start": 17.0, "stride": 16.0, "size": 99.0}
    gallery = Gallery(
        **arrays, **maps, names=names, landmark_names=LANDMARKS, facts=facts, field=field, measured=measured
    )
    return atlas(Diagnosis(diagnosis), gallery), gallery, diagnosis


def test_maps_are_read_back_as_they_were() -> None:
    found, gallery, _ = pictures()
    assert found["map"] == [GRID, GRID]
    for row, filter_ in enumerate(gallery.filters.tolist()):
        largest = gallery.raw_maps[row].max()
        for name, maps in (("masked", gallery.maps), ("raw", gallery.raw_maps)):
            digits = np.frombuffer(base64.b64decode(found["parts"][str(filter_)][name]), np.uint8)
            expected = maps[row] / largest if largest > 0 else maps[row]
            np.testing.assert_allclose(digits.reshape(maps[row].shape) / 255, expected, atol=0.5 / 255 + 1e-6)


def test_parts_have_their_places_and_contributions() -> None:
    found, gallery, diagnosis = pictures()
    assert gallery.facts is not None
    column = {row["filter"]: index for index, row in enumerate(diagnosis["filters"])}
    for row, filter_ in enumerate(gallery.filters.tolist()):
        part = found["parts"][str(filter_)]
        assert part["images"] == gallery.image_index[row].tolist()
        moved = gallery.facts.contributions[part["images"], column[filter_]]
        assert part["moved"] == pytest.approx(moved.tolist(), rel=1e-4)
        for place, point in enumerate(part["points"]):
            if gallery.raw_maps[row, place].max() <= 0:
                assert point is None
            else:
                expected = [100 * (gallery.points[row, place, axis] + 0.5) / SIDE for axis in (1, 0)]
                assert point == pytest.approx(expected, abs=0.006)


def test_outlines_enclose_what_was_measured() -> None:
    """Ovals whose middle lies 6 px above and 4 px right of the unit, of the areas that the diagnosis names."""
    found, gallery, diagnosis = pictures()
    rows = {row["filter"]: row for row in diagnosis["filters"]}
    known = 0
    for filter_ in gallery.filters.tolist():
        part = found["parts"][str(filter_)]
        side = rows[filter_].get("field_side", 0) * SIDE * math.sqrt(2)
        if not side:
            assert part["outline"] == [] and part["measured"] == 0
            continue
        (line,) = part["outline"]
        x, y = np.array(line).reshape(-1, 2).T
        assert (x[0], y[0]) == (x[-1], y[-1]) and part["measured"] == 3
        assert (x.min() + x.max()) / 2 == pytest.approx(4, abs=1)
        assert (y.min() + y.max()) / 2 == pytest.approx(-6, abs=1)
        area = abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2
        assert area == pytest.approx(side**2, rel=0.05)
        known += 1
    assert known == 2
    assert all(
        not part["outline"] for part in atlas(Diagnosis(diagnosis), gallery._replace(measured=None))["parts"].values()
    )


def test_an_images_parts_are_those_that_moved_its_score_most() -> None:
    found, gallery, diagnosis = pictures()
    facts = gallery.facts
    assert facts is not None
    ids = [row["filter"] for row in diagnosis["filters"]]
    for image, shown in enumerate(found["images"]):
        active = [f for f in range(len(ids)) if facts.peaks[image, f] > 0]
        moved = facts.contributions[image]
        strongest = sorted(active, key=lambda f: -abs(moved[f]))[:PARTS_PER_IMAGE]
        assert [part[0] for part in shown["parts"]] == [ids[f] for f in strongest]
        assert shown["sum"] == pytest.approx(sum(float(moved[f]) for f in active), rel=1e-4)
        assert shown["active"] == len(active)
        assert shown["category"] == (None if image == 8 else EVIL_CLASS)


def test_silent_filters_do_not_crowd_out_the_others() -> None:
    """A filter that is silent added nothing; one with a large number there must not take a place in the list."""
    diagnosis = make_diagnosis()
    _, gallery, _ = pictures()
    assert gallery.facts is not None
    gallery.facts.contributions[0, :5] = 99.0
    gallery.facts.peaks[0, :5] = -1.0
    shown = atlas(Diagnosis(diagnosis), gallery)["images"][0]
    assert len(shown["parts"]) == PARTS_PER_IMAGE
    assert max(abs(part[1]) for part in shown["parts"]) < 99


def test_no_tag_can_begin_or_end_inside_the_script() -> None:
    text = as_script({"a": "</script><!--<b>&amp;"})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": "</script><!--<b>&amp;"}
