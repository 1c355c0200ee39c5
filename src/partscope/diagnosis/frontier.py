"""What a fit with another eta gains and costs: one row of the frontier."""

from collections.abc import Iterator
from typing import Any

from partscope.diagnosis.diagnose import Subject, observed, p_number
from partscope.diagnosis.fidelity import fidelity
from partscope.diagnosis.number import paired_difference, resample
from partscope.settings import DiagnoseSettings
from partscope.training import winner


def measure_point(subject: Subject, settings: DiagnoseSettings) -> Iterator[int | dict[str, Any]]:
    """Measures p and the fidelity of an explainer on the test images, and nothing else.

    Args:
        subject: what is measured; landmarks are not needed.
        settings: how it is measured.

    Yields:
        Images done so far, and last the numbers, named as in a row of ``frontier`` in ``diagnosis.json``: ``p``,
        ``fvu`` of the last target, ``parts_only_fvu`` of the part track alone, and with labels ``error`` and
        ``added_error``, without them ``disagreement``.
    """
    seen = yield from observed(subject)
    counts = resample(len(subject.store), settings.resamples)
    found = fidelity(seen, subject.right, subject.performer.target_names, counts)
    row = {
        "p": p_number(subject, seen, counts).as_json(),
        "fvu": found["full"]["fvu"][-1],
        "parts_only_fvu": found["parts_only"]["fvu"][-1],
        found["measure"]: found["full"][found["measure"]],
    }
    if subject.right is not None:
        judged = subject.right >= 0
        before = (winner(seen.scores) != subject.right)[judged]
        after = (winner(seen.rebuilt["full"]) != subject.right)[judged]
        worse, better = int((after & ~before).sum()), int((before & ~after).sum())
        row["added_error"] = paired_difference(worse, better, int(judged.sum())).as_json()
    yield row
