"""A merged stack as a person reads it: every value with the place it comes from, nothing resolved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from turnout.base import credentials
from turnout.stack.loader import Node
from turnout.stack.stack import Stack

_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*\Z")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "."}


def shown(value: Any) -> Any:
    """A scalar of a stack file as it may be shown: without credentials."""
    return credentials.hidden(value) if isinstance(value, str) else value


def path_text(path: tuple[str, ...]) -> str:
    """A path into a stack: ``steps.'fit*'.resources.gpu``."""
    return ".".join(key if re.match(r"[\w-]+\Z", key) else repr(key) for key in path)


def to_yaml(stack: Stack) -> str:
    """The merged stack as YAML, each line with the file and line it comes from."""
    head = f"# {stack.name}: {' extends '.join(stack.files)}"
    rows = list(_rows(stack.document, 0))
    width = min(max((len(text) for text, _ in rows), default=0), 72)
    return "\n".join([head, *(f"{text:<{width}}  # {place}" if place else text for text, place in rows)]) + "\n"


def _rows(node: Node, depth: int) -> Iterator[tuple[str, str]]:
    indent = "  " * depth
    if isinstance(node.value, dict):
        for key, item in node.value.items():
            if isinstance(item.value, (dict, tuple)) and item.value:
                yield f"{indent}{scalar_text(key)}:", ""
                yield from _rows(item, depth + 1)
            else:
                yield f"{indent}{scalar_text(key)}: {scalar_text(item.value)}", str(item.at)
        return
    for item in node.value:
        if isinstance(item.value, (dict, tuple)) and item.value:
            (first, place), *others = _rows(item, depth + 1)
            yield f"{indent}- {first.lstrip()}", place
            yield from others
        else:
            yield f"{indent}- {scalar_text(item.value)}", str(item.at)


def scalar_text(value: Any) -> str:
    """A scalar, empty list or empty mapping in YAML's one-line form, as it may be shown."""
    value = shown(value)
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def to_plain(stack: Stack) -> dict[str, Any]:
    """The merged stack as plain data for ``--json``, with the place of each value by its path."""
    return {
        "name": stack.name,
        "files": list(stack.files),
        "digest": stack.digest,
        "stack": _plain(stack.document),
        "places": {path_text(path): str(node.at) for path, node in stack.document.leaves()},
    }


def _plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _plain(item) for key, item in node.value.items()}
    if isinstance(node.value, tuple):
        return [_plain(item) for item in node.value]
    return shown(node.value)
