"""Secrets are taken out of everything a step prints, raises, names or logs, and no value that holds one is kept."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from turnout.base.errors import ConfigError

STARS = "[secret]"
TELLING = 8
"""Characters from which on a secret found within a value is no coincidence."""
_LINE = 4
"""Characters from which on a line of a secret is kept secret by itself."""


class Redactor:
    """Knows secrets by what they are written as: plain, as ``repr`` and JSON have them, in a URL, in base64.

    Args:
        secrets: the values; those that join the set later count from then on.
    """

    def __init__(self, secrets: AbstractSet[str] = frozenset()) -> None:
        self._secrets = secrets
        self._forms = _Forms(())

    def __bool__(self) -> bool:
        return bool(self._current.texts)

    @property
    def _current(self) -> _Forms:
        if len(self._secrets) != self._forms.count:
            self._forms = _Forms(tuple(self._secrets))
        return self._forms

    def text(self, text: str) -> str:
        """*text* without secrets; what UTF-8 cannot say is escaped."""
        for form in self._current.texts:
            text = text.replace(form, STARS)
        return text.encode("utf-8", "backslashreplace").decode()

    def data(self, data: bytes) -> bytes:
        """*data* without secrets."""
        for form in self._current.bytes:
            data = data.replace(form, STARS.encode())
        return data

    def tree(self, value: Any) -> Any:
        """A JSON value without secrets in its texts and keys."""
        if not self:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (list, tuple)):
            return [self.tree(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.tree(item) for key, item in value.items()}
        return value

    def finds(self, value: Any) -> bool:
        """Whether JSON, or structs, hold a secret of at least :data:`TELLING` characters, or are a shorter one."""
        if not self:
            return False
        value = msgspec.to_builtins(value)
        whole = isinstance(value, str) or (isinstance(value, dict) and "$bytes" in value)
        texts = list(_texts(value))
        return (whole and texts[0].strip() in self._current.short) or any(map(self._told, texts))

    def _told(self, text: str | bytes) -> bool:
        if isinstance(text, bytes):
            return any(form in text for form in self._current.telling_bytes)
        return any(form in text for form in self._current.telling)

    def finds_in(self, pieces: Iterable[bytes]) -> bool:
        """As :meth:`finds`, of data that comes in pieces."""
        forms, before = self._current, b""
        keep = max(map(len, forms.telling_bytes), default=1) - 1
        for piece in pieces:
            data = before + piece
            if piece.strip() in forms.short or any(form in data for form in forms.telling_bytes):
                return True
            before = data[-keep:] if keep else b""
        return False


def refusal(who: str, what: str = "") -> ConfigError:
    """What is said of a value that is not kept."""
    return ConfigError(
        f"{who} returns or logs a value that holds a secret{what and ': '}{what}",
        why="the value would be on record in clear",
        fix="keep the secret inside the step",
    )


class _Forms:
    """Everything that some secrets may be written as, the longest first."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self.count = len(secrets)
        lines = [line for secret in secrets for line in _lines(secret)]
        telling = [line for line in lines if len(line) >= TELLING]
        self.texts = _sorted(form for line in lines for form in _written(line))
        self.bytes = _sorted(_encoded(form) for form in self.texts)
        self.telling = _sorted(form for line in telling for form in _written(line))
        self.telling_bytes = _sorted(
            [*map(_encoded, self.telling), *(form for line in telling for form in _widely_encoded(line))]
        )
        brief = {secret.strip() for secret in secrets if len(secret) < TELLING} - {""}
        self.short = frozenset([*brief, *map(_encoded, brief)])


def _lines(secret: str) -> Iterator[str]:
    """A secret and, of one of several lines, each of them: a log has it line by line."""
    yield secret
    if len(secret.splitlines()) > 1:
        yield from (line for line in secret.splitlines() if len(line) >= _LINE)


def _written(text: str) -> Iterator[str]:
    """The forms of a text in other texts."""
    raw = _encoded(text)
    yield text
    for plain in (True, False):
        escaped = json.dumps(text, ensure_ascii=plain)[1:-1]
        yield escaped
        yield json.dumps(escaped, ensure_ascii=plain)[1:-1]  # JSON as a text in JSON
    yield from (repr(text)[1:-1], ascii(text)[1:-1], repr(raw)[2:-1])
    yield text.encode("utf-8", "backslashreplace").decode()
    yield from (quote(raw, safe=""), quote(raw), quote_plus(raw))
    if len(raw) < TELLING:
        return
    for shift, first in enumerate((0, 2, 3)):  # what stands before it shifts its bits by 0, 2 or 4
        whole = base64.b64encode(bytes(shift) + raw).decode()
        core = whole[first : (shift + len(raw)) * 8 // 6]
        yield from (core, core.replace("+", "-").replace("/", "_"))


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _widely_encoded(text: str) -> Iterator[bytes]:
    """A text as numpy and other systems encode it."""
    for encoding in ("latin-1", "utf-16-le", "utf-32-le"):
        try:
            yield text.encode(encoding)
        except UnicodeEncodeError:
            continue


def _sorted(forms: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted({form for form in forms if form.strip()}, key=lambda form: (-len(form), form)))


def _texts(value: Any) -> Iterator[str | bytes]:
    """All texts in JSON, keys too; bytes where it holds them in turnout's plain form."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        if isinstance(held := value.get("$bytes"), str) and len(value) == 1:
            try:
                yield base64.b64decode(held)
            except binascii.Error:
                yield held
            return
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
