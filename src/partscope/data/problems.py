"""What is wrong with a data set, found all at once: each problem with its place and its remedy."""

import reprlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, final

from partscope.errors import DataError

SHOWN = 3
KEPT = 20
NOTHING = ""
"""What a problem takes that only repeats what is known."""

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
    takes: str | None = None
    """The row or image that is gone for it; None where `where` says that, `NOTHING` where all stay."""

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
        """Notes a fault; several of one image take it away once.

        Args:
            where: file with line or id.
            what: what was found.
            todo: what to do about it.
            image: the image that it takes away, in the reader's own terms; None where that is not known.
        """
        self.note(Problem(where, what, todo, takes=None if image is None else f"the image {image!r}"), image)
        if image is not None:
            self.images.add(image)

    def note(self, problem: Problem, image: Hashable) -> None:
        """Notes a fault of one of an image's objects; the image's others stay."""
        self._found.append((problem, image))

    def repeat(self, where: str, what: str, todo: str, image: Hashable = None) -> None:
        """Notes an entry that says again what another says: nothing is gone."""
        self.note(Problem(where, what, todo, takes=NOTHING), image)

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


def gone(problems: Iterable[Problem]) -> dict[str, str | None]:
    """The rows and files that are gone, each once however many faults it has, with its split where that is known.

    >>> line = Problem("a.csv, line 7", "the split 'x'", "mend it")
    >>> gone([line, line._replace(what="an empty file name"), line._replace(where="a.csv, line 8", takes=NOTHING)])
    {'a.csv, line 7': None}
    """
    found: dict[str, str | None] = {}
    for problem in problems:
        row = problem.where if problem.takes is None else problem.takes
        if row != NOTHING:
            found[row] = found.get(row) or problem.split
    return found


def left_out(problems: Iterable[Problem]) -> dict[str, Any]:
    """How many rows and files were left out, as the diagnosis keeps it: by split, with the first faults.

    >>> left_out([Problem("a.txt, line 7", "'four'", "mend it", "train")])["train"]
    1
    """
    once = list(dict.fromkeys(problems))
    sides = list(gone(once).values())
    return {
        "train": sides.count("train"),
        "test": sides.count("test"),
        "unknown": sides.count(None),
        "problems": [{"where": p.where, "what": p.what} for p in once[:KEPT]],
    }


def told_left_out(counts: Mapping[str, Any]) -> str:
    """What `left_out` counted, in a sentence; empty where nothing is gone.

    >>> told_left_out(left_out([Problem("a.csv, line 7", "no box", "mend it", "train")]))[:73]
    'Damaged rows or files were left out: 1 of the training, 0 of the test, 0 '
    """
    if not counts["train"] + counts["test"] + counts["unknown"]:
        return ""
    first = counts["problems"][0]
    return (
        f"Damaged rows or files were left out: {counts['train']:,} of the training, {counts['test']:,} of the test, "
        f"{counts['unknown']:,} of unknown split. The first fault is {first['where']}: {first['what']}."
    )
