"""The picture of parts in the README: the first section of a run's report, as a browser shows it.

Command:   python benchmarks/montage.py RUN [--out docs/pictures/creatures-parts.png]
Expected:  a few seconds; needs Debian's chromium. RUN is the folder of `partscope demo`, diagnosed by this version.
Last result: docs/pictures/creatures-parts.png, shown in README.md.
"""

import argparse
import io
from pathlib import Path

from PIL import Image

from partscope.report import write_report

CHROMIUM = "/usr/bin/chromium"
OUT = Path(__file__).parents[1] / "docs" / "pictures" / "creatures-parts.png"
PADDING = 8


def montage(run: Path) -> Image.Image:
    """Close-ups of the parts that move the score most."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 920, "height": 900})
        page.goto(write_report(run).as_uri())
        page.wait_for_selector("html[data-drawn=all]")
        box = page.locator("#glance .columns").bounding_box()
        clip = {
            "x": box["x"] - PADDING,
            "y": box["y"] - PADDING,
            "width": box["width"] + 2 * PADDING,
            "height": box["height"] + 2 * PADDING,
        }
        shot = page.screenshot(clip=clip, full_page=True)
        browser.close()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def main() -> None:
    """Writes the picture with 256 colours."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    montage(options.run).quantize(256, dither=Image.Dither.NONE).save(options.out, optimize=True)
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
