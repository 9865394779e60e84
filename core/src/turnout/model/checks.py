"""Checks of settings beyond their types: each turns what was written into what a plan holds, or refuses it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from turnout.base.durations import parse
from turnout.base.errors import DefinitionError
from turnout.base.quantities import memory_bytes, plain_memory

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)


def span(value: Any) -> float:
    """The seconds of a span of time that is longer than nothing."""
    return parse(value)


def delay(value: Any) -> float:
    """The seconds of a span of time, which may be nothing."""
    return parse(value, zero=True)


def cache(value: Any) -> bool | float:
    """A policy of the cache: yes, no, or for how many seconds."""
    return value if isinstance(value, bool) else parse(value)


def memory(value: Any) -> int | str:
    """An amount of memory: bytes, or as Kubernetes writes it."""
    try:
        if isinstance(value, (int, str)) and not isinstance(value, bool) and memory_bytes(value) >= 0:
            return plain_memory(value)
    except DefinitionError:
        pass
    raise ValueError


def texts(value: Any) -> tuple[str, ...]:
    """Several texts in their order."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
        raise ValueError
    return tuple(value)


def requirements(value: Any) -> tuple[str, ...]:
    """Requirements as pip takes them."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in texts(value):
        try:
            Requirement(text)
        except InvalidRequirement:
            raise DefinitionError(
                f"the requirement {text!r} cannot be read",
                fix='write it as pip takes it: requirements=["scikit-learn>=1.5"]',
            ) from None
    return texts(value)


def secrets(value: Any) -> dict[str, str]:
    """Environment variables, and the names of the secrets they get."""
    example = 'write secrets={"DB_PASSWORD": "warehouse"}'
    if not isinstance(value, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise DefinitionError(
            "secrets is an object: the environment variable, and the name of the secret it gets", fix=example
        )
    for variable, name in value.items():
        _check_variable(variable, example)
        if not name:
            raise DefinitionError(f"the secret of {variable} has no name", fix=example)
    return dict(value)


def variables(value: Any) -> tuple[str, ...]:
    """Names of environment variables, each once."""
    names = tuple(dict.fromkeys(texts(value)))
    for name in names:
        _check_variable(name, 'write env=["REGION"]')
    return names


def _check_variable(name: str, example: str) -> None:
    if not _VARIABLE.match(name):
        raise DefinitionError(
            f"{name!r} cannot be an environment variable",
            why="its name has letters, digits and underscores only, no digit first",
            fix=example,
        )


def files(value: Any) -> tuple[str, ...]:
    """Patterns of the project's files, relative to its root."""
    for pattern in texts(value):
        path = PurePosixPath(pattern)
        if path.is_absolute() or ".." in path.parts or "\\" in pattern or not pattern or pattern[1:2] == ":":
            raise DefinitionError(
                f"the file pattern {pattern!r} leaves the project",
                why="a worker has the project's files only",
                fix='write it relative to the project\'s root, with forward slashes: files=["sql/*.sql"]',
            )
    return texts(value)
