"""The whole diagnosis: every number with its interval, warnings where they are due and only there."""

import copy
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from diagnosis.small_subject import PHOTOS, peaks_of, seen_of, toy_subject
from partscope.diagnosis import Subject, Truth, make_gallery
from partscope.diagnosis.cautions import cautions
from partscope.diagnosis.diagnose import diagnose_subject, measure
from partscope.diagnosis.gallery import choose_filters, judged_scores
from partscope.diagnosis.observe import Observation
from partscope.report.schema import diagnosis_schema, find_fault
from partscope.settings import DiagnoseSettings

FEW = DiagnoseSettings(resamples=20, top_images=10, gallery_filters=3, gallery_images=4)
COLLAPSED = "The filters have collapsed onto one place"


@pytest.fixture(scope="module")
def subject() -> Subject:
    return toy_subject()


@pytest.fixture(scope="module")
def seen(subject: Subject) -> Observation:
    return seen_of(subject)


def content_of(subject: Subject, seen: Observation, **settings: Any) -> dict[str, Any]:
    content = measure(subject, seen, FEW if not settings else DiagnoseSettings(resamples=20, **settings)).content
    json.dumps(content, allow_nan=False)
    return content


def numbers(content: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(content, dict) and "value" in content:
        yield path, content
    elif isinstance(content, dict | list):
        rows = content.items() if isinstance(content, dict) else enumerate(content)
        for key, inner in rows:
            yield from numbers(inner, f"{path}.{key}")


def placed(seen: Observation, points: Tensor, score: Tensor | None = None) -> Observation:
    """The same with the explainer's peaks elsewhere."""
    n, f = seen.explainer.score.shape
    score = torch.ones(n, f) if score is None else score
    unit = torch.arange(f)[None].expand(n, f).contiguous()
    return seen._replace(explainer=peaks_of(score, points=points.expand(n, f, 2).clone(), unit=unit, units=64))


def test_every_number_has_value_interval_and_count(subject: Subject, seen: Observation) -> None:
    content = content_of(subject, seen)
    found = dict(numbers(content))
    assert len(found) >= 30
    for path, number in found.items():
        assert set(number) == {"value", "low", "high", "n"}, path
        assert number["low"] <= number["value"] <= number["high"], path
        assert number["n"] > 0, path
    assert set(content["location_instability"]["released"]) == set(content["location_instability"]["all"]) == {
        "explainer", "top_conv", "tap", "null_center", "null_random", "null_best_fixed", "explainer_less_top_conv",
    }  # fmt: skip
    assert content["absent"].keys() <= {"filters.contribution"}


def test_it_is_as_the_schema_says_but_for_settings_and_provenance(subject: Subject, seen: Observation) -> None:
    schema = diagnosis_schema()
    schema["required"] = [key for key in schema["required"] if key not in ("settings", "provenance")]
    assert find_fault(json.loads(json.dumps(content_of(subject, seen))), schema) is None


def whole_of(subject: Subject) -> dict[str, Any]:
    *_, found = diagnose_subject(subject, FEW)
    assert not isinstance(found, int)
    json.dumps(found.content, allow_nan=False)
    return found.content


def test_the_whole_holds_parts_and_what_they_add(subject: Subject, seen: Observation) -> None:
    content = whole_of(subject)
    schema = diagnosis_schema()
    schema["required"] = [key for key in schema["required"] if key not in ("settings", "provenance")]
    assert find_fault(json.loads(json.dumps(content)), schema) is None
    assert [row["name"] for row in content["parts"]][-1] == "other"
    assert {row["name"] for row in content["parts"]} == {"middle", "corner", "other"}
    assert sorted(f for row in content["parts"] for f in row["filters"]) == list(range(12))
    for row in content["parts"]:
        own = [content["filters"][f]["contribution"] for f in row["filters"]]
        if row["contribution"]["value"] is not None:
            assert row["contribution"]["value"] == pytest.approx(sum(own), abs=1e-6)
        assert ("confirmed" in row) == (row["name"] != "other")
    agreement = content["landmark_agreement"]
    assert set(agreement) == {"nmi", "ari", "pck"}
    for score in ("nmi", "ari"):
        assert set(agreement[score]) == {"filters", "clusters"}
        for level in agreement[score].values():
            assert set(level) == {"explainer", "top_conv", "null_grid", "null_shuffled"}
            assert all(number["n"] == 24 for number in level.values())
    assert content["contributions"]["attributed"]["value"] == pytest.approx(
        float(seen.contribution[subject.labels.category >= 0].sum(1).mean()), rel=1e-4
    )


def test_without_landmarks_parts_are_clusters(subject: Subject) -> None:
    content = whole_of(subject._replace(truth=None))
    assert "landmark_agreement" not in content
    assert all(row["landmark"] is None and "confirmed" not in row for row in content["parts"])
    assert all(row["name"].startswith("part ") for row in content["parts"][:-1])
    assert sorted(f for row in content["parts"] for f in row["filters"]) == list(range(12))


def test_a_filter_that_meets_no_landmark_twice_is_counted_as_left_out(subject: Subject, seen: Observation) -> None:
    assert subject.truth is not None
    score = torch.ones_like(seen.explainer.score)
    shown = subject.truth.present.clone()
    shown[:15] = False  # images of objects on which no landmark is seen
    score[15:, 3] = -1.0  # active on many images, with a landmark on none
    score[16:, 4] = -1.0  # and on one
    bare = subject._replace(truth=subject.truth._replace(present=shown))
    content = content_of(bare, placed(seen, torch.tensor([9.0, 9.0]), score))
    missing = [row["filter"] for row in content["filters"] if row["instability"] is None]
    assert {3, 4} <= set(missing) and content["counts"]["left_out_filters"] == len(missing)
    assert content["counts"]["dead_filters"] == 0


def test_each_layer_is_measured_by_its_own_peaks(subject: Subject, seen: Observation) -> None:
    content = content_of(subject, seen)
    names = ("explainer", "top_conv", "tap")
    found = {name: content["location_instability"]["all"][name]["value"] for name in names}
    assert len(set(found.values())) == 3
    for name in names:
        swapped = seen._replace(explainer=getattr(seen, name))
        again = content_of(subject, swapped)["location_instability"]["all"]["explainer"]["value"]
        assert again == found[name]
    other = content_of(subject, seen._replace(explainer=seen.top_conv))["diversity"]
    assert other["explainer"] == other["top_conv"] == content["diversity"]["top_conv"]


def test_ps_interval_is_of_the_magnitude_on_objects(subject: Subject, seen: Observation) -> None:
    n = len(PHOTOS)
    objects = subject.labels.category >= 0
    share = torch.where(objects, 0.4, 50.0)
    even = content_of(subject, seen._replace(through_parts=share, through_all=torch.ones(n)))["p"]
    assert even["value"] == pytest.approx(float(subject.explainer.p.detach()))
    assert even["n"] == int(objects.sum())
    assert (even["low"], even["high"]) == pytest.approx((even["value"], even["value"]), abs=1e-6)
    share[objects] = torch.linspace(0.1, 0.9, even["n"])
    wide = content_of(subject, seen._replace(through_parts=share, through_all=torch.ones(n)))["p"]
    assert 0 <= wide["low"] < wide["value"] < wide["high"] <= 1


def test_filters_at_one_place_are_called_collapsed(subject: Subject, seen: Observation) -> None:
    content = content_of(subject, placed(seen, torch.tensor([9.0, 9.0])))
    assert content["diversity"]["collapsed"] is True
    assert content["diversity"]["explainer"]["spread"]["value"] == 0
    share = 100 * content["diversity"]["landmarks"]["spread"]["value"]
    assert content["warnings"][0] == (
        f"{COLLAPSED}: their part locations spread over 0.0 % of the crop's diagonal, the landmarks' over "
        f"{share:.1f} %. A low location instability then means nothing."
    )


def test_filters_at_several_places_are_not(subject: Subject, seen: Observation) -> None:
    f = seen.explainer.score.shape[1]
    apart = torch.stack([torch.linspace(0, 31, f), torch.linspace(31, 0, f)], 1)
    content = content_of(subject, placed(seen, apart))
    assert content["diversity"]["collapsed"] is False
    assert not any(COLLAPSED in warning for warning in content["warnings"])


def test_without_landmarks_the_top_conv_layer_is_the_yardstick(subject: Subject, seen: Observation) -> None:
    bare = subject._replace(truth=None)
    content = content_of(bare, placed(seen, torch.tensor([9.0, 9.0])))
    assert content["diversity"]["collapsed"] is True and "landmarks" not in content["diversity"]
    assert "the performer's top conv layer's over" in content["warnings"][0]
    assert content_of(bare, seen)["diversity"]["collapsed"] is False


def test_one_landmark_is_no_yardstick_of_spread(subject: Subject, seen: Observation) -> None:
    assert subject.truth is not None
    single = subject._replace(truth=subject.truth.only(("middle",)))
    content = content_of(single, placed(seen, torch.tensor([9.0, 9.0])))
    assert content["diversity"]["collapsed"] is True
    assert "the performer's top conv layer's over" in content["warnings"][0]
    assert content_of(single, seen)["diversity"]["collapsed"] is False


def test_dead_filters_are_counted_and_not_called_collapsed(subject: Subject, seen: Observation) -> None:
    silent = placed(seen, torch.tensor([0.0, 0.0]), -torch.ones_like(seen.explainer.score))
    found = measure(subject, silent, FEW)
    content = found.content
    assert content["counts"]["dead_filters"] == content["counts"]["filters"] == 12
    assert content["counts"]["silent_maps"] == 1.0 and content["counts"]["left_out_filters"] == 12
    assert content["diversity"]["collapsed"] is False
    assert content["warnings"][-1] == "12 of 12 filters are silent on every image of their category."
    assert not any(COLLAPSED in warning for warning in content["warnings"])
    for row in content["filters"]:
        assert row["dead"] is True and row["silent_share"] == 1.0 and row["strength"] == 0.0
        assert [row[k] for k in ("spread", "best_landmark", "best_landmark_r2", "instability")] == [None] * 4
    null = {"value": None, "low": None, "high": None, "n": 0}
    assert content["location_instability"]["released"]["explainer"] == null
    assert content["diversity"]["explainer"]["spread"] == null
    assert choose_filters(found, FEW) == []
    tensors, metadata = make_gallery(subject, found, {}, lambda i: PHOTOS[i].image, PHOTOS.names(), FEW)
    assert len(tensors["filters"]) == len(tensors["images"]) == 0 and metadata["names"] == "[]"
    assert json.loads(metadata["landmark_names"]) == ["middle", "corner"]


def test_a_few_silent_filters_are_left_out_of_the_others_numbers(subject: Subject, seen: Observation) -> None:
    assert subject.truth is not None
    follow = subject.truth.landmarks[:, :1] + 2.0
    score = torch.ones_like(seen.explainer.score)
    score[:, :2] = -1.0
    content = content_of(subject, placed(seen, follow, score))
    assert content["counts"]["dead_filters"] == 2 and content["counts"]["left_out_filters"] == 2
    living = [row for row in content["filters"] if not row["dead"]]
    assert [row["filter"] for row in living] == list(range(2, 12))
    for row in living:
        assert row["best_landmark"] == "middle" and row["best_landmark_r2"] == pytest.approx(1.0)
        assert row["instability"] == pytest.approx(0.0, abs=1e-6)  # both landmarks move with the square
    assert content["location_instability"]["all"]["explainer"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert content["warnings"][-1] == "2 of 12 filters are silent on every image of their category."


def test_without_landmarks_the_rest_stands(subject: Subject, seen: Observation) -> None:
    whole = content_of(subject, seen)
    assert subject.truth is not None
    nowhere = Truth(subject.truth.names, subject.truth.landmarks, torch.zeros_like(subject.truth.present))
    for truth in (None, nowhere):
        content = content_of(subject._replace(truth=truth), seen)
        assert "location_instability" not in content and "landmarks" not in content["diversity"]
        assert content["absent"]["location_instability"] == (
            "the images carry no landmarks, so nothing says where parts really are"
        )
        assert content["absent"]["diversity.landmarks"] == "the images carry no landmarks"
        for key in ("p", "part_share", "fidelity", "counts", "categories"):
            assert content[key] == whole[key]
        for key in ("explainer", "top_conv"):
            assert content["diversity"][key] == whole["diversity"][key]
        gone = {"best_landmark": None, "best_landmark_r2": None, "instability": None}
        assert content["filters"] == [{**row, **gone} for row in whole["filters"]]


def test_the_part_share_is_the_performers_alone(subject: Subject, seen: Observation) -> None:
    whole = content_of(subject, seen)["part_share"]
    assert 0 <= whole["low"] <= whole["value"] <= whole["high"] <= 1 and whole["n"] > 0
    other = copy.deepcopy(subject.explainer)
    with torch.no_grad():
        other.w_p.fill_(5.0)
        other.interpretable.conv_interp_2.weight.zero_()
    assert content_of(subject._replace(explainer=other), seen)["part_share"] == whole


def test_a_performer_with_one_answer_has_no_part_share_and_it_is_said(
    subject: Subject, seen: Observation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partscope.diagnosis.part_share.LEAST", 10**6)
    content = content_of(subject, seen)
    assert content["part_share"] == {"value": None, "low": None, "high": None, "n": 0}
    assert content["absent"]["part_share"] == (
        "it takes 30 test images, 5 of them with another answer of the performer than most"
    )


def test_without_answers_disagreement_stands_and_is_said(subject: Subject, seen: Observation) -> None:
    content = content_of(subject._replace(right=None), seen)
    assert content["fidelity"]["measure"] == "disagreement"
    assert content["absent"]["fidelity.performer"] == (
        "no labels match the performer's scores: disagreement stands for error"
    )


def test_counts_and_categories_add_up(subject: Subject, seen: Observation) -> None:
    content = content_of(subject, seen)
    counts, category = content["counts"], subject.labels.category
    assert {k: counts[k] for k in ("train_images", "test_images", "test_objects", "test_negatives", "filters")} == {
        "train_images": 40, "test_images": 30, "test_objects": 24, "test_negatives": 6, "filters": 12,
    }  # fmt: skip
    assert [(c["name"], c["train"], c["test"]) for c in content["categories"]] == [
        (name, 16, int((category == c).sum())) for c, name in enumerate(("red", "green"))
    ]
    owned = [row["category"] for row in content["filters"]]
    assert [c["filters"] for c in content["categories"]] == [owned.count("red"), owned.count("green")]
    assert sum(c["filters"] for c in content["categories"]) == 12
    cases = valid = 0
    for f, name in enumerate(owned):
        mine = category == ("red", "green").index(name)
        cases += int(mine.sum())
        valid += int((seen.explainer.score[mine, f] > 0).sum())
    assert counts["silent_maps"] == pytest.approx(1 - valid / cases)
    assert content["warnings"][-1].startswith(("Only 30 test images", f"{counts['dead_filters']} of 12 filters"))


def test_shares_without_meaning_are_null_and_said(subject: Subject, seen: Observation) -> None:
    n, f = seen.contribution.shape
    content = content_of(subject, seen._replace(contribution=-torch.ones(n, f)))
    assert {row["contribution"] for row in content["filters"]} == {None}
    assert content["absent"]["filters.contribution"] == (
        "the part track's contributions to the scores do not add up to more than 0"
    )
    content = content_of(subject, seen._replace(contribution=torch.arange(1.0, f + 1).expand(n, f)))
    shares = [row["contribution"] for row in content["filters"]]
    assert sum(shares) == pytest.approx(1) and shares == pytest.approx([(k + 1) / 78 for k in range(12)])
    assert "filters.contribution" not in content["absent"]


def test_chosen_landmarks_alone_make_the_instability(subject: Subject, seen: Observation) -> None:
    one = content_of(subject, seen, landmarks=("corner",))
    assert one["location_instability"]["landmarks"] == ["corner"]
    both = content_of(subject, seen, landmarks=())
    assert both["location_instability"]["landmarks"] == ["middle", "corner"]
    assert one["location_instability"]["all"]["explainer"] != both["location_instability"]["all"]["explainer"]


def test_a_part_track_that_rebuilds_little_is_told(subject: Subject, seen: Observation) -> None:
    def with_error(share: float) -> list[str]:
        error = dict.fromkeys(seen.squared_error, share * seen.squared_norm)
        return content_of(subject, seen._replace(squared_error=error))["warnings"]

    assert with_error(0.8)[0] == (
        "The part track alone loses 80.0 % of the last target's variance: p says how much magnitude passes "
        "through it, not how much information."
    )
    assert not any("part track" in w for w in with_error(0.3))


def test_the_gallery_shows_the_strongest_images_of_the_largest_contributions(
    subject: Subject, seen: Observation
) -> None:
    n, f = seen.contribution.shape
    score = seen.explainer.score.clone()
    score[:, 5] = -1.0
    seen = seen._replace(
        contribution=torch.arange(1.0, f + 1)[torch.tensor([7, 1, 2, 3, 4, 11, 6, 0, 8, 9, 10, 5])].expand(n, f),
        explainer=seen.explainer._replace(score=score),
    )
    found = measure(subject, seen, FEW)
    tensors, metadata = make_gallery(subject, found, {}, lambda i: PHOTOS[i].image, PHOTOS.names(), FEW)
    valid = found.assignment.valid
    order = [g for g in (5, 10, 9, 8, 0, 6, 11, 4, 3, 2, 1, 7) if bool(valid[:, g].any())]
    assert 5 not in order and tensors["filters"].tolist() == order[:3] == choose_filters(found, FEW)
    names = json.loads(metadata["names"])
    with torch.no_grad():
        maps = subject.explainer.encode(subject.store.rows(range(n)).tap)[0]
    for row, g in enumerate(order[:3]):
        strongest = score[:, g].where(valid[:, g], -math.inf).argsort(descending=True, stable=True)[:4].tolist()
        assert [names[k] for k in tensors["image_index"][row].tolist()] == [f"{i}.png" for i in strongest]
        for column, i in enumerate(strongest):
            torch.testing.assert_close(tensors["points"][row, column], seen.explainer.points[i, g])
            torch.testing.assert_close(tensors["maps"][row, column], maps.parts[i, g])
            torch.testing.assert_close(tensors["raw_maps"][row, column], maps.second[i, g])
            shot = tensors["images"][int(tensors["image_index"][row, column])]
            torch.testing.assert_close(shot, (PHOTOS[i].image * 255).round().to(torch.uint8))
    assert subject.truth is not None
    rows = [int(name.removesuffix(".png")) for name in names]
    torch.testing.assert_close(tensors["landmarks"], subject.truth.landmarks[rows])
    assert tensors["present"].tolist() == subject.truth.present[rows].int().tolist()


def test_guessing_is_called_so_where_there_is_something_to_guess(subject: Subject, seen: Observation) -> None:
    content = content_of(subject, seen)

    def said(error: float, categories: int, negatives: int) -> bool:
        content["fidelity"]["performer"] = {"error": {"value": error}}
        content["categories"] = [{}] * categories
        content["counts"]["test_negatives"] = negatives
        guessed = f"The performer's own error is {100 * error:.1f} %, no better than guessing: "
        return any(warning.startswith(guessed) for warning in cautions(content))

    assert not said(0.0, 1, 0) and not said(0.49, 1, 0) and said(1.0, 1, 0)
    assert not said(0.49, 1, 3) and said(0.5, 1, 3)
    assert not said(0.6, 3, 0) and said(0.7, 3, 0)


def test_the_gallery_has_every_filter_on_every_image_that_it_shows(subject: Subject, seen: Observation) -> None:
    found = measure(subject, seen, FEW)
    tensors, metadata = make_gallery(subject, found, {}, lambda i: PHOTOS[i].image, PHOTOS.names(), FEW)
    rows = [int(name.removesuffix(".png")) for name in json.loads(metadata["names"])]
    torch.testing.assert_close(tensors["image_contributions"], seen.contribution[rows])
    torch.testing.assert_close(tensors["image_points"], seen.explainer.points[rows])
    torch.testing.assert_close(tensors["image_peaks"], seen.explainer.score[rows])
    owner = subject.labels.category[rows]
    assert (owner >= 0).all()
    assert json.loads(metadata["categories"]) == [("red", "green")[int(c)] for c in owner]
    field = subject.performer.field
    assert json.loads(metadata["field"]) == {
        "start": field.start,
        "stride": field.stride,
        "size": field.size + 4 * field.stride,  # two conv layers of 3 x 3
    }
    own = torch.stack([seen.scores[i, s] for i, s in zip(rows, judged_scores(subject, found)[rows], strict=True)])
    torch.testing.assert_close(tensors["image_scores"][:, 0], own)


def test_a_contribution_is_to_the_right_score_or_else_the_highest(subject: Subject, seen: Observation) -> None:
    found = measure(subject, seen, FEW)
    assert subject.right is not None
    right = subject.right.clone()
    assert judged_scores(subject, found)[right >= 0].tolist() == right[right >= 0].tolist()
    unlabelled = subject._replace(right=None)
    assert judged_scores(unlabelled, found).tolist() == seen.scores.argmax(1).tolist()
    _, metadata = make_gallery(unlabelled, found, {}, lambda i: PHOTOS[i].image, PHOTOS.names(), FEW)
    rows = [int(name.removesuffix(".png")) for name in json.loads(metadata["names"])]
    assert json.loads(metadata["judged"]) == [f"class {int(seen.scores[i].argmax())}" for i in rows]
