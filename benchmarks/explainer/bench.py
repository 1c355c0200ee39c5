"""The explainer's bench: recipes over tasks and seeds, every number with its interval.

Command:   python benchmarks/explainer/bench.py --root DATA [--stage test] [--recipes NAME ...] [--tasks NAME ...]
Expected:  a minute a run for creatures, cat and horse, up to ten for birds on two cores.
Last result: docs/results.md, "The explainer's bench".
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from kept import has_kept, keep, kept
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


UNREAD = {"diagnose.fields": 0, "diagnose.mimic_images": 0}
"""What no row of the bench is made of, and takes long."""


def measure(
    task: str, changes: dict[str, Any], seed: int, stage: str, root: Path | None, work: Path, resnet: Path | None = None
) -> dict[str, Any]:
    """One run's row, from its folder if it is there."""
    job = changed(located(TASKS[task], root, resnet), UNREAD | changes)
    job = resolve(changed(job, {"fit.seed": seed}))
    images = "".join(f"-{k.split('.')[1]}={v}" for k, v in sorted(changes.items()) if k.startswith("data."))
    base = work / f"{task}-{stage}{images}"
    out = base / f"{digest(job)}-seed{seed}"
    done = out / "diagnosis.json"
    if (out / "done").exists():
        return figures(json.loads(done.read_text()))
    out.mkdir(parents=True, exist_ok=True)
    (base / "features").mkdir(exist_ok=True)
    if not (out / "features").exists():
        (out / "features").symlink_to(base / "features")
    head = base / "performer.safetensors"
    size = job.performer.input_size or row_of(job.performer)[1].input_size
    for event in fit(job, out, photos=split(job, size, stage)):  # type: ignore[arg-type]
        if event.stage == "loading" and head.exists() and not (out / "performer.safetensors").exists():
            os.link(head, out / "performer.safetensors")
        if event.record and event.done % max(1, event.total // 4) == 0:
            print(
                f"    {event.done}/{event.total} {event.record.p:.3f} {event.record.fvu}", file=sys.stderr, flush=True
            )
    if not head.exists() and (out / "performer.safetensors").exists():
        os.link(out / "performer.safetensors", head)
    for name in ("training.safetensors", "gallery.safetensors", "report.html"):
        (out / name).unlink(missing_ok=True)
    (out / "done").touch()
    return figures(json.loads(done.read_text()))


def digest(job: Job) -> str:
    """A short name of all settings of a run."""
    return hashlib.sha256(json.dumps(asdict(job), sort_keys=True).encode()).hexdigest()[:12]


LAYERS = ("explainer", "top_conv")
TRACKS = ("full", "parts_only", "ordinary_only")


def figures(found: dict[str, Any]) -> dict[str, Any]:
    """What one run is judged by: numbers with their intervals by name."""
    fidelity, diversity = found["fidelity"], found["diversity"]
    zero = {"value": 0.0, "low": 0.0, "high": 0.0, "n": 0}
    row: dict[str, Any] = {"p": found["p"], "error/performer": fidelity.get("performer", {}).get("error", zero)}
    for protocol in ("released", "all"):
        row |= {f"instability/{protocol}/{k}": v for k, v in found["location_instability"][protocol].items()}
        row |= {f"r2/{protocol}/{k}": found["landmark_r2"][protocol][k] for k in LAYERS}
    row |= {f"spread/{k}": diversity[k]["spread"] for k in (*LAYERS, "landmarks")}
    row |= {f"places/{k}": diversity[k]["effective_locations"] for k in LAYERS}
    row |= {f"keypoints/{k}": v for k, v in found["keypoint_regression"].items()}
    row |= {f"fvu/{k}": fidelity[k]["fvu"][-1] for k in TRACKS}
    row |= {f"error/{k}": fidelity[k][fidelity["measure"]] for k in TRACKS}
    return {
        **row,
        "measure": fidelity["measure"],
        "diagonal": found["crop"]["diagonal_px"],
        "dead": found["counts"]["dead_filters"],
        "filters": found["counts"]["filters"],
        "seconds": found["provenance"]["seconds"]["fit"],
    }


HEAD = (
    "| task | recipe | inst. | / top | all / top | spread | / lm | R2 | - top "
    "| keyp. / top | FVU | parts | error - perf. | p | s |"
)


def line(task: str, name: str, rows: list[dict[str, Any]]) -> str:
    """The means of a recipe's runs."""
    m = {
        k: statistics.mean(r[k]["value"] if isinstance(r[k], dict) else r[k] for r in rows)
        for k in rows[0]
        if k != "measure"
    }
    cells = (
        f"{m['instability/released/explainer']:.4f}",
        f"{m['instability/released/explainer'] / m['instability/released/top_conv']:.2f}",
        f"{m['instability/all/explainer'] / m['instability/all/top_conv']:.2f}",
        f"{m['spread/explainer'] * m['diagonal']:.1f}",
        f"{m['spread/explainer'] / m['spread/landmarks']:.2f}",
        f"{m['r2/released/explainer']:.2f}",
        f"{m['r2/released/explainer'] - m['r2/released/top_conv']:+.2f}",
        f"{m['keypoints/explainer'] / m['keypoints/top_conv']:.2f}",
        f"{m['fvu/full']:.3f}",
        f"{m['fvu/parts_only']:.3f}",
        f"{100 * (m['error/full'] - m['error/performer']):+.2f}",
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
    parser.add_argument("--label", help="name of the row instead of the recipe's and what is set")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--stage", choices=["validation", "test"], default="validation")
    parser.add_argument("--resnet", type=Path, help="folder of the trained ResNet-50 (train-performer, layer4 and fc)")
    parser.add_argument("--work", type=Path, default=Path("bench-runs"))
    parser.add_argument("--keep", action="store_true", help="keep the rows beside those of other tasks and recipes")
    options = parser.parse_args()
    stored: dict[str, Any] = kept("explainer_bench")["rows"] if has_kept("explainer_bench") else {}
    extra = {k: json.loads(v) for k, v in (pair.split("=", 1) for pair in options.set)}
    print(HEAD)
    print("|---|---|" + "--:|" * 13)
    for task in options.tasks:
        for name in options.recipes:
            changes = {**RECIPES[name].get("*", {}), **RECIPES[name].get(task, {}), **extra}
            rows = [
                measure(task, changes, seed, options.stage, options.root, options.work, options.resnet)
                for seed in range(options.seeds)
            ]
            label = options.label or name + "".join(f" {pair}" for pair in options.set)
            print(line(task, label, rows), flush=True)
            stored[f"{options.stage}/{task}/{label}"] = rows
            if options.keep:
                keep("explainer_bench", "python benchmarks/explainer/bench.py --root DATA --keep", {"rows": stored})


if __name__ == "__main__":
    main()
