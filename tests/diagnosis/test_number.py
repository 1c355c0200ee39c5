"""Numbers and their intervals: known values, honest coverage, nan that becomes null."""

import math

import pytest
import torch

from partscope.diagnosis import Number
from partscope.diagnosis.number import interval, mean_number, proportion, ratio_number, resample


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [  # R: binom::binom.confint(hits, n, methods = "wilson"); the limits solve (x - s)^2 = z^2 s (1 - s) / n
        (5, 10, 0.236593, 0.763407),
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
        (81, 263, 0.255271, 0.366214),
        (15, 148, 0.062386, 0.160552),
    ],
)
def test_wilsons_interval_has_its_known_values(hits: int, n: int, low: float, high: float) -> None:
    found = proportion(hits, n)
    assert found.value == hits / n and found.n == n
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_wilsons_limits_solve_their_equation() -> None:
    share, low, high, n = proportion(37, 150)
    for limit in (low, high):
        assert (share - limit) ** 2 == pytest.approx(1.959964**2 * limit * (1 - limit) / n, rel=1e-5)


def test_a_proportion_of_nothing_is_null() -> None:
    assert proportion(0, 0).as_json() == {"value": None, "low": None, "high": None, "n": 0}


def test_what_is_not_finite_becomes_null_and_keeps_its_count() -> None:
    assert Number(math.nan, -math.inf, math.inf, 7).as_json() == {"value": None, "low": None, "high": None, "n": 7}
    assert Number(0.5, 0.25, 0.75, 3).as_json() == {"value": 0.5, "low": 0.25, "high": 0.75, "n": 3}


def test_resamples_draw_as_many_images_with_replacement() -> None:
    counts = resample(50, 40)
    assert counts.shape == (40, 50)
    assert bool((counts.sum(1) == 50).all())
    assert int(counts.max()) > 1 and int(counts.min()) == 0
    assert float(counts.double().mean(0).std()) < 0.5  # no image is favoured: sd of a mean of 40 Poisson(1)s is .16
    assert torch.equal(counts, resample(50, 40)) and not torch.equal(counts, resample(50, 40, seed=1))


def test_the_interval_of_a_mean_covers_it_about_19_times_in_20() -> None:
    generator = torch.Generator().manual_seed(0)
    covered, width, trials, n = 0, 0.0, 300, 60
    for trial in range(trials):
        found = mean_number(torch.randn(n, generator=generator) + 3, resample(n, 200, seed=trial))
        covered += found.low <= 3 <= found.high
        width += (found.high - found.low) / trials
        assert found.low <= found.value <= found.high and found.n == n
    assert 0.90 <= covered / trials <= 0.98  # binomial sd .013 around the percentile method's .94
    assert width == pytest.approx(2 * 1.96 / math.sqrt(n), rel=0.05)


def test_the_interval_lies_around_the_estimate_even_where_the_replicates_do_not() -> None:
    found = interval(0.9, torch.linspace(0.2, 0.4, 201), 50)
    assert (found.low, found.high) == pytest.approx((0.805, 0.995))
    assert interval(0.9, torch.linspace(0.2, 0.4, 201), 50, least=0.85, most=0.95)[:3] == (0.9, 0.85, 0.95)


def test_the_interval_contains_its_estimate_where_replicates_agree() -> None:
    assert interval(0.3, torch.full((20,), 0.7), 9) == Number(0.3, 0.3, 0.3, 9)


def test_an_interval_leaves_out_replicates_without_a_value() -> None:
    replicates = torch.tensor([math.nan, 1.0, 3.0, math.nan])
    found = interval(2.0, replicates, 4)
    assert (found.low, found.high) == pytest.approx((1.05, 2.95))
    alone = interval(2.0, replicates[:2], 4)
    assert alone.value == 2.0 and alone.n == 4 and math.isnan(alone.low) and math.isnan(alone.high)
    assert math.isnan(interval(math.nan, torch.ones(5), 4).low)


def test_a_mean_leaves_out_images_without_a_value_and_counts_the_others() -> None:
    counts = resample(4, 50)
    found = mean_number(torch.tensor([1.0, math.nan, 3.0, math.nan]), counts)
    assert found.value == 2.0 and found.n == 2
    assert found.low < 1.2 and found.high > 2.8  # images without a value do not pull towards 0
    nothing = mean_number(torch.full((4,), math.nan), counts)
    assert nothing.as_json() == {"value": None, "low": None, "high": None, "n": 0}


def test_a_ratio_is_of_sums_and_not_a_mean_of_ratios() -> None:
    found = ratio_number(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 9.0]), torch.tensor([[2, 0], [0, 2], [1, 1]]))
    assert found.value == pytest.approx(0.4) and found.n == 2
    steady = ratio_number(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 6.0]), resample(2, 30))
    assert steady[:3] == pytest.approx((0.5, 0.5, 0.5))
    assert ratio_number(torch.ones(2), torch.zeros(2), resample(2, 5)).as_json()["value"] is None
