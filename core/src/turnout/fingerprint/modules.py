"""The project's modules and how their statements reach each other, found from their source without importing any."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec

from turnout.base import canonical
from turnout.fingerprint import syntax
from turnout.fingerprint.named import Named
from turnout.fingerprint.scope import Chain, Target
from turnout.fingerprint.syntax import Source, Unit
from turnout.project.project import Project
from turnout.project.written import Places

Seen = frozenset[tuple[str, str]]
"""Names that were looked up on the way to one: each a module's and a top-level name of it."""


class Module(msgspec.Struct, frozen=True):
    """A module of the project. ``source`` is None for what cannot be read: a compiled or broken file, a bare folder.

    ``raw`` is the digest of its file, empty for a bare folder.
    """

    name: str
    is_package: bool
    source: Source | None
    raw: str


class Node(msgspec.Struct, frozen=True, order=True):
    """Something of the project that code can reach.

    ``unit`` is one statement of a module; ``loaded`` that the module is imported, with the effects of that;
    ``whole`` that any of its statements may be used; ``foreign`` a package that is not the project's; ``file`` a file
    of the project that is no module, with its path as *module*.
    """

    kind: Literal["unit", "loaded", "whole", "foreign", "file"]
    module: str
    number: int = 0


class Links:
    """The project's modules, read as they are met. A snapshot: each file is read once."""

    def __init__(self, project: Project, places: Places | None = None) -> None:
        self.project = project
        self._named = Named(project, places)
        self._roots = tuple((project.root / top).resolve() for top in project.import_roots)
        self._modules: dict[str, Module | None] = {}
        self._edges: dict[Node, tuple[Node, ...]] = {}
        self._acting: dict[Node, bool] = {}
        self._files: dict[Path, Module | None] = {}

    def module(self, name: str) -> Module | None:
        """The project's module of a dotted name, or None where the project has none."""
        if name not in self._modules:
            self._modules[name] = self._find(name)
        return self._modules[name]

    def module_at(self, path: Path) -> Module | None:
        """The module in a file of the project, whether or not it can be imported by a name."""
        if path not in self._files:
            self._files[path] = self._in_file(path.resolve())
        return self._files[path]

    def unit(self, node: Node) -> Unit:
        """The statement that a node of kind ``unit`` stands for."""
        module = self.module(node.module)
        assert module is not None
        assert module.source is not None
        return module.source.units[node.number]

    def raw(self, name: str) -> str:
        """The digest of a module's file; empty for a bare folder."""
        module = self.module(name)
        return module.raw if module else ""

    def file(self, path: str) -> str:
        """The digest of a file of the project; empty for one that cannot be read."""
        try:
            return canonical.digest_file(self.project.root / path)[0]
        except OSError:
            return ""

    def is_readable(self, name: str) -> bool:
        """Whether a module is taken apart into statements."""
        module = self.module(name)
        return module is not None and module.source is not None

    def content(self, name: str) -> str:
        """The digest of a module as a whole: of its syntax, or of its file where it cannot be read."""
        module = self.module(name)
        assert module is not None
        return module.source.digest if module.source else module.raw

    def named(self, module: Module, name: str) -> tuple[Node, ...]:
        """What a top-level name of a module stands for; the whole module where it does not bind it."""
        return tuple(dict.fromkeys(self._attribute(module.name, name, ())))

    def reachable(self, starts: tuple[Node, ...]) -> set[Node]:
        """All nodes that *starts* reach, themselves among them."""
        seen = set(starts)
        todo = list(starts)
        while todo:
            for node in self._edges_of(todo.pop()):
                if node not in seen:
                    seen.add(node)
                    todo.append(node)
        return seen

    def acts(self, node: Node) -> bool:
        """Whether importing a module may, by this statement, change more than the names it binds."""
        if node not in self._acting:
            self._acting[node] = self._acts(node)
        return self._acting[node]

    def received(self, starts: tuple[Node, ...]) -> set[Node]:
        """The project's classes that values handed to *starts* may have.

        These are the classes in annotations, those in the annotations of these, and all that derive from them:
        a value's methods may run though nothing in the code names its class.
        """
        found: set[Node] = set()
        todo = [node for node in starts if node.kind == "unit"]
        while todo:
            node = todo.pop()
            unit = self.unit(node)
            for chain in unit.received:
                for other in self._mentioned(node.module, chain, unit):
                    if other.kind == "unit" and other not in found:
                        classes = {other, *self._derived(other)} - found
                        found |= classes
                        todo.extend(classes)
        return found

    def is_elsewhere(self, package: str) -> bool:
        """Whether files of the project may be what a package's name means, though no import root has it."""
        return bool(self._named.elsewhere(package))

    def _in_file(self, path: Path) -> Module | None:
        if not path.is_file() or path.suffix != ".py" or not path.is_relative_to(self.project.root):
            return None
        name = self.project.module_of(path)
        if name is not None:
            return self.module(name)
        label = self.project.relative(path)
        return self._modules.setdefault(label, _read(label, path, is_package=False))

    def _find(self, name: str) -> Module | None:
        if not name:
            return None
        if name.endswith(".py") and (path := self.project.root / name).is_file():
            return _read(name, path, is_package=False)
        folders = []
        for root in self._roots:
            base = root.joinpath(*name.split("."))
            for path, is_package in ((base / "__init__.py", True), (base.with_name(f"{base.name}.py"), False)):
                if path.is_file():
                    return _read(name, path, is_package=is_package)
            if base.parent.is_dir():
                for path in sorted(base.parent.glob(f"{base.name}.*")):
                    if path.suffix in {".so", ".pyd", ".pyx"}:
                        return Module(name, False, None, canonical.digest_file(path)[0])
            if base.is_dir():
                folders.append(base)
        if folders and any(one.startswith(f"{name}.") for one in self._named.modules):
            return Module(name, True, None, "")
        return None

    def _edges_of(self, node: Node) -> tuple[Node, ...]:
        if node not in self._edges:
            found = {"unit": self._from_unit, "loaded": self._from_loaded, "whole": self._from_whole}.get(node.kind)
            self._edges[node] = tuple(dict.fromkeys(found(node))) if found else ()
        return self._edges[node]

    def _from_unit(self, node: Node) -> Iterator[Node]:
        unit = self.unit(node)
        yield Node("loaded", node.module)
        for chain in sorted(unit.chains):
            yield from self._mentioned(node.module, chain, unit)
        for word in sorted(unit.words):
            yield from self._worded(node.module, word)
        for file in sorted(unit.files):
            yield from self._filed(file)
        for target in unit.loads:
            yield from self._loads(node.module, target)
        if unit.widens == syntax.MODULE:
            yield Node("whole", node.module)
        elif unit.widens == syntax.PACKAGE:
            yield from (Node("whole", name) for name in self._package_of(node.module))

    def _from_loaded(self, node: Node) -> Iterator[Node]:
        parent = node.module.rpartition(".")[0]
        if parent and self.module(parent):
            yield Node("loaded", parent)
        module = self.module(node.module)
        if module is None or module.source is None:
            return
        units = (Node("unit", node.module, number) for number in range(len(module.source.units)))
        yield from filter(self.acts, units)
        for target in module.source.loads:
            yield from self._loads(node.module, target)

    def _from_whole(self, node: Node) -> Iterator[Node]:
        yield Node("loaded", node.module)
        module = self.module(node.module)
        if module is None or module.source is None:
            return
        yield from (Node("unit", node.module, number) for number in range(len(module.source.units)))
        for targets in module.source.imports.values():
            for target in targets:
                yield from self._follow(module, target, ())
        for star in module.source.stars:  # its names are this module's, too
            if (name := _absolute(module, star)) and self.module(name) is not None:
                yield Node("whole", name)
        if module.is_package:
            yield from (Node("whole", name) for name in self._named.modules if name.startswith(f"{module.name}."))

    def _mentioned(self, name: str, chain: Chain, unit: Unit | None) -> Iterator[Node]:
        """What a chain in a module may stand for: an import inside the statement, or a name of the module."""
        module = self.module(name)
        assert module is not None
        for target in unit.imports.get(chain[0], ()) if unit else ():
            yield from self._follow(module, target, chain[1:])
        yield from self._lookup(module, chain[0], chain[1:])

    def _worded(self, name: str, word: str) -> Iterator[Node]:
        """What a string may name: a statement of the same module, or ``package.module:name`` of the project."""
        module = self.module(name)
        if module is not None and module.source is not None and word in module.source.binds:
            yield from (Node("unit", name, number) for number in module.source.binds[word])
        elif "." in word or ":" in word:
            path, _, inner = word.partition(":")
            other = self.module(path)
            if not inner and other is None:
                path, _, inner = path.rpartition(".")
                other = self.module(path) if path else None
            if other is None or other.source is None:
                return
            if not inner:
                yield Node("whole", other.name)
            elif inner.split(".")[0] in other.source.binds:
                yield from self._attribute(other.name, inner.split(".")[0], ())

    def _filed(self, name: str) -> Iterator[Node]:
        """What a string that looks like the name of a file may mean: any file of the project that is called so."""
        for path in self._named.files(name):
            if path.endswith(".py"):
                yield Node("whole", self.project.module_of(self.project.root / path) or path)
            else:
                yield Node("file", path)

    def _lookup(self, module: Module, name: str, rest: Chain, seen: Seen = frozenset()) -> Iterator[Node]:
        """What a top-level name of a module stands for. *seen*: the names that led here, for imports go in circles."""
        if module.source is None or (module.name, name) in seen:
            return
        seen |= {(module.name, name)}
        numbers, targets = module.source.binds.get(name, ()), module.source.imports.get(name, ())
        yield from (Node("unit", module.name, number) for number in numbers)
        for target in targets:
            yield from self._follow(module, target, rest, seen)
        if not numbers and not targets:
            for star in module.source.stars:
                other = self.module(_absolute(module, star))
                if other is not None:
                    yield from self._lookup(other, name, rest, seen)

    def _follow(self, module: Module, target: Target, rest: Chain, seen: Seen = frozenset()) -> Iterator[Node]:
        name = _absolute(module, target)
        if target.name is None:
            yield from self._module_value(name, rest, seen)
        else:
            yield from self._attribute(name, target.name, rest, seen)

    def _module_value(self, name: str, rest: Chain, seen: Seen = frozenset()) -> Iterator[Node]:
        if self.module(name) is None:
            yield from self._outside(name)
        elif rest:
            yield from self._attribute(name, rest[0], rest[1:], seen)
        else:
            yield Node("whole", name)

    def _attribute(self, name: str, attribute: str, rest: Chain, seen: Seen = frozenset()) -> Iterator[Node]:
        module = self.module(name)
        if module is None:
            yield from self._outside(name)
            return
        yield Node("loaded", name)
        found = list(self._lookup(module, attribute, rest, seen))
        if found:
            yield from found
        elif self.module(f"{name}.{attribute}") is not None:
            yield from self._module_value(f"{name}.{attribute}", rest, seen)
        elif module.source is not None and attribute not in {"__name__", "__file__", "__path__", "__package__"}:
            yield Node("whole", name)

    def _loads(self, name: str, target: Target) -> Iterator[Node]:
        """What importing *target* imports: its module, and the one named in it if that is one."""
        module = self.module(name)
        assert module is not None
        absolute = _absolute(module, target)
        for one in (absolute, f"{absolute}.{target.name}" if target.name else ""):
            if one and self.module(one) is not None:
                yield Node("loaded", one)
            elif one == absolute:
                yield from self._outside(one)

    def _outside(self, name: str) -> Iterator[Node]:
        """What a module stands for that no import root has: another package, or what lies elsewhere on ``sys.path``."""
        yield from foreign(name)
        yield from (Node("whole", one) for one in self._named.elsewhere(name.partition(".")[0]))

    def _acts(self, node: Node) -> bool:
        return self.unit(node).effect or any(self.unit(base).hooks for base in self._ancestors(node))

    def _ancestors(self, node: Node) -> set[Node]:
        found: set[Node] = set()
        todo = [node]
        while todo:
            one = todo.pop()
            for chain in self.unit(one).bases:
                for other in self._mentioned(one.module, chain, None):
                    if other.kind == "unit" and other not in found:
                        found.add(other)
                        todo.append(other)
        return found

    def _derived(self, node: Node) -> set[Node]:
        """The project's classes that derive from a class, directly or not."""
        found: set[Node] = set()
        todo = [node]
        while todo:
            new = [one for one in self._children.get(todo.pop(), ()) if one not in found]
            found.update(new)
            todo.extend(new)
        return found

    @cached_property
    def _children(self) -> dict[Node, list[Node]]:
        """For each class of the project those that derive from it directly."""
        found: dict[Node, list[Node]] = {}
        for name in self._named.modules:
            module = self.module(name)
            for number, unit in enumerate(module.source.units if module and module.source else ()):
                for chain in unit.bases:
                    for base in self._mentioned(name, chain, None):
                        found.setdefault(base, []).append(Node("unit", name, number))
        return found

    def _package_of(self, name: str) -> tuple[str, ...]:
        """The modules that share the first part of a dotted name; all of the project for one outside packages."""
        top, dot, _ = name.partition(".")
        module = self.module(top)
        if not dot and (module is None or not module.is_package):
            return (name, *self._named.modules)
        return tuple(one for one in self._named.modules if one == top or one.startswith(f"{top}."))


def _read(name: str, path: Path, *, is_package: bool) -> Module:
    data = path.read_bytes()
    return Module(name, is_package, syntax.parse(data), canonical.digest(data))


def _absolute(module: Module, target: Target) -> str:
    if not target.level:
        return target.module
    parts = module.name.split(".")
    base = parts[: len(parts) - target.level + (1 if module.is_package else 0)]
    return ".".join([*base, *filter(None, [target.module])])


def foreign(name: str) -> Iterator[Node]:
    """The package of a module that is not the project's; none for the standard library's and turnout's own."""
    top = name.partition(".")[0]
    if top and top != "turnout" and top not in sys.stdlib_module_names:
        yield Node("foreign", top)
