"""Fig. 5 and App. D: Grad-CAM of explainer and performer, and what the filters of each part contribute."""

import math
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from partscope.diagnosis import OTHER, name_parts
from partscope.diagnosis.grad_cam import explainer_cam, performer_cam
from partscope.figure_settings import FigureSettings
from partscope.figures.drawing import Drawing
from partscope.figures.look import Found, Row, Watched, make_rows, see
from partscope.figures.pixels import heated, picture_of, spread_map
from partscope.figures.rows import GAP, draw_row, width_of
from partscope.figures.sheet import EXPLAINER, INK, MUTED, NEUTRAL, PERFORMER, RULE, Sheet, styled
from partscope.run import Event
from partscope.subject import OpenedRun

SIDE, MARGIN, HEAD, BETWEEN = 0.86, 0.12, 0.66, 0.36
LABEL, BAR, THUMBS = 0.95, 1.6, 3


class Part(NamedTuple):
    """A part's filters and what they add, as the diagnosis says."""

    name: str
    filters: int
    signed: float
    """Share of what all filters add to the scores; nan where the shares have no meaning."""
    absolute: float
    example: int | None
    """Its filter with the largest contribution."""
    interval: tuple[float, float] | None
    """Of the share; None where it is the sum of several of the diagnosis's parts."""


def draw_parts(
    run: OpenedRun, found: Found, parts: list[Part], settings: FigureSettings, kind: str
) -> Generator[Event, None, Drawing]:
    """Draws the figure.

    Args:
        run: the run.
        found: its diagnosis.
        parts: what `find_parts` finds in it.
        settings: what to show.
        kind: of the file.
    """
    examples = [part.example for part in parts if part.example is not None]
    seen = yield from see(run, examples, ("explainer", "performer"))
    drawn = yield from make_rows(run, seen["explainer"], examples, settings, measured=False, images=THUMBS)
    rows = dict(zip(examples, drawn, strict=True))
    shots = example_images(run, settings.rows, settings.seed)
    yield Event("Grad-CAM", 0, 1)
    return _compose(run, found, settings, kind, seen, parts, rows, shots)


@styled
def _compose(
    run: OpenedRun,
    found: Found,
    settings: FigureSettings,
    kind: str,
    seen: Watched,
    parts: list[Part],
    rows: dict[int, Row],
    shots: list[int],
) -> Drawing:
    cams = 3 * (SIDE + GAP) - GAP
    height = HEAD + max(len(shots), len(parts), 1) * (SIDE + GAP) + MARGIN
    right = LABEL + BAR + 3 * GAP + width_of(THUMBS, SIDE) if parts else 0
    sheet = Sheet(2 * MARGIN + cams + (BETWEEN + right if parts else 0), height, kind)
    _draw_cams(sheet, run, seen, shots)
    if parts:
        _draw_parts(sheet, parts, rows, MARGIN + cams + BETWEEN, right)
    return Drawing(sheet, "Grad-CAM and contributions of parts", _caption(found, seen, parts, settings))


def find_parts(found: Found, settings: FigureSettings) -> list[Part]:
    """The diagnosis's parts, the largest contribution first and `other` last.

    Parts of landmarks that belong together are added up, so that a figure names no filter that the diagnosis does not.

    Args:
        found: the diagnosis.
        settings: which landmarks belong together, and how many parts to show: further ones are added to `other`.

    Returns:
        Those that have filters, and `other`; none where the diagnosis has no parts (version 0.1).

    Raises:
        SettingsError: the settings name a landmark that the images do not carry.
    """
    own = found.diagnosis.get("parts", [])
    landmarks = [row["landmark"] for row in own if row["landmark"] is not None]
    groups: dict[str, list[dict[str, Any]]] = {}
    if landmarks or settings.parts:
        names = name_parts(landmarks, settings.parts)
        place = {landmarks[k]: names.names[g] for k, g in zip(names.columns, names.group.tolist(), strict=True)}
    else:
        place = {row["name"]: row["name"] for row in own[:-1]}
    for row in own:
        groups.setdefault(place.get(row["name"], OTHER), []).append(row)
    rest = groups.pop(OTHER, [])
    order = sorted((name for name in groups if _filters(groups[name])), key=lambda name: -_share(groups[name]))
    for name in order[settings.rows - 1 :]:
        rest += groups[name]
    made = [_part(found, name, groups[name]) for name in order[: settings.rows - 1]]
    return [*made, _part(found, OTHER, rest)] if rest else made


def _filters(rows: list[dict[str, Any]]) -> list[int]:
    return [f for row in rows for f in row["filters"]]


def _share(rows: list[dict[str, Any]], key: str = "contribution") -> float:
    return sum(math.nan if row[key]["value"] is None else row[key]["value"] for row in rows)


def _part(found: Found, name: str, rows: list[dict[str, Any]]) -> Part:
    facts = {row["filter"]: row for row in found.diagnosis.get("filters")}
    alive = [f for f in _filters(rows) if not facts[f]["dead"] and facts[f]["contribution"] is not None]
    best = max(alive, key=lambda f: (facts[f]["contribution"], -f), default=None)
    number = rows[0]["contribution"]
    interval = None if len(rows) > 1 or number["low"] is None else (number["low"], number["high"])
    return Part(name, len(_filters(rows)), _share(rows), _share(rows, "absolute_contribution"), best, interval)


def example_images(run: OpenedRun, count: int, seed: int) -> list[int]:
    """Test images of objects, drawn at random, the categories in turn."""
    category = run.subject.labels.category
    order = torch.randperm(len(category), generator=torch.Generator().manual_seed(seed))
    lists = [order[category[order] == c].tolist() for c in range(len(run.subject.labels.names))]
    turns = [images[k] for k in range(count) for images in lists if k < len(images)]
    return turns[:count] or order[:count].tolist()


def _draw_cams(sheet: Sheet, run: OpenedRun, seen: Watched, shots: Sequence[int]) -> None:
    subject, size = run.subject, run.subject.performer.input_size
    tap = subject.store.rows(shots).tap
    target = _targets(run, shots)
    found = {
        "explainer": explainer_cam(subject.explainer, subject.performer, tap, target),
        "performer": performer_cam(subject.performer, tap, target),
    }
    sheet.text(MARGIN, 0.08, "Grad-CAM", weight="bold", size=8.5)
    sheet.rule(MARGIN, 0.36, 3 * (SIDE + GAP) - GAP, INK)
    for column, (key, colour) in enumerate((("image", INK), ("explainer", EXPLAINER), ("performer", PERFORMER))):
        left = MARGIN + column * (SIDE + GAP)
        name = key if key == "image" else f"{key}\n{seen[key][0].name}"
        sheet.text(left, HEAD - 0.05, name, va="bottom", size=6.5, color=colour)
        for n, i in enumerate(shots):
            image = run.photos[i].image
            pixels = picture_of(image)
            if key != "image":
                pixels = heated(image, spread_map(found[key][n].cpu(), seen[key][0].field, (size, size)))
            sheet.picture(pixels, left, HEAD + n * (SIDE + GAP), SIDE)


def _targets(run: OpenedRun, shots: Sequence[int]) -> Tensor:
    """The score that is right for each image; the highest one where none is known, the only one where it is alone."""
    subject = run.subject
    features = subject.store.rows(shots)
    with torch.no_grad():
        scores = subject.performer.resume(features, "last")
    highest = scores.argmax(1)
    if subject.right is None:
        return highest
    right = subject.right[torch.tensor(list(shots))].to(highest.device)
    return torch.where(right >= 0, right, highest).clamp(max=scores.shape[1] - 1)


def _draw_parts(sheet: Sheet, parts: list[Part], rows: dict[int, Row], left: float, width: float) -> None:
    start = left + LABEL
    thumbs = start + BAR + 3 * GAP
    sheet.text(left, 0.08, "Parts and what their filters add to the score", weight="bold", size=8.5, color=EXPLAINER)
    sheet.rule(left, 0.36, width, EXPLAINER)
    for place, head in ((left, "part"), (start, "contribution"), (thumbs, "strongest filter of the part")):
        sheet.text(place, HEAD - 0.05, head, va="bottom", size=6.5, color=MUTED)
    values = [part.signed for part in parts if part.signed == part.signed]
    low, high = min([0.0, *values]), max([1e-9, *values])
    span = (high - low) * 1.45
    axes = sheet.axes(start, HEAD, BAR, len(parts) * (SIDE + GAP) - GAP)
    axes.set(xlim=(low, low + span), ylim=(len(parts) * (SIDE + GAP) - GAP, 0))
    axes.axvline(0, color=RULE, lw=0.8)
    for n, part in enumerate(parts):
        top = n * (SIDE + GAP)
        colour = NEUTRAL if part.name == OTHER else EXPLAINER
        plural = "filter" if part.filters == 1 else "filters"
        sheet.text(left, HEAD + top + SIDE / 2 - 0.02, part.name, weight="bold", va="bottom")
        sheet.text(left, HEAD + top + SIDE / 2 + 0.02, f"{part.filters} {plural}", color=MUTED)
        if part.signed == part.signed:
            axes.add_patch(
                Rectangle((min(0, part.signed), top + 0.26), abs(part.signed), SIDE - 0.52, color=colour, lw=0)
            )
            place = max(part.signed, 0) + 0.03 * span
            axes.text(
                place,
                top + SIDE / 2,
                f"{_percent(part.signed)} %".replace("-", "−"),
                va="center",
                size=8,
                weight="bold",
            )
        if part.example is not None:
            draw_row(sheet, rows[part.example], thumbs, HEAD + top, SIDE, THUMBS, EXPLAINER)


def _caption(found: Found, seen: Watched, parts: list[Part], settings: FigureSettings) -> str:
    ours, theirs = seen["explainer"][0].name, seen["performer"][0].name
    said = [
        f"Grad-CAM of the score of each image's category on the explainer's {ours} and on the performer's {theirs} "
        f"({found.diagnosis.get('performer.name')}), on test images drawn at random (seed {settings.seed}); each map "
        "is scaled to its own maximum."
    ]
    if not parts:
        said.append("The diagnosis has no parts: `partscope diagnose` adds them.")
        return " ".join(said)
    how = (
        "the filters whose strongest images vote for its landmark and whose peaks follow it, on half of the test images"
        if any(row["landmark"] is not None for row in found.diagnosis.get("parts"))
        else "a group of filters whose peaks lie together"
    )
    said.append(
        f"Parts are the diagnosis's: a part is {how}. Its contribution is the sum of its filters' signed shares of "
        "what the part track adds to the scores; tiles show its strongest filter."
    )
    for part in parts:
        plural = "filter" if part.filters == 1 else "filters"
        between = (
            f"95 % interval {_percent(part.interval[0])} to {_percent(part.interval[1])}, " if part.interval else ""
        )
        shares = f"{_percent(part.signed)} % ({between}by absolute value {_percent(part.absolute)} %)"
        said.append(f"{part.name}: {part.filters} {plural}, {shares}.")
    return " ".join(said)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
