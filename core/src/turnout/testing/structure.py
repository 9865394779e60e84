"""The structure of emitted files without the texts in them: what a text may never change."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

from turnout.components.orchestrator import Bundle
from turnout.model.plan import Plan, decode

PLAIN = "a plain text"


def tamed(plan: Plan, marks: str) -> Plan:
    """The plan with a plain text for each that contains *marks*."""
    return decode(json.dumps(_tame(json.loads(plan.encode()), marks)).encode())


def _tame(node: Any, marks: str) -> Any:
    if isinstance(node, dict):
        return {key: _tame(value, marks) for key, value in node.items()}
    if isinstance(node, list):
        return [_tame(item, marks) for item in node]
    return PLAIN if isinstance(node, str) and marks in node else node


def structures(bundle: Bundle, plan: Plan) -> dict[str, Any]:
    """By file name, what each file consists of, every text and number in it left out. Unknown formats are None.

    Raises:
        SyntaxError, ValueError: when a file is not what its suffix says.
    """
    found = {}
    for name, data in bundle.files.items():
        plain = name.replace(plan.digest, "PLAN").replace(plan.digest[:12], "PLAN")
        found[plain] = _structure(name, data)
    return found


def _structure(name: str, data: bytes) -> Any:
    suffix = name.rpartition(".")[2]
    if suffix == "py":
        tree = ast.parse(data, filename=name)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant):
                node.value, node.kind = type(node.value).__name__, None
        return ast.dump(tree)
    if suffix == "json":
        return _shape(json.loads(data))
    if suffix in {"yaml", "yml"}:
        import yaml

        return [_shape(document) for document in yaml.safe_load_all(data)]
    return None


def _shape(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _shape(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_shape(item) for item in node]
    return type(node).__name__


def imported(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Every module that an emitted Python file imports, with the file."""
    for name, data in bundle.files.items():
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(data, filename=name)):
            if isinstance(node, ast.Import):
                yield from ((name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield name, node.module or "."
