"""Training rules of the filter loss: what to add to the gradient of a filter's maps.

The exact loss knows no categories. Each rule here picks one target template per map (the one at its own peak
on images of the filter's category, the negative template on the others) and pushes the map towards it.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from partscope.errors import SettingsError
from partscope.maths.filter_loss import template_fit
from partscope.maths.location import part_location
from partscope.maths.template import part_templates, template_scale, template_side

Weight = Float[Tensor, "D"] | float


def _target(x: Tensor, positive: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    n = template_side(x)
    location = part_location(x)
    unit = location.unit.masked_fill(~positive, n * n)
    templates = part_templates(n, dtype=x.dtype, device=x.device)
    table = torch.cat((templates, -torch.ones_like(templates[:1])))
    return unit, location.peak, table[unit]


def _lists(positive: Tensor, counted: Tensor | None) -> tuple[Tensor, Tensor]:
    taking_part = torch.ones_like(positive) if counted is None else counted
    return positive & taking_part, ~positive & taking_part


def _list_mean(w: Tensor, listed: Tensor) -> Tensor:
    return w.masked_fill(~listed, 0).sum(0) / listed.sum(0).clamp(min=1)


def _log_mean_exp(t: Tensor, listed: Tensor) -> Tensor:
    return t.masked_fill(~listed, -math.inf).logsumexp(0) - listed.sum(0).to(t.dtype).log()


def _robust_weight(t: Tensor, listed: Tensor) -> Tensor:
    highest = t.masked_fill(~listed, -math.inf).amax(0)
    w = (t - highest).exp() * (t - _log_mean_exp(t, listed) + 1).clamp(min=0)
    mean = _list_mean(w, listed)
    return torch.where(mean > 0, w / mean, 1.0).masked_fill(~listed, 0)


def robust_gradient(
    x: Float[Tensor, "M D H W"],
    positive: Bool[Tensor, "M D"],
    mean_peak: Float[Tensor, "D"],
    *,
    counted: Bool[Tensor, "M D"] | None = None,
    weight_positive: Weight = 1.0,
    weight_negative: Weight = 1.0,
) -> Float[Tensor, "M D H W"]:
    """Gradient of the robust rule: scale-free weights that never turn negative.

    ``g_m = -w_m tau m_hat``, with ``m_hat`` the template (height 1, lowest value -1) at the map's peak, or -1
    everywhere for a negative. Per filter, and apart for positives and negatives,
    ``t_m = 2 mean_ij(x_m m_hat) / mean_peak``, ``c = log mean exp t``,
    ``w_m = exp(t_m - max t) max(t_m - c + 1, 0)``, divided by its mean over the list. Positives without a
    positive activation stay out of their list and get no push.

    Args:
        x: maps after their ReLU, before their mask; square.
        positive: does the image belong to the filter's category?
        mean_peak: running mean over positive images of a filter's peak, in units of x; 0 counts as 1.
        counted: images that take part at all; a filter without a category counts none and gets no push.
        weight_positive: balance weight of the positive list, per filter or for all.
        weight_negative: balance weight of the negative list.

    Returns:
        What to add to the gradient of x; descending it trains the filter.

    Raises:
        PerformerError: the maps are not square.

    >>> x = torch.zeros(2, 1, 3, 3)
    >>> x[0, 0, 1, 1], x[1, 0, 0, 0] = 4, 2
    >>> g = robust_gradient(x, torch.tensor([[True], [False]]), torch.tensor([4.0]))
    >>> [round(v, 6) for v in (18 * g[0, 0, 1]).tolist()], round(18 * g[1, 0, 0, 0].item(), 6)
    ([0.333333, -1.0, 0.333333], 1.0)

    Source: after paper, App. H (target template) and the weights of the code of Zhang et al. 2018.
    """
    x = x.detach()
    _, peak, template = _target(x, positive)
    scale = torch.where(mean_peak > 0, mean_peak, 1.0).detach()
    t = 2 * (x * template).mean((2, 3)) / scale
    listed_positive, listed_negative = _lists(positive, counted)
    w_positive = weight_positive * _robust_weight(t, listed_positive & (peak > 0))
    w_negative = weight_negative * _robust_weight(t, listed_negative)
    return -template_scale(x.shape[-1]) * (w_positive + w_negative)[..., None, None] * template


def paper_gradient(
    x: Float[Tensor, "M D H W"],
    positive: Bool[Tensor, "M D"],
    *,
    counted: Bool[Tensor, "M D"] | None = None,
) -> Float[Tensor, "M D H W"]:
    """Gradient of the paper's approximation: the target template alone, with its minus sign restored.

    ``g_m = -p(T_hat) p(x_m|T_hat) {tr(x_m . T_hat) - log[Z_T_hat p(x_m)]} T_hat``. The bracket may be
    negative; then a weak positive is pushed down and a strong negative up.

    Args:
        x: maps after their ReLU, before their mask; square.
        positive: does the image belong to the filter's category?
        counted: images that take part at all, in Z and p(x) too.

    Returns:
        What to add to the gradient of x; descending it raises the mutual information.

    Raises:
        PerformerError: the maps are not square.

    >>> x = torch.zeros(2, 1, 3, 3)
    >>> x[0, 0, 1, 1] = 6
    >>> g = paper_gradient(x, torch.tensor([[True], [False]]))
    >>> round(1000 * g[0, 0, 1, 1].item(), 6), round(1000 * g[1, 0, 1, 1].item(), 6)
    (-0.79371, 0.220942)

    Source: paper, App. H (the printed formula lacks the minus sign of Eq. 2).
    """
    x = x.detach()
    unit, _, template = _target(x, positive)
    s = template_fit(x).transpose(0, 1)
    listed_positive, listed_negative = _lists(positive, counted)
    taking_part = listed_positive | listed_negative
    log_likelihood = s - s.masked_fill(~taking_part[..., None], -math.inf).logsumexp(0)
    prior = 1 / s.shape[-1]
    log_map = log_likelihood.logsumexp(-1) + math.log(prior)
    log_target = log_likelihood.gather(-1, unit[..., None])[..., 0]
    w = prior * log_target.exp() * (log_target - log_map)
    w = w.masked_fill(~taking_part, 0)
    return -template_scale(x.shape[-1]) * w[..., None, None] * template


def centroid_templates(x: Float[Tensor, "M D H W"], *, steepness: float = 2.0) -> Float[Tensor, "M D H W"]:
    """Templates of the released code: around the rounded centre of mass, on a grid from -1 to 1.

    ``m[i, j] = max(1 - steepness (|g_i - g_mu_row| + |g_j - g_mu_column|), -1)`` with g running from -1 to 1
    in n steps. A centre half way between two units belongs to the later one; that of a silent map is the
    first unit.

    Args:
        x: maps after their ReLU; square.
        steepness: fall per half side of the map.

    Returns:
        Templates in [-1, 1].

    Raises:
        PerformerError: the maps are not square.

    >>> x = torch.zeros(1, 1, 3, 3)
    >>> x[0, 0, 0, 0], x[0, 0, 2, 2] = 1, 2
    >>> centroid_templates(x)[0, 0, 1].tolist()
    [-1.0, 1.0, -1.0]

    Source: code released with Zhang et al. 2018, "Interpretable CNNs".
    """
    n = template_side(x)
    position = torch.arange(1, n + 1, dtype=x.dtype, device=x.device)
    mass = x.sum((2, 3)).clamp(min=1e-9)
    grid = torch.linspace(-1, 1, n, dtype=x.dtype, device=x.device)
    offsets = []
    for share in (x.sum(3), x.sum(2)):
        centre = ((share * position).sum(2) / mass + 0.5).floor().clamp(1, n).long() - 1
        offsets.append((grid - grid[centre][..., None]).abs())
    row, column = offsets
    return (1 - steepness * (row[..., :, None] + column[..., None, :])).clamp(min=-1)


def _released_weight(strength: Tensor, log_mean: Tensor, listed: Tensor) -> Tensor:
    half = 0.5
    t = strength / half
    highest = t.masked_fill(~listed, -math.inf).amax(0)
    w = (t - highest).exp() * (strength - half * log_mean + half)
    mean = _list_mean(w, listed)
    return torch.where(mean != 0, w / mean, 0.0).masked_fill(~listed, 0)


def released_gradient(
    x: Float[Tensor, "M D H W"],
    positive: Bool[Tensor, "M D"],
    *,
    epoch: int,
    weight_positive: Weight = 1.0,
    weight_negative: Weight = 1.0,
    counted: Bool[Tensor, "M D"] | None = None,
) -> Float[Tensor, "M D H W"]:
    """Gradient of the code that was released with the interpretable CNN, step by step.

    With ``m`` the template around the centre of mass and ``s = mean_ij(x m)``: positives get
    ``w = exp(2 s) (s - c + 0.5)``, negatives the same with ``s = -mean_ij x``; ``c`` is half the log of the
    batch mean of ``exp(2 s)``, for positives with the templates of the filters and images in reverse order.
    Weights are divided by their mean over the list and multiplied by ``1e-5 * 0.1 / epoch``. A list whose
    mean weight is negative turns its signs, as in the original; exponents are shifted by their maximum, which
    cancels, so that nothing overflows.

    Args:
        x: maps after their ReLU; square.
        positive: does the image belong to the filter's category?
        epoch: number of the epoch, from 1.
        weight_positive: balance weight of the positive list, per filter or for all.
        weight_negative: balance weight of the negative list.
        counted: images that take part at all, in the batch means too.

    Returns:
        What to add to the gradient of x, summed over the batch, not averaged.

    Raises:
        PerformerError: the maps are not square.
        SettingsError: the epoch is below 1.

    >>> x = torch.zeros(2, 1, 3, 3)
    >>> x[0, 0, 1, 1], x[1, 0, 0, 0] = 4, 2
    >>> g = released_gradient(x, torch.tensor([[True], [False]]), epoch=2)
    >>> round(1e6 * g[0, 0, 1, 1].item(), 6), round(1e6 * g[1, 0, 1, 1].item(), 6)
    (-0.5, 0.5)

    Source: code released with Zhang et al. 2018, "Interpretable CNNs".
    """
    if epoch < 1:
        raise SettingsError(
            "weighing the released filter loss",
            f"epoch {epoch}",
            "count epochs from 1: the weight is 0.1 / epoch",
        )
    x = x.detach()
    template = centroid_templates(x)
    listed_positive, listed_negative = _lists(positive, counted)
    batch = listed_positive | listed_negative
    fit, activity = (x * template).mean((2, 3)), -x.mean((2, 3))
    stand_in = (x * template.flip(0, 1)).mean((2, 3))
    w_positive = _released_weight(fit, _log_mean_exp(2 * stand_in, batch), listed_positive)
    w_negative = _released_weight(activity, _log_mean_exp(2 * activity, batch), listed_negative)
    push = (weight_negative * w_negative)[..., None, None] - (weight_positive * w_positive)[..., None, None] * template
    return 1e-5 * 0.1 / epoch * push
