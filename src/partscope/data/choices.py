"""Which categories, landmarks and images the settings keep."""

import hashlib
import math
from collections.abc import Sequence
from difflib import get_close_matches

from partscope.errors import DataError


def chosen(found: Sequence[str], wanted: tuple[str, ...], noun: str, setting: str) -> tuple[str, ...]:
    """The wanted names in the order asked for; all that were found if none is asked for.

    Args:
        found: names in the data, in their order.
        wanted: names in the settings.
        noun: what they name, e.g. ``category``.
        setting: where they are set, e.g. ``data.categories``.

    Raises:
        DataError: a wanted name is not in the data or is asked for twice.

    >>> chosen(["cat", "dog"], ("dog",), "category", "data.categories")
    ('dog',)
    """
    doing = f"choosing by the setting {setting}"
    listed = ", ".join(found[:40]) + (", ..." if len(found) > 40 else "")
    for k, name in enumerate(wanted):
        if name not in found:
            close = get_close_matches(name, found, n=1, cutoff=0.0)
            todo = f"the nearest is {close[0]!r}; there are: {listed}" if close else f"the data have no {noun}"
            raise DataError(doing, f"no {noun} {name!r} in the data", todo)
        if name in wanted[:k]:
            raise DataError(doing, f"{noun} {name!r} twice", "name it once")
    return wanted or tuple(found)


def held_out(name: str, test_share: float) -> bool:
    """Whether an image is for testing, decided by its name alone, the same on every machine.

    >>> [held_out(f"{k}.jpg", 0.5) for k in range(4)]
    [True, True, False, False]
    """
    number = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big")
    return number < test_share * 2**64


def authors_training(count: int) -> frozenset[int]:
    """Numbers (from 0) of the objects of one category that the authors of the paper train on.

    They take `round(linspace(1, n, round(0.9 n)))` of a list of n; MATLAB rounds halves up.

    >>> sorted(set(range(20)) - authors_training(20))
    [5, 14]
    """
    wanted = math.floor(0.9 * count + 0.5)
    step = (count - 1) / max(wanted - 1, 1)
    return frozenset(math.floor(1 + k * step + 0.5) - 1 for k in range(wanted))
