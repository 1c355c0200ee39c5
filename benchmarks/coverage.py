"""Whether the intervals cover: simulated test sets whose true value is known.

Command:   python benchmarks/coverage.py [--cases 2000] [--keep]
Expected:  half an hour of one core.
Last result: docs/results.md, "Do the intervals cover?".

Each kind of number is computed on `--cases` test sets drawn from a known distribution, with its interval by the code
that writes `diagnosis.json`. The share of intervals that hold the true value should be
.95; its own error at 2,000 cases is .005. Values that depend on the number of images by construction (the strongest 100
of them) are held against their mean over all cases.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import NamedTuple

import torch
from kept import has_kept, keep, kept
from rich.console import Console
from rich.progress import track
from torch import Tensor

from partscope.diagnosis.following import landmark_r2
from partscope.diagnosis.number import Number, mean_number, proportion, ratio_number, resample
from partscope.diagnosis.observe import Peaks
from partscope.diagnosis.part_share import PAIRS, SHARE, Contrast, differing_pairs, part_share_numbers
from partscope.diagnosis.stability import Truth, instability
from partscope.maths import part_share

SIDE, FILTERS = 224.0, 8
RANK = torch.arange(64, dtype=torch.float64)
SHAPES = torch.stack([1.5 - RANK / 64, 20 * (-RANK / 3).exp()])
"""Profiles of evidence everywhere and of evidence in few places."""
TERMINAL = Console(stderr=True)


class Kind(NamedTuple):
    """A kind of number."""

    draw: Callable[[int, int, torch.Generator], Number]
    """The number and its interval on a set of so many images, by so many redraws."""
    truth: float | None
    """What it estimates; None takes the mean over all cases."""


def _counts(n: int, redraws: int, generator: torch.Generator) -> Tensor:
    return resample(n, redraws, seed=int(torch.randint(2**31, (1,), generator=generator)))


def _proportion(share: float) -> Kind:
    def draw(n: int, redraws: int, generator: torch.Generator) -> Number:
        return proportion(int((torch.rand(n, generator=generator) < share).sum()), n)

    return Kind(draw, share)


def _mean(n: int, redraws: int, generator: torch.Generator) -> Number:
    values = torch.randn(n, generator=generator, dtype=torch.float64).mul(0.8).exp()
    return mean_number(values, _counts(n, redraws, generator))


def _ratio(n: int, redraws: int, generator: torch.Generator) -> Number:
    below = torch.randn(n, 6, generator=generator, dtype=torch.float64).square().sum(1)
    above = below * torch.rand(n, generator=generator, dtype=torch.float64)
    return ratio_number(above, below, _counts(n, redraws, generator))


def _scene(n: int, generator: torch.Generator) -> tuple[Peaks, Tensor, Truth]:
    """Three landmarks that wander, and filters that follow one of them loosely."""
    landmarks = 112 + 25 * torch.randn(n, 3, 2, generator=generator)
    loose = torch.linspace(4, 40, FILTERS)[None, :, None]
    points = landmarks[:, torch.arange(FILTERS) % 3] + 10 + loose * torch.randn(n, FILTERS, 2, generator=generator)
    score = torch.rand(n, FILTERS, generator=generator) + 0.1
    present = torch.rand(n, 3, generator=generator) < 0.8
    unit = torch.zeros(n, FILTERS, dtype=torch.int64)
    peaks = Peaks(unit=unit, score=score, total=score, points=points, units=196)
    return peaks, torch.ones(n, FILTERS, dtype=torch.bool), Truth(("a", "b", "c"), landmarks, present)


def _instability(top: int | None) -> Kind:
    def draw(n: int, redraws: int, generator: torch.Generator) -> Number:
        peaks, valid, truth = _scene(n, generator)
        return instability(peaks, valid, truth, SIDE * 2**0.5, top, _counts(n, redraws, generator))[0]

    return Kind(draw, None)


def _r2(n: int, redraws: int, generator: torch.Generator) -> Number:
    peaks, valid, truth = _scene(n, generator)
    return landmark_r2(peaks, valid, truth, None, _counts(n, redraws, generator))


def _evidence(n: int, generator: torch.Generator, rarer: int) -> Number:
    """Pairs of images that bring evidence everywhere and evidence in few places, each its own amounts."""
    answer = (torch.arange(n) < rarer).long()
    first, second = differing_pairs(answer, PAIRS, generator)
    own = torch.randn(n, 2, generator=generator, dtype=torch.float64).mul(0.5).exp()
    amounts = own[first] + own[second]
    both, which = torch.unique(torch.minimum(first, second) * n + torch.maximum(first, second), return_inverse=True)
    amounts = amounts * torch.randn(len(both), 2, generator=generator, dtype=torch.float64).mul(0.5).exp()[which]
    one = torch.ones(len(first))
    return part_share_numbers(Contrast(first, second, one, one, amounts @ SHAPES, rarer))[SHARE]


def _part_share(rarer: Callable[[int], int]) -> Kind:
    truth = float(part_share(SHAPES.sum(0, keepdim=True)))
    return Kind(lambda n, redraws, generator: _evidence(n, generator, rarer(n)), truth)


KINDS = {
    "a proportion of .03 (Wilson)": _proportion(0.03),
    "a proportion of .3 (Wilson)": _proportion(0.3),
    "a mean of skewed values (KL, spread, keypoint error)": Kind(_mean, 2.718281828459045**0.32),
    "a ratio of sums (FVU)": Kind(_ratio, 0.5),
    "location instability, all images": _instability(None),
    "location instability, strongest 100": _instability(100),
    "R² with the nearest landmark": Kind(_r2, None),
    "part share, two answers": _part_share(lambda n: n // 2),
    "part share, 5 images with another answer": _part_share(lambda n: 5),
}


def coverage(kind: Kind, n: int, redraws: int, cases: int, label: str) -> float:
    """Share of intervals that hold the truth."""
    generator = torch.Generator().manual_seed(n)
    steps = track(range(cases), f"{label}, {redraws} redraws, n {n}", transient=True, console=TERMINAL)
    found = [kind.draw(n, redraws, generator) for _ in steps]
    truth = statistics.mean(number.value for number in found) if kind.truth is None else kind.truth
    return statistics.mean(number.low <= truth <= number.high for number in found)


def main() -> None:
    """Prints one row a kind, one column a number of images."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--images", type=int, nargs="*", default=[50, 100, 200, 500])
    parser.add_argument("--redraws", type=int, nargs="*", default=[200, 1000])
    parser.add_argument("--only", nargs="*", default=list(KINDS), help="kinds of numbers; the others stay as kept")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    rows: dict[str, dict[str, dict[str, float]]] = (
        kept("coverage")["rows"] if options.keep and has_kept("coverage") else {}
    )
    for redraws in options.redraws:
        for label in options.only:
            kind = KINDS[label]
            found = {str(n): coverage(kind, n, redraws, options.cases, label) for n in options.images}
            rows.setdefault(str(redraws), {})[label] = found
            print(redraws, label, found, flush=True)
    if options.keep:
        keep("coverage", "python benchmarks/coverage.py --keep", {"rows": rows, "cases": options.cases})


if __name__ == "__main__":
    main()
