"""Settings of the paper's figures; loads no heavy library, so that ``--help`` stays fast."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from partscope.errors import SettingsError

FIGURES = {
    "filters": "Fig. 3, App. B: maps of the explainer's filters beside those of the performer's (one run)",
    "shares": "Fig. 4: maps of two networks' filters beside their p (two runs)",
    "parts": "Fig. 5, App. D: Grad-CAM of explainer and performer, and what each part contributes (one run)",
}
"""The figures by name."""

REFERENCE_PX = 224
"""Side of the crop that lengths in px are given for; they are scaled to other crops."""


@dataclass(frozen=True, kw_only=True)
class FieldSettings:
    """How empirical receptive fields are measured; the defaults are those of the authors' released code."""

    images: int = 10
    """Images that a filter's field is averaged over."""
    side: int = 33
    """Side of the square that covers a part of the image, in px of a 224 px crop (Zhou et al. 2015: 11)."""
    stride: int = 9
    """Distance between its places, in px of a 224 px crop (Zhou et al.: 3)."""
    keep: int = 4
    """Places with the largest losses that are kept of each image; 0 keeps all, as Zhou et al. do."""
    fill: Literal["mean", "random"] = "mean"
    """What covers: the performer's mean colour, or random pixels (Zhou et al.)."""
    centre: Literal["image", "covered"] = "image"
    """Re-centre each loss on the peak of the whole image (Zhou et al.), or of the covered one (released code)."""
    sigma: float = 30.0
    """Standard deviation of the Gaussian that smooths the averaged field, in px of a 224 px crop; 0 leaves it."""
    width: int = 50
    """Width of that Gaussian's kernel, in px of a 224 px crop."""
    radius: float = 40.0
    """Radius of the discs that stand for fields of the performer's filters, in px of a 224 px crop."""
    share: float = 0.003
    """Share of a filter's activations that lie above its threshold (0 to 1)."""


@dataclass(frozen=True, kw_only=True)
class FigureSettings:
    """What a figure shows."""

    rows: int = 5
    """Filters, or parts, one a row."""
    images: int = 5
    """Images of each filter."""
    filters: tuple[int, ...] = ()
    """Filters to show; empty takes those with the largest contributions."""
    seed: int = 0
    """Seed of the choice of images, which are drawn at random among those that excite a filter."""
    fields: Literal["paper", "measured", "round"] = "paper"
    """`measured` receptive fields for all, `round` ones for all (App. B), or as in Fig. 3: round for the performer."""
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of parts and the landmarks of each, e.g. `{head: [beak, crown]}`, whose filters are added up; empty adds up
    left and right (CUB-200-2011: head, neck, torso, legs, tail)."""
    field: FieldSettings = FieldSettings()
    """Measurement of the receptive fields."""


RANGES: tuple[tuple[str, float, float], ...] = (
    ("rows", 1, 24),
    ("images", 1, 24),
    ("seed", 0, 2**32),
    ("field.images", 1, 1000),
    ("field.side", 1, REFERENCE_PX),
    ("field.stride", 1, REFERENCE_PX),
    ("field.keep", 0, 1e6),
    ("field.sigma", 0, REFERENCE_PX),
    ("field.width", 1, REFERENCE_PX),
    ("field.radius", 1, REFERENCE_PX),
    ("field.share", 0.0, 1.0),
)


def check_figure(name: str, runs: Sequence[object], settings: FigureSettings) -> None:
    """Checks what can be checked before anything is loaded.

    Args:
        name: of the figure.
        runs: run folders.
        settings: of the figure.

    Raises:
        SettingsError: there is no such figure, it takes another number of runs, or a setting is out of its range.
    """
    import difflib

    if name not in FIGURES:
        near = difflib.get_close_matches(name, FIGURES, 1, 0.5)
        raise SettingsError(
            "choosing the figure",
            f"there is no figure '{name}'",
            f"{f'did you mean {near[0]}? ' if near else ''}take one of {', '.join(FIGURES)}",
        )
    wanted = 2 if name == "shares" else 1
    if len(runs) != wanted:
        raise SettingsError(
            f"drawing the figure '{name}'",
            f"{len(runs)} run folders",
            f"give {wanted}: partscope figure {name} {' '.join(('RUN', 'RUN2')[:wanted])} --out FILE",
        )
    for key, least, most in RANGES:
        group, _, inner = key.partition(".")
        value = getattr(settings, group)
        value = getattr(value, inner) if inner else value
        if not least <= value <= most:
            raise SettingsError(
                "checking the settings", f"{key} = {value}", f"give --{key} between {least:g} and {most:g}"
            )
