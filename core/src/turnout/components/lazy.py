"""A component that is imported when it is used."""

from __future__ import annotations

from typing import Any

import msgspec


class Lazy(msgspec.Struct, frozen=True):
    """A component by its name and its place, for a hook to return in its stead: importing it can wait until it is used.

    As an entry point says it: ``Lazy("ledger", "turnout_ledger.tracker:LedgerTracker")``. A stack of which another
    component is in use starts without it.
    """

    name: str
    """The ``type`` in a stack file: the component's own ``name``."""
    place: str
    """The module and the name in it, with a colon between them."""

    def load(self) -> Any:
        """Import it.

        Raises:
            ImportError, AttributeError: when it is not there.
        """
        from importlib import import_module

        module, _, name = self.place.partition(":")
        return getattr(import_module(module), name)
