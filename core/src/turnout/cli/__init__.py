"""The command line: one module a command, imported when it is called."""

from __future__ import annotations

import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from turnout.base import python_gc as garbage

if TYPE_CHECKING:
    from collections.abc import Callable

    from click import ClickException


def main() -> None:
    """The entry point of the ``turnout`` command."""
    garbage.seldom()
    import click

    from turnout.base.errors import TurnoutError, TurnoutWarning
    from turnout.cli.app import application
    from turnout.cli.screen import guarded

    with guarded(), warnings.catch_warnings():
        warnings.simplefilter("always", TurnoutWarning)
        warnings.showwarning = partial(_show_warning, warnings.showwarning)
        try:
            sys.exit(application(prog_name="turnout", standalone_mode=False))
        except click.ClickException as error:
            _print_misuse(error)
            sys.exit(2)
        except TurnoutError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(1)
        except OSError as error:  # a path that was given to a command: no such folder, no right, too long
            print(f"error: {_unusable(error)}", file=sys.stderr)
            sys.exit(2)
        except (click.Abort, KeyboardInterrupt):
            print("stopped", file=sys.stderr)
            sys.exit(130)
        finally:
            garbage.never()


def _show_warning(other: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any) -> None:
    """Print a warning of turnout's in one line, without the place in its code; *other* prints those of others."""
    from turnout.base.errors import TurnoutWarning

    if issubclass(category, TurnoutWarning):
        print(f"turnout: {message}", file=sys.stderr)
    else:
        other(message, category, *place)


def _unusable(error: OSError) -> str:
    """What is said of a path that cannot be used."""
    paths = " and ".join(str(path) for path in (error.filename, error.filename2) if path is not None)
    return f"{paths or 'a file'} cannot be used\n  why: {error.strerror or error}\n  fix: give another path"


def _print_misuse(error: ClickException) -> None:
    """Print what is wrong with the command as it was typed, in the form of turnout's own errors."""
    from click import UsageError

    context = error.ctx if isinstance(error, UsageError) else None
    if type(error).__name__ == "NoArgsIsHelpError":  # click 8.1 does not have it
        print(error.format_message(), file=sys.stderr)
        return
    print(f"error: {error.format_message()}", file=sys.stderr)
    if context is not None:
        print(
            f"  usage: {context.command_path} {' '.join(context.command.collect_usage_pieces(context))}",
            file=sys.stderr,
        )
        print(f"  fix: see `{context.command_path} --help`", file=sys.stderr)
