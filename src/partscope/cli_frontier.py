"""`partscope frontier`: what more weight on the parts costs, one fit an eta."""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from partscope.cli_line import Line
from partscope.cli_moved import add_moved, moved_job
from partscope.errors import SettingsError

NUMBERS = ("p", "fvu", "parts_only_fvu", "error", "added_error", "disagreement")


def frontier_command(line: Line[Path]) -> None:
    """Sweeps eta and prints the table, the sentence and where the report is.

    Raises:
        PartscopeError: any of its children, see their texts.
    """
    parser = line.parser
    parser.add_argument("folder", type=str, help="folder of a finished run")
    parser.add_argument(
        "--etas",
        type=str,
        default=None,
        help="weights of -log p, as 0.02,0.1,0.5,2; the run's own x .1, .4, 2, 8 if left out",
    )
    parser.add_argument("--epochs", type=int, default=2, help="passes over the training images of each fit")
    add_moved(parser)
    parsed = line.read(parser, line.arguments)
    etas = None if parsed.etas is None else _numbers(parsed.etas)
    from partscope.frontier import sweep_eta
    from partscope.report.frontier import sentence

    folder = Path(parsed.folder)
    job = moved_job(folder, parsed)
    report = line.follow(sweep_eta(folder, etas=etas, epochs=parsed.epochs, job=job))
    rows = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))["frontier"]
    _print_table(rows)
    said = sentence(rows)
    if said:
        print(textwrap.fill(said, 120))
    print(f"report: {report}")


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        raise SettingsError(
            "choosing the fits of the frontier", str(error), "give numbers with commas, as in --etas 0.02,0.1,0.5,2"
        ) from error


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    names = [name for name in NUMBERS if any(name in row for row in rows)]
    table = Table("eta", "epochs", *(name.replace("_", " ") for name in names), title="frontier, with 95 % intervals")
    for row in rows:
        cells = [_shown(row.get(name)) for name in names]
        table.add_row(f"{row['eta']:g}", str(row["epochs"]) if row["epochs"] else "0 (the run)", *cells)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _shown(number: dict[str, Any] | None) -> str:
    if number is None or number["value"] is None:
        return "-"
    ends = "" if number["low"] is None else f" ({number['low']:.3f} to {number['high']:.3f})"
    return f"{number['value']:.3f}{ends}"
