"""What settings may be typed as, so that a wrong one is refused and nothing worse."""

from __future__ import annotations

import types
import typing

import msgspec

from turnout.components.registry import discover
from turnout.stack.merge import COMPONENTS, LISTS

CONSTRAINTS = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length")
COLLECTIONS = (tuple, list, dict, set, frozenset)


def structs():
    """Every struct of settings and options that there is, those inside of others too."""
    registry = discover()
    for kind in dict.fromkeys([*COMPONENTS.values(), *LISTS.values()]):
        for component in registry.all(kind):
            for name in ("Config", "options", "pipeline_options"):
                if (found := getattr(component, name, None)) is not None:
                    yield found


def parts(annotation):
    """A type and those it is made of, in structs too."""
    yield annotation
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        for one in typing.get_type_hints(annotation, include_extras=True).values():
            yield from parts(one)
    for one in typing.get_args(annotation):
        yield from parts(one)


def constrained(annotation):
    metadata = getattr(annotation, "__metadata__", ())
    return any(
        getattr(one, name) is not None for one in metadata if isinstance(one, msgspec.Meta) for name in CONSTRAINTS
    )


def test_no_constraint_is_in_a_union_with_a_collection():
    """msgspec 0.22 then frees what is not its own, and the interpreter goes down when it ends."""
    found = [
        f"{struct.__module__}.{struct.__name__}: {one}" for struct in structs() for one in parts(struct) if risky(one)
    ]
    assert not found


def risky(annotation):
    if typing.get_origin(annotation) not in {typing.Union, types.UnionType}:
        return False
    args = typing.get_args(annotation)
    return any((typing.get_origin(arg) or arg) in COLLECTIONS for arg in args) and any(map(constrained, args))
