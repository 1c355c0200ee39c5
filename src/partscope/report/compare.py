"""Two runs beside each other, as one HTML file."""

from pathlib import Path
from typing import Any, NamedTuple

from partscope.files import write_text
from partscope.report.atlas import as_script, atlas
from partscope.report.estimate import Diagnosis, Estimate, percent, plain
from partscope.report.figures import BUDGET_BYTES
from partscope.report.html import fill
from partscope.report.reading import Gallery, read_diagnosis, read_gallery
from partscope.report.view import Figure, PartCard, cards, flat, part_cards

PARTS_SHOWN = 4
RUNS = ("a", "b")


class Span(NamedTuple):
    """One run's estimate in a row's little chart, percent of its width."""

    look: str
    at: float
    low: float | None
    high: float | None


class Pair(NamedTuple):
    """One number of both runs."""

    label: str
    kind: str
    estimates: tuple[Estimate, Estimate]
    spans: list[Span]
    reading: str


class Group(NamedTuple):
    """The numbers of one headline."""

    title: str
    pairs: list[Pair]


class Beside(NamedTuple):
    """The strongest parts of one category in both runs."""

    category: str | None
    columns: tuple[list[PartCard], list[PartCard]]


def write_comparison(run_folder: Path, other: Path) -> Path:
    """Writes ``comparison.html`` into the first run's folder, whole or not at all.

    Args:
        run_folder: the folder of a run with its diagnosis.
        other: the folder of another.

    Returns:
        Path of the page.

    Raises:
        RunError: a diagnosis or gallery is missing, damaged or foreign, or the page cannot be written.
    """
    folders = (run_folder, other)
    diagnoses = tuple(read_diagnosis(folder) for folder in folders)
    galleries = [read_gallery(folder, diagnosis) for folder, diagnosis in zip(folders, diagnoses, strict=True)]
    shown = [part_cards(diagnosis, gallery) for diagnosis, gallery in zip(diagnoses, galleries, strict=True)]
    rows = beside(shown[0], shown[1])
    pictures = []
    for column, (diagnosis, gallery) in enumerate(zip(diagnoses, galleries, strict=True)):
        kept = [card.facts["filter"] for row in rows for card in row.columns[column]]
        pictures.append(as_script(atlas(diagnosis, only(gallery, kept), BUDGET_BYTES // 2)))
    one, two = diagnoses
    page = fill(
        "comparison.html.j2",
        one.get("crop.diagonal_px"),
        runs=list(zip(RUNS, names(run_folder, other), diagnoses, strict=True)),
        notes=notes(one, two),
        said=sentences(one, two, names(run_folder, other)),
        groups=groups(one, two),
        rows=rows,
        atlases=list(zip(RUNS, pictures, strict=True)),
        settings=differing(one.get("settings"), two.get("settings")),
        provenance=differing(one.get("provenance"), two.get("provenance")),
    )
    write_text(run_folder / "comparison.html", page)
    return run_folder / "comparison.html"


def names(one: Path, other: Path) -> tuple[str, str]:
    """What to call two runs: the shortest ends of their paths that tell them apart.

    Example:
        >>> names(Path("runs/cub"), Path("old/cub"))
        ('runs/cub', 'old/cub')
    """
    first, second = one.resolve().parts, other.resolve().parts
    count = 1
    while first[-count:] == second[-count:] and count < max(len(first), len(second)):
        count += 1
    return "/".join(first[-count:]), "/".join(second[-count:])


def groups(one: Diagnosis, two: Diagnosis) -> list[Group]:
    """The headline numbers of both, in the order of the first; a number that one lacks is left out."""
    found = []
    theirs = {card.name: card for card in cards(two)}
    for card in cards(one):
        other = theirs.get(card.name)
        if other is None:
            continue
        known = {figure.label: figure for figure in _figures(other.lead, other.others)}
        pairs = [
            _pair(figure, known[figure.label]) for figure in _figures(card.lead, card.others) if figure.label in known
        ]
        if pairs:
            found.append(Group(card.title, pairs))
    return found


def sentences(one: Diagnosis, two: Diagnosis, called: tuple[str, str]) -> list[str]:
    """Each headline's leading numbers against each other, in words."""
    said = []
    for group in groups(one, two):
        pair = group.pairs[0]
        first, second = pair.estimates
        if first.value is None or second.value is None:
            continue
        write = percent if pair.kind == "percent" else plain
        figures = f"({write(first.value)} against {write(second.value)})"
        what = group.title if pair.label in group.title else f"{group.title}, {pair.label[0].lower()}{pair.label[1:]}"
        lower = called[0] if first.value < second.value else called[1]
        said.append(f"{what}: {f'lower in {lower}' if first.apart(second) else 'no clear difference'} {figures}.")
    return said


def notes(one: Diagnosis, two: Diagnosis) -> list[str]:
    """What makes two runs hard to compare."""
    said = []
    if one.get("provenance.data_digest") != two.get("provenance.data_digest"):
        said.append("The runs were measured on different test images: a difference may be one of the images.")
    if one.get("provenance.weights_digest") != two.get("provenance.weights_digest"):
        said.append(
            f"They explain different networks ({one.get('performer.name')}, {two.get('performer.name')}, "
            "or other weights of the same)."
        )
    if one.get("fidelity.measure") != two.get("fidelity.measure"):
        said.append("One measures errors against labels, the other disagreement with the network.")
    if one.get("fidelity.targets")[-1] != two.get("fidelity.targets")[-1]:
        said.append("Their last targets differ: their FVUs are of different features.")
    said.append(
        "“Lower” is said only where the 95 % intervals do not overlap. They contain no differences between seeds."
    )
    return said


def beside(one: list[PartCard], two: list[PartCard]) -> list[Beside]:
    """The parts of each category with the largest contributions, of both runs."""
    categories = dict.fromkeys(card.facts["category"] for card in [*one, *two])

    def strongest(shown: list[PartCard], category: str | None) -> list[PartCard]:
        return [card for card in shown if card.facts["category"] == category and not card.facts["dead"]][:PARTS_SHOWN]

    rows = [Beside(category, (strongest(one, category), strongest(two, category))) for category in categories]
    return [row for row in rows if row.columns[0] or row.columns[1]]


def only(gallery: Gallery, filters: list[int]) -> Gallery:
    """A gallery of some of its filters, without the facts on whole images."""
    rows = [row for row, filter_ in enumerate(gallery.filters.tolist()) if filter_ in set(filters)]
    return gallery._replace(
        filters=gallery.filters[rows],
        image_index=gallery.image_index[rows, :3],
        points=gallery.points[rows, :3],
        maps=gallery.maps[rows, :3],
        raw_maps=gallery.raw_maps[rows, :3],
        facts=None,
    )


def differing(one: Any, two: Any) -> list[tuple[str, str, str]]:
    """Rows of two nested configurations that are not the same: name, first value, second value.

    Example:
        >>> differing({"fit": {"eta": 0.5, "seed": 0}}, {"fit": {"eta": 1.0, "seed": 0}})
        [('fit.eta', '0.5', '1.0')]
    """
    first, second = dict(flat(one)), dict(flat(two))
    return [
        (name, first.get(name, "–"), second.get(name, "–"))
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name)
    ]


def _figures(lead: Figure | None, others: list[Figure]) -> list[Figure]:
    return ([] if lead is None else [lead]) + others


def _pair(one: Figure, two: Figure) -> Pair:
    estimates = one.estimate, two.estimate
    end = max(estimate.reach for estimate in estimates) or 1.0

    def place(value: float | None) -> float | None:
        return None if value is None else 4 + 92 * min(max(value, 0.0), end) / end

    spans = [
        Span(look, place(estimate.value) or 0.0, place(estimate.low), place(estimate.high))
        for look, estimate in zip(RUNS, estimates, strict=True)
        if estimate.value is not None
    ]
    first, second = (estimate.value for estimate in estimates)
    if first is None or second is None:
        reading = "–"
    elif not estimates[0].apart(estimates[1]):
        reading = "no clear difference"
    else:
        reading = f"{'A' if first < second else 'B'} is lower"
    return Pair(one.label, one.kind, estimates, spans, reading)
