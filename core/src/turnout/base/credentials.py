"""Credentials in clear within URLs, connection strings and arguments: where they stand, and the text without them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

HIDDEN = "[secret]"
REFERENCE = "\ue000"
"""Stands in a text for a reference, whose value is not there yet."""

_USERINFO = re.compile(r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?//(?P<user>[^\s/?#:@]*)(?P<rest>:?[^\s/?#]*)@")
_WITH_SLASH = re.compile(r"//[^\s/?#:@]*:(?!\d{1,5}/)(?P<password>[^\s@?#/]*/[^\s@]*)@")
"""A password that should have been quoted; digits before the slash are a port."""
_PAIR = re.compile(
    r"(?:\A|[?&;,\s#{'\"]|--?)(?P<name>[\w.%~-]+)(?:\s*=|['\"]\s*:)\s*(?P<value>'[^']*'|\"[^\"]*\"|[^\s&;,'\"}#]+)"
)
_ENDINGS = (
    "accesskey", "accountkey", "apikey", "credential", "credentials", "passphrase", "passwd", "password", "privatekey",
    "pwd", "sas", "secret", "secretkey", "sharedaccesskey", "signature", "token",
)  # fmt: skip
_NAMES = frozenset({"auth", "authorization", "pass", "pw", "sig"})
_NO_VALUES = frozenset({"", "0", "1", "false", "no", "none", "null", "off", "on", "prompt", "true", "yes"})


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where credentials stand in a text; the user's name counts as one where a web server takes it for a token."""
    for match in _USERINFO.finditer(text):
        password = match["rest"].removeprefix(":")
        if password:
            yield match.end("rest") - len(password), match.end("rest")
        elif match["user"] and (match["scheme"] or "").lower().endswith(("http", "https")):
            yield match.span("user")
    for match in _WITH_SLASH.finditer(text):
        yield match.span("password")
    for match in _PAIR.finditer(text):
        name = re.sub(r"[^a-z0-9]", "", unquote(match["name"]).lower())
        if (name.endswith(_ENDINGS) or name in _NAMES) and match["value"].strip("'\"").lower() not in _NO_VALUES:
            yield match.span("value")


def in_clear(text: str) -> Iterator[str]:
    """The credentials in a text that are no references."""
    for start, end in spans(text):
        if REFERENCE not in text[start:end]:
            yield text[start:end].strip("'\"")


def hidden(text: str) -> str:
    """*text* without the credentials in it."""
    shown, at = "", 0
    for start, end in sorted(spans(text)):
        if end > at:
            shown += text[at:start] + HIDDEN if start >= at else ""
            at = end
    return shown + text[at:]
