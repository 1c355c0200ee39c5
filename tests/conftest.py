"""Shared fixtures; real data and the browser are skipped with a reason, never silently."""

import os
from pathlib import Path

import pytest

REAL_DATA = Path(__file__).parents[1] / ".." / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if REAL_DATA.is_dir():
        return
    if os.environ.get("PARTSCOPE_REQUIRE_REAL_DATA"):
        raise pytest.UsageError(f"real data are required, and '{REAL_DATA}' is not there")
    reason = "needs the photographs and weights in ../shared/data, which are not here"
    for item in items:
        if item.get_closest_marker("real_data"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def real_data() -> Path:
    return REAL_DATA.resolve()
