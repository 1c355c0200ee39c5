"""Receptive fields of filters that the report shows, measured coarsely: what every diagnosis can afford."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jaxtyping import Int
from torch import Tensor

from partscope.diagnosis.diagnose import Diagnosed, Subject
from partscope.diagnosis.gallery import choose_filters, strongest_images, unit_field
from partscope.diagnosis.layers import explainer_layer
from partscope.diagnosis.receptive_fields import EmpiricalField, covering, fields_cost, measure_fields
from partscope.figure_settings import FieldSettings
from partscope.settings import DiagnoseSettings

COARSE = FieldSettings(images=3, side=32, stride=16, keep=0, sigma=0.0)
"""A square as large as the figures', in steps of half its side: a third of their covered images. Every pixel is covered
equally often, which steps that do not divide the side would not do."""


def measure_shown(
    subject: Subject, found: Diagnosed, images: Callable[[int], Tensor], settings: DiagnoseSettings
) -> Iterator[tuple[int, int] | dict[int, EmpiricalField]]:
    """Measures the receptive fields of some filters of the gallery, each on its strongest images.

    Args:
        subject: what was diagnosed.
        found: the diagnosis.
        images: returns test image i, (3, S, S) in [0, 1].
        settings: how many filters.

    Yields:
        How many covered images of how many are done, and last the fields by filter.
    """
    filters = in_turn(choose_filters(found, settings), found.assignment.category, settings.fields)
    wanted = list(strongest_images(found, filters, COARSE.images).items())
    fields: dict[int, EmpiricalField] = {}
    if wanted:
        layer = explainer_layer(subject.explainer, subject.performer, subject.store.rows([0]).tap)
        total = fields_cost(COARSE, subject.performer.input_size, wanted)
        for event in measure_fields(subject.performer, layer, wanted, images, COARSE):
            if isinstance(event, int):
                yield event, total
            else:
                fields = dict(zip(filters, event, strict=True))
    yield fields


def in_turn(filters: Sequence[int], category: Int[Tensor, " f"], count: int) -> list[int]:
    """The first filter of each category, then the second, and so on.

    >>> import torch
    >>> in_turn([4, 0, 2, 3], torch.tensor([0, 0, 1, 1, 0]), 3)
    [4, 2, 0]
    """
    before: Counter[int] = Counter()
    places = []
    for place, filter_ in enumerate(filters):
        owner = int(category[filter_])
        places.append((before[owner], place, filter_))
        before[owner] += 1
    return [filter_ for _, _, filter_ in sorted(places)[:count]]


def field_facts(subject: Subject, content: Mapping[str, Any], fields: Mapping[int, EmpiricalField]) -> dict[str, Any]:
    """What the fields add to a diagnosis, lengths as fractions of the crop's diagonal.

    Args:
        subject: what was diagnosed.
        content: the diagnosis.
        fields: by filter.

    Returns:
        How the fields were measured, and the diagnosis's filters, with the side of those that were measured.
    """
    diagonal, cover = content["crop"]["diagonal_px"], covering(COARSE, subject.performer.input_size)
    theoretical = unit_field(subject)
    facts = {
        "theoretical": theoretical["size"] / diagonal if theoretical else None,
        "square": cover.side / diagonal,
        "step": cover.stride / diagonal,
        "images": max((field.images for field in fields.values()), default=0),
    }
    sides = {f: None if math.isnan(field.side) else field.side / diagonal for f, field in fields.items()}
    rows = [
        {**row, "field_side": sides[row["filter"]]} if row["filter"] in sides else row for row in content["filters"]
    ]
    return {"receptive_field": facts, "filters": rows}
