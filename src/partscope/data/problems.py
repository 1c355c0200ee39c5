"""What is wrong with a data set, found all at once: each problem with its place and its remedy."""

from collections.abc import Sequence
from typing import NamedTuple

from partscope.errors import DataError

SHOWN = 3


class Problem(NamedTuple):
    """One fault of a data set; what it concerns is left out where the settings say so."""

    where: str
    """File with line, row or id, e.g. ``bounding_boxes.txt, line 7`` or ``images/cat/001.jpg``."""
    what: str
    """What was found."""
    todo: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.todo})"


def refuse(problems: Sequence[Problem], doing: str) -> None:
    """Stops at a data set with problems; the first few are told, all are counted.

    Raises:
        DataError: there is at least one.

    >>> refuse([], "listing the images")
    """
    if not problems:
        return
    told = "; ".join(f"{p.where}: {p.what}" for p in problems[:SHOWN])
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    raise DataError(
        doing,
        told + more,
        f"{problems[0].todo}; `partscope data CONFIG` lists every problem, --data.on_problem skip leaves them out",
    )
