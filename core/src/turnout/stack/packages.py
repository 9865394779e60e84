"""Where a stack says that packages come from: settings of its section ``environment``, for this machine and workers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from turnout.errors import ConfigError
from turnout.plan.model import PackageIndex
from turnout.stack import references
from turnout.stack.bind import Bound
from turnout.stack.loader import Node

_NAMES = tuple(field.name for field in msgspec.structs.fields(PackageIndex))
_USERINFO = re.compile(r"://([^/\s]+)@")


def package_index(bound: Bound) -> PackageIndex:
    """The settings as a plan has them, references that workers resolve unresolved."""
    planned: dict[str, Any] = bound.planned()
    return msgspec.convert({name: planned[name] for name in _NAMES if name in planned}, PackageIndex)


def clear_credentials(node: Node, bound: Bound) -> Iterator[ConfigError]:
    """Refuse the address of an index with a password in it, which planning would write into the plan; never show it."""
    planned = bound.planned()
    for name in _NAMES:
        given = planned.get(name, ())
        for template in (given,) if isinstance(given, str) else given if isinstance(given, (list, tuple)) else ():
            userinfo = _USERINFO.search(template)
            if userinfo is not None and not references.waits(userinfo[1]):
                yield ConfigError(
                    f"the setting {name!r} of environment holds a user name or a password",
                    where=node.value[name].at,
                    why="it would be written into the plan",
                    fix="write it as ${secret:NAME} or ${worker-env:NAME}: https://${secret:index}@packages.example/simple",
                )
