"""The part share of networks whose evidence is known by construction."""

import math

import pytest
import torch
from torch import Tensor, nn

from partscope.diagnosis.number import Z95, dyadic_number
from partscope.diagnosis.part_share import (
    LEAST,
    LEAST_RARE,
    LESS_NULL,
    NULL,
    SHARE,
    Contrast,
    contrast,
    differing_pairs,
    margin,
    part_share_numbers,
)
from partscope.performers import Performer
from partscope.training import FeatureSource, FeatureStore, compute_features

SIDE = 24


def linear_performer(outputs: int = 2) -> Performer:
    """Two plain copies of the image, then the mean of each colour: red votes for one answer, green for the other."""
    net = nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(3, outputs, bias=False),
    )  # fmt: skip
    with torch.no_grad():
        for conv in (net[0], net[2]):
            conv.weight.zero_()
            conv.weight[range(3), range(3), 1, 1] = 1.0
        net[-1].weight.copy_(torch.tensor([[100.0, -100.0, 0.0], [-100.0, 100.0, 0.0]])[:outputs])
    return Performer.for_model(net, SIDE, tap="1", targets=("3",))


def scenes(spot: float, cast: float, images: int = 120) -> Tensor:
    """Red or green images: a 2 x 2 spot somewhere holds `spot` of the colour's total, the whole image the rest."""
    generator = torch.Generator().manual_seed(3)
    made = torch.full((images, 3, SIDE, SIDE), 0.1)
    for k in range(images):
        row, column = torch.randint(SIDE - 1, (2,), generator=generator).tolist()
        made[k, k % 2] += cast * 4 / SIDE**2
        made[k, k % 2, row : row + 2, column : column + 2] += spot
    return made


def stored(performer: Performer, images: Tensor) -> FeatureStore:
    source = FeatureSource("scenes", len(images), lambda first: iter([images[first:]]))
    *_, store = compute_features(performer, source, None, 1000)
    assert isinstance(store, FeatureStore)
    return store


def share_of(performer: Performer, images: Tensor) -> float:
    return part_share_numbers(contrast(performer, stored(performer, images)))[SHARE].value


def test_evidence_in_a_spot_is_all_part() -> None:
    assert share_of(linear_performer(), scenes(0.8, 0.0)) == pytest.approx(1.0, abs=1e-3)


def test_evidence_everywhere_is_no_part() -> None:
    assert share_of(linear_performer(), scenes(0.0, 0.8)) == pytest.approx(0.0, abs=5e-3)


@pytest.mark.parametrize("spot", [0.25, 0.5, 0.75])
def test_a_mixture_has_its_own_share(spot: float) -> None:
    """Two spots of 4 x 4 smoothed units among 576 hold .056 of the cast as well, which counts with them."""
    expected = spot + (1 - spot) * 32 / 576
    assert share_of(linear_performer(), scenes(0.8 * spot, 0.8 * (1 - spot))) == pytest.approx(expected, abs=0.03)


def test_a_single_score_stands_against_its_opposite() -> None:
    """One logit z: the margin of "yes" over "no" is z itself, and the shares are those of two scores."""
    one, two = (share_of(linear_performer(outputs), scenes(0.4, 0.4)) for outputs in (1, 2))
    assert one == pytest.approx(two, abs=1e-3)


def test_the_gap_is_what_the_whole_images_differ_by() -> None:
    performer, images = linear_performer(), scenes(0.4, 0.4)
    found = contrast(performer, stored(performer, images), pairs=40)
    assert found is not None
    scores = performer.scores(images)
    expected = [
        float((scores[i] - scores[j])[i % 2] - (scores[i] - scores[j])[1 - i % 2])
        for i, j in zip(found.first.tolist(), found.second.tolist(), strict=True)
    ]
    assert found.gap.tolist() == pytest.approx(expected, rel=1e-2)
    assert found.evidence.tolist() == pytest.approx(expected, rel=1e-2)


def test_pairs_differ_in_their_answers_and_use_every_image() -> None:
    answer = torch.tensor([0, 1, 1, 2] * 10)
    first, second = differing_pairs(answer, 100, torch.Generator().manual_seed(0))
    assert len(first) == len(second) == 100
    assert bool((answer[first] != answer[second]).all())
    assert len(torch.unique(first)) == 40


def test_images_of_one_answer_have_no_share() -> None:
    performer, images = linear_performer(), scenes(0.4, 0.4)[::2]
    assert contrast(performer, stored(performer, images)) is None
    number = part_share_numbers(None)[SHARE]
    assert math.isnan(number.value) and number.n == 0 and number.as_json()["value"] is None


def test_too_few_images_have_no_share_however_many_pairs() -> None:
    performer, images = linear_performer(), scenes(0.4, 0.4)
    assert contrast(performer, stored(performer, images[: LEAST - 1])) is None
    assert contrast(performer, stored(performer, images[:LEAST])) is not None


def test_too_few_images_of_another_answer_have_no_share() -> None:
    performer, images = linear_performer(), scenes(0.4, 0.4)
    red, green = images[::2], images[1::2]
    assert contrast(performer, stored(performer, torch.cat([red, green[: LEAST_RARE - 1]]))) is None
    assert contrast(performer, stored(performer, torch.cat([red, green[:LEAST_RARE]]))) is not None


def made(profile: Tensor, rarer: int = 100) -> Contrast:
    m = len(profile)
    return Contrast(torch.arange(m), torch.arange(m, 2 * m), torch.ones(m), torch.ones(m), profile, rarer)


def test_the_null_is_the_share_of_evidence_of_the_same_mean_and_variance() -> None:
    """Strong, even evidence leaves nothing to chance; noise about zero leaves what a bell curve does."""
    profile = torch.tensor([[9.0] + 63 * [8.0], [9.0] + 63 * [8.0]])
    noise = torch.randn(2, 64, generator=torch.Generator().manual_seed(0)).sort(1, descending=True).values
    assert part_share_numbers(made(profile))[NULL].value == pytest.approx(0.0, abs=0.01)
    assert 0.2 < part_share_numbers(made(noise))[NULL].value < 0.35
    assert all(math.isnan(number.value) for number in part_share_numbers(None).values())


def test_noise_has_no_more_than_its_null_and_a_spot_has() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200, 144, generator=generator).sort(1, descending=True).values
    found = part_share_numbers(made(noise))
    assert found[SHARE].n == 400 and found[SHARE].value == pytest.approx(found[NULL].value, abs=0.02)
    difference = found[LESS_NULL]
    assert difference.value == pytest.approx(found[SHARE].value - found[NULL].value)
    assert difference.low <= 0 <= difference.high
    spot = noise.clone()
    spot[:, 0] += 20
    assert part_share_numbers(made(spot))[LESS_NULL].low > 0.15


def test_few_images_of_another_answer_widen_the_interval() -> None:
    noise = torch.randn(50, 64, generator=torch.Generator().manual_seed(0)).sort(1, descending=True).values
    wide, narrow = (part_share_numbers(made(noise, rarer))[SHARE] for rarer in (5, 50))
    assert (wide.high - wide.value) / (narrow.high - narrow.value) == pytest.approx(2.7764 / 2.0096, rel=1e-3)


def test_a_number_that_no_pair_moves_has_no_interval() -> None:
    number = part_share_numbers(made(torch.tensor([[5.0] + 63 * [0.0]] * 4)))[SHARE]
    assert number.value == 1.0 and math.isnan(number.low) and math.isnan(number.high)


def pairs_of(images: int, pairs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    first = torch.arange(pairs) % (images // 2)
    return first, images // 2 + torch.randint(images // 2, (pairs,), generator=generator)


def test_the_variance_is_the_sum_over_pairs_of_pairs_that_share_an_image() -> None:
    """Pairs of the same two images, either way round, are one."""
    first, second = torch.tensor([0, 1, 2, 3, 0, 2]), torch.tensor([4, 4, 5, 5, 5, 1])
    first, second = torch.cat([first, second[:2]]), torch.cat([second, first[:2]])
    rows = torch.tensor([5.0, 6.0, 1.0, 0.0, 3.0, 4.0, 6.0, 5.0])
    psi = (rows - rows.mean()).double() / 8
    sharing = [
        psi[a] * psi[b]
        for a in range(8)
        for b in range(8)
        if {int(first[a]), int(second[a])} & {int(first[b]), int(second[b])}
    ]
    found = dyadic_number(lambda mean: mean[:, 0], rows[:, None], first, second)
    assert found.n == 6 and sum(sharing) > psi[2:6].square().sum() + (psi[0] + psi[6]) ** 2 + (psi[1] + psi[7]) ** 2
    assert found.high - found.value == pytest.approx(Z95 * math.sqrt(float(sum(sharing))))


@pytest.mark.parametrize(("images", "pairs"), [(600, 300), (60, 300)])
def test_the_interval_of_a_mean_over_pairs_covers_it_about_19_times_in_20(images: int, pairs: int) -> None:
    """Each image and each pair brings its own deviation."""
    generator = torch.Generator().manual_seed(images)
    hits = 0
    for _ in range(300):
        first, second = pairs_of(images, pairs, generator)
        own = torch.randn(images, generator=generator)
        rows = 1 + own[first] + own[second] + torch.randn(pairs, generator=generator)
        found = dyadic_number(lambda mean: mean[:, 0], rows[:, None], first, second)
        hits += found.low <= 1 <= found.high
    assert 0.9 <= hits / 300 <= 0.98


def test_pairs_without_evidence_have_no_share() -> None:
    number = part_share_numbers(made(torch.zeros(2, 64)))[SHARE]
    assert math.isnan(number.value) and math.isnan(number.low) and number.n == 4


def test_margin_is_first_minus_second() -> None:
    scores = torch.tensor([[1.0, 4.0, 9.0]])
    assert margin(scores, torch.tensor([2]), torch.tensor([0])).tolist() == [8.0]
