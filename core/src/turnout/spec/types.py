"""Declared types: of run-time parameters (a closed set) and of artifacts (names of classes)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ScalarKind = Literal[
    "int", "float", "bool", "str", "datetime", "date", "timedelta", "list", "dict", "json", "file", "folder"
]


class ParamType(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The type of a parameter or a literal.

    ``kind`` is one of a closed set; ``items`` holds the element type of a list or the value type of a dict;
    ``choices`` are the allowed canonical values of a ``Literal`` or an ``Enum`` (empty: any);
    ``optional`` allows null.
    """

    kind: ScalarKind
    optional: bool = False
    items: tuple[ParamType, ...] = ()
    choices: tuple[str | int | bool, ...] = ()

    def __str__(self) -> str:
        text: str = self.kind
        if self.choices:
            text = "one of " + ", ".join(repr(choice) for choice in self.choices)
        elif self.kind == "list" and self.items:
            text = f"list[{self.items[0]}]"
        elif self.kind == "dict" and self.items:
            text = f"dict[str, {self.items[0]}]"
        return f"{text} | None" if self.optional else text


class TypeName(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The type of a step's input or output, by name.

    ``name`` is ``module:qualname`` of the class (``builtins:int``, ``pandas.core.frame:DataFrame``), or
    ``any`` where nothing is declared. ``bases`` are the names of its base classes without ``object``,
    nearest first, by which a materializer is found. ``text`` is the annotation as a person reads it.
    An input of ``optional`` type takes None from a skipped step; an output of ``collection`` type is a
    list with one artifact an element; ``name`` is then the element's type, and ``nullable`` whether an element may
    be None.
    """

    name: str = "any"
    bases: tuple[str, ...] = ()
    text: str = "Any"
    optional: bool = False
    collection: bool = False
    nullable: bool = False


ANY = TypeName()
JSON_TYPE = ParamType(kind="json", optional=True)
Json = Any
