"""Receptive fields for the report: of which filters, on which images, and what the diagnosis and the gallery say."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from diagnosis.small_subject import PHOTOS, seen_of, toy_subject
from partscope import DiagnoseSettings
from partscope.diagnosis import Diagnosed, Subject, field_facts, make_gallery, measure_fields, measure_shown
from partscope.diagnosis.diagnose import measure
from partscope.diagnosis.gallery import choose_filters, strongest_images
from partscope.diagnosis.layers import explainer_layer
from partscope.diagnosis.receptive_fields import CELLS, EmpiricalField, cell_side, in_cells
from partscope.diagnosis.shown_fields import COARSE, in_turn

SETTINGS = DiagnoseSettings(resamples=20, gallery_filters=4, gallery_images=4, fields=2)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return toy_subject()


@pytest.fixture(scope="module")
def found(subject: Subject) -> Diagnosed:
    return measure(subject, seen_of(subject), SETTINGS)


def image(i: int) -> torch.Tensor:
    return PHOTOS[i].image


def shown(subject: Subject, found: Diagnosed, settings: DiagnoseSettings = SETTINGS) -> tuple[list[Any], Any]:
    *steps, fields = measure_shown(subject, found, image, settings)
    return steps, fields


def test_categories_take_turns() -> None:
    category = torch.tensor([0, 0, 0, 1, 2])
    assert in_turn([0, 1, 2, 3, 4], category, 4) == [0, 3, 4, 1]
    assert in_turn([2, 1, 3], category, 9) == [2, 3, 1]
    assert in_turn([2, 1, 3], category, 0) == []


def test_the_strongest_filters_are_measured_on_their_strongest_images(subject: Subject, found: Diagnosed) -> None:
    steps, fields = shown(subject, found)
    chosen = in_turn(choose_filters(found, SETTINGS), found.assignment.category, 2)
    assert list(fields) == chosen and len(chosen) == 2
    assert steps and all(done <= total for done, total in steps) and steps[-1][0] == steps[-1][1]
    score = found.seen.explainer.score
    layer = explainer_layer(subject.explainer, subject.performer, subject.store.rows([0]).tap)
    for f in chosen:
        mine = found.assignment.valid[:, f].nonzero().flatten()
        best = mine[score[mine, f].argsort(descending=True, stable=True)][:3].tolist()
        *_, (alone,) = measure_fields(subject.performer, layer, [(f, best)], image, COARSE)
        torch.testing.assert_close(fields[f].average, alone.average)
        assert fields[f].images == 3


def test_nothing_is_covered_for_no_filter(subject: Subject, found: Diagnosed) -> None:
    assert shown(subject, found, replace(SETTINGS, fields=0)) == ([], {})
    silent = found._replace(assignment=found.assignment._replace(valid=torch.zeros_like(found.assignment.valid)))
    assert shown(subject, silent) == ([], {})


def test_filters_that_are_seldom_active_have_fewer_images(found: Diagnosed) -> None:
    valid = torch.zeros_like(found.assignment.valid)
    valid[3:5, 0] = True
    rare = found._replace(assignment=found.assignment._replace(valid=valid))
    assert {f: sorted(rows) for f, rows in strongest_images(rare, [0, 1], 3).items()} == {0: [3, 4], 1: []}


def test_squares_cover_every_pixel_equally_often() -> None:
    """On a crop that the square's side divides well: two places in each direction, away from the edges."""
    from partscope.diagnosis.receptive_fields import covering

    cover = covering(COARSE, 224)
    assert (cover.side, cover.stride) == (32, 16) and len(cover.corners) == 13 * 13
    times = torch.zeros(224, 224)
    for top, left in cover.corners.tolist():
        times[top : top + 32, left : left + 32] += 1
    assert set(times[16:-16, 16:-16].unique().tolist()) == {4.0}


@pytest.mark.parametrize("size", [32, 96, 224, 227, 299])
def test_cells_keep_the_unit_in_the_middle(size: int) -> None:
    side, canvas = cell_side(size), torch.zeros(2 * size + 1, 2 * size + 1)
    assert side % 2 == 1 and side * CELLS >= 2 * size + 1
    canvas[size, size] = 4.0
    cells = in_cells(canvas)
    assert cells.shape == (CELLS, CELLS) and cells.nonzero().tolist() == [[CELLS // 2, CELLS // 2]]
    assert float(cells.max()) == 1.0
    canvas[:] = 0
    canvas[size + side, size] = 1.0
    assert in_cells(canvas).nonzero().tolist() == [[CELLS // 2 + 1, CELLS // 2]]
    assert not in_cells(0 * canvas).any()


def test_the_diagnosis_says_how_large_they_are(subject: Subject, found: Diagnosed) -> None:
    _, fields = shown(subject, found)
    one, other = fields
    fields[other] = fields[other]._replace(side=math.nan)
    facts = field_facts(subject, found.content, fields)
    diagonal = 32 * math.sqrt(2)
    assert facts["receptive_field"] == {
        "theoretical": pytest.approx(
            (6 + 4 * 4) / diagonal
        ),  # conv 3x3 and pool 4, then two convs 3x3 on a grid of 4 px
        "square": pytest.approx(5 / diagonal),
        "step": pytest.approx(2 / diagonal),
        "images": 3,
    }
    rows = {row["filter"]: row for row in facts["filters"]}
    assert rows[one]["field_side"] == pytest.approx(fields[one].side / diagonal) and fields[one].side > 1
    assert rows[other]["field_side"] is None
    assert {f for f, row in rows.items() if "field_side" in row} == {one, other}
    assert field_facts(subject, found.content, {})["receptive_field"]["images"] == 0
    assert [row for row in facts["filters"] if row["filter"] not in fields] == [
        row for row in found.content["filters"] if row["filter"] not in fields
    ]


def test_the_gallery_keeps_them_small(subject: Subject, found: Diagnosed) -> None:
    _, fields = shown(subject, found)
    tensors, metadata = make_gallery(subject, found, fields, image, PHOTOS.names(), SETTINGS)
    assert json.loads(metadata["field_cell"]) == cell_side(32) == 1
    for row, f in enumerate(tensors["filters"].tolist()):
        known: EmpiricalField | None = fields.get(f)
        assert int(tensors["field_images"][row]) == (known.images if known else 0)
        expected = in_cells(known.average) if known else torch.zeros(CELLS, CELLS)
        torch.testing.assert_close(tensors["field_maps"][row].float(), expected, atol=1e-3, rtol=0)
    assert int(tensors["field_images"].bool().sum()) == 2
