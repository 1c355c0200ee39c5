"""Keeps the numbers of a run's diagnosis for the docs; the run itself may then be deleted.

Command:   python benchmarks/results.py NAME RUN     (e.g. alexnet_cub runs/alexnet_cub)
Expected:  at once.
Last result: the tables of docs/results.md, written by benchmarks/figures.py.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from figures import run_rows
from kept import keep

KEYS = (
    *("p", "part_share", "part_share_null", "fidelity", "location_instability", "landmark_r2", "keypoint_regression"),
    *("landmark_agreement", "diversity", "contributions", "mimic", "counts", "categories", "crop", "warnings"),
    *("frontier", "provenance"),
)
COMMANDS = {
    "demo": "partscope demo",
    "alexnet_cub": "examples/real_photos",
    "squeezenet_voc": "examples/real_photos",
}


def headline(found: dict[str, Any]) -> dict[str, Any]:
    """A diagnosis without its single filters."""
    fits = [f["best_landmark_r2"] for f in found["filters"] if f["best_landmark_r2"] is not None]
    others = sum(c["train"] for c in found["categories"] if c["name"] == "other")
    return {
        **{key: found[key] for key in KEYS if key in found},
        "best_landmark_r2": {"mean": statistics.mean(fits) if fits else None, "n": len(fits)},
        "parts": [part | {"filters": len(part["filters"])} for part in found.get("parts", [])],
        "named_categories": sum(c["name"] != "other" for c in found["categories"]),
        "seconds": sum(found["provenance"]["seconds"].values()),
        "share_other": others / found["counts"]["train_images"],
    }


def main() -> None:
    """Keeps and prints one run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=list(COMMANDS))
    parser.add_argument("run", type=Path)
    options = parser.parse_args()
    found = headline(json.loads((options.run / "diagnosis.json").read_text(encoding="utf-8")))
    keep(f"run_{options.name}", COMMANDS[options.name], found)
    for label, value in run_rows(found):
        print(f"{label}: {value}")


if __name__ == "__main__":
    main()
