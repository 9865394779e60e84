"""When a process of turnout's own looks for garbage: not while it starts, and not once more when it ends.

What is imported, and a plan, are no garbage: looking through them took an eighth of a short run's time, and as much
again on the way out, when the interpreter looks through everything.
"""

from __future__ import annotations

import gc

SELDOM = (100_000, 20, 100)
"""The thresholds of a command (``gc.set_threshold``), which makes modules and plans above all."""


def seldom() -> None:
    """Look for garbage less often from now on."""
    gc.set_threshold(*SELDOM)


def later() -> None:
    """Look for none until :func:`now`."""
    gc.disable()


def now() -> None:
    """Look for garbage again, after :func:`later`, among what comes from now on; anywhere else nothing happens."""
    if not gc.isenabled():
        keep()
        gc.enable()


def keep() -> None:
    """Take all that is there for no garbage: what nobody looks through, a forked process goes on sharing."""
    gc.freeze()


def never() -> None:
    """Let the process end without looking for garbage; what is registered for its end is done all the same."""
    gc.freeze()
