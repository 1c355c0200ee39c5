"""A finished figure."""

from typing import NamedTuple

from partscope.figures.sheet import Sheet


class Drawing(NamedTuple):
    """A sheet, its title, and what it shows in words."""

    sheet: Sheet
    title: str
    caption: str
