"""The first definition of a part share, `A`, kept as the baseline: evidence kept alone, all else filled with means."""

import torch
from torch import Tensor

from partscope.diagnosis.part_share import margin
from partscope.maths import smoothed
from partscope.performers import Performer

AREA = 0.2


def keep_only_advantage(performer: Performer, tap: Tensor, seed: int = 0) -> float:
    """``A = (R(own K) - R(K of another image)) / (1 - R(K of another image))``, negatives 0.

    K holds the `AREA` of the units with the largest |gradient x activation| for the margin of the answer over the next
    one; features outside K become channel means, and R is the variance of the centred scores that then remains. The
    original took K from an explainer's part track; here it is the performer's own, which needs no fit. Images change
    places within their answers.
    """
    way = tap.clone().requires_grad_()
    scores = performer.resume(way, "tap")
    top = scores.topk(2, dim=1).indices
    (gradient,) = torch.autograd.grad(margin(scores, top[:, 0], top[:, 1]).sum(), way)
    strength = smoothed((gradient * tap).abs().sum(1)).flatten(1)
    where = strength >= strength.quantile(1 - AREA, dim=1, keepdim=True)
    where = where.view(len(tap), *tap.shape[2:])
    generator = torch.Generator().manual_seed(seed)
    other = torch.arange(len(tap))
    for answer in top[:, 0].unique():
        rows = (top[:, 0] == answer).nonzero()[:, 0]
        other[rows] = rows[torch.randperm(len(rows), generator=generator)].roll(1)
    mean = tap.mean((0, 2, 3), keepdim=True)
    truth = centred(scores.detach())

    def kept(mask: Tensor) -> float:
        with torch.no_grad():
            rebuilt = centred(performer.resume(torch.where(mask[:, None], tap, mean), "tap"))
        return float(1 - (rebuilt - truth).square().sum() / (truth - truth.mean(0)).square().sum())

    own, null = kept(where), max(kept(where[other]), 0.0)
    return max(0.0, (own - null) / (1 - null))


def centred(scores: Tensor) -> Tensor:
    """Scores less their mean over classes."""
    return scores - scores.mean(1, keepdim=True)
