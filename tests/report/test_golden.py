"""The page looks as it did when a person last looked at it.

The golden pictures are screenshots of an invented run, shrunk to `SIDE` pixels of width. Shrinking leaves layout,
colour and weight and takes away the edges of letters, which differ between machines. A page may differ from its picture
by 4 % of its height (lines break elsewhere with other fonts), by `MEAN` levels of 255 on average, and by more than
`FAR` levels on at most `SHARE` of its pixels. After a change that is meant, look at the new pictures and keep them:

    PARTSCOPE_GOLDEN=write pytest tests/report/test_golden.py
"""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from synthetic_run import make_diagnosis, make_gallery, write_run
from test_frontier import FITS

from partscope.report import write_comparison, write_report

GOLDEN = Path(__file__).parent / "golden"
SIDE, MEAN, FAR, SHARE = 120, 7.0, 60, 0.05
Open = Callable[..., Any]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    diagnosis = {**make_diagnosis(), "frontier": FITS}
    folder = tmp_path_factory.mktemp("golden") / "run"
    write_run(folder, json.loads(json.dumps(diagnosis)), make_gallery(diagnosis, rows=8, images=6))
    write_report(folder)
    other = make_diagnosis(seed=3)
    write_comparison(folder, write_run(folder.parent / "other", other, make_gallery(other, rows=8, images=6, seed=3)))
    return folder


def shrunk(shot: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    return picture.resize((SIDE, round(picture.height * SIDE / picture.width)), Image.Resampling.BOX)


def check(name: str, shot: bytes, tmp_path: Path) -> None:
    found, kept = shrunk(shot), GOLDEN / f"{name}.png"
    if os.environ.get("PARTSCOPE_GOLDEN") == "write":
        found.quantize(128, dither=Image.Dither.NONE).save(kept, optimize=True)
    wanted = Image.open(kept).convert("RGB")
    assert abs(found.height - wanted.height) <= 0.04 * wanted.height, f"{found.size}, not {wanted.size}"
    found.save(tmp_path / f"{name}.png")
    shape = wanted.size[0], min(found.height, wanted.height)
    far = np.abs(
        np.subtract(*(np.asarray(each.resize(shape, Image.Resampling.BOX), float) for each in (found, wanted)))
    )
    assert far.mean() <= MEAN, f"{far.mean():.1f} levels from {kept}: compare {tmp_path / name}.png"
    share = (far.max(-1) > FAR).mean()
    assert share <= SHARE, f"{100 * share:.1f} % of the pixels are far from {kept}: compare {tmp_path / name}.png"


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_page(run: Path, open_page: Open, width: int, tmp_path: Path) -> None:
    page = open_page(run / "report.html", width)
    page.wait_for_selector("html[data-drawn=all]")
    check(f"page-{width}", page.screenshot(full_page=True), tmp_path)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_part(run: Path, open_page: Open, width: int, tmp_path: Path) -> None:
    page = open_page(run / "report.html", width)
    page.locator("#parts .open").nth(1).click()
    page.wait_for_function("[...document.querySelectorAll('#part-view canvas')].every((each) => each.height === 300)")
    check(f"part-{width}", page.screenshot(), tmp_path)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_image(run: Path, open_page: Open, width: int, tmp_path: Path) -> None:
    page = open_page(run / "report.html", width)
    page.locator("#thumbs a").nth(2).click()
    page.wait_for_function("document.querySelector('#image-view canvas').height === 560")
    check(f"image-{width}", page.screenshot(), tmp_path)


@pytest.mark.parametrize("width", [360, 1280])
def test_comparison(run: Path, open_page: Open, width: int, tmp_path: Path) -> None:
    page = open_page(run / "comparison.html", width)
    page.wait_for_selector("html[data-drawn=all]")
    check(f"comparison-{width}", page.screenshot(full_page=True), tmp_path)
