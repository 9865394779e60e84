"""The fingerprint of a function: everything of the project that running it may reach, as one digest.

Two fingerprints that are equal mean the same behaviour as far as the project's own code goes. The reverse does not
hold: what cannot be followed counts as a whole, so that a change may be seen where there is none, never the other
way round. Comments, formatting and docstrings do not count. Other packages are named: the environment's pins, or else
the interpreter of the step, say what they are.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.fingerprint.in_memory import Values
from turnout.fingerprint.modules import Links, Node, foreign
from turnout.project.project import Project
from turnout.project.written import Places

FOREIGN = "(other packages)"
"""The part that stands for the names of the packages of others that are imported."""


class Fingerprint(msgspec.Struct, frozen=True):
    """A digest, and the digests it is made of: by ``module:name``, ``module`` where the whole of it counts, or path.

    ``packages`` are the packages of others that are imported: what they are, only the interpreter of the step can tell.
    """

    digest: str
    parts: dict[str, str]
    packages: frozenset[str] = frozenset()


def fingerprint(function: Any, project: Project) -> Fingerprint:
    """The fingerprint of one function or class; for many of one project, :class:`Fingerprints` reads files once."""
    return Fingerprints(project).fingerprint(function)


class Fingerprints:
    """Fingerprints of a project as it is now: each file is read once, so that many steps cost little more than one."""

    def __init__(self, project: Project, places: Places | None = None) -> None:
        self.project = project
        self._links = Links(project, places)
        self._by_start: dict[tuple[Node, ...], Fingerprint] = {}
        self._by_value: dict[int, tuple[Any, Fingerprint]] = {}

    def of(self, function: Any) -> Fingerprint:
        """The fingerprint of a function, made once."""
        if id(function) not in self._by_value:
            self._by_value[id(function)] = (function, self.fingerprint(function))
        return self._by_value[id(function)][1]

    def fingerprint(self, function: Any) -> Fingerprint:
        """The fingerprint of a function or class: from its source, or for one that has none in the project from what
        it is made of in memory (its code, closure, and the globals it uses)."""
        starts = self._source_of(function)
        if starts is not None:
            return self._from_source(starts)
        values = Values(self._source_of, self._module_of)
        values.add(function)
        others = (node for name in values.foreign for node in foreign(name))
        return self._combine({*values.starts, *others}, values.parts)

    def of_class(self, reference: str) -> Fingerprint | None:
        """The fingerprint of ``module:qualname`` (a class, a materializer), or None where it is not the project's."""
        name, _, qualname = reference.partition(":")
        module = self._links.module(name)
        return None if module is None else self._from_source(self._links.named(module, qualname.split(".")[0]))

    def of_used(self, reference: str) -> Fingerprint | None:
        """The fingerprint of ``module:name`` or ``module``, or None where it is not the project's."""
        module = None if ":" in reference else self._links.module(reference)
        return self.of_class(reference) if module is None else self._from_source((Node("whole", module.name),))

    def _source_of(self, value: Any) -> tuple[Node, ...] | None:
        """What stands for a function or class in the project's source, or None where there is none."""
        qualname = getattr(value, "__qualname__", "<locals>")
        if "<locals>" in qualname:
            return None
        file = getattr(sys.modules.get(value.__module__), "__file__", None)
        if file is None:
            return None
        plain = inspect.unwrap(value)
        if isinstance(plain, FunctionType) and not Path(plain.__code__.co_filename).is_file():
            return None
        module = self._links.module_at(Path(file))
        return None if module is None else self._links.named(module, qualname.split(".")[0])

    def _module_of(self, module: ModuleType) -> Node | None:
        file = getattr(module, "__file__", None)
        found = self._links.module_at(Path(file)) if file else None
        return None if found is None else Node("whole", found.name)

    def _from_source(self, starts: tuple[Node, ...]) -> Fingerprint:
        if starts not in self._by_start:
            self._by_start[starts] = self._combine(starts, {})
        return self._by_start[starts]

    def _combine(self, starts: Iterable[Node], values: dict[str, str]) -> Fingerprint:
        starts = tuple(starts)
        nodes = self._links.reachable((*starts, *self._links.received(starts)))
        parts = dict(values)
        others = {node.module for node in nodes if node.kind == "foreign"}
        if others:
            parts[FOREIGN] = canonical.digest_of(sorted(others))
        packages = frozenset(name for name in others if not self._links.is_elsewhere(name))
        parts.update({node.module: self._links.file(node.module) for node in nodes if node.kind == "file"})
        units = [node for node in nodes if node.kind == "unit"]
        whole = {node.module for node in nodes if node.kind not in {"foreign", "file"} and self._is_whole(node)}
        if any(self._links.unit(node).introspects for node in units):
            parts.update({name: self._links.raw(name) for name in {*whole, *(node.module for node in units)}})
            return _made_of(parts, packages)
        parts.update({name: self._links.content(name) for name in whole})
        found: dict[str, list[str]] = {}
        for node in sorted(one for one in units if one.module not in whole):
            unit = self._links.unit(node)
            label = ",".join(unit.names)
            for one in {label, ""} if self._links.acts(node) else {label}:
                found.setdefault(f"{node.module}:{one or '(top level)'}", []).append(unit.digest)
        parts.update({name: one[0] if len(one) == 1 else canonical.digest_of(one) for name, one in found.items()})
        return _made_of(parts, packages)

    def _is_whole(self, node: Node) -> bool:
        """Whether a module counts as one: any of it may be used, or it cannot be taken apart."""
        return bool(self._links.raw(node.module)) and (node.kind == "whole" or not self._links.is_readable(node.module))


def _made_of(parts: dict[str, str], packages: frozenset[str]) -> Fingerprint:
    return Fingerprint(canonical.digest_of(parts), dict(sorted(parts.items())), packages)
