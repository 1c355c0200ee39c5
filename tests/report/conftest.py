from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import make_diagnosis, make_gallery, write_run


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., tuple[Path, dict[str, Any]]]:
    def make(rows: int = 4, images: int = 3, **variant: Any) -> tuple[Path, dict[str, Any]]:
        diagnosis = make_diagnosis(**variant)
        return write_run(tmp_path / "run", diagnosis, make_gallery(diagnosis, rows=rows, images=images)), diagnosis

    return make
