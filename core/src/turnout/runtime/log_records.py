"""What a step says by the standard library's ``logging``: it belongs into the step's log, from INFO on."""

from __future__ import annotations


def show() -> None:
    """Show records of INFO and above on standard error, where nobody has set logging up otherwise.

    It stands in the place of the handler of last resort, which would show warnings only: what the step sets up itself,
    by ``basicConfig`` for one, takes over as in a new interpreter.
    """
    import logging

    root = logging.getLogger()
    if root.handlers or root.level != logging.WARNING:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    logging.lastResort = handler
    root.setLevel(logging.INFO)
