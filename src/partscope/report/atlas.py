"""What the page's script draws: photographs once each, and maps, places and contributions as bare numbers."""

import json
from typing import Any

import numpy as np
from markupsafe import Markup

from partscope.report.estimate import Diagnosis
from partscope.report.figures import (
    BUDGET_BYTES,
    Mark,
    field_outline,
    in_words,
    landmark_point,
    map_digits,
    map_frame,
    map_shape,
    mark,
    photo_uris,
)
from partscope.report.reading import Gallery

MAP_BYTES = 1_500_000
PARTS_PER_IMAGE = 12


def atlas(diagnosis: Diagnosis, gallery: Gallery, budget: int = BUDGET_BYTES) -> dict[str, Any]:
    """Gathers the pictures of a run.

    Args:
        diagnosis: the checked diagnosis.
        gallery: the checked gallery.
        budget: most characters of all photographs together.

    Returns:
        Content for JSON. Places are (left, top) in percent of the image; ``maps`` are written by
        `figures.map_digits`; ``images`` has, per image, the filters that moved its score most.
    """
    height, width = gallery.images.shape[-2:]
    rows = {facts["filter"]: (column, facts) for column, facts in enumerate(diagnosis.get("filters"))}
    shown = max(1, gallery.image_index.size)
    side = max(4, int((MAP_BYTES * 3 / 4 / (2 * shown)) ** 0.5))
    frame, field = map_frame(gallery), gallery.field
    return {
        "size": [height, width],
        "map": list(map_shape(gallery.raw_maps, side)),
        "frame": [round(value, 3) for value in frame],
        "field": round(field["size"], 2) if field else None,
        "photos": photo_uris(gallery, budget),
        "names": gallery.names,
        "parts": {
            str(filter_): _part(gallery, row, *rows[filter_], side)
            for row, filter_ in enumerate(gallery.filters.tolist())
        },
        "images": _images(diagnosis, gallery),
        "labels": {
            str(row["filter"]): row["best_landmark"] for row in diagnosis.get("filters") if row["best_landmark"]
        },
    }


def as_script(content: dict[str, Any]) -> Markup:
    """JSON that may stand inside a script element: no tag can end or begin in it."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _part(gallery: Gallery, row: int, column: int, facts: dict[str, Any], side: int) -> dict[str, Any]:
    largest = float(gallery.raw_maps[row].max(initial=0.0))
    images = gallery.image_index[row].tolist()
    silent = gallery.raw_maps[row].max(axis=(-2, -1), initial=-np.inf) <= 0
    marks = [landmark_point(gallery, image, facts["best_landmark"]) for image in images]
    moved = None
    if gallery.facts is not None:
        moved = [_short(value) for value in gallery.facts.contributions[images, column]]
    seen = gallery.measured
    return {
        "images": images,
        "outline": [] if seen is None else field_outline(seen.maps[row], seen.cell),
        "measured": 0 if seen is None else int(seen.images[row]),
        "points": [None if s else _place(mark(gallery, p)) for s, p in zip(silent, gallery.points[row], strict=True)],
        "landmarks": [None if point is None else _place(mark(gallery, point)) for point in marks],
        "masked": map_digits(gallery.maps[row], largest, side),
        "raw": map_digits(gallery.raw_maps[row], largest, side),
        "alts": [
            in_words(gallery, row, place, facts["filter"], facts["best_landmark"]) for place in range(len(images))
        ],
        "moved": moved,
    }


def _images(diagnosis: Diagnosis, gallery: Gallery) -> list[dict[str, Any]] | None:
    """Per image the largest contributions, either sign, and the sum of all of them."""
    known = gallery.facts
    if known is None:
        return None
    ids = [row["filter"] for row in diagnosis.get("filters")]
    found = []
    for image, moved in enumerate(np.where(known.peaks > 0, known.contributions, 0)):
        order = np.argsort(-np.abs(moved), kind="stable")[:PARTS_PER_IMAGE]
        parts = [
            [ids[f], _short(moved[f]), _place(mark(gallery, known.points[image, f]))]
            for f in order.tolist()
            if moved[f] != 0
        ]
        found.append(
            {
                "category": known.categories[image],
                "judged": known.judged[image],
                "scores": [_short(value) for value in known.scores[image]],
                "parts": parts,
                "sum": _short(moved.sum(dtype=np.float64)),
                "active": int((moved != 0).sum()),
            }
        )
    return found


def _place(place: Mark) -> list[float]:
    return [round(place.left, 2), round(place.top, 2)]


def _short(value: Any) -> float:
    return float(f"{float(value):.7g}")
