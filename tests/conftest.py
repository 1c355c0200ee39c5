"""Shared fixtures; real data and the browser are skipped with a reason, never silently."""

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

REAL_DATA = Path(__file__).parents[1] / ".." / "shared" / "data"

PLANTED = Path(__file__).parents[1] / "benchmarks" / "planted_truth"

# `benchmarks` itself stays off the path: some of its scripts bear the names of folders here
planted = spec_from_file_location("planted_truth", PLANTED / "__init__.py", submodule_search_locations=[str(PLANTED)])
assert planted is not None and planted.loader is not None
sys.modules["planted_truth"] = module_from_spec(planted)
planted.loader.exec_module(sys.modules["planted_truth"])


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
