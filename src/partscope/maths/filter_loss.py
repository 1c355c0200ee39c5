"""The exact filter loss: minus the mutual information between a filter's maps and part locations."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from partscope.maths.template import part_templates, template_scale, template_side

_ELEMENTS_AT_ONCE = 2**24


class FilterLossTerms(NamedTuple):
    """The three entropies whose sum, the first one negative, is the filter loss."""

    prior_entropy: Float[Tensor, "D"]
    """H(P), the constant log(n^2 + 1)."""
    category_entropy: Float[Tensor, "D"]
    """H(P'|X): doubt whether a map shows the part at all."""
    spatial_entropy: Float[Tensor, "D"]
    """sum p(P+, x) H(P+|x): doubt about where."""


def template_fit(x: Float[Tensor, "M D H W"]) -> Float[Tensor, "D M templates"]:
    """Fit of every map to every template, the negative one last.

    ``s[m, mu] = tr(x_m . T_mu) = sum_ij x_ij T_mu_ij`` with ``T_mu = tau m_mu`` and ``T_negative = -tau``
    everywhere.

    Args:
        x: maps after their ReLU; square.

    Returns:
        ``n^2 + 1`` fits per map.

    Raises:
        PerformerError: the maps are not square.

    >>> round(template_fit(torch.ones(1, 1, 3, 3))[0, 0, -1].item(), 6)
    -0.5

    Source: paper, Eq. 3.
    """
    n = template_side(x)
    positive = part_templates(n, dtype=x.dtype, device=x.device).reshape(n * n, n * n)
    table = template_scale(n) * torch.cat((positive, -torch.ones_like(positive[:1])))
    return x.flatten(2).transpose(0, 1) @ table.T


class _Fit(NamedTuple):
    log_prior: float
    log_map: Tensor  # log p(x_m), (D, M)
    information: Tensor  # log p(x_m|mu) / p(x_m), (D, M, n^2 + 1)


def _fit(x: Tensor) -> _Fit:
    s = template_fit(x)
    log_prior = -math.log(s.shape[-1])
    log_likelihood = s - s.logsumexp(1, keepdim=True)
    log_map = log_likelihood.logsumexp(-1) + log_prior
    return _Fit(log_prior, log_map, log_likelihood - log_map[..., None])


def _filters_at_once(x: Tensor) -> int:
    return max(1, _ELEMENTS_AT_ONCE // max(1, x.shape[0] * (x.shape[-1] * x.shape[-2] + 1)))


def filter_loss(x: Float[Tensor, "M D H W"]) -> Float[Tensor, "D"]:
    """Exact filter loss, per filter.

    ``Loss_f = -MI(X; P) = -sum_mu p(mu) sum_m p(x_m|mu) log[p(x_m|mu) / p(x_m)]`` (paper, Eq. 2), with the
    maps of one filter over M images as X and ``p(mu) = 1 / (n^2 + 1)``. It lies in
    ``[-min(log M, log(n^2 + 1)), 0]``, depends on M, and holds no category labels: use it as a monitor and
    train with the rules of :mod:`partscope.maths.filter_gradient`.

    Args:
        x: maps after their ReLU, before their mask; square.

    Returns:
        Loss in nats.

    Raises:
        PerformerError: the maps are not square.

    >>> x = torch.zeros(3, 1, 3, 3)
    >>> x[0, 0, 1, 1], x[0, 0, 1, 2] = 6, 1
    >>> x[1, 0, 0, 0], x[1, 0, 1, 0], x[1, 0, 2, 2] = 3, 1, 2
    >>> x[2, 0, 0, 1], x[2, 0, 1, 2], x[2, 0, 2, 0] = 1, 1, 1
    >>> round(filter_loss(x).item(), 6)
    -0.007201

    Source: paper, Eq. 2 and App. H; Zhang et al. 2018, "Interpretable CNNs", Eq. 2.
    """
    losses = []
    for part in torch.split(x, _filters_at_once(x), dim=1):
        log_prior, log_map, r = _fit(part)
        # sum_m p(x_m|mu) = sum_m p(x_m) = 1, so subtracting expm1(r) leaves the sum as it is and makes every
        # summand p (r e^r - e^r + 1) non-negative: no cancellation when the information is tiny.
        summand = log_map.exp()[..., None] * (r * r.exp() - r.expm1())
        losses.append(-math.exp(log_prior) * summand.sum((1, 2)))
    return torch.cat(losses)


def filter_loss_terms(x: Float[Tensor, "M D H W"]) -> FilterLossTerms:
    """The filter loss taken apart into three entropies.

    ``Loss_f = -H(P) + H(P'|X) + sum_m p(P+, x_m) H(P+|x_m)`` with ``P' = {negative, P+}`` (paper, App. H;
    the printed entropy of the third term lacks its minus sign).

    Args:
        x: maps after their ReLU, before their mask; square.

    Returns:
        The three entropies in nats, each >= 0.

    Raises:
        PerformerError: the maps are not square.

    >>> [round(v.item(), 6) for v in filter_loss_terms(torch.zeros(2, 1, 3, 3))]
    [2.302585, 0.325083, 1.977502]

    Source: paper, App. H; Zhang et al. 2018, "Interpretable CNNs", Eq. 5 to 7.
    """
    terms = [_terms(part) for part in torch.split(x, _filters_at_once(x), dim=1)]
    prior, category, spatial = (torch.cat(parts) for parts in zip(*terms, strict=True))
    return FilterLossTerms(prior, category, spatial)


def _terms(x: Tensor) -> FilterLossTerms:
    log_prior, log_map, r = _fit(x)
    log_posterior = r + log_prior
    log_location, log_absent = log_posterior[..., :-1], log_posterior[..., -1]
    log_present = log_location.logsumexp(-1)
    p_map = log_map.exp()
    category = -(p_map * (log_present.exp() * log_present + log_absent.exp() * log_absent)).sum(1)
    spatial = -(p_map * (log_location.exp() * (log_location - log_present[..., None])).sum(-1)).sum(1)
    return FilterLossTerms(torch.full_like(category, -log_prior), category, spatial)
