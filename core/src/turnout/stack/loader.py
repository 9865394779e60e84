"""Stack files as trees of plain data that know the line of everything.

The YAML taken is the plain part of YAML 1.2: mappings with string keys, lists and scalars. What can surprise or
harm is refused with its line: tags, anchors and aliases, duplicate keys, several documents, deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from turnout.base.errors import ConfigError, Location
from turnout.base.texts import encodable

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1 << 20
MAX_DEPTH = 50

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_MAX_DIGITS = 300
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")


class Node(msgspec.Struct, frozen=True, dict=True):
    """A value of a stack file and its place; of a mapping's entry, the place of its key.

    ``value`` is None, a bool, int, float or str, a tuple of nodes, or a dict of nodes by key.
    """

    value: Any
    at: Location

    def get(self, key: str) -> Node | None:
        """The entry of a mapping, or None where there is none or this is no mapping."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value

    def leaves(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
        """Every scalar, empty mapping and empty list, with the keys and indices that lead to it."""
        if isinstance(self.value, (dict, tuple)) and self.value:
            entries = self.value.items() if isinstance(self.value, dict) else enumerate(self.value)
            for key, node in entries:
                yield from node.leaves((*path, str(key)))
        else:
            yield path, self

    def without(self, *keys: str) -> Node:
        """This mapping without some keys."""
        return Node({key: node for key, node in self.value.items() if key not in keys}, self.at)


def node_of(value: Any, at: Location) -> Node:
    """A tree of plain data whose every value is placed at *at*."""
    if isinstance(value, dict):
        return Node({key: node_of(item, at) for key, item in value.items()}, at)
    if isinstance(value, (list, tuple)):
        return Node(tuple(node_of(item, at) for item in value), at)
    return Node(value, at)


def read(data: bytes, file: str) -> Node:
    """Read a stack file's bytes.

    Args:
        file: the file's name for messages.

    Raises:
        ConfigError: when it is larger than a mebibyte, not plain YAML as above, or not a mapping at its top.
    """
    import yaml

    if len(data) > MAX_BYTES:
        raise ConfigError(
            f"the file has {len(data)} bytes; {MAX_BYTES} are allowed",
            where=Location(file),
            fix="keep data out of stack files",
        )
    try:
        text = data.decode("utf-8-sig")
        loader = yaml.SafeLoader(text)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError("the file is not UTF-8 text", where=Location(file, line), fix="save it as UTF-8") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"the character U+{ord(text[error.position]):04X} is not allowed in YAML",
            where=Location(file, line),
            fix="remove it",
        ) from None
    try:
        root = _Composer(loader, file).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        what = re.sub(r"'(?!<)[^']{3,}'", "…", said)  # a piece of the file, which may be a password
        where = Location(file, mark.line + 1 if mark else None)
        fix = (
            "correct this line or the one above: keys of one mapping are indented alike, by spaces, and quotes and "
            "brackets are closed"
        )
        raise ConfigError(f"the file is not valid YAML: {what}", where=where, fix=fix) from None
    finally:
        loader.dispose()
    if not isinstance(root.value, dict):
        raise ConfigError(
            f"a stack file is a mapping; this is {describe(root.value)}",
            where=root.at,
            fix="begin with a line such as `extends: local`",
        )
    return root


class _Composer:
    """Builds nodes from the events of PyYAML's parser; nothing is constructed from a tag."""

    def __init__(self, loader: yaml.SafeLoader, file: str) -> None:
        self.loader = loader
        self.file = file

    def _next(self) -> Any:
        return self.loader.get_event()  # type: ignore[no-untyped-call]

    def document(self) -> Node:
        import yaml

        self._next()  # the stream's start
        if self.loader.check_event(yaml.StreamEndEvent):
            raise ConfigError("the file is empty", where=Location(self.file), fix="write `extends: local` at least")
        self._next()  # the document's start
        root = self._value(self._next(), 0)
        self._next()  # the document's end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._error("a second document begins here", event, "put each stack into a file of its own")
        return root

    def _value(self, event: Any, depth: int) -> Node:
        import yaml

        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            what = "anchors (&) and aliases (*) are not allowed"
            raise self._error(what, event, "put the value into quotes if it is text; share values with `extends`")
        if tag := getattr(event, "tag", None):
            own = str(tag).removeprefix("tag:yaml.org,2002:")
            what = f"tags are not allowed: !!{own[:60]}" if own.startswith("python/") else "tags (!) are not allowed"
            raise self._error(what, event, "remove the tag; put the value into quotes if it is text")
        if depth > MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} levels deep", event, "flatten the file")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not self.loader.check_event(yaml.SequenceEndEvent):
                items.append(self._value(self._next(), depth + 1))
            self._next()
            return Node(tuple(items), self._at(event))
        return Node(self._scalar(event), self._at(event))

    def _mapping(self, start: Any, depth: int) -> Node:
        import yaml

        entries: dict[str, Node] = {}
        while not self.loader.check_event(yaml.MappingEndEvent):
            event = self._next()
            key = self._value(event, depth + 1)
            if not isinstance(key.value, str):
                what = f"a key must be text; this is {describe(key.value)}"
                raise self._error(what, event, "put the key into quotes")
            if key.value in entries:
                first = entries[key.value].at.line
                what = f"the key {key.value[:60]!r} is there twice; first in line {first}"
                raise self._error(what, event, "keep one of the two")
            entries[key.value] = Node(self._value(self._next(), depth + 1).value, key.at)
        self._next()
        return Node(entries, self._at(start))

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if encodable(text) != text:
            raise self._error(
                "half a character (a lone surrogate), which UTF-8 cannot write", event, "remove the escape"
            )
        if "\0" in text:
            raise self._error(
                "a NUL character, which no path, address or variable can hold", event, "remove the escape"
            )
        if event.style in {"'", '"', "|", ">"}:
            return text
        if text in _NULL:
            return None
        if text in _BOOLS:
            return _BOOLS[text]
        if _INT.match(text) and len(text) <= _MAX_DIGITS:
            return int(text)
        if (_HEX.match(text) or _OCTAL.match(text)) and len(text) <= _MAX_DIGITS:
            return int(text, 0)
        if _FLOAT.match(text):
            number = float(text)
            if number in {float("inf"), float("-inf")}:
                raise self._error("a number that is too large", event, "put it into quotes if it is text")
            return number
        return text

    def _at(self, event: Any) -> Location:
        return Location(self.file, event.start_mark.line + 1)

    def _error(self, what: str, event: Any, fix: str) -> ConfigError:
        return ConfigError(what, where=self._at(event), fix=fix)


def describe(value: Any) -> str:
    """What kind of value it is, without the value itself: it may be a secret in the wrong place."""
    if value is None:
        return "empty"
    names = {bool: "a bool", int: "an int", float: "a float", str: "text", dict: "a mapping", tuple: "a list"}
    return names.get(type(value), "a list")
