"""The canonical form of files and folders given as parameters: a path, a URL, or a content's digest."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from turnout.model.scalars import Misfit, to_str

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9_-]+)*\Z")


def to_content(value: Any) -> dict[str, str]:
    """``{"path": …}``, ``{"url": …}`` or ``{"digest": …, "suffix": …}``, from a text, a path or one of these."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _object(value)
    if isinstance(value, dict):
        return _located(value)
    if not isinstance(value, str):
        raise Misfit
    return _url(value) if _URL.match(value) else {"path": _path(value)}


def _located(value: dict[Any, Any]) -> dict[str, str]:
    if all(isinstance(item, str) for item in value.values()):
        if set(value) == {"path"}:
            return {"path": _path(value["path"])}
        if set(value) == {"url"}:
            return _url(value["url"])
        if {"digest", "suffix"} <= set(value) <= {"digest", "suffix", "name"}:
            if not _DIGEST.match(value["digest"]):
                raise Misfit("its digest is not a SHA-256: 64 hexadecimal digits")
            if not _SUFFIX.match(value["suffix"]) or any(mark in value.get("name", "") for mark in "/\\\0"):
                raise Misfit("its suffix or name could leave the folder it is put in")
            return dict(value)
    raise Misfit("an object has one of path, url, or digest and suffix")


def _path(value: str) -> str:
    if not value or "\0" in value:
        raise Misfit("it is empty" if not value else "it holds a NUL character")
    return to_str(value)


def _url(value: str) -> dict[str, str]:
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(to_str(value))
    except ValueError:
        raise Misfit("the URL cannot be read", shown="this URL") from None
    if parts.scheme.lower() == "file":
        return {"path": _path(unquote(parts.path))}
    if parts.password is not None:
        raise Misfit("it holds a password, and parameters are recorded in clear", shown="a URL with a password")
    return {"url": value}


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
