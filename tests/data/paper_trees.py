"""Tiny data sets in the layouts of the paper's, and of Hugging Face, written to a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from data.trees import write_image
from partscope.settings import DataSettings

WIDTH, HEIGHT = 20, 14


def structs(rows: Sequence[Mapping[str, Any]]) -> NDArray[Any]:
    """A MATLAB struct array, 1 x n."""
    made = np.empty((1, len(rows)), dtype=[(key, object) for key in rows[0]])
    for k, row in enumerate(rows):
        for key, value in row.items():
            made[0, k][key] = value
    return made


def region(top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def pascal_object(
    name: str, box: tuple[int, int, int, int], parts: Mapping[str, tuple[int, int, int, int]]
) -> dict[str, Any]:
    """Boxes are (top, left, height, width)."""
    marked = [{"part_name": code, "mask": region(*where)} for code, where in parts.items()]
    return {
        "class": name,
        "class_ind": np.array([[3]], np.uint8),
        "mask": region(*box),
        "parts": structs(marked) if marked else np.zeros((0, 0)),
    }


def write_anno(root: Path, image: str, objects: Sequence[Mapping[str, Any]], seed: int = 0, **changed: Any) -> None:
    anno = structs([{"imname": image, "objects": structs(objects), **changed}])
    (root / "Annotations_Part").mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(root / "Annotations_Part" / f"{image}.mat", {"anno": anno}, do_compression=True)
    write_image(root / "JPEGImages" / f"{image}.jpg", WIDTH, HEIGHT, seed)


def write_pascal(root: Path, box_shift: int = 0, landmark_shift: int = 0) -> DataSettings:
    for k in range(8):
        parts = {"head": (2, 3 + landmark_shift, 3, 5), "leye": (2, 4, 1, 1), "torso": (5, 8, 5, 8)}
        animal = pascal_object("cat" if k % 2 else "bird", (1, 2 - box_shift, 11, 16 + box_shift), parts)
        person = pascal_object("person", (0, 0, 14, 4), {})
        more = [pascal_object("bird", (3, 10, 8, 8), {"tail": (4, 11, 3, 3)})] if k == 3 else []
        write_anno(root, f"2008_{k:06d}", [person, animal, *more], seed=k)
    return DataSettings(kind="pascal_part", root=str(root), min_side=4, test_share=0.4)


def table_object(
    file: str, edges: tuple[int, int, int, int], number: int, *, folder: str = "./", name: str = "bird"
) -> NDArray[Any]:
    """Edges are xmin, ymin, xmax, ymax from 1, kept as text, as the authors' tables have them."""
    bndbox = dict(zip(("xmin", "ymin", "xmax", "ymax"), map(str, edges), strict=True))
    return structs(
        [
            {
                "folder": folder,
                "filename": file,
                "name": name,
                "bndbox": structs([bndbox]),
                "ID": np.array([[number]], np.uint8),
            }
        ]
    )


EMPTY = np.zeros((0, 0))


def table_row(obj: NDArray[Any], centre: tuple[float, float] | None) -> dict[str, Any]:
    if centre is None:
        return {"pHW_center": EMPTY, "pHW_scale": EMPTY, "obj": EMPTY}
    column = np.array(centre, float).reshape(2, 1)
    return {"pHW_center": column, "pHW_scale": column / 2, "obj": obj}


def save_table(path: Path, rows: Sequence[Mapping[str, Any]], name: str = "truth") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {name: structs(rows)}, do_compression=True)


def write_voc_tables(root: Path, box_shift: int = 0, landmark_shift: int = 0) -> DataSettings:
    for c, animal in enumerate(("bird", "cow")):
        files = [f"2009_{10 * c + k:06d}.jpg" for k in range(6)]
        objects = [table_object(file, (3 - box_shift, 2, 18, 12), k + 1, name=animal) for k, file in enumerate(files)]
        for part in (1, 2, 3, 4):
            centres = [
                None if (part, k) in ((2, 1), (4, 0)) else (20.0 * part + landmark_shift, 100.0) for k in range(6)
            ]
            rows = [table_row(obj, centre) for obj, centre in zip(objects, centres, strict=True)]
            save_table(root / animal / f"truth_part{part:02d}.mat", rows)
        for k, file in enumerate(files):
            write_image(root / "JPEGImages" / file, WIDTH, HEIGHT, 100 * c + k)
    return DataSettings(kind="part_tables", root=str(root), min_side=4, test_share=0.4)


def write_det_tables(root: Path, box_shift: int = 0, landmark_shift: int = 0, *, samples: bool = True) -> DataSettings:
    synset = "n02391049"
    boxes = [(2 - box_shift, 1, 18, 13)] * 7
    objects = [table_object(f"{synset}_{k}", box, k + 1, folder=synset, name=synset) for k, box in enumerate(boxes)]
    for part in (1, 2):
        rows = [table_row(o, (30.5 * part + landmark_shift, 60) if k < 4 else None) for k, o in enumerate(objects)]
        save_table(root / synset / f"truth_part{part:02d}.mat", rows)
    for k in range(7):
        write_image(root / f"{synset}_obj" / "img" / "img" / f"{k + 1:05d}.jpg", WIDTH, HEIGHT, k)
    if samples:
        given = [dict(zip(("xmin", "ymin", "xmax", "ymax"), map(float, box), strict=True)) for box in boxes]
        rows = [{"obj": structs([{"bndbox": structs([box])}]), "class": np.ones((1, 1))} for box in given]
        save_table(root / f"{synset}_obj" / "img" / "data.mat", rows, "samples")
    return DataSettings(kind="part_tables", root=str(root), min_side=4, test_share=0.4)


def hub_columns(count: int, shift: int = 0) -> dict[str, list[Any]]:
    import io

    from PIL import Image

    images = []
    for k in range(count):
        pixels = np.random.default_rng(k + shift).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        images.append({"bytes": file.getvalue(), "path": None})
    return {"image": images, "label": [k % 2 for k in range(count)]}


def write_hub(root: Path) -> DataSettings:
    """Images with labels, in one split."""
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    datasets.Dataset.from_dict(hub_columns(12), features=features).save_to_disk(str(root))
    return DataSettings(kind="huggingface", root=str(root), test_share=0.4)


def write_hub_objects(root: Path, box_shift: int = 0, landmark_shift: int = 0) -> DataSettings:
    """Objects with boxes and named landmarks, in two splits."""
    import datasets

    features = datasets.Features(
        {
            "image": datasets.Image(),
            "objects": datasets.List(
                {
                    "bbox": datasets.List(datasets.Value("float32")),
                    "category": datasets.ClassLabel(names=["cat", "dog"]),
                    "points": {
                        "left eye": datasets.List(datasets.Value("float32")),
                        "right eye": datasets.List(datasets.Value("float32")),
                    },
                }
            ),
        }
    )

    def part(count: int, shift: int) -> Any:
        objects = [
            [
                {
                    "bbox": [2 - box_shift, 1, 10, 9],
                    "category": k % 2,
                    "points": {"left eye": [5 + landmark_shift, 4, 1], "right eye": [7, 5, 0] if k else [7, 5]},
                },
                {"bbox": [6, 3, 9, 9], "category": 1, "points": {"left eye": None, "right eye": [8, 6]}},
            ]
            for k in range(count)
        ]
        columns = {"image": hub_columns(count, shift)["image"], "objects": objects}
        return datasets.Dataset.from_dict(columns, features=features)

    datasets.DatasetDict({"train": part(4, 0), "test": part(3, 300)}).save_to_disk(str(root))
    return DataSettings(
        kind="huggingface",
        root=str(root),
        label_column="category",
        objects_column="objects",
        keypoints_column="points",
    )
