"""A sheet laid out in inches from its upper left corner, saved so that the same content gives the same bytes."""

import io
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from partscope.files import write_whole
from partscope.version import __version__

INK, MUTED, RULE = "#1b1b1b", "#5f6368", "#c9cdd2"
EXPLAINER, PERFORMER, NEUTRAL = "#0072B2", "#D55E00", "#BBBBBB"
"""Okabe and Ito's blue and vermilion, which stay apart for colour-blind eyes and in grey."""

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same everywhere
    "font.size": 7.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "svg.hashsalt": "partscope",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "path.simplify": False,
}
P = ParamSpec("P")
R = TypeVar("R")
EXTENSIONS = ("png", "svg", "pdf")
DPI = 220


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Makes a function draw in our style; the user's settings come back after it."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        own = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")}
        style: Any = own | STYLE
        with matplotlib.rc_context(style):
            return draw(*args, **kwargs)

    return drawn


@final
class Sheet:
    """A figure under construction.

    Args:
        width: in inches.
        height: in inches.
        kind: `png`, `svg` or `pdf`; pictures stay pixels of their own in the latter two.
    """

    def __init__(self, width: float, height: float, kind: str) -> None:
        self.width, self.height, self.kind = width, height, kind
        self.figure = Figure(figsize=(width, height), facecolor="white")
        FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float, *, frame: bool = False) -> Axes:
        """A rectangle to draw in, without ticks."""
        place = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set(xticks=[], yticks=[])
        if not frame:
            axes.axis("off")
        return axes

    def picture(self, pixels: Any, left: float, top: float, side: float) -> Axes:
        """An image (H, W, 3) in [0, 1] on a square; the axes' units are its pixels, their centres at integers."""
        axes = self.axes(left, top, side, side)
        height, width = pixels.shape[:2]
        axes.imshow(pixels, interpolation="lanczos" if self.kind == "png" else "none", aspect="auto")
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
        return axes

    def text(self, left: float, top: float, text: str, **look: Any) -> None:
        """Words whose upper left corner (unless told otherwise) lies there; no dollar sign is mathematics."""
        settings = {"va": "top", "ha": "left", "parse_math": False, "linespacing": 1.25, **look}
        self.figure.text(left / self.width, 1 - top / self.height, text, **settings)

    def rule(self, left: float, top: float, width: float, colour: str, thickness: float = 1.5) -> None:
        """A horizontal line, `thickness` in points."""
        height = thickness / 72 / self.height
        place = (left / self.width, 1 - top / self.height)
        bar = Rectangle(place, width / self.width, height, transform=self.figure.transFigure, color=colour, lw=0)
        self.figure.add_artist(bar)

    @styled
    def save(self, out: Path, title: str, words: str) -> None:
        """Writes the figure, whole or not at all.

        Args:
            out: the file; what it ends in is its kind.
            title: kept in the file.
            words: what the picture shows, for those who cannot see it; kept in the file.

        Raises:
            RunError: it cannot be written.
        """
        maker = f"partscope {__version__}"
        metadata: dict[str, dict[str, Any]] = {
            "png": {"Title": title, "Description": words, "Software": maker},
            "svg": {"Title": title, "Description": words, "Creator": maker, "Date": None, "Language": "en"},
            "pdf": {"Title": title, "Subject": words, "Creator": maker, "Producer": maker, "CreationDate": None},
        }
        buffer = io.BytesIO()
        dpi = DPI if self.kind == "png" else 72
        self.figure.savefig(buffer, format=self.kind, dpi=dpi, metadata=metadata[self.kind])
        content = buffer.getvalue()
        if self.kind == "svg":
            content = _with_words(content, title, words)
        write_whole(out, lambda temporary: _fill(temporary, content))


def _fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _with_words(svg: bytes, title: str, words: str) -> bytes:
    """Says the picture in words to screen readers, which pass over the metadata."""
    from xml.sax.saxutils import escape

    start = svg.index(b"<svg")
    end = svg.index(b">", start)
    inside = f'<title id="title">{escape(title)}</title><desc id="desc">{escape(words)}</desc>'
    return svg[:end] + b' role="img" aria-labelledby="title desc">' + inside.encode() + svg[end + 1 :]
