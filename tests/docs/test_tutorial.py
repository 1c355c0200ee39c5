"""The tutorial is its script, executed: whole, without errors, and without a trace of the machine that ran it."""

import json
import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import doc_checks as docs
import pytest

MAKER = docs.ROOT / "docs" / "make_tutorial.py"
SIZES = "TRAIN, TEST, EPOCHS = 1500, 400, 8"

spec = spec_from_file_location("make_tutorial", MAKER)
assert spec is not None and spec.loader is not None
maker = module_from_spec(spec)
spec.loader.exec_module(maker)

SCRIPT = maker.SCRIPT.read_text(encoding="utf-8")
BOOK: dict[str, Any] = json.loads(maker.NOTEBOOK.read_text(encoding="utf-8"))
CODE = [cell for cell in BOOK["cells"] if cell["cell_type"] == "code"]


def text_of(lines: Any) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def test_cells_are_read_from_a_script() -> None:
    script = "# %% [markdown]\n# # A\n#\n# b\n\n# %%\nx = 1\n\n\ndef f():\n    # no cell\n    return x\n\n# %%\nf()\n"
    code = "x = 1\n\n\ndef f():\n    # no cell\n    return x"
    assert maker.cells(script) == [("markdown", "# A\n\nb"), ("code", code), ("code", "f()")]


def test_the_notebook_is_the_script() -> None:
    """After a change of the script: python docs/make_tutorial.py."""
    assert [(cell["cell_type"], text_of(cell["source"])) for cell in BOOK["cells"]] == maker.cells(SCRIPT)


def test_it_was_run_from_top_to_bottom_without_a_complaint() -> None:
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    outputs = [output for cell in CODE for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "display_data", "execute_result"}
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}
    shown = [kind for output in outputs for kind in output.get("data", {})]
    assert shown.count("image/png") >= 2 and shown.count("text/html") >= 6 and "image/jpeg" not in shown


def test_it_says_nothing_of_the_machine() -> None:
    assert BOOK["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert [cell["id"] for cell in BOOK["cells"]] == [f"cell-{n:02}" for n in range(len(BOOK["cells"]))]
    assert all(cell["metadata"] == {} for cell in BOOK["cells"])
    text = re.sub(r"[A-Za-z0-9+/=\\n]{200,}", "", json.dumps(BOOK, ensure_ascii=False))
    assert len(text) < 60_000, "only pictures were taken out"
    assert docs.forbidden("docs/tutorial.ipynb", text) == []
    assert maker.NOTEBOOK.stat().st_size < 1_500_000


def test_its_prose_names_what_is_there() -> None:
    for kind, text in maker.cells(SCRIPT):
        if kind == "markdown":
            assert docs.wrong_links(maker.SCRIPT, text) + docs.wrong_commands(text) + docs.wrong_settings(text) == []
    for page in ("README.md", "docs/index.md", "docs/how-to/read-the-report.md"):
        assert "tutorial.ipynb)" in (docs.ROOT / page).read_text(encoding="utf-8"), page


def test_its_last_words_hold_for_the_numbers_above_them() -> None:
    printed = "".join(text_of(output["text"]) for cell in CODE for output in cell["outputs"] if "text" in output)

    def numbers(pattern: str) -> list[float]:
        found = re.search(pattern.replace("#", r"(-?\d+(?:\.\d+)?)"), printed)
        assert found is not None, pattern
        return [float(value) for value in found.groups()]

    own, theirs = numbers(r"R2 with the nearest landmark, filters +# .*\n   network's top layer +#")
    assert own > 3 * theirs
    rows = re.findall(r"^(\w[\w ]+?) +(\d+)   (-?[\d.]+)  \(.*?\) +([\d.]+|-) +([\d.]+|-)$", printed, re.M)
    assert rows[0][0] == "torso" and 0.4 < float(rows[0][2]) < 0.6
    assert rows[-1][0] == "other" and float(rows[-1][2]) > 0.5 * (1 - float(rows[0][2]))
    assert all(float(row[3]) > float(row[4]) for row in rows[:-1])
    (fall,) = numbers(r"the right score falls by #")
    mean, _, most = numbers(r"as many: mean #, from # to # in 20 draws")
    assert fall <= mean + 0.1 < most


@pytest.mark.parametrize("sizes", ["TRAIN, TEST, EPOCHS = 96, 48, 1"])
def test_its_code_runs(tmp_path: Path, sizes: str) -> None:
    code = [text for kind, text in maker.cells(SCRIPT) if kind == "code"]
    assert SIZES in code[0]
    script = tmp_path / "tutorial.py"
    script.write_text("\n\n".join(code).replace(SIZES, sizes), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert (tmp_path / "creatures" / "report.html").is_file()
    assert "% of the answers change" in done.stdout
