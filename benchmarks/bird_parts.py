"""The picture of birds' parts in the README: places and distances only, no photograph.

Photographs of CUB-200-2011 may be used for research and not be passed on, so none stands in this repository. What a run
found on them may. Above, where each part's filters peak in the bird's box: circles grow with the number of test images,
all birds look to the left, diamonds and ellipses are the landmarks' means and standard deviations. Below, the same seen
from the bird's own landmark (coloured) and from another bird's (grey), with the median distances.

Command:   python benchmarks/bird_parts.py RUN [--data ROOT] [--weights FILE] [--out docs/pictures/birds-parts.png]
Expected:  a minute or two; RUN is a finished run on CUB-200-2011 (examples/real_photos/alexnet_cub.yaml).
Last result: docs/pictures/birds-parts.png, shown in README.md.
"""

import argparse
import io
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from fields import run_through
from matplotlib.patches import Ellipse, Rectangle
from PIL import Image
from torch import Tensor

from partscope.diagnosis import assign, explainer_layer, look
from partscope.folder import read_job
from partscope.report.reading import read_diagnosis
from partscope.run import open_run

OUT = Path(__file__).parents[1] / "docs" / "pictures" / "birds-parts.png"
COLOURS = ("#0072b2", "#d55e00", "#009e73")
INK, SOFT = "#1b2430", "#66707c"
SHOWN, DPI = 250, 150


class Found(NamedTuple):
    """One part on the images that show its landmark."""

    name: str
    filters: int
    share: tuple[float, float, float]
    """Its contribution with its interval."""
    points: Tensor
    """(n, 2) where its filters peak: the medians of their rows and columns, px."""
    landmarks: Tensor
    """(n, 2) where the bird's landmark is, px."""


def gather(folder: Path, data: str | None, weights: str | None) -> tuple[list[Found], list[Tensor], int]:
    """Parts, all landmarks of every image that shows them, and the crop's side; birds look to the left."""
    job = read_job(folder)
    job = replace(
        job,
        data=replace(job.data, root=data or job.data.root),
        performer=replace(job.performer, weights=weights or job.performer.weights),
    )
    run = run_through(open_run(folder, job=job))
    subject, side = run.subject, run.subject.performer.input_size
    layer = explainer_layer(subject.explainer, subject.performer, subject.store.rows([0]).tap)
    *_, seen = look(subject.store, {"e": (layer, [])})
    peaks, truth = seen["e"].peaks, subject.truth
    valid = assign(peaks, subject.labels.category, subject.labels.owners).valid
    place = {name: k for k, name in enumerate(truth.names)}
    head, tail = (truth.landmarks[:, place[name], 1] for name in ("forehead", "tail"))
    clear = truth.present[:, [place["forehead"], place["tail"]]].all(1)
    flip = (head > tail) & clear
    points, landmarks = peaks.points.clone(), truth.landmarks.clone()
    for where in (points, landmarks):
        where[flip, :, 1] = side - 1 - where[flip, :, 1]
    parts = []
    for part in read_diagnosis(folder).get("parts"):
        if part["landmark"] is None or not part["filters"]:
            continue
        k, filters = place[part["landmark"]], part["filters"]
        rows = (clear & truth.present[:, k] & valid[:, filters].all(1)).nonzero().flatten()
        number = part["contribution"]
        middle = points[rows][:, filters].median(1).values
        share = number["value"], number["low"], number["high"]
        parts.append(Found(part["name"], len(filters), share, middle, landmarks[rows, k]))
    marks = [landmarks[clear & truth.present[:, k], k] for k in range(len(truth.names))]
    return parts, [mark for mark, name in zip(marks, truth.names, strict=True) if name in {p.name for p in parts}], side


def ellipse(axes: Any, mark: Tensor, colour: str) -> None:
    """A landmark's mean and the ellipse of one standard deviation."""
    middle = mark.mean(0)
    values, vectors = np.linalg.eigh(np.cov(mark.T.numpy()))
    angle = np.degrees(np.arctan2(vectors[0, 1], vectors[1, 1]))
    size = 2 * np.sqrt(values[::-1])
    axes.add_patch(Ellipse((middle[1], middle[0]), *size, angle=angle, fill=False, ec=colour, lw=1.6))
    axes.plot(middle[1], middle[0], "D", ms=6.5, mfc=colour, mec="white", mew=1.2)


def draw(parts: list[Found], marks: list[Tensor], names: list[str], side: int) -> Any:
    """The picture: a column a part."""
    parts = parts[: len(COLOURS)]
    figure, grid = plt.subplots(2, len(parts), figsize=(9.2, 6.7), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, hspace=0.02)
    for part, colour, box, offsets in zip(parts, COLOURS, *grid, strict=True):
        share, low, high = (100 * value for value in part.share)
        plural = "filter" if part.filters == 1 else "filters"
        title = f"{part.name}: {part.filters} {plural}\n"
        box.set_title(title, color=colour, weight="bold", fontsize=12, pad=7)
        said = f"add {share:.0f} % of the score [{low:.0f}, {high:.0f}]"
        box.text(0.5, 1.02, said, transform=box.transAxes, ha="center", va="bottom", fontsize=9.5, color=INK)
        box.add_patch(Rectangle((0, 0), side, side, fill=False, ec="#c3cad2", lw=1.2))
        units, count = part.points.unique(dim=0, return_counts=True)
        box.scatter(*units.flip(1).T, s=900 * count / len(part.points), color=colour, alpha=0.55, lw=0)
        for mark, name in zip(marks, names, strict=True):
            ellipse(box, mark, INK if name == part.name else "#a3acb6")
            middle, mine = mark.mean(0), name == part.name
            where = {"xytext": (0, -14), "textcoords": "offset points", "ha": "center", "fontsize": 9}
            look_ = {"color": INK if mine else SOFT, "weight": "bold" if mine else "normal"}
            box.annotate(name, (middle[1], middle[0]), **where, **look_)
        box.set(xlim=(-4, side + 4), ylim=(side + 4, -4))
        own, other = part.points - part.landmarks, part.points - part.landmarks.roll(1, 0)
        some = torch.randperm(len(own), generator=torch.Generator().manual_seed(0))[:SHOWN]
        offsets.scatter(*other[some].flip(1).T, s=9, color="#b6bdc6", alpha=0.6, lw=0)
        offsets.scatter(*own[some].flip(1).T, s=9, color=colour, alpha=0.6, lw=0)
        offsets.plot(0, 0, "+", ms=13, mew=1.8, color=INK)
        offsets.add_patch(Rectangle((-side / 2, -side / 2), side, side, fill=False, ec="#c3cad2", lw=1.2))
        offsets.set(xlim=(-side / 2, side / 2), ylim=(side / 2, -side / 2))
        far = [float(torch.linalg.vector_norm(gap, dim=1).median()) for gap in (own, other)]
        offsets.set_title(f"{far[0]:.0f} px away; from another bird's {far[1]:.0f}", fontsize=9.5, color=INK, pad=4)
        for axes in (box, offsets):
            axes.set(xticks=[], yticks=[], aspect="equal", frame_on=False)
    grid[0, 0].set_ylabel("peaks in the bird's box", fontsize=10, color=INK)
    grid[1, 0].set_ylabel("peaks seen from the landmark (+)", fontsize=10, color=INK)
    return figure


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", default=None)
    parser.add_argument("--weights", default=None)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    parts, marks, side = gather(options.run, options.data, options.weights)
    names = [part.name for part in sorted(parts, key=lambda part: part.name)]
    figure = draw(parts, marks, names, side)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    pixels = io.BytesIO()
    figure.savefig(pixels, dpi=DPI)
    Image.open(pixels).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(options.out, optimize=True)
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
