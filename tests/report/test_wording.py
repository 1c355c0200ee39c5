"""Sentences follow the values."""

from typing import Any

import pytest
from synthetic_run import make_diagnosis, number

from partscope.report import wording
from partscope.report.estimate import Diagnosis


def diagnosis(**variant: Any) -> tuple[Diagnosis, dict[str, Any]]:
    document = make_diagnosis(filters=4, **variant)
    return Diagnosis(document), document


def test_instability_beats_the_performer_but_not_the_centre() -> None:
    reading, _ = diagnosis()
    assert wording.read_instability(reading) == (
        "Filters stay on the same object part more steadily than the performer’s own channels (0.094 "
        "against 0.153), but "
        "an image-centre constant would score 0.060: read it together with the spread."
    )


@pytest.mark.parametrize(
    ("value", "end"),
    [
        (
            0.030,
            "more steadily than the performer’s own channels (0.030 against 0.153), and more steadily "
            "than the best fixed point would.",
        ),
        (
            0.154,
            "about as steadily as the performer’s own channels (0.154 against 0.153), but an "
            "image-centre constant would score 0.060: read it together with the spread.",
        ),
        (
            0.170,
            "less steadily than the performer’s own channels (0.170 against 0.153), no steadier than "
            "points drawn at random (0.161).",
        ),
        (
            0.0595,
            "more steadily than the performer’s own channels (0.059 against 0.153), but the best fixed "
            "point would score 0.059: read it together with the spread.",
        ),
    ],
)
def test_instability_in_other_orders(value: float, end: str) -> None:
    reading, document = diagnosis()
    released = document["location_instability"]["released"]
    released["explainer"], released["explainer_less_top_conv"] = number(value, 0.003), number(value - 0.1531, 0.004)
    assert wording.read_instability(reading) == f"Filters stay on the same object part {end}"


def test_a_paired_difference_tells_apart_what_intervals_do_not() -> None:
    reading, document = diagnosis()
    released, points = document["location_instability"]["released"], document["keypoint_regression"]
    released["explainer"], points["explainer"] = number(0.152, 0.003), number(0.1070, 0.002)
    released["explainer_less_top_conv"] = points["explainer_less_top_conv"] = number(-0.001, 0.0005)
    assert "more steadily than the performer" in wording.read_instability(reading)
    assert "locate the landmarks better than" in wording.read_following(reading)
    del released["explainer_less_top_conv"], points["explainer_less_top_conv"]  # as older files
    assert "about as steadily as the performer" in wording.read_instability(reading)
    assert "locate the landmarks about as well as" in wording.read_following(reading)


def test_instability_of_collapsed_filters_says_little() -> None:
    reading, _ = diagnosis(collapsed=True)
    assert wording.read_instability(reading).endswith(
        "but the filters have collapsed onto one place, so the number says little."
    )


def test_instability_that_could_not_be_computed() -> None:
    reading, document = diagnosis()
    document["location_instability"]["released"]["explainer"] = number(None, n=0)
    assert wording.read_instability(reading).startswith("Location instability could not be computed")


@pytest.mark.parametrize(
    ("fvu", "end"),
    [
        (
            0.2,
            "and only 20.0% of the variance of classifier.4 is lost when that track works alone: the "
            "parts carry most of it.",
        ),
        (
            0.6,
            "but 60.0% of the variance of classifier.4 is lost when that track works alone: the parts "
            "carry some of it.",
        ),
        (
            0.95,
            "yet 95.0% of the variance of classifier.4 is lost when that track works alone: the parts "
            "carry almost none of it.",
        ),
        (1.2, "yet alone that track is no better than guessing the mean of classifier.4."),
    ],
)
def test_p_is_read_beside_the_part_track_alone(fvu: float, end: str) -> None:
    reading, document = diagnosis()
    document["fidelity"]["parts_only"]["fvu"][1] = number(fvu, 0.01)
    assert wording.read_p(reading) == f"The gate gives the part track a weight of 0.581, {end}"


def test_fidelity_with_and_without_labels() -> None:
    reading, document = diagnosis()
    assert wording.read_fidelity(reading) == (
        "With the explainer’s features the network errs about as often as with its own (2.3% against "
        "2.2%). It misses 13.1% "
        "of the variance of classifier.4."
    )
    document["fidelity"]["full"]["error"] = number(0.2, 0.01)
    assert "errs more often than with its own (20.0% against 2.2%)" in wording.read_fidelity(reading)
    document["fidelity"]["full"]["error"] = number(0.001, 0.001)
    assert "errs less often than with its own (0.1% against 2.2%)" in wording.read_fidelity(reading)
    reading, _ = diagnosis(labels=False)
    assert "changes its answer on 2.3% of the images" in wording.read_fidelity(reading)


def test_spread() -> None:
    assert wording.read_spread(diagnosis()[0]) == (
        "In one image the filters look at places spread over 0.171 of the diagonal, as if at 38.4 "
        "equally used places; the "
        "landmarks over 0.159 and the performer’s channels over 0.199."
    )
    assert wording.read_spread(diagnosis(collapsed=True)[0]).startswith(
        "The filters point at nearly one place: they spread over only 0.041"
    )
    assert "landmarks" not in wording.read_spread(diagnosis(landmarks=False)[0])


def test_summary_counts_what_was_measured() -> None:
    text = wording.summary(diagnosis()[0])
    assert text.startswith(
        "An explainer with 4 part filters, 1 of them dead, was fitted to alexnet at the layer "
        "features.9 on 1,960 images"
    )
    assert "1,854 others (854 objects of 1 category and 1,000 negatives)" in text
    assert "With both tracks it misses 13.1% of the variance of classifier.4; with the part track" in text
    assert "alone it misses 61.2% of the variance of classifier.4." in text


def test_limits_name_few_images_and_missing_landmarks() -> None:
    reading, document = diagnosis(landmarks=False)
    document["counts"]["test_objects"] = 37
    text = " ".join(wording.limits(reading))
    assert "Only 37 test objects" in text
    assert "Without landmarks the parts have no names" in text
    assert "Only" not in " ".join(wording.limits(diagnosis()[0])).split("silenced")[1]


def test_limits_count_what_was_left_out() -> None:
    reading, document = diagnosis()
    text = " ".join(wording.limits(reading))
    assert "left out: 12 of the training, 3 of the test, 1 of unknown split" in text
    assert "(the first fault: bounding_boxes.txt, line 7, '<b>four</b>')" in text
    document["counts"]["left_out"].update(train=0, test=0, unknown=0)  # only repeated entries
    assert "left out" not in " ".join(wording.limits(reading))
    document["counts"]["left_out"]["problems"] = []
    assert "left out" not in " ".join(wording.limits(reading))
    del document["counts"]["left_out"]  # a file of version 0.1
    assert "left out" not in " ".join(wording.limits(reading))


def test_a_copy_worse_than_the_mean_is_called_so() -> None:
    reading, document = diagnosis()
    document["fidelity"]["full"]["fvu"][1] = number(7.8, 0.1)
    assert wording.read_fidelity(reading).endswith("It copies classifier.4 no better than its mean would.")


@pytest.mark.parametrize(
    ("mine", "error", "end"),
    [
        (0.36, 0.0921, "All peaks together locate the landmarks better than the performer’s own channels do."),
        (0.36, 0.1071, "All peaks together locate the landmarks about as well as the performer’s own channels do."),
        (0.36, 0.1300, "All peaks together locate the landmarks less well than the performer’s own channels do."),
        (0.36, 0.1800, "All peaks together locate the landmarks no better than their mean does."),
        (0.36, None, "the performer’s own channels explain 16.0%."),
    ],
)
def test_following_of_landmarks(mine: float, error: float | None, end: str) -> None:
    reading, document = diagnosis()
    document["keypoint_regression"]["explainer"] = number(error, 0.002, 427)
    sentence = wording.read_following(reading)
    assert sentence.startswith("A filter’s peak explains 36.0% of the movement of the landmark nearest to it")
    assert sentence.endswith(end)


def test_following_that_could_not_be_computed() -> None:
    reading, document = diagnosis()
    document["landmark_r2"]["released"]["explainer"] = number(None, n=0)
    assert wording.read_following(reading).startswith("Too few images show a landmark")


def test_parts_are_read_with_ablation_and_the_fixed_grid() -> None:
    reading, document = diagnosis()
    start = (
        "Of what the part track adds to the score: back 40.0%, forehead 30.0%, tail 20.0% and other 10.0%. Image by "
        "image their sum misses what the whole track adds by 2.2%. Taking parts away changes the score in no clear "
        "order of their shares (rank correlation 0.800 over 4 parts; of the number of filters 0.400). The "
        "strongest filter at a landmark tells its name "
    )
    assert wording.read_parts(reading) == f"{start}about as well as a fixed grid over the crop does."
    of = document["landmark_agreement"]["nmi"]["filters"]
    of["explainer"] = number(0.4, 0.008)
    assert wording.read_parts(reading) == f"{start}better than a fixed grid over the crop does."
    of["explainer"] = number(0.2, 0.008)
    assert wording.read_parts(reading) == f"{start}less well than a fixed grid over the crop does."


def test_parts_without_landmarks_or_shares() -> None:
    reading, document = diagnosis(landmarks=False)
    assert wording.read_parts(reading) == (
        "Of what the part track adds to the score: part 1 40.0%, part 2 30.0% and other 30.0%. Image by image their "
        "sum misses what the whole track adds by 2.2%. Taking parts away changes the score in no clear order of their "
        "shares (rank correlation 0.800 over 4 parts; of the number of filters 0.400)."
    )
    found = document["contributions"]["rank_correlation"]
    found["parts"] = number(0.9, 0.08, 9)
    assert "changes the score in the order of their shares (rank correlation 0.900 over 9 parts" in wording.read_parts(
        reading
    )
    found["parts"] = number(-0.9, 0.08, 9)
    assert "changes the score against the order of their shares" in wording.read_parts(reading)
    for part in document["parts"]:
        part["contribution"] = number(None)
    assert wording.read_parts(reading) == (
        "The part track’s contributions to the scores do not add up to more than 0, so no part has a share."
    )


def test_the_summary_says_where_the_evidence_lies() -> None:
    reading, document = diagnosis()
    for key in ("part_share", "part_share_null", "part_share_less_null"):
        del document[key]
    assert "evidence" not in wording.summary(reading)
    assert wording.read_part_share(reading) == "Not measured: the diagnosis gives no reason."
    document["part_share"] = number(0.416, 0.02)
    start = (
        "Of the evidence by which the performer tells images apart, 41.6% stands out in few places. Parts do that; so "
        "do a lone blob, a mark at a fixed place and some backgrounds."
    )
    assert wording.read_part_share(reading) == start
    document["part_share_null"], document["part_share_less_null"] = number(0.2, 0.01), number(0.216, 0.03)
    assert wording.read_part_share(reading) == (
        f"{start} It is more than the 20.0% of evidence that is normally distributed over the image."
    )
    document["part_share_null"], document["part_share_less_null"] = number(0.4, 0.01), number(0.016, 0.03)
    assert "It is not clearly more than the 40.0% of evidence" in wording.read_part_share(reading)
    assert (
        "Of the performer’s own evidence 41.6% stands out in few places of the image: parts do that, and so do a lone "
        "blob, a mark at a fixed place and some backgrounds. The rest lies everywhere."
    ) in wording.summary(reading)


def change(value: float | None) -> dict[str, Any]:
    return {"correlation": number(value, 0.02, 40)}


def test_parts_taken_away_are_read_by_name() -> None:
    reading, document = diagnosis()
    names = {"head": 0.8, "tail": 0.6, "wing": None, "random patch": 0.4}
    parts = [{"name": name, **change(value)} for name, value in names.items()]
    document["mimic"] = {"method": "masked", "parts": parts}
    said = wording.read_mimic(reading)
    assert said.startswith("A part is taken away: a square about its landmark is painted in the image’s mean colour.")
    assert "is 0.600 (tail) to 0.800 (head); 1 would be the same direction." in said
    assert said.endswith("The last row paints a square away from all landmarks.")
    document["mimic"] = {"method": "drawn without", "parts": parts[:1]}
    said = wording.read_mimic(reading)
    assert "the image is drawn anew without it" in said
    assert "is 0.800 (head); 1 would" in said and "last row" not in said
    document["mimic"]["parts"] = parts[2:3]
    assert wording.read_mimic(reading).endswith("as the performer does?")
