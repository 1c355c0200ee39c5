"""Location instability, its nulls, and diversity."""

import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maths import checks_metrics as checks
from maths.cases import close, metric_case, tensor
from partscope import maths
from partscope.maths.instability import weighted_deviation
from reference import worked

FEW = settings(deadline=None, max_examples=20)

CHECKS = [
    (checks.worked_deviation, maths.location_deviation),
    (checks.deviation_matches_the_protocol, maths.location_deviation),
    (checks.deviation_counts_multiplicities, maths.location_deviation),
    (checks.rigid_offsets_have_no_deviation, maths.location_deviation),
    (checks.silent_maps_take_no_part, maths.location_deviation),
    (checks.fewer_than_two_images_have_no_deviation, maths.location_deviation),
    (checks.worked_instability, maths.location_instability),
    (checks.a_missing_landmark_takes_no_part, maths.location_instability),
    (checks.layer_is_the_mean_of_its_filters, maths.layer_instability),
    (checks.spread_is_a_population_deviation, maths.peak_spread),
    (checks.spread_is_a_population_deviation, maths.landmark_spread),
    (checks.effective_locations_count_distinct_peaks, maths.effective_locations),
    (checks.nearest_landmark_matches_the_definition, maths.nearest_landmark_r2),
    (checks.a_fixed_point_follows_no_landmark, maths.nearest_landmark_r2),
    (checks.centre_null_is_a_filter_at_the_centre, maths.null_center),
    (checks.null_averages_random_images, maths.null_center),
    (checks.best_fixed_null_is_the_least_candidate, maths.null_best_fixed),
    (checks.random_null_draws_a_point_per_image, maths.null_random),
    (checks.nulls_without_images_are_nan, maths.null_center),
    (checks.nmi_is_over_the_mean_entropy, maths.normalised_mutual_information),
    (checks.ari_counts_pairs, maths.adjusted_rand_index),
]


@pytest.mark.parametrize(("check", "implementation"), CHECKS, ids=lambda v: v.__name__)
def test_check(check, implementation):
    check(implementation)


def test_worked_layer():
    points, scores, landmarks = (tensor(v) for v in (worked.POINTS, worked.SCORES, worked.LANDMARKS))
    per_filter = maths.location_instability(
        points,
        scores,
        torch.ones(4, 2, dtype=torch.bool),
        landmarks,
        torch.as_tensor(worked.PRESENT),
        diagonal=224 * 2**0.5,
    )
    value, n_filters = maths.layer_instability(per_filter)
    assert value.item() == pytest.approx(worked.LAYER, abs=6e-10)
    assert n_filters == 2


@FEW
@given(st.integers(0, 10**6))
def test_order_of_images_does_not_matter_without_ties(seed):
    points, _, valid, landmarks, present = metric_case(seed)
    generator = torch.Generator().manual_seed(seed)
    scores = torch.stack([torch.randperm(40, generator=generator) for _ in range(4)], 1).double()
    order = torch.randperm(40, generator=generator)
    case = (points, scores, valid, landmarks, present)
    close(
        maths.location_deviation(*(v[order] for v in case), diagonal=50.0, top=10),
        maths.location_deviation(*case, diagonal=50.0, top=10),
        1e-12,
    )


@FEW
@given(st.integers(0, 10**6), st.integers(2, 50))
def test_counts_of_one_are_no_counts(seed, top):
    case = metric_case(seed)
    plain = maths.location_deviation(*case, diagonal=50.0, top=top)
    once = torch.ones(40, dtype=torch.long)
    close(maths.location_deviation(*case, diagonal=50.0, top=top, count=once), plain, 1e-12)


@FEW
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_any_offset_per_filter_is_free(seed, share):
    _, scores, valid, landmarks, _ = metric_case(seed, n_landmarks=1)
    landmarks = landmarks.nan_to_num(3.0)
    offset = share * tensor([[5, -7], [0, 0], [60, 2], [-3, -3]])
    found = maths.location_instability(
        landmarks + offset, scores, valid, landmarks, torch.ones(40, 1, dtype=torch.bool), diagonal=10.0
    )
    close(found, torch.zeros(4), 1e-6)


def test_sparse_bootstrap_rows_reach_deeper_than_the_first_guess():
    """A row that draws only the worst images needs them although the other rows are full long before."""
    case = list(metric_case(70))
    case[2] = torch.ones_like(case[2])
    case[1] = torch.arange(40.0, 0, -1, dtype=torch.float64)[:, None].expand(40, 4)
    count = torch.ones(2, 40, dtype=torch.long)
    count[1, :37] = 0
    found = maths.location_deviation(*case, diagonal=checks.DIAGONAL, top=3, count=count)
    for row in range(2):
        close(found[row], checks.expected_deviation(case, 3, count[row].tolist()), checks.EXACT)


def test_chunks_give_the_same(monkeypatch):
    import sys

    case = metric_case(71)
    whole = maths.location_deviation(*case, diagonal=50.0, top=7)
    monkeypatch.setattr(sys.modules["partscope.maths.instability"], "_ELEMENTS_AT_ONCE", 1)
    close(maths.location_deviation(*case, diagonal=50.0, top=7), whole, 0)


def test_small_deviations_at_large_distances_are_exact():
    distance = 1e5 + tensor([1.0, 2.0, 3.0]) * 1e-3
    points = torch.stack((distance, torch.zeros(3)), -1)[:, None].double()
    yes = torch.ones(3, 1, dtype=torch.bool)
    case = (points, yes.double(), yes, torch.zeros(3, 1, 2), yes)
    close(maths.location_deviation(*case, diagonal=1e-3), [[1.0]], 1e-6)
    none = maths.null_center(-points, yes, size=(1, 1), generator=torch.Generator(), top=None)
    close(none, 1e-3 / 2**0.5, 1e-8)


def test_rounding_never_makes_a_variance_negative():
    n, total = tensor(3.0), tensor(3.0)
    assert weighted_deviation(n, total, tensor(3.0 - 1e-15)).item() == 0


def test_float32_points_are_exact_enough():
    case = metric_case(72)
    small = [v.float() if v.is_floating_point() else v for v in case]
    found = maths.location_deviation(*small, diagonal=checks.DIAGONAL, top=20)
    assert found.dtype == torch.float64
    close(found, maths.location_deviation(*case, diagonal=checks.DIAGONAL, top=20), 1e-6)


def test_bootstrap_of_a_real_layer_is_quick():
    generator = torch.Generator().manual_seed(0)
    n, n_filters, rows = 854, 64, 50
    points, landmarks = (torch.rand(n, k, 2, generator=generator) for k in (n_filters, 3))
    scores = torch.rand(n, n_filters, generator=generator)
    count = torch.stack([torch.randint(n, (n,), generator=generator).bincount(minlength=n) for _ in range(rows)])
    yes = torch.ones(n, n_filters, dtype=torch.bool)
    start = time.perf_counter()
    found = maths.location_instability(points, scores, yes, landmarks, yes[:, :3], diagonal=1.4, count=count)
    assert time.perf_counter() - start < 5  # .1 s on an idle core
    assert found.shape == (rows, n_filters)


def test_nulls_take_no_notice_of_absent_landmarks_and_repeat_with_their_seed():
    _, _, _, landmarks, present = metric_case(73)
    candidates = tensor([[0, 0], [40, 20], [90, 50]])
    for null in (maths.null_random, maths.null_best_fixed):
        values = [
            null(marks, present, candidates, size=(96, 60), generator=torch.Generator().manual_seed(5), top=12)
            for marks in (landmarks, landmarks.nan_to_num(1e6), landmarks)
        ]
        assert values[0].isfinite() and values[0] == values[1] == values[2]


def test_best_fixed_is_at_most_the_centre():
    _, _, _, landmarks, present = metric_case(74)
    candidates = torch.cartesian_prod(torch.arange(0.0, 96, 0.5), torch.tensor([29.5])).double()
    best = maths.null_best_fixed(landmarks, present, candidates, size=(96, 60), generator=torch.Generator(), top=None)
    centre = maths.null_center(landmarks, present, size=(96, 60), generator=torch.Generator(), top=None)
    assert best <= centre + 1e-12


def test_nulls_with_counts_have_leading_axes():
    _, _, _, landmarks, present = metric_case(75)
    count = torch.ones(2, 3, 40, dtype=torch.long)
    candidates = tensor([[0, 0], [40, 20]])
    found = [
        maths.null_center(landmarks, present, size=(96, 60), generator=torch.Generator(), count=count),
        maths.null_best_fixed(landmarks, present, candidates, size=(96, 60), generator=torch.Generator(), count=count),
        maths.null_random(landmarks, present, candidates, size=(96, 60), generator=torch.Generator(), count=count),
    ]
    for value in found:
        assert value.shape == (2, 3)
        close(value, value[0, 0].expand(2, 3), 1e-12)


@FEW
@given(st.integers(0, 10**6))
def test_effective_locations_lie_between_one_and_the_number_of_filters(seed):
    generator = torch.Generator().manual_seed(seed)
    unit = torch.randint(0, 6, (7, 9), generator=generator)
    found = maths.effective_locations(unit, torch.ones_like(unit, dtype=torch.bool), 6)
    assert ((found >= 1 - 1e-12) & (found <= 6 + 1e-12)).all()


def test_a_landmark_that_never_moves_has_no_r2():
    landmarks = torch.full((5, 1, 2), 7.0)
    yes = torch.ones(5, 1, dtype=torch.bool)
    landmark, r2 = maths.nearest_landmark_r2(torch.rand(5, 1, 2), yes, landmarks, yes)
    assert landmark.tolist() == [0] and r2.isnan().all()
