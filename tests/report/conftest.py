import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import make_diagnosis, make_gallery, write_run

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
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
]


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., tuple[Path, dict[str, Any]]]:
    def make(
        rows: int = 4, images: int = 3, name: str = "run", whole: bool = True, **variant: Any
    ) -> tuple[Path, dict[str, Any]]:
        diagnosis = make_diagnosis(**variant)
        gallery = make_gallery(diagnosis, rows=rows, images=images, whole=whole)
        return write_run(tmp_path / name, diagnosis, gallery), diagnosis

    return make


@pytest.fixture(scope="session")
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
