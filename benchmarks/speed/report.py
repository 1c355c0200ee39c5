"""Seconds to write a report of 100 filters x 12 images, its size, and the time until a browser paints it.

Command:   python benchmarks/speed/report.py [--keep]
Expected:  a minute or two; needs Debian's chromium.
Last result: docs/results.md, "The report"; `--keep` keeps the rows for benchmarks/figures.py.

The run is invented (tests/report/synthetic_run.py): 256 filters, 1200 photographs of 227 x 227 px, no two alike.
"First paint" is the browser's own first-contentful-paint, "all pictures" the moment when every canvas is drawn, both in
milliseconds since the page was asked for; medians of five loads in fresh tabs.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[2] / "tests" / "report"))
from kept import keep
from synthetic_run import make_diagnosis, make_gallery, write_run

from partscope.report import write_report

CHROMIUM = "/usr/bin/chromium"
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def invented(folder: Path) -> Path:
    """A run of 100 shown filters with 12 images each."""
    diagnosis = make_diagnosis(filters=256)
    drawn = make_gallery(diagnosis, rows=100, images=12, count=120)
    repeats = np.arange(1200) % 120
    of_images = [name for name, array in drawn.items() if len(array) == 120]
    gallery = drawn | {name: drawn[name][repeats] for name in of_images}
    shift = np.random.default_rng(0).integers(-40, 40, (1200, 3, 1, 1))
    gallery["images"] = np.clip(gallery["images"].astype(np.int16) + shift, 0, 255).astype(np.uint8)
    gallery["image_index"] = np.arange(1200).reshape(100, 12)
    return write_run(folder, diagnosis, gallery)


def main() -> None:
    """Writes once, loads five times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = invented(Path(temporary) / "run")
        started = time.perf_counter()
        path = write_report(folder)
        written = time.perf_counter() - started
        paints, complete = [], []
        with playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]) as browser:
            for _ in range(6):
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(path.as_uri())
                page.wait_for_selector("html[data-drawn=all]", timeout=120_000)
                complete.append(page.evaluate("performance.now()") / 1000)
                paints.append(page.evaluate(PAINT) / 1000)
                page.close()
        rows = {
            "size (MB)": path.stat().st_size / 1e6,
            "writing (s)": written,
            "first paint (s)": statistics.median(paints[1:]),
            "all pictures drawn (s)": statistics.median(complete[1:]),
        }
    for label, value in rows.items():
        print(f"{label}: {value:.2f}")
    if options.keep:
        keep("report", "python benchmarks/speed/report.py --keep", {"rows": rows})


if __name__ == "__main__":
    main()
