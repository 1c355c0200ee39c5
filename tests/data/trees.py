"""Tiny data sets in each layout, written to a folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from partscope.settings import DataSettings


def write_image(path: Path, width: int = 20, height: int = 14, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_classes(root: Path, names: tuple[str, ...] = ("cat", "dog"), count: int = 12, seed: int = 0) -> DataSettings:
    for c, name in enumerate(names):
        for k in range(count):
            write_image(root / name / f"{k:02d}.png", seed=seed + 100 * c + k)
    return DataSettings(kind="folder", root=str(root), test_share=0.4)


def write_split_classes(root: Path) -> DataSettings:
    write_classes(root / "train", count=3)
    write_classes(root / "test", count=2, seed=1000)
    return DataSettings(kind="folder", root=str(root))


def write_flat(root: Path) -> DataSettings:
    for k in range(12):
        write_image(root / f"{k:02d}.JPG", seed=k)
    return DataSettings(kind="folder", root=str(root), test_share=0.4)


def coco_table() -> dict[str, Any]:
    images = [{"id": k, "file_name": f"{k:02d}.png", "width": 20, "height": 14} for k in range(1, 9)]
    categories = [
        {"id": 7, "name": "dog", "keypoints": ["left eye", "right eye", "tail"]},
        {"id": 3, "name": "cat", "keypoints": ["nose", "tail"]},
    ]
    objects = []
    for k in range(1, 9):
        points = [6, 4, 2, 12, 5, 1, 0, 0, 0] if k % 2 else [8, 6, 2, 3, 9, 2]
        category = 7 if k % 2 else 3
        objects.append(
            {
                "id": 10 * k,
                "image_id": k,
                "category_id": category,
                "bbox": [2, 3, 16, 9.5],
                "keypoints": points,
            }
        )
    return {"images": images, "annotations": objects, "categories": categories}


def write_coco(root: Path, table: dict[str, Any] | None = None, *, splits: Any = None) -> DataSettings:
    table = coco_table() if table is None else table
    root.mkdir(parents=True, exist_ok=True)
    (root / "annotations.json").write_text(json.dumps(table))
    for k in range(1, 9):
        write_image(root / "images" / f"{k:02d}.png", seed=k)
    splits = {"train": [1, 2, 3, 4, 5], "test": [6, 7, 8]} if splits is None else splits
    (root / "splits.json").write_text(json.dumps(splits))
    return DataSettings(kind="coco", root=str(root))


CSV_TABLE = (
    "file,category,split,left,top,width,height,beak_x,beak_y,tail_x,tail_y\n"
    "photos/0.png,cat,train,2,3,16,9.5,6,4,12,5\n"
    "photos/1.png,dog,train,,,,,1,2,,\n"
    "photos/2.png,cat,test,0,0,20,14,,,19,13\n"
    '"photos/3,4.png",dog,test,1,1,9,9,5,6,7.5,5\n'
    "photos/5.png,dog,train,1,1,9,9,5,6,7.5,5\n"
)


def write_csv(root: Path, table: str = CSV_TABLE) -> DataSettings:
    for k, name in enumerate(("0", "1", "2", "3,4", "5")):
        write_image(root / "photos" / f"{name}.png", seed=k)
    (root / "annotations.csv").write_text(table)
    return DataSettings(kind="csv", root=str(root))


CUB_TABLES = {
    "images.txt": "1 001.Wren/a.png\n2 001.Wren/b.png\n4 002.Crow/c.png\n7 002.Crow/d.png\n",
    "bounding_boxes.txt": "1 2.5 1.0 12.0 10.0\n2 0.0 0.0 20.0 14.0\n4 1.0 1.0 9.0 9.0\n7 3.0 3.0 8.0 8.0\n",
    "image_class_labels.txt": "1 1\n2 1\n4 2\n7 2\n",
    "classes.txt": "1 001.Wren\n2 002.Crow\n",
    "train_test_split.txt": "1 1\n2 0\n4 1\n7 0\n",
    "parts/parts.txt": "1 beak\n2 left eye\n3 right eye\n",
    "parts/part_locs.txt": "".join(f"{i} 1 5.00 6.00 1\n{i} 2 7.50 5.00 1\n{i} 3 6.00 6.00 0\n" for i in (1, 2, 4, 7)),
}


def write_cub(root: Path, **changed: str) -> DataSettings:
    """Keyword: table's stem = its text."""
    for name, text in CUB_TABLES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(changed.get(Path(name).stem, text))
    for k, name in enumerate(("001.Wren/a", "001.Wren/b", "002.Crow/c", "002.Crow/d")):
        write_image(root / "images" / f"{name}.png", seed=k)
    return DataSettings(kind="cub200", root=str(root))


def write_negatives(root: Path, count: int = 5) -> None:
    for k in range(count):
        write_image(root / "nothing" / f"{k}.png", seed=50 + k)
