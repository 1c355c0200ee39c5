"""Seconds until `partscope --help` answers and until `import partscope` is done.

Command:   python benchmarks/speed/startup.py [--keep]
Expected:  half a minute.
Last result: docs/results.md, "Start-up"; `--keep` keeps the rows for benchmarks/figures.py.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from kept import keep

COMMANDS = {
    "`partscope --help`": ["-m", "partscope", "--help"],
    "`partscope fit --help`": ["-m", "partscope", "fit", "--help"],
    "`import torch, torchvision`": ["-c", "import torch, torchvision"],
    "`import torch, torchvision, partscope`": ["-c", "import torch, torchvision, partscope"],
    "`import torch, torchvision, partscope`, every public name": [
        "-c",
        "import torch, torchvision, partscope; [getattr(partscope, name) for name in partscope.__all__]",
    ],
}


def seconds(arguments: list[str]) -> float:
    """Wall time of one fresh interpreter."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Times every command five times, interleaved, after one warm-up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    rounds = [{label: seconds(arguments) for label, arguments in COMMANDS.items()} for _ in range(6)][1:]
    rows = {label: statistics.median(r[label] for r in rounds) for label in COMMANDS}
    for label, value in rows.items():
        print(f"{label}: {value:.2f} s")
    if options.keep:
        keep("startup", "python benchmarks/speed/startup.py --keep", {"rows": rows})


if __name__ == "__main__":
    main()
