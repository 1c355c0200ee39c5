"""Writing files so that nothing is lost: whole or not at all, and never a pickle."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from partscope.errors import RunError


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Lets ``write`` fill a temporary file beside ``path``, then puts it in place in one step.

    Args:
        path: the file to make or replace; its folder is made if needed.
        write: called with the temporary file's path.

    Raises:
        RunError: the disk is full or the folder cannot be written; ``path`` is as it was.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{path.name}.*.tmp"):  # by a process that was killed while it wrote
            left.unlink(missing_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        # safetensors tells the system's errors in its own class, as "I/O error: ... (os error 28)".
        if isinstance(error, OSError) or (isinstance(error, Exception) and "(os error " in str(error)):
            raise _cannot_write(path, error) from error
        raise


def append_line(path: Path, line: str) -> None:
    """Adds one line of UTF-8 to a file, which is made if needed.

    Raises:
        RunError: the disk is full or the file cannot be written; the line may be there in part.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: BaseException) -> RunError:
    return RunError(
        f"writing '{path}'",
        str(error),
        "free some space or make the folder writable, then run the same command again: it resumes",
    )


def write_text(path: Path, text: str) -> None:
    """Writes ``text`` as UTF-8, whole or not at all."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_whole(path, write)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes ``content`` as indented JSON, whole or not at all; ``nan`` is refused (use null)."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: Path, doing: str) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        RunError: the file is missing or is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(doing, f"there is no '{path}'", "give the folder of a finished `partscope fit`") from None
    except (OSError, ValueError) as error:
        raise RunError(doing, f"'{path}' cannot be read: {error}", "restore the file or fit again") from error
    if not isinstance(content, dict):
        raise RunError(doing, f"'{path}' holds no JSON object", "restore the file or fit again")
    return content
