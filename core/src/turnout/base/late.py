"""Names of a module that are imported when they are first asked for (PEP 562), as its imports for type checkers say."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any


def late(module: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a module whose imports stand under ``if TYPE_CHECKING:``.

    Its source is read for them, so that each name and where it is from are written once. That takes some milliseconds,
    which the package's own names, in every process, do without.
    """
    homes: dict[str, tuple[str, str]] = {}

    def known() -> dict[str, tuple[str, str]]:
        if not homes:
            homes.update(_imports(module))
        return homes

    def get(name: str) -> Any:
        if name.startswith("__") or name not in known():
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, attribute = homes[name]
        try:
            value = getattr(importlib.import_module(home), attribute)
        except AttributeError:
            value = importlib.import_module(f"{home}.{attribute}")
        setattr(sys.modules[module], name, value)
        return value

    return get, lambda: sorted({*vars(sys.modules[module]), *known()})


def _imports(module: str) -> dict[str, tuple[str, str]]:
    """For each name that a module imports under a condition, the module it is from and its name there."""
    import ast

    spec = sys.modules[module].__spec__
    source = spec.loader.get_source(module)  # type: ignore[union-attr]
    blocks = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    lines = [line for block in blocks for line in block.body if isinstance(line, ast.ImportFrom)]
    return {name.asname or name.name: (str(line.module), name.name) for line in lines for name in line.names}
