"""Entry of ``partscope`` and ``python -m partscope``."""

import sys

from partscope.cli import run

__all__ = ["main"]


def main() -> None:
    """Runs the command line and exits with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
