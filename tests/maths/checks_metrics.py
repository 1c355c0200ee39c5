"""Checks of location metrics and nulls; each takes the implementation to check."""

import math

import torch

from maths.cases import close, metric_case, tensor
from reference import metrics as reference
from reference import worked

EXACT = 1e-9  # sums of squares against two passes, both float64, on values up to 1
DIAGONAL = math.hypot(96, 60)


def _worked():
    valid, present = torch.ones(4, 2, dtype=torch.bool), torch.as_tensor(worked.PRESENT)
    return tensor(worked.POINTS), tensor(worked.SCORES), valid, tensor(worked.LANDMARKS), present


def expected_deviation(case, top, count=None):
    points, scores, valid, landmarks, present = (v.tolist() for v in case)
    images = range(len(points))
    return tensor(
        [
            [
                reference.deviation(
                    [points[i][f] for i in images],
                    [scores[i][f] for i in images],
                    [valid[i][f] for i in images],
                    [landmarks[i][k] for i in images],
                    [present[i][k] for i in images],
                    DIAGONAL,
                    top,
                    count,
                )
                for k in range(len(present[0]))
            ]
            for f in range(len(scores[0]))
        ]
    )


def worked_deviation(location_deviation):
    close(location_deviation(*_worked(), diagonal=math.hypot(224, 224)), worked.DEVIATION, 6e-7)


def deviation_matches_the_protocol(location_deviation):
    for seed, top in ((40, 100), (41, 8), (42, None), (43, 2)):
        case = metric_case(seed)
        found = location_deviation(*case, diagonal=DIAGONAL, top=top)
        close(found, expected_deviation(case, top), EXACT)


def deviation_counts_multiplicities(location_deviation):
    case = metric_case(44)
    count = torch.randint(0, 4, (2, 3, 40), generator=torch.Generator().manual_seed(45))
    count[1, 2] = 0
    for top in (10, 35, None):
        found = location_deviation(*case, diagonal=DIAGONAL, top=top, count=count)
        assert found.shape == (2, 3, 4, 3)
        for a in range(2):
            for b in range(3):
                close(found[a, b], expected_deviation(case, top, count[a, b].tolist()), EXACT)


def rigid_offsets_have_no_deviation(location_deviation):
    _, scores, valid, landmarks, present = metric_case(46)
    shifts = tensor([[0, 0], [3, -2], [10, 10], [-1, 8]])
    present = present[:, :1]
    valid = valid & present
    points = landmarks[:, :1] + shifts
    found = location_deviation(points, scores, valid, landmarks[:, :1], present, diagonal=DIAGONAL)
    close(found, torch.zeros(4, 1), 1e-7)


def silent_maps_take_no_part(location_deviation):
    case = list(metric_case(47))
    expected = location_deviation(*case, diagonal=DIAGONAL)
    silent = ~case[2]
    case[0], case[1] = case[0].clone(), case[1].clone()
    case[0][silent], case[1][silent] = 0.0, 1e6
    close(location_deviation(*case, diagonal=DIAGONAL), expected, 0)


def fewer_than_two_images_have_no_deviation(location_deviation):
    points, scores, valid, landmarks, present = _worked()
    valid = torch.zeros_like(valid)
    valid[0], valid[1, 0] = True, True
    found = location_deviation(points, scores, valid, landmarks, present, diagonal=10.0)
    assert found[0].isfinite().all() and found[1].isnan().all()


def worked_instability(location_instability):
    close(location_instability(*_worked(), diagonal=math.hypot(224, 224)), worked.PER_FILTER, 6e-7)


def a_missing_landmark_takes_no_part(location_instability):
    points, scores, valid, landmarks, present = _worked()
    present = present.clone()
    present[:, 0] = False
    found = location_instability(points, scores, valid, landmarks, present, diagonal=1.0)
    close(found, location_instability(points, scores, valid, landmarks[:, 1:], present[:, 1:], diagonal=1.0), EXACT)
    assert found.isfinite().all()
    present[:, 1] = False
    assert location_instability(points, scores, valid, landmarks, present, diagonal=1.0).isnan().all()


def layer_is_the_mean_of_its_filters(layer_instability):
    layer = layer_instability(tensor([[0.1, math.nan, 0.3], [math.nan] * 3]))
    close(layer.value, [0.2, math.nan], EXACT)
    assert layer.n_filters.tolist() == [2, 0]


def spread_is_a_population_deviation(peak_spread):
    points, _, valid, _, _ = metric_case(48, n_filters=6)
    valid[0] = False
    found = peak_spread(points, valid)
    assert found[0].isnan()
    expected = [reference.spread([points[i, f].tolist() for f in range(6) if valid[i, f]]) for i in range(1, 40)]
    close(found[1:], expected, EXACT)


def effective_locations_count_distinct_peaks(effective_locations):
    unit = torch.tensor([[0, 0, 0, 0], [0, 1, 2, 5], [3, 3, 4, 0], [1, 1, 1, 2]])
    valid = torch.tensor([[True] * 4, [True] * 4, [True, True, True, False], [False] * 4])
    found = effective_locations(unit, valid, 6)
    expected = [1.0, 4.0, reference.effective_locations([3, 3, 4]), math.nan]
    close(found, expected, EXACT)


def nearest_landmark_matches_the_definition(nearest_landmark_r2):
    points, _, valid, landmarks, present = metric_case(49, n_filters=5)
    seen = present[:, 1]
    points[seen, 0] = landmarks[seen, 1] + tensor([2.0, -1.0])
    points[seen, 1] = 0.7 * landmarks[seen, 1] + tensor([8.0, 9.0])
    points[:, 2] = 30.0
    valid[2:, 3] = False
    index, r2 = nearest_landmark_r2(points, valid, landmarks, present)
    for f in range(5):
        expected = reference.nearest_landmark(
            points[:, f].tolist(), valid[:, f].tolist(), landmarks.tolist(), present.tolist()
        )
        assert index[f] == expected[0]
        close(r2[f], expected[1], EXACT)
    assert index[3] == -1 and r2[3].isnan()


def a_fixed_point_follows_no_landmark(nearest_landmark_r2):
    _, _, valid, landmarks, present = metric_case(50)
    fixed = torch.full((40, 4, 2), 30.0, dtype=torch.float64)
    close(nearest_landmark_r2(fixed, valid, landmarks, present)[1], torch.zeros(4), EXACT)


NULL_SIZE = (97, 61)
CENTRE = (48.0, 30.0)


def _null_case(n_images=60):
    _, _, _, landmarks, present = metric_case(51, n_images=n_images, n_filters=1)
    return landmarks, present


def _fixed(landmarks, present, point, top=None, count=None):
    values = []
    for k in range(present.shape[1]):
        values.append(
            reference.deviation(
                [point] * len(landmarks),
                [0.0] * len(landmarks),
                [True] * len(landmarks),
                landmarks[:, k].tolist(),
                present[:, k].tolist(),
                math.hypot(*NULL_SIZE),
                top,
                count,
            )
        )
    return sum(values) / len(values)


def centre_null_is_a_filter_at_the_centre(null_center):
    landmarks, present = _null_case()
    expected = _fixed(landmarks, present, CENTRE)
    generator = torch.Generator().manual_seed(0)
    for top in (None, 100):
        found = null_center(landmarks, present, size=NULL_SIZE, generator=generator, top=top)
        close(found, expected, EXACT)
    count = torch.randint(0, 6, (2, 60), generator=generator)
    found = null_center(landmarks, present, size=NULL_SIZE, generator=generator, top=None, count=count)
    close(found, [_fixed(landmarks, present, CENTRE, count=c) for c in count.tolist()], EXACT)


def null_averages_random_images(null_center):
    """With top = 2 the mean over draws is the mean of |d_a - d_b| / sqrt 2 over pairs of images."""
    landmarks, present = _null_case(20)
    present[:] = True
    landmarks = landmarks.nan_to_num(10.0)
    expected = 0.0
    for k in range(3):
        d = [math.dist(CENTRE, p) / math.hypot(*NULL_SIZE) for p in landmarks[:, k].tolist()]
        pairs = [abs(a - b) / math.sqrt(2) for i, a in enumerate(d) for b in d[:i]]
        expected += sum(pairs) / len(pairs) / 3
    generator = torch.Generator().manual_seed(1)
    found = null_center(landmarks, present, size=NULL_SIZE, generator=generator, top=2, draws=4000)
    close(found, expected, 0.005)  # standard error .001 over 4000 draws


def best_fixed_null_is_the_least_candidate(null_best_fixed):
    landmarks, present = _null_case()
    candidates = tensor([[0, 0], [48, 30], [90, 5], [20, 50]])
    values = [_fixed(landmarks, present, c) for c in candidates.tolist()]
    generator = torch.Generator().manual_seed(2)
    found = null_best_fixed(landmarks, present, candidates, size=NULL_SIZE, generator=generator, top=None)
    close(found, min(values), EXACT)
    count = torch.randint(0, 6, (3, 60), generator=generator)
    found = null_best_fixed(landmarks, present, candidates, size=NULL_SIZE, generator=generator, top=None, count=count)
    expected = [min(_fixed(landmarks, present, p, count=c) for p in candidates.tolist()) for c in count.tolist()]
    close(found, expected, EXACT)


def random_null_draws_a_point_per_image(null_random):
    """A landmark that never moves, two candidate points at distance 0 and 50: a fair coin times 50."""
    n = 400
    landmarks = torch.zeros(n, 1, 2, dtype=torch.float64)
    candidates = tensor([[0, 0], [30, 40]])
    generator = torch.Generator().manual_seed(3)
    found = null_random(
        landmarks,
        torch.ones(n, 1, dtype=torch.bool),
        candidates,
        size=NULL_SIZE,
        generator=generator,
        draws=50,
    )
    close(found, 25 / math.hypot(*NULL_SIZE), 0.003)


def nulls_without_images_are_nan(null_center):
    landmarks, present = _null_case()
    present[:, 1] = False
    found = null_center(landmarks, present, size=NULL_SIZE, generator=torch.Generator())
    rest = [k for k in range(present.shape[1]) if k != 1]
    close(found, null_center(landmarks[:, rest], present[:, rest], size=NULL_SIZE, generator=torch.Generator()), EXACT)
    present[:] = False
    assert null_center(landmarks, present, size=NULL_SIZE, generator=torch.Generator()).isnan()


def nmi_is_over_the_mean_entropy(normalised_mutual_information):
    """Rows 2 and 2, columns 3 and 1 of 4: I = log 2 - (3/4) H(1/3), in nats .2157616, entropies .6931472, .5623351."""
    found = normalised_mutual_information(tensor([[2, 0], [1, 1]]))
    close(found, 0.21576155 / ((0.69314718 + 0.56233514) / 2), 1e-7)
    close(normalised_mutual_information(tensor([[[4, 0], [0, 2]], [[1, 2], [2, 4]]])), [1.0, 0.0], 1e-9)


def ari_counts_pairs(adjusted_rand_index):
    """Rows 3 and 3, columns 2 and 4: 4 joined pairs, A = 6, B = 7, 15 pairs, E = 2.8: 1.2 / 3.7."""
    close(adjusted_rand_index(tensor([[2, 1], [0, 3]])), 1.2 / 3.7, EXACT)
    close(adjusted_rand_index(tensor([[[4, 0], [0, 2]], [[2, 0], [1, 1]]])), [1.0, 0.0], EXACT)
