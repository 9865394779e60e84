"""Names of pipelines, steps, outputs and runs: they become paths, task ids, Kubernetes names and Python source."""

from __future__ import annotations

import re
from collections.abc import Iterable

from turnout.base.errors import DefinitionError, Location

MAX_LENGTH = 100
_DIGITS = 18
"""Those of an element's index at most."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
RULE = f"a letter, then letters, digits and underscores (ASCII), {MAX_LENGTH} characters at most"


def label(step: str, index: int | None) -> str:
    """What a step, or an element of a mapped one, is called: ``score``, ``score.3``."""
    return step if index is None else f"{step}.{index}"


def place(label: str) -> tuple[str, int | None]:
    """The step and the index of a :func:`label`."""
    step, _, index = label.rpartition(".")
    return (step, int(index)) if step and index.isdecimal() and len(index) <= _DIGITS else (label, None)


def problem(name: str) -> str | None:
    """Why *name* cannot be used, or None if it can.

    A name is ASCII, starts with a letter and goes on with letters, digits and underscores: what Airflow's
    task ids, KFP's task names, Kubernetes' labels, file systems and Python all take without escaping.
    """
    if not name:
        return "it is empty"
    if len(name) > MAX_LENGTH:
        return f"it has {len(name)} characters, {MAX_LENGTH} are allowed"
    if not _NAME.match(name):
        bad = next((char for char in name if not re.match(r"[A-Za-z0-9_]", char)), name[0])
        return f"{bad!r} is not allowed {'at the start' if bad == name[0] else 'in it'}"
    return None


def suggestion(name: str) -> str:
    """A valid name near *name*."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", plain).strip("_")[:MAX_LENGTH]
    return plain if _NAME.match(plain) else f"step_{plain}".rstrip("_")[:MAX_LENGTH]


def check(name: str, kind: str, where: Location | None, how: str) -> str:
    """Return *name*, or raise a :class:`DefinitionError` that offers a valid one.

    Args:
        kind: what is named, for the message: ``step``, ``pipeline``, ``output``.
        how: how to give another name, with ``{}`` for the suggestion: ``.named({})``.
    """
    if reason := problem(name):
        shown = name if len(name) <= 60 else name[:57] + "..."
        raise DefinitionError(
            f"{kind} name {shown!r} cannot be used: {reason}",
            where=where,
            why=f"names become paths, task ids and Kubernetes names: {RULE}",
            fix=f"use {how.format(repr(suggestion(name)))}",
        )
    return name


def clash(name: str, taken: Iterable[str]) -> str | None:
    """The taken name that equals *name* but for its case, or None (case-blind systems would mix them up)."""
    folded = name.casefold()
    return next((other for other in taken if other != name and other.casefold() == folded), None)
