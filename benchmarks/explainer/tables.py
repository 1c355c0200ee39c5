"""Tables and the frontier chart of the explainer's bench, from `benchmarks/figures/explainer_bench.json`.

Command:   python benchmarks/explainer/tables.py      draws docs/images/explainer-frontier.svg
Expected:  at once.
"""

import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from kept import kept

ROOT = Path(__file__).parents[2]
CHART = ROOT / "docs" / "images" / "explainer-frontier.svg"

Row = dict[str, Any]

TITLES = {
    "birds": "AlexNet, CUB birds",
    "cat": "AlexNet, cat",
    "horse": "AlexNet, horse",
    "pets": "AlexNet, cat, dog and horse",
    "resnet50": "ResNet-50, cat, dog and horse",
    "squeezenet": "SqueezeNet, cat, dog and horse (no labels)",
    "creatures": "drawn creatures",
}
AIMS: dict[str, dict[str, tuple[str, float]]] = {
    "birds": {
        "instability": ("<=", 0.080),
        "spread": (">=", 45 / 321.0),
        "parts": ("<=", 0.40),
        "rise": ("<=", 0.5),
        "keypoints": ("<=", 0.85),
    },
    **{
        task: {
            "stability": ("<=", 0.80),
            "r2": (">=", 0.15),
            "spread": (">=", 33 / 321.0),
            "parts": ("<=", 0.50),
            "rise": ("<=", 1.0),
            "keypoints": ("<=", 0.90),
        }
        for task in ("cat", "horse", "pets")
    },
    **{
        task: {"stability": ("<", 1.0), "reach": (">=", 0.75), "rise": ("<=", 2.0), "keypoints": ("<", 1.0)}
        for task in ("resnet50", "squeezenet")
    },
    "creatures": {
        "stability": ("<=", 0.45),
        "reach": (">=", 0.85),
        "parts": ("<=", 0.10),
        "rise": ("<=", 0.5),
        "keypoints": ("<=", 0.75),
    },
}
"""What was aimed at, by task and measure; spreads in fractions of the diagonal."""

MEASURES = {
    "instability": ("location instability", 4),
    "stability": ("instability over the top conv's", 2),
    "r2": ("R² with the landmark above the top conv's", 2),
    "spread": ("spread, fraction of the diagonal", 3),
    "reach": ("spread over the landmarks' own", 2),
    "fvu": ("FVU", 3),
    "parts": ("FVU, parts only", 3),
    "rise": ("error above the performer's, points", 2),
    "keypoints": ("keypoint regression error over the top conv's", 2),
}


def rows_of(key: str) -> list[Row]:
    """The runs of one stage, task and recipe, a seed each; none where there are none."""
    rows: list[Row] = kept("explainer_bench")["rows"].get(key, [])
    return rows


def measures(row: Row) -> dict[str, float]:
    """What the aims are about, of one run."""
    v = {key: number["value"] for key, number in row.items() if isinstance(number, dict)}
    return {
        "instability": v["instability/released/explainer"],
        "stability": v["instability/released/explainer"] / v["instability/released/top_conv"],
        "r2": v["r2/released/explainer"] - v["r2/released/top_conv"],
        "spread": v["spread/explainer"],
        "reach": v["spread/explainer"] / v["spread/landmarks"],
        "fvu": v["fvu/full"],
        "parts": v["fvu/parts_only"],
        "rise": 100 * (v["error/full"] - v["error/performer"]),
        "keypoints": v["keypoints/explainer"] / v["keypoints/top_conv"],
    }


def over_seeds(values: list[float], digits: int) -> str:
    """Mean over seeds and half the range, as the docs write it."""
    from figures import plain

    text = plain(statistics.mean(values), digits)
    if statistics.mean(values) > 1000:
        return "> 1000"
    return text if len(values) == 1 else f"{text} ± {plain((max(values) - min(values)) / 2, digits)}"


def aims_table() -> str:
    """One row an aim: what was asked for, what came out."""
    from figures import plain

    lines = ["| | measure | aim | measured | |", "|---|---|--:|--:|---|"]
    for task, aims in AIMS.items():
        found = [measures(row) for row in rows_of(f"test/{task}/default")]
        if not found:
            lines.append(f"| {TITLES[task]} | *its {len(aims)} aims* | | not measured with this recipe yet | |")
            continue
        for name, (relation, aim) in aims.items():
            label, digits = MEASURES[name]
            wanted = f"{'≤' if relation == '<=' else '≥' if relation == '>=' else relation} {plain(aim, digits)}"
            values = [run[name] for run in found]
            mean = statistics.mean(values)
            met = mean >= aim if relation == ">=" else mean < aim if relation == "<" else mean <= aim
            lines.append(
                f"| {TITLES[task]} | {label} | {wanted} | {over_seeds(values, digits)} | {'met' if met else 'missed'} |"
            )
    return "\n".join(lines)


def interval(rows: list[Row], key: str, digits: int, scale: float = 1.0) -> str:
    """Mean over seeds with the mean interval over test images."""
    from figures import plain

    ends = [statistics.mean(row[key][end] * scale for row in rows) for end in ("value", "low", "high")]
    return f"{plain(ends[0], digits)} ({plain(ends[1], digits)} to {plain(ends[2], digits)})"


def bench_table(stage: str, columns: dict[str, tuple[str, int, float]], keys: list[str]) -> str:
    """One row a task and recipe, one column a number with its interval over images."""
    lines = ["| | seeds | " + " | ".join(columns) + " |", "|---|--:|" + "--:|" * len(columns)]
    for key in keys:
        rows = rows_of(f"{stage}/{key}")
        if not rows:
            continue
        task, recipe = key.split("/", 1)
        cells = [interval(rows, name, digits, scale) for name, digits, scale in columns.values()]
        name = TITLES[task] + ("" if recipe == "default" else f", `{recipe}`")
        lines.append(f"| {name} | {len(rows)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tested() -> list[str]:
    """Task and recipe of every row of the test stage, defaults first."""
    every = kept("explainer_bench")["rows"]
    keys = [key.removeprefix("test/") for key in every if key.startswith("test/")]
    return sorted(keys, key=lambda key: (list(TITLES).index(key.split("/")[0]), key.split("/", 1)[1]))


WHERE = {
    "instability": ("instability/released/explainer", 4, 1.0),
    "top conv": ("instability/released/top_conv", 4, 1.0),
    "image centre": ("instability/released/null_center", 4, 1.0),
    "all images": ("instability/all/explainer", 4, 1.0),
    "top conv, all": ("instability/all/top_conv", 4, 1.0),
    "R²": ("r2/released/explainer", 2, 1.0),
    "R², top conv": ("r2/released/top_conv", 2, 1.0),
    "keypoints": ("keypoints/explainer", 4, 1.0),
    "keypoints, top conv": ("keypoints/top_conv", 4, 1.0),
    "mean landmark": ("keypoints/null_mean_landmark", 4, 1.0),
    "spread": ("spread/explainer", 3, 1.0),
    "landmarks' spread": ("spread/landmarks", 3, 1.0),
    "places": ("places/explainer", 1, 1.0),
}
WHAT = {
    "FVU": ("fvu/full", 3, 1.0),
    "parts only": ("fvu/parts_only", 3, 1.0),
    "ordinary only": ("fvu/ordinary_only", 3, 1.0),
    "performer's error, %": ("error/performer", 2, 100.0),
    "error, %": ("error/full", 2, 100.0),
    "parts only, %": ("error/parts_only", 2, 100.0),
    "ordinary only, %": ("error/ordinary_only", 2, 100.0),
    "p": ("p", 2, 1.0),
}


def where_table() -> str:
    """Locations on the test images."""
    return bench_table("test", WHERE, tested())


def what_table() -> str:
    """Features and errors on the test images."""
    return bench_table("test", WHAT, tested())


def search_table(task: str) -> str:
    """Every recipe tried on a task's validation images, one row each."""
    return _table(lambda stage, of, recipe: recipe if (stage, of) == ("validation", task) else None)


def preset_table() -> str:
    """The paper's preset beside the default, on test images."""

    def label(stage: str, task: str, recipe: str) -> str | None:
        return f"{TITLES[task]}, {recipe}" if stage == "test" and task in ("birds", "creatures") else None

    return _table(label)


COLUMNS = {
    "stability": "instability / top",
    "reach": "spread / landmarks",
    "r2": "R² - top",
    "keypoints": "keypoints / top",
    "parts": "FVU, parts",
    "rise": "error rise, pt",
}


def _table(label: Callable[[str, str, str], str | None]) -> str:
    every = kept("explainer_bench")["rows"]
    lines = ["| recipe | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "--:|" * len(COLUMNS)]
    for key, rows in sorted(every.items()):
        stage, task, recipe = key.split("/", 2)
        text = label(stage, task, recipe)
        if text is not None:
            found = [measures(row) for row in rows]
            cells = (over_seeds([run[name] for run in found], MEASURES[name][1]) for name in COLUMNS)
            lines.append(f"| {text} ({len(rows)}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def heads_table() -> str:
    """Which epoch of a new classifier is kept: its own error, and the explainer's row."""
    rows = kept("heads")["rows"]
    lines = [
        f"| what is kept | epoch | its error, % | {' | '.join(COLUMNS.values())} |",
        "|---|--:|--:|" + "--:|" * len(COLUMNS),
    ]
    for task, ways in rows.items():
        for way, row in ways.items():
            found = measures(row)
            cells = [str(row["epoch"]), interval([row], "error/performer", 2, 100.0)]
            cells += [over_seeds([found[name]], MEASURES[name][1]) for name in COLUMNS]
            lines.append(f"| {TITLES[task]}, {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def slug(recipe: str) -> str:
    """A recipe's name as a figure's mark can hold it.

    >>> slug("batch 32 dropout 0.5, 4 crops")
    'batch-32-dropout-0.5-4-crops'
    """
    return re.sub(r"[^\w.]+", "-", recipe)


def bench_figure(path: str) -> str:
    """``STAGE/TASK/RECIPE/MEASURE``, the recipe as a slug."""
    stage, task, recipe, name = path.split("/")
    every = kept("explainer_bench")["rows"]
    (rows,) = (r for k, r in every.items() if k.startswith(f"{stage}/{task}/") and slug(k.split("/", 2)[2]) == recipe)
    return over_seeds([measures(row)[name] for row in rows], MEASURES[name][1])


def draw(target: Path = CHART) -> None:
    """The frontier: stability against what the parts carry, spread as size; validation trials and tested defaults."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "partscope"
    from matplotlib import pyplot

    colours = {"creatures": "#0072B2", "birds": "#D55E00", "cat": "#009E73", "horse": "#CC79A7", "pets": "#E69F00"}
    figure, axes = pyplot.subplots(figsize=(7.5, 5))
    every = kept("explainer_bench")["rows"]
    for key, rows in every.items():
        stage, task, _ = key.split("/", 2)
        if task not in colours:
            continue
        found = [measures(row) for row in rows]
        x, y, size = (statistics.mean(run[name] for run in found) for name in ("parts", "stability", "reach"))
        final = stage == "test" and key.endswith("/default")
        axes.scatter(
            x,
            y,
            s=90 * size**2,
            color=colours[task],
            alpha=1.0 if final else 0.3,
            edgecolor="black" if final else "none",
            zorder=3 if final else 2,
        )
    for task, colour in colours.items():
        axes.scatter([], [], color=colour, label=TITLES[task])
    axes.set_xlabel("FVU of the last target, parts only (lower: the parts carry more)")
    axes.set_ylabel("location instability over the top conv's (lower: steadier)")
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend(
        title="default on test images; pale: trials on validation images.\nArea: spread over the landmarks' own"
    )
    figure.tight_layout()
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    draw()
