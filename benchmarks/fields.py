"""How large measured receptive fields are beside the theoretical ones, and what measuring them for the report costs.

Command:   python benchmarks/fields.py RUN [--keep]
Expected:  two minutes for the demo's run on two cores.
Keeps:     benchmarks/figures/fields.json, which `benchmarks/figures.py` writes into decisions 23 and 26.
"""

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from kept import keep

from partscope.diagnosis import assign, exciting_images, explainer_layer, fields_cost, look, measure_fields
from partscope.diagnosis.shown_fields import COARSE, in_turn
from partscope.figure_settings import FieldSettings
from partscope.figures.look import read_found
from partscope.run import open_run
from partscope.settings import DiagnoseSettings


def run_through(steps: Any) -> Any:
    """The result of a generator, its events passed over."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def main() -> None:
    """Measures, prints, and keeps where asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--filters", type=int, default=4)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    run = run_through(open_run(given.run))
    subject, size = run.subject, run.subject.performer.input_size
    layer = explainer_layer(subject.explainer, subject.performer, subject.store.rows([0]).tap)
    filters = read_found(given.run).gallery[: given.filters]
    *_, seen = look(subject.store, {"e": (layer, filters)})
    peaks, mine = seen["e"].peaks, assign(seen["e"].peaks, subject.labels.category, subject.labels.owners)
    wanted = []
    for f in filters:
        own = mine.mine[:, f].nonzero().flatten()
        wanted.append((f, exciting_images(peaks.score[:, f], 0.0, own, given.images, torch.Generator().manual_seed(f))))
    rows = {}
    for centre in ("image", "covered"):
        settings = replace(FieldSettings(), centre=centre)
        *_, fields = measure_fields(subject.performer, layer, wanted, lambda i: run.photos[i].image, settings)
        area = [float((field.shape >= 0.5).sum()) ** 0.5 for field in fields]
        rows[centre] = {"drawn": statistics.mean(area), "measured": statistics.mean(f.side for f in fields)}
        print(centre, rows[centre], "theoretical", layer.field.size)
    every = read_found(given.run).gallery
    shown = in_turn(every, mine.category, DiagnoseSettings().fields)
    score = peaks.score.where(mine.valid, -torch.inf)
    order = {f: score[:, f].argsort(descending=True, stable=True).tolist() for f in shown}
    coarse = {}
    for name, settings in (("report", COARSE), ("figure", FieldSettings())):
        wanted = [(f, order[f][: settings.images]) for f in shown]
        started = time.process_time()
        *_, fields = measure_fields(subject.performer, layer, wanted, lambda i: run.photos[i].image, settings)
        coarse[name] = {
            "covered": fields_cost(settings, size, wanted),
            "filters": len(shown),
            "measured": statistics.mean(field.side for field in fields),
            "seconds": time.process_time() - started,
        }
        print(name, coarse[name])
    if given.keep:
        found = {"fields": rows, "theoretical": layer.field.size, "coarse": coarse, "crop": size}
        keep(
            "fields", f"python benchmarks/fields.py RUN --filters {given.filters} --images {given.images} --keep", found
        )


if __name__ == "__main__":
    main()
