"""What plain JSON cannot say of a value, as data in it: the order of an object, a tuple, a whole value as text.

An object whose keys are not in sorted order names that order in one further key, ``{"b": 1, "a": 2, "$keys":
["b", "a"]}``; a tuple of no declared type is ``{"$tuple": [1, 2]}``; an object that itself has one of these keys is
``{"$dict": [[key, value]]}``. Artifacts have the same forms. ``{"$json": text}`` is how an engine may carry a value
that it would change otherwise; it is never stored.
"""

from __future__ import annotations

from typing import Any

from turnout.base import canonical

KEYS, DICT, TUPLE, TEXT = "$keys", "$dict", "$tuple", "$json"
RESERVED = frozenset({KEYS, DICT, TUPLE, TEXT})


def of_dict(items: dict[str, Any]) -> dict[str, Any]:
    """The form of a dict, whose values are in canonical form already."""
    if not RESERVED.isdisjoint(items):
        return {DICT: [[key, value] for key, value in items.items()]}
    keys = list(items)
    return items if keys == sorted(keys) else {**items, KEYS: keys}


def entries(form: dict[str, Any]) -> dict[str, Any]:
    """The dict that a form stands for, in its order. An object that names none is in sorted order."""
    if len(form) == 1 and isinstance(pairs := form.get(DICT), list) and all(map(_is_pair, pairs)):
        found = {key: value for key, value in pairs}  # noqa: C416 - pairs are lists
        return found if len(found) == len(pairs) else form
    keys = form.get(KEYS)
    if isinstance(keys, list) and all(isinstance(key, str) for key in keys) and sorted([*keys, KEYS]) == sorted(form):
        return {key: form[key] for key in keys}
    return {key: form[key] for key in sorted(form)}


def tuple_in(form: Any) -> list[Any] | None:
    """The elements of a tuple's form; None of anything else."""
    elements = form.get(TUPLE) if isinstance(form, dict) and len(form) == 1 else None
    return elements if isinstance(elements, list) else None


def text_in(form: Any) -> str | None:
    """The text of a value that an engine carries as such; None of anything else."""
    text = form.get(TEXT) if isinstance(form, dict) and len(form) == 1 else None
    return text if isinstance(text, str) else None


def in_text(value: Any) -> dict[str, str]:
    """A canonical value as an object of one text, for an engine that would change it otherwise."""
    return {TEXT: canonical.encode(value).decode()}


def plain(value: Any) -> Any:
    """A canonical value without forms: objects in their order, tuples as lists. For people, guards and trackers."""
    if (elements := tuple_in(value)) is not None:
        return [plain(item) for item in elements]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in entries(value).items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def is_same_but_for_order(value: Any, other: Any) -> bool:
    """Whether two canonical values differ in the order of objects at most, and in what is a tuple or a list."""
    return value is other or canonical.encode(plain(value)) == canonical.encode(plain(other))


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)
