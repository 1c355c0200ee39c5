"""Location instability of predictors that never look at the image: the yardsticks of a table.

Each follows the protocol of :func:`partscope.maths.instability.location_deviation` with the ``top`` images
drawn at random, since a predictor without activations ranks none, and averages over several draws.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from partscope.maths.instability import location_instability, weighted_deviation


def null_center(
    landmarks: Float[Tensor, "N K 2"],
    present: Bool[Tensor, "N K"],
    *,
    size: tuple[int, int],
    generator: torch.Generator,
    top: int | None = 100,
    draws: int = 20,
    count: Int[Tensor, "*B N"] | None = None,
) -> Float[Tensor, "*B"]:
    """Instability of a filter that always fires at the centre of the crop.

    Args:
        landmarks: (row, column) in px; ignored where absent.
        present: does the image show the landmark?
        size: (height, width) of the crop in px.
        generator: source of the random images.
        top: images per draw and landmark; None for all.
        draws: number of draws.
        count: how often every image occurs, with any leading axes; None: once.

    Returns:
        Instability as a fraction of the diagonal, float64, over landmarks on at least 2 images; ``nan`` if none is.

    >>> landmark = torch.tensor([[[4.0, 1.0]], [[1.0, 4.0]]])
    >>> yes = torch.ones(2, 1, dtype=torch.bool)
    >>> null_center(landmark, yes, size=(9, 9), generator=torch.Generator()).item()
    0.0
    """
    centre = torch.tensor([[(size[0] - 1) / 2, (size[1] - 1) / 2]], device=landmarks.device)
    return _fixed_point_instability(landmarks, present, centre, math.hypot(*size), generator, top, draws, count)[..., 0]


def null_best_fixed(
    landmarks: Float[Tensor, "N K 2"],
    present: Bool[Tensor, "N K"],
    candidates: Float[Tensor, "C 2"],
    *,
    size: tuple[int, int],
    generator: torch.Generator,
    top: int | None = 100,
    draws: int = 20,
    count: Int[Tensor, "*B N"] | None = None,
) -> Float[Tensor, "*B"]:
    """Instability of the best filter that always fires at the same point.

    The least value over the candidate points, chosen anew for every row of ``count``.

    Args:
        landmarks: (row, column) in px; ignored where absent.
        present: does the image show the landmark?
        candidates: points to choose from, (row, column) in px, as a rule the centres of all units.
        size: (height, width) of the crop in px.
        generator: source of the random images.
        top: images per draw and landmark; None for all.
        draws: number of draws.
        count: how often every image occurs, with any leading axes; None: once.

    Returns:
        Instability as a fraction of the diagonal, float64, over landmarks on at least 2 images; ``nan`` if none is.

    >>> landmark = torch.tensor([[[3.0, 0.0]], [[0.0, 3.0]]])
    >>> yes, points = torch.ones(2, 1, dtype=torch.bool), torch.tensor([[0.0, 8.0], [5.0, 5.0]])
    >>> null_best_fixed(landmark, yes, points, size=(9, 9), generator=torch.Generator()).item()
    0.0
    """
    return _fixed_point_instability(
        landmarks, present, candidates, math.hypot(*size), generator, top, draws, count
    ).amin(-1)


def null_random(
    landmarks: Float[Tensor, "N K 2"],
    present: Bool[Tensor, "N K"],
    candidates: Float[Tensor, "C 2"],
    *,
    size: tuple[int, int],
    generator: torch.Generator,
    top: int | None = 100,
    draws: int = 20,
    count: Int[Tensor, "*B N"] | None = None,
) -> Float[Tensor, "*B"]:
    """Instability of a filter that fires at a unit drawn at random in every image.

    Args:
        landmarks: (row, column) in px; ignored where absent.
        present: does the image show the landmark?
        candidates: points to draw from, (row, column) in px, as a rule the centres of all units.
        size: (height, width) of the crop in px.
        generator: source of the random points and images.
        top: images per draw and landmark; None for all.
        draws: number of draws.
        count: how often every image occurs, with any leading axes; None: once.

    Returns:
        Instability as a fraction of the diagonal, float64, over landmarks on at least 2 images; ``nan`` if none is.

    >>> landmark, yes = torch.zeros(2, 1, 2), torch.ones(2, 1, dtype=torch.bool)
    >>> same = torch.tensor([[3.0, 4.0], [4.0, 3.0]])
    >>> null_random(landmark, yes, same, size=(9, 9), generator=torch.Generator()).item()
    0.0
    """
    n_images = len(landmarks)
    scores = _random(n_images, draws, generator, landmarks.device)
    picked = torch.randint(len(candidates), (n_images, draws), generator=generator, device=generator.device)
    return location_instability(
        candidates[picked.to(candidates.device)],
        scores,
        torch.ones_like(scores, dtype=torch.bool),
        landmarks,
        present,
        diagonal=math.hypot(*size),
        top=top,
        count=count,
    ).mean(-1)


def _random(n_images: int, draws: int, generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.rand(n_images, draws, generator=generator, device=generator.device).to(device)


def _fixed_point_instability(
    landmarks: Tensor,
    present: Tensor,
    candidates: Tensor,
    diagonal: float,
    generator: torch.Generator,
    top: int | None,
    draws: int,
    count: Tensor | None,
) -> Tensor:
    n_images = len(landmarks)
    lead = () if count is None else tuple(count.shape[:-1])
    repeats = torch.ones(1, n_images) if count is None else count.reshape(-1, n_images)
    repeats = repeats.to(device=landmarks.device, dtype=torch.float64)
    limit = math.inf if top is None else top
    draws = 1 if top is None else draws
    order = _random(n_images, draws, generator, landmarks.device).T.argsort(-1)
    back = order.argsort(-1)
    delta = landmarks[:, :, None].double() - candidates.double()
    distance = torch.linalg.vector_norm(delta, dim=-1).where(present[..., None], 0)
    centre = distance.sum(0) / present.sum(0).clamp(min=1)[:, None]
    distance = (distance - centre).where(present[..., None], 0)
    deviations = []
    for k in range(present.shape[1]):
        times = repeats[:, order] * present[:, k][order]
        taken = torch.minimum(times, (limit - times.cumsum(-1) + times).clamp(min=0))
        taken = taken.gather(-1, back.expand_as(taken))
        n = taken.sum(-1)[..., None].expand(-1, -1, len(candidates))
        total, squares = taken @ distance[:, k], taken @ distance[:, k].square()
        deviations.append(weighted_deviation(n, total, squares) / diagonal)
    return torch.stack(deviations).nanmean(0).mean(1).reshape(*lead, len(candidates))
