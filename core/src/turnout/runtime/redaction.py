"""Secrets are taken out of everything a step prints or raises before anyone sees it."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

STARS = "[secret]"


class Redactor:
    """Replaces secret values, also where they are URL-quoted or JSON-escaped."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            lines = [line for line in secret.splitlines() if len(line) > 3] if "\n" in secret else []
            for value in (secret, *lines):
                forms |= {value, quote(value, safe=""), json.dumps(value)[1:-1]}
        self._forms = sorted((form for form in forms if form.strip()), key=lambda form: (-len(form), form))

    def __bool__(self) -> bool:
        return bool(self._forms)

    def text(self, text: str) -> str:
        """*text* without secrets."""
        for form in self._forms:
            text = text.replace(form, STARS)
        return text

    def data(self, data: bytes) -> bytes:
        """*data* without secrets."""
        for form in self._forms:
            data = data.replace(form.encode(), STARS.encode())
        return data


@contextmanager
def redacted_output(redactor: Redactor) -> Iterator[None]:
    """While it lasts, what this process and its children write to descriptors 1 and 2 passes through *redactor*.

    Lines pass whole, so that a secret split between two writes is found. Nothing happens without secrets.
    """
    if not redactor:
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {number: os.dup(number) for number in (1, 2)}
    pumps = []
    for number, target in saved.items():
        reader, writer = os.pipe()
        os.dup2(writer, number)
        os.close(writer)
        pump = threading.Thread(target=_pump, args=(reader, target, redactor), daemon=True)
        pump.start()
        pumps.append(pump)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, target in saved.items():
            os.dup2(target, number)
        for pump in pumps:
            pump.join(timeout=5)  # a child of the step that lives on may hold the pipe open
        for target in saved.values():
            os.close(target)


def _pump(reader: int, target: int, redactor: Redactor) -> None:
    with os.fdopen(reader, "rb") as stream:
        for line in stream:
            try:
                os.write(target, redactor.data(line))
            except OSError:
                return
