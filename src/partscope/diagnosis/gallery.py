"""The strongest images of the filters that matter most, with their maps: what the report draws."""

import json
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from partscope.diagnosis.diagnose import Diagnosed, Subject
from partscope.diagnosis.observe import judged_score
from partscope.diagnosis.receptive_fields import CELLS, EmpiricalField, cell_side, in_cells
from partscope.settings import DiagnoseSettings


def choose_filters(found: Diagnosed, settings: DiagnoseSettings) -> list[int]:
    """The filters with the largest contributions, largest first, of those that are active on enough images."""
    active = found.assignment.valid.sum(0)
    shown = (active >= images_shown(found, settings)) & (active > 0)
    rank = found.contribution.nan_to_num(-torch.inf).where(shown, -torch.inf)
    order = rank.argsort(descending=True, stable=True)[: settings.gallery_filters]
    return [int(f) for f in order if bool(shown[f])]


def images_shown(found: Diagnosed, settings: DiagnoseSettings) -> int:
    """Images in a filter's row: as many as asked for, or as the filter that is active most often has."""
    return min(settings.gallery_images, int(found.assignment.valid.sum(0).max()))


def strongest_images(found: Diagnosed, filters: Sequence[int], count: int) -> dict[int, list[int]]:
    """Images of its category that excite each filter most, strongest first; fewer where it is active on fewer."""
    valid = found.assignment.valid
    score = found.seen.explainer.score.where(valid, -torch.inf)
    order = score[:, list(filters)].argsort(dim=0, descending=True, stable=True).T.tolist()
    return {f: rows[: min(count, int(valid[:, f].sum()))] for f, rows in zip(filters, order, strict=True)}


@torch.no_grad()
def make_gallery(
    subject: Subject,
    found: Diagnosed,
    fields: Mapping[int, EmpiricalField],
    images: Callable[[int], Tensor],
    names: list[str],
    settings: DiagnoseSettings,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Collects images, part locations and maps.

    Args:
        subject: what was diagnosed.
        found: the diagnosis.
        fields: measured receptive fields, by filter; may be of some filters only.
        images: returns test image i, (3, S, S) in [0, 1].
        names: names of the test images.
        settings: how many filters and images.

    Returns:
        Tensors and metadata of ``gallery.safetensors``.
    """
    filters = choose_filters(found, settings)
    if not filters:
        return _empty(subject, images)
    peaks = found.seen.explainer
    strongest = strongest_images(found, filters, images_shown(found, settings))
    used = sorted({i for rows in strongest.values() for i in rows})
    place = {i: k for k, i in enumerate(used)}
    maps, raw = {}, {}
    for start in range(0, len(used), 64):
        rows = used[start : start + 64]
        parts, _ = subject.explainer.encode(subject.store.rows(rows).tap)
        for k, i in enumerate(rows):
            maps[i], raw[i] = parts.parts[k].cpu(), parts.second[k].cpu()
    shots = [images(i) for i in used]
    truth = subject.truth
    count = len(truth.names) if truth else 0

    def stacked(of: dict[int, Tensor]) -> Tensor:
        return torch.stack([torch.stack([of[i][f] for i in strongest[f]]) for f in filters])

    tensors = {
        "images": torch.stack([(s * 255).round().to(torch.uint8) for s in shots]),
        "filters": torch.tensor(filters),
        "image_index": torch.tensor([[place[i] for i in strongest[f]] for f in filters]),
        "points": torch.stack([peaks.points[strongest[f], f] for f in filters]).float(),
        "maps": stacked(maps),
        "raw_maps": stacked(raw),
        "landmarks": truth.landmarks[used] if truth else torch.zeros(len(used), count, 2),
        "present": truth.present[used].to(torch.uint8) if truth else torch.zeros(len(used), count).byte(),
    }
    metadata = {
        "names": json.dumps([names[i] for i in used]),
        "landmark_names": json.dumps(list(truth.names) if truth else []),
        "field": json.dumps(unit_field(subject)),
        "field_cell": json.dumps(cell_side(subject.performer.input_size)),
    }
    tensors |= _measured(filters, fields)
    facts, words = _whole_images(subject, found, used)
    return {k: v.contiguous() for k, v in (tensors | facts).items()}, metadata | words


def _whole_images(subject: Subject, found: Diagnosed, used: list[int]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What every filter did on each image that is shown, not only on those where it is strongest."""
    seen, labels = found.seen, subject.labels
    rows = torch.tensor(used)
    judged = judged_scores(subject, found)[rows]
    rebuilt = seen.rebuilt["full"]
    category = [int(c) for c in labels.category[rows]]
    known = subject.performer.class_names

    def judged_name(image: int, score: int) -> str:
        owner = category[image]
        if subject.right is not None and owner >= 0:
            return labels.names[owner]
        if subject.right is not None:
            return labels.names[0] if rebuilt.shape[1] == 1 else "none of the categories"
        return known[score] if score < len(known) else f"class {score}"

    tensors = {
        "image_contributions": seen.contribution[rows].float(),
        "image_points": seen.explainer.points[rows].float(),
        "image_peaks": seen.explainer.score[rows].float(),
        "image_scores": torch.stack(
            [s[rows].gather(1, judged[:, None])[:, 0] for s in (seen.scores, rebuilt)], 1
        ).float(),
    }
    return tensors, {
        "judged": json.dumps([judged_name(k, int(score)) for k, score in enumerate(judged)]),
        "categories": json.dumps([labels.names[c] if c >= 0 else None for c in category]),
    }


def judged_scores(subject: Subject, found: Diagnosed) -> Tensor:
    """Which score a filter's contribution on each image speaks of: the right one, or else the highest; (n,)."""
    scores = found.seen.scores
    right = torch.full((len(scores),), -1) if subject.right is None else subject.right
    return judged_score(scores, right)


def _measured(filters: list[int], fields: Mapping[int, EmpiricalField]) -> dict[str, Tensor]:
    """Averaged losses around the unit in cells, and the images that they rest on; 0 where nothing was measured."""
    none = torch.zeros(CELLS, CELLS)
    return {
        "field_maps": torch.stack([in_cells(fields[f].average) if f in fields else none for f in filters]).half(),
        "field_images": torch.tensor([fields[f].images if f in fields else 0 for f in filters]),
    }


def unit_field(subject: Subject) -> dict[str, float] | None:
    """Centres and side of what one unit of conv-interp-2 can see, in pixels; none where that has no bounds."""
    field, track = subject.performer.field, subject.explainer.interpretable
    grown = sum(conv.kernel_size[0] - 1 for conv in (track.conv_interp_1, track.conv_interp_2))
    size = field.size + grown * field.stride
    known = {"start": field.start, "stride": field.stride, "size": size}
    return known if all(math.isfinite(value) for value in known.values()) else None


def _empty(subject: Subject, images: Callable[[int], Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A gallery without filters: every one of them is dead."""
    side, count = images(0).shape[1], len(subject.truth.names) if subject.truth else 0
    tensors = {
        "images": torch.zeros(0, 3, side, side).byte(),
        "filters": torch.zeros(0).long(),
        "image_index": torch.zeros(0, 0).long(),
        "points": torch.zeros(0, 0, 2),
        "maps": torch.zeros(0, 0, 1, 1),
        "raw_maps": torch.zeros(0, 0, 1, 1),
        "landmarks": torch.zeros(0, count, 2),
        "present": torch.zeros(0, count).byte(),
    }
    return tensors, {
        "names": "[]",
        "landmark_names": json.dumps(list(subject.truth.names) if subject.truth else []),
    }
