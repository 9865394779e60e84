"""A bundle on a worker: where an engine carries plan and code itself, they are put into the store from there."""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.base.errors import PlanError
from turnout.components.artifact_store import ArtifactStore
from turnout.stores import layout

ENVIRONMENT = "environment.json"
"""The file of a bundle that says where the store is: variables and their values, a JSON object."""


def enter(folder: Path) -> None:
    """Set the variables that a bundle folder names, but for those this process has already.

    Raises:
        PlanError: when the file is not a JSON object of texts.
    """
    path = folder / ENVIRONMENT
    if not path.exists():
        return
    try:
        given = json.loads(path.read_bytes())
        for name, value in given.items():
            os.environ.setdefault(name, value)
    except (ValueError, AttributeError, TypeError) as error:
        raise PlanError(
            f"{ENVIRONMENT} in the bundle cannot be read: {error}", fix="export the pipeline again"
        ) from error


def code_file(digest: str) -> str:
    """Where in a bundle the code package lies, as text: Airflow takes any zip archive for one of DAGs."""
    return f"{layout.code(digest)}.b64"


def as_text(package: bytes) -> bytes:
    """A code package as a bundle holds it."""
    return base64.encodebytes(package)


def upload(folder: Path, plan: str, store: ArtifactStore[Any]) -> None:
    """Create the plan of this digest, and its code package, from a bundle folder in the store, unless they are there.

    The folder is laid out as the store is, but that code is text; one of turnout 0.1 holds ``code.zip`` itself.

    Raises:
        PlanError: when one of them does not have the digest it is named by.
    """
    path = folder / layout.plan(plan)
    if store.exists(layout.plan(plan)) or not path.is_file():
        return
    data = path.read_bytes()
    _check(layout.plan(plan), data, plan)
    code = msgspec.json.decode(data, type=_PlanCode).code.digest
    key, text, plain = layout.code(code), folder / code_file(code), folder / layout.code(code)
    if not store.exists(key) and (text.is_file() or plain.is_file()):
        package = _package(text) if text.is_file() else plain.read_bytes()
        _check(key, package, code)
        store.create(key, package)
    store.create(layout.plan(plan), data)


class _Code(msgspec.Struct):
    digest: str


class _PlanCode(msgspec.Struct):
    code: _Code


def _package(path: Path) -> bytes:
    try:
        return base64.b64decode(path.read_bytes())
    except binascii.Error:
        return b""


def _check(key: str, data: bytes, digest: str) -> None:
    if canonical.digest(data) != digest:
        raise PlanError(
            f"{key} in the bundle is damaged",
            why="its content is not what its digest says",
            fix="export the pipeline again",
        )
