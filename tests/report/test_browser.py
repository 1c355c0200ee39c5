"""The page in a real browser, offline."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from partscope.report import write_report

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Make = Callable[..., tuple[Path, dict[str, Any]]]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not CHROMIUM.exists():
        message = f"there is no Chromium at {CHROMIUM}: install the Debian package 'chromium'"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        profile = tmp_path_factory.mktemp("profile")
        launch = playwright.chromium.launch_persistent_context
        with launch(profile, executable_path=CHROMIUM, args=FLAGS, offline=True) as context:
            yield context


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    troubles: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: troubles.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("requestfailed", lambda request: troubles.append(f"failed: {request.url[:80]}"))
    page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: _only_local(request.url, troubles))

    def open_at(path: Path, width: int) -> Any:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(path.as_uri())
        return page

    yield open_at
    page.close()
    assert troubles == []


def _only_local(url: str, troubles: list[str]) -> None:
    if not url.startswith(("file:", "data:")):
        troubles.append(f"request: {url[:80]}")


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("variant", [{}, {"landmarks": False, "labels": False}], ids=["landmarks", "bare"])
def test_page_shows_without_a_complaint(
    make_run: Make, open_page: Callable[..., Any], width: int, variant: dict[str, bool]
) -> None:
    folder, _ = make_run(**variant)
    page = open_page(write_report(folder), width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    shot = page.screenshot(full_page=True)
    assert shot.startswith(b"\x89PNG")
    assert len(shot) > 50_000
    assert page.locator("h1").inner_text() == "Object parts in alexnet"


def test_table_sorts_by_mouse_and_keyboard(make_run: Make, open_page: Callable[..., Any]) -> None:
    folder, diagnosis = make_run()
    page = open_page(write_report(folder), 1200)
    shares = [row["contribution"] for row in diagnosis["filters"]]

    def column(place: int) -> list[str]:
        return page.locator(f"table.sortable tbody tr > :nth-child({place})").evaluate_all(
            "cells => cells.map(c => c.dataset.sort)"
        )

    head = page.locator("table.sortable th", has_text="Contribution")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(value) for value in column(3)] == sorted(shares, reverse=True)
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(value) for value in column(3)] == sorted(shares)
    page.locator("table.sortable button", has_text="R²").click()
    assert head.get_attribute("aria-sort") is None
    explained = column(9)
    assert explained[-1] == ""
    known = [float(value) for value in explained[:-1]]
    assert known == sorted(known, reverse=True)
    page.locator("table.sortable button", has_text="R²").click()
    assert column(9) == [*explained[-2::-1], ""]
    page.locator("table.sortable button", has_text="Best landmark").click()
    assert column(8)[:-1] == sorted(column(8)[:-1])


def test_overlay_can_be_changed(make_run: Make, open_page: Callable[..., Any]) -> None:
    folder, _ = make_run()
    page = open_page(write_report(folder), 1200)
    masked, raw, ring = (page.locator(f".tile {name}").first for name in (".map.masked", ".map.raw", ".ring"))
    assert (masked.is_visible(), raw.is_visible(), ring.is_visible()) == (True, False, True)
    page.get_by_label("before the mask").check()
    assert (masked.is_visible(), raw.is_visible()) == (False, True)
    page.get_by_label("none", exact=True).check()
    assert (masked.is_visible(), raw.is_visible()) == (False, False)
    page.get_by_label("show marks").uncheck()
    assert not ring.is_visible()
