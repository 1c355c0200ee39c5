"""Part share: how much of the performer's evidence stands out in few places, on unlabelled images."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from partscope.diagnosis.number import Number, dyadic_number
from partscope.maths import evidence_profile, normal_profile, part_share, smoothed
from partscope.performers import Performer
from partscope.training import FeatureStore, winner

PAIRS, STEPS = 300, 6
LEAST, LEAST_RARE = 30, 5
"""Images below which nothing is said, in all and of answers other than the most frequent one."""
SHARE, NULL, LESS_NULL = "part_share", "part_share_null", "part_share_less_null"
LEAST_UNITS = 36
"""Units of the tap below which few places cannot be told from everywhere."""


class Contrast(NamedTuple):
    """What tells pairs of images apart that the performer answers differently."""

    first: Int[Tensor, " m"]
    second: Int[Tensor, " m"]
    """Rows of the two images."""
    gap: Float[Tensor, " m"]
    """``g(first) - g(second)``, nats: g is the score of the first's answer minus that of the second's."""
    evidence: Float[Tensor, " m"]
    """Sum of the evidence over the tap's units, nats; the gap but for the steps' error."""
    profile: Float[Tensor, "m u"]
    """Evidence of the units after smoothing, from the strongest to the weakest."""
    rarer: int
    """Images whose answer is not the most frequent one, or is it, whichever are fewer."""


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


def contrast(
    performer: Performer, store: FeatureStore, *, pairs: int = PAIRS, seed: int = 0, batch_size: int = 50
) -> Contrast | None:
    """Finds the evidence that tells images apart, unit by unit of the tap.

    For images i and j with answers a and b, ``g = z_a - z_b``. A unit's evidence is the integral of g's gradient along
    the straight way from j's features to i's, times their difference, summed over channels (integrated gradients,
    Sundararajan et al. 2017, with the other image as the baseline): over all units it adds up to ``g(i) - g(j)``.

    Args:
        performer: the network.
        store: its features.
        pairs: at most so many.
        seed: of the pairs.
        batch_size: pairs at a time.

    Returns:
        What was found; None where there are fewer than `LEAST` images, or fewer than `LEAST_RARE` whose answer is
        not the most frequent one, or the tap has fewer than `LEAST_UNITS` units.
    """
    if store.rows([0]).tap[0, 0].numel() < LEAST_UNITS:
        return None
    with torch.no_grad():
        scores = torch.cat([_scores(performer, f.tap).cpu() for _, f in store.batches(batch_size)])
    answer = winner(scores)
    if len(answer) < LEAST or len(answer) - int(torch.bincount(answer).max()) < LEAST_RARE:
        return None
    first, second = differing_pairs(answer, pairs, torch.Generator().manual_seed(seed))
    gap, total, profile = [], [], []
    for i, j in zip(torch.split(first, batch_size), torch.split(second, batch_size), strict=True):
        evidence = _evidence(performer, store.rows(i).tap, store.rows(j).tap, answer[i], answer[j]).cpu()
        gap.append(margin(scores[i], answer[i], answer[j]) - margin(scores[j], answer[i], answer[j]))
        total.append(evidence.sum((1, 2)))
        profile.append(evidence_profile(smoothed(evidence)))
    other = len(answer) - int(torch.bincount(answer).max())
    rarer = min(other, len(answer) - other)
    return Contrast(first, second, torch.cat(gap), torch.cat(total), torch.cat(profile), rarer)


def part_share_numbers(found: Contrast | None) -> dict[str, Number]:
    """The part share, its null and their paired difference, with intervals over images; nan without a contrast.

    The null is the share of evidence that has each pair's mean and variance and is normally distributed over the units
    (`partscope.maths.normal_profile`).
    """
    if found is None:
        return dict.fromkeys((SHARE, NULL, LESS_NULL), Number(float("nan"), float("nan"), float("nan"), 0))
    own, null = found.profile.double(), normal_profile(found.profile.double())
    units = own.shape[1]

    def number(of: Callable[[Tensor], Tensor], least: float) -> Number:
        rows = torch.cat([own, null], 1)
        return dyadic_number(of, rows, found.first, found.second, freedom=found.rarer - 1, least=least, most=1.0)

    return {
        SHARE: number(lambda mean: part_share(mean[:, :units]), 0.0),
        NULL: number(lambda mean: part_share(mean[:, units:]), 0.0),
        LESS_NULL: number(lambda mean: part_share(mean[:, :units]) - part_share(mean[:, units:]), -1.0),
    }


def margin(scores: Float[Tensor, "m c"], first: Int[Tensor, " m"], second: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Score of the first answer minus that of the second."""
    return (scores.gather(1, first[:, None]) - scores.gather(1, second[:, None]))[:, 0]


def _scores(performer: Performer, tap: Tensor) -> Tensor:
    """The scores; that of a single output stands beside a 0, the score of its opposite."""
    scores = performer.resume(tap, "tap")
    return scores if scores.shape[1] > 1 else torch.cat([torch.zeros_like(scores), scores], 1)


def _evidence(performer: Performer, own: Tensor, other: Tensor, first: Tensor, second: Tensor) -> Tensor:
    first, second, total = first.to(own.device), second.to(own.device), torch.zeros_like(own)
    for step in range(STEPS):
        way = (other + (step + 0.5) / STEPS * (own - other)).requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(margin(_scores(performer, way), first, second).sum(), way)
        total += gradient
    return ((own - other) * total / STEPS).sum(1)
