"""Measures all numbers that must stand up again, two commands at a time, and writes them into the docs.

Command:   python benchmarks/everything.py --root DATA --work FOLDER [--only planted demo birds pets coverage]
Expected:  hours; finished runs and planted performers in FOLDER are taken up. One seed of each part detector, which
           takes the place of the rows that are kept.
Last result: docs/results.md.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from figures import keep, kept

HERE = Path(__file__).parent
TERMINAL = threading.Lock()


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
            script("results.py", "alexnet_voc", str(work / "pets")),
            script("baselines.py", str(work / "pets"), "--keep", "pets"),
        ],
        "demo": [
            [*partscope, "demo", "--out", str(work / "demo")],
            [*partscope, "frontier", str(work / "demo")],
            script("results.py", "demo", str(work / "demo")),
            script("baselines.py", str(work / "demo"), "--keep", "creatures"),
        ],
        "planted": [script("planted.py", "--work", str(work / "planted"), "--seeds", "0", "1", "2", "--keep")],
        "coverage": [script("coverage.py", "--keep")],
    }


def follow(name: str, commands: list[list[str]], work: Path) -> float:
    """Runs the commands of a chain; what they print goes to a file.

    Returns:
        Seconds.
    """
    started = time.monotonic()
    with (work / f"{name}.log").open("w", encoding="utf-8") as log:
        for command in commands:
            with TERMINAL:
                print(f"{name}: {' '.join(Path(word).name for word in command[1:4])} ...", flush=True)
            done = subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )
            if done.returncode:
                raise SystemExit(f"{name}: a command failed, see {log.name}")
    return time.monotonic() - started


def main() -> None:
    """Runs the chains, the longest first, and writes the docs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True, help="folder of the photographs and weights")
    parser.add_argument("--work", type=Path, required=True, help="folder of runs and planted performers")
    parser.add_argument("--only", nargs="*", default=None)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    known = chains(options.root, options.work)
    chosen = options.only or list(known)
    with ThreadPoolExecutor(2) as pool:
        seconds = dict(zip(chosen, pool.map(lambda n: follow(n, known[n], options.work), chosen), strict=True))
    before = kept("everything")["seconds"] if (HERE / "figures/everything.json").exists() else {}
    keep("everything", "python benchmarks/everything.py --root DATA --work FOLDER", {"seconds": before | seconds})
    subprocess.run([sys.executable, str(HERE / "figures.py")], check=True)
    print({name: round(value) for name, value in seconds.items()})


if __name__ == "__main__":
    main()
