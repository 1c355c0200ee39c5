"""Who may import whom: every module imports only from layers below its own, or from its own package."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "partscope"
LAYERS = {
    "errors": 0, "version": 0, "files": 1, "matlab5": 1, "settings": 1, "train_settings": 1.5, "figure_settings": 1.5,
    "maths": 1, "performers": 2, "data": 2, "nets": 3, "training": 4, "diagnosis": 5, "report": 5, "folder": 5,
    "subject": 5.5, "live": 5.5, "run": 6, "train_run": 6, "cli_data": 6, "figures": 6.5, "cli_figure": 6.8,
    "cli_tables": 6.8, "cli_moved": 6.1, "cli_line": 6.1, "frontier": 6.2, "seeds": 6.2, "cli_frontier": 6.8,
    "cli": 7, "__main__": 8, "__init__": 9,
}  # fmt: skip
LIBRARIES = {
    "errors": set(),
    "version": set(),
    "files": set(),
    "matlab5": {"numpy"},
    "settings": set(),
    "train_settings": set(),
    "maths": {"torch", "jaxtyping"},
    "performers": {"torch", "torchvision", "PIL", "numpy", "safetensors", "jaxtyping", "timm"},
    "data": {"torch", "torchvision", "PIL", "numpy", "h5py", "datasets", "jaxtyping"},
    "nets": {"torch", "jaxtyping"},
    "training": {"torch", "safetensors", "jaxtyping"},
    "diagnosis": {"torch", "jaxtyping", "numpy", "sklearn", "captum"},
    "subject": {"torch"},
    "live": {"torch", "numpy", "PIL"},
    "figures": {"torch", "jaxtyping", "numpy", "matplotlib"},
    "figure_settings": set(),
    "cli_figure": set(),
    "cli_frontier": {"rich"},
    "frontier": set(),
    "seeds": {"torch"},
    "cli_tables": {"rich"},
    "cli_moved": {"jsonargparse"},
    "cli_line": {"jsonargparse"},
    "report": {"torch", "numpy", "PIL", "safetensors", "jinja2", "markupsafe", "contourpy"},
    "folder": {"torch", "safetensors", "yaml"},
    "run": {"torch", "torchvision", "safetensors"},
    "train_run": {"torch", "torchvision", "safetensors"},
    "cli": {"rich", "jsonargparse"},
    "cli_data": {"rich"},
    "__main__": set(),
    "__init__": set(),
}
MODULES = sorted(SOURCE.rglob("*.py"))


def home(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            found.append((node.module or "", node.lineno))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_only_from_layers_below(path: Path) -> None:
    import sys

    mine = home(path)
    for name, line in imports(ast.parse(path.read_text())):
        parts = name.split(".")
        if parts[0] == "partscope":
            other = parts[1] if len(parts) > 1 else "__init__"
            assert other == mine or LAYERS[other] < LAYERS[mine], f"{path.name}:{line} imports {name} from above"
        elif parts[0] not in sys.stdlib_module_names:
            assert parts[0] in LIBRARIES[mine], f"{path.name}:{line} imports {parts[0]}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_module_is_too_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_every_module_has_a_layer() -> None:
    assert {home(p) for p in MODULES} == set(LAYERS)


def test_nothing_outside_the_command_line_prints_or_exits() -> None:
    for path in MODULES:
        if home(path) in ("cli", "cli_data", "cli_figure", "cli_frontier", "cli_tables", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            assert called not in ("print", "exit", "quit"), f"{path}:{node.lineno}"
