"""Other definitions of a part share, to be judged beside the chosen one on the performers of development."""

from collections.abc import Callable

import torch
from torch import Tensor

from partscope.diagnosis.part_share import Contrast, _evidence, margin
from partscope.maths import evidence_profile, part_share, smoothed, spread_line
from partscope.performers import Performer
from partscope.training import FeatureStore

TOP, BAND = (0.0, 0.2), (0.35, 0.65)

NAMES = {
    "keep_only": "`A`: strongest fifth kept, all else filled with means, against another image's fifth",
    "top_swap": "strongest fifth of the units cut and pasted between the images, against another pair's fifth",
    "band_swap": "units of middle rank cut and pasted: 1 - what they move over what another pair's move",
    "top_evidence": "evidence of the strongest fifth, beyond a fifth of the whole",
    "median": "1 - middle half's evidence, continued to all units",
    "excess": "excess over the line alone, weight 1 - l/e",
    "less_fixed": "the chosen one, less what stands out at the places that other pairs with the same answers use",
    "times_shifted": "the chosen one, times what a shift of the map by a quarter of its side leaves of the margin",
    "single_units": "the chosen one, without the 3 x 3 means",
    "chosen": "**chosen**: units above the line, weight 1 - (l/e)^2",
}


def ranked(evidence: Tensor, ends: tuple[float, float]) -> Tensor:
    """Units of each map whose rank lies between two shares."""
    flat = evidence.flatten(1)
    first, last = (round(end * flat.shape[1]) for end in ends)
    order = flat.argsort(dim=1, descending=True)[:, first:last]
    return torch.zeros_like(flat, dtype=torch.bool).scatter_(1, order, True).view_as(evidence)


def at_common_places(evidence: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The profile of the evidence when units are ranked by the mean map of the other pairs with the same answers."""
    flat = evidence.flatten(1)
    key = torch.minimum(first, second) * 1000 + torch.maximum(first, second)
    profile = torch.zeros(1, flat.shape[1], dtype=torch.float64)
    for answers in key.unique():
        maps = flat[key == answers]
        others = maps.sum(0) - maps
        profile += maps.gather(1, others.argsort(dim=1, descending=True)).double().sum(0)
    return profile


def candidates(performer: Performer, store: FeatureStore, found: Contrast, keep_only: float) -> dict[str, float]:
    """The value of every definition on one performer."""
    own, other = store.rows(found.first).tap, store.rows(found.second).tap
    with torch.no_grad():
        scores = performer.resume(store.rows(range(len(store))).tap, "tap")
    answer = scores.argmax(1)
    first, second = answer[found.first], answer[found.second]
    evidence = _evidence(performer, own, other, first, second)
    gap = found.gap

    @torch.no_grad()
    def moved(where: Tensor) -> float:
        def with_patch(base: Tensor, patch: Tensor) -> Tensor:
            return margin(performer.resume(torch.where(where[:, None], patch, base), "tap"), first, second)

        whole = margin(scores[found.first], first, second), margin(scores[found.second], first, second)
        both = with_patch(other, own) - whole[1] + whole[0] - with_patch(own, other)
        return float(both.sum() / 2 / gap.sum())

    def against(ends: tuple[float, float]) -> tuple[float, float]:
        where = ranked(smoothed(evidence), ends)
        return moved(where), moved(where.roll(1, 0))

    @torch.no_grad()
    def left_after(shift: tuple[int, int]) -> float:
        shifted = [performer.resume(tap.roll(shift, (2, 3)), "tap") for tap in (own, other)]
        return float((margin(shifted[0], first, second) - margin(shifted[1], first, second)).sum() / gap.sum())

    top, top_null = against(TOP)
    band, band_null = against(BAND)
    profile = found.profile.double().sum(0, keepdim=True)
    units = profile.shape[1]
    total, half = profile.sum(), units // 2
    line = spread_line(profile)
    single = evidence_profile(evidence).double().sum(0, keepdim=True)
    quarter = own.shape[2] // 4
    left = min(left_after(way) for way in ((quarter, 0), (-quarter, 0), (0, quarter), (0, -quarter)))
    fixed = at_common_places(smoothed(evidence), first, second)
    values: dict[str, Callable[[], float]] = {
        "keep_only": lambda: keep_only,
        "top_swap": lambda: (top - top_null) / (1 - top_null),
        "band_swap": lambda: 1 - band / band_null,
        "top_evidence": lambda: float((profile[:, : round(0.2 * units)].sum() / total - 0.2) / 0.8),
        "median": lambda: float(1 - profile[:, units // 4 : 3 * units // 4].mean() / profile.mean()),
        "excess": lambda: float((profile - line)[:, :half].clamp(min=0).sum() / profile.clamp(min=0).sum()),
        "less_fixed": lambda: float(part_share(profile) - part_share(fixed)),
        "times_shifted": lambda: float(part_share(profile)) * max(0.0, left),
        "single_units": lambda: float(part_share(single)),
        "chosen": lambda: float(part_share(profile)),
    }
    return {name: min(1.0, max(0.0, value())) for name, value in values.items()}
