"""Categories of images: given ones, or the performer's own top predictions."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from partscope.errors import SettingsError
from partscope.performers import Performer
from partscope.settings import FitSettings
from partscope.training.answers import NONE
from partscope.training.features import FeatureStore
from partscope.training.fit import Labels
from partscope.training.tail import Tail

OTHER = "other"


def given_labels(names: Sequence[str], category: Sequence[int]) -> Labels:
    """Labels that the data set brings; -1 marks negatives."""
    return Labels(tuple(names), torch.tensor(category), torch.ones(len(names), dtype=torch.bool))


@torch.no_grad()
def predicted_classes(performer: Performer, store: FeatureStore) -> Int[Tensor, " n"]:
    """The answer that the performer gives, from its kept features; see :func:`winner`."""
    return torch.cat([winner(performer.resume(f, "last")).cpu() for _, f in store.batches()])


def predicted_labels(
    classes: Int[Tensor, " n"], class_names: Sequence[str] | None, least: int
) -> tuple[Labels, Int[Tensor, " k"]]:
    """Labels without labels: each class predicted for at least ``least`` images is a category.

    Args:
        classes: predicted class of each training image.
        class_names: what the classes are called; None calls them `class 0` and so on.
        least: classes with fewer images form one category `other`, which owns no filter.

    Returns:
        The labels, and the class index of each category but `other`.

    Raises:
        SettingsError: no class has that many images, or there are too few names.
    """
    count = torch.bincount(classes)
    kept = (count >= least).nonzero().flatten()
    if len(kept) == 0:
        raise SettingsError(
            "making categories of the performer's predictions",
            f"no class is predicted for {least} training images (the most frequent: {int(count.max())})",
            "lower --fit.min_category_images or give more images",
        )
    if class_names is not None and int(kept[-1]) >= len(class_names):
        raise SettingsError(
            "naming the performer's classes",
            f"{len(class_names)} class names, but class {int(kept[-1])} (counted from 0) is predicted",
            "give --performer.class_names a file with one line for each of the network's scores",
        )
    names = [class_names[int(c)] if class_names else f"class {int(c)}" for c in kept]
    owners = torch.tensor([True] * len(kept) + [False])
    return Labels((*names, OTHER), match_classes(classes, kept), owners), kept


def match_classes(classes: Int[Tensor, " n"], kept: Int[Tensor, " k"]) -> Int[Tensor, " n"]:
    """Category of each image from its predicted class; the last one, `other`, for all that were not kept."""
    same = classes[:, None] == kept[None]
    return torch.where(same.any(1), same.float().argmax(1), len(kept))


def score_index(labels: Labels, columns: int) -> Int[Tensor, " n"] | None:
    """Which of the performer's scores should win on each image; None where labels and scores do not match.

    One column scores "object against the rest" (the index is then 1 for objects, 0 for negatives). C
    columns score the categories; one column more is "none of them". -1: the image has no right answer.
    """
    categories = len(labels.names)
    if columns == 1 and categories == 1:
        return (labels.category >= 0).long()
    if columns == categories + 1:
        return torch.where(labels.category >= 0, labels.category, categories)
    return labels.category if columns == categories else None


def tail_of(settings: FitSettings, performer: Performer, store: FeatureStore, labels: Labels) -> Tail | None:
    """The judge of an explainer that learns by classification; None for one that learns by reconstruction.

    Where no labels match the performer's scores, its own answers count as right, as they do in the diagnosis.

    Args:
        settings: how the explainer is learned.
        performer: the network.
        store: its features on the training images.
        labels: the images' categories.
    """
    if settings.objective == "reconstruction":
        return None
    right = None if settings.labels == "none" else score_index(labels, performer.outputs)
    return Tail(performer, predicted_classes(performer, store) if right is None else right)


def check_score_names(
    score_names: Sequence[str] | None, columns: int, categories: Sequence[str], *, certain: bool
) -> None:
    """Refuses scores that would be matched with other categories than their own; see :func:`score_index`.

    Args:
        score_names: what the scores are called, where it is known.
        columns: number of scores.
        categories: of the images, in order.
        certain: the names are surely those of these scores; else only names that are among the categories count,
            since the same thing often has several names.

    Raises:
        SettingsError: the scores are as many as the categories need, and of others or in another order.

    >>> check_score_names(["fox", "fish"], 2, ["fox", "fish"], certain=True)
    """
    if not score_names:
        return
    if columns == 1 and len(categories) == 1:
        wanted = [f"not {categories[0]}", categories[0]]
    elif columns in (len(categories), len(categories) + 1):
        wanted = [*categories, NONE][:columns]
    else:
        return
    if list(score_names) == wanted or len(score_names) != len(wanted):
        return
    if not certain and not set(score_names) & set(wanted):
        return
    own = [name for name in score_names if name != NONE]
    order = "give the categories that it was trained on"
    if sorted(own) == sorted(categories):
        order = f"give --data.categories [{','.join(own)}]"
    raise SettingsError(
        "matching the performer's scores with the categories",
        f"scores of {_listed(score_names)}, where the images need {_listed(wanted)}",
        f"{order}, or say by --performer.class_names FILE what the scores are of",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" ... ({len(names)})" if len(names) > 6 else "")


def winner(scores: Float[Tensor, "n c"]) -> Int[Tensor, " n"]:
    """The answer that scores give: the highest; for one column, whether it is above 0."""
    return (scores[:, 0] > 0).long() if scores.shape[1] == 1 else scores.argmax(1)
