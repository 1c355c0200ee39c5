"""Writes every measured figure into the docs, from what the benchmarks kept in `benchmarks/figures/*.json`.

Command:   python benchmarks/figures.py [--check] [--results FILE]
Expected:  at once.

A page quotes a figure as ``<!--f:KEY-->.012<!--/f-->`` and a table as ``<!--table:KEY-->`` ... ``<!--/table-->``; both
are invisible marks around what this script writes. With ``--check`` nothing is written, and pages that differ from what
was measured are named (exit code 1).
"""

import argparse
import os
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from detectors import tables as detectors
from explainer import tables as explainer
from kept import kept

ROOT = Path(__file__).parents[1]

FIGURE = re.compile(r"<!--f:([\w.\-/]+)-->(.*?)<!--/f-->", re.S)
TABLE = re.compile(r"<!--table:([\w.\-/]+)-->\n(.*?)<!--/table-->", re.S)


def plain(value: float, digits: int) -> str:
    """A number as the docs write it: no zero before the point.

    >>> plain(0.0123, 3), plain(-0.5, 1), plain(12.34, 1)
    ('.012', '-.5', '12.3')
    """
    text = f"{value:.{digits}f}"
    return re.sub(r"^(-?)0\.", r"\1.", text)


def shown(number: dict[str, Any] | None, digits: int = 3, scale: float = 1.0) -> str:
    """A number with its interval and count, or a dash."""
    if number is None or number["value"] is None:
        return "–"
    value = plain(number["value"] * scale, digits)
    if number["low"] is None or number["high"] is None:
        return f"{value} (n {number['n']})"
    return (
        f"{value} ({plain(number['low'] * scale, digits)} to {plain(number['high'] * scale, digits)}; n {number['n']})"
    )


# ---- ablations on drawn creatures

DIGITS = {"instability": 3, "spread": 1, "p": 2, "fvu": 3, "fvu_parts_only": 3, "error": 1}


def seeds_of(setting: str, metric: str) -> list[float]:
    """A metric of one row of the ablations, a value a seed."""
    return [run[metric] for run in kept("ablations")["rows"][setting]]


def ablation(setting: str, metric: str) -> str:
    """Mean over seeds, and half the range where there are several."""
    values, digits = seeds_of(setting, metric), DIGITS[metric]
    text = plain(statistics.mean(values), digits)
    return text if len(values) == 1 else f"{text} ± {plain((max(values) - min(values)) / 2, digits)}"


def ablation_table() -> str:
    """One row a setting."""
    rows = kept("ablations")["rows"]
    lines = [
        "| setting | seeds | location instability | spread, px | p | FVU | FVU, parts only | error, % |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for setting, runs in rows.items():
        cells = " | ".join(ablation(setting, metric) for metric in DIGITS)
        lines.append(f"| `{setting}` | {len(runs)} | {cells} |")
    one = rows["default"][0]
    lines.append(
        f"| *the performer, the true parts* | | {plain(one['top_conv'], 3)} (top conv) | "
        f"{plain(one['landmarks'], 1)} (true parts) | | | | {plain(one['performer_error'], 1)} |"
    )
    return "\n".join(lines)


# ---- runs


def run_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and value of every headline number of a diagnosis."""
    fidelity, diagonal = found["fidelity"], found["crop"]["diagonal_px"]
    measure = fidelity["measure"]
    result = [("p", shown(found["p"]))]
    if "performer" in fidelity:
        result.append(("error of the performer, %", shown(fidelity["performer"]["error"], 2, 100)))
    for variant in ("full", "parts_only", "ordinary_only"):
        label = {"full": "rebuilt", "parts_only": "parts only", "ordinary_only": "ordinary only"}[variant]
        result.append((f"{measure}, {label}, %", shown(fidelity[variant][measure], 2, 100)))
        for target, fvu in zip(fidelity["targets"], fidelity[variant]["fvu"], strict=True):
            result.append((f"FVU of {target}, {label}", shown(fvu)))
        result.append((f"KL of the scores, {label}, nats", shown(fidelity[variant]["kl"])))
    for protocol in ("released", "all"):
        for name, number in found.get("location_instability", {}).get(protocol, {}).items():
            result.append((f"location instability, {protocol}, {name.replace('_', ' ')}", shown(number, 4)))
    for layer in ("explainer", "top_conv", "landmarks"):
        for key, number in found["diversity"].get(layer, {}).items():
            scale, unit = (diagonal, ", px") if key == "spread" else (1.0, "")
            result.append((f"{key.replace('_', ' ')}, {layer.replace('_', ' ')}{unit}", shown(number, 1, scale)))
    fits = found["best_landmark_r2"]
    if fits["n"]:
        result.append(("R² with the nearest landmark, mean of filters", f"{plain(fits['mean'], 3)} (n {fits['n']})"))
    counts = found["counts"]
    images = (counts[k] for k in ("train_images", "test_objects", "test_negatives"))
    result.append(("images: training / test objects / test negatives", " / ".join(map(str, images))))
    filters = (counts[k] for k in ("filters", "dead_filters", "left_out_filters"))
    result.append(("filters / dead / left out", " / ".join(map(str, filters))))
    seconds = found["provenance"]["seconds"]
    result.append(("seconds", ", ".join(f"{k} {v:.0f}" for k, v in seconds.items())))
    return result


def run_table(*names: str) -> Callable[[], str]:
    """A table with a column a run."""

    def write() -> str:
        tables = [dict(run_rows(kept(f"run_{name}"))) for name in names]
        labels = dict.fromkeys(label for table in tables for label in table)
        lines = ["| | " + " | ".join(f"`{name}`" for name in names) + " |", "|---|" + "---|" * len(names)]
        lines += [f"| {label} | " + " | ".join(table.get(label, "–") for table in tables) + " |" for label in labels]
        return "\n".join(lines)

    return write


def run_value(found: Any, path: str) -> Any:
    """A value of a run's diagnosis by its dotted path."""
    for key in path.split("."):
        found = found[int(key)] if isinstance(found, list) else found[key]
    return found


# ---- step cost, start-up


def step_table() -> str:
    """One row a network."""
    lines = [
        "| network | bare, ms | tracks and norm | + masks | + filter loss (whole step) |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, row in kept("step_cost")["rows"].items():
        ratios = " | ".join(f"{row[v] / row['bare']:.2f} x" for v in ("tracks", "masks", "whole"))
        lines.append(f"| `{name}` | {row['bare'] * 1000:.0f} | {ratios} |")
    return "\n".join(lines)


def startup_table() -> str:
    """One row a command."""
    return "\n".join(
        ["| | seconds, median of 5 |", "|---|--:|"]
        + [f"| {label} | {seconds:.2f} |" for label, seconds in kept("startup")["rows"].items()]
    )


def report_table() -> str:
    """One row a measure of the page."""
    return "\n".join(
        ["| report of 100 filters, 12 images each | |", "|---|--:|"]
        + [f"| {label} | {value:.2f} |" for label, value in kept("report")["rows"].items()]
    )


# ---- trained performers

PAPER_ERRORS = {
    "alexnet_cub": "4.41 (AlexNet)",
    "alexnet_cat": "4.60 (AlexNet, mean of six animals)",
    "alexnet_dog": "4.60 (AlexNet, mean of six animals)",
    "alexnet_horse": "4.60 (AlexNet, mean of six animals)",
    "alexnet_voc_multi": "6.12 (VGG-M, six animals)",
    "resnet50_voc_multi": "–",
}
"""Errors of the paper's performers, %, Tables 5 and 10; of several categories the mean binary error."""


def performer_table() -> str:
    """One row a job and kind of error."""
    lines = [
        "| performer | error | pre-trained, % | random weights, % | always the same answer, % | the paper's, % |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for name, paper in PAPER_ERRORS.items():
        starts = kept("performers")["rows"].get(name)
        for key in starts["pretrained"]["test"] if starts else ():
            kind = "argmax" if key == "argmax_error" else "binary, mean" if name.endswith("multi") else "binary"
            own, twin = (shown(starts[start]["test"][key], 2, 100) for start in ("pretrained", "random"))
            chance = plain(100 * starts["pretrained"]["chance"][key]["value"], 1)
            lines.append(f"| `{name}` | {kind} | {own} | {twin} | {chance} | {paper if key == 'error' else ''} |")
    return "\n".join(lines)


def performer_figure(steps: list[str]) -> str:
    """``performers/NAME/START/KEY/DIGITS``: an error in %; ``performers/NAME/START/learning_rate``; ``/minutes``."""
    rows = kept("performers")["rows"]
    if steps == ["minutes"]:
        return plain(sum(run["seconds"] for starts in rows.values() for run in starts.values()) / 60, 0)
    if steps[2] == "learning_rate":
        return f"{rows[steps[0]][steps[1]]['learning_rate']:g}"
    return plain(100 * rows[steps[0]][steps[1]]["test"][steps[2]]["value"], int(steps[3]))


# ---- data


def data_table() -> str:
    """What reading, decoding and memory came to, with the machine's load by other work."""
    found = kept("data")
    lines = ["| | measured |", "|---|--:|"]
    lines += [f"| reading 10,000 images, `{kind}` | {value:.2f} s |" for kind, value in found["reading"].items()]
    rates = found["decoding"]
    lines += [
        f"| decoding, {workers} worker{'s' * (workers > '1')} | {rates[workers]:.0f} images/s |" for workers in "12"
    ]
    lines.append(f"| two workers to one | {rates['ratio']:.2f} |")
    lines.append(f"| two processes to one, sharing nothing | {rates['ceiling']:.2f} |")
    lines += [f"| peak memory, {int(n):,} images | {mib:.0f} MiB |" for n, mib in found["memory"].items()]
    lines.append(f"| cores; load before and after | {found['cores']}; {found['load'][0]:.1f}, {found['load'][1]:.1f} |")
    return "\n".join(lines)


# ---- data sets of the paper


def authors_table() -> str:
    """What the authors' part tables hold, one row an animal."""
    rows = kept("authors_tables")["rows"]
    heads = {
        "objects": "objects", "photographs": "photographs", "test": "test objects (authors)",
        "on_both_sides": "photographs on both sides", "head": "head", "neck": "neck", "torso": "torso",
    }  # fmt: skip
    lines = ["| | " + " | ".join(heads.values()) + " |", "|---|" + "--:|" * len(heads)]
    lines += [f"| {name} | " + " | ".join(str(row[key]) for key in heads) + " |" for name, row in rows.items()]
    totals = (str(sum(row[key] for row in rows.values())) for key in heads)
    return "\n".join([*lines, "| *all* | " + " | ".join(totals) + " |"])


def fields_table() -> str:
    """Sizes of receptive fields, one row a rule of re-centring."""
    found = kept("fields")
    rule = {"image": "peak of the whole image (default)", "covered": "peak of the covered image (released code)"}
    lines = [
        "| re-centred on the | drawn region, px | measured field, px | theoretical field, px |",
        "|---|--:|--:|--:|",
    ]
    for centre, row in found["fields"].items():
        sides = f"{row['drawn']:.0f} | {row['measured']:.0f} | {found['theoretical']:.0f}"
        lines.append(f"| {rule[centre]} | {sides} |")
    return "\n".join(lines)


def coarse_table() -> str:
    """What measuring fields for the report costs beside the figures' finer measurement."""
    rule = {"report": "for the report: steps of half the square, 3 strongest images", "figure": "as in the figures"}
    lines = [
        "| | filters | covered images | processor, s | measured field, px |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, row in kept("fields")["coarse"].items():
        sizes = f"{row['filters']} | {row['covered']:,} | {row['seconds']:.0f} | {row['measured']:.0f}"
        lines.append(f"| {rule[name]} | {sizes} |")
    return "\n".join(lines)


def readers_table() -> str:
    """Cost of listing the paper's data sets."""
    row = kept("paper_readers")
    return "\n".join(
        [
            "| | |",
            "|---|--:|",
            f"| one file of masks, 500 x 375 px, twelve parts | {row['mask_file_ms']:.0f} ms |",
            f"| all 10,103 files of Pascal-Part, the first time | {row['all_mask_files_s']:.0f} s |",
            f"| the same from the index | {row['all_from_index_s']:.1f} s |",
            f"| size of the index | {row['index_mb']:.0f} MB |",
            f"| objects a second from three part tables | {row['table_rows_per_s']:.0f} |",
        ]
    )


# ---- the frontier


def frontier_table(name: str) -> Callable[[], str]:
    """One row an eta."""

    def write() -> str:
        heads = {
            "p": "p", "fvu": "FVU", "parts_only_fvu": "FVU, parts only", "error": "error",
            "added_error": "error above the performer's",
        }  # fmt: skip
        lines = ["| eta | further epochs | " + " | ".join(heads.values()) + " |", "|--:|--:|" + "--:|" * len(heads)]
        for row in kept(f"run_{name}")["frontier"]:
            cells = " | ".join(shown(row[key]) for key in heads)
            lines.append(f"| {row['eta']:g} | {row['epochs'] or '0 (the run)'} | {cells} |")
        return "\n".join(lines)

    return write


# ---- parts taken away


def mimic_table(name: str) -> Callable[[], str]:
    """One row a part, one column a measure of the changes."""

    def write() -> str:
        heads = {
            "correlation": "correlation", "null_other_image": "another image's", "ratio": "ratio", "size": "size",
            "performer_score": "performer's score", "explainer_score": "explainer's score",
        }  # fmt: skip
        lines = ["| | " + " | ".join(heads.values()) + " |", "|---|" + "--:|" * len(heads)]
        for part in kept(f"run_{name}")["mimic"]["parts"]:
            lines.append(f"| {part['name']} | " + " | ".join(shown(part[key], 2) for key in heads) + " |")
        return "\n".join(lines)

    return write


# ---- intervals


def coverage_table() -> str:
    """Share of intervals that hold the truth, one row a kind of number, one column a number of images and redraws."""
    rows = kept("coverage")["rows"]
    redraws = sorted(rows, key=int)
    first = rows[redraws[0]]
    cells = [(n, r) for n in sorted(next(iter(first.values())), key=int) for r in redraws]
    lines = ["| | " + " | ".join(f"{n} images, {r} redraws" for n, r in cells) + " |", "|---|" + "--:|" * len(cells)]
    for label in first:
        lines.append(f"| {label} | " + " | ".join(plain(rows[r][label][n], 3) for n, r in cells) + " |")
    return "\n".join(lines)


# ---- networks


def attached_table(library: str) -> Callable[[], str]:
    """One row a network of a library that attaches, or one a network that does not."""

    def write() -> str:
        found = {n.partition(":")[2]: r for n, r in kept("what_attaches")["rows"].items() if n.startswith(library)}
        lines = ["| network | tap | maps | top unit | targets | grid |", "|---|---|---|---|---|---|"]
        for name, row in sorted(found.items()):
            if "tap" in row:
                units = " x ".join(map(str, row["shape"]))
                top = ", ".join(f"`{step}`" for step in row["top_unit"]) or "–"
                targets = ", ".join(f"`{target}`" for target in row["targets"])
                lines.append(f"| `{name}` | `{row['tap']}` | {units} | {top} | {targets} | {row['field']} |")
        return "\n".join(lines)

    return write


def refused_table() -> str:
    """One row a network that cannot be explained, with the sentence that says why."""
    lines = ["| network | what is said |", "|---|---|"]
    for name, row in kept("what_attaches")["rows"].items():
        if "refused" in row:
            said = row["refused"].split("; the chain is")[0]
            origin = row["refused"].rpartition("; ")[2] if "no module's output" in row["refused"] else ""
            origin = origin or (row["refused"].rpartition("; ")[2] if "several tensors" in row["refused"] else "")
            lines.append(f"| `{name}` | {said}{'; ' + origin if origin else ''} |")
    return "\n".join(lines)


def attached(what: str) -> str:
    """How many attach, of how many, and how far resuming is from the network's own scores at most."""
    library, _, what = what.rpartition(".")
    rows = [row for name, row in kept("what_attaches")["rows"].items() if library in ("any", name.partition(":")[0])]
    taken = [row for row in rows if "tap" in row]
    if what == "gap":
        return f"{max(row['gap'] for row in taken):.1e}"
    if what == "difference":
        return f"{min(row['difference'] for row in taken):.1e}"
    return str(len(taken) if what == "count" else len(rows))


def readings_table() -> str:
    """One row a reading of the paper's ResNet explainer."""
    lines = [
        "| reading | tap | units | encoder weights, millions | Gflop an image | s a step | FVU at the start | after "
        "training | parts only |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in kept("resnet_readings")["rows"].items():
        numbers = [
            f"{row['encoder_weights'] / 1e6:.1f}", f"{row['gflop']:.0f}", f"{row['seconds']:.1f}",
            *(plain(row[key], 3) for key in ("fvu_start", "fvu", "fvu_parts_only")),
        ]  # fmt: skip
        lines.append(f"| {name} | `{row['tap']}` | {row['units']} x {row['units']} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def reading(path: str) -> str:
    """A figure of a reading, `READING.KEY.DIGITS[.SCALE]`, or the performer's error in %."""
    if path == "error":
        return f"{100 * kept('resnet_readings')['performer_error']:.1f}"
    name, key, digits, *scale = path.split(".")
    return plain(kept("resnet_readings")["rows"][name][key] * float(scale[0] if scale else 1), int(digits))


# ---- planted truth


def planted_table() -> str:
    """One row a mixture and network: mean over seeds, and the worst seed's error."""
    lines = [
        "| evidence | network | seeds | accuracy, % | causal share of parts | part share | largest error | `A` |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in kept("planted_truth")["rows"]:
        groups.setdefault((row["mixture"], row["architecture"]), []).append(row)
    for (mixture, network), rows in groups.items():
        causal, share = [r["causal"]["parts"] for r in rows], [r["part_share"]["value"] for r in rows]
        worst = max(abs(s - c) for s, c in zip(share, causal, strict=True))
        accuracy = statistics.mean(r["accuracy"] for r in rows)
        cells = [plain(statistics.mean(causal), 2), plain(statistics.mean(share), 2), plain(worst, 2)]
        if accuracy < kept("planted_truth")["learned"]:
            cells = ["*not learned*", cells[1], "–"]
        old = plain(statistics.mean(r["baseline"] for r in rows), 2)
        lines.append(f"| {mixture} | {network} | {len(rows)} | {100 * accuracy:.0f} | {' | '.join(cells)} | {old} |")
    return "\n".join(lines)


def tried_table() -> str:
    """One row a definition, on the performers of development."""
    found = kept("planted_tried")
    lines = [
        "| definition | error, mixtures | Spearman, mixtures | texture only, most | parts only, least | "
        "colour only, most | background, position only, most | error, all |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    graded = [r for r in found["rows"] if r["accuracy"] >= found["learned"]]

    def edge(name: str, pick: Callable[[list[float]], float], *mixtures: str) -> str:
        return plain(pick([r["tried"][name] for r in graded if r["mixture"] in mixtures]), 2)

    for name, label in found["names"].items():
        mixed, every = found["tried_mixtures"][name], found["tried"][name]
        cells = [plain(mixed["error"], 3), plain(mixed["spearman"], 2), edge(name, max, "texture only")]
        cells += [edge(name, min, "parts only"), edge(name, max, "colour only")]
        cells += [edge(name, max, "background only", "position only"), plain(every["error"], 3)]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def etas_table() -> str:
    """One row a planted network: the truth, the part share, and p at every eta."""
    found = kept("planted_etas")["rows"]
    share = {(r["mixture"], r["architecture"], r["seed"]): r["part_share"] for r in kept("planted_truth")["rows"]}
    etas = found[0]["at"]
    heads = " | ".join(f"p at eta {eta}" for eta in etas)
    lines = [f"| evidence | network | causal share | part share | {heads} |", "|---|---|--:|--:|" + "--:|" * len(etas)]
    for row in found:
        cells = [plain(row["causal"], 2), plain(share[row["mixture"], row["architecture"], row["seed"]]["value"], 2)]
        cells += [plain(at["p"], 2) for at in row["at"].values()]
        lines.append(f"| {row['mixture']} | {row['architecture']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def planted_figure(path: str) -> str:
    """``SET.MEASURE.KEY.DIGITS`` of the agreement, or ``MIXTURE/least`` and ``MIXTURE/most`` of the part shares."""
    found = kept("planted_truth")
    name, _, edge = path.partition("/")
    if edge:
        shares = [
            r["part_share"]["value"]
            for r in found["rows"]
            if r["mixture"] == name.replace("_", " ") and r["accuracy"] >= found["learned"]
        ]
        return plain(max(shares) if edge == "most" else min(shares), 2)
    *keys, digits = path.split(".")
    return plain(run_value(found, ".".join(keys)), int(digits))


TABLES: dict[str, Callable[[], str]] = {
    "authors_tables": authors_table,
    "paper_readers": readers_table,
    "fields": fields_table,
    "coarse_fields": coarse_table,
    "attached_torchvision": attached_table("torchvision:"),
    "attached_timm": attached_table("timm:"),
    "refused": refused_table,
    "resnet_readings": readings_table,
    "ablations": ablation_table,
    "demo": run_table("demo"),
    "alexnet_cub": run_table("alexnet_cub"),
    "squeezenet_voc": run_table("squeezenet_voc"),
    "frontier_demo": frontier_table("demo"),
    "mimic_demo": mimic_table("demo"),
    "mimic_alexnet_cub": mimic_table("alexnet_cub"),
    "planted_truth": planted_table,
    "planted_tried": tried_table,
    "planted_etas": etas_table,
    "performers": performer_table,
    "step_cost": step_table,
    "startup": startup_table,
    "report": report_table,
    "data": data_table,
    "coverage": coverage_table,
    **{f"baselines_{n}": lambda n=n: detectors.table(n, detectors.WHERE) for n in ("creatures", "birds", "pets")},
    **{f"baselines_{n}_know": lambda n=n: detectors.table(n, detectors.KNOW) for n in ("creatures", "birds", "pets")},
    **{f"baselines_{n}_keep": lambda n=n: detectors.table(n, detectors.KEEP) for n in ("creatures", "birds", "pets")},
    "explainer_aims": explainer.aims_table,
    "explainer_where": explainer.where_table,
    "explainer_what": explainer.what_table,
    "search_creatures": lambda: explainer.search_table("creatures"),
    "search_birds": lambda: explainer.search_table("birds"),
    "presets": explainer.preset_table,
    "heads": explainer.heads_table,
    "search_cat": lambda: explainer.search_table("cat"),
    "step_sizes": lambda: explainer.search_table("resnet50"),
}


def figure(key: str) -> str:
    """The text of one figure.

    ``creatures.METRIC.SETTING`` is a cell of the ablations; ``data.PATH`` a value of the data benchmark;
    ``RUN/DIGITS[/SCALE]/PATH`` a value of a run's diagnosis
    (scale `px`: times the crop's diagonal); ``RUN/NAME...`` something derived from it, see `derived`.
    """
    if key.startswith("creatures."):
        _, metric, setting = key.split(".", 2)
        text = ablation(setting, metric)
        return f"{text} %" if metric == "error" else text
    if key.startswith("data."):
        value = run_value(kept("data"), key.removeprefix("data."))
        return f"{value:.0f}" if value > 100 else plain(value, 2)
    if key.startswith("attach."):
        return attached(key.removeprefix("attach."))
    if key.startswith("planted."):
        return planted_figure(key.removeprefix("planted."))
    if key.startswith("reading."):
        return reading(key.removeprefix("reading."))
    name, *steps = key.split("/")
    if name == "performers":
        return performer_figure(steps)
    if name == "baselines":
        return detectors.figure(steps)
    if name == "bench":
        return explainer.bench_figure("/".join(steps))
    found = kept(f"run_{name}")
    if not steps[0].isdigit():
        return derived(found, steps)
    digits, *scale, path = steps
    value = run_value(found, path)
    number = value["value"] if isinstance(value, dict) else value
    factor = found["crop"]["diagonal_px"] if scale == ["px"] else float(scale[0]) if scale else 1.0
    return plain(number * factor, int(digits))


def derived(found: dict[str, Any], steps: list[str]) -> str:
    """A ratio to the yardstick, or the rise of the error in points."""
    released, diversity, fidelity = found["location_instability"]["released"], found["diversity"], found["fidelity"]
    if steps == ["ratio", "instability"]:
        return plain(released["explainer"]["value"] / released["top_conv"]["value"], 2)
    if steps == ["ratio", "spread"]:
        return plain(diversity["explainer"]["spread"]["value"] / diversity["landmarks"]["spread"]["value"], 2)
    if steps == ["rise"]:
        return plain(100 * (fidelity["full"]["error"]["value"] - fidelity["performer"]["error"]["value"]), 1)
    raise KeyError("/".join(steps))


def written(text: str) -> str:
    """A page with every figure as it was measured."""
    text = FIGURE.sub(lambda m: f"<!--f:{m[1]}-->{figure(m[1])}<!--/f-->", text)
    return TABLE.sub(lambda m: f"<!--table:{m[1]}-->\n{TABLES[m[1]]()}\n<!--/table-->", text)


def pages() -> list[Path]:
    """Pages that may quote figures."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def outdated() -> list[Path]:
    """Pages that do not say what was measured."""
    return [page for page in pages() if written(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")]


def main() -> None:
    """Writes the pages, or names those that are out of date."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    parser.add_argument("--results", type=Path, help="write docs/results.md there, and leave the docs alone")
    options = parser.parse_args()
    check = options.check
    if options.results:
        page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
        options.results.write_text(written(page), encoding="utf-8")
        return
    if not check and "PARTSCOPE_FIGURES" in os.environ:
        sys.exit("PARTSCOPE_FIGURES is set: the docs quote benchmarks/figures; unset it, or give --results FILE")
    for page in outdated():
        print(("out of date: " if check else "written: ") + page.relative_to(ROOT).as_posix())
        if not check:
            page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
    if check and outdated():
        sys.exit(1)


if __name__ == "__main__":
    main()
