"""The same fit with other seeds: how much of a number is chance in training."""

import math
from collections.abc import Generator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from partscope.data import PhotoSet
from partscope.diagnosis import Diagnosed, Subject, diagnose_subject, spread_number
from partscope.errors import RunError, SettingsError
from partscope.files import read_json, write_json
from partscope.folder import check_finished, kept_seeds, measured_by, read_job
from partscope.performers import Performer
from partscope.performers.trained import file_digest
from partscope.report import write_report
from partscope.run import Event, open_run, open_training, told
from partscope.settings import Job
from partscope.training import FeatureStore, Labels, fresh_learner, measure_means
from partscope.version import __version__

HEADLINES = (
    "p",
    "fidelity.full.error",
    "fidelity.full.disagreement",
    "fidelity.full.fvu.-1",
    "fidelity.parts_only.fvu.-1",
    "location_instability.released.explainer",
    "location_instability.all.explainer",
    "landmark_r2.released.explainer",
    "keypoint_regression.explainer",
    "landmark_agreement.nmi.filters.explainer",
    "diversity.explainer.spread",
    "diversity.explainer.effective_locations",
)
"""Numbers of the diagnosis that depend on the fit, none below 0; a last part of -1 is the last of a list."""
SHARES = ("p", "fidelity.full.error", "fidelity.full.disagreement", "landmark_r2", "landmark_agreement")
"""Those that cannot exceed 1."""


def repeat_seeds(
    out: Path | str,
    *,
    seeds: int = 3,
    job: Job | None = None,
    performer: Performer | None = None,
    photos: tuple[PhotoSet, PhotoSet] | None = None,
) -> Generator[Event, None, Path]:
    """Fits a finished run again with the next seeds, and writes the spread of its headline numbers into the diagnosis.

    Performer, images and settings are the run's own; the seed decides the start of new weights, the order of images
    and the ordinary dropout. Only numbers are kept of the further fits. Each row is written as soon as it is measured;
    rows that are there, of the same run and the same settings of the diagnosis, are kept.

    Args:
        out: the folder of a finished run; its explainer stays as it is.
        seeds: fits in all, the run's own included.
        job: the run's settings with other paths; None takes them as they were.
        performer: the network, if the settings do not name it.
        photos: the (training, test) images, if the settings do not name them.

    Yields:
        An event for each batch or step.

    Returns:
        The report's path, through ``return`` of the generator.

    Raises:
        SettingsError: fewer than two seeds.
        RunError: the run is not finished or was diagnosed with other settings, or weights or images differ from
            those of the fit.
    """
    if seeds < 2:
        raise SettingsError("fitting with other seeds", f"{seeds} in all", "give --seeds 2 or more; 3 show a spread")
    folder = Path(out)
    job = job or read_job(folder)
    check_finished(folder, "for further seeds")
    content = read_json(folder / "diagnosis.json", "reading the diagnosis")
    if measured_by(content["settings"]["diagnose"]) != measured_by(asdict(job.diagnose)):
        raise RunError(
            f"fitting '{folder}' with other seeds",
            "its diagnosis was measured with other settings",
            "run `partscope diagnose` with these settings first",
        )
    there = kept_seeds(folder, asdict(job.diagnose)).get("seeds", {"seeds": [], "numbers": []})
    rows = {
        seed: {number["name"]: number["fits"][k] for number in there["numbers"]}
        for k, seed in enumerate(there["seeds"])
    } | {job.fit.seed: headlines(content)}
    missing = [seed for seed in range(job.fit.seed, job.fit.seed + seeds) if seed not in rows]
    if missing:
        test = photos[1] if photos else None
        opened = yield from open_run(folder, job=job, performer=performer, photos=test)
        train = yield from open_training(job, folder, opened.subject.performer, photos[0] if photos else None)
        for seed in missing:
            again = replace(job, fit=replace(job.fit, seed=seed))
            rows[seed] = headlines((yield from _fit_again(again, opened.subject, *train)).content)
            _write(folder, job, rows)
    else:
        _write(folder, job, rows)
    return write_report(folder)


def headlines(content: dict[str, Any]) -> dict[str, Any]:
    """The headline numbers that a diagnosis holds, by dotted path."""
    found: dict[str, Any] = {}
    for path in HEADLINES:
        node: Any = content
        keys = path.split(".")
        if keys[-1] == "-1":
            keys[-1] = str(len(content["fidelity"]["targets"]) - 1)
        for key in keys:
            node = node[int(key)] if isinstance(node, list) else node.get(key, {})
        if node:
            found[".".join(keys)] = node
    return found


def _fit_again(job: Job, subject: Subject, store: FeatureStore, labels: Labels) -> Generator[Event, None, Diagnosed]:
    device = subject.explainer.w_p.device
    learner, _ = fresh_learner(subject.performer, store, labels, job.explainer, job.fit, device)
    for record in learner:
        yield Event(f"learning with seed {job.fit.seed}", record.step, record.steps, record)
    measure_means(learner.explainer, store)
    steps = diagnose_subject(subject._replace(explainer=learner.explainer), job.diagnose)
    found: Diagnosed = yield from told(f"diagnosing seed {job.fit.seed}", steps, len(subject.store))
    return found


def _write(folder: Path, job: Job, rows: dict[int, dict[str, Any]]) -> None:
    file = folder / "diagnosis.json"
    content = read_json(file, "adding seeds to the diagnosis")
    names = [name for name in rows[job.fit.seed] if all(name in row for row in rows.values())]
    seeds = sorted(rows)
    numbers = []
    for name in names:
        fits = [rows[seed][name] for seed in seeds]
        values = torch.tensor([math.nan if fit["value"] is None else fit["value"] for fit in fits])
        mean = spread_number(values, least=0.0, most=1.0 if name.startswith(SHARES) else math.inf)
        numbers.append({"name": name, "mean": mean.as_json(), "fits": fits})
    found = {
        "explainer": file_digest(folder / "explainer.safetensors"),
        "partscope": __version__,
        "diagnose": measured_by(asdict(job.diagnose)),
        "seeds": seeds,
        "numbers": numbers,
    }
    write_json(file, {**content, "seeds": found})
