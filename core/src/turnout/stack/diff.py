"""The difference of two merged stacks."""

from __future__ import annotations

from typing import Any

import msgspec

from turnout.stack.render import path_text, shown
from turnout.stack.stack import Stack


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A value in which two stacks differ: its path, and for each the value and its place; a place is empty where the
    stack has no such value."""

    path: str
    left: Any = None
    left_at: str = ""
    right: Any = None
    right_at: str = ""


def diff(left: Stack, right: Stack) -> tuple[Change, ...]:
    """The changes from one stack to the other, references unresolved, in the order of the left one, then the right."""
    old, new = dict(left.document.leaves()), dict(right.document.leaves())
    changes = []
    for path in dict.fromkeys((*old, *new)):
        before, after = old.get(path), new.get(path)
        if before and after and before.plain() == after.plain() and type(before.value) is type(after.value):
            continue
        changes.append(
            Change(
                path=path_text(path),
                left=shown(before.plain()) if before else None,
                left_at=str(before.at) if before else "",
                right=shown(after.plain()) if after else None,
                right_at=str(after.at) if after else "",
            )
        )
    return tuple(changes)
