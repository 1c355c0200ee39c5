"""Fig. 5 and App. D: Grad-CAM of explainer and performer, and what the filters of each part contribute."""

import math
from collections.abc import Generator, Sequence
from typing import NamedTuple

import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from partscope.diagnosis import Assignment, Layer, Seen, name_parts, scaled
from partscope.diagnosis.grad_cam import explainer_cam, performer_cam
from partscope.figure_settings import REFERENCE_PX, FigureSettings
from partscope.figures.drawing import Drawing
from partscope.figures.look import Found, Row, Watched, make_rows, see
from partscope.figures.pixels import heated, picture_of, spread_map
from partscope.figures.rows import GAP, draw_row, width_of
from partscope.figures.sheet import EXPLAINER, INK, MUTED, NEUTRAL, PERFORMER, RULE, Sheet, styled
from partscope.maths import part_shares, vote_part
from partscope.run import Event
from partscope.subject import OpenedRun

SIDE, MARGIN, HEAD, BETWEEN = 0.86, 0.12, 0.66, 0.36
LABEL, BAR, THUMBS = 0.95, 1.6, 3


class Part(NamedTuple):
    """A part's filters and what they add."""

    name: str
    filters: int
    signed: float
    """Share of what all filters add to the scores; nan where the shares have no meaning."""
    absolute: float
    example: int | None
    """Its filter with the largest contribution."""


def draw_parts(run: OpenedRun, found: Found, settings: FigureSettings, kind: str) -> Generator[Event, None, Drawing]:
    """Draws the figure.

    Args:
        run: the run, with its landmarks.
        found: its diagnosis.
        settings: what to show.
        kind: of the file.
    """
    everything = tuple(range(len(found.diagnosis.get("filters"))))
    seen = yield from see(run, everything, ("explainer", "performer"))
    parts = find_parts(run, found, seen["explainer"], settings)
    examples = [part.example for part in parts if part.example is not None]
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


def find_parts(
    run: OpenedRun, found: Found, seen: tuple[Layer, Seen, Assignment], settings: FigureSettings
) -> list[Part]:
    """Names each filter's part by vote and sums contributions by part, the largest first, the rest last.

    Returns:
        As many parts as the settings show, those further ones as part of the last, `other`; none without landmarks.

    Raises:
        SettingsError: the settings name a landmark that the images do not carry.
    """
    truth = run.subject.truth
    if truth is None:
        return []
    names = name_parts(truth.names, settings.parts)
    columns = list(names.columns)
    peaks, valid = seen[1].peaks, seen[2].valid
    landmarks, present = truth.landmarks[:, columns], truth.present[:, columns]
    reach = scaled(settings.field.radius, run.subject.performer.input_size)
    part = vote_part(peaks.points, peaks.score, valid, landmarks, present, names.group, reach)
    facts = sorted(found.diagnosis.get("filters"), key=lambda row: int(row["filter"]))
    share = torch.tensor([math.nan if row["contribution"] is None else row["contribution"] for row in facts])
    sums = part_shares(share.nan_to_num(0), part, len(names.names))
    measured = bool(torch.isfinite(share).any())
    order = sums.signed[:-1].argsort(descending=True, stable=True).tolist()
    order = [n for n in order if sums.filters[n] > 0]
    shown, rest = order[: settings.rows - 1], [*order[settings.rows - 1 :], len(names.names)]
    parts = []
    for group in [*([n] for n in shown), rest]:
        mine = torch.isin(torch.where(part < 0, len(names.names), part), torch.tensor(group))
        best = share.nan_to_num(-torch.inf).where(mine & valid.any(0), -torch.inf)
        parts.append(
            Part(
                "other" if group is rest else names.names[group[0]],
                int(sums.filters[group].sum()),
                float(sums.signed[group].sum()) if measured else math.nan,
                float(sums.absolute[group].sum()) if measured else math.nan,
                int(best.argmax()) if bool(best.isfinite().any()) else None,
            )
        )
    return parts


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
        colour = NEUTRAL if part.name == "other" else EXPLAINER
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
                f"{100 * part.signed:.1f} %".replace("-", "−"),
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
    if parts:
        said.append(
            "Each filter belongs to the part whose landmark is nearest to its part location, within "
            f"{settings.field.radius:g} px of a {REFERENCE_PX} px crop, on at least half of its 100 strongest images. "
            "A part's contribution is the sum of its filters' signed shares of what the part track adds to the scores; "
            "tiles show its strongest filter."
        )
        for part in parts:
            plural = "filter" if part.filters == 1 else "filters"
            shares = f"{100 * part.signed:.1f} % (by absolute value {100 * part.absolute:.1f} %)"
            said.append(f"{part.name}: {part.filters} {plural}, {shares}.")
    else:
        said.append("The images carry no landmarks, so that no filter's part can be named.")
    return " ".join(said)
