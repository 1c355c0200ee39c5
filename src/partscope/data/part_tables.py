"""The part tables of the paper's authors: animals of Pascal-Part and of ILSVRC 2013 DET with part centres."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partscope.data.choices import chosen, held_out
from partscope.data.files import file_sha256
from partscope.data.matlab import read_mat
from partscope.data.pascal_part import IMAGE_FOLDERS, MAIN_PARTS, training_objects
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

_SIDE = 224
"""Side of the square in whose pixels the tables give a part's centre."""

_TODO = "restore the table that the authors published"


class _Row(NamedTuple):
    """One object of a table."""

    file: str
    """Name of the photograph as the table says it; empty where only the row's number names it."""
    box: tuple[float, float, float, float] | None
    points: Mapping[int, tuple[float, float]]
    """For each part (from 0) that is there, its (row, column) in pixels of the photograph, from 0."""
    fault: str = ""


def read_part_tables(root: Path, settings: DataSettings, split: Literal["train", "test"]) -> Listing:
    """List the objects of one split, each cropped to its box.

    `root` holds a folder of `truth_part01.mat`, `truth_part02.mat` and so on for each category (or one
    `truth_<category>.mat`), and the photographs: those of VOC 2010 in `JPEGImages/` or
    `VOCdevkit/VOC2010/JPEGImages/`, those of ILSVRC in `<number>_obj/img/img/` or `<number>/*.JPEG`.
    Parts 1 to 4 of the VOC tables are head, neck, torso and tail, the two of the ILSVRC tables head and
    front legs. The ILSVRC tables give a box only for objects with a part; `<number>_obj/img/data.mat`, where
    it is there, gives those of the others. Splits as in `read_pascal_part`.

    Raises:
        DataError: there is no table, or a category is unknown.
    """
    tables = _tables(root)
    kept = chosen(list(tables), settings.categories, "category", "data.categories")
    sets = {name: tables[name] for name in kept}
    det = {name: folder.name in DET_ANIMALS for name, folder in sets.items()}
    names = tuple(dict.fromkeys(part for name in kept for part in (DET_PARTS if det[name] else MAIN_PARTS)))
    problems: list[Problem] = []
    photos: list[Photo] = []
    keys: list[str] = []
    for category, folder in sets.items():
        try:
            rows = _det_rows(root, folder) if det[category] else _voc_rows(folder)
            find = _det_files(root, folder.name) if det[category] else _voc_files(root)
        except DataError as error:
            problems.append(Problem(category, f"{error.doing}: {error.got}", error.todo))
            continue
        parts = DET_PARTS if det[category] else MAIN_PARTS
        placed = [names.index(part) for part in parts]
        found: list[Photo] = []
        for number, row in enumerate(rows, 1):
            if row.box is None and not row.fault:
                continue  # an ILSVRC object of which the tables hold nothing
            where = f"{folder.relative_to(root).as_posix()}, row {number}"
            path = None if row.fault else find(row.file, number)
            fault = row.fault or ("" if path is not None else f"no photograph of {row.file or f'number {number}'!r}")
            if fault:
                problems.append(Problem(where, fault, _TODO if row.fault else "restore the photograph"))
            elif path is not None and row.box is not None and row.box[2] * row.box[3] >= settings.min_side**2:
                landmarks, present = _landmarks(row, placed, len(names))
                name = f"{category}/{row.file or path.name}#{number}"
                found.append(Photo(path, name, kept.index(category), landmarks, present, row.box, None, where))
        photos += found
        keys += _split_keys(found, f"{folder.name}/" if det[category] else "")
    trained = training_objects([p.category for p in photos]) if settings.split == "authors" else None
    single = settings.single_category
    picked = [
        photo._replace(category=0 if single else photo.category)
        for i, photo in enumerate(photos)
        if (not held_out(keys[i], settings.test_share) if trained is None else i in trained) == (split == "train")
    ]
    return Listing(picked, (single,) if single else kept, names, tuple(problems))


def _tables(root: Path) -> dict[str, Path]:
    """Place of each category's tables: a folder, or one file."""
    files = {path.stem.removeprefix("truth_"): path for path in root.glob("truth_*.mat")}
    folders = {path.parent.name: path.parent for path in root.glob("*/truth_part*.mat")}
    found = {DET_ANIMALS.get(name, name): path for name, path in sorted({**folders, **files}.items())}
    if not found:
        raise DataError(
            f"looking for part tables in {str(root)!r}",
            "no */truth_part*.mat and no truth_*.mat" if root.is_dir() else "no such folder",
            "set data.root and data.folder to the folder that holds the tables of the authors' data_input_VOC or "
            "data_input_DET-2015-subset-ILSVRC2013train, with the photographs beside them",
        )
    return dict(sorted(found.items()))


def _landmarks(row: _Row, placed: Sequence[int], count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    landmarks, present = np.zeros((count, 2), np.float32), np.zeros(count, bool)
    for part, point in row.points.items():
        landmarks[placed[part]], present[placed[part]] = point, True
    return landmarks, present


def _voc_rows(place: Path) -> list[_Row]:
    if place.is_file():
        return [_guarded(lambda row=row: _whole_row(row)) for row in read_mat(place, "truth")]
    return _merged(place, len(MAIN_PARTS), _scaled_by_edges, fill=True)


def _det_rows(root: Path, folder: Path) -> list[_Row]:
    rows = _merged(folder, len(DET_PARTS), _scaled_by_pixels, fill=False)
    table = root / f"{folder.name}_obj" / "img" / "data.mat"
    if not table.is_file():
        return rows
    samples = read_mat(table, "samples")
    if len(samples) != len(rows):
        raise DataError(f"reading {str(table)!r}", f"{len(samples)} objects beside tables of {len(rows)}", _TODO)
    return [
        row if row.box is not None or row.fault else _guarded(lambda s=sample: _Row("", _edges(s["obj"][0])[1], {}))
        for row, sample in zip(rows, samples, strict=True)
    ]


def _merged(folder: Path, parts: int, point: Callable[..., tuple[float, float]], *, fill: bool) -> list[_Row]:
    """Rows of one category from the tables of its parts; with `fill`, further tables give the boxes still lacking."""
    paths = sorted(folder.glob("truth_part*.mat"))
    number = {path: int(path.stem.removeprefix("truth_part")) for path in paths if path.stem[10:].isdigit()}
    rows: list[_Row] = []
    for path, k in sorted(number.items(), key=lambda item: item[1]):
        if k > parts and not (fill and any(row.box is None and not row.fault for row in rows)):
            break
        table = read_mat(path, "truth")
        rows = rows or [_Row("", None, {}) for _ in table]
        if len(table) != len(rows):
            raise DataError(f"reading {str(path)!r}", f"{len(table)} rows, the tables before it {len(rows)}", _TODO)
        rows = [
            _guarded(lambda old=old, new=new, path=path, k=k: _with_part(old, new, k - 1, k <= parts, point, path))
            for old, new in zip(rows, table, strict=True)
        ]
    lacking = "no table gives its box: the object has none of the parts"
    return [row._replace(fault=lacking) if fill and row.box is None and not row.fault else row for row in rows]


def _guarded(make: Callable[[], _Row]) -> _Row:
    try:
        return make()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return _Row("", None, {}, f"not the structure of the authors' tables ({type(error).__name__}: {error})")


def _with_part(
    row: _Row, new: Mapping[str, Any], part: int, carried: bool, point: Callable[..., tuple[float, float]], path: Path
) -> _Row:
    if row.fault or not new["obj"]:
        return row
    (obj,) = new["obj"]
    edges, box = _edges(obj)
    file = str(obj["filename"])
    if row.box is not None and (row.box, row.file) != (box, file):
        return row._replace(fault=f"{path.name} has another object in this row than the tables before it")
    centre = np.asarray(new["pHW_center"], float).ravel()
    if not carried or centre.size == 0:  # the ILSVRC tables list some objects without the part
        return row._replace(box=box, file=file)
    if centre.size != 2 or not np.isfinite(centre).all():
        raise ValueError(f"pHW_center {centre.tolist()} in {path.name}")
    return _Row(file, box, {**row.points, part: point(centre, edges)})


def _edges(obj: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, float, float, float]]:
    """First and last column and row from 1 (VOC's habit), and the box from 0 in whole pixels."""
    (given,) = obj["bndbox"]
    words = ("Wmin", "Wmax", "Hmin", "Hmax") if "Wmin" in given else ("xmin", "xmax", "ymin", "ymax")
    left, right, top, bottom = (float(np.asarray(given[w]).item()) for w in words)
    left, top = max(left, 1.0), max(top, 1.0)  # some ILSVRC boxes start at 0; the authors' crop takes 1
    if not (np.isfinite([left, right, top, bottom]).all() and right >= left and bottom >= top):
        raise ValueError(f"bndbox from column {left:g} to {right:g}, row {top:g} to {bottom:g}")
    return (left, right, top, bottom), (left - 1, top - 1, right - left + 1, bottom - top + 1)


def _scaled_by_edges(centre: NDArray[np.float64], edges: tuple[float, ...]) -> tuple[float, float]:
    """VOC tables: (centre - first) / (last - first) * 224, undone."""
    left, right, top, bottom = edges
    return top - 1 + centre[0] / _SIDE * (bottom - top), left - 1 + centre[1] / _SIDE * (right - left)


def _scaled_by_pixels(centre: NDArray[np.float64], edges: tuple[float, ...]) -> tuple[float, float]:
    """ILSVRC tables: pixels, from 1, of the crop stretched to 224 x 224."""
    left, right, top, bottom = edges
    row = top - 1.5 + (centre[0] - 0.5) / _SIDE * (bottom - top + 1)
    return row, left - 1.5 + (centre[1] - 0.5) / _SIDE * (right - left + 1)


def _whole_row(row: Mapping[str, Any]) -> _Row:
    (obj,) = row["obj"]
    _, box = _edges(obj)
    points = {
        k: (
            float((part["Hmin"] + part["Hmax"]).item()) / 2 - 1,
            float((part["Wmin"] + part["Wmax"]).item()) / 2 - 1,
        )
        for k, part in enumerate(row["partbox"][: len(MAIN_PARTS)])
        if len(part["Wmin"])
    }
    return _Row(str(obj["filename"]), box, points)


def _voc_files(root: Path) -> Callable[[str, int], Path | None]:
    folder = next((root / name for name in (*IMAGE_FOLDERS, "images") if (root / name).is_dir()), None)
    if folder is None:
        raise DataError(
            f"looking for the photographs of {str(root)!r}",
            f"none of the folders {', '.join(map(repr, (*IMAGE_FOLDERS, 'images')))}",
            "put the photographs of PASCAL VOC 2010 there",
        )
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


def _split_keys(photos: list[Photo], prefix: str) -> list[str]:
    """What decides the side of each object: its photograph's name; copies of one photograph share the first's."""
    sizes: dict[Path, int] = {path: path.stat().st_size for path in {p.path for p in photos}}
    alike: dict[int, list[Path]] = {}
    for path, size in sorted(sizes.items()):
        alike.setdefault(size, []).append(path)
    first: dict[str, str] = {}
    key = {path: prefix + path.name for path in sizes}
    for group in (g for g in alike.values() if len(g) > 1):
        for path in group:
            key[path] = first.setdefault(file_sha256(path), prefix + path.name)
    return [key[p.path] for p in photos]
