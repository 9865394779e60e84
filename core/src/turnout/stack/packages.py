"""Where a stack says that packages come from: settings of its section ``environment``, for this machine and workers."""

from __future__ import annotations

from typing import Any

import msgspec

from turnout.model.plan import PackageIndex
from turnout.stack.bind import Bound

_NAMES = tuple(field.name for field in msgspec.structs.fields(PackageIndex))


def package_index(bound: Bound) -> PackageIndex:
    """The settings as a plan has them, references that workers resolve unresolved."""
    planned: dict[str, Any] = bound.planned()
    return msgspec.convert({name: planned[name] for name in _NAMES if name in planned}, PackageIndex)
