"""Data sets in the format of Hugging Face `datasets`: saved ones, Parquet, image folders, or a name on the hub."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partscope.data.choices import chosen, held_out
from partscope.data.photos import Listing, Photo
from partscope.data.problems import Problem, brief
from partscope.errors import DataError
from partscope.settings import DataSettings

Row = Mapping[str, Any]

_TEST_SPLITS = ("test", "validation", "valid", "val", "dev")
_BAD_BOX = "give [left, top, width, height] with finite numbers and an area"


class _Columns(NamedTuple):
    """Where the settings say that things are."""

    image: str
    label: str
    objects: str | None
    keypoints: str | None
    inner: bool
    """Whether the keypoints lie in the objects."""


def read_huggingface(root: Path, settings: DataSettings, split: Literal["train", "test"]) -> Listing:
    """List one split; images stay encoded where they are until they are asked for.

    `root` is a folder that `save_to_disk` wrote, one with Parquet files, one that the `imagefolder` builder
    reads, or, where there is no such folder, a name on the hub. A data set with the splits `train` and `test`
    (or `validation`) keeps them; in one with a single split, a hash of the row's number holds out `test_share`.
    With `objects_column`, each object is one image, cropped to its box. No code of a data set is ever run.

    Raises:
        DataError: `datasets` is not installed, nothing can be loaded, or a column is not there.
    """
    splits, others = _loaded(root)
    doing = f"reading the columns of {str(root)!r}"
    problems: list[Problem] = []
    photos: list[Photo] = []
    tables = {name: _table(data, settings, doing) for name, data in splits.items()}
    columns = _columns(next(iter(splits.values())), settings, doing)
    names, label_of = _labels(splits, columns)
    kept = chosen(names, settings.categories, "category", "data.categories")
    points = _point_names(splits, columns, tables, doing)
    single = settings.single_category
    own = len(splits) > 1
    for part, data in splits.items():
        for i, row in enumerate(tables[part]):
            where = f"{part}, row {i}"
            here = _objects(row, columns)
            side = "test" if (part != "train" if own else held_out(f"{i}", settings.test_share)) else "train"
            if isinstance(here, str):
                problems.append(Problem(where, here, "correct the row", side))
                continue
            for number, thing in enumerate(here):
                place = where + (f", object {number}" if columns.objects else "")
                if thing is None:
                    problems.append(Problem(place, "an empty entry", "remove it, or give its box and label", side))
                    continue
                label, box, keypoints = thing
                try:
                    category = label_of(part, label)
                    if category not in kept:
                        continue
                    landmarks, present = _landmarks(keypoints, points)
                    photo = Photo(
                        Path(f"{root}/{part}/{i:06d}"),
                        f"{part}/{i:06d}" + (f"#{number}" if columns.objects else ""),
                        0 if single else kept.index(category),
                        landmarks,
                        present,
                        None if box is None else _box(box),
                        None,
                        place,
                        partial(_encoded, data, i, columns.image, place),
                    )
                except (TypeError, ValueError, LookupError) as error:
                    problems.append(Problem(place, f"{error}", "correct the row", side))
                    continue
                if side == split:
                    photos.append(photo)
    passed_over = {f"rows of the split {name!r}": count for name, count in others.items()}
    return Listing(photos, (single,) if single else kept, points, tuple(problems), passed_over)


def _loaded(root: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The data of each split, images undecoded: `train` and `test`, or a single one; and the rows of the others."""
    doing = f"loading the data set {str(root)!r}"
    try:
        import datasets
    except ImportError:
        raise DataError(doing, "the package `datasets` is not installed", "pip install 'partscope[hub]'") from None
    try:
        found = _opened(datasets, root)
    except Exception as error:  # datasets raises what its file systems, Arrow and its builders raise
        raise DataError(
            doing,
            f"{type(error).__name__}: {error}",
            "give a folder of save_to_disk, of Parquet files or of class folders, or a name on the hub that "
            "needs no code of its own",
        ) from error
    if not isinstance(found, Mapping):
        return {"all": found}, {}
    if len(found) == 1:
        return dict(found), {}
    test = next((name for name in _TEST_SPLITS if name in found), None)
    if "train" not in found or test is None:
        raise DataError(doing, f"the splits {', '.join(found)}", "give it a split 'train' and a split 'test'")
    taken = {"train": found["train"], test: found[test]}
    return taken, {str(name): len(data) for name, data in found.items() if name not in taken}


def _opened(datasets: Any, root: Path) -> Any:
    if (root / "dataset_dict.json").is_file() or (root / "state.json").is_file():
        return datasets.load_from_disk(str(root))
    if not root.is_dir():
        return datasets.load_dataset(root.as_posix())
    parquet = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.parquet"))
    if not parquet:
        return datasets.load_dataset("imagefolder", data_dir=str(root))
    files: dict[str, list[str]] = {}
    for name in parquet:
        known = [s for s in ("train", *_TEST_SPLITS) if s in name.replace("-", "/").replace(".", "/").split("/")]
        files.setdefault(known[0] if known else "train", []).append(str(root / name))
    return datasets.load_dataset("parquet", data_files=files)


def _columns(data: Any, settings: DataSettings, doing: str) -> _Columns:
    objects, keypoints = settings.objects_column, settings.keypoints_column
    inside = _inner(data.features[objects]) if objects in data.features else {}
    inner = keypoints is not None and keypoints in inside
    wanted = {"image_column": settings.image_column}
    if objects is not None:
        wanted["objects_column"] = objects
    else:
        wanted["label_column"] = settings.label_column
    if keypoints is not None and not inner:
        wanted["keypoints_column"] = keypoints
    for setting, name in wanted.items():
        if name not in data.features:
            raise DataError(
                doing, f"no column {name!r}", f"set data.{setting} to one of: {', '.join(data.column_names)}"
            )
    for name in () if objects is None else ("bbox", settings.label_column):
        if name not in inside:
            raise DataError(
                doing,
                f"no {name!r} in the column {objects!r}",
                f"set data.label_column or data.objects_column; it has: {', '.join(inside) or 'no fields'}",
            )
    return _Columns(settings.image_column, settings.label_column, objects, keypoints, inner)


def _inner(feature: Any) -> dict[str, Any]:
    """Fields of a list of objects, or of a struct of lists, which is how older versions keep it."""
    inside = getattr(feature, "feature", feature)
    return dict(inside) if isinstance(inside, Mapping) else {}


def _table(data: Any, settings: DataSettings, doing: str) -> Any:
    columns = _columns(data, settings, doing)
    wanted = {
        columns.objects or columns.label,
        *(() if columns.inner or not columns.keypoints else (columns.keypoints,)),
    }
    return data.select_columns(sorted(wanted))


def _labels(splits: Mapping[str, Any], columns: _Columns) -> tuple[list[str], Callable[[str, Any], str]]:
    """Names of the categories, and what turns a value of a split into one.

    Each split numbers its classes in an order of its own; what they share is the names.
    """
    classes = {part: _class_names(data.features, columns) for part, data in splits.items()}

    def label_of(part: str, value: Any) -> str:
        names = classes[part]
        if names is None:
            if _is_missing(value):
                raise ValueError("no label")
            return str(value)
        if not isinstance(value, int) or not 0 <= value < len(names):
            raise ValueError(f"label {value!r}, which is none of the {len(names)} classes")
        return names[value]

    named = dict.fromkeys(name for names in classes.values() for name in names or ())
    values: set[str] = set()
    for part, data in splits.items():
        if classes[part] is not None:
            continue
        for row in data.select_columns([columns.objects or columns.label]):
            here = _objects(row, columns._replace(keypoints=None))
            things = () if isinstance(here, str) else (thing for thing in here if thing is not None)
            values |= {str(label) for label, _, _ in things if not _is_missing(label)}
    return [*named, *sorted(values - named.keys())], label_of


def _class_names(features: Any, columns: _Columns) -> tuple[str, ...] | None:
    """The classes of one split in the order of their numbers; None where labels are plain values."""
    feature = features[columns.objects or columns.label]
    if columns.objects:
        feature = _inner(feature)[columns.label]
        feature = getattr(feature, "feature", feature) if not getattr(feature, "names", None) else feature
    names = getattr(feature, "names", None)
    return None if names is None else tuple(map(str, names))


def _is_missing(label: Any) -> bool:
    return label is None or (isinstance(label, float) and math.isnan(label))


def _objects(row: Row, columns: _Columns) -> list[tuple[Any, Any, Any] | None] | str:
    """Label, box and keypoints of each object of a row, None for an empty entry; or what is wrong with the row."""
    keypoints = row[columns.keypoints] if columns.keypoints and not columns.inner else None
    if columns.objects is None:
        return [(row[columns.label], None, keypoints)]
    objects = row[columns.objects]
    if objects is None:
        return f"no {columns.objects!r}"
    if isinstance(objects, Mapping):
        fields = {key: list(values or ()) for key, values in objects.items()}
        count = len(fields["bbox"])
        uneven = [key for key in (columns.label, *((columns.keypoints,) if columns.inner else ())) if key]
        if any(len(fields[key]) != count for key in uneven):
            return f"{count} boxes beside {', '.join(f'{len(fields[k])} {k}' for k in uneven)}"
        objects = [{key: values[k] for key, values in fields.items() if len(values) == count} for k in range(count)]
    if keypoints is not None and len(objects) > 1:
        return f"keypoints of one object for {len(objects)} objects"
    return [
        None
        if o is None
        else (o[columns.label], o["bbox"], o[columns.keypoints] if columns.inner and columns.keypoints else keypoints)
        for o in objects
    ]


def _point_names(
    splits: Mapping[str, Any], columns: _Columns, tables: Mapping[str, Any], doing: str
) -> tuple[str, ...]:
    """Names of the landmarks: the fields' own, or their numbers in a list from 1.

    Raises:
        DataError: the points are one flat list of numbers.
    """
    if columns.keypoints is None:
        return ()
    features = next(iter(splits.values())).features
    feature = _inner(features[columns.objects])[columns.keypoints] if columns.inner else features[columns.keypoints]
    fields = feature if isinstance(feature, Mapping) else getattr(feature, "feature", None)
    if isinstance(fields, Mapping):
        return tuple(map(str, fields))
    longest = 0
    for part, table in tables.items():
        for i, row in enumerate(table):
            here = _objects(row, columns)
            for thing in () if isinstance(here, str) else here:
                points = (None if thing is None else thing[2]) or ()
                if any(isinstance(point, int | float) for point in points):
                    raise DataError(
                        doing,
                        f"the flat list {brief(points)} in {columns.keypoints!r} ({part}, row {i})",
                        "give a list of [x, y] or [x, y, v] for each object, one for each landmark",
                    )
                longest = max(longest, len(points))
    return tuple(f"landmark {k + 1}" for k in range(longest))


def _landmarks(keypoints: Any, names: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    landmarks, present = np.zeros((len(names), 2), np.float32), np.zeros(len(names), bool)
    if keypoints is None:
        return landmarks, present
    given: Iterable[Any] = (keypoints.get(n) for n in names) if isinstance(keypoints, Mapping) else keypoints
    for k, point in enumerate(given):
        if point is None or (isinstance(point, list) and (not point or (len(point) > 2 and not point[2]))):
            continue
        if not isinstance(point, list) or len(point) == 1:
            raise ValueError(f"{names[k]!r} is {brief(point)}: give [x, y] or [x, y, v]")
        x, y = float(point[0]), float(point[1])
        if not np.isfinite([x, y]).all():
            raise ValueError(f"{names[k]!r} at {list(point)}")
        landmarks[k], present[k] = (y, x), True
    return landmarks, present


def _box(values: Any) -> tuple[float, float, float, float]:
    left, top, width, height = map(float, values)
    if not np.isfinite([left, top, width, height]).all() or width <= 0 or height <= 0:
        raise ValueError(f"bbox {list(values)}: {_BAD_BOX}")
    return left, top, width, height


def _encoded(data: Any, i: int, column: str, place: str) -> bytes:
    """The bytes of one image, as they are stored."""
    import datasets

    value = data.select_columns([column]).cast_column(column, datasets.Image(decode=False))[i][column]
    try:
        stored = value["bytes"]
        return bytes(stored) if stored is not None else Path(value["path"]).read_bytes()
    except (TypeError, LookupError, OSError) as error:
        raise DataError(
            f"reading the image of {place}",
            f"{type(error).__name__}: {error}" if isinstance(error, OSError) else "a row without an image",
            "restore the image, or remove the row",
        ) from error
