"""Geometry of the charts; the template draws them as SVG in percent, so that they fit any width."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeGuard

from partscope.report.estimate import Estimate, plain

MARGIN = 2.0
MOST_POINTS = 240


class Bar(NamedTuple):
    """One row of an interval chart."""

    label: str
    estimate: Estimate
    text: str
    """The value as a person reads it."""
    look: str
    """Class that sets colour and shape."""
    at: float | None
    """Place of the estimate, percent of the chart's width."""
    low: float | None
    high: float | None
    beyond: bool
    """True when the estimate lies outside the axis."""


class Tick(NamedTuple):
    """A mark on an axis."""

    at: float
    label: str


class IntervalChart(NamedTuple):
    """Estimates with their intervals, one a row, over one axis that starts at 0."""

    name: str
    title: str
    bars: list[Bar]
    ticks: list[Tick]
    reference: Tick | None
    """A vertical line that the values are to be read against."""

    @property
    def in_words(self) -> str:
        """The chart for those who cannot see it."""
        return f"{self.title}: " + "; ".join(f"{bar.label} {bar.text}" for bar in self.bars)


class Line(NamedTuple):
    """One curve of a panel."""

    label: str
    look: str
    points: str
    """Points of an SVG polyline in a box of 100 by 100."""
    last: str


class Panel(NamedTuple):
    """One quantity over the steps of the fit."""

    title: str
    lines: list[Line]
    top: str
    bottom: str
    logarithmic: bool
    first_step: str
    last_step: str


def interval_chart(
    name: str,
    title: str,
    rows: Sequence[tuple[str, Estimate, str, str]],
    *,
    reference: tuple[float, str] | None = None,
    cap: float = math.inf,
    as_percent: bool = False,
) -> IntervalChart:
    """Lays out an interval chart.

    Args:
        name: the chart's id in the page.
        title: what the axis measures.
        rows: label, estimate, its text, and the class that sets its look.
        reference: a value to draw a line at, and its label.
        cap: the axis ends here at the latest; estimates beyond are drawn at its end.
        as_percent: label the axis in percent.

    Returns:
        The chart; an estimate without a value gets a row without a mark.
    """
    reach = max([row[1].reach for row in rows] + [reference[0] if reference else 0.0, 1e-9])
    ticks = _ticks(min(reach, cap))
    end = ticks[-1]

    def place(value: float | None) -> float | None:
        return None if value is None else MARGIN + (100 - 2 * MARGIN) * min(max(value, 0.0), end) / end

    bars = [
        Bar(
            label=label,
            estimate=estimate,
            text=text,
            look=look,
            at=place(estimate.value),
            low=place(estimate.low),
            high=place(estimate.high),
            beyond=estimate.value is not None and estimate.value > end,
        )
        for label, estimate, text, look in rows
    ]
    scale, unit = (100.0, "%") if as_percent else (1.0, "")
    marks = [Tick(place(tick) or 0.0, f"{tick * scale:.3g}{unit}") for tick in ticks]
    line = Tick(place(reference[0]) or 0.0, reference[1]) if reference else None
    return IntervalChart(name, title, bars, marks, line)


def training_panels(records: Sequence[dict[str, Any]], targets: Sequence[str]) -> list[Panel]:
    """Lays out the course of the fit: loss, p, and the FVU of each target.

    Args:
        records: lines of ``log.jsonl``; values that are missing or not finite are passed over.
        targets: names of the targets, in the order of ``fvu``.

    Returns:
        A panel for each quantity with at least two records.
    """
    quantities: list[tuple[str, list[tuple[str, list[tuple[float, float]]]]]] = [
        ("Loss", [("loss", _series(records, "loss"))]),
        ("Mixing weight p", [("p", _series(records, "p"))]),
        (
            "FVU on the training batches",
            [(target, _series(records, "fvu", index)) for index, target in enumerate(targets)],
        ),
    ]
    panels = []
    for title, series in quantities:
        kept = [(label, points) for label, points in series if len(points) > 1]
        if kept:
            panels.append(_panel(title, kept, fixed=(0.0, 1.0) if title == "Mixing weight p" else None))
    return panels


def _panel(title: str, series: list[tuple[str, list[tuple[float, float]]]], fixed: tuple[float, float] | None) -> Panel:
    values = [value for _, points in series for _, value in points]
    steps = [step for _, points in series for step, _ in points]
    bottom, top = fixed or (min(values), max(values))
    logarithmic = fixed is None and bottom > 0 and top / bottom > 10
    if not logarithmic and fixed is None:
        bottom = min(bottom, 0.0)
    first, last = min(steps), max(steps)

    def height(value: float) -> float:
        return math.log(value) if logarithmic else value

    across = (last - first) or 1.0
    up = (height(top) - height(bottom)) or 1.0
    lines = []
    for index, (label, points) in enumerate(series):
        places = [
            f"{100 * (step - first) / across:.2f},{96 - 92 * (height(value) - height(bottom)) / up:.2f}"
            for step, value in _thinned(points)
        ]
        lines.append(Line(label, f"line-{index % 4}", " ".join(places), plain(points[-1][1])))
    return Panel(title, lines, plain(top), plain(bottom), logarithmic, f"{first:,.0f}", f"{last:,.0f}")


def _series(records: Sequence[dict[str, Any]], key: str, index: int | None = None) -> list[tuple[float, float]]:
    points = []
    for place, record in enumerate(records):
        value, step = record.get(key), record.get("step", place)
        if index is not None:
            value = value[index] if isinstance(value, list) and index < len(value) else None
        if _finite(value) and _finite(step):
            points.append((float(step), float(value)))
    return sorted(points)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    size = math.ceil(len(points) / MOST_POINTS)
    chunks = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(step for step, _ in chunk) / len(chunk), sum(y for _, y in chunk) / len(chunk)) for chunk in chunks]


def _finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _ticks(reach: float) -> list[float]:
    magnitude = 10 ** math.floor(math.log10(reach))
    step = next(size * magnitude for size in (0.2, 0.5, 1.0, 2.0) if reach / (size * magnitude) <= 5)
    count = math.ceil(reach / step - 1e-9)
    return [step * index for index in range(count + 1)]
