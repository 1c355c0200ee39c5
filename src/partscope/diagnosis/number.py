"""Numbers with their count and interval."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

Z95 = 1.959963984540054
T95 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
"""Student's .975 quantiles with 1 to 9 degrees of freedom."""


def student(freedom: int) -> float:
    """Student's .975 quantile; from 10 degrees of freedom on by Cornish and Fisher's expansion.

    >>> [round(student(n), 3) for n in (1, 10, 30, 1000)]
    [12.706, 2.225, 2.042, 1.962]
    """
    if freedom <= len(T95):
        return T95[max(freedom, 1) - 1]
    return Z95 + (Z95**3 + Z95) / (4 * freedom) + (5 * Z95**5 + 16 * Z95**3 + 3 * Z95) / (96 * freedom**2)


class Number(NamedTuple):
    """A measured value, its 95 % interval and the number of cases behind it; nan where it has no value."""

    value: float
    low: float
    high: float
    n: int

    def as_json(self) -> dict[str, Any]:
        """As ``{"value", "low", "high", "n"}``, null for what cannot be computed."""
        shown = [v if math.isfinite(v) else None for v in (self.value, self.low, self.high)]
        return {"value": shown[0], "low": shown[1], "high": shown[2], "n": self.n}


def resample(images: int, resamples: int, seed: int = 0) -> Int[Tensor, "b n"]:
    """How often each image appears in each bootstrap resample.

    >>> resample(5, 3).sum(1).tolist()
    [5, 5, 5]
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(images, (resamples, images), generator=generator)
    return torch.zeros(resamples, images, dtype=torch.int64).scatter_add_(1, drawn, torch.ones_like(drawn))


def interval(
    value: float, replicates: Float[Tensor, " b"], n: int, *, least: float = -math.inf, most: float = math.inf
) -> Number:
    """The 95 % interval from bootstrap replicates, re-centred on the estimate.

    A resample holds an image several times, which shifts statistics such as a standard deviation; the
    replicates' quantiles are therefore taken from their own mean and laid around the estimate.

    Args:
        value: the estimate on the images themselves.
        replicates: the same on resampled images; nan ones are left out.
        n: number of images behind it.
        least: smallest possible value.
        most: largest possible value.

    >>> [round(v, 2) for v in interval(1.0, torch.linspace(2, 4, 101), 101)[:3]]
    [1.0, 0.05, 1.95]
    """
    kept = replicates[torch.isfinite(replicates)].double()
    if not math.isfinite(value) or len(kept) < 2:
        return Number(value, math.nan, math.nan, n)
    low, high = torch.quantile(kept - kept.mean(), torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Number(value, max(value + min(low, 0.0), least), min(value + max(high, 0.0), most), n)


def dyadic_number(
    statistic: Callable[[Float[Tensor, "1 u"]], Float[Tensor, "1"]],
    rows: Float[Tensor, "m u"],
    first: Int[Tensor, " m"],
    second: Int[Tensor, " m"],
    *,
    freedom: int = 10**9,
    least: float = -math.inf,
    most: float = math.inf,
) -> Number:
    """A function of means over pairs of images, with a 95 % interval over images.

    Pairs that share an image are not independent. With ``psi`` the influence of each pair on the statistic (its row's
    deviation from the mean times the statistic's gradient, over m; pairs of the same two images count as one), the
    variance is the sum of ``psi psi'`` over all pairs of pairs that share an image (Fafchamps and Gubert, Journal of
    Development Economics 83, 2007), and not less than if none did. No interval where no pair has any influence.

    Args:
        statistic: of the mean row; differentiable.
        rows: what each pair adds.
        first: one image of each pair.
        second: the other.
        freedom: degrees of freedom of Student's interval: images on the side that has fewer, less one.
        least: smallest possible value.
        most: largest possible value.

    >>> rows = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    >>> apart = dyadic_number(lambda mean: mean[:, 0], rows, torch.arange(4), torch.arange(4, 8))
    >>> [round(v, 2) for v in apart]
    [0.5, 0.01, 0.99, 8]
    """
    mean = rows.double().mean(0, keepdim=True).requires_grad_()
    with torch.enable_grad():
        found = statistic(mean)
        (slope,) = torch.autograd.grad(found.sum(), mean)
    value = float(found.detach())
    images = len(set(first.tolist()) | set(second.tolist()))
    if not math.isfinite(value):
        return Number(math.nan, math.nan, math.nan, images)
    influence = (rows.double() - mean.detach()) @ slope[0] / len(rows)
    if not bool(influence.any()):
        return Number(value, math.nan, math.nan, images)
    size = int(torch.cat([first, second]).max()) + 1
    by_image = torch.zeros(size, dtype=torch.float64).index_add(0, first, influence).index_add(0, second, influence)
    both, which = torch.unique(torch.minimum(first, second) * size + torch.maximum(first, second), return_inverse=True)
    alone = torch.zeros(len(both), dtype=torch.float64).index_add(0, which, influence).square().sum()
    half = student(freedom) * math.sqrt(float(torch.maximum(by_image.square().sum() - alone, alone)))
    return Number(value, max(value - half, least), min(value + half, most), images)


def rank_number(value: float, n: int) -> Number:
    """Spearman's rank correlation of n cases with Bonett and Wright's 95 % interval (Psychometrika 65, 2000).

    Fisher's z with standard error ``sqrt((1 + r^2 / 2) / (n - 3))``; r is first moved half a step of its possible
    values away from 1 and -1, so that a perfect order of few cases still has a width. No interval below 4 cases.

    >>> [round(v, 2) for v in rank_number(1.0, 5)[:3]]
    [1.0, 0.16, 1.0]
    """
    if not math.isfinite(value) or n < 4:
        return Number(value, math.nan, math.nan, n)
    edge = 1 - 6 / (n**3 - n)
    r = min(max(value, -edge), edge)
    half = Z95 * math.sqrt((1 + r * r / 2) / (n - 3))
    low, high = math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)
    return Number(value, min(low, value), max(high, value), n)


def mean_number(values: Float[Tensor, " n"], counts: Int[Tensor, "b n"], *, least: float = -math.inf) -> Number:
    """The mean of one value an image, nan ones left out, with its bootstrap interval."""
    values = values.double()
    known = torch.isfinite(values)
    if not bool(known.any()):
        return Number(math.nan, math.nan, math.nan, 0)
    filled = values.where(known, torch.zeros_like(values))
    weights = counts.double() * known
    replicates = (weights @ filled) / weights.sum(1)
    return interval(float(filled.sum() / known.sum()), replicates, int(known.sum()), least=least)


def proportion(hits: int | float, n: int) -> Number:
    """A proportion with Wilson's 95 % interval, which stays honest at 0 and 1.

    >>> [round(v, 4) for v in proportion(0, 100)[:3]]
    [0.0, 0.0, 0.037]
    """
    if n == 0:
        return Number(math.nan, math.nan, math.nan, 0)
    share = hits / n
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    return Number(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), n)


def paired_difference(worse: int, better: int, n: int) -> Number:
    """The difference of two proportions on the same cases, with Agresti and Min's 95 % interval.

    The interval (Statistics in Medicine 24, 2005) is Wald's with half a case more in each cell of the two-by-two table,
    so that it does not shrink to nothing where no case changed.

    Args:
        worse: cases that only the first proportion counts.
        better: cases that only the second counts.
        n: all cases.

    >>> [round(v, 4) for v in paired_difference(3, 1, 100)[:3]]
    [0.02, -0.0232, 0.0624]
    """
    if n == 0:
        return Number(math.nan, math.nan, math.nan, 0)
    difference, centre = (worse - better) / n, (worse - better) / (n + 2)
    half = Z95 * math.sqrt(worse + better + 1 - (worse - better) ** 2 / (n + 2)) / (n + 2)
    return Number(difference, max(-1.0, min(difference, centre - half)), min(1.0, max(difference, centre + half)), n)


def spread_number(values: Float[Tensor, " n"], *, least: float = -math.inf, most: float = math.inf) -> Number:
    """The mean over a few fits, with Student's 95 % interval within what is possible; n counts fits.

    Nan if one has no value.

    >>> [round(v, 3) for v in spread_number(torch.tensor([1.0, 2.0, 3.0]))]
    [2.0, -0.484, 4.484, 3]
    """
    values = values.double()
    n, mean = len(values), float(values.mean())
    if n < 2 or not math.isfinite(mean):
        return Number(mean, math.nan, math.nan, n)
    half = student(n - 1) * float(values.std()) / math.sqrt(n)
    return Number(mean, max(mean - half, least), min(mean + half, most), n)


def ratio_number(above: Float[Tensor, " n"], below: Float[Tensor, " n"], counts: Int[Tensor, "b n"]) -> Number:
    """A ratio of two sums over images (such as the FVU) with its bootstrap interval."""
    above, below, weights = above.double(), below.double(), counts.double()
    if float(below.sum()) <= 0:
        return Number(math.nan, math.nan, math.nan, len(above))
    return interval(float(above.sum() / below.sum()), (weights @ above) / (weights @ below), len(above), least=0.0)
