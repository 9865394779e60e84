"""Addresses of servers in a stack's settings: whether each is one, and whether anything answers there."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec
from msgspec import inspect

TIMEOUT = 2.0
"""Seconds to wait for a server to take a connection."""
_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/@]+):(?P<port>[0-9]{1,5})\Z")


def kind_of(setting: object) -> str:
    """``url``, ``uri`` or ``host:port`` for the type of a setting that holds an address; else empty."""
    info = inspect.type_info(setting)
    extra = info.extra if isinstance(info, inspect.Metadata) else None
    return str((extra or {}).get("address", ""))


def fault(kind: str, value: str) -> str:
    """What keeps a value from being an address of its kind; empty if nothing does, or no value is given."""
    if not value or (kind == "uri" and not value.lower().startswith(("http:", "https:"))):
        return ""
    if kind == "host:port":
        return "" if _endpoint(kind, value) else "it must be HOST:PORT, such as localhost:8099"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        return "its port is no number up to 65535" if "port" in str(error).lower() else str(error).lower()
    if parts.scheme.lower() not in {"http", "https"}:
        return "it must begin with http:// or https://"
    if not parts.hostname or re.search(r"[\s<>\"\\^`{|}]", value):
        return "it has no host" if not parts.hostname else "it holds a character that no URL has"
    return "the port 0 is none" if port == 0 else ""


def silent(addresses: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Those of some addresses, each with its kind, where nobody takes a connection, with the reason; asked at once."""
    from concurrent.futures import ThreadPoolExecutor

    asked = list(dict.fromkeys(addresses))
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
        answers = pool.map(lambda address: _reason(*address), asked)
        return {address: reason for address, reason in zip(asked, answers, strict=True) if reason}


def _reason(kind: str, value: str) -> str:
    endpoint = _endpoint(kind, value)
    if endpoint is None:
        return ""
    try:
        socket.create_connection(endpoint, timeout=TIMEOUT).close()
    except TimeoutError:
        return f"no answer within {TIMEOUT:.0f} seconds"
    except (OSError, UnicodeError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    return ""


def _endpoint(kind: str, value: str) -> tuple[str, int] | None:
    if kind == "host:port":
        match = _HOST_PORT.match(value)
        if match is None or not 0 < int(match["port"]) < 1 << 16:
            return None
        return match["host"].strip("[]"), int(match["port"])
    parts = urlsplit(value)
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        return None
    return parts.hostname, parts.port or (443 if parts.scheme.lower() == "https" else 80)


def faults(config: type[msgspec.Struct], values: dict[str, object]) -> dict[str, str]:
    """What is wrong with the addresses among settings, by the settings' names."""
    reasons = {}
    for field in msgspec.structs.fields(config):
        value = values.get(field.encode_name)
        if isinstance(value, str) and (kind := kind_of(field.type)) and (reason := fault(kind, value)):
            reasons[field.encode_name] = reason
    return reasons
