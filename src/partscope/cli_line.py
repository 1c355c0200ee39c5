"""What the command line gives to a command that has a module of its own."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, final

from jsonargparse import ArgumentParser, Namespace

if TYPE_CHECKING:
    from partscope.run import Event

Result = TypeVar("Result")


@final
@dataclass(frozen=True)
class Line(Generic[Result]):
    """A line to be read, and how to read it and to run what it asks for."""

    parser: ArgumentParser
    """Without arguments yet, with the command's name."""
    arguments: list[str]
    """Of the command."""
    read: Callable[[ArgumentParser, list[str]], Namespace]
    """Reads arguments, with our errors."""
    follow: "Callable[[Generator[Event, None, Result]], Result]"
    """Shows progress to the end and returns the result."""
