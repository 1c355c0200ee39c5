"""Measures all numbers that must stand up again, two commands at a time, and holds them against the kept ones.

Command:   python benchmarks/everything.py --root DATA --work FOLDER [--only planted demo birds pets coverage] [--keep]
Expected:  hours; finished runs and planted performers in FOLDER are taken up.
Last result: docs/results.md, "Everything again".

One seed of each part detector. Nothing that is kept changes: the new figures lie in FOLDER/figures, the page of results
with them is FOLDER/results.md. Each new number is held against the 95 % interval of the kept one of the same seed.
"""

import argparse
import math
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
COVERAGE_ERROR = 0.01
"""Two standard errors of a share of 2,000 simulated intervals."""


PETS = ("explainer", "sparse autoencoder", "channels", "random projections", "k-means", "NMF")
"""Detectors that are kept of the three animals: training networks on them takes an hour more."""


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
            script("baselines.py", str(work / "pets"), "--keep", "pets", "--only", *PETS),
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
        Seconds; NaN where a command failed.
    """
    started = time.monotonic()
    own = os.environ | {"OMP_NUM_THREADS": "1", "PARTSCOPE_FIGURES": str(work / "figures")}
    with (work / f"{name}.log").open("w", encoding="utf-8") as log:
        for command in commands:
            with TERMINAL:
                print(f"{name}: {' '.join(Path(word).name for word in command[1:4])} ...", flush=True)
            if subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=own).returncode:
                print(f"{name}: a command failed, see {log.name}", flush=True)
                return math.nan
    return time.monotonic() - started


Compared = tuple[str, float, float, float]


def compared(fresh: Any, before: Any, where: str = "", spare: float = math.nan) -> Iterator[Compared]:
    """Yields each kept number's place, its new value (NaN if it is gone) and the interval that it should lie in.

    Args:
        fresh: what was measured.
        before: what is kept; of a list, one entry a seed, as many entries are looked at as were measured.
        where: place of both.
        spare: half of the interval of a number that has none.

    >>> number = {"value": 2.0, "low": 1.0, "high": 3.0, "n": 9}
    >>> list(compared({"rows": [{"value": 2.5, "low": 2.0}]}, {"rows": [number, number]}))
    [('/rows/0', 2.5, 1.0, 3.0)]
    >>> list(compared({}, {"a": number, "b": 7}))
    [('/a', nan, 1.0, 3.0)]
    >>> list(compared({"a": 0.5}, {"a": 0.75}, spare=0.25))
    [('/a', 0.5, 0.5, 1.0)]
    """
    if isinstance(before, dict) and isinstance(before.get("low"), float):
        value = fresh.get("value") if isinstance(fresh, dict) else None
        yield where, math.nan if value is None else value, before["low"], before["high"]
    elif isinstance(before, float) and not math.isnan(spare):
        yield where, math.nan if fresh is None else fresh, before - spare, before + spare
    elif isinstance(before, dict):
        for key, value in before.items():
            yield from compared(fresh.get(key) if isinstance(fresh, dict) else None, value, f"{where}/{key}", spare)
    elif isinstance(before, list) and isinstance(fresh, list):
        for i, (new, old) in enumerate(zip(fresh, before, strict=False)):
            yield from compared(new, old, f"{where}/{i}", spare)


def held_against(name: str, work: Path) -> dict[str, int]:
    """How many numbers there are, and how many lie in the interval that is kept; prints the others."""
    spare = COVERAGE_ERROR if name == "coverage" else math.nan
    found = list(compared(read(work / "figures", name), read(KEPT, name), spare=spare))
    outside = [number for number in found if not number[2] <= number[1] <= number[3]]
    for where, value, low, high in outside:
        print(f"  {name}{where}: {value:.4g}, kept {low:.4g} to {high:.4g}")
    return {"numbers": len(found), "inside": len(found) - len(outside)}


def main() -> None:
    """Runs the chains, the longest first, and compares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True, help="folder of the photographs and weights")
    parser.add_argument("--work", type=Path, required=True, help="folder of runs and planted performers")
    parser.add_argument("--only", nargs="+", choices=list(MEASURED), default=list(MEASURED))
    parser.add_argument("--keep", action="store_true", help="keep the minutes and the comparison for the docs")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    figures, measured = options.work / "figures", {f"{n}.json" for chain in options.only for n in MEASURED[chain]}
    shutil.rmtree(figures, ignore_errors=True)
    shutil.copytree(KEPT, figures, ignore=lambda _, names: measured & set(names))
    known, started = chains(options.root, options.work), time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        spent = list(pool.map(lambda name: follow(name, known[name], options.work), options.only))
    took = time.monotonic() - started
    if any(math.isnan(seconds) for seconds in spent):
        sys.exit("not everything was measured, nothing is compared; what was finished is taken up the next time")
    own = os.environ | {"PARTSCOPE_FIGURES": str(figures)}
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
