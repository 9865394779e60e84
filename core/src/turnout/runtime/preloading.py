"""Importing the libraries of a project's module ahead of the module, just as far as this changes nothing.

A module begins with imports. Those of libraries, up to the first thing that the project's own code does, come before
anything that could have a say in them: done ahead, and in their order, they leave a process as the module would.
"""

from __future__ import annotations

import ast
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from turnout.runtime import forking

ALL = sys.maxsize
"""As many imports as there are."""
NEEDED = {"pyarrow": ("pyarrow.pandas_compat", "pyarrow.parquet", "pyarrow.dataset", "pyarrow.vendored.version")}
"""What turnout itself imports of a library as soon as a step takes or gives one of its values."""


def preload(roots: Sequence[Path], module: str, most: int) -> int:
    """Import what a module's first lines import, *most* of it.

    Returns:
        The number of imports before one that failed, or left a process from which none can be forked; -1 if none did.
    """
    number = 0
    for library, names in itertools.islice(leading_imports(roots, module), most):
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


def leading_imports(roots: Sequence[Path], module: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is imported from libraries before any code of the project runs: modules, with the names taken from them."""
    try:
        yield from _Leading(roots).of(module)
    except (_Code, OSError, SyntaxError, ValueError, RecursionError):
        return


class _Code(Exception):
    """Here the project's own code begins."""


class _Leading:
    """Follows imports through a project's modules, each once."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._seen: set[str] = set()

    def of(self, module: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The imports of a module of the project and of the packages around it."""
        parts = module.split(".")
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            if name not in self._seen:
                self._seen.add(name)
                yield from self._inside(name)

    def _inside(self, module: str) -> Iterator[tuple[str, tuple[str, ...]]]:
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

    def _imported(self, name: str, names: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        top = name.partition(".")[0]
        if self._file(top) is None and not self._folder(top):
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
