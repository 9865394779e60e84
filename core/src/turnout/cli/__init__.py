"""The command line. Commands are imported when they are called, so that ``turnout --help`` starts at once."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point of the ``turnout`` command."""
    from turnout.cli.app import application
    from turnout.errors import TurnoutError

    try:
        application(prog_name="turnout")
    except TurnoutError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
