"""The command line: the only place that prints or ends the process. Loads no torch until a job starts."""

import argparse
import difflib
import logging
import re
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jsonargparse import (  # type: ignore[attr-defined]
    ActionConfigFile,
    ArgumentParser,
    Namespace,
    set_parsing_settings,
)

from partscope.cli_line import Line
from partscope.cli_moved import add_moved, moved_job
from partscope.cli_tables import print_errors, print_summary
from partscope.errors import PartscopeError, SettingsError
from partscope.settings import Job, demo_job, resolve
from partscope.train_settings import TrainJob, TrainSettings, resolve_training

if TYPE_CHECKING:
    from partscope.run import Event
    from partscope.train_run import TrainEvent

SUMMARY = """usage: partscope COMMAND ...

Which object parts does a CNN use, where, and how much of its decision rests on them?

commands:
  demo                  the whole job on drawn creatures, in about a minute: start here
  data CONFIG           show what a data set holds, and every fault in it, before anything is learned from it
  fit CONFIG --out DIR  learn an explainer for a network, diagnose it, write the report; resumes DIR;
                        --seeds 3 fits it three times and tells how far the numbers differ
  train-performer CONFIG --out DIR
                        train a network on your images first: its head, or all of it; fit takes DIR
  diagnose DIR          measure a fitted run again, here or on another machine
  report DIR            write report.html from a run's diagnosis again; --compare DIR2 shows two runs side by side
  figure NAME DIR --out FILE
                        draw a figure of the paper from a finished run: filters, shares or parts
  frontier DIR          learn on with other weights of the parts: what a larger share of them costs
  taps NAME             list the layers of a network that can be explained, with their shapes

`partscope COMMAND --help` explains every setting.
"""


def run(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit code: 0, 1 for a failure told in three lines, 130 if interrupted."""
    commands: dict[str, Callable[[list[str]], int | None]] = {
        "demo": _demo,
        "data": _data,
        "fit": _fit,
        "train-performer": _train_performer,
        "diagnose": _diagnose,
        "report": _report,
        "figure": _figure,
        "frontier": _frontier,
        "taps": _taps,
    }
    if not arguments or arguments[0] in ("-h", "--help"):
        print(SUMMARY, end="")
        return 0
    if arguments[0] == "--version":
        from partscope.version import __version__

        print(f"partscope {__version__}")
        return 0
    try:
        if arguments[0] not in commands:
            raise SettingsError(
                "reading the command",
                f"there is no command '{arguments[0]}'",
                f"use one of {', '.join(commands)}; `partscope --help` explains them",
            )
        with _log_told():
            return commands[arguments[0]](list(arguments[1:])) or 0
    except PartscopeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command resumes from the last saved state", file=sys.stderr)
        return 130


@contextmanager
def _log_told() -> Iterator[None]:
    """How far a download or the first reading of a large data set is, on standard error."""
    log, handler = logging.getLogger("partscope"), logging.StreamHandler(sys.stderr)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _parser(command: str, about: str) -> ArgumentParser:
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    return ArgumentParser(prog=f"partscope {command}", description=about, exit_on_error=False, allow_abbrev=False)


def _parse(parser: ArgumentParser, arguments: list[str]) -> Namespace:
    doing = f"reading the arguments of `{parser.prog}`"
    try:
        return parser.parse_args(arguments)
    except (argparse.ArgumentError, TypeError, ValueError, OSError) as error:
        text = " ".join(str(error).split())
        hint = _nearest(parser, text)
        raise SettingsError(doing, text, f"{hint}`{parser.prog} --help` explains every setting") from error


UNKNOWN = re.compile(
    r"^unrecognized arguments: (?:--)?(?P<argument>[^\s=]+)"
    r"|Group '(?P<group>.+?)' does not accept option '(?P<option>.+?)'"
    r"|Option '(?P<name>.+?)' is not accepted"
)


def _nearest(parser: ArgumentParser, text: str) -> str:
    found = UNKNOWN.search(text)
    if found is None:
        return ""
    group, option = found["group"], found["option"]
    unknown = f"{group}.{option}" if group else found["argument"] or found["name"]
    known = [key for key in parser.get_defaults().keys() if key not in ("config", "folder", "name")]  # noqa: SIM118
    near = difflib.get_close_matches(unknown, known, 1, 0.6)
    return f"did you mean --{near[0]}? " if near else ""


def _parsed_job(parser: ArgumentParser, job: type, arguments: list[str]) -> tuple[Namespace, Path]:
    """Reads CONFIG or settings, and the run folder."""
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file of settings")
    parser.add_class_arguments(job, None)
    if arguments and not arguments[0].startswith("-"):
        arguments = ["--config", *arguments]
    for before, name in pairwise(arguments):
        if before == "--config":
            _need_file(name)
    parsed = _parse(parser, arguments)
    if parsed.out is None:
        raise SettingsError(f"starting `{parser.prog}`", "no run folder", "give one with --out DIR")
    return parser.instantiate(parsed), Path(parsed.out)


def _job(made: Namespace) -> Job:
    return resolve(
        Job(
            data=made.data,
            performer=made.performer,
            explainer=made.explainer,
            fit=made.fit,
            diagnose=made.diagnose,
            cache=made.cache,
        )
    )


def _demo(arguments: list[str]) -> None:
    parser = _parser("demo", "Fits, diagnoses and reports on drawn creatures whose parts are known exactly.")
    parser.add_argument("--out", type=str, default="partscope-demo", help="run folder")
    _carry_out(demo_job(), Path(_parse(parser, arguments).out))


def _fit(arguments: list[str]) -> None:
    parser = _parser("fit", "Learns an explainer, diagnoses it and writes the report; resumes what is there.")
    parser.add_argument("--out", type=str, default=None, help="run folder; made if needed, resumed if there")
    parser.add_argument(
        "--seeds", type=int, default=1, help="fits in all, with the next seeds, for the spread of the numbers"
    )
    made, out = _parsed_job(parser, Job, arguments)
    if made.seeds < 1:
        raise SettingsError(
            "fitting with other seeds", f"{made.seeds} in all", "give --seeds 1 or more; 3 show a spread"
        )
    _carry_out(_job(made), out, made.seeds)


def _train_performer(arguments: list[str]) -> None:
    parser = _parser(
        "train-performer", "Trains a network on your images; resumes what is there; `fit` takes the folder."
    )
    parser.add_argument("--out", type=str, default=None, help="run folder; made if needed, resumed if there")
    made, out = _parsed_job(parser, TrainJob, arguments)
    job = resolve_training(TrainJob(data=made.data, performer=made.performer, train=made.train, cache=made.cache))
    from partscope.train_run import train_performer

    folder = _follow(train_performer(job, out), _training_facts)
    print_errors(folder)
    print(f"performer: {folder}")
    print(f"explain it: partscope fit --performer.weights {folder} --out RUN")


def _need_file(name: str) -> None:
    if not Path(name).is_file():
        raise SettingsError(
            "reading the settings",
            f"there is no file '{name}'",
            "give a YAML file, or settings as --fit.epochs 3",
        )


def _data(arguments: list[str]) -> int:
    parser = _parser("data", "Shows what a data set holds and every fault in it; takes the settings of all jobs.")
    parser.add_argument("--out", type=str, default="contact-sheet.png", help="picture of the images to write")
    parser.add_class_arguments(TrainSettings, "train")
    parser.add_argument("--seeds", type=int, default=1, help="of `fit`; changes nothing here")
    made, out = _parsed_job(parser, Job, arguments)
    from partscope.cli_data import show_data

    return show_data(_job(made), out)


def _carry_out(job: Job, out: Path, seeds: int = 1) -> None:
    from partscope.run import fit

    report = _follow(fit(job, out), _facts)
    if seeds > 1:
        from partscope.seeds import repeat_seeds

        report = _follow(repeat_seeds(out, seeds=seeds, job=job), _facts)
    print_summary(out)
    print(f"report: {report}")


def _diagnose(arguments: list[str]) -> None:
    parser = _parser("diagnose", "Measures a fitted run again; weights and images must be those of the fit.")
    parser.add_argument("folder", type=str, help="run folder")
    add_moved(parser)
    parsed = _parse(parser, arguments)
    from partscope.report import write_report
    from partscope.run import diagnose

    folder = Path(parsed.folder)
    job = moved_job(folder, parsed)
    _follow(diagnose(folder, job=job), _facts)
    report = write_report(folder)
    print_summary(folder)
    print(f"report: {report}")


def _report(arguments: list[str]) -> None:
    parser = _parser("report", "Writes report.html from a run's diagnosis again, and comparison.html beside another's.")
    parser.add_argument("folder", type=str, help="run folder")
    parser.add_argument("--compare", type=str, default=None, help="folder of another run, to show beside this one")
    parsed = _parse(parser, arguments)
    from partscope.report import write_comparison, write_report

    print(f"report: {write_report(Path(parsed.folder))}")
    if parsed.compare is not None:
        print(f"comparison: {write_comparison(Path(parsed.folder), Path(parsed.compare))}")


def _figure(arguments: list[str]) -> None:
    from partscope.cli_figure import figure_command

    parser = _parser("figure", "Draws a figure of the paper from finished runs.")
    figure_command(Line(parser, arguments, _parse, lambda events: _follow(events, _facts)))


def _frontier(arguments: list[str]) -> None:
    from partscope.cli_frontier import frontier_command

    parser = _parser("frontier", "Learns on from a finished run with other weights of -log p; keeps what is there.")
    frontier_command(Line(parser, arguments, _parse, lambda events: _follow(events, _facts)))


def _taps(arguments: list[str]) -> int:
    parser = _parser("taps", "Lists the layers of a network that can be explained, with their shapes.")
    parser.add_argument("name", nargs="?", default=None, help="a catalogue name, torchvision:NAME or timm:NAME")
    name = _parse(parser, arguments).name
    from rich.console import Console
    from rich.table import Table

    from partscope.performers import CATALOGUE, tap_table

    if name is None:
        print("\n".join(CATALOGUE))
        return 0
    title = f"{name}: layers on the way to the scores"
    table = Table("layer", "kind", "output shape", "can be tapped", "by default", title=title)
    found = tap_table(name)
    for row in found.rows:
        shape = " x ".join(str(s) for s in row.shape)
        table.add_row(row.name, row.kind, shape, "yes" if row.tappable else f"no: {row.why}", row.role)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    if found.why_no_default:
        print(f"nothing is tapped by default: {found.why_no_default}")
    return 0 if any(row.tappable for row in found.rows) else 1


@contextmanager
def _stop_between_steps() -> Iterator[list[bool]]:
    """Turns the first Ctrl-C into a flag, so that a step ends before the state is saved."""
    asked: list[bool] = []

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(True)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


AnyEvent = TypeVar("AnyEvent", "Event", "TrainEvent")
Result = TypeVar("Result")


def _follow(events: Generator[AnyEvent, None, Result], facts_of: Callable[[AnyEvent], str]) -> Result:
    """Shows a job's progress to its end and returns what it made."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    with (
        _stop_between_steps() as asked,
        Progress(*columns, console=console, disable=not console.is_terminal) as bars,
    ):
        stage, task = "", None
        try:
            while True:
                event = next(events)
                if asked:
                    events.close()
                    raise KeyboardInterrupt
                if event.stage != stage or task is None:
                    stage = event.stage
                    task = bars.add_task(stage, total=event.total, facts="")
                    if not console.is_terminal:
                        console.print(f"{stage} ...")
                facts = facts_of(event)
                bars.update(task, completed=event.done, total=event.total, facts=facts)
                if not console.is_terminal and event.record and event.done % max(1, event.total // 10) == 0:
                    console.print(f"  step {event.done}/{event.total}: {facts}")
        except StopIteration as end:
            result: Result = end.value
            return result


def _facts(event: "Event") -> str:
    if event.record is None:
        return ""
    fvu = " ".join(f"{v:.3f}" for v in event.record.fvu)
    rate = event.record.images_per_second
    return f"loss {event.record.loss:.3f}  p {event.record.p:.3f}  FVU {fvu}  {rate:.0f} images/s"


def _training_facts(event: "TrainEvent") -> str:
    record = event.record
    if record is None:
        return ""
    facts = f"epoch {record.epoch}  loss {record.loss:.3f}  {record.images_per_second:.0f} images/s"
    if record.validation_loss is None or record.validation_error is None:
        return facts
    held = f"validation loss {record.validation_loss:.3f} error {record.validation_error:.1%}"
    return f"{facts}  {held}  best epoch {record.best_epoch}"
