"""Categories: given ones, the performer's own predictions, and the answers that are right."""

import pytest
import torch

from partscope import SettingsError
from partscope.training import (
    Labels,
    check_score_names,
    given_labels,
    match_classes,
    predicted_classes,
    predicted_labels,
    score_index,
    winner,
)
from training.small_job import Squares, store_of, toy_performer


def test_given_labels_may_all_own_filters() -> None:
    labels = given_labels(("cat", "dog"), [0, 1, -1])
    assert labels.names == ("cat", "dog")
    assert labels.category.tolist() == [0, 1, -1]
    assert labels.owners.tolist() == [True, True]


def test_predictions_with_enough_images_become_categories() -> None:
    classes = torch.tensor([7, 2, 7, 5, 2, 7, 9])
    labels, kept = predicted_labels(classes, None, 2)
    assert kept.tolist() == [2, 7]
    assert labels.names == ("class 2", "class 7", "other")
    assert labels.category.tolist() == [1, 0, 1, 2, 0, 1, 2]
    assert labels.owners.tolist() == [True, True, False]


def test_predictions_are_called_by_the_class_names() -> None:
    labels, _ = predicted_labels(torch.tensor([1, 1, 0]), ["cat", "dog"], 2)
    assert labels.names == ("dog", "other")


def test_predictions_of_too_few_images_are_told() -> None:
    with pytest.raises(SettingsError) as caught:
        predicted_labels(torch.tensor([0, 1, 1, 2]), None, 3)
    assert str(caught.value) == (
        "while making categories of the performer's predictions\n"
        "  got: no class is predicted for 3 training images (the most frequent: 2)\n"
        "  do:  lower --fit.min_category_images or give more images"
    )


def test_too_few_class_names_are_told() -> None:
    with pytest.raises(SettingsError) as caught:
        predicted_labels(torch.tensor([5, 5]), ["cat", "dog"], 1)
    assert caught.value.got == "2 class names, but class 5 (counted from 0) is predicted"
    assert caught.value.todo == "give --performer.class_names a file with one line for each of the network's scores"


def test_classes_that_were_not_kept_match_the_last_category() -> None:
    assert match_classes(torch.tensor([4, 1, 3, 0]), torch.tensor([3, 4])).tolist() == [1, 2, 0, 2]


def test_predicted_classes_are_the_performers_own() -> None:
    performer, photos = toy_performer(4), Squares(12)
    images = torch.stack([photos[i].image for i in range(12)])
    found = predicted_classes(performer, store_of(performer, photos))
    own = performer.scores(images).topk(2)
    sure = own.values[:, 0] - own.values[:, 1] > 1e-3  # fp16 features may swap a near tie
    assert torch.equal(found[sure], own.indices[:, 0][sure])
    assert int(sure.sum()) > 6


@pytest.mark.parametrize(
    ("names", "columns", "expected"),
    [
        (("cat",), 1, [1, 1, 0]),
        (("cat",), 2, [0, 0, 1]),
        (("cat", "dog"), 2, [0, 1, -1]),
        (("cat", "dog"), 3, [0, 1, 2]),
        (("cat", "dog"), 1000, None),
        (("cat", "dog"), 1, None),
    ],
)
def test_which_score_is_right(names: tuple[str, ...], columns: int, expected: list[int] | None) -> None:
    category = torch.tensor([0, len(names) - 1, -1])
    found = score_index(Labels(names, category, torch.ones(len(names), dtype=torch.bool)), columns)
    assert (found if found is None else found.tolist()) == expected


def test_the_winner_is_the_highest_score_or_one_above_zero() -> None:
    assert winner(torch.tensor([[0.1, 0.3], [2.0, -1.0]])).tolist() == [1, 0]
    assert winner(torch.tensor([[0.1], [-0.1], [0.0]])).tolist() == [1, 0, 0]


def test_scores_are_matched_by_name_where_names_are_known() -> None:
    def check(names: list[str] | None, columns: int, categories: list[str], certain: bool = True) -> None:
        check_score_names(names, columns, categories, certain=certain)

    check(None, 2, ["a", "b"])
    check(["a", "b"], 2, ["a", "b"])
    check(["a", "b", "none of them"], 3, ["a", "b"])
    check(["not a", "a"], 1, ["a"])
    check(["a", "b", "c", "d"], 4, ["a", "b"])  # not measured by these scores at all
    check(["robin", "wren"], 2, ["bird 1", "bird 2"], certain=False)
    for names, columns, categories, wanted in (
        (["b", "a"], 2, ["a", "b"], "scores of b, a, where the images need a, b"),
        (["a", "b", "c"], 3, ["a", "b"], "scores of a, b, c, where the images need a, b, none of them"),
        (["not a", "a"], 1, ["b"], "scores of not a, a, where the images need not b, b"),
        (list("abcdefgh"), 8, list("hgfedcba"),
         "scores of a, b, c, d, e, f ... (8), where the images need h, g, f, e, d, c ... (8)"),
    ):  # fmt: skip
        with pytest.raises(SettingsError) as caught:
            check(names, columns, categories)
        assert caught.value.got == wanted
    with pytest.raises(SettingsError, match="scores of b, a, where"):
        check(["b", "a"], 2, ["a", "b"], certain=False)
