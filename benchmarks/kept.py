"""What benchmarks measured: a JSON file each in `benchmarks/figures`, or in the folder that PARTSCOPE_FIGURES names."""

import json
import os
from pathlib import Path
from typing import Any

KEPT = Path(os.environ.get("PARTSCOPE_FIGURES", Path(__file__).parent / "figures"))


def keep(name: str, command: str, content: dict[str, Any]) -> None:
    """Keeps what a benchmark measured, with the command that measures it again."""
    KEPT.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"command": command, **content}, indent=1, sort_keys=True) + "\n"
    (KEPT / f"{name}.json").write_text(text, encoding="utf-8")


def read(folder: Path, name: str) -> dict[str, Any]:
    """What a benchmark kept in a folder."""
    content: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return content


def kept(name: str) -> dict[str, Any]:
    """What a benchmark kept."""
    return read(KEPT, name)


def has_kept(name: str) -> bool:
    """Whether a benchmark kept anything."""
    return (KEPT / f"{name}.json").exists()
