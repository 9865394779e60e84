"""The plain forms of objects of a project or a library: the name of their class and their state."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Collection
from datetime import timezone, tzinfo
from enum import Enum
from typing import Any

from turnout.base.errors import ArtifactError
from turnout.materializers.classes import importable, name_of, names_of, resolve
from turnout.materializers.places import slots

Convert = Callable[[Any], Any]
"""Turns a value into its plain form, or a plain form into its value."""
Written = tuple[str, Any]
"""The tag and the body of a plain form."""

MODEL = "pydantic.main:BaseModel"
_HOOKS = ("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__")
"""Methods by which a class says itself what its state is."""
SCALAR = "numpy:generic"
TIMESTAMPS = ("pandas:Timestamp", "pandas._libs.tslibs.timestamps:Timestamp")


def lower(value: Any, down: Convert) -> Written | None:
    """The tag and body of *value*, or None where it is none of these or its state cannot be told by its fields.

    Args:
        down: gives the plain form of what the object holds.
    """
    for takes, write in _WRITERS:
        if takes(value):
            return write(value, down)
    return None


def zone_key(zone: tzinfo | None) -> str:
    """The IANA name of a zone of :mod:`zoneinfo`, or an empty string."""
    return getattr(zone, "key", None) or "" if name_of(type(zone)) == "zoneinfo:ZoneInfo" else ""


def _lower_enum(value: Any, _: Convert) -> Written | None:
    kind = type(value)
    if value.name is None or kind.__members__.get(value.name) is not value:
        return None
    return "$enum", [name_of(kind), value.name]


def _lower_namedtuple(value: Any, down: Convert) -> Written | None:
    kind = type(value)
    return None if _beyond(value, ()) else ("$namedtuple", [name_of(kind), [down(item) for item in value]])


def _lower_dataclass(value: Any, down: Convert) -> Written | None:
    kind = type(value)
    if isinstance(value, (dict, list, tuple, set, frozenset, str, bytes, int, float, BaseException)):
        return None
    names = [field.name for field in dataclasses.fields(kind)]
    if _beyond(value, names) or not all(hasattr(value, name) for name in names):
        return None
    return "$dataclass", [name_of(kind), {name: down(getattr(value, name)) for name in names}]


def _lower_model(value: Any, down: Convert) -> Written | None:
    kind = type(value)
    fields = getattr(kind, "model_fields", None)
    if fields is None or any(hook in vars(base) for base in _above_model(kind) for hook in _HOOKS):
        return None
    if lost := [name for name in _own_slots(kind) if hasattr(value, name)]:
        raise ArtifactError(
            f"the slot {lost[0]!r} of a {name_of(kind).replace(':', '.')} cannot be saved",
            why="pydantic leaves slots out of the state of a model, also in a pickle",
            fix="make it a field or a private attribute: _name: type = pydantic.PrivateAttr()",
        )
    state = value.__getstate__()
    held = state["__dict__"]
    if _beyond(value, fields) or [name for name in held if name in fields] != list(fields):
        return None  # made without validation: fields are missing, or in another order
    return "$model", [
        name_of(kind),
        {
            "fields": {name: down(held[name]) for name in fields},
            "set": down(state["__pydantic_fields_set__"]),
            "extra": down(state.get("__pydantic_extra__")),
            "private": down(state.get("__pydantic_private__")),
        },
    ]


def _above_model(kind: type[Any]) -> list[type[Any]]:
    """The classes of a project among a model and its bases."""
    return [base for base in kind.__mro__ if not base.__module__.startswith("pydantic.") and base is not object]


def _beyond(value: Any, names: Collection[str]) -> bool:
    """Whether an object holds more than its fields: attributes set later, or slots of its bases."""
    kind = type(value)
    attributes = [
        name
        for name in getattr(value, "__dict__", ())
        if not isinstance(inspect.getattr_static(kind, name, None), functools.cached_property)
    ]
    hidden = [name for name in _own_slots(kind) if hasattr(value, name)]
    return any(name not in names for name in (*attributes, *hidden))


def _own_slots(kind: type[Any]) -> list[str]:
    return [name for name in slots(kind) if not name.startswith("__pydantic_")]


def _lower_scalar(value: Any, down: Convert) -> Written | None:
    dtype = value.dtype
    if dtype.kind in "mM":
        return "$numpy", [dtype.str, int(value.astype("i8"))]
    if dtype.kind in "biufcSU" and type(value.item()).__module__ == "builtins":
        return "$numpy", [dtype.str, down(value.item())]
    return None


def _lower_timestamp(value: Any, _: Convert) -> Written | None:
    zone = "UTC" if value.tzinfo is timezone.utc else zone_key(value.tzinfo)
    if value.tzinfo is not None and not zone:
        return None
    return "$timestamp", [int(value.asm8.astype("i8")), value.unit, zone]


def _is(name: str) -> Callable[[Any], bool]:
    return lambda value: name in names_of(type(value))


_WRITERS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Convert], Written | None]], ...] = (
    (_is(SCALAR), _lower_scalar),
    (lambda value: name_of(type(value)) in TIMESTAMPS, _lower_timestamp),
    (lambda value: isinstance(value, Enum) and importable(type(value)), _lower_enum),
    (lambda value: isinstance(value, tuple) and hasattr(value, "_make") and importable(type(value)), _lower_namedtuple),
    (lambda value: _is(MODEL)(value) and importable(type(value)), _lower_model),
    (
        lambda value: dataclasses.is_dataclass(value) and not isinstance(value, type) and importable(type(value)),
        _lower_dataclass,
    ),
)


def _lift_enum(body: Any, _: Convert) -> Any:
    kind = _class(body[0], lambda found: issubclass(found, Enum))
    return kind[body[1]]


def _lift_namedtuple(body: Any, up: Convert) -> Any:
    kind = _class(body[0], lambda found: issubclass(found, tuple) and hasattr(found, "_make"))
    return kind._make(up(item) for item in body[1])


def _lift_dataclass(body: Any, up: Convert) -> Any:
    name, state = body
    kind = _class(name, dataclasses.is_dataclass)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    _no_strangers(name, state, fields)
    value = object.__new__(kind)
    for field in fields.values():
        if field.name in state:
            item = up(state[field.name])
        elif field.default is not dataclasses.MISSING:
            item = field.default
        elif field.default_factory is not dataclasses.MISSING:
            item = field.default_factory()
        else:
            raise _changed(name, f"the saved value has no field {field.name!r}, which has no default")
        object.__setattr__(value, field.name, item)
    return value


def _lift_model(body: Any, up: Convert) -> Any:
    name, state = body
    kind = _class(name, lambda found: MODEL in names_of(found))
    fields = kind.model_fields
    _no_strangers(name, state["fields"], fields)
    items = {}
    for key, field in fields.items():
        if key in state["fields"]:
            items[key] = up(state["fields"][key])
        elif field.is_required():
            raise _changed(name, f"the saved value has no field {key!r}, which has no default")
        else:
            items[key] = field.get_default(call_default_factory=True)
    value = kind.__new__(kind)
    value.__setstate__(
        {
            "__dict__": items,
            "__pydantic_fields_set__": up(state["set"]),
            "__pydantic_extra__": up(state["extra"]),
            "__pydantic_private__": up(state["private"]),
        }
    )
    return value


def _lift_scalar(body: Any, up: Convert) -> Any:
    import numpy as np

    dtype = np.dtype(body[0])
    if dtype.kind in "mM":
        return np.array(body[1], "i8").astype(dtype)[()]
    return dtype.type(up(body[1]))


def _lift_timestamp(body: Any, _: Convert) -> Any:
    import numpy as np
    import pandas as pd

    count, unit, zone = body
    moment = pd.Timestamp(np.datetime64(count, unit)).as_unit(unit)
    if not zone:
        return moment
    from zoneinfo import ZoneInfo

    return moment.tz_localize("UTC").tz_convert(timezone.utc if zone == "UTC" else ZoneInfo(zone))


def _class(name: str, fits: Callable[[Any], bool]) -> Any:
    found = resolve(name)
    if not isinstance(found, type) or not fits(found):
        raise _changed(name, "it is no longer a class of the same kind")
    return found


def _no_strangers(name: str, state: dict[str, Any], fields: Any) -> None:
    if strangers := sorted(set(state) - set(fields)):
        raise _changed(name, f"it has no field {strangers[0]!r} any more")


def _changed(name: str, why: str) -> ArtifactError:
    return ArtifactError(
        f"a saved value of {name} does not fit the class as it is now",
        why=why,
        fix="run the step that made the value again, or give the new field a default",
    )


READERS: dict[str, Callable[[Any, Convert], Any]] = {
    "$enum": _lift_enum,
    "$namedtuple": _lift_namedtuple,
    "$dataclass": _lift_dataclass,
    "$model": _lift_model,
    "$numpy": _lift_scalar,
    "$timestamp": _lift_timestamp,
}
"""How each tag is read."""
