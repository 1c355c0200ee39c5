"""What a classifier should answer, how wrong it is, and what a constant answer would score."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from partscope.errors import SettingsError

NONE = "none of them"


class Answers(NamedTuple):
    """How categories become outputs."""

    labels: Literal["single", "multi"]
    loss: Literal["logistic", "softmax"]
    categories: tuple[str, ...]
    names: tuple[str, ...]
    """One a score; for one score, what 0 and what 1 means."""

    @property
    def outputs(self) -> int:
        """Number of scores."""
        return 1 if len(self.categories) == 1 and self.loss == "logistic" else len(self.names)

    def targets(self, category: Int[Tensor, " n"]) -> Tensor:
        """What the scores should say.

        Args:
            category: index of each image's category; -1 for a negative.

        Returns:
            (n, outputs) of 0 and 1, on a negative all 0, for the logistic loss; else (n,) indices, a negative's
            that of `none of them`.
        """
        if self.loss == "logistic":
            return (category[:, None] == torch.arange(len(self.categories))).float()
        return torch.where(category < 0, len(self.categories), category)


def answers_of(
    labels: Literal["single", "multi"],
    loss: Literal["logistic", "softmax"],
    categories: Sequence[str],
    category: Int[Tensor, " n"],
    tested: Int[Tensor, " m"] | None = None,
) -> Answers:
    """Decides the outputs of a classifier of these images.

    Args:
        labels: objects of one category against negatives, or several categories.
        loss: independent outputs, or categories that exclude each other (with negatives, one more: none of them).
        categories: their names.
        category: of each training image, -1 for a negative.
        tested: of each test image, if there are any to look at.

    Raises:
        SettingsError: one category without negatives, or several where one is asked for.

    >>> answers_of("multi", "softmax", ["cat", "dog"], torch.tensor([0, 1, -1])).names
    ('cat', 'dog', 'none of them')
    """
    if labels == "single" and len(categories) != 1:
        raise SettingsError(
            "training one category against negatives",
            f"{len(categories)} categories: {', '.join(categories[:5])}",
            "choose one by --data.categories or --data.single_category, or set --train.labels multi",
        )
    negatives = bool((category < 0).any())
    if len(categories) == 1 and not negatives:
        raise SettingsError(
            "training a classifier of one category",
            f"no image that is not of '{categories[0]}'",
            "set --data.negatives FOLDER, or use several categories with --train.labels multi",
        )
    if len(categories) == 1 and tested is not None and not bool((tested < 0).any()):
        raise SettingsError(
            "testing a classifier of one category",
            f"no test image that is not of '{categories[0]}'",
            "put more images into data.negatives, whose second half tests, or take several categories",
        )
    names = tuple(categories)
    if loss == "softmax" and negatives:
        names = (*names, NONE)
    elif len(categories) == 1 and loss == "logistic":
        names = (f"not {categories[0]}", categories[0])
    return Answers(labels, loss, tuple(categories), names)


class Count(NamedTuple):
    """How many cases, and the mean share that is wrong."""

    wrong: float
    """Summed over cases; an image of several outputs counts the share that is wrong."""
    cases: int


def errors_of(answers: Answers, scores: Float[Tensor, "n c"], category: Int[Tensor, " n"]) -> dict[str, Count]:
    """How wrong scores are.

    Args:
        answers: what they mean.
        scores: of the network.
        category: of each image, -1 for a negative.

    Returns:
        `error`: wrong answers over all images, of several logistic outputs the mean binary error (one case an
        image); with several categories `argmax_error`: the highest score is not the category's, over images
        that have one.

    >>> found = answers_of("multi", "logistic", ["a", "b"], torch.tensor([0, 1, -1]))
    >>> errors_of(found, torch.tensor([[2.0, 1.0], [-2.0, -1.0]]), torch.tensor([0, 1]))
    {'error': Count(wrong=1.0, cases=2), 'argmax_error': Count(wrong=0.0, cases=2)}
    """
    targets = answers.targets(category)
    if answers.loss == "logistic":
        wrong = ((scores > 0) != (targets > 0.5)).double().mean(1)
    else:
        wrong = (scores.argmax(1) != targets).double()
    found = {"error": Count(float(wrong.sum()), len(wrong))}
    if len(answers.categories) > 1:
        there = category >= 0
        best = scores[there, : len(answers.categories)].argmax(1)
        found["argmax_error"] = Count(float((best != category[there]).sum()), int(there.sum()))
    return found


def chance_errors(answers: Answers, category: Int[Tensor, " n"]) -> dict[str, Count]:
    """The errors of one answer for all images: the commonest of these very images, output by output.

    No constant answer does better, so that a network must beat it to have learned anything.

    >>> found = answers_of("single", "logistic", ["a"], torch.tensor([0, 0, -1]))
    >>> chance_errors(found, torch.tensor([0, -1, -1]))
    {'error': Count(wrong=1.0, cases=3)}
    """
    if answers.loss == "logistic":
        scores = answers.targets(category).mean(0) - 0.5
    else:
        scores = torch.bincount(answers.targets(category), minlength=answers.outputs).float()
    return errors_of(answers, scores.expand(len(category), -1), category)
