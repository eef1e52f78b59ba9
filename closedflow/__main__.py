"""The command line's entry point: ``closedflow`` and ``python3 -m closedflow``."""

import sys


def main() -> None:
    """Runs the command line and exits with its code."""
    from closedflow.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
