"""What a larger share of the part track costs: fits with other settings of eta, beside each other."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from partscope.report.estimate import Diagnosis, Estimate, plain

FIRST = ("eta", "p", "fvu", "error", "part_share")
ALLOWED = 0.01
COSTS = {
    "added_error": ("point of error more than the performer's own", "adds", "points of error"),
    "disagreement": ("% of answers other than the performer's", "changes", "% of answers"),
}


class Point(NamedTuple):
    """One fit; its place in percent of the chart."""

    left: float
    top: float
    label: str
    mine: bool
    """True for the fit that this report is about."""


class Row(NamedTuple):
    """One fit's numbers, in the order of the columns."""

    cells: list[Estimate | None]
    mine: bool


class Frontier(NamedTuple):
    """FVU over p, and the table of all numbers."""

    title: str
    points: list[Point]
    line: str
    """Points of an SVG polyline in a box of 100 by 100."""
    first: str
    last: str
    top: str
    bottom: str
    columns: list[str]
    rows: list[Row]
    said: str | None
    """How much passes through parts at what cost."""

    @property
    def in_words(self) -> str:
        """The chart for those who cannot see it."""
        fits = [dict(zip(self.columns, row.cells, strict=True)) for row in self.rows]
        said = [", ".join(f"{key} {plain(fit[key].value)}" for key in ("eta", "p", "fvu")) for fit in fits]  # type: ignore[union-attr]
        return f"{self.title}: " + "; ".join(said)


def frontier(diagnosis: Diagnosis) -> Frontier | None:
    """Lays out the field ``frontier``, a list of fits with ``eta``, ``p`` and ``fvu`` at least.

    Args:
        diagnosis: the diagnosis; numbers of the field may be bare or with an interval.

    Returns:
        The chart; none where fewer than two fits have all three numbers.
    """
    found = diagnosis.get("frontier")
    fits = [(place, fit) for place, fit in enumerate(found if isinstance(found, list) else []) if isinstance(fit, dict)]
    numbers = [
        {key: number for key, value in fit.items() if (number := _number(f"frontier.{place}.{key}", value)) is not None}
        for place, fit in fits
    ]
    known = [fit for fit in numbers if all(key in fit and fit[key].value is not None for key in FIRST[:3])]
    if len(known) < 2:
        return None
    known.sort(key=lambda fit: _value(fit, "eta"))
    names = {key for fit in known for key in fit} - {"epochs"}
    columns = [key for key in FIRST if key in names] + sorted(names - set(FIRST))
    mine = [_value(fit, "eta") == diagnosis.get("settings.fit.eta") for fit in known]
    across, up = [_value(fit, "p") for fit in known], [_value(fit, "fvu") for fit in known]
    low, high = _round_range(across, least=0.0), _round_range(up, least=0.0)
    points = [
        Point(_place(p, low), 100 - _place(fvu, high), f"{_value(fit, 'eta'):g}", own)
        for fit, p, fvu, own in zip(known, across, up, mine, strict=True)
    ]
    return Frontier(
        "FVU of the last target over the mixing weight p",
        points,
        " ".join(f"{point.left:.2f},{point.top:.2f}" for point in points),
        plain(low[0]),
        plain(low[1]),
        plain(high[1]),
        plain(high[0]),
        columns,
        [Row([fit.get(key) for key in columns], own) for fit, own in zip(known, mine, strict=True)],
        sentence([fit for _, fit in fits]),
    )


def sentence(fits: Sequence[dict[str, Any]]) -> str | None:
    """Says how much passes through parts at no more than one point of error, or how far the fits are from it.

    Args:
        fits: the field ``frontier`` of a diagnosis.

    Returns:
        The sentence; none where no fit has a cost.

    >>> def number(value, low, high):
    ...     return {"value": value, "low": low, "high": high, "n": 400}
    >>> fit = {"eta": 0.5, "p": number(0.62, 0.6, 0.64), "added_error": number(0.005, -0.004, 0.014)}
    >>> bound, found = sentence([fit]).split(", ", 1)
    >>> print(bound, found.split(": ")[0], sep="\\n")
    At no more than 1 point of error more than the performer's own
    62.0 % of the magnitude passes through parts (eta 0.5)
    """
    for cost, (bound, does, unit) in COSTS.items():
        known = [fit for fit in fits if cost in fit and None not in (fit[cost]["value"], fit["p"]["value"])]
        if not known:
            continue
        within = [fit for fit in known if fit[cost]["value"] <= ALLOWED]
        if not within:
            least = min(known, key=lambda fit: float(fit[cost]["value"]))
            share, paid = 100 * least["p"]["value"], 100 * least[cost]["value"]
            return (
                f"No fit keeps to 1 {bound}: the least {does} {paid:.1f} {unit} (eta {least['eta']:g}), with "
                f"{share:.1f} % of the magnitude through parts."
            )
        best = max(within, key=lambda fit: float(fit["p"]["value"]))
        low, value, high = (100 * best[cost][key] for key in ("low", "value", "high"))
        beyond = "; the interval goes beyond 1" if high > 100 * ALLOWED else ""
        return (
            f"At no more than 1 {bound}, {100 * best['p']['value']:.1f} % of the magnitude passes through parts "
            f"(eta {best['eta']:g}): {value:.1f} {unit}, 95 % interval {low:.1f} to {high:.1f}, n "
            f"{best[cost]['n']}{beyond}."
        )
    return None


def _number(field: str, value: Any) -> Estimate | None:
    if isinstance(value, dict) and {"value", "low", "high", "n"} <= value.keys():
        return Estimate(field, value["value"], value["low"], value["high"], value["n"])
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return Estimate(field, value, None, None, 0)
    return None


def _value(fit: dict[str, Estimate], key: str) -> float:
    value = fit[key].value
    return math.nan if value is None else value


def _round_range(values: list[float], least: float) -> tuple[float, float]:
    span = (max(values) - min(values)) or abs(values[0]) or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    return max(least, math.floor(min(values) / step) * step), math.ceil(max(values) / step) * step


def _place(value: float, ends: tuple[float, float]) -> float:
    return 100 * (value - ends[0]) / ((ends[1] - ends[0]) or 1.0)
