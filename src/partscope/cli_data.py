"""`partscope data`: what a data set holds, and every fault in it, before anything is learned from it."""

import sys
from collections.abc import Generator
from pathlib import Path

from rich import progress
from rich.console import Console
from rich.table import Table

from partscope.data import Overview, Progress, Survey, contact_sheet, gone, overview, survey_photos
from partscope.data.crops import mirrored_order
from partscope.errors import SettingsError
from partscope.files import write_whole
from partscope.performers.catalogue import row_of
from partscope.settings import Job


def show_data(job: Job, out: Path) -> int:
    """Prints counts and every problem, and writes a picture of some images.

    Args:
        job: its data; of the performer only the input size is asked for.
        out: the picture, a PNG.

    Returns:
        The exit code: 1 if there are problems that a fit would refuse, or a split is empty.

    Raises:
        PartscopeError: the data set cannot be read at all, or a setting is wrong.
    """
    if out.suffix.lower() != ".png":
        raise SettingsError("writing the contact sheet", f"the name '{out}'", "give --out a name that ends in .png")
    performer, row = row_of(job.performer)
    size = performer.input_size or row.input_size
    train = _watch(survey_photos(job.data, size, "train"), "looking at the training images")
    test = _watch(survey_photos(job.data, size, "test"), "looking at the test images")
    found = overview(train, test)
    _print_overview(found, job)
    sheet = contact_sheet(train, test, _title(job))
    write_whole(out, lambda temporary: sheet.save(temporary, format="PNG"))
    for what, number in found.passed_over.items():
        print(_printable(f"passed over: {what}: {number:,}"))
    print(f"contact sheet: {out}")
    for problem in found.problems:
        print(_printable(f"{problem.where}\n  got: {problem.what}\n  do:  {problem.todo}"))
    for split in found.empty:
        print(f"no {split} image of any category: `fit` refuses that; add images, or change data.test_share")
    if not found.problems:
        if found.empty:
            return 1
        print("no problem found")
        return 0
    lost, count = len(gone(found.problems)), f"{len(found.problems)} problem" + "s" * (len(found.problems) > 1)
    count += f" in {lost} row{'s' * (lost != 1)} or file{'s' * (lost != 1)}" if lost else ", which take nothing away"
    if job.data.on_problem == "skip":
        print(f"{count}: `fit` and `train-performer` leave these rows and files out, and count them")
        return 1 if found.empty else 0
    print(f"{count}: `fit` refuses them; mend them, or set --data.on_problem skip to leave them out")
    return 1


def _watch(steps: Generator[Progress, None, Survey], label: str) -> Survey:
    """Runs a look at many images to its end, with a bar where somebody watches."""
    console = Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description:<32}"),
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        task = bars.add_task(label, total=None)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                found: Survey = end.value
                return found
            bars.update(task, completed=step.done, total=step.total)


def _title(job: Job) -> str:
    if job.data.kind == "creatures":
        return "drawn creatures"
    return Path(job.data.root or ".").joinpath(job.data.folder).resolve().name


def _printable(text: str) -> str:
    """A text that any terminal can print: file names may hold bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _print_overview(found: Overview, job: Job) -> None:
    console = Console(width=None if sys.stdout.isatty() else 100, markup=False, highlight=False)
    for title, noun, rows in (
        (f"images of {_title(job)}", "category", found.categories),
        ("images that show each landmark", "landmark", found.landmarks),
    ):
        table = Table(noun, title=_printable(title), title_justify="left")
        table.add_column("training", justify="right")
        table.add_column("test", justify="right")
        for row in rows:
            table.add_row(_printable(row.name), f"{row.train:,}", f"{row.test:,}")
        if len(rows) > 1 and noun == "category":
            table.add_section()
            table.add_row("all", f"{sum(r.train for r in rows):,}", f"{sum(r.test for r in rows):,}")
        if rows:
            console.print(table)
    if not found.landmarks:
        print("no landmarks: the diagnosis will have no location instability")
    if found.sizes is not None:
        sides = (f"{low} to {high} (median {middle})" for low, middle, high in found.sizes[1:])
        print(f"image files, px: width {next(sides)}, height {next(sides)}")
    if job.data.mirror:
        print(f"each training image will be shown a second time, mirrored; {_printable(_swaps(found))}")


def _swaps(found: Overview) -> str:
    """Which landmarks mirroring exchanges, and which it takes away."""
    names = tuple(row.name for row in found.landmarks)
    order = mirrored_order(names)
    pairs = [f"{names[i]} / {names[k]}" for i, k in enumerate(order) if k is not None and i < k]
    alone = [name for name, k in zip(names, order, strict=True) if k is None]
    said = f"landmarks that change places: {', '.join(pairs) or 'none'}"
    return said + (f"; absent there, as their twin is not carried: {', '.join(alone)}" if alone else "")
