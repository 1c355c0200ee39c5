"""What each part adds to the score, against what its absence takes away (paper, Fig. 5)."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from partscope.diagnosis.ablation import Ablation
from partscope.diagnosis.grouping import Grouping, nearest
from partscope.diagnosis.number import Number, interval, mean_number, rank_number, ratio_number
from partscope.diagnosis.observe import Peaks
from partscope.diagnosis.stability import Truth
from partscope.maths import peak_spread

NOTHING = Number(float("nan"), float("nan"), float("nan"), 0)
LEAST_PARTS = 3
"""Parts with filters below which a rank correlation says nothing."""


def by_part(contribution: Float[Tensor, "n f"], grouping: Grouping) -> Float[Tensor, "n p"]:
    """Contributions of each part on each image: the sum over its filters."""
    return torch.stack([contribution[:, filters].double().sum(1) for filters in grouping.members], 1)


def shares(
    contribution: Float[Tensor, "n f"], grouping: Grouping, owned: Bool[Tensor, " n"], counts: Int[Tensor, "b n"]
) -> list[Number]:
    """Each part's signed share of what the part track adds to the scores of images with an object; they add to 1.

    Without a value where :func:`partscope.diagnosis.parts.contribution_shares` has none.
    """
    parts = by_part(contribution, grouping) * owned[:, None]
    single = contribution[owned].double().mean(0)
    if not float(single.sum()) > 1e-9 * float(single.abs().sum()):
        return [NOTHING._replace(n=int(owned.sum()))] * parts.shape[1]
    drawn = counts.double() @ parts
    whole = drawn.sum(1, keepdim=True)
    replicates = (drawn / whole).where(whole > 0, torch.nan)
    value = parts.sum(0) / parts.sum()
    return [interval(float(value[k]), replicates[:, k], int(owned.sum())) for k in range(parts.shape[1])]


def absolute_shares(
    contribution: Float[Tensor, "n f"], grouping: Grouping, owned: Bool[Tensor, " n"], counts: Int[Tensor, "b n"]
) -> list[Number]:
    """The same of absolute values: each filter's mean contribution without its sign; they add to 1."""
    single = contribution.double() * owned[:, None]

    def of(weights: Tensor) -> Tensor:
        mean = (weights.double() @ single).abs()
        return torch.stack([mean[:, filters].sum(1) for filters in grouping.members], 1) / mean.sum(1, keepdim=True)

    value, replicates = of(owned[None]), of(counts)
    return [
        interval(float(value[0, k]), replicates[:, k], int(owned.sum()), least=0.0, most=1.0)
        for k in range(len(grouping.names))
    ]


def confirmed(
    peaks: Peaks,
    valid: Bool[Tensor, "n f"],
    grouping: Grouping,
    truth: Truth,
    scored: Bool[Tensor, " n"],
    category: Int[Tensor, " n"],
    counts: Int[Tensor, "b n"],
) -> list[tuple[Number, Number]]:
    """On the images that did not vote: how often a part's peaks lie nearest to its landmark, and its null.

    The null asks the same of the landmarks of another image of the same category: what the positions alone,
    or a constant, would confirm.

    Args:
        peaks: the layer's peaks.
        valid: images that speak for each filter.
        grouping: filters by landmark.
        truth: the landmarks.
        scored: images that did not vote.
        category: category of each image.
        counts: bootstrap multiplicities.
    """
    scored = scored & truth.present.any(1)
    other = torch.arange(len(scored))
    for c in torch.unique(category[scored]):
        rows = (scored & (category == c)).nonzero().flatten()
        other[rows] = rows.roll(1)
    moved = Truth(truth.names, truth.landmarks[other], truth.present[other])
    choices = [nearest(peaks.points, t) for t in (truth, moved)]
    found = []
    for k, filters in enumerate(grouping.members[:-1]):
        shown = valid[:, filters] & scored[:, None]
        numbers = []
        for choice in choices:
            hits = ((choice[:, filters] == k) & shown).sum(1).double()
            number = ratio_number(hits, shown.sum(1).double(), counts)
            numbers.append(number._replace(high=min(number.high, 1.0), n=int(shown.any(1).sum())))
        found.append((numbers[0], numbers[1]))
    return found


def ranks(x: Float[Tensor, "*B p"]) -> Float[Tensor, "*B p"]:
    """Ranks from 0, ties shared.

    >>> ranks(torch.tensor([3.0, 1.0, 1.0])).tolist()
    [2.0, 0.5, 0.5]
    """
    below, same = (x[..., :, None] > x[..., None, :]).sum(-1), (x[..., :, None] == x[..., None, :]).sum(-1)
    return below.double() + (same - 1) / 2


def rank_correlation(x: Float[Tensor, "*B p"], y: Float[Tensor, "*B p"]) -> Float[Tensor, "*B"]:
    """Spearman's rank correlation over the last axis; nan where all values of one side are equal.

    >>> round(rank_correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 9.0, 4.0])).item(), 6)
    0.5
    """
    a, b = (r - r.mean(-1, keepdim=True) for r in (ranks(x), ranks(y)))
    return (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum(-1)).sqrt()


def correlations(
    contribution: Float[Tensor, "n f"], grouping: Grouping, taken: Ablation, counts: Int[Tensor, "b n"]
) -> dict[str, Number]:
    """Do parts that contribute more take more away when they go?

    Rank correlation over parts that have filters, of their summed contributions with the change that their
    absence makes: of means over images, with an interval over parts, and the mean over images of each image's own.
    The nulls put the number of a part's filters in place of its contribution.
    """
    keep = [k for k, filters in enumerate(grouping.members) if len(filters)]
    drawn = counts[:, taken.rows]
    if len(keep) < LEAST_PARTS or len(taken.rows) < 2:
        names = ("parts", "within_image", "null_parts", "null_within_image")
        return dict.fromkeys(names, NOTHING._replace(n=len(taken.rows)))
    added = by_part(contribution[taken.rows], grouping)[:, keep]
    gone = (taken.score[:, None] - taken.without[:, keep]).double()
    sizes = torch.tensor([float(len(grouping.members[k])) for k in keep], dtype=torch.float64)
    found = {}
    for prefix, predicted in (("", added), ("null_", sizes.expand_as(added))):
        found[f"{prefix}parts"] = rank_number(float(rank_correlation(predicted.mean(0), gone.mean(0))), len(keep))
        within = mean_number(rank_correlation(predicted, gone), drawn, least=-1.0)
        found[f"{prefix}within_image"] = within._replace(high=min(within.high, 1.0))
    return found


def contributions(
    contribution: Float[Tensor, "n f"], grouping: Grouping, taken: Ablation, counts: Int[Tensor, "b n"]
) -> dict[str, Any]:
    """How well gradient x activation accounts for the score, and how well it predicts ablation."""
    weights = counts[:, taken.rows]
    attributed = contribution[taken.rows].double().sum(1)
    track = (taken.score - taken.silent).double()
    gap = ratio_number((attributed - track).abs(), track.abs(), weights)
    return {
        "attributed": mean_number(attributed, weights).as_json(),
        "part_track": mean_number(track, weights).as_json(),
        "completeness_gap": gap.as_json(),
        "rank_correlation": {
            name: n.as_json() for name, n in correlations(contribution, grouping, taken, counts).items()
        },
    }


def part_rows(
    contribution: Float[Tensor, "n f"],
    grouping: Grouping,
    taken: Ablation,
    peaks: Peaks,
    shown: Bool[Tensor, "n f"],
    checks: list[tuple[Number, Number]] | None,
    owned: Bool[Tensor, " n"],
    diagonal: float,
    counts: Int[Tensor, "b n"],
) -> list[dict[str, Any]]:
    """One row a part, the largest share first and `other` last."""
    signed, absolute = (of(contribution, grouping, owned, counts) for of in (shares, absolute_shares))
    weights = counts[:, taken.rows]
    rows = []
    for k, filters in enumerate(grouping.members):
        last = k == len(grouping.names) - 1
        several = shown[:, filters].sum(1) > 1
        width = (peak_spread(peaks.points[:, filters], shown[:, filters]) / diagonal).where(several, torch.nan)
        check = None if checks is None or last else checks[k]
        gone = (taken.score - taken.without[:, k]).double()
        rows.append(
            {
                "name": grouping.names[k],
                "landmark": grouping.names[k] if grouping.named and not last else None,
                "filters": filters.tolist(),
                "filter_share": len(filters) / len(grouping.part),
                "contribution": signed[k].as_json(),
                "absolute_contribution": absolute[k].as_json(),
                "ablation": (mean_number(gone, weights) if len(filters) else NOTHING).as_json(),
                "width": mean_number(width, counts, least=0.0).as_json(),
            }
        )
        if check is not None:
            rows[-1] |= {"confirmed": check[0].as_json(), "null_confirmed": check[1].as_json()}
    rank = [-torch.inf if n.value != n.value else n.value for n in signed]
    order = sorted(range(len(rows) - 1), key=lambda k: -rank[k])
    return [rows[k] for k in (*order, len(rows) - 1)]
