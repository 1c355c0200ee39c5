"""The figures of the paper, drawn from finished runs."""

from partscope.figures.draw import Drawn, draw_figure

__all__ = ["Drawn", "draw_figure"]
