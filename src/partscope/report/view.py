"""What the template shows: cards, charts, gallery rows, and flat lists of settings."""

from typing import Any, NamedTuple

from partscope.report import wording
from partscope.report.charts import IntervalChart, interval_chart
from partscope.report.estimate import Diagnosis, Estimate, exact, percent, plain
from partscope.report.figures import Tile, filter_tiles, map_frame, photo_uris
from partscope.report.reading import Gallery

LOCATION_ROWS = {
    "explainer": ("Explainer’s filters", "explainer"),
    "top_conv": ("Performer: top layer", "top"),
    "tap": ("Performer: tap", "tap"),
    "null_center": ("No image: centre", "null"),
    "null_best_fixed": ("No image: best fixed point", "null"),
    "null_random": ("No image: random points", "null"),
}
PROTOCOLS = {"released": "Top images", "all": "All images"}


class Figure(NamedTuple):
    """One number as a card or table shows it."""

    label: str
    estimate: Estimate
    kind: str
    """How it is written: plain, percent, length or places."""


class Card(NamedTuple):
    """A headline: one leading number, those to read it against, and what they say together."""

    name: str
    title: str
    lead: Figure | None
    others: list[Figure]
    sentence: str


class Strip(NamedTuple):
    """One filter of the gallery."""

    place: int
    """The filter's position in the diagnosis's list."""
    facts: dict[str, Any]
    tiles: list[Tile]
    bar: float
    """Its contribution, percent of the largest that is shown."""


def cards(diagnosis: Diagnosis) -> list[Card]:
    """The four headlines."""
    last = str(diagnosis.get("fidelity.targets")[-1])
    measure = diagnosis.get("fidelity.measure")
    own = [Figure("Performer’s own error", diagnosis.estimate("fidelity.performer.error"), "percent")]
    share = [Figure("Performer’s part share", diagnosis.estimate("part_share"), "plain")]
    share = share if diagnosis.get("part_share") else []  # older files lack it
    cards = [
        Card(
            "p",
            "Mixing weight p",
            Figure("p", diagnosis.estimate("p"), "plain"),
            [
                Figure(f"FVU of {last}, parts only", wording.last_target(diagnosis, "parts_only"), "plain"),
                Figure(f"FVU of {last}, ordinary only", wording.last_target(diagnosis, "ordinary_only"), "plain"),
                *share,
            ],
            wording.read_p(diagnosis),
        ),
        Card(
            "fidelity",
            "Fidelity",
            Figure(f"Explainer’s {measure}", diagnosis.estimate(f"fidelity.full.{measure}"), "percent"),
            [
                *(own if diagnosis.get("fidelity.performer") else []),
                Figure(f"FVU of {last}", wording.last_target(diagnosis, "full"), "plain"),
                Figure("KL from the performer’s answer (nats)", diagnosis.estimate("fidelity.full.kl"), "plain"),
            ],
            wording.read_fidelity(diagnosis),
        ),
    ]
    field = "location_instability.released"
    if diagnosis.get("location_instability"):
        figures = [
            Figure(label, diagnosis.estimate(f"{field}.{key}"), "length") for key, (label, _) in LOCATION_ROWS.items()
        ]
        cards.append(
            Card(
                "instability",
                "Location instability",
                figures[0],
                figures[1:],
                wording.read_instability(diagnosis),
            )
        )
    else:
        reason = diagnosis.get("absent.location_instability", "the diagnosis gives no reason")
        cards.append(Card("instability", "Location instability", None, [], f"Not measured: {reason}."))
    spreads = [Figure("Performer: top layer", diagnosis.estimate("diversity.top_conv.spread"), "length")]
    if diagnosis.get("diversity.landmarks"):
        spreads.append(Figure("Landmarks", diagnosis.estimate("diversity.landmarks.spread"), "length"))
    for key, label in (("explainer", "Distinct places, filters"), ("top_conv", "Distinct places, top layer")):
        spreads.append(Figure(label, diagnosis.estimate(f"diversity.{key}.effective_locations"), "places"))
    lead = Figure("Explainer’s filters", diagnosis.estimate("diversity.explainer.spread"), "length")
    cards.append(Card("spread", "Spread within an image", lead, spreads, wording.read_spread(diagnosis)))
    return cards


def location_chart(diagnosis: Diagnosis) -> IntervalChart | None:
    """Location instability of filters, performer and nulls; none without landmarks."""
    if not diagnosis.get("location_instability"):
        return None
    rows = []
    for key, (label, look) in LOCATION_ROWS.items():
        estimate = diagnosis.estimate(f"location_instability.released.{key}")
        rows.append((label, estimate, plain(estimate.value), look))
    title = "Location instability, fraction of the crop’s diagonal (lower is steadier)"
    return interval_chart("chart-location", title, rows)


def fidelity_charts(diagnosis: Diagnosis) -> list[IntervalChart]:
    """FVU of each target, then the classification error or disagreement."""
    measure, targets = diagnosis.get("fidelity.measure"), diagnosis.get("fidelity.targets")
    looks = {"full": "explainer", "parts_only": "parts", "ordinary_only": "ordinary"}
    charts = []
    for index, target in enumerate(targets):
        rows = []
        for branch, label in wording.BRANCHES.items():
            estimate = diagnosis.estimate(f"fidelity.{branch}.fvu.{index}")
            rows.append((label.capitalize(), estimate, plain(estimate.value), looks[branch]))
        title = f"FVU of {target} (lower is closer)"
        charts.append(interval_chart(f"chart-fvu-{index}", title, rows, reference=(1.0, "mean predictor"), cap=1.6))
    rows = []
    if diagnosis.get("fidelity.performer"):
        estimate = diagnosis.estimate("fidelity.performer.error")
        rows.append(("Performer itself", estimate, percent(estimate.value), "top"))
    for branch, label in wording.BRANCHES.items():
        estimate = diagnosis.estimate(f"fidelity.{branch}.{measure}")
        rows.append((label.capitalize(), estimate, percent(estimate.value), looks[branch]))
    title = "Classification error" if measure == "error" else "Disagreement with the performer"
    return [*charts, interval_chart("chart-error", f"{title} (lower is closer)", rows, as_percent=True)]


def strips(diagnosis: Diagnosis, gallery: Gallery) -> list[Strip]:
    """The gallery's filters, the largest contribution first."""
    rows = {facts["filter"]: (place, facts) for place, facts in enumerate(diagnosis.get("filters"))}
    shown = [(row, *rows[filter_]) for row, filter_ in enumerate(gallery.filters.tolist())]
    shown.sort(key=lambda item: _contribution(item[2]), reverse=True)
    largest = max([abs(facts["contribution"] or 0.0) for _, _, facts in shown], default=0.0) or 1.0
    frame, photos = map_frame(gallery), photo_uris(gallery)
    return [
        Strip(
            place=place,
            facts=facts,
            tiles=filter_tiles(gallery, row, facts, frame, photos),
            bar=100 * (facts["contribution"] or 0.0) / largest,
        )
        for row, place, facts in shown
    ]


def _contribution(facts: dict[str, Any]) -> float:
    return float("-inf") if facts["contribution"] is None else float(facts["contribution"])


def flat(content: Any, name: str = "") -> list[tuple[str, str]]:
    """A nested configuration as rows of dotted name and value."""
    if isinstance(content, dict) and content:
        return [row for key, value in content.items() for row in flat(value, f"{name}.{key}" if name else str(key))]
    if isinstance(content, list) and not any(isinstance(value, (dict, list)) for value in content):
        return [(name, ", ".join(str(value) for value in content) or "none")]
    if content is None or content == {} or content == "":
        return [(name, "none")] if name else []
    if isinstance(content, (bool, list)):
        return [(name, exact(content))]
    return [(name, str(content))]
