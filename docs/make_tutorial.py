"""Makes docs/tutorial.ipynb from docs/tutorial.py: the same cells, executed, without times, paths or random names.

Command:   python docs/make_tutorial.py
Expected:  two minutes on one core; needs the `dev` extra (nbclient, nbformat, ipykernel).

The script is plain Python in percent format: `# %%` begins a code cell, `# %% [markdown]` one of prose.
"""

import os
import re
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCRIPT, NOTEBOOK = HERE / "tutorial.py", HERE / "tutorial.ipynb"


def cells(script: str) -> list[tuple[str, str]]:
    """Cells of a script in percent format, as (`code` or `markdown`, text)."""
    found = []
    for head, body in re.findall(r"^# %%(.*)\n((?:(?!# %%).*\n?)*)", script, re.M):
        if head.strip() == "[markdown]":
            found.append(("markdown", "\n".join(line[2:] for line in body.strip().splitlines())))
        else:
            found.append(("code", body.strip()))
    return found


def unexecuted(script: str) -> Any:
    """A notebook of the script's cells, named by their number."""
    from nbformat import v4

    make = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}
    made = [make[kind](text, id=f"cell-{n:02}") for n, (kind, text) in enumerate(cells(script))]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return v4.new_notebook(cells=made, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def executed(notebook: Any) -> Any:
    """Runs a notebook in an empty folder and leaves out what differs from one run or machine to the next."""
    from nbclient import NotebookClient

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["PYTHONWARNINGS"] = "ignore"  # of libraries about the machine, with paths on it
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=1200, record_timing=False, resources=place).execute()
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/jpeg", None)  # the same picture as image/png
    return notebook


def main() -> None:
    """Writes the notebook."""
    import nbformat

    notebook = executed(unexecuted(SCRIPT.read_text(encoding="utf-8")))
    NOTEBOOK.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
