"""The process that has Feast: ``python -m turnout_feast.server PARENT`` answers messages until its parent is gone.

Standard input and output carry messages; whatever Feast prints goes to standard error.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from turnout.plugin_api import RunError, TurnoutError
from turnout_feast import messages
from turnout_feast.failures import words
from turnout_feast.messages import Incoming, Outgoing
from turnout_feast.service import Service
from turnout_feast.settings import FeastSettings

_LOOK = 0.5
"""Seconds between two looks whether the parent is still there."""


def main(parent: int) -> int:
    """Say hello, then answer until standard input ends."""
    incoming, outgoing = Incoming(os.fdopen(os.dup(0), "rb")), Outgoing(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    sys.path.append(str(Path.cwd()))  # functions of on-demand views may import what lies in the repository
    import feast

    outgoing.write({"format": messages.FORMAT, "feast": feast.__version__, "python": sys.executable})
    first = incoming.read()
    if first is None:
        return 0
    server = _Server(msgspec.convert(first[0]["settings"], FeastSettings), outgoing)
    while (message := incoming.read()) is not None:
        server.take(*message)
    os._exit(0)  # a call that goes on has nobody to answer to


class _Server:
    def __init__(self, settings: FeastSettings, outgoing: Outgoing) -> None:
        self._service = Service(settings)
        self._outgoing, self._lock = outgoing, threading.Lock()
        self._others = ThreadPoolExecutor(1)

    def take(self, header: dict[str, Any], table: Any) -> None:
        """Answer a message: a read online here, which is short and waits for no thread; the rest in another one."""
        if header["call"] == "online":
            self._answer(header, table)
        else:
            self._others.submit(self._answer, header, table)

    def _answer(self, header: dict[str, Any], table: Any) -> None:
        number = header["id"]

        def progress(view: str, share: float) -> None:
            self._write({"id": number, "progress": [view, share]})

        try:
            found = self._service.call(header["call"], header["arguments"], table, progress)
        except TurnoutError as error:
            self._write({"id": number, "error": messages.of_error(error)})
        except Exception as error:
            failed = RunError(f"Feast failed in {header['call']!r}", why=words(error))
            self._write({"id": number, "error": messages.of_error(failed)})
        else:
            if hasattr(found, "schema"):
                self._write({"id": number}, found)
            else:
                self._write({"id": number, "result": found})

    def _write(self, header: dict[str, Any], table: Any = None) -> None:
        with self._lock:
            self._outgoing.write(header, table)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
