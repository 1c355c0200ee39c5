"""From a figure's name and run folders to a file."""

import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from partscope.data import PhotoSet
from partscope.errors import RunError, SettingsError
from partscope.figure_settings import FigureSettings, check_figure
from partscope.figures.drawing import Drawing
from partscope.figures.filters import draw_filters
from partscope.figures.look import read_found
from partscope.figures.parts import draw_parts, find_parts
from partscope.figures.shares import draw_shares
from partscope.figures.sheet import EXTENSIONS
from partscope.performers import Performer
from partscope.run import Event, open_run
from partscope.settings import Job


class Drawn(NamedTuple):
    """A figure on disk."""

    path: Path
    caption: str
    """What it shows, in words; kept in the file as well."""


def draw_figure(
    name: str,
    runs: Sequence[Path | str],
    out: Path | str,
    settings: FigureSettings | None = None,
    *,
    jobs: Sequence[Job | None] | None = None,
    performers: Sequence[Performer | None] | None = None,
    photos: Sequence[PhotoSet | None] | None = None,
) -> Generator[Event, None, Drawn]:
    """Draws a figure of the paper from finished runs.

    Args:
        name: `filters` (Fig. 3, App. B), `shares` (Fig. 4) or `parts` (Fig. 5, App. D).
        runs: run folders: two for `shares`, else one.
        out: the file, `.png`, `.svg` or `.pdf`; the same content gives the same bytes.
        settings: what to show; None takes the defaults.
        jobs: settings of each run with other paths; None takes them as they were.
        performers: the network of each run, if its settings do not name it.
        photos: the test images of each run, if its settings do not name them.

    Yields:
        An event for each batch.

    Returns:
        The file and its caption, through ``return`` of the generator.

    Raises:
        SettingsError: the name, a setting or the file's ending is none of ours.
        RunError: a run is not finished, or something that it rests on has changed; the file cannot be written.
    """
    settings, out = settings or FigureSettings(), Path(out)
    check_figure(name, runs, settings)
    check_out(out)
    folders = [Path(run) for run in runs]
    found = [read_found(folder) for folder in folders]
    for one in found:
        one.chosen(settings, settings.rows)
    parts = find_parts(found[0], settings) if name == "parts" else []
    opened = []
    for k, folder in enumerate(folders):
        run = open_run(
            folder,
            job=jobs[k] if jobs else None,
            performer=performers[k] if performers else None,
            photos=photos[k] if photos else None,
            landmarks=False,
        )
        opened.append((yield from run))
    kind = out.suffix[1:].lower()
    drawing: Drawing
    if name == "filters":
        drawing = yield from draw_filters(opened[0], found[0], settings, kind)
    elif name == "shares":
        drawing = yield from draw_shares(opened, found, settings, kind)
    else:
        drawing = yield from draw_parts(opened[0], found[0], parts, settings, kind)
    drawing.sheet.save(out, drawing.title, drawing.caption)
    return Drawn(out, drawing.caption)


def check_out(out: Path) -> None:
    """Finds out whether a figure can be written there, before anything is computed for it.

    Raises:
        SettingsError: the name does not end in a kind of file that we write.
        RunError: the folder cannot be made or written, or the name is a folder's.
    """
    doing = f"writing the figure '{out}'"
    endings = ", ".join(f".{kind}" for kind in EXTENSIONS)
    if out.suffix[1:].lower() not in EXTENSIONS:
        raise SettingsError(doing, f"a name that ends in '{out.suffix}'", f"give --out a name that ends in {endings}")
    if out.is_dir():
        raise RunError(doing, "a folder of that name", "give --out another name")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise RunError(doing, str(error), "give --out a name in a folder that you can write") from error
