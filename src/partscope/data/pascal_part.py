"""Pascal-Part: six animals of PASCAL VOC 2010 with a mask for every object and part."""

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np

from partscope.data.choices import authors_training, chosen, held_out
from partscope.data.pascal_index import ANIMALS, Entry, Marked, read_index
from partscope.data.photos import Listing, Photo
from partscope.data.problems import Problem
from partscope.errors import DataError
from partscope.settings import DataSettings

MAIN_PARTS = ("head", "neck", "torso", "tail")
"""Carried first, in this order; the paper's landmarks are the first three."""

_QUADRUPED = "leye reye lear rear"
_COW = f"{_QUADRUPED} muzzle lhorn rhorn lfuleg lflleg rfuleg rflleg lbuleg lblleg rbuleg rblleg"
_CAT = f"{_QUADRUPED} nose lfleg lfpa rfleg rfpa lbleg lbpa rbleg rbpa"
FURTHER_PARTS = {
    "bird": "leye reye beak lwing rwing lleg lfoot rleg rfoot",
    "cat": _CAT,
    "cow": _COW,
    "dog": f"{_CAT} muzzle",
    "horse": f"{_COW.replace('lhorn rhorn ', '')} lfho rfho lbho rbho",
    "sheep": _COW,
}
"""The other parts that Pascal-Part marks on each animal, in its own short names."""

IMAGE_FOLDERS = ("JPEGImages", "VOCdevkit/VOC2010/JPEGImages", "VOC2010/JPEGImages")
"""Where below the data set's folder the photographs of VOC 2010 may lie."""

_TODO = "restore the file that Pascal-Part gives"
_WORDS = {
    "eye": "eye", "ear": "ear", "wing": "wing", "leg": "leg", "foot": "foot", "horn": "horn",
    "fleg": "front leg", "fpa": "front paw", "bleg": "back leg", "bpa": "back paw",
    "fuleg": "front upper leg", "flleg": "front lower leg", "buleg": "back upper leg", "blleg": "back lower leg",
    "fho": "front hoof", "bho": "back hoof",
}  # fmt: skip


def part_name(code: str) -> str:
    """A part's name in words, left and right spelled out so that mirroring can swap them.

    >>> [part_name(code) for code in ("head", "rear", "lfuleg")]
    ['head', 'right ear', 'left front upper leg']
    """
    words = _WORDS.get(code[1:])
    return f"{'left' if code[0] == 'l' else 'right'} {words}" if code[:1] in ("l", "r") and words else code


def parts_of(categories: tuple[str, ...]) -> tuple[str, ...]:
    """Names of all parts of some animals, the main ones first.

    >>> parts_of(("bird",))[:6]
    ('head', 'neck', 'torso', 'tail', 'left eye', 'right eye')
    """
    further = (part_name(code) for name in categories for code in FURTHER_PARTS[name].split())
    return tuple(dict.fromkeys((*MAIN_PARTS, *further)))


def image_folder(root: Path, candidates: tuple[str, ...]) -> Path:
    """The first of the folders below `root` that exists.

    Raises:
        DataError: none does; names them all.
    """
    for name in candidates:
        if (root / name).is_dir():
            return root / name
    raise DataError(
        f"looking for the photographs of {str(root)!r}",
        f"none of the folders {', '.join(map(repr, candidates))}",
        "put the photographs of PASCAL VOC 2010 there, or set data.root and data.folder to their folder",
    )


def read_pascal_part(root: Path, settings: DataSettings, split: Literal["train", "test"]) -> Listing:
    """List the animals of one split, each cropped to the box of its mask.

    `root` holds `Annotations_Part/*.mat` and the photographs of VOC 2010 (`JPEGImages/` or
    `VOCdevkit/VOC2010/JPEGImages/`). A landmark is the centre of its part mask's bounding box; a part without
    pixels is absent. Objects whose box covers fewer than `min_side` squared pixels are left out, as in the
    paper's experiments. `data.split` says how train and test are told apart; `image` keeps all objects of an
    image together, `authors` takes the authors' 90 % of objects.

    Raises:
        DataError: there are no annotations or photographs, or a category is unknown.
    """
    kept = chosen(ANIMALS, settings.categories, "category", "data.categories")
    names = parts_of(kept)
    folder = image_folder(root, IMAGE_FOLDERS)
    there = {entry.name for entry in folder.iterdir()}
    problems: list[Problem] = []
    photos: list[Photo] = []
    small = 0
    for file, entry in read_index(root / "Annotations_Part").items():
        source = f"Annotations_Part/{file}"
        image = f"{Path(file).stem}.jpg"
        side = None if settings.split == "authors" else side_of(image, settings.test_share)
        fault = entry.fault or _misnamed(file, entry)
        if fault:
            problems.append(Problem(source, fault, _TODO, side))
            continue
        wanted = [m for m in entry.objects if m.category in kept]
        if wanted and image not in there:
            problems.append(Problem(source, f"no photograph {image!r}", f"put it into {str(folder)!r}", side))
            continue
        for marked in wanted:
            where = f"{source}, object {marked.number}"
            bad = marked.fault or _unknown_part(marked)
            if bad:
                problems.append(Problem(where, bad, _TODO, side))
            elif marked.box is not None and marked.box[2] * marked.box[3] < settings.min_side**2:
                small += 1
            elif marked.box is not None:
                photos.append(_photo(folder / image, marked, kept, names, entry.size, where))
    picked = of_split(photos, [p.path.name for p in photos], settings, split)
    single = settings.single_category
    can_have = {name: parts_of((name,)) for name in kept}
    passed_over = too_small(small, settings.min_side)
    return Listing(picked, (single,) if single else kept, names, tuple(problems), passed_over, can_have)


def too_small(count: int, side: int) -> dict[str, int]:
    """How a listing tells the objects that `data.min_side` leaves out.

    >>> too_small(7, 50), too_small(0, 50)
    ({'objects of less area than 50 x 50 px (data.min_side)': 7}, {})
    """
    return {f"objects of less area than {side} x {side} px (data.min_side)": count} if count else {}


def side_of(key: str, test_share: float) -> Literal["train", "test"]:
    """The split that a hash of an image's name gives it.

    >>> side_of("2008_000008.jpg", 0.0)
    'train'
    """
    return "test" if held_out(key, test_share) else "train"


def of_split(photos: list[Photo], keys: list[str], settings: DataSettings, split: str) -> list[Photo]:
    """The objects of one split, in their order, of one category where the settings say so.

    Args:
        photos: all objects.
        keys: for each, what decides its side in the split by image.
        settings: which split, and how many are held out.
        split: `train` or `test`.
    """
    if settings.split == "authors":
        trained = training_objects([p.category for p in photos])
        sides = ["train" if i in trained else "test" for i in range(len(photos))]
    else:
        sides = [side_of(key, settings.test_share) for key in keys]
    picked = [photo for photo, side in zip(photos, sides, strict=True) if side == split]
    return [photo._replace(category=0) for photo in picked] if settings.single_category else picked


def training_objects(categories: list[int]) -> set[int]:
    """Places of the objects that the authors train on: 90 % of each category, evenly spread over its list.

    >>> sorted(set(range(11)) - training_objects([0] * 11))
    [5]
    """
    totals = Counter(categories)
    chosen_numbers = {category: authors_training(count) for category, count in totals.items()}
    met: Counter[int] = Counter()
    training = set()
    for place, category in enumerate(categories):
        if met[category] in chosen_numbers[category]:
            training.add(place)
        met[category] += 1
    return training


def _misnamed(file: str, entry: Entry) -> str:
    return "" if f"{entry.image}.mat" == file else f"it annotates {entry.image!r}, not {Path(file).stem!r}"


def _unknown_part(marked: Marked) -> str:
    known = (*MAIN_PARTS, *FURTHER_PARTS[marked.category].split())
    strange = [code for code in marked.parts if code not in known]
    return f"a part {strange[0]!r}, which Pascal-Part has on no {marked.category}" if strange else ""


def _photo(
    path: Path, marked: Marked, kept: tuple[str, ...], names: tuple[str, ...], size: tuple[int, int], where: str
) -> Photo:
    landmarks, present = np.zeros((len(names), 2), np.float32), np.zeros(len(names), bool)
    for code, centre in marked.parts.items():
        k = names.index(part_name(code))
        landmarks[k], present[k] = centre, True
    category = kept.index(marked.category)
    return Photo(path, f"{path.name}#{marked.number}", category, landmarks, present, marked.box, size, where)
