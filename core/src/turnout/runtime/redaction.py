"""Secrets are taken out of everything a step prints or raises before anyone sees it."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, TextIO, cast
from urllib.parse import quote, quote_plus

STARS = "[secret]"
PUMP = "turnout-redaction"
"""The name of the threads that output passes through."""
TELLING = 6
"""Characters from which on a secret found in data is no coincidence."""


class Redactor:
    """Replaces secret values, also where they are quoted for a URL, escaped in JSON or shown by ``repr``.

    Args:
        secrets: the values; those that join the set later count from then on.
    """

    def __init__(self, secrets: AbstractSet[str] = frozenset()) -> None:
        self._secrets = secrets
        self._known = 0
        self._forms: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.forms)

    @property
    def forms(self) -> tuple[str, ...]:
        """Every form a secret may be written in, longest first."""
        if len(self._secrets) != self._known:
            secrets = tuple(self._secrets)
            found = {form for secret in secrets for form in _forms(secret) if form.strip()}
            self._forms = tuple(sorted(found, key=lambda form: (-len(form), form)))
            self._known = len(secrets)
        return self._forms

    def text(self, text: str) -> str:
        """*text* without secrets."""
        for form in self.forms:
            text = text.replace(form, STARS)
        return text

    def data(self, data: bytes) -> bytes:
        """*data* without secrets."""
        for form in self.forms:
            data = data.replace(form.encode(errors="surrogateescape"), STARS.encode())
        return data

    def tree(self, value: Any) -> Any:
        """A JSON value without secrets in its texts and keys."""
        if not self.forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (list, tuple)):
            return [self.tree(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.tree(item) for key, item in value.items()}
        return value

    def finds(self, data: bytes) -> bool:
        """Whether *data* holds a secret of at least :data:`TELLING` characters."""
        return any(form.encode(errors="surrogateescape") in data for form in self.forms if len(form) >= TELLING)


def _forms(secret: str) -> Iterator[str]:
    lines = [line for line in secret.splitlines() if len(line) > 3] if "\n" in secret else []
    for value in (secret, *lines):
        yield value
        yield json.dumps(value)[1:-1]
        yield json.dumps(value, ensure_ascii=False)[1:-1]
        yield repr(value)[1:-1]
        raw = value.encode(errors="surrogateescape")
        yield from (quote(raw, safe=""), quote(raw), quote_plus(raw))


@contextmanager
def redacted_output(redactor: Redactor) -> Iterator[None]:
    """While it lasts, what this process and its children write to descriptors 1 and 2 passes through *redactor*.

    So does what goes to ``sys.stdout`` and ``sys.stderr`` where they lead elsewhere (pytest, notebooks). Lines pass
    whole, so that a secret split between two writes is found.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    streams, saved, pumps = (sys.stdout, sys.stderr), [], []
    for number in (1, 2):
        saved.append((number, os.dup(number)))
        reader, writer = os.pipe()
        pumps.append(threading.Thread(target=_pump, args=(reader, os.dup(number), redactor), daemon=True, name=PUMP))
        os.dup2(writer, number)
        os.close(writer)
        pumps[-1].start()
    shown = [_shown(stream, number, redactor) for number, stream in enumerate(streams, 1)]
    sys.stdout, sys.stderr = shown
    try:
        yield
    finally:
        for stream in (*shown, sys.stdout, sys.stderr):
            if not stream.closed:
                stream.flush()
        for stream in shown:
            if isinstance(stream, _Redacted):
                stream.end()
        sys.stdout, sys.stderr = streams
        for number, target in saved:
            os.dup2(target, number)
            os.close(target)
        for pump in pumps:
            pump.join(timeout=5)  # a child of the step that lives on may hold the pipe open: its pump goes on, too


def _pump(reader: int, target: int, redactor: Redactor) -> None:
    with os.fdopen(reader, "rb") as source, os.fdopen(target, "wb", buffering=0) as sink:
        for line in source:
            rest = memoryview(redactor.data(line))
            try:
                while rest:
                    rest = rest[sink.write(rest) :]
            except OSError:
                continue  # whoever reads us is gone; the step must still be able to write


def _shown(stream: TextIO, number: int, redactor: Redactor) -> TextIO:
    try:
        direct = stream.fileno() == number
    except (OSError, ValueError, AttributeError):
        direct = False
    return stream if direct else cast("TextIO", _Redacted(stream, redactor))


class _Redacted(io.TextIOBase):
    """A text stream that hands whole lines on to another, without secrets."""

    encoding = "utf-8"

    def __init__(self, target: TextIO, redactor: Redactor) -> None:
        self._target = target
        self._redactor = redactor
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        whole, newline, self._rest = (self._rest + text).rpartition("\n")
        if newline:
            self._target.write(self._redactor.text(whole + newline))
        return len(text)

    def flush(self) -> None:
        self._target.flush()

    def end(self) -> None:
        """Hand on what no line feed has closed."""
        self._target.write(self._redactor.text(self._rest))
        self._rest = ""
        self._target.flush()
