"""What is wrong with a data set, found all at once: each problem with its place and its remedy."""

import reprlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, final

from partscope.errors import DataError

SHOWN = 3
KEPT = 20

_SHORT = reprlib.Repr()
_SHORT.maxstring, _SHORT.maxlist, _SHORT.maxdict, _SHORT.maxother, _SHORT.maxlevel = 60, 6, 3, 60, 2


class Problem(NamedTuple):
    """One fault of a data set; what it concerns is left out where the settings say so."""

    where: str
    """File with line, row or id, e.g. ``bounding_boxes.txt, line 7`` or ``images/cat/001.jpg``."""
    what: str
    """What was found."""
    todo: str
    """What to do about it."""
    split: str | None = None
    """`train` or `test`: from whose images it takes something; None where the fault hides that."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.todo})"


@final
class Faults:
    """Problems as a reader meets them, each with the image that it concerns, whose split may be known only later."""

    def __init__(self) -> None:
        self.images: set[Hashable] = set()
        """Images that have a fault; they are left out."""
        self._found: list[tuple[Problem, Hashable]] = []

    def add(self, where: str, what: str, todo: str, image: Hashable = None) -> None:
        """Notes a fault.

        Args:
            where: file with line or id.
            what: what was found.
            todo: what to do about it.
            image: the image that it takes away, in the reader's own terms; None where that is not known.
        """
        self.note(Problem(where, what, todo), image)
        if image is not None:
            self.images.add(image)

    def note(self, problem: Problem, image: Hashable) -> None:
        """Notes a fault of one of an image's objects; the image's others stay."""
        self._found.append((problem, image))

    def problems(self, split_of: Mapping[Any, str], unwanted: Iterable[Hashable] = ()) -> tuple[Problem, ...]:
        """All problems in the order in which they were met.

        Args:
            split_of: `train` or `test` for the images of which that is known.
            unwanted: images that the settings do not ask for; their faults trouble nobody.
        """
        passed_over = set(unwanted)
        told = [p._replace(split=split_of.get(i)) for p, i in self._found if i not in passed_over]
        return tuple(dict.fromkeys(told))


def brief(value: object) -> str:
    """A value as it may stand in a message: quoted, printable, and not too long.

    >>> brief("two\\nlines"), len(brief("x" * 9999))
    ("'two\\\\nlines'", 60)
    """
    try:
        return _SHORT.repr(value)
    except RecursionError:
        return f"a deeply nested {type(value).__name__}"


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


def left_out(problems: Iterable[Problem]) -> dict[str, Any]:
    """How many rows and files were left out, as the diagnosis keeps it: by split, with the first of them.

    >>> left_out([Problem("a.txt, line 7", "'four'", "mend it", "train")])["train"]
    1
    """
    once = list(dict.fromkeys(problems))
    return {
        "train": sum(p.split == "train" for p in once),
        "test": sum(p.split == "test" for p in once),
        "unknown": sum(p.split not in ("train", "test") for p in once),
        "problems": [{"where": p.where, "what": p.what} for p in once[:KEPT]],
    }
