"""Shared fixtures; real data and the browser are skipped with a reason, never silently."""

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

REAL_DATA = Path(__file__).parents[1] / ".." / "shared" / "data"

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# `benchmarks` itself stays off the path: some of its scripts bear the names of folders here
for name in ("planted_truth", "detectors"):
    where = BENCHMARKS / name
    package = spec_from_file_location(name, where / "__init__.py", submodule_search_locations=[str(where)])
    assert package is not None and package.loader is not None
    sys.modules[name] = module_from_spec(package)
    package.loader.exec_module(sys.modules[name])


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
