"""Reading annotations, decoding images and the memory of both, on data sets made for the purpose.

Command:   python benchmarks/speed/data.py [--keep]
Expected:  about four minutes on two cores, half a gigabyte of disk for a while.
Last result: docs/results.md, "Data"; `--keep` keeps the rows for benchmarks/figures.py.

Reading: 10,000 annotated images with 15 landmarks in each layout, files there, nothing decoded. Decoding: JPEGs of
500 x 375 px to crops of 224 px through `batches`, with one worker and with two, in turns; torch computes with one
thread in each worker, so that a worker is a core. Beside it what two processes reach that share nothing: the most that
the machine gives, which falls below 2 where cores share memory or have other work. Memory: the peak of a fresh process
that walks all batches (Linux).
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from partscope.data import PhotoSet, batches, load_photos
from partscope.settings import DataSettings

sys.path.append(str(Path(__file__).parents[1]))
from kept import keep

IMAGES, LANDMARKS, WIDTH, HEIGHT, SIZE = 10_000, 15, 500, 375, 224
DECODED, DIFFERENT = 512, 64
NAMES = [f"point {k}" for k in range(LANDMARKS)]


def places(seed: int = 0) -> np.ndarray:
    """(N, K, 2) x and y inside every image."""
    return np.random.default_rng(seed).uniform((0, 0), (WIDTH - 1, HEIGHT - 1), (IMAGES, LANDMARKS, 2)).round(1)


def file_names(root: Path) -> list[str]:
    """Empty files, in folders of a hundred: listing does not open them."""
    names = [f"{k // 100:03d}.kind/{k:05d}.jpg" for k in range(IMAGES)]
    for name in names:
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return names


def write_coco(root: Path) -> DataSettings:
    names, points = file_names(root), places()
    images = [{"id": k, "file_name": n, "width": WIDTH, "height": HEIGHT} for k, n in enumerate(names)]
    visible = np.concatenate([points, np.full((IMAGES, LANDMARKS, 1), 2.0)], 2).reshape(IMAGES, -1).tolist()
    objects = [
        {"id": k, "image_id": k, "category_id": 1, "bbox": [5.5, 5.5, 400.0, 300.0], "keypoints": visible[k]}
        for k in range(IMAGES)
    ]
    table = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "a", "keypoints": NAMES}]}
    (root / "annotations.json").write_text(json.dumps(table))
    return DataSettings(kind="coco", root=str(root))


def write_cub(root: Path) -> DataSettings:
    names, points = file_names(root), places()
    (root / "parts").mkdir()
    tables = {
        "images.txt": (f"{k} {n}" for k, n in enumerate(names, 1)),
        "bounding_boxes.txt": (f"{k} 5.5 5.5 400.0 300.0" for k in range(1, IMAGES + 1)),
        "image_class_labels.txt": (f"{k} {1 + (k - 1) // 100}" for k in range(1, IMAGES + 1)),
        "train_test_split.txt": (f"{k} {int(k % 5 > 0)}" for k in range(1, IMAGES + 1)),
        "classes.txt": (f"{k} {k:03d}.kind" for k in range(1, IMAGES // 100 + 1)),
        "parts/parts.txt": (f"{k} {n}" for k, n in enumerate(NAMES, 1)),
        "parts/part_locs.txt": (
            f"{k + 1} {p + 1} {points[k, p, 0]} {points[k, p, 1]} 1" for k in range(IMAGES) for p in range(LANDMARKS)
        ),
    }
    for name, lines in tables.items():
        (root / name).write_text("".join(line + "\n" for line in lines))
    return DataSettings(kind="cub200", root=str(root))


def write_csv(root: Path) -> DataSettings:
    header = "file,category,left,top,width,height," + ",".join(f"{n}_x,{n}_y" for n in NAMES)
    values = places().reshape(IMAGES, -1).tolist()
    rows = (
        f"images/{n},a,5.5,5.5,400,300," + ",".join(map(str, v)) for n, v in zip(file_names(root), values, strict=True)
    )
    (root / "annotations.csv").write_text("".join(line + "\n" for line in (header, *rows)))
    return DataSettings(kind="csv", root=str(root))


def write_jpegs(root: Path, count: int) -> DataSettings:
    """`count` files that share the bytes of a few: smooth noise, about as hard to decode as a photograph."""
    rng = np.random.default_rng(0)
    for k in range(count):
        path = root / "a" / f"{k:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if k < DIFFERENT:
            coarse = rng.integers(0, 256, (48, 64, 3), np.uint8)
            Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path, quality=90)
        else:
            path.hardlink_to(root / "a" / f"{k % DIFFERENT:05d}.jpg")
    return DataSettings(kind="folder", root=str(root), test_share=0.0)


def reading_seconds(write: Callable[[Path], DataSettings]) -> float:
    """Median of five, both splits' rows checked each time."""
    with tempfile.TemporaryDirectory() as place:
        settings = write(Path(place))
        times = []
        for _ in range(5):
            started = time.perf_counter()
            photos = load_photos(settings, SIZE, "train")
            times.append(time.perf_counter() - started)
            assert len(photos) > IMAGES / 2
        return statistics.median(times)


def decoding_rates(repeats: int = 9) -> dict[str, float]:
    """Images a second with one worker and with two, and with one process and with two; medians, in turns."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        photos = load_photos(write_jpegs(Path(place), DECODED), SIZE, "train")
        rates: dict[str, list[float]] = {}
        for repeat in range(repeats + 1):
            for workers in (1, 2):
                started = time.perf_counter()
                for _ in batches(photos, 32, workers):
                    pass
                seconds = time.perf_counter() - started
                if repeat:
                    rates.setdefault(f"{workers}", []).append(DECODED / seconds)
                    rates.setdefault(f"processes_{workers}", []).append(processes_rate(photos, workers))
    middle = {workers: statistics.median(found) for workers, found in rates.items()}
    ratios = {"ratio": middle["2"] / middle["1"], "ceiling": middle["processes_2"] / middle["processes_1"]}
    return {**middle, **ratios}


def processes_rate(photos: PhotoSet, count: int) -> float:
    """Images a second of processes that each decode them all, without batches."""
    forked = multiprocessing.get_context("fork")
    barrier = forked.Barrier(count + 1)

    def decode() -> None:
        barrier.wait()
        for i in range(DECODED):
            photos[i]
        barrier.wait()

    processes = [forked.Process(target=decode) for _ in range(count)]
    for process in processes:
        process.start()
    barrier.wait()
    started = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - started
    for process in processes:
        process.join()
    return count * DECODED / seconds


def walk(place: str) -> None:
    """In a process of its own: walks all batches and prints its peak memory in MiB."""
    photos = load_photos(DataSettings(kind="folder", root=place, test_share=0.0), SIZE, "train")
    for _ in batches(photos, 32, 2):
        pass
    # ru_maxrss would be the parent's, from before the program was started
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(peak.split()[1]) / 1024)


def peak_memory(count: int) -> float:
    """MiB, median of three processes."""
    with tempfile.TemporaryDirectory() as place:
        write_jpegs(Path(place), count)
        command = [sys.executable, __file__, "--walk", place]
        return statistics.median(
            float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(3)
        )


def main() -> None:
    """Measures all three and prints them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--walk", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.walk:
        walk(options.walk)
        return
    load = os.getloadavg()[0]
    reading = {
        name: reading_seconds(write)
        for name, write in (("coco", write_coco), ("cub200", write_cub), ("csv", write_csv))
    }
    print(f"reading {IMAGES} annotated images, s: {reading}")
    decoding = decoding_rates()
    print(f"decoding, images/s: {decoding}")
    memory = {str(count): peak_memory(count) for count in (1000, 10_000)}
    print(f"peak memory, MiB: {memory}; load at the start {load:.1f}, at the end {os.getloadavg()[0]:.1f}")
    if options.keep:
        rows = {"reading": reading, "decoding": decoding, "memory": memory}
        about = {"torch": torch.__version__, "load": [load, os.getloadavg()[0]], "cores": os.cpu_count()}
        keep("data", "python benchmarks/speed/data.py --keep", {**about, **rows})


if __name__ == "__main__":
    main()
