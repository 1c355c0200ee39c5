"""axe-core finds no violation of WCAG 2.2 levels A and AA, in the page and in everything that opens over it."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_frontier import FITS

from partscope.report import write_comparison, write_report

Make = Callable[..., tuple[Path, dict[str, Any]]]
Open = Callable[..., Any]
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def axe() -> str:
    """The text of axe-core, which the package axe-playwright-python carries."""
    found = importlib.util.find_spec("axe_playwright_python")
    file = Path(str(found.origin)).parent / "axe.min.js" if found else None
    if file is None or not file.is_file():
        message = "there is no axe-core: install the development dependencies, pip install -e '.[dev]'"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return file.read_text(encoding="utf-8")


def faults(page: Any, axe: str) -> list[str]:
    page.wait_for_selector("html[data-drawn=all]")
    page.evaluate(axe)
    found = page.evaluate("levels => axe.run(document, {runOnly: levels, preload: false})", LEVELS)
    assert len(found["passes"]) > 10
    return [f"{fault['id']}: {node['html'][:160]}" for fault in found["violations"] for node in fault["nodes"]]


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("variant", [{"collapsed": True}, {"landmarks": False, "labels": False}], ids=["all", "bare"])
def test_page(make_run: Make, open_page: Open, axe: str, width: int, variant: dict[str, bool]) -> None:
    folder, diagnosis = make_run(**variant)
    if variant.get("collapsed"):
        import json

        (folder / "diagnosis.json").write_text(json.dumps({**diagnosis, "frontier": FITS}), encoding="utf-8")
    page = open_page(write_report(folder), width)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert faults(page, axe) == []


@pytest.mark.parametrize("width", [1280, 360])
def test_views(make_run: Make, open_page: Open, axe: str, width: int) -> None:
    folder, _ = make_run()
    page = open_page(write_report(folder), width)
    page.locator("#parts .open").first.click()
    assert faults(page, axe) == []
    page.locator("#part-view figcaption a").first.click()
    page.wait_for_selector("#image-view[open]")
    assert faults(page, axe) == []


@pytest.mark.parametrize("width", [1280, 360])
def test_comparison(make_run: Make, open_page: Open, axe: str, width: int) -> None:
    one, _ = make_run(name="one")
    other, _ = make_run(name="other", seed=3)
    assert faults(open_page(write_comparison(one, other), width), axe) == []
