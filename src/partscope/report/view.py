"""What the template shows: cards, charts, gallery rows, and flat lists of settings."""

import re
from typing import Any, NamedTuple

from partscope.report import wording
from partscope.report.charts import IntervalChart, interval_chart
from partscope.report.estimate import Diagnosis, Estimate, exact, percent, plain
from partscope.report.figures import in_words
from partscope.report.reading import Gallery

LOCATION_ROWS = {
    "explainer": ("Explainer’s filters", "explainer"),
    "top_conv": ("Performer: top layer", "top"),
    "tap": ("Performer: tap", "tap"),
    "null_center": ("No image: centre", "null"),
    "null_best_fixed": ("No image: best fixed point", "null"),
    "null_random": ("No image: random points", "null"),
}
LESS = "explainer_less_top_conv"
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


NAMED_FROM = 0.25


class PartCard(NamedTuple):
    """One filter of the gallery."""

    place: int
    """The filter's position in the diagnosis's list."""
    facts: dict[str, Any]
    alts: list[str]
    """Each of its images in words, strongest first."""
    bar: float
    """Its contribution, percent of the largest that is shown."""

    @property
    def part(self) -> str | None:
        """The landmark that it may be called by: one that explains a quarter of its movement or more."""
        return self.facts["best_landmark"] if (self.facts["best_landmark_r2"] or 0.0) >= NAMED_FROM else None


class Table(NamedTuple):
    """Numbers in rows and columns."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[Figure | None]]]
    """Label of each row and its numbers, none where the diagnosis holds none."""


def cards(diagnosis: Diagnosis) -> list[Card]:
    """The headlines."""
    last = str(diagnosis.get("fidelity.targets")[-1])
    measure = diagnosis.get("fidelity.measure")
    own = [Figure("Performer’s own error", diagnosis.estimate("fidelity.performer.error"), "percent")]
    cards = [
        Card(
            "p",
            "Mixing weight p",
            Figure("p", diagnosis.estimate("p"), "plain"),
            [
                Figure(f"FVU of {last}, parts only", wording.last_target(diagnosis, "parts_only"), "plain"),
                Figure(f"FVU of {last}, ordinary only", wording.last_target(diagnosis, "ordinary_only"), "plain"),
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
    if diagnosis.get("part_share"):  # older files lack it
        cards.insert(0, _part_share(diagnosis))
    field = "location_instability.released"
    if diagnosis.get("location_instability"):
        figures = [
            Figure(label, diagnosis.estimate(f"{field}.{key}"), "length") for key, (label, _) in LOCATION_ROWS.items()
        ]
        paired = Figure("Filters less top layer, paired", diagnosis.estimate(f"{field}.{LESS}"), "length")
        cards.append(
            Card(
                "instability",
                "Location instability",
                figures[0],
                [*figures[1:], *([paired] if diagnosis.get(f"{field}.{LESS}") else [])],
                wording.read_instability(diagnosis),
            )
        )
    else:
        reason = diagnosis.get("absent.location_instability", "the diagnosis gives no reason")
        cards.append(Card("instability", "Location instability", None, [], f"Not measured: {reason}."))
    if diagnosis.get("landmark_r2"):
        cards.append(_following(diagnosis))
    if diagnosis.get("parts"):
        cards.append(_parts(diagnosis))
    spreads = [Figure("Performer: top layer", diagnosis.estimate("diversity.top_conv.spread"), "length")]
    if diagnosis.get("diversity.landmarks"):
        spreads.append(Figure("Landmarks", diagnosis.estimate("diversity.landmarks.spread"), "length"))
    for key, label in (("explainer", "Distinct places, filters"), ("top_conv", "Distinct places, top layer")):
        spreads.append(Figure(label, diagnosis.estimate(f"diversity.{key}.effective_locations"), "places"))
    lead = Figure("Explainer’s filters", diagnosis.estimate("diversity.explainer.spread"), "length")
    cards.append(Card("spread", "Spread within an image", lead, spreads, wording.read_spread(diagnosis)))
    return cards


def _part_share(diagnosis: Diagnosis) -> Card:
    others = {"part_share_null": "Normally distributed evidence", "part_share_less_null": "Difference, paired"}
    return Card(
        "part-share",
        "Part share of the performer’s evidence",
        Figure("Part share", diagnosis.estimate("part_share"), "percent"),
        [Figure(label, diagnosis.estimate(key), "percent") for key, label in others.items() if diagnosis.get(key)],
        wording.read_part_share(diagnosis),
    )


def _following(diagnosis: Diagnosis) -> Card:
    r2, points = "landmark_r2.released", "keypoint_regression"
    both = int(diagnosis.get(f"keypoint_regression.{LESS}") is not None)  # older files lack it
    return Card(
        "following",
        "R² with the nearest landmark",
        Figure("Explainer’s filters", diagnosis.estimate(f"{r2}.explainer"), "plain"),
        [
            Figure("Performer: top layer", diagnosis.estimate(f"{r2}.top_conv"), "plain"),
            Figure("Explainer’s filters, all images", diagnosis.estimate("landmark_r2.all.explainer"), "plain"),
            Figure("Performer: top layer, all images", diagnosis.estimate("landmark_r2.all.top_conv"), "plain"),
            Figure("Keypoint regression, filters", diagnosis.estimate(f"{points}.explainer"), "length"),
            Figure("Keypoint regression, top layer", diagnosis.estimate(f"{points}.top_conv"), "length"),
            Figure("Mean landmark, no image", diagnosis.estimate(f"{points}.null_mean_landmark"), "length"),
            *([Figure("Filters less top layer, paired", diagnosis.estimate(f"{points}.{LESS}"), "length")] * both),
        ],
        wording.read_following(diagnosis),
    )


def _parts(diagnosis: Diagnosis) -> Card:
    shares = []
    for place, part in enumerate(diagnosis.get("parts")):
        if part["filters"]:
            label = f"{part['name']}, {wording.counted(len(part['filters']), 'filter')}"
            shares.append(Figure(label, diagnosis.estimate(f"parts.{place}.contribution"), "percent"))
    agreement, fit = "landmark_agreement.nmi.filters", "contributions"
    known = [
        ("Completeness gap", f"{fit}.completeness_gap", "percent"),
        ("Rank correlation with ablation", f"{fit}.rank_correlation.parts", "plain"),
        ("Rank correlation, number of filters instead", f"{fit}.rank_correlation.null_parts", "plain"),
        ("NMI with the landmarks’ names, filters", f"{agreement}.explainer", "plain"),
        ("NMI, performer’s top layer", f"{agreement}.top_conv", "plain"),
        ("NMI, fixed grid (no image)", f"{agreement}.null_grid", "plain"),
        ("NMI, shuffled names", f"{agreement}.null_shuffled", "plain"),
        ("PCK, filters", "landmark_agreement.pck.explainer", "percent"),
        ("PCK, performer’s top layer", "landmark_agreement.pck.top_conv", "percent"),
        ("PCK, mean landmark (no image)", "landmark_agreement.pck.null_mean_landmark", "percent"),
    ]
    others = [Figure(label, diagnosis.estimate(field), kind) for label, field, kind in known if diagnosis.get(field)]
    return Card("parts", "Contributions by part", shares[0], [*shares[1:], *others], wording.read_parts(diagnosis))


def part_tables(diagnosis: Diagnosis) -> list[Table]:
    """Everything measured about parts: their contributions, how far those hold, and agreement with landmarks."""
    tables = []
    parts, agreement = diagnosis.get("parts", []), diagnosis.get("landmark_agreement", {})
    if parts:
        columns = {
            "contribution": ("Contribution", "percent"),
            "absolute_contribution": ("Absolute", "percent"),
            "ablation": ("Score lost without it", "plain"),
            "width": ("Width (diagonals)", "length"),
            "confirmed": ("Vote confirmed", "percent"),
            "null_confirmed": ("By another image", "percent"),
        }
        kept = {key: how for key, how in columns.items() if any(key in part for part in parts)}
        rows = []
        for place, part in enumerate(parts):
            label = f"{part['name']}, {wording.counted(len(part['filters']), 'filter')}"
            rows.append((label, _figures(diagnosis, f"parts.{place}", kept)))
        tables.append(Table("Parts", [title for title, _ in kept.values()], rows))
        named = {
            "attributed": "Gradient x activation, sum over filters (score)",
            "part_track": "Score lost without the part track",
            "completeness_gap": "Completeness gap (attributing nothing: 1)",
            "rank_correlation.parts": "Rank correlation with ablation, over parts",
            "rank_correlation.within_image": "Rank correlation with ablation, within an image",
            "rank_correlation.null_parts": "Number of filters instead, over parts",
            "rank_correlation.null_within_image": "Number of filters instead, within an image",
        }
        value = {"": ("Value", "plain")}
        rows = [(label, _figures(diagnosis, f"contributions.{key}", value)) for key, label in named.items()]
        tables.append(Table("Do the contributions hold?", ["Value"], rows))
    layers = {
        "explainer": ("Explainer’s filters", "plain"),
        "top_conv": ("Performer: top layer", "plain"),
        "null_grid": ("No image: fixed grid", "plain"),
        "null_shuffled": ("Shuffled names", "plain"),
        "null_mean_landmark": ("No image: mean landmark", "plain"),
    }
    for score, title in {"nmi": "NMI", "ari": "ARI", "pck": "PCK"}.items():
        for level, of in agreement.get(score, {}).items() if score != "pck" else (("", agreement.get(score)),):
            if of:
                field = f"landmark_agreement.{score}{f'.{level}' if level else ''}"
                kept = {key: how for key, how in layers.items() if key in of}
                name = f"{title} of landmarks{f', by {level}' if level else ''}"
                tables.append(Table(name, [n for n, _ in kept.values()], [(title, _figures(diagnosis, field, kept))]))
    if diagnosis.get("mimic"):
        tables.append(_mimic(diagnosis))
    return tables


def _mimic(diagnosis: Diagnosis) -> Table:
    columns = {
        "correlation": ("Correlation of the changes", "plain"),
        "null_other_image": ("With another image’s", "plain"),
        "ratio": ("Explainer’s change / performer’s", "plain"),
        "size": ("Squared change / variance", "plain"),
        "performer_score": ("Performer’s score", "plain"),
        "explainer_score": ("Explainer’s score", "plain"),
    }
    parts = diagnosis.get("mimic.parts")
    rows = [(part["name"], _figures(diagnosis, f"mimic.parts.{k}", columns)) for k, part in enumerate(parts)]
    return Table("Taken away", [title for title, _ in columns.values()], rows)


SEEDS = {
    "p": ("p", "plain"),
    "fidelity.full.error": ("Error on rebuilt features", "percent"),
    "fidelity.full.disagreement": ("Disagreement on rebuilt features", "percent"),
    "fidelity.full.fvu": ("FVU of the last target", "plain"),
    "fidelity.parts_only.fvu": ("FVU of the last target, parts only", "plain"),
    "location_instability.released.explainer": ("Location instability, top images", "length"),
    "location_instability.all.explainer": ("Location instability, all images", "length"),
    "landmark_r2.released.explainer": ("R² with the nearest landmark", "plain"),
    "keypoint_regression.explainer": ("Keypoint regression", "length"),
    "landmark_agreement.nmi.filters.explainer": ("NMI with the landmarks’ names", "plain"),
    "diversity.explainer.spread": ("Spread within an image", "length"),
    "diversity.explainer.effective_locations": ("Distinct places", "places"),
}


def seed_table(diagnosis: Diagnosis) -> Table | None:
    """Headline numbers of fits with other seeds, beside their mean; none where there are none."""
    found = diagnosis.get("seeds")
    if not found:
        return None
    runs = [f"Seed {seed}" for seed in found["seeds"]]
    rows = []
    for k, number in enumerate(found["numbers"]):
        label, kind = SEEDS.get(re.sub(r"\.\d+$", "", number["name"]), (number["name"], "plain"))
        columns = {f"fits.{i}": (run, kind) for i, run in enumerate(runs)} | {"mean": ("Mean", kind)}
        rows.append((label, _figures(diagnosis, f"seeds.numbers.{k}", columns)))
    return Table("Fits with other seeds", [*runs, "Mean"], rows)


def _figures(diagnosis: Diagnosis, field: str, columns: dict[str, tuple[str, str]]) -> list[Figure | None]:
    places = {f"{field}.{key}" if key else field: how for key, how in columns.items()}
    return [
        Figure(title, diagnosis.estimate(place), kind) if diagnosis.get(place) else None
        for place, (title, kind) in places.items()
    ]


def location_rows(diagnosis: Diagnosis) -> dict[str, str]:
    """Label of every row of the table of location instability."""
    rows = {key: label for key, (label, _) in LOCATION_ROWS.items()}
    paired = diagnosis.get(f"location_instability.released.{LESS}")  # older files lack it
    return rows | ({LESS: "Filters less top layer, paired"} if paired else {})


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


def part_cards(diagnosis: Diagnosis, gallery: Gallery) -> list[PartCard]:
    """The gallery's filters, the largest contribution first."""
    rows = {facts["filter"]: (place, facts) for place, facts in enumerate(diagnosis.get("filters"))}
    shown = [(row, *rows[filter_]) for row, filter_ in enumerate(gallery.filters.tolist())]
    shown.sort(key=lambda item: _contribution(item[2]), reverse=True)
    largest = max([abs(facts["contribution"] or 0.0) for _, _, facts in shown], default=0.0) or 1.0
    return [
        PartCard(
            place=place,
            facts=facts,
            alts=[
                in_words(gallery, row, image, facts["filter"], facts["best_landmark"])
                for image in range(gallery.image_index.shape[1])
            ],
            bar=100 * (facts["contribution"] or 0.0) / largest,
        )
        for row, place, facts in shown
    ]


def glance(shown: list[PartCard], least: int = 6, most: int = 8) -> list[PartCard]:
    """The largest part of each pair of category and landmark; further parts where those are few."""
    live = [card for card in shown if not card.facts["dead"]]
    kinds: dict[tuple[str | None, str | None], PartCard] = {}
    for card in live:
        kinds.setdefault((card.facts["category"], card.part), card)
    chosen = list(kinds.values())[:most]
    chosen += [card for card in live if card not in chosen][: max(0, least - len(chosen))]
    return sorted(chosen, key=lambda card: _contribution(card.facts), reverse=True)


def choices(shown: list[PartCard], key: str) -> list[str]:
    """What the parts that are shown can be filtered by, in alphabetic order."""
    return sorted({card.facts[key] for card in shown if card.facts[key] is not None}, key=str.casefold)


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
