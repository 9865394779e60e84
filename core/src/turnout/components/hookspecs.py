"""The hooks, one a kind: each collects classes and does nothing else. A stack chooses among them by name, so that order
never matters.

What is returned is a class, or says by :class:`~turnout.plugin_api.Lazy` where it is: it is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pluggy

from turnout.components.kinds import KINDS, Kind, noun
from turnout.components.lazy import Lazy

hookspec = pluggy.HookspecMarker("turnout")
hookimpl = pluggy.HookimplMarker("turnout")


def _hook(kind: Kind[Any]) -> Callable[[], Iterable[Any | Lazy]]:
    def hook() -> Iterable[Any | Lazy]:  # type: ignore[empty-body]
        pass

    hook.__name__ = hook.__qualname__ = kind.hook
    hook.__doc__ = f"The {noun(kind.hook).removeprefix('turnout ')} a plugin brings."
    return hookspec(hook)


globals().update({kind.hook: _hook(kind) for kind in KINDS})
