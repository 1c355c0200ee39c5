"""Measures all numbers that must stand up again, two commands at a time, and holds them against the kept ones.

Command:   python benchmarks/everything.py --root DATA --work FOLDER [--only planted demo birds pets coverage] [--keep]
Expected:  hours; finished runs and planted performers in FOLDER are taken up.
Last result: docs/results.md, "Everything again".

One seed of each part detector. Nothing that is kept changes: the new figures lie in FOLDER/figures, the page of results
with them is FOLDER/results.md. Each new number is held against the 95 % interval of the kept one of the same seed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kept import KEPT, keep, read

HERE = Path(__file__).parent
TERMINAL = threading.Lock()
MEASURED = {
    "birds": ("run_alexnet_cub", "baselines_birds"),
    "pets": ("baselines_pets",),
    "demo": ("run_demo", "baselines_creatures"),
    "planted": ("planted_truth",),
    "coverage": ("coverage",),
}
"""What each chain keeps."""


def chains(root: Path, work: Path) -> dict[str, list[list[str]]]:
    """Commands that follow each other, by name; chains do not wait for one another."""
    python, partscope = sys.executable, [sys.executable, "-m", "partscope"]
    photos = ["--data.root", str(root), "--performer.weights", str(root / "weights/alexnet_bvlc_features.safetensors")]
    examples = HERE.parent / "examples/real_photos"

    def script(name: str, *arguments: str) -> list[str]:
        return [python, str(HERE / name), *arguments]

    def fitted(config: str, name: str) -> list[str]:
        return [*partscope, "fit", str(examples / config), "--out", str(work / name), *photos]

    return {
        "birds": [
            fitted("alexnet_cub.yaml", "birds"),
            script("results.py", "alexnet_cub", str(work / "birds")),
            script("baselines.py", str(work / "birds"), "--keep", "birds"),
        ],
        "pets": [
            fitted("alexnet_voc.yaml", "pets"),
            script("baselines.py", str(work / "pets"), "--keep", "pets"),
        ],
        "demo": [
            [*partscope, "demo", "--out", str(work / "demo")],
            [*partscope, "frontier", str(work / "demo")],
            script("results.py", "demo", str(work / "demo")),
            script("baselines.py", str(work / "demo"), "--keep", "creatures"),
        ],
        "planted": [script("planted.py", "--work", str(work / "planted"), "--seeds", "0", "1", "2", "--keep")],
        "coverage": [script("coverage.py", "--redraws", "200", "--keep")],
    }


def follow(name: str, commands: list[list[str]], work: Path) -> float:
    """Runs the commands of a chain; what they print goes to a file.

    Returns:
        Seconds.
    """
    started = time.monotonic()
    own = os.environ | {"OMP_NUM_THREADS": "1", "PARTSCOPE_FIGURES": str(work / "figures")}
    with (work / f"{name}.log").open("w", encoding="utf-8") as log:
        for command in commands:
            with TERMINAL:
                print(f"{name}: {' '.join(Path(word).name for word in command[1:4])} ...", flush=True)
            if subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=own).returncode:
                raise SystemExit(f"{name}: a command failed, see {log.name}")
    return time.monotonic() - started


Compared = tuple[str, float, dict[str, float]]


def compared(fresh: Any, before: Any, where: str = "") -> Iterator[Compared]:
    """Yields where a number with an interval stands, its new value, and the kept number; seconds are left out.

    >>> number = {"value": 2.0, "low": 1.0, "high": 3.0, "n": 9}
    >>> list(compared({"rows": [number]}, {"rows": [number, number]}))
    [('/rows/0', 2.0, {'value': 2.0, 'low': 1.0, 'high': 3.0, 'n': 9})]
    """
    if isinstance(fresh, list) and isinstance(before, list):
        fresh, before = dict(enumerate(fresh)), dict(enumerate(before))
    if not (isinstance(fresh, dict) and isinstance(before, dict)):
        return
    if isinstance(fresh.get("value"), float) and isinstance(before.get("low"), float):
        yield where, fresh["value"], before
    for key in fresh.keys() & before.keys():
        yield from compared(fresh[key], before[key], f"{where}/{key}")


def held_against(name: str, work: Path) -> dict[str, int]:
    """How many numbers there are, and how many lie in the interval that is kept; prints the others."""
    pairs = sorted(compared(read(work / "figures", name), read(KEPT, name)), key=lambda pair: pair[0])
    outside = [pair for pair in pairs if not pair[2]["low"] <= pair[1] <= pair[2]["high"]]
    for where, value, before in outside:
        print(f"  {name}{where}: {value:.4g}, kept {before['value']:.4g} ({before['low']:.4g} to {before['high']:.4g})")
    return {"numbers": len(pairs), "inside": len(pairs) - len(outside)}


def main() -> None:
    """Runs the chains, the longest first, and compares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True, help="folder of the photographs and weights")
    parser.add_argument("--work", type=Path, required=True, help="folder of runs and planted performers")
    parser.add_argument("--only", nargs="*", choices=list(MEASURED), default=list(MEASURED))
    parser.add_argument("--keep", action="store_true", help="keep the minutes and the comparison for the docs")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if not (options.work / "figures").exists():
        shutil.copytree(KEPT, options.work / "figures")
    known, started = chains(options.root, options.work), time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        spent = list(pool.map(lambda name: follow(name, known[name], options.work), options.only))
    took = time.monotonic() - started
    own = os.environ | {"PARTSCOPE_FIGURES": str(options.work / "figures")}
    page = options.work / "results.md"
    subprocess.run([sys.executable, str(HERE / "figures.py"), "--results", str(page)], env=own, check=True)
    rows: dict[str, dict[str, float]] = {}
    for chain, seconds in zip(options.only, spent, strict=True):
        found = [held_against(name, options.work) for name in MEASURED[chain]]
        rows[chain] = {"seconds": seconds, **{key: sum(f[key] for f in found) for key in ("numbers", "inside")}}
        print(f"{chain}: {rows[chain]['inside']} of {rows[chain]['numbers']} in the kept interval, {seconds:.0f} s")
    print(f"everything: {took / 60:.0f} minutes; the page with these figures: {page}")
    if options.keep:
        command = "python benchmarks/everything.py --root DATA --work FOLDER --keep"
        keep("everything", command, {"rows": rows, "seconds": took})


if __name__ == "__main__":
    main()
