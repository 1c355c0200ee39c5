"""Fig. 3 and App. B: a filter of the explainer a row, beside the performer's filter of the same channel."""

import math
from collections.abc import Generator

from matplotlib.patches import Rectangle
from torch import Tensor

from partscope.diagnosis import Layer
from partscope.figure_settings import FigureSettings
from partscope.figures.drawing import Drawing
from partscope.figures.look import Found, Row, Watched, make_rows, see
from partscope.figures.rows import GAP, draw_row, width_of
from partscope.figures.sheet import EXPLAINER, MUTED, PERFORMER, Sheet, styled
from partscope.run import Event
from partscope.subject import OpenedRun

SIDE, LABEL, INSET, MARGIN, HEAD, BETWEEN, LEAST = 0.86, 0.98, 0.92, 0.12, 0.46, 0.3, 2.0


def draw_filters(run: OpenedRun, found: Found, settings: FigureSettings, kind: str) -> Generator[Event, None, Drawing]:
    """Draws the figure.

    Args:
        run: the run.
        found: its diagnosis.
        settings: what to show.
        kind: of the file.
    """
    filters = found.chosen(settings, settings.rows)
    seen = yield from see(run, filters, ("explainer", "performer"))
    rows: dict[str, list[Row]] = {}
    for key in ("explainer", "performer"):
        measured = settings.fields == "measured" or (settings.fields == "paper" and key == "explainer")
        rows[key] = yield from make_rows(run, seen[key], filters, settings, measured=measured)
    return _compose(run, found, settings, kind, seen, rows)


@styled
def _compose(
    run: OpenedRun, found: Found, settings: FigureSettings, kind: str, seen: Watched, rows: dict[str, list[Row]]
) -> Drawing:
    filters = [row.filter for row in rows["explainer"]]
    insets = {key: any(row.field is not None for row in rows[key]) for key in rows}
    wide = width_of(settings.images, SIDE)
    widths = {key: max(wide + (INSET + 3 * GAP if insets[key] else 0), LEAST) for key in rows}
    total = 2 * MARGIN + LABEL + widths["explainer"] + BETWEEN + widths["performer"]
    sheet = Sheet(total, HEAD + len(filters) * (SIDE + GAP) + MARGIN, kind)
    left = MARGIN + LABEL
    for key, colour, name in (("explainer", EXPLAINER, "Explainer"), ("performer", PERFORMER, "Performer")):
        layer = seen[key][0]
        sheet.text(left, 0.08, f"{name}, {layer.name}", weight="bold", color=colour, size=8.5)
        sheet.rule(left, 0.36, widths[key], colour)
        start = left
        if insets[key]:
            sheet.text(left + widths[key], 0.31, "mean field", ha="right", va="bottom", color=MUTED, size=6.5)
        for n, row in enumerate(rows[key]):
            top = HEAD + n * (SIDE + GAP)
            draw_row(sheet, row, start, top, SIDE, settings.images, colour, dot=key == "explainer")
            if insets[key] and row.field is not None:
                _draw_field(sheet, row, layer, run, start + wide + 3 * GAP, top, colour)
        left += widths[key] + BETWEEN
    for n, f in enumerate(filters):
        _draw_label(sheet, found, f, HEAD + n * (SIDE + GAP))
    return Drawing(sheet, "Filters of the explainer and of the performer", _caption(found, seen, rows, settings))


def _draw_label(sheet: Sheet, found: Found, filter_: int, top: float) -> None:
    facts = found.facts(filter_)
    sheet.text(MARGIN, top + 0.06, f"filter {filter_}", weight="bold")
    lines = [str(facts["category"] or "no category")]
    if facts["best_landmark"]:
        lines.append(f"near: {facts['best_landmark']}")
    if facts["contribution"] is not None:
        lines.append(f"adds {100 * float(str(facts['contribution'])):.1f} %")
    sheet.text(MARGIN, top + 0.22, "\n".join(line if len(line) < 17 else f"{line[:15]}…" for line in lines), size=6.5)


def _draw_field(sheet: Sheet, row: Row, layer: Layer, run: OpenedRun, left: float, top: float, colour: str) -> None:
    """The averaged loss around the unit: what was measured, and the theoretical field as a dashed square."""
    assert row.field is not None
    size = run.subject.performer.input_size
    half = min(size, math.ceil(0.6 * layer.field.size))
    canvas = row.field.average[size - half : size + half + 1, size - half : size + half + 1].numpy()
    side = SIDE - 0.14
    axes = sheet.axes(left, top, side, side)
    axes.imshow(canvas, cmap="cividis", interpolation="none", extent=(-half, half, half, -half), aspect="auto")
    middle = _middle(row.field.average)
    for length, look, (row_, column) in (
        (layer.field.size, "dashed", (0.0, 0.0)),
        (row.field.side, "solid", middle),
    ):
        corner = (column - length / 2, row_ - length / 2)
        axes.add_patch(Rectangle(corner, length, length, fill=False, ec="white", lw=0.9, ls=look))
    axes.set(xlim=(-half, half), ylim=(half, -half))
    words = f"{row.field.side:.0f} of {layer.field.size:.0f} px"
    sheet.text(left + side / 2, top + side + 0.02, words, ha="center", size=6, color=colour)


def _middle(average: Tensor) -> tuple[float, float]:
    """Offset of the field's own middle from the unit: mean place of the pixels that its size counts."""
    places = (average >= average.max() / 2).nonzero().float().mean(0)
    return float(places[0]) - average.shape[0] // 2, float(places[1]) - average.shape[1] // 2


def _caption(found: Found, seen: Watched, rows: dict[str, list[Row]], settings: FigureSettings) -> str:
    ours, theirs = seen["explainer"][0], seen["performer"][0]
    performer = found.diagnosis.get("performer.name")
    images = settings.images
    said = [
        f"Each row shows a filter of the explainer's {ours.name} (left) and the filter of the same channel of the "
        f"performer's {theirs.name} ({performer}, right), each on {images} test images drawn at random (seed "
        f"{settings.seed}) among those of its category that excite it above its threshold.",
        "Regions that the filter's active units do not look at are dark; the dot is the part location.",
    ]
    measured = [row.field for row in rows["explainer"] if row.field is not None]
    if measured:
        said.append(
            f"Receptive fields of the explainer's filters are measured by covering the image (Zhou et al. 2015) and "
            f"averaged over up to {max(field.images for field in measured)} images; the inset shows the average, its "
            f"own size (solid) and the theoretical one (dashed)."
        )
    if any(row.field is None for key in rows for row in rows[key]):
        whose = "the performer's filters" if measured else "all filters"
        said.append(f"Discs stand for the receptive fields of {whose}, as in the paper's footnote 4.")
    for row, other in zip(rows["explainer"], rows["performer"], strict=True):
        facts = found.facts(row.filter)
        near = facts["best_landmark"] or "no landmark"
        said.append(f"Filter {row.filter}: {facts['category']}, near {near}; the performer's: {other.category}.")
    return " ".join(said)
