"""Seconds to list the paper's data sets, on made-up files of their size.

Command:   python benchmarks/speed/paper_readers.py [--files 400] [--rows 700] [--keep]
Expected:  about a minute on two cores.
Last result: docs/decisions/0020-pascal-part-and-the-authors-tables.md; `--keep` keeps the row for
benchmarks/figures.py.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io

from partscope.data.part_rows import merged_rows, scaled_by_edges
from partscope.data.part_tables import table_parts
from partscope.data.pascal_index import INDEX_NAME, read_index

sys.path.append(str(Path(__file__).parents[1]))
from kept import keep

PARTS = ("head", "neck", "torso", "tail", "leye", "reye", "lear", "rear", "lfleg", "rfleg", "lbleg", "rbleg")


def structs(rows: list[dict[str, object]]) -> np.ndarray:
    made = np.empty((1, len(rows)), dtype=[(key, object) for key in rows[0]])
    for k, row in enumerate(rows):
        for key, value in row.items():
            made[0, k][key] = value
    return made


def write_masks(folder: Path, count: int) -> None:
    """One animal with twelve parts and one person on 500 x 375 px, as most of VOC's photographs."""
    rng = np.random.default_rng(0)
    for k in range(count):
        mask = np.zeros((375, 500), np.uint8)
        mask[60:330, 80:430] = 1
        parts = []
        for code in PARTS:
            top, left = rng.integers(60, 250), rng.integers(80, 350)
            part = np.zeros_like(mask)
            part[top : top + 70, left : left + 60] = 1
            parts.append({"part_name": code, "mask": part})
        animal = {"class": "dog", "class_ind": 12, "mask": mask, "parts": structs(parts)}
        person = {"class": "person", "class_ind": 15, "mask": mask, "parts": np.zeros((0, 0))}
        name = f"2008_{k:06d}"
        anno = structs([{"imname": name, "objects": structs([person, animal])}])
        scipy.io.savemat(folder / f"{name}.mat", {"anno": anno}, do_compression=True)


def write_tables(folder: Path, rows: int) -> None:
    """Three tables of one category."""
    for part in (1, 2, 3):
        table = []
        for k in range(rows):
            box = structs([{"xmin": "11", "xmax": "300", "ymin": "21", "ymax": "280"}])
            obj = structs([{"folder": "./", "filename": f"2008_{k:06d}.jpg", "name": "dog", "bndbox": box, "ID": k}])
            centre = np.array([[100.0], [90.0 + part]])
            table.append({"pHW_center": centre, "pHW_scale": centre, "obj": obj})
        scipy.io.savemat(folder / f"truth_part{part:02d}.mat", {"truth": structs(table)}, do_compression=True)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--rows", type=int, default=700)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        masks, tables = Path(place) / "Annotations_Part", Path(place) / "dog"
        masks.mkdir()
        tables.mkdir()
        write_masks(masks, args.files)
        write_tables(tables, args.rows)
        first = seconds(lambda: read_index(masks))
        again = seconds(lambda: read_index(masks))
        size = (Path(place) / INDEX_NAME).stat().st_size
        parts = table_parts("dog")
        rows = seconds(lambda: merged_rows(tables, parts, parts[:3], scaled_by_edges, fill=True))
    row = {
        "mask_file_ms": 1e3 * first / args.files,
        "all_mask_files_s": 10_103 * first / args.files,
        "all_from_index_s": 10_103 * again / args.files,
        "index_mb": 10_103 * size / args.files / 1e6,
        "table_rows_per_s": args.rows / rows,
    }
    for name, value in row.items():
        print(f"{name:20} {value:10.3f}")
    if args.keep:
        keep("paper_readers", "python benchmarks/speed/paper_readers.py --keep", row)


if __name__ == "__main__":
    main()
