"""The report of a run folder as one HTML file that needs nothing else."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from partscope.files import write_text
from partscope.report import wording
from partscope.report.atlas import as_script, atlas
from partscope.report.charts import training_panels
from partscope.report.estimate import Diagnosis, exact, locations, percent, pixels, plain, share, words
from partscope.report.frontier import frontier
from partscope.report.reading import Gallery, read_diagnosis, read_gallery, read_log, read_run
from partscope.report.view import (
    PROTOCOLS,
    cards,
    choices,
    fidelity_charts,
    flat,
    glance,
    location_chart,
    location_rows,
    part_cards,
    part_tables,
    seed_table,
)

HERE = Path(__file__).parent


def write_report(run_folder: Path) -> Path:
    """Writes ``report.html`` into a run folder, whole or not at all.

    The file is a view of ``diagnosis.json`` with the pictures of ``gallery.safetensors``, the course of
    ``log.jsonl`` and the provenance of ``run.json``; the last two may be missing. It loads nothing else.

    Args:
        run_folder: the folder of a run with its diagnosis.

    Returns:
        Path of the report.

    Raises:
        RunError: diagnosis or gallery is missing, damaged or foreign, or the report cannot be written.
    """
    diagnosis = read_diagnosis(run_folder)
    gallery = read_gallery(run_folder, diagnosis)
    page = render(diagnosis, gallery, read_log(run_folder), read_run(run_folder))
    write_text(run_folder / "report.html", page)
    return run_folder / "report.html"


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
    shown = part_cards(diagnosis, gallery)
    return fill(
        "report.html.j2",
        diagnosis.get("crop.diagonal_px"),
        d=diagnosis.document,
        get=diagnosis.estimate,
        summary=wording.summary(diagnosis),
        collapse=wording.collapse(diagnosis) if diagnosis.get("diversity.collapsed") else None,
        cards=cards(diagnosis),
        location_chart=location_chart(diagnosis),
        location_rows=location_rows(diagnosis),
        protocols=PROTOCOLS,
        part_tables=part_tables(diagnosis),
        seed_table=seed_table(diagnosis),
        mimic=wording.read_mimic(diagnosis) if diagnosis.get("mimic") else None,
        fidelity_charts=fidelity_charts(diagnosis),
        branches=wording.BRANCHES,
        frontier=frontier(diagnosis),
        panels=training_panels(log, diagnosis.get("fidelity.targets")),
        parts=shown,
        glance=glance(shown),
        categories=choices(shown, "category"),
        landmarks=choices(shown, "best_landmark"),
        images=[] if gallery.facts is None else sorted({c for c in gallery.facts.categories if c is not None}),
        has_images=gallery.facts is not None,
        has_field=gallery.field is not None,
        atlas=as_script(atlas(diagnosis, gallery)),
        limits=wording.limits(diagnosis),
        settings=flat(diagnosis.get("settings")),
        performer=flat(diagnosis.get("performer")),
        provenance=flat(diagnosis.get("provenance")),
        run=flat(run),
    )


def fill(template: str, diagonal: float, **content: Any) -> str:
    """Fills a template of this folder; every page has the same style, script and filters.

    Args:
        template: name of its file.
        diagonal: the crop's diagonal, px.
        **content: what the template names.

    Returns:
        The HTML text.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "plain": plain,
        "percent": percent,
        "share": share,
        "places": locations,
        "pixels": lambda value: pixels(value, diagonal),
        "whole_pixels": lambda value: f"{value * diagonal:.0f} px",
        "exact": exact,
        "words": words,
    }
    environment.filters.update(filters)
    script = (HERE / "report.js").read_text(encoding="utf-8")
    return environment.get_template(template).render(
        style=Markup((HERE / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        **content,
    )
