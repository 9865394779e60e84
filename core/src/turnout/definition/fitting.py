"""Whether what one step gives can be what the next one wants. Only what cannot fit is refused."""

from __future__ import annotations

from turnout.model.types import TypeName

_NUMBERS = {"builtins:int", "builtins:float", "builtins:bool", "builtins:complex"}
_PLAIN = {*_NUMBERS, "builtins:str", "builtins:bytes", "builtins:dict", "builtins:list", "builtins:NoneType"}
_STRICT_MODULES = {"builtins", "datetime"}
_ABSTRACT_MODULES = {"collections.abc", "typing", "numbers", "os", "abc", "contextlib", "io"}
_ABSTRACT_BASES = {"typing:Protocol", "abc:ABC", "enum:Enum"}
_TABLES = {("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table"), ("pyarrow", "RecordBatch")}


def fits(given: TypeName, wanted: TypeName) -> bool:
    """Whether a value of the *given* type may serve where *wanted* is asked for.

    A subclass serves for its base, and, as nobody knows before it runs, a base for its subclass; an int for
    a float; tables of pandas, Polars and pyarrow for each other. When not sure, the answer is yes.
    """
    if given.collection != wanted.collection:
        return _loose(wanted if given.collection else given)
    if given.name == wanted.name or "any" in (given.name, wanted.name):
        return True
    if wanted.name in given.bases or _abstract(given) or _abstract(wanted):
        return True
    if {given.name, wanted.name} <= _PLAIN or wanted.name in _PLAIN or given.name in _PLAIN:
        return _plain(given, wanted)
    if is_table(given) and is_table(wanted):
        return True
    return given.name in wanted.bases and _module(wanted.name) not in _STRICT_MODULES


def is_table(type_: TypeName) -> bool:
    """Whether it is a table that pandas, Polars and pyarrow can exchange."""
    return any((_module(n).split(".")[0], n.partition(":")[2]) in _TABLES for n in (type_.name, *type_.bases))


def is_json(type_: TypeName) -> bool:
    """Whether its values may be JSON, as guards read them; also where nobody knows."""
    names = (type_.name, *type_.bases)
    if "any" in names or _abstract(type_):
        return True
    return any(name in _PLAIN and name != "builtins:bytes" for name in names) or _numpy_scalar(type_.name)


def _plain(given: TypeName, wanted: TypeName) -> bool:
    if (given.name, wanted.name) == ("builtins:int", "builtins:float"):
        return True
    if _numpy_scalar(given.name) or _numpy_scalar(wanted.name):
        return {given.name, wanted.name} & _NUMBERS != set()
    return given.name in wanted.bases and _module(wanted.name) not in _STRICT_MODULES


def _numpy_scalar(name: str) -> bool:
    return _module(name).split(".")[0] == "numpy" and name not in {"numpy:ndarray", "numpy:matrix"}


def _loose(single: TypeName) -> bool:
    """Whether a single type may stand where the other side has a list."""
    return single.name in {"any", "builtins:list", "builtins:tuple"} or _abstract(single)


def _abstract(type_: TypeName) -> bool:
    return _module(type_.name) in _ABSTRACT_MODULES or not _ABSTRACT_BASES.isdisjoint(type_.bases)


def _module(name: str) -> str:
    return name.partition(":")[0]
