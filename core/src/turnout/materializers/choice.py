"""Which materializer takes a type or a value: by the names of classes, importing none of their libraries."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from turnout.base.errors import ArtifactError, PluginError, did_you_mean
from turnout.components.materializer import Materializer
from turnout.materializers.classes import names_of, resolve
from turnout.materializers.own import adapt
from turnout.model.types import TypeName

AUTO = "auto"
LAST = "pickle"


class Materializers:
    """The materializers of a process.

    Args:
        classes: the registered ones, built-in and of plugins; their order does not matter.
        load_project: imports ``module:qualname`` of a project.

    Raises:
        PluginError: when two have one name, or two take one type.
    """

    def __init__(self, classes: Iterable[type[Materializer]], load_project: Callable[[str], Any] = resolve) -> None:
        self._load_project = load_project
        self._by_name: dict[str, Materializer] = {}
        self._by_type: dict[str, Materializer] = {}
        for kind in classes:
            materializer = kind()
            self._take(self._by_name, kind.name, materializer)
            for name in kind.types:
                self._take(self._by_type, name, materializer)

    @staticmethod
    def _take(taken: dict[str, Materializer], name: str, materializer: Materializer) -> None:
        other = taken.setdefault(name, materializer)
        if other is not materializer:
            ours, theirs = (f"{type(m).__module__}.{type(m).__qualname__}" for m in (other, materializer))
            raise PluginError(
                f"two materializers claim {name!r}: {ours} and {theirs}",
                fix="uninstall the plugin of one of them",
            )

    def for_type(self, type_name: TypeName) -> str | None:
        """The registered name for a declared type, or None where only the value can tell."""
        for name in (type_name.name, *type_name.bases):
            if found := self._by_type.get(name):
                return found.name
        return None

    def candidates(self, value: Any) -> Iterator[Materializer]:
        """The materializers that may take a value, nearest class first, the pickle last; each once."""
        seen = set()
        for materializer in self._matching(value):
            if materializer.name not in seen:
                seen.add(materializer.name)
                yield materializer

    def _matching(self, value: Any) -> Iterator[Materializer]:
        kind = type(value)
        if isinstance(value, Path):
            yield self.named("folder" if value.is_dir() else "file")
            return
        for name in names_of(kind):
            if found := self._by_type.get(name):
                yield found
        if dataclasses.is_dataclass(kind):
            yield self.named("dataclass")
        yield self.named("json" if kind.__module__ == "builtins" else LAST)
        yield self.named(LAST)

    def named(self, name: str) -> Materializer:
        """A materializer by its registered name, or by ``module:qualname`` where it is the project's own.

        Raises:
            PluginError: when none is registered under the name.
            ArtifactError: when the project's class cannot be imported or is none.
        """
        if found := self._by_name.get(name):
            return found
        if ":" not in name:
            raise PluginError(
                f"there is no materializer {name!r}. {did_you_mean(name, self._by_name)}".rstrip(" ."),
                fix="install the plugin that brings it",
            )
        try:
            own = self._load_project(name)
        except (ImportError, AttributeError) as error:
            raise ArtifactError(
                f"the materializer {name} cannot be imported",
                why=str(error),
                fix="define it at the top of a module of the project",
            ) from error
        return self._by_name.setdefault(name, adapt(name, own))
