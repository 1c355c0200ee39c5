"""The explainer's bench: recipes over tasks and seeds, every number with its interval.

Command:   python benchmarks/explainer/bench.py --root DATA [--stage test] [--recipes NAME ...] [--tasks NAME ...]
Expected:  a minute a run for creatures, cat and horse, up to ten for birds on two cores.
Last result: docs/results.md, "The explainer's bench".
"""

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from recipes import RECIPES
from tasks import TASKS, located, split

from partscope import Job, fit, resolve
from partscope.performers.catalogue import row_of


def changed(job: Job, changes: dict[str, Any]) -> Job:
    """The job with settings given by dotted names."""
    for key, value in changes.items():
        group, name = key.split(".")
        job = replace(job, **{group: replace(getattr(job, group), **{name: value})})
    return job


def measure(task: str, changes: dict[str, Any], seed: int, stage: str, root: Path | None, work: Path) -> dict[str, Any]:
    """One run's row, from its folder if it is there."""
    job = changed(located(TASKS[task], root), changes)
    job = resolve(changed(job, {"fit.seed": seed}))
    images = "".join(f"-{k.split('.')[1]}={v}" for k, v in sorted(changes.items()) if k.startswith("data."))
    base = work / f"{task}-{stage}{images}"
    tag = "_".join([f"{k.split('.')[1]}={v}" for k, v in sorted(changes.items())] + [f"s{seed}"]).replace("/", "-")
    out = base / (tag[:180] or "default")
    row_file = out / "row.json"
    if row_file.exists():
        row: dict[str, Any] = json.loads(row_file.read_text())
        return row
    out.mkdir(parents=True, exist_ok=True)
    (base / "features").mkdir(exist_ok=True)
    if not (out / "features").exists():
        (out / "features").symlink_to(base / "features")
    head = base / "performer.safetensors"
    size = job.performer.input_size or row_of(job.performer)[1].input_size
    started = time.perf_counter()
    for event in fit(job, out, photos=split(job, size, stage)):  # type: ignore[arg-type]
        if event.stage == "loading" and head.exists() and not (out / "performer.safetensors").exists():
            os.link(head, out / "performer.safetensors")
        if event.record and event.done % max(1, event.total // 4) == 0:
            print(
                f"    {event.done}/{event.total} {event.record.p:.3f} {event.record.fvu}", file=sys.stderr, flush=True
            )
    if not head.exists() and (out / "performer.safetensors").exists():
        os.link(out / "performer.safetensors", head)
    row = figures(json.loads((out / "diagnosis.json").read_text()))
    row["wall"] = time.perf_counter() - started
    row_file.write_text(json.dumps(row))
    for name in ("training.safetensors", "gallery.safetensors", "report.html"):
        (out / name).unlink(missing_ok=True)
    return row


def figures(found: dict[str, Any]) -> dict[str, Any]:
    """What one run is judged by."""
    released, everywhere = (found["location_instability"][k] for k in ("released", "all"))
    fidelity, measure_ = found["fidelity"], found["fidelity"]["measure"]
    diagonal = found["crop"]["diagonal_px"]
    return {
        "instability": released["explainer"]["value"],
        "instability_top": released["top_conv"]["value"],
        "instability_all": everywhere["explainer"]["value"],
        "instability_all_top": everywhere["top_conv"]["value"],
        "null_center": released["null_center"]["value"],
        "spread": found["diversity"]["explainer"]["spread"]["value"] * diagonal,
        "spread_landmarks": found["diversity"]["landmarks"]["spread"]["value"] * diagonal,
        "places": found["diversity"]["explainer"]["effective_locations"]["value"],
        "r2": found["landmark_r2"]["released"]["explainer"]["value"],
        "r2_top": found["landmark_r2"]["released"]["top_conv"]["value"],
        "keypoints": found["keypoint_regression"]["explainer"]["value"],
        "keypoints_top": found["keypoint_regression"]["top_conv"]["value"],
        "keypoints_null": found["keypoint_regression"]["null_mean_landmark"]["value"],
        "fvu": fidelity["full"]["fvu"][-1]["value"],
        "fvu_parts": fidelity["parts_only"]["fvu"][-1]["value"],
        "fvu_ordinary": fidelity["ordinary_only"]["fvu"][-1]["value"],
        "error": 100 * fidelity["full"][measure_]["value"],
        "error_parts": 100 * fidelity["parts_only"][measure_]["value"],
        "error_performer": 100 * fidelity.get("performer", {}).get("error", {"value": 0.0})["value"],
        "p": found["p"]["value"],
        "dead": found["counts"]["dead_filters"],
        "seconds": found["provenance"]["seconds"]["fit"],
    }


HEAD = (
    "| task | recipe | inst. | / top | all / top | spread | / lm | R2 | - top "
    "| keyp. / top | FVU | parts | error - perf. | p | s |"
)


def line(task: str, name: str, rows: list[dict[str, Any]]) -> str:
    """The means of a recipe's runs."""
    m = {k: statistics.mean(r[k] for r in rows) for k in rows[0]}
    cells = (
        f"{m['instability']:.4f}",
        f"{m['instability'] / m['instability_top']:.2f}",
        f"{m['instability_all'] / m['instability_all_top']:.2f}",
        f"{m['spread']:.1f}",
        f"{m['spread'] / m['spread_landmarks']:.2f}",
        f"{m['r2']:.2f}",
        f"{m['r2'] - m['r2_top']:+.2f}",
        f"{m['keypoints'] / m['keypoints_top']:.2f}",
        f"{m['fvu']:.3f}",
        f"{m['fvu_parts']:.3f}",
        f"{m['error'] - m['error_performer']:+.2f}",
        f"{m['p']:.2f}",
        f"{m['seconds']:.0f}",
    )
    return f"| {task} | {name} ({len(rows)}) | " + " | ".join(cells) + " |"


def main() -> None:
    """Runs what is not there yet and prints one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--recipes", nargs="*", default=["default"])
    parser.add_argument("--set", nargs="*", default=[], help="group.name=JSON, on top of the recipe")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--stage", choices=["validation", "test"], default="validation")
    parser.add_argument("--work", type=Path, default=Path("bench-runs"))
    options = parser.parse_args()
    extra = {k: json.loads(v) for k, v in (pair.split("=", 1) for pair in options.set)}
    print(HEAD)
    print("|---|---|" + "--:|" * 13)
    for task in options.tasks:
        for name in options.recipes:
            changes = {**RECIPES[name].get("*", {}), **RECIPES[name].get(task, {}), **extra}
            rows = [
                measure(task, changes, seed, options.stage, options.root, options.work) for seed in range(options.seeds)
            ]
            print(line(task, name + (" " + " ".join(options.set) if extra else ""), rows), flush=True)


if __name__ == "__main__":
    main()
