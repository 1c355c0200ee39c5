"""Entry of ``partscope`` and ``python -m partscope``."""

import os
import sys

from partscope.cli import run

__all__ = ["main"]


def main() -> None:
    """Runs the command line and exits with its code; quietly with 1 where nobody reads the output to its end."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
