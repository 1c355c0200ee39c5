"""Counts what the part tables of the paper's authors hold of the six animals of Pascal-Part.

Command:   python benchmarks/authors_tables.py TABLES [--keep]
           TABLES is the folder `code/data_input/data_input_VOC` of github.com/zqs1022/interpretableCNN.
Expected:  a few seconds; the photographs are not needed.
Last result: docs/decisions/0020-pascal-part-and-the-authors-tables.md; `--keep` keeps it for benchmarks/figures.py.
"""

import argparse
from pathlib import Path

from kept import keep

from partscope.data.choices import authors_training
from partscope.data.part_rows import merged_rows, scaled_by_edges
from partscope.data.part_tables import table_parts
from partscope.data.pascal_index import ANIMALS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    rows = {}
    for animal in ANIMALS:
        parts = table_parts(animal)
        objects = merged_rows(args.tables / animal, parts, parts[:3], scaled_by_edges, fill=True)
        training = authors_training(len(objects))
        sides = [{o.file for i, o in enumerate(objects) if (i in training) == side} for side in (True, False)]
        rows[animal] = {
            "objects": len(objects),
            "faults": sum(bool(o.fault) for o in objects),
            "photographs": len(sides[0] | sides[1]),
            "test": len(objects) - len(training),
            "on_both_sides": len(sides[0] & sides[1]),
            **{part: sum(part in o.points for o in objects) for part in parts[:3]},
        }
        print(animal, rows[animal])
    if args.keep:
        keep("authors_tables", "python benchmarks/authors_tables.py TABLES --keep", {"rows": rows})


if __name__ == "__main__":
    main()
