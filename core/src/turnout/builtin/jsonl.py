"""Events as lines of JSON in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec

from turnout.base import canonical
from turnout.components.base import Config
from turnout.components.observer import Event, Observer


class JsonLinesSettings(Config, frozen=True):
    """Settings of the observer ``jsonl``."""

    path: Annotated[str, msgspec.Meta(description="The file on the worker; its folders are made.")]


class JsonLines(Observer[JsonLinesSettings]):
    """Appends one line an event, each in a single write, so that workers that share the file do not mix lines."""

    name = "jsonl"
    Config = JsonLinesSettings

    def notify(self, event: Event) -> None:
        path = Path(self.config.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        line = canonical.encode(event) + b"\n"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(file, line)
        finally:
            os.close(file)
        if written != len(line):
            raise OSError(f"only {written} of {len(line)} bytes of an event fitted into {path}")
