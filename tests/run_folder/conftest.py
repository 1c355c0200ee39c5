"""One whole run, shared and never written to."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from run_folder.runs import go


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    go(folder)
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a copy of the whole run without some of its files."""

    def copy(*without: str) -> Path:
        return Path(shutil.copytree(whole, tmp_path / "run", ignore=shutil.ignore_patterns(*without)))

    return copy
