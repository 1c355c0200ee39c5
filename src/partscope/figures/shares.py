"""Fig. 4: filters of two networks, beside the share of magnitude that passes through parts."""

from collections.abc import Generator, Sequence

from matplotlib.patches import Rectangle

from partscope.figure_settings import FigureSettings
from partscope.figures.drawing import Drawing
from partscope.figures.look import Found, Row, make_rows, see
from partscope.figures.rows import GAP, draw_row, width_of
from partscope.figures.sheet import EXPLAINER, INK, MUTED, NEUTRAL, PERFORMER, Sheet, styled
from partscope.run import Event
from partscope.subject import OpenedRun

SIDE, MARGIN, HEAD, BETWEEN, LABEL, LEAST = 0.86, 0.12, 0.78, 0.32, 0.5, 2.7


def draw_shares(
    runs: Sequence[OpenedRun], found: Sequence[Found], settings: FigureSettings, kind: str
) -> Generator[Event, None, Drawing]:
    """Draws the figure.

    Args:
        runs: two runs.
        found: their diagnoses.
        settings: what to show.
        kind: of the file.
    """
    rows, names = [], []
    for run, one in zip(runs, found, strict=True):
        filters = one.chosen(settings, settings.rows)
        seen = yield from see(run, filters, ("performer",))
        measured = settings.fields == "measured"
        rows.append((yield from make_rows(run, seen["performer"], filters, settings, measured=measured)))
        names.append(seen["performer"][0].name)
    return _compose(found, settings, kind, rows, names)


@styled
def _compose(
    found: Sequence[Found], settings: FigureSettings, kind: str, rows: list[list[Row]], names: list[str]
) -> Drawing:
    wide = LABEL + max(width_of(settings.images, SIDE), LEAST)
    count = max(len(mine) for mine in rows)
    sheet = Sheet(2 * MARGIN + 2 * wide + BETWEEN, HEAD + count * (SIDE + GAP) + MARGIN, kind)
    said = []
    for place, (one, mine, name) in enumerate(zip(found, rows, names, strict=True)):
        left = MARGIN + place * (wide + BETWEEN)
        for n, row in enumerate(mine):
            top = HEAD + n * (SIDE + GAP)
            sheet.text(left + LABEL - 0.08, top + SIDE / 2, str(row.filter), ha="right", va="center", color=MUTED)
            draw_row(sheet, row, left + LABEL, top, SIDE, settings.images, PERFORMER, dot=False)
        sheet.text(left + LABEL - 0.08, HEAD - 0.05, "filter", ha="right", va="bottom", color=MUTED, size=6.5)
        said.append(_draw_head(sheet, one, name, left + LABEL, wide - LABEL))
    caption = (
        f"Filters of the top conv layers of two performers, those of the channels that contribute most in their "
        f"explainers, each on {settings.images} test images drawn at random (seed {settings.seed}) among those that "
        f"excite it above its threshold. {' '.join(said)} p is a gate between two tracks and a share of magnitude, not "
        "of information."
    )
    return Drawing(sheet, "Filters of two performers beside their p", caption)


def _draw_head(sheet: Sheet, found: Found, layer: str, left: float, width: float) -> str:
    p = found.diagnosis.estimate("p")
    name = str(found.diagnosis.get("performer.name"))
    assert p.value is not None
    share = 100 * p.value
    sheet.text(left, 0.08, f"{name}, {layer}", weight="bold", size=8.5)
    axes = sheet.axes(left, 0.3, width, 0.15)
    axes.add_patch(Rectangle((0, 0), share, 1, color=EXPLAINER, lw=0))
    axes.add_patch(Rectangle((share, 0), 100 - share, 1, color=NEUTRAL, lw=0))
    if p.low is not None and p.high is not None:
        axes.plot([100 * p.low, 100 * p.high], [0.5, 0.5], color=INK, lw=1.2, solid_capstyle="butt")
        for end in (p.low, p.high):
            axes.plot([100 * end, 100 * end], [0.2, 0.8], color=INK, lw=1.2)
    axes.set(xlim=(0, 100), ylim=(0, 1))
    sheet.text(left, 0.5, f"p = {share:.1f} % through parts", color=EXPLAINER, weight="bold")
    sheet.text(left + width, 0.5, f"{100 - share:.1f} % ordinary", ha="right", color=MUTED)
    between = "" if p.low is None or p.high is None else f" (95 % interval {100 * p.low:.1f} to {100 * p.high:.1f} %)"
    return f"{name}, {layer}: p = {share:.1f} %{between}."
