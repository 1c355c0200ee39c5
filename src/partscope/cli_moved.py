"""Options of the commands that open a finished run: where its files are now."""

from dataclasses import replace
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from partscope.settings import Job


def add_moved(parser: ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("--data.root", type=str, default=None, help="folder of the data sets, if moved")
    parser.add_argument("--performer.weights", type=str, default=None, help="weights, if moved")
    parser.add_argument("--fit.device", type=str, default=None, help="device, if another")


def moved_job(folder: Path, parsed: Namespace) -> Job:
    """A run's settings with the paths that were given.

    Raises:
        RunError: the folder holds no run.
    """
    from partscope.folder import read_job

    job = read_job(folder)
    if parsed.data.root is not None:
        job = replace(job, data=replace(job.data, root=parsed.data.root))
    if parsed.performer.weights is not None:
        job = replace(job, performer=replace(job.performer, weights=parsed.performer.weights))
    if parsed.fit.device is not None:
        job = replace(job, fit=replace(job.fit, device=parsed.fit.device))
    return job
