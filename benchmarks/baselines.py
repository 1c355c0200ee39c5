"""Other ways to get part detectors from the same features, under the same metrics as the explainer's filters.

Command:   python benchmarks/baselines.py RUN [--keep NAME]
Expected:  one to five minutes a run on two cores.
Last result: docs/results.md, "Beside other part detectors".

RUN is a finished run with its cached features. Each method makes maps of the tap or of the top conv layer: the channels
themselves, random projections, and k-means and NMF (what concept methods such as CRAFT use) with as many components
as the explainer has filters, at most 64, learned on the run's training features. Their peaks are judged as the
explainer's: a detector belongs to the category whose images excite it most, silent maps take no part.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from figures import keep
from rich.console import Console
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import MiniBatchNMF
from torch import Tensor
from torch.nn import functional

from partscope.diagnosis.following import keypoint_regression, landmark_r2
from partscope.diagnosis.number import resample
from partscope.diagnosis.observe import Peaks, field_of
from partscope.diagnosis.parts import assign
from partscope.diagnosis.stability import diversity, instability
from partscope.files import read_json
from partscope.folder import read_job
from partscope.maths import part_location, unit_points
from partscope.performers import Performer
from partscope.run import open_run
from partscope.subject import OpenedRun
from partscope.training import FeatureStore

MOST, SAMPLES = 64, 40_000
Maps = Callable[[Tensor], Tensor]
"""From a layer's maps (N, C, H, W) to the detectors' maps (N, F, H, W)."""


def channels(maps: Tensor) -> Tensor:
    """The layer's own channels."""
    return maps


def projections(sample: Tensor, count: int) -> Maps:
    """Random directions of the centred features."""
    generator = torch.Generator().manual_seed(0)
    weight = functional.normalize(torch.randn(count, sample.shape[1], generator=generator), dim=1)
    mean = sample.mean(0)[:, None, None]
    return lambda maps: torch.einsum("fc,nchw->nfhw", weight, maps - mean)


def clusters(sample: Tensor, count: int) -> Maps:
    """Cosine with the centres of k-means on centred features, above the mean of all centres."""
    mean = sample.mean(0)
    unit = functional.normalize(sample - mean, dim=1)
    found = MiniBatchKMeans(count, random_state=0, n_init=3, batch_size=4096).fit(unit.numpy())
    centres = functional.normalize(torch.from_numpy(found.cluster_centers_).float(), dim=1)

    def maps_of(maps: Tensor) -> Tensor:
        near = torch.einsum("fc,nchw->nfhw", centres, functional.normalize(maps - mean[:, None, None], dim=1))
        return near - near.mean(1, keepdim=True)

    return maps_of


def factors(sample: Tensor, count: int) -> Maps:
    """Coefficients of non-negative matrix factorisation."""
    model = MiniBatchNMF(count, random_state=0, batch_size=4096, max_iter=20).fit(sample.relu().numpy())

    def maps_of(maps: Tensor) -> Tensor:
        n, _, height, width = maps.shape
        flat = maps.relu().permute(0, 2, 3, 1).flatten(0, 2).numpy()
        return torch.from_numpy(model.transform(flat)).float().view(n, height, width, count).permute(0, 3, 1, 2)

    return maps_of


METHODS: dict[str, Callable[[Tensor, int], Maps]] = {
    "channels": lambda sample, count: channels,
    "random projections": projections,
    "k-means": clusters,
    "NMF": factors,
}


def sampled(store: FeatureStore, maps_of: Callable[[Any], Tensor]) -> Tensor:
    """Positions drawn from the training images' maps, (M, C)."""
    generator = torch.Generator().manual_seed(0)
    each = max(1, SAMPLES // len(store))
    rows = []
    for _, features in store.batches():
        flat = maps_of(features).permute(0, 2, 3, 1).flatten(1, 2)
        drawn = torch.rand(flat.shape[:2], generator=generator).argsort(1)[:, :each]
        rows.append(flat.gather(1, drawn[..., None].expand(-1, -1, flat.shape[2])).flatten(0, 1))
    return torch.cat(rows)


def peaks_of(store: FeatureStore, performer: Performer, maps_of: Callable[[Any], Tensor]) -> Peaks:
    """Where detectors peak on the test images."""
    rows: list[tuple[Tensor, ...]] = []
    units = 0
    for _, features in store.batches():
        maps = maps_of(features)
        field, found = field_of(performer, maps, features.tap), part_location(maps)
        units = maps.shape[2] * maps.shape[3]
        points = unit_points(found.unit, maps.shape[3], field, field)
        rows.append((found.unit, found.peak, maps.relu().sum((2, 3)), points))
    unit, score, total, points = (torch.cat(column) for column in zip(*rows, strict=True))
    return Peaks(unit, score, total, points, units)


def measured(run: OpenedRun, peaks: Peaks) -> dict[str, Any]:
    """The metrics of one set of detectors."""
    subject, truth = run.subject, run.subject.truth
    assert truth is not None
    chosen = truth.only(run.job.diagnose.landmarks or truth.names)
    side = subject.performer.input_size
    diagonal = side * 2**0.5
    counts = resample(len(subject.store), 200)
    given = assign(peaks, subject.labels.category, subject.labels.owners)
    owned = subject.labels.category >= 0
    top = run.job.diagnose.top_images
    errors, near = keypoint_regression({"of": (peaks, peaks.score > 0)}, truth, owned, diagonal, counts)
    return {
        "detectors": peaks.score.shape[1],
        "instability": instability(peaks, given.valid, chosen, diagonal, top, counts)[0].as_json(),
        "instability_all": instability(peaks, given.valid, chosen, diagonal, None, counts)[0].as_json(),
        "r2": landmark_r2(peaks, given.valid, truth, top, counts).as_json(),
        "keypoints": errors["of"].as_json(),
        "pck": near["of"].as_json(),
        "keypoints_null": errors["null_mean_landmark"].as_json(),
        **{key: number.as_json() for key, number in diversity(peaks, given, diagonal, counts).items()},
    }


def main() -> None:
    """Prints one row a method and layer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--keep", type=str, help="name to keep the rows under")
    options = parser.parse_args()
    console = Console(stderr=True)
    job = read_job(options.run)
    steps = open_run(options.run, job=job)
    while True:
        try:
            event = next(steps)
            console.print(f"{event.stage} {event.done}/{event.total}", end="\r")
        except StopIteration as end:
            run: OpenedRun = end.value
            break
    subject = run.subject
    folder = options.run / "features" / "train"
    train = FeatureStore(read_json(folder / "manifest.json", "reading features"), sorted(folder.glob("*.safetensors")))
    layers: dict[str, Callable[[Any], Tensor]] = {
        "tap": lambda features: features.tap.relu(),
        "top conv": lambda features: subject.performer.top_map(features),
    }
    explainer = subject.explainer.eval()
    with torch.no_grad():
        rows = {
            "explainer": measured(
                run, peaks_of(subject.store, subject.performer, lambda f: explainer.encode(f.tap)[0].second)
            )
        }
        count = min(MOST, len(explainer.interpretable.norm.alpha))
        for layer, maps_of in layers.items():
            sample = sampled(train, maps_of)
            for name, method in METHODS.items():
                with console.status(f"{name}, {layer}"):
                    made = method(sample, count)
                    of = peaks_of(subject.store, subject.performer, lambda f, made=made, m=maps_of: made(m(f)))
                    rows[f"{name}, {layer}"] = measured(run, of)
    for name, row in rows.items():
        shown = {
            k: round(v["value"], 4) if isinstance(v, dict) and v["value"] is not None else v for k, v in row.items()
        }
        print(name, shown, flush=True)
    if options.keep:
        keep(f"baselines_{options.keep}", "python benchmarks/baselines.py RUN --keep NAME", {"rows": rows})


if __name__ == "__main__":
    main()
