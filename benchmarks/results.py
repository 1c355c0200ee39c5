"""Prints the table of one or more runs from their diagnosis.json, as it stands in docs/results.md.

Command:   python benchmarks/results.py RUN [RUN ...]
Expected:  at once.
"""

import argparse
import json
from pathlib import Path
from typing import Any


def shown(number: dict[str, Any] | None, digits: int = 3, scale: float = 1.0) -> str:
    """A number with its interval and count, or a dash."""
    if number is None or number["value"] is None:
        return "-"
    value, low, high = (
        "-" if number[k] is None else f"{number[k] * scale:.{digits}f}" for k in ("value", "low", "high")
    )
    return f"{value} ({low} to {high}; n {number['n']})"


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and value of every headline number of a diagnosis."""
    fidelity, diagonal = found["fidelity"], found["crop"]["diagonal_px"]
    measure = fidelity["measure"]
    result = [("p", shown(found["p"]))]
    if "performer" in fidelity:
        result.append(("error of the performer, %", shown(fidelity["performer"]["error"], 2, 100)))
    for variant in ("full", "parts_only", "ordinary_only"):
        label = {"full": "rebuilt", "parts_only": "parts only", "ordinary_only": "ordinary only"}[variant]
        result.append((f"{measure}, {label}, %", shown(fidelity[variant][measure], 2, 100)))
        for target, fvu in zip(fidelity["targets"], fidelity[variant]["fvu"], strict=True):
            result.append((f"FVU of {target}, {label}", shown(fvu)))
        result.append((f"KL of the scores, {label}, nats", shown(fidelity[variant]["kl"])))
    for protocol in ("released", "all"):
        for name, number in found.get("location_instability", {}).get(protocol, {}).items():
            result.append((f"location instability, {protocol}, {name.replace('_', ' ')}", shown(number, 4)))
    for layer in ("explainer", "top_conv", "landmarks"):
        for key, number in found["diversity"].get(layer, {}).items():
            scale = diagonal if key == "spread" else 1.0
            unit = ", px" if key == "spread" else ""
            result.append((f"{key.replace('_', ' ')}, {layer.replace('_', ' ')}{unit}", shown(number, 1, scale)))
    fits = [f["best_landmark_r2"] for f in found["filters"] if f["best_landmark_r2"] is not None]
    if fits:
        result.append(
            ("R^2 with the nearest landmark, mean of filters", f"{sum(fits) / len(fits):.3f} (n {len(fits)})")
        )
    counts = found["counts"]
    result.append(
        (
            "images: training / test objects / test negatives",
            f"{counts['train_images']} / {counts['test_objects']} / {counts['test_negatives']}",
        )
    )
    result.append(
        (
            "filters / dead / left out",
            f"{counts['filters']} / {counts['dead_filters']} / {counts['left_out_filters']}",
        )
    )
    seconds = found["provenance"]["seconds"]
    result.append(("seconds", ", ".join(f"{k} {v:.0f}" for k, v in seconds.items())))
    return result


def main() -> None:
    """Prints one table with a column a run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", type=Path)
    runs = parser.parse_args().runs
    tables = [dict(rows(json.loads((run / "diagnosis.json").read_text(encoding="utf-8")))) for run in runs]
    names = list(dict.fromkeys(name for table in tables for name in table))
    print("| | " + " | ".join(run.name for run in runs) + " |")
    print("|---|" + "---|" * len(runs))
    for name in names:
        print(f"| {name} | " + " | ".join(table.get(name, "-") for table in tables) + " |")


if __name__ == "__main__":
    main()
