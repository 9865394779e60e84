"""Functions and classes that exist in memory alone, as in a notebook, told by what they are made of."""

from __future__ import annotations

import functools
import io
import re
import sys
import types
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from turnout.base import canonical
from turnout.fingerprint.modules import Node

_SCALARS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
_WRAPPERS = (staticmethod, classmethod)
_DESCRIPTORS = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.ClassMethodDescriptorType,
)
_SKIPPED = frozenset({
    "__dict__", "__weakref__", "__module__", "__doc__", "__qualname__", "__firstlineno__", "_abc_impl",
    "__dataclass_fields__", "__dataclass_params__",
})  # fmt: skip
_NAME = re.compile(r"[^\W\d]\w*")


class Values:
    """What some values are made of.

    ``parts`` has a digest for each function and class without source in the project; ``starts`` are those with
    source, ``foreign`` the packages of others. What cannot be told gets a part that never equals another.

    Args:
        source_of: what stands for a function or class in the project's source, or None.
        module_of: what stands for a module, as a whole, or None where it is not the project's.
    """

    def __init__(
        self, source_of: Callable[[Any], tuple[Node, ...] | None], module_of: Callable[[types.ModuleType], Node | None]
    ) -> None:
        self.parts: dict[str, str] = {}
        self.starts: set[Node] = set()
        self.foreign: set[str] = set()
        self._source_of = source_of
        self._module_of = module_of
        self._labels: dict[int, str] = {}
        self._kept: list[Any] = []

    def add(self, value: Any) -> None:
        """Take in a function or class, and all that it is made of."""
        self._tell(value)

    def _tell(self, value: Any) -> Any:
        """A JSON value that is equal for equal values."""
        if isinstance(value, _SCALARS):
            return [type(value).__name__, repr(value)]
        if isinstance(value, types.ModuleType):
            return self._module(value)
        if isinstance(value, (types.FunctionType, type)):
            return self._definition(value)
        if isinstance(inner := getattr(value, "function", None), types.FunctionType) and _is_turnout(value):
            return self._definition(inner)
        if id(value) in self._labels:
            return self._labels[id(value)]
        if not isinstance(value, (tuple, frozenset)):
            self._labels[id(value)] = f"value {len(self._kept)}"
            self._kept.append(value)
        return self._composite(value)

    def _composite(self, value: Any) -> Any:
        kind = type(value)
        if kind in {tuple, list}:
            return [kind.__name__, [self._tell(one) for one in value]]
        if kind in {set, frozenset}:
            return [kind.__name__, sorted((self._tell(one) for one in value), key=canonical.encode)]
        if kind is dict:
            return ["dict", [[self._tell(key), self._tell(one)] for key, one in value.items()]]
        if isinstance(value, types.MappingProxyType):
            return ["mapping", self._tell(dict(value))]
        if isinstance(value, _DESCRIPTORS):
            return ["builtin", str(getattr(value, "__module__", None)), value.__qualname__]
        if isinstance(value, types.MethodType):
            return ["method", self._tell(value.__func__), self._tell(value.__self__)]
        if isinstance(value, _WRAPPERS):
            return [kind.__name__, self._tell(value.__func__)]
        if isinstance(value, property):
            return ["property", *(self._tell(one) for one in (value.fget, value.fset, value.fdel))]
        if isinstance(value, functools.partial):
            return ["partial", *(self._tell(one) for one in (value.func, value.args, value.keywords))]
        return [self._tell(kind), self._pickled(value)]

    def _module(self, module: types.ModuleType) -> Any:
        node = self._module_of(module)
        if node is not None:
            self.starts.add(node)
        else:
            self.foreign.add(module.__name__)
        return ["module", module.__name__]

    def _definition(self, value: Any) -> Any:
        if id(value) in self._labels:
            return self._labels[id(value)]
        name = f"{value.__module__}:{value.__qualname__}"
        same = sum(1 for label in self._labels.values() if label.partition("#")[0] == name)
        label = self._labels[id(value)] = name if not same else f"{name}#{same + 1}"
        self._kept.append(value)
        nodes = self._source_of(value)
        if nodes is not None:
            self.starts.update(nodes)
        elif self._is_foreign(value):
            self.foreign.add(value.__module__)
        else:
            told = self._class(value) if isinstance(value, type) else self._function(value)
            self.parts[label] = canonical.digest_of(told)
        return label

    def _is_foreign(self, value: Any) -> bool:
        """Whether a function or class is one that another package's module has under its name."""
        module = sys.modules.get(value.__module__)
        if module is None or value.__module__ in {"__main__", "__mp_main__"} or self._module_of(module) is not None:
            return False
        return hasattr(module, value.__qualname__.partition(".")[0])

    def _function(self, function: types.FunctionType) -> Any:
        used = {name for code in _codes(function.__code__) for name in code.co_names}
        annotations = function.__annotations__
        used |= {name for one in annotations.values() if isinstance(one, str) for name in _NAME.findall(one)}
        return {
            "code": self._code(function.__code__),
            "defaults": self._tell(function.__defaults__),
            "keyword defaults": self._tell(function.__kwdefaults__),
            "annotations": self._tell(annotations),
            "closure": [self._cell(cell) for cell in function.__closure__ or ()],
            "globals": {
                name: self._tell(function.__globals__[name]) for name in sorted(used & function.__globals__.keys())
            },
            "wraps": self._tell(getattr(function, "__wrapped__", None)),
        }

    def _class(self, kind: type) -> Any:
        members = {name: one for name, one in vars(kind).items() if name not in _SKIPPED}
        return {
            "bases": [self._tell(base) for base in kind.__bases__],
            "members": {name: self._tell(members[name]) for name in sorted(members)},
        }

    def _code(self, code: types.CodeType) -> Any:
        """A code object without its place: positions, file and first line are left out."""
        return [
            code.co_name,
            code.co_code.hex(),
            [self._code(one) if isinstance(one, types.CodeType) else self._tell(one) for one in code.co_consts],
            [list(names) for names in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)],
            [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags],
        ]

    def _cell(self, cell: types.CellType) -> Any:
        try:
            return self._tell(cell.cell_contents)
        except ValueError:
            return "empty"

    def _pickled(self, value: Any) -> str:
        """The digest of a value's pickle; whatever functions and classes it holds are taken in."""
        import cloudpickle

        values = self

        class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
            def persistent_id(self, found: Any) -> None:
                if isinstance(found, (types.FunctionType, type)):
                    values._definition(found)

        stream = io.BytesIO()
        try:
            Pickler(stream, protocol=4).dump(value)
        except Exception:
            return f"cannot be told: {uuid.uuid4().hex}"
        return canonical.digest(stream.getvalue())


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield from _codes(one)


def _is_turnout(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "turnout"
