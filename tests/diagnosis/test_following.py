"""Part locations that follow the landmarks, and constants that do not."""

import numpy as np
import pytest
import torch
from torch import Tensor

from partscope.diagnosis.following import (
    NEAR,
    _share_within,
    halves,
    keypoint_distances,
    keypoint_regression,
    landmark_r2,
    strongest,
)
from partscope.diagnosis.number import resample
from partscope.diagnosis.observe import Peaks
from partscope.diagnosis.stability import Truth
from partscope.maths import landmark_movement, nearest_landmark_r2

N, DIAGONAL = 40, 100.0


def truth(n: int = N) -> Truth:
    generator = torch.Generator().manual_seed(3)
    points = 60 * torch.rand(n, 2, 2, generator=generator)
    present = torch.ones(n, 2, dtype=torch.bool)
    present[::7, 1] = False
    return Truth(("head", "tail"), points, present)


def peaks(points: Tensor, score: Tensor | None = None) -> Peaks:
    n, f, _ = points.shape
    score = torch.ones(n, f) if score is None else score
    return Peaks(torch.zeros(n, f, dtype=torch.long), score, score, points, 9)


def everywhere(p: Peaks) -> Tensor:
    return torch.ones_like(p.score, dtype=torch.bool)


def test_a_filter_on_a_landmark_follows_it_and_a_constant_does_not() -> None:
    known = truth()
    offset = torch.tensor([5.0, -3.0])
    following, constant = peaks(known.landmarks[:, :1] + offset), peaks(torch.full((N, 1, 2), 30.0))
    counts = resample(N, 30)
    found = landmark_r2(following, everywhere(following), known, None, counts)
    assert found.value == pytest.approx(1.0) and found.low == pytest.approx(1.0) and found.n == N
    nothing = landmark_r2(constant, everywhere(constant), known, None, counts)
    assert nothing.value == 0.0 and nothing.high == pytest.approx(0.0, abs=1e-9)


def test_only_the_strongest_images_count_where_asked() -> None:
    known = truth()
    points = known.landmarks[:, :1].clone()
    points[20:] = 0
    score = torch.arange(N, 0, -1.0)[:, None]
    layer = peaks(points, score)
    counts = resample(N, 10)
    assert landmark_r2(layer, everywhere(layer), known, 20, counts).value == pytest.approx(1.0)
    assert landmark_r2(layer, everywhere(layer), known, None, counts).value < 0.8
    assert strongest(layer, everywhere(layer), 20)[:, 0].nonzero().flatten().tolist() == list(range(20))


def test_silent_maps_are_never_among_the_strongest() -> None:
    layer = peaks(torch.zeros(4, 1, 2), torch.tensor([[4.0], [3.0], [2.0], [1.0]]))
    valid = torch.tensor([[True], [False], [True], [False]])
    assert strongest(layer, valid, 3)[:, 0].tolist() == [True, False, True, False]


def test_weighted_movement_is_that_of_repeated_images() -> None:
    known = truth(12)
    generator = torch.Generator().manual_seed(0)
    points = known.landmarks.repeat(1, 2, 1) + 10 * torch.randn(12, 4, 2, generator=generator)
    valid = torch.rand(12, 4, generator=generator) > 0.2
    weights = torch.randint(0, 3, (5, 12), generator=generator)
    landmark = nearest_landmark_r2(points, valid, known.landmarks, known.present).landmark
    found = landmark_movement(points, valid, known.landmarks, known.present, landmark, weights.double())
    for b, times in enumerate(weights):
        rows = torch.repeat_interleave(torch.arange(12), times)
        for f in range(4):
            k = int(landmark[f])
            both = valid[rows, f] & known.present[rows, k]
            target, peak = known.landmarks[rows, k][both].numpy(), points[rows, f][both].numpy()
            left = ((peak - target - (peak - target).mean(0)) ** 2).sum()
            moved = ((target - target.mean(0)) ** 2).sum()
            assert found[b, f].item() == pytest.approx(max(0.0, 1 - left / moved), abs=1e-5)  # float32 points


def test_no_landmark_no_movement() -> None:
    known = truth(5)
    found = landmark_movement(
        known.landmarks[:, :1],
        torch.ones(5, 1, dtype=torch.bool),
        known.landmarks,
        known.present,
        torch.tensor([-1]),
        torch.ones(2, 5),
    )
    assert found.shape == (2, 1) and bool(found.isnan().all())


def test_regression_from_following_peaks_finds_the_landmarks() -> None:
    known = truth()
    layer = peaks(known.landmarks + torch.tensor([4.0, 4.0]))
    constant = peaks(torch.full((N, 2, 2), 30.0))
    owned = torch.ones(N, dtype=torch.bool)
    found, near = keypoint_regression(
        {"explainer": (layer, everywhere(layer)), "top_conv": (constant, everywhere(constant))},
        known,
        owned,
        DIAGONAL,
        resample(N, 20),
    )
    assert found["explainer"].value < 0.02 < 0.15 < found["null_mean_landmark"].value
    assert found["top_conv"].value == pytest.approx(found["null_mean_landmark"].value)
    assert found["explainer"].n == near["explainer"].n == N // 2
    change = found["explainer_less_top_conv"]
    assert change.value == pytest.approx(found["explainer"].value - found["top_conv"].value)
    assert change.low <= change.value <= change.high < 0
    assert near["explainer"].value == 1.0 and near["explainer"].high == 1.0
    assert near["top_conv"].value == near["null_mean_landmark"].value < 0.3


def test_the_null_is_the_mean_landmark_of_the_fitted_half() -> None:
    known = truth()
    fitted = torch.arange(N) < N // 2
    found = keypoint_distances(torch.zeros(N, 0, 2), torch.zeros(N, 0, dtype=torch.bool), known, fitted, DIAGONAL)
    assert bool(found[fitted].isnan().all())
    for i in range(N // 2, N):
        for k in range(2):
            if known.present[i, k]:
                mean = known.landmarks[fitted & known.present[:, k], k].numpy().astype(float).mean(0)
                distance = np.linalg.norm(known.landmarks[i, k].numpy() - mean) / DIAGONAL
                assert found[i, k].item() == pytest.approx(distance, abs=1e-6)  # float32 landmarks
            else:
                assert bool(found[i, k].isnan())


def test_errors_and_pck_are_read_off_the_same_distances() -> None:
    known, n = truth(300), 300
    owned = torch.ones(n, dtype=torch.bool)
    errors, near = keypoint_regression({}, known, owned, DIAGONAL, resample(n, 20))
    found = keypoint_distances(
        torch.zeros(n, 0, 2), torch.zeros(n, 0, dtype=torch.bool), known, halves(owned), DIAGONAL
    )
    measured = found[torch.isfinite(found)]
    assert bool(((measured > 0.1 / 2**0.5) & (measured <= 0.1)).any())  # a side is not a diagonal
    assert near["null_mean_landmark"].value == pytest.approx(  # .1 of the side is .0707 of the diagonal
        float((measured * DIAGONAL <= 0.1 * DIAGONAL / 2**0.5).double().mean())
    )
    assert errors["null_mean_landmark"].value == pytest.approx(
        float(np.mean([row[torch.isfinite(row)].mean() for row in found if bool(torch.isfinite(row).any())]))
    )


def test_a_layers_landmarks_just_within_reach_are_found() -> None:
    side = DIAGONAL / 2**0.5
    distances = torch.tensor([[0.099], [0.101], [torch.nan]]) * side / DIAGONAL
    number = _share_within(distances, NEAR / 2**0.5, torch.ones(2, 3, dtype=torch.int64))
    assert (number.value, number.n) == (0.5, 2)


def test_a_silent_map_counts_as_its_filters_mean_point() -> None:
    known = truth()
    fitted = torch.arange(N) % 2 == 0
    points, valid = known.landmarks.clone(), torch.ones(N, 2, dtype=torch.bool)
    valid[1, 0] = False
    filled = points.clone()
    filled[1, 0] = points[fitted, 0].mean(0)
    points[1, 0] = 1e6
    one = keypoint_distances(points, valid, known, fitted, DIAGONAL)
    other = keypoint_distances(filled, torch.ones_like(valid), known, fitted, DIAGONAL)
    torch.testing.assert_close(one, other, equal_nan=True)


def test_images_of_no_object_take_no_part() -> None:
    known = truth()
    layer = peaks(known.landmarks)
    owned = torch.arange(N) < 30
    found, _ = keypoint_regression({"explainer": (layer, everywhere(layer))}, known, owned, DIAGONAL, resample(N, 5))
    assert found["explainer"].n == 15


def test_a_redraw_of_one_image_alone_says_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(3, 1, 2, generator=generator) * 200
    landmarks, yes = points + torch.rand(3, 1, 2, generator=generator), torch.ones(3, 1, dtype=torch.bool)
    found = landmark_movement(points, yes, landmarks, yes, torch.zeros(1).long(), 3.0 * torch.eye(3))
    assert bool(found.isnan().all())
