"""The fidelity frontier: the run's explainer learned on with other weights of -log p, and what each fit costs."""

from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from partscope.data import PhotoSet
from partscope.diagnosis import Subject, measure_point
from partscope.errors import SettingsError
from partscope.files import read_json, write_json
from partscope.folder import check_finished, kept_frontier, load_explainer, read_job
from partscope.performers import Performer
from partscope.performers.trained import file_digest
from partscope.report import write_report
from partscope.run import Event, open_run, open_training, told
from partscope.settings import Job
from partscope.training import FeatureStore, Labels, Learner, measure_means, survey, tail_of

SPREAD = (0.1, 0.4, 2.0, 8.0)


def sweep_eta(
    out: Path | str,
    *,
    etas: Iterable[float] | None = None,
    epochs: int = 2,
    job: Job | None = None,
    performer: Performer | None = None,
    photos: tuple[PhotoSet, PhotoSet] | None = None,
) -> Generator[Event, None, Path]:
    """Learns on from a run's explainer with each eta, and writes what each fit gains and costs into the diagnosis.

    Every fit starts from the run's own explainer, not from the fit before, so that a row depends on its eta alone and
    not on the others asked for. The run itself is the row of its own eta, with no further epoch. Each row is written as
    soon as it is measured; rows that are there, of the same explainer after as many epochs, are kept.

    Args:
        out: the folder of a finished run; its explainer stays as it is.
        etas: weights of -log p, above 0; None takes the run's own times .1, .4, 2 and 8.
        epochs: passes over the training images of each fit.
        job: the run's settings with other paths; None takes them as they were.
        performer: the network, if the settings do not name it.
        photos: the (training, test) images, if the settings do not name them.

    Yields:
        An event for each batch or step.

    Returns:
        The report's path, through ``return`` of the generator.

    Raises:
        SettingsError: an eta or the epochs are out of their range.
        RunError: the run is not finished, or weights or images differ from those of the fit.
        PartscopeError: others of its children, see their texts; rows that were measured are kept.
    """
    folder = Path(out)
    job = job or read_job(folder)
    asked = _asked(job, etas, epochs)
    check_finished(folder, "for its frontier")
    own = job.fit.eta
    wanted = [(own, 0), *((eta, epochs) for eta in asked if eta != own)]
    digest = file_digest(folder / "explainer.safetensors")
    there = kept_frontier(folder).get("frontier", [])
    rows = {eta: row for row in there if (eta := row["eta"]) == own or row["epochs"] == epochs}
    missing = [(eta, passes) for eta, passes in wanted if eta not in rows]
    if missing:
        test = photos[1] if photos else None
        opened = yield from open_run(folder, job=job, performer=performer, photos=test, landmarks=False)
        train = yield from open_training(job, folder, opened.subject.performer, photos[0] if photos else None)
        for eta, passes in missing:
            found = yield from _fit_on(
                replace(job, fit=replace(job.fit, eta=eta, epochs=passes)), folder, opened.subject, *train
            )
            rows[eta] = {"eta": eta, "epochs": passes, **found, "explainer": digest}
            _write(folder, rows)
    else:
        _write(folder, rows)
    return write_report(folder)


def _asked(job: Job, etas: Iterable[float] | None, epochs: int) -> list[float]:
    doing = "choosing the fits of the frontier"
    if etas is None and job.fit.eta == 0:
        raise SettingsError(
            doing, "the run's own eta is 0, so nothing says which others to try", "give them: --etas 0.1,1"
        )
    asked = [float(f"{factor * job.fit.eta:.4g}") for factor in SPREAD] if etas is None else sorted(set(etas))
    wrong = [eta for eta in asked if not 0 < eta <= 1e9]
    if wrong or not asked:
        got = f"eta {wrong[0]:g}" if wrong else "no eta"
        raise SettingsError(doing, got, "give values above 0 and up to 1e9, as in --etas 0.02,0.1,0.5,2")
    if epochs < 0:
        raise SettingsError(doing, f"{epochs} epochs", "give --epochs 1 or more; 0 measures the run as it is")
    return asked


def _fit_on(
    job: Job, folder: Path, subject: Subject, store: FeatureStore, labels: Labels
) -> Generator[Event, None, dict[str, Any]]:
    performer, device = subject.performer, subject.explainer.w_p.device
    explainer = load_explainer(folder, performer, store.rows([0]).tap, job).to(device)
    if job.fit.epochs:
        constants, tail = survey(performer, store, labels.category >= 0), tail_of(job.fit, performer, store, labels)
        learner = Learner(explainer, store, labels, constants, job.fit, tail)
        for record in learner:
            yield Event(f"learning with eta {job.fit.eta:g}", record.step, record.steps, record)
        measure_means(explainer, store)
    steps = measure_point(subject._replace(explainer=explainer), job.diagnose)
    row: dict[str, Any] = yield from told(f"measuring eta {job.fit.eta:g}", steps, len(subject.store))
    return row


def _write(folder: Path, rows: dict[float, dict[str, Any]]) -> None:
    file = folder / "diagnosis.json"
    content = read_json(file, "adding the frontier to the diagnosis")
    write_json(file, {**content, "frontier": [rows[eta] for eta in sorted(rows)]})
