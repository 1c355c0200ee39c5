"""Part share: how much of the performer's decisions rests on a few places of the image, by cut and paste at the tap."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from partscope.diagnosis.number import Number, interval
from partscope.maths import moved, part_share, pasted, ranked_band, smoothed
from partscope.performers import Performer
from partscope.training import FeatureStore, winner

START, STOP = 0.35, 0.65
"""The band of middle rank; parts, and what the tap's receptive fields smear of them, may fill the units above it."""
PAIRS, STEPS = 300, 4
LEAST = 30


class Pasted(NamedTuple):
    """What cut and paste did to each pair of images that the performer answers differently."""

    first: Int[Tensor, " m"]
    second: Int[Tensor, " m"]
    """Rows of the two images."""
    gap: Float[Tensor, " m"]
    """``g(first) - g(second)``, nats: g is the score of the first's answer minus that of the second's."""
    band: Float[Tensor, " m"]
    """What the units of middle rank move of it."""
    control: Float[Tensor, " m"]
    """What the units of another pair's band move of it."""


def differing_pairs(
    answer: Int[Tensor, " n"], count: int, generator: torch.Generator
) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"]]:
    """Draws pairs of images with different answers, every image about equally often; none if all answers agree."""
    rounds, first, second = -(-count // max(1, len(answer))), [], []
    for _ in range(4 * rounds):
        one, two = torch.randperm(len(answer), generator=generator), torch.randperm(len(answer), generator=generator)
        apart = answer[one] != answer[two]
        first.append(one[apart])
        second.append(two[apart])
    return torch.cat(first)[:count], torch.cat(second)[:count]


def paste_pairs(
    performer: Performer, store: FeatureStore, *, pairs: int = PAIRS, seed: int = 0, batch_size: int = 50
) -> Pasted | None:
    """Cuts and pastes the tap's features of unlabelled images.

    For images i and j with answers a and b, ``g = z_a - z_b``. A unit's evidence is the integral of g's gradient along
    the straight way from j's features to i's, times their difference, summed over channels: over all units it adds up
    to ``g(i) - g(j)``. The units are ranked by it (3 x 3 means), and those of middle rank change their owner.

    Args:
        performer: the network.
        store: its features.
        pairs: at most so many.
        seed: of the pairs.
        batch_size: pairs at a time.

    Returns:
        What came of it; None where fewer than `LEAST` pairs have different answers.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        scores = torch.cat([_scores(performer, f.tap) for _, f in store.batches(batch_size)])
    answer = winner(scores)
    first, second = differing_pairs(answer, pairs, generator)
    if len(first) < LEAST:
        return None
    gap, bands, rows = [], [], range(0, len(first), batch_size)
    for start in rows:
        i, j = first[start : start + batch_size], second[start : start + batch_size]
        evidence = _evidence(performer, store.rows(i).tap, store.rows(j).tap, answer[i], answer[j])
        bands.append(ranked_band(smoothed(evidence), START, STOP))
        gap.append(margin(scores[i], answer[i], answer[j]) - margin(scores[j], answer[i], answer[j]))
    band = torch.cat(bands)
    found: dict[str, list[Tensor]] = {"band": [], "control": []}
    for start in rows:
        i, j = first[start : start + batch_size], second[start : start + batch_size]
        for name, where in (("band", band), ("control", band.roll(1, 0))):
            here = where[start : start + batch_size]
            found[name].append(_moved(performer, store, i, j, here, scores, answer))
    return Pasted(first, second, torch.cat(gap), torch.cat(found["band"]), torch.cat(found["control"]))


def part_share_number(found: Pasted | None, counts: Int[Tensor, "b n"]) -> Number:
    """The part share with its bootstrap interval over images; nan where too few pairs differ in their answers."""
    if found is None:
        return Number(float("nan"), float("nan"), float("nan"), 0)
    images = len(torch.unique(torch.cat([found.first, found.second])))
    weight = (counts[:, found.first] * counts[:, found.second]).double()
    value = part_share(found.band, found.control, torch.ones(1, len(found.band)))
    return interval(float(value), part_share(found.band, found.control, weight), images, least=0.0, most=1.0)


def margin(scores: Float[Tensor, "m c"], first: Int[Tensor, " m"], second: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Score of the first answer minus that of the second."""
    return (scores.gather(1, first[:, None]) - scores.gather(1, second[:, None]))[:, 0]




def _scores(performer: Performer, tap: Tensor) -> Tensor:
    """The scores; those of a single output stand beside a 0, the score of its opposite."""
    scores = performer.resume(tap, "tap")
    if scores.shape[1] > 1:
        return scores.cpu()
    return torch.cat([torch.zeros_like(scores), scores], 1).cpu()


def _evidence(performer: Performer, own: Tensor, other: Tensor, a: Tensor, b: Tensor) -> Tensor:
    total = torch.zeros_like(own)
    for step in range(STEPS):
        way = (other + (step + 0.5) / STEPS * (own - other)).requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(margin(_scores(performer, way), a, b).sum(), way)
        total += gradient
    return ((own - other) * total / STEPS).sum(1)


@torch.no_grad()
def _moved(
    performer: Performer, store: FeatureStore, i: Tensor, j: Tensor, where: Tensor, scores: Tensor, answer: Tensor
) -> Tensor:
    own, other, a, b = store.rows(i).tap, store.rows(j).tap, answer[i], answer[j]
    where = where.to(own.device)
    into = margin(_scores(performer, pasted(other, own, where)), a, b)
    out_of = margin(_scores(performer, pasted(own, other, where)), a, b)
    return moved(into, out_of, margin(scores[i], a, b), margin(scores[j], a, b))
