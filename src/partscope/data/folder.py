"""A tree of class folders, as torchvision's ImageFolder reads it; no boxes, no landmarks."""

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np

from partscope.data.choices import chosen, held_out
from partscope.data.files import required_image_names
from partscope.data.names import text_fault
from partscope.data.photos import Listing, Photo
from partscope.data.problems import Problem, brief
from partscope.data.sample import NEGATIVE
from partscope.errors import DataError
from partscope.settings import DataSettings

UNLABELLED = "image"
"""The one category of images that lie in no class folder."""


def read_folder(root: Path, settings: DataSettings, split: Literal["train", "test"]) -> Listing:
    """List one split of `root/{train,test}/<class>/*`, of `root/<class>/*`, or of `root/*`.

    Without folders `train` and `test` the split is by a hash of the file's name relative to `root`; beside them, other
    folders (a `val`, say) are not read. An image beside class folders is a problem of the listing.

    Raises:
        DataError: no images, a `train` without a `test`, an unknown category, or an empty split.
    """
    doing = f"listing the images of {str(root)!r}"
    names, problems = _named(required_image_names(root, doing))
    own_split = (root / "train").is_dir()
    if own_split != (root / "test").is_dir():
        there, lacking = ("train", "test") if own_split else ("test", "train")
        raise DataError(
            doing,
            f"a folder {there!r} without a folder {lacking!r}",
            f"call the other split's folder {lacking!r}, or set data.folder to {there!r} to split that one",
        )
    for side in ("train", "test") if own_split else ():
        required_image_names(root / side, f"listing the {side} images of {str(root)!r}")
    share = settings.test_share
    depth = 1 if own_split else 0
    passed_over: dict[str, int] = {}
    if own_split:
        passed_over = _beside(names, root, settings)
        names = [name for name in names if name.split("/")[0] in ("train", "test")]
    rows = [(name, name.split("/")[depth:]) for name in names]
    flat = all(len(below) == 1 for _, below in rows)
    labelled = [(name, UNLABELLED if flat else below[0]) for name, below in rows if flat or len(below) > 1]
    loose = [name for name, below in rows if len(below) == 1 and not flat]
    found = sorted({label for _, label in labelled})
    kept = chosen(found, settings.categories, "category", "data.categories")
    single = settings.single_category
    nothing = np.zeros((0, 2), np.float32), np.zeros(0, bool)
    photos = [
        Photo(root / name, name, 0 if single else kept.index(label), *nothing, source="its folder")
        for name, label in labelled
        if label in kept and _split_of(name, own_split, share) == split
    ]
    what, todo = (
        "an image in no class folder, beside others that are in one",
        "move it into its class's folder, or away",
    )
    problems += [Problem(f"image {name!r}", what, todo, _split_of(name, own_split, share)) for name in loose]
    return Listing(photos, (single,) if single else kept, (), tuple(problems), passed_over)


def _beside(names: list[str], root: Path, settings: DataSettings) -> dict[str, int]:
    """Images that lie beside the folders `train` and `test`, by the folder; those that serve as negatives are used."""
    used = None if settings.negatives is None else Path(settings.root or ".") / settings.negatives
    found = Counter(
        f"images in the folder {above!r}, beside train and test" if below else "images beside train and test"
        for name in names
        for above, _, below in [name.partition("/")]
        if not (below and above in ("train", "test")) and not (used and (root / name).is_relative_to(used))
    )
    return dict(sorted(found.items()))


def _named(names: list[str]) -> tuple[list[str], list[Problem]]:
    """File names that are text, and what is wrong with the others."""
    faults = {name: text_fault(name) for name in names}
    todo = "rename the file in letters that UTF-8 has"
    problems = [
        Problem(f"image {brief(name)}", f"the file name is {said}", todo) for name, said in faults.items() if said
    ]
    return [name for name in names if faults[name] is None], problems


def _split_of(name: str, own_split: bool, test_share: float) -> Literal["train", "test"]:
    if own_split:
        return "train" if name.startswith("train/") else "test"
    return "test" if held_out(name, test_share) else "train"


def read_negatives(root: Path, folder: str, split: Literal["train", "test"]) -> Listing:
    """List images of none of the categories: sorted by name, the first half trains, the second half tests.

    Raises:
        DataError: the folder has no images.
    """
    names, problems = _named(required_image_names(root / folder, f"listing the negatives of {str(root / folder)!r}"))
    half = (len(names) + 1) // 2
    nothing = np.zeros((0, 2), np.float32), np.zeros(0, bool)
    photos = [
        Photo(root / folder / name, f"{folder}/{name}", NEGATIVE, *nothing, source="its folder")
        for name in (names[:half] if split == "train" else names[half:])
    ]
    return Listing(photos, (), (), tuple(problems))
