"""The course of the step size over training."""

import math
from collections.abc import Callable, Sequence

Course = Callable[[int, int], float]
"""Step size at a step, counted from 0, of so many steps."""


def cosine(top: float, warm_up: float = 0.0) -> Course:
    """A rise over the first share of the steps, then half a cosine to nearly 0.

    >>> [round(cosine(1.0, 0.25)(step, 8), 3) for step in (0, 1, 4)]
    [0.5, 0.962, 0.5]
    """

    def rate(step: int, steps: int) -> float:
        done = (step + 1) / steps
        return top * (done / warm_up if done < warm_up else 0.5 * (1 + math.cos(math.pi * step / steps)))

    return rate


def constant(top: float, warm_up: float = 0.0) -> Course:
    """A rise over the first share of the steps, then no change.

    >>> [constant(1.0, 0.5)(step, 4) for step in (0, 1, 3)]
    [0.5, 1.0, 1.0]
    """
    return lambda step, steps: top * min(1.0, (step + 1) / steps / warm_up if warm_up else 1.0)


def by_epoch(rates: Sequence[float]) -> Course:
    """One step size an epoch.

    >>> [by_epoch([3.0, 2.0])(step, 4) for step in range(4)]
    [3.0, 3.0, 2.0, 2.0]
    """
    return lambda step, steps: rates[step * len(rates) // steps]


def falling_rates(first: float, span: int, epochs: int) -> list[float]:
    """The released code's table: `span` values from ``first`` to a tenth of it by equal factors, then no change.

    >>> [round(rate, 3) for rate in falling_rates(1.0, 3, 5)]
    [1.0, 0.316, 0.1, 0.1, 0.1]
    """
    table = [first * 10 ** (-k / (span - 1)) for k in range(span)]
    return [table[min(k, span - 1)] for k in range(epochs)]
