"""The report of a run folder as one HTML file that needs nothing else."""

import base64
import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from partscope.errors import RunError
from partscope.report import wording
from partscope.report.charts import IntervalChart, interval_chart, training_panels
from partscope.report.estimate import Diagnosis, Estimate, exact, locations, percent, pixels, plain, words
from partscope.report.figures import Tile, filter_tiles, map_frame, photo_uris
from partscope.report.reading import Gallery, read_diagnosis, read_gallery, read_log, read_run

HERE = Path(__file__).parent
LOCATION_ROWS = {
    "explainer": ("Explainer's filters", "explainer"),
    "top_conv": ("Performer: top layer", "top"),
    "tap": ("Performer: tap", "tap"),
    "null_center": ("No image: centre", "null"),
    "null_best_fixed": ("No image: best fixed point", "null"),
    "null_random": ("No image: random points", "null"),
}
PROTOCOLS = {"released": "Strongest images of each filter", "all": "All images"}


class Figure(NamedTuple):
    """One number as a card or table shows it."""

    label: str
    estimate: Estimate
    kind: str
    """How it is written: plain, percent, length or places."""


class Card(NamedTuple):
    """A headline: one leading number, those to read it against, and what they say together."""

    name: str
    title: str
    lead: Figure | None
    others: list[Figure]
    sentence: str


class Strip(NamedTuple):
    """One filter of the gallery."""

    place: int
    """The filter's position in the diagnosis's list."""
    facts: dict[str, Any]
    tiles: list[Tile]
    bar: float
    """Its contribution, percent of the largest that is shown."""


def write_report(run_folder: Path) -> Path:
    """Writes ``report.html`` into a run folder, whole or not at all.

    The file is a view of ``diagnosis.json`` with the pictures of ``gallery.safetensors``, the course of
    ``log.jsonl`` and the provenance of ``run.json``; the last two may be missing. It loads nothing from elsewhere.

    Args:
        run_folder: the folder of a run with its diagnosis.

    Returns:
        Path of the report.

    Raises:
        RunError: the diagnosis or the gallery is missing, damaged or foreign, or the report cannot be written.
    """
    diagnosis = read_diagnosis(run_folder)
    gallery = read_gallery(run_folder, diagnosis)
    page = render(diagnosis, gallery, read_log(run_folder), read_run(run_folder))
    return _write(run_folder / "report.html", page)


def render(diagnosis: Diagnosis, gallery: Gallery, log: list[dict[str, Any]], run: dict[str, Any]) -> str:
    """Makes the page.

    Args:
        diagnosis: the checked diagnosis.
        gallery: the checked gallery.
        log: records of the fit, may be empty.
        run: contents of ``run.json``, may be empty.

    Returns:
        The HTML text.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    diagonal = diagnosis.get("crop.diagonal_px")
    environment.filters |= {
        "plain": plain,
        "percent": percent,
        "places": locations,
        "pixels": lambda value: pixels(value, diagonal),
        "exact": exact,
        "words": words,
    }
    script = (HERE / "report.js").read_text(encoding="utf-8")
    strips = _strips(diagnosis, gallery)
    return environment.get_template("report.html.j2").render(
        d=diagnosis.document,
        get=diagnosis.estimate,
        style=Markup((HERE / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        summary=wording.summary(diagnosis),
        collapse=wording.collapse(diagnosis) if diagnosis.get("diversity.collapsed") else None,
        cards=_cards(diagnosis),
        location_chart=_location_chart(diagnosis),
        location_rows=LOCATION_ROWS,
        protocols=PROTOCOLS,
        fidelity_charts=_fidelity_charts(diagnosis),
        branches=wording.BRANCHES,
        panels=training_panels(log, diagnosis.get("fidelity.targets")),
        strips=strips,
        limits=wording.limits(diagnosis),
        settings=_flat(diagnosis.get("settings")),
        performer=_flat(diagnosis.get("performer")),
        provenance=_flat(diagnosis.get("provenance")),
        run=_flat(run),
    )


def _cards(diagnosis: Diagnosis) -> list[Card]:
    last = str(diagnosis.get("fidelity.targets")[-1])
    measure = diagnosis.get("fidelity.measure")
    own = [Figure("Performer's own error", diagnosis.estimate("fidelity.performer.error"), "percent")]
    cards = [
        Card(
            "p",
            "Mixing weight p",
            Figure("p", diagnosis.estimate("p"), "plain"),
            [
                Figure(f"FVU of {last}, parts only", wording.last_target(diagnosis, "parts_only"), "plain"),
                Figure(f"FVU of {last}, ordinary only", wording.last_target(diagnosis, "ordinary_only"), "plain"),
            ],
            wording.read_p(diagnosis),
        ),
        Card(
            "fidelity",
            "Fidelity",
            Figure(f"Explainer's {measure}", diagnosis.estimate(f"fidelity.full.{measure}"), "percent"),
            [
                *(own if diagnosis.get("fidelity.performer") else []),
                Figure(f"FVU of {last}", wording.last_target(diagnosis, "full"), "plain"),
                Figure("KL from the performer's answer (nats)", diagnosis.estimate("fidelity.full.kl"), "plain"),
            ],
            wording.read_fidelity(diagnosis),
        ),
    ]
    field = "location_instability.released"
    if diagnosis.get("location_instability"):
        figures = [Figure(label, diagnosis.estimate(f"{field}.{key}"), "length") for key, (label, _) in LOCATION_ROWS.items()]
        cards.append(Card("instability", "Location instability", figures[0], figures[1:], wording.read_instability(diagnosis)))
    else:
        reason = diagnosis.get("absent.location_instability", "the diagnosis gives no reason")
        cards.append(Card("instability", "Location instability", None, [], f"Not measured: {reason}."))
    spreads = [Figure("Performer: top layer", diagnosis.estimate("diversity.top_conv.spread"), "length")]
    if diagnosis.get("diversity.landmarks"):
        spreads.append(Figure("Landmarks", diagnosis.estimate("diversity.landmarks.spread"), "length"))
    for key, label in (("explainer", "Distinct places, filters"), ("top_conv", "Distinct places, top layer")):
        spreads.append(Figure(label, diagnosis.estimate(f"diversity.{key}.effective_locations"), "places"))
    lead = Figure("Explainer's filters", diagnosis.estimate("diversity.explainer.spread"), "length")
    cards.append(Card("spread", "Spread within an image", lead, spreads, wording.read_spread(diagnosis)))
    return cards


def _location_chart(diagnosis: Diagnosis) -> IntervalChart | None:
    if not diagnosis.get("location_instability"):
        return None
    rows = []
    for key, (label, look) in LOCATION_ROWS.items():
        estimate = diagnosis.estimate(f"location_instability.released.{key}")
        rows.append((label, estimate, plain(estimate.value), look))
    title = "Location instability, fraction of the crop's diagonal (lower is steadier)"
    return interval_chart("chart-location", title, rows)


def _fidelity_charts(diagnosis: Diagnosis) -> list[IntervalChart]:
    measure, targets = diagnosis.get("fidelity.measure"), diagnosis.get("fidelity.targets")
    looks = {"full": "explainer", "parts_only": "parts", "ordinary_only": "ordinary"}
    charts = []
    for index, target in enumerate(targets):
        rows = []
        for branch, label in wording.BRANCHES.items():
            estimate = diagnosis.estimate(f"fidelity.{branch}.fvu.{index}")
            rows.append((label.capitalize(), estimate, plain(estimate.value), looks[branch]))
        title = f"FVU of {target} (lower is closer)"
        charts.append(interval_chart(f"chart-fvu-{index}", title, rows, reference=(1.0, "mean predictor"), cap=1.6))
    rows = []
    if diagnosis.get("fidelity.performer"):
        estimate = diagnosis.estimate("fidelity.performer.error")
        rows.append(("Performer itself", estimate, percent(estimate.value), "top"))
    for branch, label in wording.BRANCHES.items():
        estimate = diagnosis.estimate(f"fidelity.{branch}.{measure}")
        rows.append((label.capitalize(), estimate, percent(estimate.value), looks[branch]))
    title = "Classification error" if measure == "error" else "Disagreement with the performer"
    return [*charts, interval_chart("chart-error", f"{title} (lower is closer)", rows, as_percent=True)]


def _strips(diagnosis: Diagnosis, gallery: Gallery) -> list[Strip]:
    rows = {facts["filter"]: (place, facts) for place, facts in enumerate(diagnosis.get("filters"))}
    shown = [(row, *rows[filter_]) for row, filter_ in enumerate(gallery.filters.tolist())]
    shown.sort(key=lambda item: _contribution(item[2]), reverse=True)
    largest = max([abs(facts["contribution"] or 0.0) for _, _, facts in shown], default=0.0) or 1.0
    frame, photos = map_frame(gallery), photo_uris(gallery)
    return [
        Strip(
            place=place,
            facts=facts,
            tiles=filter_tiles(gallery, row, facts, frame, photos),
            bar=100 * (facts["contribution"] or 0.0) / largest,
        )
        for row, place, facts in shown
    ]


def _contribution(facts: dict[str, Any]) -> float:
    return float("-inf") if facts["contribution"] is None else float(facts["contribution"])


def _flat(content: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(content, dict) and content:
        return [row for key, value in content.items() for row in _flat(value, f"{name}.{key}" if name else str(key))]
    if isinstance(content, list) and not any(isinstance(value, (dict, list)) for value in content):
        return [(name, ", ".join(str(value) for value in content) or "none")]
    if content is None or content == {} or content == "":
        return [(name, "none")] if name else []
    if isinstance(content, (bool, list)):
        return [(name, exact(content))]
    return [(name, str(content))]


def _write(path: Path, text: str) -> Path:
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise RunError(
            f"writing the report '{path}'", str(error), "free some space or make the run folder writable, then try again"
        ) from error
    return path
