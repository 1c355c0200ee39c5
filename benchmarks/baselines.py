"""Other ways to get part detectors from the same features, under the same metrics as the explainer's filters.

Command:   python benchmarks/baselines.py RUN [RUN ...] [--keep NAME] [--seeds 1] [--networks 1] [--only METHOD ...]
Expected:  twenty minutes for the demo, an hour for the birds, on one core.
Last result: docs/results.md, "Beside other part detectors".

RUN is a finished run with its cached features; further RUNs are other seeds of the same job, and their explainers are
measured with the first one's. Random projections, k-means, NMF and the sparse autoencoder are learned on positions of
the training images, from the tap and from the top conv layer: as many detectors as the explainer has filters, at most
64 (of the autoencoder's latents the 64 that are active on the most training images). *Explainer+cls* and the
*interpretable CNN* are trained on the training images' features with the run's own settings. Every detector belongs to
the category whose images excite it most; silent maps take no part. Rows are kept one by one, so that `--only` adds to
what is there.
"""

import argparse
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from detectors import interpretable, sparse
from detectors.measures import explained, from_rebuilt_tap, measured, null_rows, own_error, performer_scores, see
from detectors.simple import MOST, SAMPLES, Detectors, channels, clusters, factors, projections, sampled
from kept import has_kept, keep, kept
from rich.console import Console

from partscope.folder import load_explainer, read_job
from partscope.nets import Explainer
from partscope.run import Event, open_run, open_training
from partscope.settings import Job
from partscope.subject import OpenedRun
from partscope.training import FeatureStore, Labels, fresh_learner, measure_means

SIMPLE = {"channels": channels, "random projections": projections, "k-means": clusters, "NMF": factors}
METHODS = ("explainer", "Explainer+cls", "interpretable CNN", "sparse autoencoder", *SIMPLE)
SPARSE_SAMPLES = 80_000
T = TypeVar("T")
Row = dict[str, Any]
Found = Iterator[tuple[str, Row]]


def ended(steps: Generator[Event, None, T], console: Console) -> T:
    """Goes through a job to its result."""
    while True:
        try:
            event = next(steps)
            console.print(f"{event.stage} {event.done}/{event.total}   ", end="\r")
        except StopIteration as end:
            result: T = end.value
            return result


class Bench:
    """A run, and what its explainer learned from."""

    def __init__(self, folders: list[Path], console: Console) -> None:
        self.folders, job = folders, read_job(folders[0])
        self.run: OpenedRun = ended(open_run(folders[0], job=job), console)
        train = open_training(job, folders[0], self.run.subject.performer)
        self.store, self.labels = ended(train, console)

    def explainers(self) -> Found:
        """The explainers of all runs, the first run's nulls, and the performer itself."""
        run = self.run
        for i, folder in enumerate(self.folders):
            tap = run.subject.store.rows([0]).tap
            explainer = load_explainer(folder, run.subject.performer, tap, read_job(folder))
            yield "explainer", self._filters(explainer)
            if i == 0:
                for name, row in null_rows(run, lambda f, e=explainer: e.encode(f.tap)[0].raw).items():
                    yield f"null: {name}", row
        yield "performer", own_error(run, performer_scores(run))

    def by_classification(self, seeds: int) -> Found:
        """The paper's Explainer+cls: the run's own job with the other objective."""
        for seed in range(seeds):
            job = replace(self.run.job, fit=replace(self.run.job.fit, objective="classification", seed=seed))
            yield "Explainer+cls", self._filters(learned(job, self.run, self.store, self.labels))

    def interpretable(self, seeds: int) -> Found:
        """The interpretable CNN."""
        settings = self.run.job.fit
        jobs = {"interpretable CNN": settings, "interpretable CNN's twin": replace(settings, filter_strength=0.0)}
        for label, fit in jobs.items():
            for seed in range(seeds):
                network = interpretable.learn(self.run.subject.performer, self.store, self.labels, fit, seed)
                with torch.no_grad():
                    scores = [network.scores(network.maps(f.tap)) for _, f in self.run.subject.store.batches()]
                seen = see(self.run, lambda f, n=network: n.maps(f.tap).raw)
                yield label, {**measured(self.run, seen), **own_error(self.run, torch.cat(scores))}

    def others(self, name: str, seeds: int) -> Found:
        """A method that reads one layer's positions, on the tap and on the top conv layer."""
        performer = self.run.subject.performer
        layers: dict[str, Callable[[Any], torch.Tensor]] = {
            "tap": lambda features: features.tap.relu(),
            "top conv": lambda features: performer.top_map(features),
        }
        count = min(MOST, len(self.run.subject.explainer.interpretable.norm.alpha))
        for layer, maps_of in layers.items():
            for seed in range(1 if name == "channels" else seeds):
                made = self._made(name, maps_of, count, seed)
                kept = made.chosen if made.chosen is not None else slice(None)
                seen = see(self.run, lambda f, d=made, k=kept, m=maps_of: d.code(m(f))[:, k])
                row = measured(self.run, seen)
                if layer == "tap" and made.rebuild is not None:
                    row |= from_rebuilt_tap(self.run, lambda tap, d=made: d.rebuild(d.code(tap.relu())))
                yield f"{name}, {layer}", {**row, **made.about}
                if made.chosen is not None and seed == 0:
                    all_of = see(self.run, lambda f, d=made, m=maps_of: d.code(m(f)))
                    yield f"{name}, {layer}, all latents", measured(self.run, all_of)

    def _made(self, name: str, maps_of: Callable[[Any], torch.Tensor], count: int, seed: int) -> Detectors:
        with torch.no_grad():
            sample = sampled(self.store, maps_of, SPARSE_SAMPLES if name == "sparse autoencoder" else SAMPLES, seed)
        if name != "sparse autoencoder":
            return SIMPLE[name](sample, count, seed)
        latents = min(sparse.OVERCOMPLETE * sample.shape[1], sparse.LATENTS)
        code = sparse.learn(sample, seed, latents=latents, active=sparse.ACTIVE)
        used = sparse.uses(code.code, (maps_of(features) for _, features in self.store.batches()))
        about = {"latents": latents, "active": sparse.ACTIVE, "never_active": int((used == 0).sum())}
        return Detectors(code.code, used.topk(count).indices, code.rebuild, about)

    def _filters(self, explainer: Explainer) -> Row:
        explainer.eval()
        seen = see(self.run, lambda f: explainer.encode(f.tap)[0].raw)
        return {**measured(self.run, seen), **explained(self.run, explainer)}


def learned(job: Job, run: OpenedRun, store: FeatureStore, labels: Labels) -> Explainer:
    """An explainer fitted by a job's settings on features that are there."""
    learner, _ = fresh_learner(run.subject.performer, store, labels, job.explainer, job.fit, "cpu")
    for _ in learner:
        pass
    measure_means(learner.explainer, store)
    return learner.explainer


def main() -> None:
    """Prints, and keeps, a row a method, layer and seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path, nargs="+", help="a finished run; further ones are its other seeds")
    parser.add_argument("--keep", type=str, help="name to keep the rows under")
    parser.add_argument("--seeds", type=int, default=1, help="of methods that learn from positions")
    parser.add_argument("--networks", type=int, default=1, help="seeds of Explainer+cls and the interpretable CNN")
    parser.add_argument("--only", nargs="*", choices=METHODS, default=list(METHODS))
    options = parser.parse_args()
    bench = Bench(options.run, Console(stderr=True))
    rows: dict[str, list[Row]] = {}
    if options.keep and has_kept(f"baselines_{options.keep}"):
        rows = kept(f"baselines_{options.keep}")["rows"]
    for name in options.only:
        steps = {
            "explainer": bench.explainers,
            "Explainer+cls": lambda: bench.by_classification(options.networks),
            "interpretable CNN": lambda: bench.interpretable(options.networks),
        }.get(name, lambda name=name: bench.others(name, options.seeds))
        fresh: dict[str, list[Row]] = {}
        for label, row in steps():
            fresh.setdefault(label, []).append(row)
            shown = {k: round(v["value"] or 0, 4) if isinstance(v, dict) else v for k, v in row.items()}
            print(label, shown, flush=True)
            if options.keep:
                command = "python benchmarks/baselines.py RUN --keep NAME"
                keep(f"baselines_{options.keep}", command, {"rows": {**rows, **fresh}})
        rows |= fresh


if __name__ == "__main__":
    main()
