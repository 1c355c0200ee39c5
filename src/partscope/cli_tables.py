"""What the command line prints of finished folders."""

import json
import sys
from pathlib import Path
from typing import Any


def print_errors(folder: Path) -> None:
    """Prints what a trained performer scored on its test images."""
    from rich.console import Console
    from rich.table import Table

    found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    validation = found["validation"]
    held = "no validation images: the last epoch"
    if validation["loss"] is not None:
        images = found["images"]["validation"]
        held = f"validation loss {validation['loss']:.3f}, error {validation['error']:.1%} of {images} images"
    table = Table("on the test images", "error", "95 % interval", "n", "always the same answer")
    for name, number in found["test"].items():
        shown = ["-" if number[k] is None else f"{number[k]:.2%}" for k in ("value", "low", "high")]
        chance = f"{found['chance'][name]['value']:.2%}" if found["chance"][name]["n"] else "-"
        table.add_row(name.replace("_", " "), shown[0], f"{shown[1]} to {shown[2]}", str(number["n"]), chance)
    print(f"best epoch: {found['best_epoch']} ({held})")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if "left_out" in found:  # folders of earlier versions have none
        from partscope.data import told_left_out

        lost = told_left_out(found["left_out"])
        if lost:
            print(f"note: {lost}")


def print_summary(folder: Path) -> None:
    """Prints the headline numbers of a diagnosis."""
    from rich.console import Console
    from rich.table import Table

    found = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))
    table = Table("", "value", "95 % interval", "n", title="diagnosis")

    def row(name: str, number: dict[str, Any], scale: float = 1.0, unit: str = "") -> None:
        shown = ["-" if number[k] is None else f"{number[k] * scale:.3f}{unit}" for k in ("value", "low", "high")]
        table.add_row(name, shown[0], f"{shown[1]} to {shown[2]}", str(number["n"]))

    row("p (a gate, not a share of information)", found["p"])
    if "part_share" in found:  # files of version 0.1 have none
        row("part share of the performer's evidence", found["part_share"])
    if "part_share_null" in found:
        row("part share, normally distributed evidence", found["part_share_null"])
    fidelity = found["fidelity"]
    if "performer" in fidelity:
        row("error of the performer", fidelity["performer"]["error"])
    for variant in ("full", "parts_only", "ordinary_only"):
        name = variant.replace("_", " ")
        row(f"{fidelity['measure']}, {name}", fidelity[variant][fidelity["measure"]])
        row(f"FVU of {fidelity['targets'][-1]}, {name}", fidelity[variant]["fvu"][-1])
    for key, number in found.get("location_instability", {}).get("released", {}).items():
        row(f"location instability, {key.replace('_', ' ')}", number)
    for layer in ("explainer", "top_conv", "landmarks"):
        if layer in found["diversity"]:
            row(f"spread of part locations, {layer.replace('_', ' ')}", found["diversity"][layer]["spread"])
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if "seeds" in found:
        _print_seeds(found["seeds"])
    for warning in found["warnings"]:
        print(f"note: {warning}")


def _print_seeds(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    runs = [f"seed {seed}" for seed in found["seeds"]]
    table = Table("", *runs, "mean", "95 % interval", title="fits with other seeds")
    for number in found["numbers"]:
        mean, cells = number["mean"], [_plain(fit["value"]) for fit in number["fits"]]
        table.add_row(number["name"], *cells, _plain(mean["value"]), f"{_plain(mean['low'])} to {_plain(mean['high'])}")
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
