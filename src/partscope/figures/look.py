"""What the figures share: a run with its diagnosis, and rows of one filter's images with its receptive fields."""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from partscope.diagnosis import (
    Assignment,
    EmpiricalField,
    Layer,
    Seen,
    assign,
    exciting_images,
    explainer_layer,
    fields_cost,
    look,
    measure_fields,
    performer_layer,
    scaled,
    threshold,
)
from partscope.errors import RunError, SettingsError
from partscope.figure_settings import FigureSettings
from partscope.maths import active_units, field_overlay, overlay_region, round_field, unit_points
from partscope.report.estimate import Diagnosis
from partscope.report.reading import read_diagnosis, read_gallery
from partscope.run import Event
from partscope.subject import OpenedRun

Watched = dict[str, tuple[Layer, Seen, Assignment]]
"""Layers by key, what was seen of them, and which images speak for their filters."""


class Found(NamedTuple):
    """What a run folder says of its filters."""

    folder: Path
    diagnosis: Diagnosis
    gallery: tuple[int, ...]
    """Filters of its gallery, the largest contribution first."""

    def facts(self, filter_: int) -> dict[str, object]:
        """The filter's entry in the diagnosis."""
        return next(row for row in self.diagnosis.get("filters") if row["filter"] == filter_)

    def chosen(self, settings: FigureSettings, count: int) -> tuple[int, ...]:
        """Filters to show: those asked for, or the first ones of the gallery.

        Raises:
            SettingsError: the run has no filter of that number.
            RunError: the gallery is empty, since every filter is silent.
        """
        known = {row["filter"] for row in self.diagnosis.get("filters")}
        for filter_ in settings.filters:
            if filter_ not in known:
                raise SettingsError(
                    f"choosing filters of the run '{self.folder}'",
                    f"there is no filter {filter_}",
                    f"give --filters numbers from 0 to {max(known)}",
                )
        if not settings.filters and not self.gallery:
            raise RunError(
                f"choosing filters of the run '{self.folder}'",
                "an empty gallery: every filter is silent",
                "fit again with other settings, or name filters with --filters",
            )
        return settings.filters or self.gallery[:count]


class Tile(NamedTuple):
    """One image of one filter."""

    image: Tensor
    """(3, H, W) in [0, 1]."""
    region: Tensor
    """(H, W) what the filter's active units look at."""
    peak: tuple[float, float]
    """(row, column) of the part location, px."""


class Row(NamedTuple):
    """A filter on its images."""

    filter: int
    tiles: list[Tile]
    field: EmpiricalField | None
    """Its measured receptive field; None where a disc stands for it."""
    category: str
    """Category whose images excite it most."""


def read_found(folder: Path) -> Found:
    """Reads a run's diagnosis and gallery, before anything large is loaded.

    Raises:
        RunError: there is none, or it is damaged.
    """
    diagnosis = read_diagnosis(folder)
    return Found(folder, diagnosis, tuple(read_gallery(folder, diagnosis).filters.tolist()))


def see(
    run: OpenedRun, filters: Sequence[int], keys: Sequence[Literal["explainer", "performer"]]
) -> Generator[Event, None, Watched]:
    """Looks at filters of some layers on all test images.

    Args:
        run: the run.
        filters: to keep the maps of.
        keys: `explainer`, `performer` or both.
    """
    subject = run.subject
    tap = subject.store.rows([0]).tap
    layers: dict[str, tuple[Layer, Sequence[int]]] = {}
    for key in keys:
        ours = key == "explainer"
        layer = explainer_layer(subject.explainer, subject.performer, tap) if ours else None
        layers[key] = layer or performer_layer(subject.performer, tap), filters
    seen: dict[str, Seen] = {}
    for event in look(subject.store, layers):
        if isinstance(event, int):
            yield Event("looking at the filters", event, len(subject.store))
        else:
            seen = event
    labels = subject.labels
    return {key: (layers[key][0], seen[key], assign(seen[key].peaks, labels.category, labels.owners)) for key in keys}


def make_rows(
    run: OpenedRun,
    found: tuple[Layer, Seen, Assignment],
    filters: Sequence[int],
    settings: FigureSettings,
    *,
    measured: bool,
    images: int | None = None,
) -> Generator[Event, None, list[Row]]:
    """Makes the rows of some filters.

    Args:
        run: the run.
        found: the layer, from `see`.
        filters: whose rows to make.
        settings: of the figure.
        measured: measure the receptive fields; else discs stand for them.
        images: tiles of a row; None takes the settings'.
    """
    layer, seen, mine = found
    size, performer = run.subject.performer.input_size, run.subject.performer
    count = images or settings.images
    taus, shown, wanted = [], [], []
    for f in filters:
        own = mine.mine[:, f].nonzero().flatten()
        own = own if len(own) else torch.arange(len(mine.mine))
        maps = seen.maps[own, seen.chosen.index(f)]
        taus.append(threshold(maps, settings.field.share))
        pick = [
            exciting_images(seen.peaks.score[:, f], taus[-1], own, n, torch.Generator().manual_seed(settings.seed + f))
            for n in (count, settings.field.images)
        ]
        shown.append(pick[0])
        wanted.append((f, pick[1]))
    fields: list[EmpiricalField | None] = [None] * len(wanted)
    if measured:
        total = fields_cost(settings.field, size, wanted)
        for event in measure_fields(performer, layer, wanted, lambda i: run.photos[i].image, settings.field):
            if isinstance(event, int):
                yield Event("receptive fields", event, total)
            else:
                fields = [field if field.side == field.side else None for field in event]
    disc = round_field(scaled(settings.field.radius, size), (size, size))
    return [
        Row(
            f,
            [
                _tile(run, layer, seen, f, i, taus[n], disc if fields[n] is None else _shape(fields[n]))
                for i in shown[n]
            ],
            fields[n],
            run.subject.labels.names[owner] if (owner := int(mine.category[f])) >= 0 else "no category",
        )
        for n, f in enumerate(filters)
    ]


def _shape(field: EmpiricalField | None) -> Tensor:
    assert field is not None
    return field.shape


def _tile(run: OpenedRun, layer: Layer, seen: Seen, filter_: int, image: int, tau: float, canvas: Tensor) -> Tile:
    size = run.subject.performer.input_size
    map_ = seen.map_of(filter_, image)
    units = active_units(map_, tau).flatten().nonzero().flatten()
    points = unit_points(units, map_.shape[1], layer.field, layer.field)
    region = overlay_region(field_overlay(points, canvas, (size, size)))
    peak = seen.peaks.points[image, filter_]
    return Tile(run.photos[image].image, region, (float(peak[0]), float(peak[1])))
