"""Declared types: of run-time parameters (a closed set) and of artifacts (names of classes)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ScalarKind = Literal[
    "int", "float", "bool", "str", "datetime", "date", "timedelta", "list", "dict", "json", "file", "folder"
]


class Bounds(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a declared type demands of its values: of numbers, of the length of texts, lists and objects, of texts.

    ``pattern`` is a regular expression that a text holds somewhere.
    """

    gt: float | int | None = None
    ge: float | int | None = None
    lt: float | int | None = None
    le: float | int | None = None
    multiple_of: float | int | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None


class ParamType(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The type of a parameter or a literal.

    ``kind`` is one of a closed set; ``items`` holds the element type of a list or the value type of a dict; for a
    ``fixed`` sequence the type of each element. ``sequence`` says what a list is in Python: a list, a tuple, a tuple
    of fixed length, or any of them, as it was given. ``fields`` are those of a dict with declared keys.
    ``choices`` are the allowed canonical values of a ``Literal`` or an ``Enum`` (empty: any); ``enum`` is the latter's
    ``module:qualname``. ``optional`` allows null. ``bounds`` are checked.
    """

    kind: ScalarKind
    optional: bool = False
    items: tuple[ParamType, ...] = ()
    choices: tuple[str | int | bool, ...] = ()
    sequence: Literal["list", "tuple", "fixed", "any"] = "list"
    fields: tuple[Field, ...] = ()
    enum: str = ""
    bounds: Bounds = Bounds()

    @property
    def parts(self) -> tuple[ParamType, ...]:
        """The types of the values inside."""
        return (*self.items, *(field.type for field in self.fields))

    @property
    def enums(self) -> frozenset[str]:
        """The classes of the members in its values."""
        return frozenset(filter(None, [self.enum])).union(*(part.enums for part in self.parts))

    @property
    def is_bounded(self) -> bool:
        """Whether it demands more of a value, or of one inside, than its kind: bounds, or declared keys."""
        return self.bounds != Bounds() or bool(self.fields) or any(part.is_bounded for part in self.parts)

    def __str__(self) -> str:
        text: str = self.kind
        inner = ", ".join(map(str, self.items))
        if self.choices:
            text = "one of " + ", ".join(repr(choice) for choice in self.choices)
        elif self.kind == "list" and self.sequence in {"tuple", "fixed"}:
            text = (
                f"tuple[{inner or '()'}]" if self.sequence == "fixed" else f"tuple[{inner}, ...]" if inner else "tuple"
            )
        elif self.kind == "list" and inner:
            text = f"list[{inner}]"
        elif self.kind == "dict" and inner:
            text = f"dict[str, {inner}]"
        return f"{text} | None" if self.optional else text


class Field(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A declared key of a dict, and the type of its value."""

    name: str
    type: ParamType
    required: bool = True


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
