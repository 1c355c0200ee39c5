"""Writes a run folder with invented but realistic contents: drawn birds, peaks, maps, numbers, a log."""

import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from safetensors.numpy import save_file

SIDE, GRID, START, STRIDE, CELL = 227, 13, 17.0, 16.0, 7
LANDMARKS = ["back", "forehead", "tail"]
EVIL_FILE = "<script>alert(1)</script>.jpg"
EVIL_CLASS = "bird <b>& friends</b>"
TARGETS = ["classifier.1", "classifier.4"]


def number(value: float | None, half: float = 0.0, n: int = 854) -> dict[str, Any]:
    if value is None:
        return {"value": None, "low": None, "high": None, "n": n}
    bounded = half > 0
    return {
        "value": value,
        "low": value - half if bounded else None,
        "high": value + half if bounded else None,
        "n": n,
    }


def make_diagnosis(
    *, landmarks: bool = True, collapsed: bool = False, labels: bool = True, filters: int = 40, seed: int = 0
) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    measure = "error" if labels else "disagreement"

    def branch(error: float, fvu: tuple[float, float], kl: float) -> dict[str, Any]:
        return {
            measure: number(error, 0.008, 1854),
            "fvu": [number(fvu[0], 0.011, 1854), number(fvu[1], 0.013, 1854)],
            "kl": number(kl, kl / 9, 1854),
        }

    def locations(shift: float) -> dict[str, Any]:
        values = {
            "explainer": 0.0543 if collapsed else 0.0944,
            "top_conv": 0.1531,
            "tap": 0.1572,
            "null_center": 0.0604,
            "null_random": 0.1613,
            "null_best_fixed": 0.0589,
        }
        found = {name: number(value + shift, 0.0031) for name, value in values.items()}
        return found | {"explainer_less_top_conv": number(values["explainer"] - values["top_conv"], 0.0028)}

    shares = draw.normal(0.5, 1.0, filters)
    shares /= shares.sum()
    rows = []
    for index in range(filters):
        dead = index == filters - 1
        rows.append(
            {
                "filter": index * 6 + 1,
                "category": None if dead else EVIL_CLASS,
                "strength": 0.0 if dead else float(draw.gamma(4, 0.5)),
                "silent_share": 1.0 if dead else float(draw.beta(1, 18)),
                "dead": dead,
                "spread": None if dead else float(draw.gamma(9, 0.011)),
                "best_landmark": LANDMARKS[index % 3] if landmarks and not dead else None,
                "best_landmark_r2": float(draw.beta(3, 5)) if landmarks and not dead else None,
                "instability": float(draw.gamma(20, 0.0047)) if landmarks and not dead else None,
                "contribution": float(shares[index]),
            }
        )
    diagonal = SIDE * math.sqrt(2)
    for row, side in zip(sorted(rows[:-1], key=lambda row: -row["contribution"])[:2], (41.0, 58.0), strict=False):
        row["field_side"] = side / diagonal
    diagnosis: dict[str, Any] = {
        "format": 1,
        "receptive_field": {"theoretical": 99 / diagonal, "square": 32 / diagonal, "step": 16 / diagonal, "images": 3},
        "p": number(0.581, n=1960),
        "part_share": number(0.463, 0.031, 412),
        "part_share_null": number(0.187, 0.012, 412),
        "part_share_less_null": number(0.276, 0.03, 412),
        "fidelity": {
            "measure": measure,
            "targets": TARGETS,
            "full": branch(0.0232, (0.092, 0.131), 0.0178),
            "parts_only": branch(0.0361, (0.548, 0.612), 0.211),
            "ordinary_only": branch(0.0291, (0.302, 0.371), 0.0962),
        },
        "diversity": {
            "explainer": {
                "spread": number(0.041 if collapsed else 0.171, 0.004),
                "effective_locations": number(3.2 if collapsed else 38.4, 0.7),
            },
            "top_conv": {"spread": number(0.199, 0.003), "effective_locations": number(71.9, 0.9)},
            "collapsed": collapsed,
        },
        "filters": rows,
        "counts": {
            "train_images": 1960,
            "test_images": 1854,
            "test_objects": 854,
            "test_negatives": 1000,
            "filters": filters,
            "dead_filters": 1,
            "silent_maps": 0.0513,
            "left_out_filters": 1,
            "left_out": {
                "train": 12,
                "test": 3,
                "unknown": 1,
                "problems": [{"where": "bounding_boxes.txt, line 7", "what": "'<b>four</b>'"}],
            },
        },
        "categories": [{"name": EVIL_CLASS, "train": 960, "test": 854, "filters": filters}],
        "absent": {},
        "warnings": [],
        "performer": {
            "name": "alexnet",
            "tap": "features.9",
            "targets": TARGETS,
            "top_unit": ["features.10", "features.11"],
            "input_size": SIDE,
        },
        "crop": {"height": SIDE, "width": SIDE, "diagonal_px": SIDE * math.sqrt(2)},
        "settings": {
            "data": {"kind": "cub200", "categories": [], "negatives": "negatives", "mirror": True},
            "fit": {"preset": "default", "epochs": 8, "eta": 0.5, "seed": 0},
        },
        "provenance": {
            "partscope": "0.1.0",
            "torch": "2.9.0",
            "weights_digest": "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
            "data_digest": "sha256:0a1b2c3d4e5f60718293a4b5c6d7e8f9",
            "preset": "default",
            "seconds": {"features": 61.2, "fit": 195.4, "diagnose": 48.9},
        },
    }
    names = LANDMARKS if landmarks else ["part 1", "part 2"]
    places = [row["filter"] for row in rows]
    diagnosis["parts"] = [
        {
            "name": name,
            "landmark": name if landmarks and name != "other" else None,
            "filters": places[index :: len(names) + 1],
            "filter_share": len(places[index :: len(names) + 1]) / len(places),
            "contribution": number((0.4, 0.3, 0.2, 0.1)[index] + (0.1 if index == 2 and not landmarks else 0), 0.02),
            "absolute_contribution": number((0.4, 0.3, 0.2, 0.1)[index], 0.02),
            "ablation": number(0.8 - 0.2 * index, 0.1),
            "width": number(0.07, 0.002),
        }
        for index, name in enumerate([*names, "other"])
    ]
    diagnosis["contributions"] = {
        "attributed": number(14.1, 0.3, 854),
        "part_track": number(14.4, 0.3, 854),
        "completeness_gap": number(0.022, 0.001, 854),
        "rank_correlation": {
            "parts": {"value": 0.8, "low": -0.3, "high": 0.98, "n": 4},
            "within_image": number(0.562, 0.027),
            "null_parts": {"value": 0.4, "low": -0.8, "high": 0.96, "n": 4},
            "null_within_image": number(0.057, 0.04),
        },
    }
    if labels:
        diagnosis["fidelity"]["performer"] = {"error": number(0.0225, 0.007, 1854)}
    if landmarks:
        diagnosis["location_instability"] = {
            "landmarks": LANDMARKS,
            "released": locations(0.0),
            "all": locations(0.0083),
        }
        diagnosis["landmark_r2"] = {
            name: {"explainer": number(0.36, 0.02), "top_conv": number(0.16, 0.02)} for name in ("released", "all")
        }
        diagnosis["keypoint_regression"] = {
            "explainer": number(0.0921, 0.002, 427),
            "top_conv": number(0.1072, 0.002, 427),
            "null_mean_landmark": number(0.1748, 0.003, 427),
        }
        levels = {"explainer": 0.284, "top_conv": 0.202, "null_grid": 0.286, "null_shuffled": 0.036}
        diagnosis["landmark_agreement"] = {
            score: {
                level: {name: number(value, 0.008) for name, value in levels.items()}
                for level in ("filters", "clusters")
            }
            for score in ("nmi", "ari")
        }
        diagnosis["landmark_agreement"]["pck"] = {
            "explainer": number(0.518, 0.02, 427),
            "top_conv": number(0.362, 0.02, 427),
            "null_mean_landmark": number(0.115, 0.01, 427),
        }
        for part in diagnosis["parts"][:-1]:
            part |= {"confirmed": number(0.87, 0.02, 427), "null_confirmed": number(0.49, 0.05, 427)}
        diagnosis["diversity"]["landmarks"] = {"spread": number(0.159, 0.002)}
    else:
        diagnosis["absent"]["location_instability"] = "the images carry no landmarks"
    if collapsed:
        diagnosis["warnings"].append("the filters have collapsed onto one place: spread 0.041 of the diagonal")
    return diagnosis


@functools.cache
def draw_bird(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bird on a soft background; its landmarks (back, forehead, tail) as (row, column)."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    sky, ground = draw.uniform(120, 225, 3), draw.uniform(60, 150, 3)
    blend = np.clip((rows - 0.55 + 0.06 * np.sin(9 * columns + seed)) * 4 + 0.5, 0, 1)[..., None]
    field = sky * (1 - blend) + ground * blend + draw.normal(0, 9, (SIDE, SIDE, 1))
    picture = Image.fromarray(field.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.6))
    pen = ImageDraw.Draw(picture)
    for _ in range(6):
        x, y = draw.uniform(0, SIDE, 2)
        pen.line([(x, SIDE), (x + draw.normal(0, 30), y)], fill=tuple(int(c) for c in ground * 0.7), width=3)
    cx, cy, size = draw.normal(113, 14), draw.normal(120, 12), draw.uniform(44, 60)
    side = 1 if seed % 2 else -1
    body = tuple(int(c) for c in draw.uniform(30, 190, 3))
    wing = tuple(int(c * 0.7) for c in body)
    head = (cx + side * size * 0.95, cy - size * 0.55)
    tail = (cx - side * size * 1.5, cy + size * 0.25)
    pen.polygon([(cx - side * size * 0.6, cy - 8), (tail[0], tail[1] - 9), (tail[0], tail[1] + 9)], fill=wing)
    pen.ellipse([cx - size, cy - size * 0.58, cx + size, cy + size * 0.62], fill=body)
    pen.ellipse([cx - size * 0.7, cy - size * 0.3, cx + size * 0.35, cy + size * 0.4], fill=wing)
    r = size * 0.4
    pen.ellipse([head[0] - r, head[1] - r, head[0] + r, head[1] + r], fill=body)
    pen.polygon(
        [
            (head[0] + side * r * 0.8, head[1] - 6),
            (head[0] + side * r * 1.9, head[1] + 2),
            (head[0] + side * r * 0.8, head[1] + 8),
        ],
        fill=(214, 150, 40),
    )
    pen.ellipse([head[0] + side * 6 - 4, head[1] - 8, head[0] + side * 6 + 4, head[1]], fill=(15, 15, 15))
    for dx in (-8, 10):
        pen.line([(cx + dx, cy + size * 0.55), (cx + dx + 4, cy + size)], fill=(90, 70, 40), width=4)
    points = [
        (cy - size * 0.5, cx - side * size * 0.3),
        (head[1] - r * 0.7, head[0] + side * 3),
        (tail[1], tail[0]),
    ]
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(0.7))).transpose(2, 0, 1), np.array(points, np.float32)


def draw_fields(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Ovals of the area that the diagnosis names, up and to the right of the unit; none for other filters."""
    cells, places = np.zeros((len(rows), 65, 65), np.float16), (np.arange(65) - 32) * CELL
    sides = [row.get("field_side", 0) * SIDE * math.sqrt(2) for row in rows]
    for map_, side in zip(cells, sides, strict=True):
        if side:
            radius = side / math.sqrt(math.pi)
            far = ((places[:, None] + 6) / radius / 0.8) ** 2 + ((places[None] - 4) / radius / 1.25) ** 2
            map_[:] = np.clip(1 - far / 2, 0, 1)
    return {"field_maps": cells, "field_images": np.where(np.array(sides) > 0, 3, 0).astype(np.int64)}


def make_gallery(
    diagnosis: dict[str, Any], *, rows: int = 12, images: int = 8, seed: int = 0, whole: bool = True, count: int = 0
) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    count = count or 3 * images
    drawn = [draw_bird(index) for index in range(count)]
    landmarks = np.stack([points for _, points in drawn])
    *alive, dead = diagnosis["filters"]
    chosen = [*sorted(alive, key=lambda row: -(row["contribution"] or 0))[: rows - 1], dead]
    units = np.arange(GRID)
    index = np.stack([draw.permutation(count)[:images] for _ in chosen])
    raw = np.zeros((len(chosen), images, GRID, GRID))
    masked, points = np.zeros_like(raw), np.zeros((len(chosen), images, 2), np.float32)
    for row, facts in enumerate(chosen):
        if facts["dead"]:
            continue
        part = LANDMARKS.index(facts["best_landmark"]) if facts["best_landmark"] else row % 3
        for place, image in enumerate(index[row]):
            unit = np.clip(np.round((landmarks[image, part] - START) / STRIDE + draw.normal(0, 0.4, 2)), 0, GRID - 1)
            distance = np.abs(units[:, None] - unit[0]) + np.abs(units[None] - unit[1])
            noise = draw.gamma(1.2, 0.25, (GRID, GRID)) * (draw.random((GRID, GRID)) < 0.35)
            raw[row, place] = np.maximum(3.5 * np.exp(-distance / 1.6), np.minimum(noise, 3.0))
            masked[row, place] = raw[row, place] * np.maximum(1 - 4 * distance / GRID, 0)
            points[row, place] = START + STRIDE * unit
    present = np.ones((count, 3), np.uint8)
    present[2, 1] = 0
    filters = len(diagnosis["filters"])
    facts = {
        "image_contributions": draw.normal(0.1, 0.5, (count, filters)).astype(np.float32),
        "image_points": (START + STRIDE * draw.integers(0, GRID, (count, filters, 2))).astype(np.float32),
        "image_peaks": draw.normal(1, 0.6, (count, filters)).astype(np.float32),
        "image_scores": draw.normal(6, 2, (count, 2)).astype(np.float32),
    } | draw_fields(chosen)
    return (facts if whole else {}) | {
        "images": np.stack([image for image, _ in drawn]),
        "filters": np.array([row["filter"] for row in chosen], np.int64),
        "image_index": index.astype(np.int64),
        "points": points,
        "maps": masked.astype(np.float16),
        "raw_maps": raw.astype(np.float16),
        "landmarks": landmarks,
        "present": present,
    }


def gallery_metadata(gallery: dict[str, np.ndarray]) -> dict[str, str]:
    names = [f"birds/bird_{index:04d}.jpg" for index in range(len(gallery["images"]))]
    names[int(gallery["image_index"][0, 0])] = EVIL_FILE
    metadata = {"names": json.dumps(names), "landmark_names": json.dumps(LANDMARKS)}
    if "image_peaks" not in gallery:
        return metadata
    count = len(names)
    return metadata | {
        "field": json.dumps({"start": START, "stride": STRIDE, "size": 99.0}),
        "field_cell": json.dumps(CELL),
        "judged": json.dumps([EVIL_CLASS] * (count - 1) + ["class 7"]),
        "categories": json.dumps([EVIL_CLASS] * (count - 1) + [None]),
    }


def make_log(steps: int = 480) -> list[dict[str, Any]]:
    draw = np.random.default_rng(1)
    records = []
    for step in range(steps):
        share = step / steps
        falling = 0.09 + 0.9 * math.exp(-6 * share)
        records.append(
            {
                "step": step,
                "epoch": step * 8 // steps,
                "loss": float(falling * 2.1 + 0.3 + abs(draw.normal(0, 0.05))),
                "p": 0.5 + 0.08 * math.tanh(3 * share),
                "fvu": [
                    float(falling * draw.uniform(0.93, 1.07)),
                    float(1.3 * falling * draw.uniform(0.93, 1.07)),
                ],
                "images_per_second": 310.0,
            }
        )
    return records


def write_run(folder: Path, diagnosis: dict[str, Any], gallery: dict[str, np.ndarray] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    gallery = gallery if gallery is not None else make_gallery(diagnosis)
    (folder / "diagnosis.json").write_text(json.dumps(diagnosis), encoding="utf-8")
    contiguous = {name: np.ascontiguousarray(array) for name, array in gallery.items()}
    save_file(contiguous, folder / "gallery.safetensors", gallery_metadata(gallery))
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in make_log()), encoding="utf-8")
    run = {
        "versions": {"partscope": "0.1.0", "python": "3.11.9"},
        "seed": 0,
        "device": "cpu",
        "seconds": 195.4,
    }
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return folder
