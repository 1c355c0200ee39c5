"""What the explainer does when a part is taken away, against the performer."""

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diagnosis.small_subject import PHOTOS, seen_of, toy_subject
from partscope.data import CreaturePhotos
from partscope.diagnosis import Subject, Truth, mimic
from partscope.diagnosis.diagnose import Diagnosed, measure
from partscope.diagnosis.number import resample
from partscope.diagnosis.removal import CONTROL, PATCH, Changed, _numbers, elsewhere, masked
from partscope.settings import DiagnoseSettings
from training.small_job import SIDE, Squares

FEW = DiagnoseSettings(resamples=20, top_images=10, mimic_images=12)


class Drawn(Squares):
    """The toy images, of which every part can be left out: the image is black without it."""

    def without_part(self, i: int, landmark: int) -> Tensor:
        return self[i].image * 0


@pytest.fixture(scope="module")
def subject() -> Subject:
    return toy_subject()


@pytest.fixture(scope="module")
def found(subject: Subject) -> Diagnosed:
    return measure(subject, seen_of(subject), FEW)


def content_of(subject: Subject, found: Diagnosed, photos: Any = PHOTOS, **changed: Any) -> dict[str, Any]:
    chosen = DiagnoseSettings(**{"resamples": 20, "mimic_images": 12} | changed)
    *done, content = mimic(subject, found, photos, chosen)
    assert isinstance(content, dict)
    assert all(isinstance(d, tuple) and 0 < d[0] <= d[1] for d in done) and (not done or done[-1][0] == done[-1][1])
    json.dumps(content, allow_nan=False)
    return content.get("mimic", {})


def changes(subject: Subject, rows: list[int], after: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Changes of the last target, of the rebuilt one, and of both scores, image by image and by the long way."""
    performer, explainer = subject.performer, subject.explainer
    pieces: list[list[Tensor]] = [[], [], []]
    for i, image in zip(rows, after, strict=True):
        own, rebuilt, scores = [], [], []
        for shot in (PHOTOS[i].image, image):
            with torch.no_grad():
                features = performer.features(shot[None])
                parts, ordinary = explainer.encode(features.tap)
                outputs = explainer.decode(parts.output, ordinary.output)
                own.append(features.targets[-1].relu().flatten())
                rebuilt.append(outputs[-1].relu().flatten())
                category = PHOTOS.category_of(i)
                scores.append(
                    torch.stack(
                        [
                            performer.resume(features, "last")[0, category],
                            performer.resume(outputs[-1], "last")[0, category],
                        ]
                    )
                )
        for piece, pair in zip(pieces, (own, rebuilt, scores), strict=True):
            piece.append(pair[1] - pair[0])
    return tuple(torch.stack(piece).double() for piece in pieces)  # type: ignore[return-value]


def test_the_numbers_are_those_of_the_changed_images(subject: Subject, found: Diagnosed) -> None:
    content = content_of(subject, found)
    assert content["method"] == "masked"
    assert [part["name"] for part in content["parts"]] == [*PHOTOS.landmark_names, CONTROL]
    rows = [i for i in range(len(PHOTOS)) if PHOTOS.category_of(i) >= 0]
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:12].sort().values
    rows = [rows[k] for k in drawn.tolist()]
    for k, part in enumerate(content["parts"][:-1]):
        shown = [i for i in rows if bool(PHOTOS[i].present[k])]
        after = [masked(PHOTOS[i].image, PHOTOS[i].landmarks[k], PATCH * SIDE) for i in shown]
        d, e, scores = changes(subject, shown, after)
        values = {
            "correlation": (d * e).sum() / (d.square().sum() * e.square().sum()).sqrt(),
            "null_other_image": (d * e.roll(1, 0)).sum() / (d.square().sum() * e.square().sum()).sqrt(),
            "ratio": (e.square().sum() / d.square().sum()).sqrt(),
            "size": d.square().sum() / found.seen.squared_norm[shown, -1].sum(),
            "performer_score": scores[:, 0].mean(),
            "explainer_score": scores[:, 1].mean(),
        }
        for name, value in values.items():
            assert part[name]["value"] == pytest.approx(float(value), rel=2e-2, abs=1e-4), (
                name
            )  # features are kept in half
            assert part[name]["n"] == len(shown)
            assert part[name]["low"] <= part[name]["value"] <= part[name]["high"]


def test_a_set_that_can_leave_parts_out_is_not_masked(subject: Subject, found: Diagnosed) -> None:
    content = content_of(subject, found, Drawn(30, seed=1))
    assert content["method"] == "drawn without"
    rows = [i for i in range(len(PHOTOS)) if PHOTOS.category_of(i) >= 0]
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:12].sort().values
    shown = [rows[k] for k in drawn.tolist() if bool(PHOTOS[rows[k]].present[0])]
    d, e, _ = changes(subject, shown, [PHOTOS[i].image * 0 for i in shown])
    assert content["parts"][0]["ratio"]["value"] == pytest.approx(float(e.norm() / d.norm()), rel=2e-2)
    masks = content_of(subject, found)
    assert content["parts"][-1] == masks["parts"][-1]  # the patch is painted either way
    assert content["parts"][0] != masks["parts"][0]


def test_only_the_landmarks_asked_for_are_taken_away(subject: Subject, found: Diagnosed) -> None:
    name = PHOTOS.landmark_names[-1]
    whole, one = content_of(subject, found), content_of(subject, found, landmarks=(name,))
    assert [part["name"] for part in one["parts"]] == [name, CONTROL]
    assert one["parts"][0] == whole["parts"][-2]


def test_without_landmarks_or_images_there_is_nothing_to_take_away(subject: Subject, found: Diagnosed) -> None:
    assert content_of(subject._replace(truth=None), found) == {}
    assert content_of(subject, found, mimic_images=0) == {}


def test_a_landmark_that_no_image_shows_is_left_out(subject: Subject, found: Diagnosed) -> None:
    assert subject.truth is not None
    present = subject.truth.present.clone()
    present[:, 0] = False
    content = content_of(subject._replace(truth=subject.truth._replace(present=present)), found)
    assert [part["name"] for part in content["parts"]] == [*PHOTOS.landmark_names[1:], CONTROL]


def changed(own: list[list[float]], rebuilt: list[list[float]]) -> Changed:
    d, e = torch.tensor(own).double(), torch.tensor(rebuilt).double()
    other = e.roll(1, 0)
    sums = [(a * b).sum(1) for a, b in ((d, d), (e, e), (d, e), (d, other), (other, other))]
    return Changed(torch.arange(len(d)), *sums, torch.zeros(len(d), 2))


def test_an_explainer_that_changes_as_the_performer_correlates_by_1() -> None:
    d = [[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 1.0]]
    norm, counts = torch.full((4,), 30.0), resample(4, 10)
    same = _numbers(changed(d, d), norm, counts)
    assert same["correlation"]["value"] == same["ratio"]["value"] == pytest.approx(1.0)
    assert same["null_other_image"]["value"] == 0.0 and same["size"]["value"] == pytest.approx(15 / 120)
    half = _numbers(changed(d, [[0.5 * v for v in row] for row in d]), norm, counts)
    assert half["correlation"]["value"] == pytest.approx(1.0) and half["ratio"]["value"] == pytest.approx(0.5)
    against = _numbers(changed(d, [[-v for v in row] for row in d]), norm, counts)
    assert against["correlation"]["value"] == pytest.approx(-1.0)
    across = _numbers(changed(d, [row[::-1] for row in d]), norm, counts)
    assert across["correlation"]["value"] == 0.0 and across["ratio"]["value"] == pytest.approx(1.0)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6))
def test_the_control_lies_in_the_image_and_away_from_every_landmark(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    landmarks = torch.rand(4, 2, generator=generator) * 95
    point = elsewhere(landmarks, 96, 19.2, generator)
    if point is not None:
        image = torch.zeros(3, 96, 96)
        image[0, 0, 0] = 1.0  # so that painting changes pixels
        painted = masked(image, point, 19.2) != image
        rows, columns = painted.any(0).nonzero().T
        assert len(rows) >= 18 * 18  # whole
        for row, column in landmarks.tolist():
            gap = torch.maximum((rows - row).abs(), (columns - column).abs()).min()
            assert gap >= 19.2 / 2 - 1


def test_the_control_keeps_away_from_landmarks_that_are_not_taken_away(subject: Subject, found: Diagnosed) -> None:
    """The other landmark stands in the middle, and leaves no room."""
    assert subject.truth is not None
    landmarks, present = subject.truth.landmarks.clone(), torch.ones_like(subject.truth.present)
    landmarks[:, 0], landmarks[:, 1] = 0.0, (SIDE - 1) / 2
    crowded = torch.cat(
        [landmarks, landmarks[:, 1:] + torch.tensor([0.0, 6.0]), landmarks[:, 1:] - torch.tensor([0.0, 6.0])], 1
    )
    names = (*PHOTOS.landmark_names, "x", "y")
    truth = Truth(names, crowded, torch.ones(len(present), 4, dtype=torch.bool))
    places = [
        elsewhere(truth.landmarks[0, :1], SIDE, PATCH * SIDE, torch.Generator().manual_seed(k)) for k in range(20)
    ]
    assert all(place is not None for place in places)
    content = content_of(subject._replace(truth=truth), found, landmarks=PHOTOS.landmark_names[:1])
    control = content["parts"][-1]
    assert control["name"] == CONTROL
    rows = [i for i in range(len(PHOTOS)) if PHOTOS.category_of(i) >= 0]
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:12].sort().values
    generator = torch.Generator().manual_seed(0)
    points = {rows[k]: elsewhere(crowded[rows[k]], SIDE, PATCH * SIDE, generator) for k in drawn.tolist()}
    shown = [i for i, point in points.items() if point is not None]
    after = [masked(PHOTOS[i].image, points[i], PATCH * SIDE) for i in shown]  # type: ignore[arg-type]
    d, e, _ = changes(subject, shown, after)
    assert control["ratio"]["n"] == len(shown)
    assert control["ratio"]["value"] == pytest.approx(float(e.norm() / d.norm()), rel=5e-2)


def test_what_does_not_change_does_not_differ(subject: Subject, found: Diagnosed) -> None:
    """Features of the cache are in half precision; so are those of an image from which nothing was taken."""

    class Same(Squares):
        def without_part(self, i: int, landmark: int) -> Tensor:
            return self[i].image

    part = content_of(subject, found, Same(30, seed=1))["parts"][0]
    assert part["size"]["value"] == pytest.approx(0.0, abs=1e-12) and part["performer_score"]["value"] == 0.0
    assert part["correlation"]["value"] is None


@pytest.mark.parametrize("batch", [11, 5])
def test_batches_change_only_the_null(
    subject: Subject, found: Diagnosed, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    whole = content_of(subject, found)
    monkeypatch.setattr("partscope.diagnosis.removal.BATCH", batch)
    parts = content_of(subject, found)
    for one, other in zip(whole["parts"], parts["parts"], strict=True):
        assert other["null_other_image"]["value"] is not None and other["null_other_image"]["n"] == one["size"]["n"]
        for key in ("correlation", "ratio", "size", "performer_score", "explainer_score"):
            assert other[key]["value"] == pytest.approx(one[key]["value"], rel=1e-3, abs=1e-5)
            assert other[key]["low"] == pytest.approx(one[key]["low"], rel=1e-2, abs=1e-3)


def test_intervals_draw_the_chosen_images_and_not_the_parts_own_alone() -> None:
    """Of three images the last two have the part; in the redraws that leave both out, nothing is known."""
    found = changed([[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]])._replace(columns=torch.tensor([1, 2]))
    counts = torch.tensor([[3, 0, 0], [1, 2, 0], [1, 0, 2]])
    ratio = _numbers(found, torch.ones(2), counts)["ratio"]
    values = torch.tensor([1.0, 0.25], dtype=torch.float64)  # squared, of the redraws that hold one of them
    low, high = torch.quantile(values - values.mean(), torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    assert (ratio["low"], ratio["high"]) == pytest.approx(((2 / 5 + low) ** 0.5, (2 / 5 + high) ** 0.5))


def test_images_without_a_landmark_are_not_chosen(subject: Subject, found: Diagnosed) -> None:
    assert subject.truth is not None
    present = subject.truth.present.clone()
    present[12:] = False
    content = content_of(subject._replace(truth=subject.truth._replace(present=present)), found)
    owned = [i for i in range(12) if PHOTOS.category_of(i) >= 0]
    assert content["parts"][-1]["size"]["n"] == len([i for i in owned if bool(present[i].any())])


def test_a_control_that_has_no_room_is_left_out() -> None:
    assert elsewhere(torch.tensor([[48.0, 48.0]]), 96, 60.0, torch.Generator()) is None


def test_a_painted_square_has_its_place_and_colour() -> None:
    image = torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(0))
    painted = masked(image, torch.tensor([10.0, 4.0]), 5.0)
    rows, columns = (painted != image).any(0).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 12, 2, 6)
    torch.testing.assert_close(painted[:, 10, 4], image.mean((1, 2)))


def test_creatures_are_drawn_without_the_part_of_the_landmark_they_carry() -> None:
    photos = CreaturePhotos(5, "test", landmarks=(2, 0))
    tail = next(i for i in range(5) if bool(photos[i].present[0]))
    centre = photos[tail].landmarks[0].round().long()
    gone = photos.without_part(tail, 0)
    assert gone.shape == photos[tail].image.shape
    assert not torch.equal(gone[:, centre[0], centre[1]], photos[tail].image[:, centre[0], centre[1]])
