"""What a classifier is asked: one category needs others to tell it from, in training and in the test."""

import pytest
import torch

from partscope import SettingsError
from partscope.training import answers_of


@pytest.mark.parametrize(
    ("category", "tested", "got"),
    [
        ([0, 0], [0, -1], ("training a classifier of one category", "no image that is not of 'fox'")),
        ([0, -1], [0, 0], ("testing a classifier of one category", "no test image that is not of 'fox'")),
    ],
)
def test_one_category_needs_others_in_both_splits(category: list[int], tested: list[int], got: tuple[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        answers_of("single", "logistic", ["fox"], torch.tensor(category), torch.tensor(tested))
    assert (caught.value.doing, caught.value.got) == got
    assert "data.negatives" in caught.value.todo and "several categories" in caught.value.todo
    assert answers_of("single", "logistic", ["fox"], torch.tensor([0, -1]), torch.tensor([0, -1])).outputs == 1
    assert answers_of("multi", "logistic", ["fox", "fish"], torch.tensor([0, 1]), torch.tensor([0, 0])).outputs == 2
