"""The observer ``specimen``: each event as a file in a folder. Replace the files by calls of your tool."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import msgspec

from turnout.plugin_api import Config, Event, Observer, encode


class SpecimenSettings(Config, frozen=True):
    """Settings of the observer ``specimen``."""

    folder: Annotated[str, msgspec.Meta(description="The folder of events, as workers see it.")]


class SpecimenObserver(Observer[SpecimenSettings]):
    """Names each file by its time and process; it appears whole, by its last name."""

    name = "specimen"
    Config = SpecimenSettings

    def notify(self, event: Event) -> None:
        folder = Path(self.config.folder)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020}-{os.getpid()}"
        partial = folder / f".{name}"
        partial.write_bytes(encode(event))
        partial.rename(folder / f"{name}.json")
