"""The documentation holds: what it names is there, what it quotes runs, and it speaks of this project alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import doc_checks as docs
import pytest
import yaml

from partscope.settings import job_from_dict, made_from_dict, resolve
from partscope.train_settings import TrainJob, resolve_training

PAGES = docs.pages()
RECORDS = sorted((docs.ROOT / "docs" / "decisions").glob("*.md"))
MAP = docs.ROOT / "docs" / "paper-map.md"
EXAMPLES = sorted((docs.ROOT / "examples").rglob("*.yaml"))


def name_of(path: Path) -> str:
    return path.relative_to(docs.ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    assert docs.wrong_links(page, page.read_text(encoding="utf-8")) == []


@every_page
def test_commands_and_settings_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert docs.wrong_commands(text) + docs.wrong_settings(text) == []


@every_page
def test_the_page_speaks_of_this_project_alone(page: Path) -> None:
    assert docs.forbidden(name_of(page), page.read_text(encoding="utf-8")) == []


@every_page
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    run, unsaid = docs.python_blocks(page.read_text(encoding="utf-8"))
    assert unsaid == [], "put <!-- test --> or <!-- not run: why --> before each python block"
    if not run:
        return
    script = tmp_path / "blocks.py"
    script.write_text("\n".join(run), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def test_the_readme_shows_python() -> None:
    run, _ = docs.python_blocks((docs.ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(run) >= 1


@every_page
def test_yaml_blocks_are_settings(page: Path) -> None:
    for block in docs.blocks(page.read_text(encoding="utf-8"), "yaml"):
        content = yaml.safe_load(block)
        if "train" in content:
            resolve_training(made_from_dict(content, TrainJob, "train-performer"))
        else:
            resolve(job_from_dict(content))


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_examples_are_settings(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    resolve(job_from_dict(yaml.safe_load(text)))
    assert docs.wrong_settings(text) + docs.forbidden(name_of(example), text) == []


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.stem)
def test_decision_records_have_their_headings(record: Path) -> None:
    assert docs.wrong_record(record.name, record.read_text(encoding="utf-8")) == []


def test_decision_records_are_numbered_and_listed() -> None:
    numbers = [int(record.name[:4]) for record in RECORDS]
    assert numbers == sorted(set(numbers))  # each its own; some may still be on their way
    index = (docs.ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [r.name for r in RECORDS if f"(decisions/{r.name})" not in index] == []


def test_the_index_lists_every_page() -> None:
    index = (docs.ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    below = [page.relative_to(docs.ROOT / "docs").as_posix() for page in PAGES if "docs" in page.parts]
    assert [page for page in below if page != "index.md" and f"({page})" not in index] == []


ROWS = docs.table(MAP.read_text(encoding="utf-8"))


def test_the_paper_map_has_four_columns() -> None:
    assert len(ROWS) > 30
    assert [row for row in ROWS if len(row) != 4] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_the_paper_map_is_true(row: list[str]) -> None:
    objects, tests = (re.findall(r"`([^`]+)`", cell) for cell in row[1:3])
    assert objects and tests, "name at least one function and one test"
    complaints = [docs.wrong_object(name) for name in objects] + [docs.wrong_test(name) for name in tests]
    assert [c for c in complaints if c] == []
    assert row[3] == "–" or "](decisions/" in row[3]


def test_every_decision_is_reached_from_the_paper_map_or_stands_beside_it() -> None:
    text = MAP.read_text(encoding="utf-8")
    assert [r.name for r in RECORDS if f"(decisions/{r.name})" not in text] == []


# ---- the checks themselves find what they look for


def test_links_that_lead_nowhere_are_found() -> None:
    page = docs.ROOT / "docs" / "page.md"
    text = "# A `b` c\n[x](nowhere.md) [y](../Makefile) [z](#a-b-c) [w](#d) [v](../../above.md)"
    page_itself = docs.ROOT / "README.md"
    assert docs.wrong_links(page, text.replace("[z](#a-b-c) [w](#d) ", "")) == [
        "nowhere.md: no such file",
        "../../above.md: no such file",
    ]
    assert docs.anchors(text) == {"a-b-c"}
    assert docs.wrong_links(page_itself, "[w](#no-such-heading-here)") == ["#no-such-heading-here: no such heading"]
    assert docs.wrong_links(page_itself, "`[a](b.md)`\n```sh\n[c](d.md)\n```\n[e](https://example.org)") == []


def test_commands_and_settings_that_do_not_exist_are_found() -> None:
    text = (
        "```sh\npartscope fit a.yaml \\\n  --out b --fit.epoch 3\npartscope fly  # up\nmake haste\nmake test\n"
        "python benchmarks/none.py\n```\n`partscope taps x` `partscope tops`"
    )
    assert docs.wrong_commands(text) == [
        "partscope fly # up: partscope has no command fly",
        "make haste: the Makefile has no target haste",
        "python benchmarks/none.py: no such script",
        "partscope tops: partscope has no command tops",
    ]
    assert docs.wrong_settings(text + "--fit.epochs --fat.epochs") == [
        "--fit.epoch: no such setting",
        "--fat.epochs: no such setting",
    ]


@pytest.mark.parametrize("text", ["in /work/x", "a session", "agents", "shared/data", "@@number@@", "see method.md"])
def test_forbidden_words_are_found(text: str) -> None:
    assert len(docs.forbidden("docs/page.md", text)) >= 1
    assert docs.forbidden("docs/page.md", "reagents, obsession, workplace") == []


def test_photographs_may_be_named_in_their_own_folder_only() -> None:
    assert docs.forbidden("examples/real_photos/README.md", "from `../shared/data`") == []
    assert len(docs.forbidden("examples/real_photos/README.md", "from `shared/data`")) == 1
    assert len(docs.forbidden("docs/page.md", "from `../shared/data`")) == 1


def test_python_blocks_without_a_mark_are_found() -> None:
    text = "<!-- test -->\n```python\na\n```\n\n```python\nb\n```\n<!-- not run: slow -->\n\n```python\nc\n```\n"
    assert docs.python_blocks(text) == (["a\n"], ["b\n"])


def test_records_of_another_form_are_found() -> None:
    good = "# 0001. Title\n" + "".join(f"\n## {h}\n\nText.\n" for h in docs.HEADINGS)
    assert docs.wrong_record("0001-title.md", good) == []
    assert docs.wrong_record("0002-title.md", good) == ["its first line is not '# 0002. ...'"]
    assert len(docs.wrong_record("0001-title.md", good.replace("## Choice", "## Chosen"))) == 1
    assert docs.wrong_record("0001-title.md", good.replace("\n\nText.\n\n## Choice", "\n\n## Choice")) == [
        "nothing under 'Context'"
    ]
    assert docs.wrong_record("0001-title.md", good + "\n" * 80) == ["longer than a page (80 lines)"]


def test_names_and_tests_that_do_not_exist_are_found() -> None:
    assert docs.wrong_object("partscope.maths.filter_loss") is None
    assert docs.wrong_object("partscope.settings.FitSettings.eta") is None
    assert docs.wrong_object("partscope.maths.filter_los") is not None
    assert docs.wrong_object("partscope.maths") == "partscope.maths: a module"
    assert docs.wrong_object("torch.nn.ReLU") == "torch.nn.ReLU: not of this package"
    assert docs.wrong_test("tests/maths/test_filters.py::test_check[worked_loss-filter_loss]") is None
    assert docs.wrong_test("tests/maths/test_filters.py::test_check[no_such-filter_loss]") is not None
    assert docs.wrong_test("tests/maths/test_filters.py::test_nothing") is not None
    assert docs.wrong_test("tests/maths/cases.py::close") is not None
    assert docs.wrong_test("tests/nowhere.py::test_a") is not None
    assert docs.wrong_test("src/partscope/settings.py::partscope.settings.resolve") is None
    assert docs.wrong_test("src/partscope/settings.py::partscope.settings.resolved") is not None
    assert (docs.wrong_test("src/partscope/cli.py::partscope.cli.run") or "").endswith("no doctest")


def test_tables_are_read_without_their_heads() -> None:
    assert docs.table("| a | b |\n|---|:-:|\n| c | `d | e` |\n\n| f | g |\n|---|---|\n| h | i |") == [
        ["c", "`d", "e`"],
        ["h", "i"],
    ]


def test_what_is_measured_again_is_compared() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "doctest", "everything.py"], cwd=docs.ROOT / "benchmarks", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_the_pages_say_what_was_measured() -> None:
    done = subprocess.run(
        [sys.executable, docs.ROOT / "benchmarks" / "figures.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
