"""The part tables of the paper's authors: animals of Pascal-Part and of ILSVRC 2013 DET with part centres."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from partscope.data.choices import chosen
from partscope.data.files import file_sha256
from partscope.data.part_rows import (
    TODO,
    Row,
    merged_rows,
    scaled_by_edges,
    scaled_by_pixels,
    whole_rows,
    with_samples,
)
from partscope.data.pascal_index import ANIMALS
from partscope.data.pascal_part import (
    FURTHER_PARTS,
    IMAGE_FOLDERS,
    image_folder,
    of_split,
    part_name,
    side_of,
    too_small,
)
from partscope.data.photos import Listing, Photo
from partscope.data.problems import Problem
from partscope.errors import DataError
from partscope.settings import DataSettings

DET_PARTS = ("head", "frontlegs")
"""Parts 1 and 2 of the ILSVRC tables; `frontlegs` are the feet of birds and the claws of lobsters."""

DET_ANIMALS = {
    "n01443537": "goldfish", "n01503061": "bird", "n01639765": "frog", "n01662784": "turtle", "n01674464": "lizard",
    "n01882714": "koala", "n01982650": "lobster", "n02084071": "dog", "n02118333": "fox", "n02121808": "domestic cat",
    "n02129165": "lion", "n02129604": "tiger", "n02131653": "bear", "n02324045": "rabbit", "n02342885": "hamster",
    "n02355227": "squirrel", "n02374451": "horse", "n02391049": "zebra", "n02395003": "swine",
    "n02398521": "hippopotamus", "n02402425": "cattle", "n02411705": "sheep", "n02419796": "antelope",
    "n02437136": "camel", "n02444819": "otter", "n02454379": "armadillo", "n02484322": "monkey",
    "n02503517": "elephant", "n02509815": "red panda", "n02510455": "giant panda",
}  # fmt: skip
"""Names of the ILSVRC categories, whose tables lie in folders called by their WordNet number."""

UNMARKED = "objects of which the tables hold no box"
"""How a listing tells those that it cannot crop."""

_MAIN = ("head", "neck", "torso")
_FOURTH = {"bird": "beak", "cat": "nose", "cow": "muzzle", "dog": "nose", "horse": "muzzle", "sheep": "muzzle"}


def table_parts(animal: str) -> tuple[str, ...]:
    """Names of the parts of a VOC animal, in the order of its tables' numbers from 1.

    Head, neck, torso, the tip of the face, then the others in the alphabet of Pascal-Part's short names. The
    tables themselves name no part; decision 20 tells how the order was found.

    >>> table_parts("bird")[3:6], table_parts("cat")[16]
    (('beak', 'left eye', 'left foot'), 'tail')
    """
    rest = sorted({*FURTHER_PARTS[animal].split(), "tail"} - {_FOURTH[animal]})
    return tuple(map(part_name, (*_MAIN, _FOURTH[animal], *rest)))


def read_part_tables(root: Path, settings: DataSettings, split: Literal["train", "test"]) -> Listing:
    """List the objects of one split, each cropped to its box.

    `root` holds a folder of `truth_part01.mat`, `truth_part02.mat` and so on for each category (or one
    `truth_<category>.mat`), and the photographs: those of VOC 2010 in `JPEGImages/` or
    `VOCdevkit/VOC2010/JPEGImages/`, those of ILSVRC in `<number>_obj/img/img/` or `<number>/*.JPEG`.
    Without `data.landmarks`, VOC animals carry head, neck and torso; another part's table is read where
    `data.landmarks` names it. ILSVRC animals have head and front legs, and their tables give a box only for
    objects with a part; `<number>_obj/img/data.mat`, where it is there, gives those of the others. Splits as in
    `read_pascal_part`; copies of one photograph stay on one side of the `image` split.

    Raises:
        DataError: there is no table, or a category is unknown.
    """
    tables = _tables(root)
    kept = chosen(list(tables), settings.categories, "category", "data.categories")
    has = {name: DET_PARTS if _is_det(tables[name]) else table_parts(name) for name in kept}
    usual = {name: has[name] if _is_det(tables[name]) else _MAIN for name in kept}
    can_have = has if settings.landmarks else usual
    names = tuple(dict.fromkeys(part for name in kept for part in can_have[name]))
    wanted = chosen(names, settings.landmarks, "landmark", "data.landmarks")
    problems: list[Problem] = []
    photos: list[Photo] = []
    keys: list[str] = []
    small = unmarked = 0
    for k, category in enumerate(kept):
        place, parts = tables[category], [part for part in has[category] if part in wanted]
        try:
            find = _det_files(root, place.name) if _is_det(place) else _voc_files(root)
            rows = _rows(root, place, has[category], parts or list(has[category][:1]))
        except DataError as error:
            problems.append(Problem(category, f"{error.doing}: {error.got}", error.todo))
            continue
        found = []
        for number, row in enumerate(rows, 1):
            if row.box is None and not row.fault:
                unmarked += 1  # an ILSVRC object of which the tables hold nothing
                continue
            where = f"{place.name}, row {number}"
            path = None if row.fault else find(row.file, number)
            known = row.file and not _is_det(place) and settings.split == "image"
            side = side_of(row.file, settings.test_share) if known else None
            if row.fault:
                problems.append(Problem(where, row.fault, TODO, side))
            elif path is None:
                problems.append(Problem(where, f"no photograph {row.file or number!r}", "restore the photograph", side))
            elif row.box is not None and row.box[2] * row.box[3] < settings.min_side**2:
                small += 1
            elif row.box is not None:
                name = f"{category}/{row.file or path.name}#{number}"
                found.append(Photo(path, name, k, *_landmarks(row, names), row.box, None, where))
        photos += found
        keys += _keys_of_copies(found, place.name) if _is_det(place) else [p.path.name for p in found]
    picked = of_split(photos, keys, settings, split)
    single = settings.single_category
    passed_over = too_small(small, settings.min_side) | ({UNMARKED: unmarked} if unmarked else {})
    return Listing(picked, (single,) if single else kept, names, tuple(problems), passed_over, can_have)


def _tables(root: Path) -> dict[str, Path]:
    """Place of each category's tables: a folder, or one file."""
    places = {path.stem.removeprefix("truth_"): path for path in sorted(root.glob("truth_*.mat"))}
    places.update({path.parent.name: path.parent for path in sorted(root.glob("*/truth_part*.mat"))})
    doing = f"looking for part tables in {str(root)!r}"
    if not places:
        raise DataError(
            doing,
            "no */truth_part*.mat and no truth_*.mat" if root.is_dir() else "no such folder",
            "set data.root and data.folder to the folder with the tables of the authors' data_input_VOC or "
            "data_input_DET-2015-subset-ILSVRC2013train, and put the photographs beside them",
        )
    strange = [name for name in places if name not in (*ANIMALS, *DET_ANIMALS)]
    if strange:
        raise DataError(
            doing,
            f"tables of {strange[0]!r}",
            f"leave those of {', '.join(ANIMALS)}, or of ILSVRC's WordNet numbers",
        )
    named = {DET_ANIMALS.get(name, name): path for name, path in places.items()}
    if len(named) < len(places):
        raise DataError(doing, "tables of VOC and of ILSVRC side by side", "give each a folder of its own")
    return dict(sorted(named.items()))


def _is_det(place: Path) -> bool:
    return place.name in DET_ANIMALS


def _rows(root: Path, place: Path, parts: Sequence[str], wanted: Sequence[str]) -> list[Row]:
    if place.is_file():
        return whole_rows(place, parts)
    if not _is_det(place):
        return merged_rows(place, parts, wanted, scaled_by_edges, fill=True)
    there = [part for k, part in enumerate(parts, 1) if (place / f"truth_part{k:02d}.mat").is_file()]
    rows = merged_rows(place, parts, there, scaled_by_pixels, fill=False)  # of goldfish, the head alone is marked
    samples = root / f"{place.name}_obj" / "img" / "data.mat"
    return with_samples(rows, samples) if samples.is_file() else rows


def _landmarks(row: Row, names: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    landmarks, present = np.zeros((len(names), 2), np.float32), np.zeros(len(names), bool)
    for part, point in row.points.items():
        if part in names:
            landmarks[names.index(part)], present[names.index(part)] = point, True
    return landmarks, present


def _voc_files(root: Path) -> Callable[[str, int], Path | None]:
    folder = image_folder(root, (*IMAGE_FOLDERS, "images"))
    there = {entry.name for entry in folder.iterdir()}
    return lambda file, number: folder / file if file in there else None


def _det_files(root: Path, synset: str) -> Callable[[str, int], Path | None]:
    numbered, named = root / f"{synset}_obj" / "img" / "img", root / synset
    folder = numbered if numbered.is_dir() else named
    there = {entry.name for entry in folder.iterdir()}

    def find(file: str, number: int) -> Path | None:
        name = f"{number:05d}.jpg" if folder == numbered else f"{file}.JPEG"
        return folder / name if name in there else None

    return find


def _keys_of_copies(photos: list[Photo], prefix: str) -> list[str]:
    """What decides each object's side: the first name of its photograph, which ILSVRC's folders hold once an object."""
    alike: dict[int, list[Path]] = {}
    for path in sorted({p.path for p in photos}):
        alike.setdefault(path.stat().st_size, []).append(path)
    key: dict[Path, str] = {}
    for group in alike.values():
        first: dict[str, str] = {}
        for path in group:
            digest = file_sha256(path) if len(group) > 1 else ""
            key[path] = first.setdefault(digest, f"{prefix}/{path.name}")
    return [key[p.path] for p in photos]
