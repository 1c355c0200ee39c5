"""Performers trained as the paper trains them, on real photographs: test errors beside chance and a random twin.

Command:   python benchmarks/performers.py --data ROOT [--only NAME ...] [--keep]
Expected:  about 20 minutes on two cores; 2 GB in a temporary folder.
Last result: docs/results.md, "Trained performers"; `--keep` keeps the rows for benchmarks/figures.py.

The step size of each row and start is the one of two with the lower validation loss; the test images are never asked.
"""

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kept import has_kept, keep, kept
from rich.console import Console

from partscope import DataSettings, PerformerSettings, TrainJob, TrainSettings, train_performer

VOC = DataSettings(kind="coco", folder="voc_part", negatives="negatives")
CUB = DataSettings(kind="cub200", folder="CUB_200_2011", single_category="bird", negatives="negatives")
ALEXNET = PerformerSettings(name="alexnet_bvlc", weights="weights/alexnet_bvlc_features.safetensors")
RESNET = PerformerSettings(name="resnet50_v1", weights="weights/resnet50_v1_to_layer3.safetensors")
SINGLE, MULTI = TrainSettings(labels="single", epochs=12), TrainSettings(labels="multi", epochs=12)
UPPER = TrainSettings(from_layer="layer4", epochs=6, batch_size=32, mirror=False)


def _voc(*categories: str) -> TrainJob:
    """AlexNet on one animal against negatives, or on several animals."""
    data = VOC if len(categories) == 1 else replace(VOC, negatives=None)
    train = replace(SINGLE if len(categories) == 1 else MULTI, mirror=False)
    return TrainJob(data=replace(data, categories=categories), performer=ALEXNET, train=train)


ROWS: dict[str, tuple[TrainJob, tuple[float, ...]]] = {
    "alexnet_cub": (TrainJob(data=CUB, performer=ALEXNET, train=SINGLE), (1e-4, 3e-4)),
    "alexnet_cat": (_voc("cat"), (3e-4,)),
    "alexnet_dog": (_voc("dog"), (3e-4,)),
    "alexnet_horse": (_voc("horse"), (3e-4,)),
    "alexnet_voc_multi": (_voc("cat", "dog", "horse"), (1e-4, 3e-4)),
    "resnet50_voc_multi": (
        TrainJob(data=replace(VOC, negatives=None), performer=RESNET, train=UPPER),
        (1e-4, 5e-4),
    ),
}
"""Jobs by name, and the step sizes to choose from: a single animal takes that of the birds."""


def trained(job: TrainJob, rates: tuple[float, ...], folder: Path, console: Console) -> dict[str, Any]:
    """Trains with each step size on the same features; returns what is told of the least validation loss."""
    found = []
    for number, rate in enumerate(rates):
        here = folder / str(number)
        stage = ""
        for event in train_performer(replace(job, train=replace(job.train, learning_rate=rate)), here):
            if event.stage == "learning" != stage and number + 1 < len(rates):
                following = folder / str(number + 1) / "features"
                shutil.copytree(here / "features", following, copy_function=os.link)
            stage = event.stage
            console.print(f"{stage} {event.done}/{event.total}", end="\r")
        run = json.loads((here / "run.json").read_text(encoding="utf-8"))
        found.append({**run, "learning_rate": rate})
        shutil.rmtree(here)
    best = min(found, key=lambda run: run["validation"]["loss"])
    wanted = ("test", "chance", "validation", "best_epoch", "images", "negatives", "category_images", "learning_rate")
    seconds = sum(sum(run["seconds"].values()) for run in found)
    return {**{key: best[key] for key in wanted}, "seconds": seconds, "memory_gib": best["peak_memory_gib"]}


def rows(names: list[str], data: Path, console: Console) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each row with pre-trained and with random weights."""
    for name in names:
        job, rates = ROWS[name]
        job = replace(
            job,
            data=replace(job.data, root=str(data)),
            performer=replace(job.performer, weights=str(data / str(job.performer.weights))),
        )
        for start in ("pretrained", "random"):
            with tempfile.TemporaryDirectory() as folder:
                begun = replace(job, train=replace(job.train, start=start))
                yield name, start, trained(begun, rates, Path(folder), console)


def main() -> None:
    """Trains every row and prints one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs and weights")
    parser.add_argument("--only", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--keep", action="store_true", help="keep the rows beside those of other names")
    options = parser.parse_args()
    measured: dict[str, Any] = kept("performers")["rows"] if has_kept("performers") else {}
    for name, start, row in rows(options.only, options.data, Console(stderr=True)):
        measured.setdefault(name, {})[start] = row
        shown = {
            key: (f"{n['value']:.4f} ({n['low']:.4f} to {n['high']:.4f})", n["n"]) for key, n in row["test"].items()
        }
        chance = {key: round(n["value"], 4) for key, n in row["chance"].items()}
        print(name, start, shown, "chance", chance, f"lr {row['learning_rate']}", f"{row['seconds']:.0f} s", flush=True)
        if options.keep:
            keep("performers", "python benchmarks/performers.py --data ROOT --keep", {"rows": measured})


if __name__ == "__main__":
    main()
