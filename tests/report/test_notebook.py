"""What a notebook shows of a run."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from synthetic_run import EVIL_CLASS
from test_html import Page

from partscope import open_diagnosis
from partscope.errors import RunError

Make = Callable[..., tuple[Path, dict[str, Any]]]


def test_a_diagnosis_shows_its_headlines(make_run: Make) -> None:
    folder, document = make_run()
    shown = open_diagnosis(folder)
    assert repr(shown) == "DiagnosisView('alexnet', 40 filters)"
    assert shown.estimate("p").value == document["p"]["value"]
    page = Page(shown._repr_html_())
    assert "An explainer with 40 part filters" in page.text
    for text in ("Location instability", "0.094", "0.091 to 0.098", "2.3%", "38.4", "1,854"):
        assert text in page.text
    assert {tag for tag, _ in page.tags} <= {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}


def test_a_part_shows_its_images_with_rings(make_run: Make) -> None:
    folder, _ = make_run(rows=3, images=5)
    parts = open_diagnosis(folder).parts
    assert len(parts) == 3
    text = parts[0]._repr_html_()
    page = Page(text)
    assert EVIL_CLASS in page.text and EVIL_CLASS not in text
    facts = parts[0].facts
    assert repr(parts[0]) == f"Part(filter={facts['filter']}, category={EVIL_CLASS!r})"
    assert f"{100 * facts['contribution']:.2f}% of the score; best landmark {facts['best_landmark']}" in page.text
    (alt,) = (str(a["alt"]) for tag, a in page.tags if tag == "img")
    assert alt.count(f"Filter {facts['filter']} on ") == 5
    found = re.search(r"base64,([^\"]+)", text)
    assert found is not None
    picture = Image.open(io.BytesIO(base64.b64decode(found[1])))
    assert picture.size == (5 * 124 - 4, 120)


def test_a_ring_lies_around_the_peak(make_run: Make) -> None:
    folder, _ = make_run(rows=2, images=3)
    part = open_diagnosis(folder).parts[0]
    ringed = np.asarray(part.picture(), float)
    part._gallery.raw_maps[:] = 0  # silent: no ring
    rows, columns = np.nonzero(np.abs(ringed - np.asarray(part.picture(), float)).max(-1)[:, :120])
    row, column = part._gallery.points[0, 0]
    assert (rows.min() + rows.max()) / 2 == pytest.approx((row + 0.5) * 120 / 227, abs=1.5)
    assert (columns.min() + columns.max()) / 2 == pytest.approx((column + 0.5) * 120 / 227, abs=1.5)


def test_a_folder_without_a_diagnosis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such file"):
        open_diagnosis(tmp_path)
