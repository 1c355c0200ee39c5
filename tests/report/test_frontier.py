"""The frontier is shown where the diagnosis has one, and nothing otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import make_diagnosis, number, write_run

from partscope.report import write_report
from partscope.report.estimate import Diagnosis
from partscope.report.frontier import frontier

FITS = [
    {"eta": 1.0, "p": number(0.62, 0.01), "fvu": number(0.20, 0.02), "error": number(0.03, 0.01), "part_share": 0.4},
    {"eta": 0.1, "p": number(0.22, 0.01), "fvu": number(0.10, 0.02), "error": number(0.02, 0.01), "part_share": None},
    {"eta": 0.5, "p": number(0.42, 0.01), "fvu": number(0.12, 0.02), "error": number(0.02, 0.01), "part_share": 0.3},
]
Make = Callable[..., tuple[Path, dict[str, Any]]]


def test_fits_lie_by_p_and_fvu_in_the_order_of_eta() -> None:
    found = frontier(Diagnosis({**make_diagnosis(), "frontier": FITS}))
    assert found is not None
    assert [point.label for point in found.points] == ["0.1", "0.5", "1"]
    assert [point.mine for point in found.points] == [False, True, False]
    assert (found.first, found.last) == ("0.200", "0.700")
    assert (found.bottom, found.top) == ("0.100", "0.200")
    assert [(point.left, point.top) for point in found.points] == [
        (pytest.approx(4), pytest.approx(100)),
        (pytest.approx(44), pytest.approx(80)),
        (pytest.approx(84), pytest.approx(0)),
    ]
    assert found.columns == ["eta", "p", "fvu", "error", "part_share"]
    assert [cell is None for cell in found.rows[0].cells] == [False, False, False, False, True]
    assert found.in_words == (
        "FVU of the last target over the mixing weight p: eta 0.100, p 0.220, fvu 0.100; "
        "eta 0.500, p 0.420, fvu 0.120; eta 1.000, p 0.620, fvu 0.200"
    )


@pytest.mark.parametrize(
    "given", [None, [], FITS[:1], "much", [1, 2], [{"eta": 1}, {"eta": 2}], [*FITS[:1], {"p": 0.3}]]
)
def test_nothing_is_shown_of_less_than_two_fits(given: Any) -> None:
    assert frontier(Diagnosis({**make_diagnosis(), "frontier": given})) is None


def test_page_has_the_section_only_then(make_run: Make, tmp_path: Path) -> None:
    folder, diagnosis = make_run()
    assert "chart-frontier" not in write_report(folder).read_text(encoding="utf-8")
    write_run(folder, {**diagnosis, "frontier": FITS})
    text = write_report(folder).read_text(encoding="utf-8")
    assert 'id="chart-frontier"' in text and '<a href="#frontier">' in text
    assert 'data-field="frontier.0.p" data-kind="plain" data-value="0.62"' in text
