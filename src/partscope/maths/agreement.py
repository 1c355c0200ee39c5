"""Do two ways of naming the same things agree? Read off their table of counts."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def normalised_mutual_information(table: Float[Tensor, "*B L K"]) -> Float[Tensor, "*B"]:
    """Mutual information of two labellings over the mean of their entropies.

    ``NMI = 2 MI(U; V) / (H(U) + H(V))``: 1 if either name tells the other, 0 if they are independent or if one of
    them never changes. It rises by chance alone with the number of labels: read it beside shuffled names.

    Args:
        table: how often label l (rows) meets name k (columns); counts need not be whole.

    Returns:
        Between 0 and 1, float64; ``nan`` for an empty table or where neither labelling ever changes.

    >>> normalised_mutual_information(torch.tensor([[3.0, 0.0], [0.0, 5.0]])).item()
    1.0
    >>> normalised_mutual_information(torch.tensor([[3.0, 5.0]])).item()
    0.0

    Source: Strehl and Ghosh 2002, with the arithmetic mean that scikit-learn takes.
    """
    share = table.double() / table.double().sum((-2, -1), keepdim=True)
    rows, columns = (torch.special.entr(share.sum(axis)).sum(-1) for axis in (-1, -2))
    together = torch.special.entr(share).flatten(-2).sum(-1)
    most = (rows + columns) / 2
    found: Tensor = ((rows + columns - together) / most).clamp(0, 1)
    return found.masked_fill(~(most > 0), math.nan)


def adjusted_rand_index(table: Float[Tensor, "*B L K"]) -> Float[Tensor, "*B"]:
    """Share of pairs that two labellings both join or both part, beyond chance.

    ``ARI = (sum_lk C(n_lk) - E) / ((A + B) / 2 - E)``, ``C(n) = n (n - 1) / 2``, A and B the sums of C over rows
    and over columns, ``E = A B / C(n)``: 1 for the same partition, 0 on average for independent ones, down to
    -.5. Many labels for one name cost.

    Args:
        table: how often label l (rows) meets name k (columns).

    Returns:
        At most 1, float64; ``nan`` with fewer than 2 things or where no partition could do better than chance.

    >>> round(adjusted_rand_index(torch.tensor([[2.0, 1.0], [0.0, 3.0]])).item(), 6)
    0.324324

    Source: Hubert and Arabie 1985.
    """
    counts = table.double()
    joined, rows, columns, pairs = (
        (n * (n - 1) / 2).flatten(1).sum(-1)
        for n in (
            counts.flatten(-2).reshape(-1, counts.shape[-2] * counts.shape[-1]),
            counts.sum(-1).reshape(-1, counts.shape[-2]),
            counts.sum(-2).reshape(-1, counts.shape[-1]),
            counts.sum((-2, -1)).reshape(-1, 1),
        )
    )
    chance = rows * columns / pairs
    best = (rows + columns) / 2
    found = (joined - chance) / (best - chance)
    return found.masked_fill(~(best - chance > 1e-12 * pairs), math.nan).reshape(table.shape[:-2])
