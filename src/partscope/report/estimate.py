"""Numbers of a diagnosis as a person reads them."""

import json
from typing import Any, NamedTuple

NOT_COMPUTED = "not computed"


class Estimate(NamedTuple):
    """One number of a diagnosis with its interval, its count and its place in the file."""

    field: str
    """Dotted path in ``diagnosis.json``, e.g. ``fidelity.full.fvu.0``."""
    value: float | None
    """The estimate; none where it could not be computed."""
    low: float | None
    """Lower end of the 95 % interval."""
    high: float | None
    """Upper end of the 95 % interval."""
    n: int
    """How many images (or filters) it rests on."""

    @property
    def reach(self) -> float:
        """The larger of the value and the interval's upper end; 0 where there is neither."""
        return max(self.value or 0.0, self.high or 0.0)

    def apart(self, other: "Estimate") -> bool:
        """True when the intervals do not overlap; without intervals, when the values differ."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return self.value != other.value
        return self.high < other.low or other.high < self.low


class Diagnosis:
    """A checked ``diagnosis.json``, read by dotted path."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def get(self, field: str, default: Any = None) -> Any:
        """Whatever stands at a dotted path, or the default where the path ends early."""
        node: Any = self.document
        for key in field.split("."):
            if isinstance(node, list) and key.isdigit() and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, dict) and key in node:
                node = node[key]
            else:
                return default
        return node

    def estimate(self, field: str) -> Estimate:
        """The number at a dotted path; one without a value where the path ends early."""
        node = self.get(field)
        if not isinstance(node, dict):
            return Estimate(field, None, None, None, 0)
        return Estimate(field, node["value"], node["low"], node["high"], node["n"])


def plain(value: float | None) -> str:
    """A number with three decimals, or with one significant digit where those would hide it.

    Example:
        >>> plain(0.0944), plain(-0.0002), plain(None)
        ('0.094', '−0.0002', 'not computed')
    """
    if value is None:
        return NOT_COMPUTED
    text = f"{value:.1g}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"
    return text.replace("-", "−", 1) if value < 0 else text


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal.

    Example:
        >>> percent(0.0225)
        '2.2%'
    """
    if value is None:
        return NOT_COMPUTED
    text = f"{100 * value:.1g}%" if 0 < abs(value) < 0.0005 else f"{100 * value:.1f}%"
    return text.replace("-", "−", 1) if value < 0 else text


def share(value: float | None) -> str:
    """A filter's share of the score as a percentage with two decimals.

    Example:
        >>> share(-0.0031)
        '−0.31%'
    """
    return NOT_COMPUTED if value is None else f"{100 * value:.2f}%".replace("-", "−", 1)


def pixels(value: float | None, diagonal: float) -> str:
    """A fraction of the crop's diagonal in pixels.

    Args:
        value: fraction of the diagonal.
        diagonal: the crop's diagonal, px.

    Example:
        >>> pixels(0.094, 321.0)
        '30.2 px'
    """
    return NOT_COMPUTED if value is None else f"{value * diagonal:.1f} px"


def locations(value: float | None) -> str:
    """A number of places with one decimal."""
    return NOT_COMPUTED if value is None else f"{value:,.1f}"


def exact(value: Any) -> str:
    """A value as JSON writes it, for the attributes that tests and scripts read."""
    return json.dumps(value)


def words(names: list[str]) -> str:
    """A list in words.

    Example:
        >>> words(["back", "forehead", "tail"])
        'back, forehead and tail'
    """
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1] if names else "") if part)
