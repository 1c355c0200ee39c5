"""`partscope figure`: a figure of the paper, from finished runs."""

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partscope.cli_line import Line
from partscope.errors import SettingsError
from partscope.figure_settings import FIGURES, FigureSettings, check_figure
from partscope.settings import Job

if TYPE_CHECKING:
    from partscope.figures import Drawn


def figure_command(line: "Line[Drawn]") -> None:
    """Draws one figure and prints where it is and what it shows.

    Raises:
        PartscopeError: any of its children, see their texts.
    """
    parser, arguments = line.parser, line.arguments
    described = "; ".join(f"{name}: {text}" for name, text in FIGURES.items())
    parser.add_argument("name", type=str, help=described)
    parser.add_argument("run", type=str, nargs="*", help="folder of a finished run; two for `shares`")
    parser.add_argument("--out", type=str, default=None, help="file to write: .png, .svg or .pdf")
    parser.add_class_arguments(FigureSettings, None)
    each = "one for all runs, or one a run"
    parser.add_argument(
        "--data.root", type=str, nargs="+", default=[], help=f"folder of the data sets, if moved; {each}"
    )
    parser.add_argument("--performer.weights", type=str, nargs="+", default=[], help=f"weights, if moved; {each}")
    parser.add_argument("--fit.device", type=str, default=None, help="device, if another")
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        raise SettingsError(
            "choosing the figure", "no name", f"start with one of {', '.join(FIGURES)}, as in: partscope figure filters"
        )
    parsed = line.read(parser, arguments)
    made = parser.instantiate(parsed)
    settings = FigureSettings(**{key: getattr(made, key) for key in FigureSettings.__dataclass_fields__})
    check_figure(parsed.name, parsed.run, settings)
    if parsed.out is None:
        raise SettingsError(
            f"drawing the figure '{parsed.name}'", "no file", "give one with --out FILE.png, .svg or .pdf"
        )
    from partscope.figures import draw_figure
    from partscope.folder import read_job

    folders = [Path(run) for run in parsed.run]
    jobs = [_moved(read_job(folder), parsed, place) for place, folder in enumerate(folders)]
    drawn = line.follow(draw_figure(parsed.name, folders, Path(parsed.out), settings, jobs=jobs))
    print(textwrap.fill(f"caption: {drawn.caption}", 120))
    print(f"figure: {drawn.path}")


def _moved(job: Job, parsed: Any, place: int) -> Job:
    """The settings of a run with the paths that were given, where it has such a path."""
    data, performer, fit = job.data, job.performer, job.fit
    if parsed.data.root and data.root is not None:
        data = replace(data, root=parsed.data.root[min(place, len(parsed.data.root) - 1)])
    weights = parsed.performer.weights
    if weights and performer.weights is not None:
        performer = replace(performer, weights=weights[min(place, len(weights) - 1)])
    if parsed.fit.device is not None:
        fit = replace(fit, device=parsed.fit.device)
    return replace(job, data=data, performer=performer, fit=fit)
