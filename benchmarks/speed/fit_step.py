"""Cost of an explainer's training step against a bare network of the same convs and decoder, in one run.

Command:   python benchmarks/speed/fit_step.py [alexnet vgg16 resnet50] [--batch 16] [--steps 5] [--keep]
Expected:  about 5 minutes on two cores. Weights are random: they do not change the cost.
Last result: docs/results.md, "Step cost"; `--keep` keeps the rows for benchmarks/figures.py.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from partscope.performers import Features, Performer
from partscope.performers.catalogue import CATALOGUE
from partscope.settings import ExplainerSettings, FitSettings
from partscope.training import FeatureStore, Labels, Learner, build_explainer, start_magnitudes, survey

sys.path.append(str(Path(__file__).parents[1]))
from kept import keep


def make_store(performer: Performer, rows: int) -> FeatureStore:
    """Random features of the performer's shapes, kept in memory."""
    tap = torch.rand(rows, *performer.tap_shape)
    targets = {f"target{i}": torch.rand(rows, *s) for i, s in enumerate(performer.target_shapes)}
    manifest = {"rows": rows, "shard_rows": rows, "targets": list(targets)}
    return FeatureStore(manifest, [{"tap": tap, **targets}])


def bare_step(performer: Performer, learner: Learner, store: FeatureStore) -> Callable[[], None]:
    """The same three convs, pool and decoder, with mean squared errors and the same optimiser."""
    explainer = learner.explainer
    first, second = explainer.interpretable.conv_interp_1, explainer.interpretable.conv_interp_2
    ordinary, pool = explainer.ordinary.conv_ordin, performer.pool()
    decoder = performer.decoder_modules()
    parameters = [*first.parameters(), *second.parameters(), *ordinary.parameters()]
    parameters += [w for segment in decoder for w in segment.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-5, fused=True)
    rows = range(len(store))

    def step() -> None:
        features: Features = store.rows(rows)
        x: Tensor = pool(second(first(features.tap).relu()).relu()) + pool(ordinary(features.tap).relu())
        loss = torch.zeros(())
        for segment, target in zip(decoder, features.targets, strict=True):
            x = segment(x)
            loss = loss + nn.functional.mse_loss(x, target)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()

    return step


def main() -> None:
    """Times every variant, interleaved, and prints one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=["alexnet", "vgg16", "resnet50"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {options.batch}")
    print("| network | bare, ms | tracks and norm | + masks | + filter loss (whole step) |\n|---|--:|--:|--:|--:|")
    rows: dict[str, dict[str, float]] = {}
    for name in options.names:
        row = CATALOGUE[name]
        module = torchvision.models.get_model(name, weights=None)
        performer = Performer.for_model(module, row.input_size, tap=row.tap, targets=row.targets)
        store = make_store(performer, options.batch)
        category = (torch.arange(options.batch) % 4 > 0).long() - 1
        labels = Labels(("object",), category, torch.tensor([True]))
        constants = survey(performer, store, category >= 0)
        timings: dict[str, list[float]] = {}
        steps: dict[str, Callable[[], object]] = {}
        for variant, masks, rule in (
            ("tracks", False, "none"),
            ("masks", True, "none"),
            ("whole", True, "robust"),
        ):
            settings = ExplainerSettings(masks=masks)
            explainer = build_explainer(performer, store, constants.gain, settings, 0)
            start_magnitudes(explainer, store, category >= 0)
            fit = FitSettings(labels="single", filter_loss=rule, batch_size=options.batch, epochs=10**5)  # type: ignore[arg-type]
            learner = Learner(explainer, store, labels, constants, fit)
            records = iter(learner)
            steps[variant] = lambda records=records: next(records)  # type: ignore[misc]
        steps = {"bare": bare_step(performer, learner, store), **steps}
        for repeat in range(options.steps + 1):
            for variant, step in steps.items():
                started = time.perf_counter()
                step()
                if repeat:
                    timings.setdefault(variant, []).append(time.perf_counter() - started)
        middle = {variant: statistics.median(t) for variant, t in timings.items()}
        shares = " | ".join(f"{middle[v] / middle['bare']:.2f}x" for v in ("tracks", "masks", "whole"))
        rows[name] = middle
        print(f"| {name} | {middle['bare'] * 1000:.0f} | {shares} |", flush=True)
    if options.keep:
        about = {"torch": torch.__version__, "threads": torch.get_num_threads(), "batch": options.batch}
        keep("step_cost", "python benchmarks/speed/fit_step.py --keep", {**about, "rows": rows})


if __name__ == "__main__":
    main()
