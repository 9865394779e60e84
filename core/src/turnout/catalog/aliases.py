"""Names for artifacts, such as ``champion``: each setting is one more object, so who set what is never lost."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from turnout.base import names
from turnout.base.errors import ArtifactError, ConfigError, did_you_mean
from turnout.components.artifact_store import ArtifactStore
from turnout.model import records
from turnout.model.alias import Alias
from turnout.stores import layout

_RESERVED = re.compile(r"latest|v[0-9]+", re.IGNORECASE)


def check_name(name: str) -> None:
    """Refuse a name that no path could hold, or that some registry gives a meaning of its own.

    Raises:
        ConfigError: with a name that could be used.
    """
    if reason := names.problem(name):
        raise ConfigError(
            f"the alias {name[:60]!r} cannot be used: {reason}",
            why=f"an alias is {names.RULE}",
            fix=f"use {names.suggestion(name)!r}",
        )
    if _RESERVED.fullmatch(name):
        raise ConfigError(
            f"the alias {name!r} cannot be used",
            why="registries of models mean the newest version, or a version by its number, by such a name",
            fix="use a name that says what it is for, such as 'champion'",
        )


def set_alias(store: ArtifactStore[Any], alias: Alias) -> Alias:
    """Append a setting; of two at the same time both stay, and the later one counts. What the alias names already is
    not set again.

    Returns:
        the setting that stands, with its number and what came before it.

    Raises:
        ConfigError: when the name cannot be used, or differs from another alias by its case only.
    """
    check_name(alias.name)
    project = alias.run.project
    if other := names.clash(alias.name, alias_names(store, project)):
        raise ConfigError(
            f"there is an alias {other!r}, which differs from {alias.name!r} by its case only",
            why="a store on a disk may not tell them apart",
            fix=f"use {other!r}",
        )
    while True:
        standing = newest(store, project, alias.name)
        if standing is not None and _names(standing) == _names(alias):
            return standing
        if standing is not None:
            digest = None if standing.removed else standing.artifact.digest
            alias = msgspec.structs.replace(alias, number=standing.number + 1, previous=digest)
        if store.create(layout.alias(project, alias.name, alias.number), records.encode(alias)):
            return alias


def _names(alias: Alias) -> tuple[Any, ...]:
    return alias.removed, alias.run.id, alias.step, alias.index, alias.output, alias.artifact.digest


def remove_alias(store: ArtifactStore[Any], project: str, name: str, *, time: str, by: str) -> Alias:
    """Let an alias name nothing from now on; who set and who removed it stays on record.

    Returns:
        the last setting, which says so.

    Raises:
        ConfigError: when there is no such alias.
    """
    standing = find(store, project, name)
    return set_alias(store, msgspec.structs.replace(standing, time=time, by=by, stack="", removed=True))


def alias_names(store: ArtifactStore[Any], project: str) -> tuple[str, ...]:
    """The names of a project's aliases, sorted."""
    return tuple(store.children(layout.aliases(project)))


def newest(store: ArtifactStore[Any], project: str, name: str) -> Alias | None:
    """The last setting of an alias, its removal among them; None where there never was such an alias."""
    numbers = _numbers(store, project, name)
    return _read(store, project, name, numbers[-1]) if numbers else None


def history(store: ArtifactStore[Any], project: str, name: str) -> tuple[Alias, ...]:
    """All that an alias has named, oldest first."""
    return tuple(
        found for number in _numbers(store, project, name) if (found := _read(store, project, name, number)) is not None
    )


def find(store: ArtifactStore[Any], project: str, name: str) -> Alias:
    """What an alias names now.

    Raises:
        ConfigError: when there is no such alias.
    """
    found = None if names.problem(name) else newest(store, project, name)
    if found is None or found.removed:
        raise ConfigError(
            f"the project {project} has no alias {name[:60]!r} in {store.address}. "
            f"{did_you_mean(name, alias_names(store, project))}".rstrip(" ."),
            fix="set it: turnout promote RUN STEP --alias NAME; another stack's aliases need its --stack",
        )
    return found


def _numbers(store: ArtifactStore[Any], project: str, name: str) -> list[int]:
    found = (one.removesuffix(".json") for one in store.children(layout.alias_history(project, name)))
    return sorted(int(number) for number in found if number.isdecimal())


def _read(store: ArtifactStore[Any], project: str, name: str, number: int) -> Alias | None:
    key = layout.alias(project, name, number)
    data = store.read(key)
    if data is None:
        return None
    alias = records.decode(data, Alias, key)
    if (alias.name, alias.number, alias.run.project) != (name, number, project):
        raise ArtifactError(f"{key} is refused: it is another alias'", why="it was changed after it was written")
    return alias
