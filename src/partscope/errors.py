"""The one family of errors that a user's mistake, or the machine's, can cause."""


class PartscopeError(Exception):
    """A failure told in three lines: what was being done, what was found, what to do next.

    Args:
        doing: what we were doing, e.g. ``"reading the image 'bird/003.jpg'"``.
        got: what we found instead of what we need.
        todo: what the user can do; names the setting, the nearest layer, or the command that lists them.
    """

    def __init__(self, doing: str, got: str, todo: str) -> None:
        doing, got, todo = (" ".join(line.strip() for line in text.splitlines()) for text in (doing, got, todo))
        super().__init__(f"while {doing}\n  got: {got}\n  do:  {todo}")
        self.doing = doing
        self.got = got
        self.todo = todo


class DataError(PartscopeError):
    """Images, annotations or their folder are not what the settings say."""


class PerformerError(PartscopeError):
    """The network under diagnosis cannot be loaded, tapped or resumed as asked."""


class SettingsError(PartscopeError):
    """A setting is unknown, out of its range, or contradicts another."""


class RunError(PartscopeError):
    """A run folder, cache or file of ours is missing, foreign, damaged or cannot be written."""


class DivergedError(PartscopeError):
    """A loss or feature is not finite; the last good state has been kept."""
