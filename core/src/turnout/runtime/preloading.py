"""Importing the libraries of a project's module ahead of the module, just as far as this changes nothing.

A module begins with imports. Those of libraries, up to the first thing that the project's own code does, come before
anything that could have a say in them: done ahead, and in their order, they leave a process as the module would.
"""

from __future__ import annotations

import ast
import itertools
import os
import pickletools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from turnout.runtime import forking

Import = tuple[str, tuple[str, ...]]
"""A module, and the names that are taken from it."""
ALL = sys.maxsize
"""As many imports as there are."""
NEEDED = {"pyarrow": ("pyarrow.pandas_compat", "pyarrow.parquet", "pyarrow.dataset", "pyarrow.vendored.version")}
"""What turnout itself imports of a library as soon as a step takes or gives one of its values."""


def preload(imports: Iterable[Import], most: int) -> int:
    """Import libraries, *most* of them.

    Returns:
        The number of imports before one that failed, or left a process from which none can be forked; -1 if none did.
    """
    number = 0
    for library, names in itertools.islice(imports, most):
        if not _imported(library, names):
            return number
        number += 1
    needed = [name for library, names in NEEDED.items() if library in sys.modules for name in names]
    return -1 if most < ALL or all(_imported(name) for name in needed) else number


def _imported(library: str, names: Sequence[str] = ()) -> bool:
    try:
        __import__(library, None, None, names)
    except BaseException:  # who needs it meets it again, and says so
        return False
    return forking.is_safe()


def leading_imports(roots: Sequence[Path], module: str) -> Iterator[Import]:
    """What is imported from libraries before any code of the project runs: modules, with the names taken from them."""
    try:
        yield from _Leading(roots).of(module)
    except (_Code, OSError, SyntaxError, ValueError, RecursionError):
        return


def pickled_imports(roots: Sequence[Path], data: bytes) -> Iterator[Import]:
    """What a function by value imports from libraries when it is unpickled, up to the first module of the project."""
    project = _Leading(roots)
    strings: list[str] = []
    memo: list[Any] = []
    pushed: Any = None
    for code, argument, _ in pickletools.genops(data):
        if code.name == "MEMOIZE":
            memo.append(pushed)
            continue
        named = pushed == _BY_NAME
        pushed = None
        if "UNICODE" in code.name:
            pushed = argument
        elif code.name in {"BINGET", "LONG_BINGET"}:
            pushed = memo[argument]  # type: ignore[index]
        elif code.name == "STACK_GLOBAL":
            pushed = (strings[-2], strings[-1])
        if isinstance(pushed, str):
            strings.append(pushed)
        if code.name == "STACK_GLOBAL" or (named and isinstance(pushed, str)):
            module = pushed if isinstance(pushed, str) else pushed[0]
            if project.has(module):
                return
            yield module, ()


_BY_NAME = ("cloudpickle.cloudpickle", "subimport")
"""The function that stands in a pickle before the name of a module, which it imports."""


class _Code(Exception):
    """Here the project's own code begins."""


class _Leading:
    """Follows imports through a project's modules, each once."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._seen: set[str] = set()

    def has(self, module: str) -> bool:
        """Whether a module is the project's."""
        top = module.partition(".")[0]
        return self._file(top) is not None or self._folder(top)

    def of(self, module: str) -> Iterator[Import]:
        """The imports of a module of the project and of the packages around it."""
        parts = module.split(".")
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            if name not in self._seen:
                self._seen.add(name)
                yield from self._inside(name)

    def _inside(self, module: str) -> Iterator[Import]:
        file = self._file(module)
        if file is None:
            if self._folder(module):
                return  # a namespace package has no code
            raise _Code
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        for node in ast.parse(file.read_bytes()).body:
            if _is_idle(node):
                continue
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from self._imported(alias.name, ())
            elif isinstance(node, ast.ImportFrom):
                name = node.module or ""
                if node.level:
                    above = package.split(".")[: len(package.split(".")) - node.level + 1]
                    name = ".".join(filter(None, [*above, name]))
                yield from self._imported(name, tuple(alias.name for alias in node.names))
            else:
                raise _Code

    def _imported(self, name: str, names: tuple[str, ...]) -> Iterator[Import]:
        if not self.has(name):
            yield name, names
            return
        yield from self.of(name)
        for member in names:
            if self._file(f"{name}.{member}") is not None or self._folder(f"{name}.{member}"):
                yield from self.of(f"{name}.{member}")

    def _file(self, module: str) -> Path | None:
        path = module.replace(".", os.sep)
        places = (root / place for root in self._roots for place in (Path(path, "__init__.py"), Path(f"{path}.py")))
        return next((place for place in places if place.is_file()), None)

    def _folder(self, module: str) -> bool:
        return any((root / module.replace(".", os.sep)).is_dir() for root in self._roots)


def _is_idle(node: ast.stmt) -> bool:
    """Whether a statement does nothing when a module is imported: its docstring, or imports for type checkers."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__"
    return isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING" and not node.orelse
