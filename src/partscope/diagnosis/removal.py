"""Whether the explainer changes as the performer does when a part is taken away (paper, Appendix C)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from partscope.data import PhotoSet
from partscope.diagnosis.ablation import some_objects
from partscope.diagnosis.diagnose import Diagnosed, Subject, right_answers, shown_truth
from partscope.diagnosis.number import Number, interval, mean_number, ratio_number, resample
from partscope.diagnosis.observe import activated, judged_score
from partscope.diagnosis.stability import Truth
from partscope.performers import Features
from partscope.settings import DiagnoseSettings

PATCH = 0.2
"""Side of a masking patch, as a share of the crop's side."""
TRIES = 100
"""Places drawn at most for a patch away from all landmarks."""
CONTROL = "random patch"
BATCH = 50
"""Changed images at a time, at most."""


class Outputs(NamedTuple):
    """What performer and explainer make of some images, on the CPU."""

    own: Float[Tensor, "m u"]
    """The performer's last target behind its activation, flat."""
    rebuilt: Float[Tensor, "m u"]
    """The explainer's."""
    scores: Float[Tensor, "m 2"]
    """Score of each image's category, and of that on rebuilt features."""


class Changed(NamedTuple):
    """Images of which one thing was taken away, and what that did; one value an image."""

    columns: Int[Tensor, " m"]
    """Which of the chosen images."""
    own: Float[Tensor, " m"]
    """|d|^2 with d the change of the performer's last target."""
    rebuilt: Float[Tensor, " m"]
    """|e|^2 with e the change of the explainer's rebuilt target."""
    common: Float[Tensor, " m"]
    """d . e"""
    other: Float[Tensor, " m"]
    """d . e' with e' that of another image of the same batch; nan where there is none."""
    other_rebuilt: Float[Tensor, " m"]
    """|e'|^2"""
    scores: Float[Tensor, "m 2"]
    """Change of the performer's score, and of that on rebuilt features."""


def masked(image: Float[Tensor, "3 S S"], centre: Float[Tensor, " 2"], side: float) -> Float[Tensor, "3 S S"]:
    """The image with a square in its mean colour; what lies outside the image is cut off.

    Args:
        image: (3, S, S).
        centre: row and column in pixels.
        side: of the square in pixels.

    >>> masked(torch.eye(4).expand(3, 4, 4), torch.tensor([0.0, 0.0]), 3.0)[0, :2, :3].tolist()
    [[0.25, 0.25, 0.0], [0.25, 0.25, 0.0]]
    """
    top, left = (max(0, round(float(c) - (side - 1) / 2)) for c in centre)
    bottom, right = (max(0, round(float(c) + (side + 1) / 2)) for c in centre)
    found = image.clone()
    found[:, top:bottom, left:right] = image.mean((1, 2), keepdim=True)
    return found


def elsewhere(
    landmarks: Float[Tensor, "k 2"], size: int, side: float, generator: torch.Generator
) -> Float[Tensor, " 2"] | None:
    """The middle of a square inside the image, its side away from every landmark along one axis; None if none is found.

    Args:
        landmarks: rows and columns in pixels.
        size: side of the image in pixels.
        side: of the square in pixels.
        generator: of the places that are tried.
    """
    for _ in range(TRIES):
        point = side / 2 + torch.rand(2, generator=generator) * (size - 1 - side)
        if bool(((landmarks - point).abs().amax(1) >= side).all()):
            return point
    return None


def mimic(
    subject: Subject, found: Diagnosed, photos: PhotoSet, settings: DiagnoseSettings
) -> Iterator[tuple[int, int] | dict[str, Any]]:
    """Takes the part at each landmark away, and a patch elsewhere, and compares the changes.

    A set of images that can leave out a part draws it anew without; of any other, a square about the landmark is
    painted in the image's mean colour.

    Args:
        subject: what is diagnosed.
        found: its diagnosis.
        photos: the test images.
        settings: how many images and which landmarks.

    Yields:
        Images done and to do, and last the content of ``mimic`` in ``diagnosis.json``; empty without landmarks.
    """
    everything = shown_truth(subject)
    if everything is None or settings.mimic_images == 0:
        yield {}
        return
    truth = everything.only(settings.landmarks or everything.names)
    owned = (subject.labels.category >= 0) & truth.present.any(1)
    rows = some_objects(owned, settings.mimic_images)
    if len(rows) == 0:
        yield {}
        return
    counts = resample(len(rows), settings.resamples)
    judged = judged_score(found.seen.scores[rows], right_answers(subject)[rows])
    whole = [_outputs(subject, subject.store.rows(rows[some]), judged[some]) for some in _batches(len(rows))]
    before = Outputs(*(torch.cat(column) for column in zip(*whole, strict=True)))
    kinds = _removals(photos, truth, everything, rows)
    total, done, content = sum(len(columns) for _, columns, _ in kinds), 0, []
    for name, columns, image in kinds:
        batches = []
        for some in _batches(len(columns)):
            chosen = columns[some]
            features = subject.performer.features(torch.stack([image(int(column)) for column in chosen]))
            batches.append(_changes(chosen, before, _outputs(subject, features, judged[chosen])))
            done += len(chosen)
            yield done, total
        if batches:
            changed = Changed(*(torch.cat(column) for column in zip(*batches, strict=True)))
            norm = found.seen.squared_norm[rows[columns], -1]
            content.append({"name": name, **_numbers(changed, norm, counts)})
    method = "drawn without" if _exact(photos, truth, rows) else "masked"
    yield {"mimic": {"method": method, "parts": content}}


Image = Callable[[int], Tensor]


def _removals(photos: PhotoSet, truth: Truth, everything: Truth, rows: Tensor) -> list[tuple[str, Tensor, Image]]:
    """Name of what is taken away, images that have it, and how the changed image is made.

    The patch keeps away from all landmarks that are known, not only from those that are taken away.
    """
    size, generator = photos.input_size, torch.Generator().manual_seed(0)
    side = PATCH * size
    carried = [photos.landmark_names.index(name) for name in truth.names]
    found: list[tuple[str, Tensor, Image]] = []
    for k, name in enumerate(truth.names):

        def without(column: int, k: int = k) -> Tensor:
            i = int(rows[column])
            drawn = photos.without_part(i, carried[k])
            return masked(photos[i].image, truth.landmarks[i, k], side) if drawn is None else drawn

        found.append((name, truth.present[rows, k].nonzero().flatten(), without))
    shown = [everything.landmarks[i][everything.present[i]] for i in rows]
    free = {column: elsewhere(known, size, side, generator) for column, known in enumerate(shown)}
    points = {column: point for column, point in free.items() if point is not None}

    def patched(column: int) -> Tensor:
        return masked(photos[int(rows[column])].image, points[column], side)

    return [*found, (CONTROL, torch.tensor(list(points), dtype=torch.int64), patched)]


def _exact(photos: PhotoSet, truth: Truth, rows: Tensor) -> bool:
    shown = truth.present[rows[0]].nonzero().flatten()
    return photos.without_part(int(rows[0]), photos.landmark_names.index(truth.names[int(shown[0])])) is not None


def _batches(count: int) -> Sequence[Tensor]:
    """Places 0 to count - 1 in batches of nearly the same size."""
    return torch.arange(count).tensor_split(-(-count // BATCH)) if count else ()


@torch.no_grad()
def _outputs(subject: Subject, features: Features, judged: Tensor) -> Outputs:
    performer, explainer = subject.performer, subject.explainer.eval()
    tap, own = _rounded(features.tap), tuple(_rounded(target) for target in features.targets)
    parts, ordinary = explainer.encode(tap)
    values = []
    for targets in (own, explainer.decode(parts.output, ordinary.output)):
        score = performer.resume(targets[-1], "last").gather(1, judged.to(targets[-1].device)[:, None])
        values += [activated(performer, targets)[-1].flatten(1).cpu(), score.cpu()]
    return Outputs(values[0], values[2], torch.cat([values[1], values[3]], 1))


def _changes(columns: Tensor, before: Outputs, after: Outputs) -> Changed:
    d, e = (after.own - before.own[columns]).double(), (after.rebuilt - before.rebuilt[columns]).double()
    other = e.roll(1, 0) if len(e) > 1 else torch.full_like(e, torch.nan)
    return Changed(
        columns,
        d.square().sum(1),
        e.square().sum(1),
        (d * e).sum(1),
        (d * other).sum(1),
        other.square().sum(1),
        after.scores - before.scores[columns],
    )


def _rounded(features: Tensor) -> Tensor:
    """As the cache keeps features, so that what did not change does not differ."""
    return features.half().to(features.dtype)


def _numbers(changed: Changed, norm: Tensor, counts: Int[Tensor, "b n"]) -> dict[str, Any]:
    weights = counts[:, changed.columns]
    numbers = {
        "correlation": _correlation(changed.own, changed.rebuilt, changed.common, weights),
        "null_other_image": _correlation(changed.own, changed.other_rebuilt, changed.other, weights),
        "ratio": _ratio(changed.rebuilt, changed.own, weights),
        "size": ratio_number(changed.own, norm, weights),
        "performer_score": mean_number(changed.scores[:, 0], weights),
        "explainer_score": mean_number(changed.scores[:, 1], weights),
    }
    return {name: number.as_json() for name, number in numbers.items()}


def _correlation(own: Tensor, rebuilt: Tensor, common: Tensor, weights: Tensor) -> Number:
    """Sum of d . e over images, over the root of both sums of squares."""

    def of(w: Tensor) -> Tensor:
        return (w @ common) / ((w @ own) * (w @ rebuilt)).sqrt()

    value = of(torch.ones(1, len(own), dtype=torch.float64))
    return interval(float(value), of(weights.double()), len(own), least=-1.0, most=1.0)


def _ratio(above: Tensor, below: Tensor, weights: Tensor) -> Number:
    value, low, high, n = ratio_number(above, below, weights)
    return Number(value**0.5, low**0.5, high**0.5, n)
