"""Tables of the part detectors, from `benchmarks/figures/baselines_*.json`."""

import re
import statistics
from typing import Any

from kept import kept

Row = dict[str, Any]
Columns = dict[str, tuple[str, int, float]]

ORDER = (
    "explainer",
    "Explainer+cls",
    "interpretable CNN",
    "sparse autoencoder",
    "NMF",
    "k-means",
    "random",
    "channels",
)
WHERE: Columns = {
    "instability": ("location instability", 3, 1.0),
    "instability_all": ("all images", 3, 1.0),
    "r2": ("R² with the landmark", 3, 1.0),
    "spread": ("spread", 3, 1.0),
    "effective_locations": ("places", 1, 1.0),
}
KNOW: Columns = {
    "keypoints": ("keypoint regression", 3, 1.0),
    "pck": ("PCK", 3, 1.0),
    "nmi": ("NMI", 3, 1.0),
    "nmi_grid": ("NMI of a grid", 3, 1.0),
    "nmi_shuffled": ("NMI of shuffled names", 3, 1.0),
    "ari": ("ARI", 3, 1.0),
    "ari_grid": ("ARI of a grid", 3, 1.0),
}
KEEP: Columns = {
    "error": ("error, %", 2, 100.0),
    "error_parts": ("error, parts only, %", 2, 100.0),
    "fvu": ("FVU of the last target", 3, 1.0),
    "fvu_parts": ("FVU, parts only", 3, 1.0),
    "kl": ("KL of the scores, nats", 3, 1.0),
}


def cell(rows: list[Row], key: str, digits: int, scale: float) -> str:
    """Mean over seeds, half the range over them, and the mean interval over images."""
    from figures import plain

    found = [row[key] for row in rows if key in row and row[key]["value"] is not None]
    if not found:
        return ""
    values = [f["value"] * scale for f in found]
    text = plain(statistics.mean(values), digits)
    if len(values) > 1:
        text += f" ± {plain((max(values) - min(values)) / 2, digits)}"
    if any(f["low"] is None for f in found):
        return text
    low, high = (plain(statistics.mean(f[end] * scale for f in found), digits) for end in ("low", "high"))
    return f"{text} ({low} to {high})"


def figure(steps: list[str]) -> str:
    """``NAME/METHOD/KEY/DIGITS[/SCALE]``: a mean over seeds; what is no letter or number in a method is a dash."""
    from figures import plain

    name, method, key, digits, *scale = steps
    rows: dict[str, list[Row]] = kept(f"baselines_{name}")["rows"]
    found = next(of for label, of in rows.items() if re.sub(r"[^\w]+", "-", label) == method)
    values = [row[key]["value"] if isinstance(row[key], dict) else row[key] for row in found]
    return plain(statistics.mean(values) * float(scale[0] if scale else 1), int(digits))


def place(name: str) -> tuple[int, str]:
    """Where a row stands in a table."""
    first = next((i for i, start in enumerate(ORDER) if name.startswith(start)), len(ORDER))
    return first, name


def table(name: str, columns: Columns) -> str:
    """One row a method and layer, the nulls last; the header says how many images the explainer's number is of."""
    rows: dict[str, list[Row]] = kept(f"baselines_{name}")["rows"]
    own = {**rows["performer"][0], **rows["explainer"][0]}
    heads = [f"{label} (n {own[key]['n']})" for key, (label, _, _) in columns.items()]
    lines = ["| | detectors | seeds | " + " | ".join(heads) + " |", "|---|--:|--:|" + "--:|" * len(heads)]

    def line(label: str, of: list[Row]) -> str:
        cells = " | ".join(cell(of, key, digits, scale) for key, (_, digits, scale) in columns.items())
        count = of[0].get("detectors", "")
        return f"| {label} | {count} | {len(of)} | {cells} |"

    methods = [n for n in rows if n != "performer" and not n.startswith("null: ")]
    shown = {n: rows[n] for n in sorted(methods, key=place) if any(key in rows[n][0] for key in columns)}
    if columns is KEEP:
        lines.append(line("*the performer*", rows["performer"]))
    lines += [line(label, of) for label, of in shown.items()]
    nulls = [n for n in rows if n.startswith("null: ") and any(key in rows[n][0] for key in columns)]
    lines += [line(f"*{n.removeprefix('null: ')}*", rows[n]) for n in nulls]
    return "\n".join(lines)
