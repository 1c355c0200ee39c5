"""What the documentation says, and what is wrong with it: each function returns complaints, none for a good page."""

import ast
import inspect
import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

from partscope.cli import SUMMARY
from partscope.figure_settings import FieldSettings
from partscope.settings import Job
from partscope.train_settings import TrainJob

ROOT = Path(__file__).parents[2]
HEADINGS = ["Context", "Choice", "Number that decided", "Alternatives", "What would change it"]
FORBIDDEN = {
    "a machine's path": r"/work\b|/home/|/root/|/tmp/",
    "a word of another trade": r"\b[Ss]essions?\b|\b[Aa]gents?\b",
    "the photographs' folder": r"shared/data",
    "a file that is not here": r"\bmethod\.md\b|\bevidence\.md\b",
    "a left-over placeholder": r"@@",
}
MAY_NAME_THE_PHOTOGRAPHS = "examples/real_photos/"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_MARKED = re.compile(r"<!-- (test|not run: [^>]+) -->\s*\Z")


def pages() -> list[Path]:
    """Every page of prose, as far as it is written."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    below = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    return [page for page in top if page.is_file()] + sorted(below)


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of a language."""
    return [body for name, body in _FENCE.findall(text) if name == language]


def python_blocks(text: str) -> tuple[list[str], list[str]]:
    """Python blocks to run, and those that say nothing of being run or not."""
    run, unsaid = [], []
    for match in _FENCE.finditer(text):
        if match[1] == "python":
            mark = _MARKED.search(text[: match.start()])
            if mark is None:
                unsaid.append(match[2])
            elif mark[1] == "test":
                run.append(match[2])
    return run, unsaid


def prose(text: str) -> str:
    """A page without its fenced blocks and code spans."""
    return _CODE.sub("", _FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """Names that a page's headings can be reached by."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.M)
    kept = (re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()) for title in titles)
    return {title.strip().replace(" ", "-") for title in kept}


def wrong_links(page: Path, text: str) -> list[str]:
    """Relative links that lead nowhere."""
    wrong = []
    for target in _LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        if not there.exists() or not there.is_relative_to(ROOT):
            wrong.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(there.read_text(encoding="utf-8")):
            wrong.append(f"{target}: no such heading")
    return wrong


def commands() -> set[str]:
    """Sub-commands that the command line's own summary lists."""
    return set(re.findall(r"^  ([a-z][a-z-]*) ", SUMMARY, re.M))


def wrong_commands(text: str) -> list[str]:
    """Quoted commands that are not there: of partscope, of the Makefile, or scripts."""
    lines = [" ".join(line.split()) for body in blocks(text, "sh") for line in body.replace("\\\n", " ").splitlines()]
    lines += [span for span in _CODE.findall(_FENCE.sub("", text)) if span.startswith("partscope ")]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    wrong = []
    for line in lines:
        words = line.split("#")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "partscope" and words[1] not in {*commands(), "COMMAND", "--help", "--version"}:
            wrong.append(f"{line}: partscope has no command {words[1]}")
        if words[0] == "make" and words[1] not in targets:
            wrong.append(f"{line}: the Makefile has no target {words[1]}")
        if words[0].startswith("python") and words[1].endswith(".py") and not (ROOT / words[1]).is_file():
            wrong.append(f"{line}: no such script")
    return wrong


def wrong_settings(text: str) -> list[str]:
    """Settings that are not there."""
    groups = [*fields(Job), *fields(TrainJob)]
    known = {f"{group.name}.{f.name}" for group in groups for f in fields(group.default_factory)}  # type: ignore[arg-type]
    known |= {f"field.{f.name}" for f in fields(FieldSettings)}
    named = re.findall(r"--([a-z_]+\.[a-z_]+)", text)
    return [f"--{name}: no such setting" for name in named if name not in known]


def forbidden(page: str, text: str) -> list[str]:
    """Words that have no place in a page."""
    found = []
    for why, pattern in FORBIDDEN.items():
        allowed = text
        if page.startswith(MAY_NAME_THE_PHOTOGRAPHS):
            allowed = text.replace("../shared/data", "")
        found += [
            f"{match[0]!r} in {_line(allowed, match.start())!r}: {why}" for match in re.finditer(pattern, allowed)
        ]
    return found


def _line(text: str, place: int) -> str:
    return text[text.rfind("\n", 0, place) + 1 :].split("\n", 1)[0].strip()


def wrong_record(name: str, text: str) -> list[str]:
    """What is wrong with a decision record's form."""
    wrong = []
    number = name[:4]
    if not text.startswith(f"# {number}. "):
        wrong.append(f"its first line is not '# {number}. ...'")
    found = re.findall(r"^## (.+)$", text, re.M)
    if found != HEADINGS:
        wrong.append(f"headings {found} instead of {HEADINGS}")
    wrong += [f"nothing under '{h}'" for h in HEADINGS if re.search(rf"^## {re.escape(h)}\s*(?=^## |\Z)", text, re.M)]
    if len(text.splitlines()) > 80:
        wrong.append("longer than a page (80 lines)")
    return wrong


def table(text: str) -> list[list[str]]:
    """Cells of a page's table rows, without heads and rules."""
    rows = [line.strip().strip("|").split(" | ") for line in text.splitlines() if line.startswith("|")]
    heads = [i for i, row in enumerate(rows) if set("".join(row)) <= set("-: |")]
    return [[cell.strip() for cell in row] for i, row in enumerate(rows) if i not in heads and i + 1 not in heads]


def _found(name: str) -> object:
    found: object = import_module("partscope")
    parts = name.split(".")
    for i, part in enumerate(parts[1:], start=2):
        found = getattr(found, part) if hasattr(found, part) else import_module(".".join(parts[:i]))
    return found


def wrong_object(name: str) -> str | None:
    """Why a dotted name is no function, class, method or setting of this package."""
    if not name.startswith("partscope."):
        return f"{name}: not of this package"
    try:
        return f"{name}: a module" if inspect.ismodule(_found(name)) else None
    except ImportError as error:
        return f"{name}: {error}"


def wrong_test(name: str) -> str | None:
    """Why a name is no test: ``tests/file.py::name``, ``tests/file.py::name[case]``, or a doctest's."""
    doctest = re.fullmatch(r"src/([\w/]+)\.py::([\w.]+)", name)
    if doctest is not None:
        if not doctest[2].startswith(doctest[1].replace("/", ".") + ".") or wrong_object(doctest[2]):
            return f"{name}: no such function"
        return None if ">>>" in (inspect.getdoc(_found(doctest[2])) or "") else f"{name}: no doctest"
    match = re.fullmatch(r"(tests/[\w/]+\.py)::(\w+)(?:\[([\w-]+)\])?", name)
    if match is None:
        return f"{name}: not of the form tests/file.py::name"
    file = ROOT / match[1]
    if not file.is_file():
        return f"{name}: no such file"
    source = file.read_text(encoding="utf-8")
    defined = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    if match[2] not in defined or not match[2].startswith("test_"):
        return f"{name}: no such test"
    if match[3]:
        text = source + "".join(f.read_text(encoding="utf-8") for f in file.parent.glob("checks_*.py"))
        unknown = [word for word in match[3].split("-") if not re.search(rf"\b{word}\b", text)]
        if unknown:
            return f"{name}: no case {unknown[0]}"
    return None
