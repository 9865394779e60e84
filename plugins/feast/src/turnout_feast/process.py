"""Feast in a process of its own, whose interpreter has it: started once, asked from any thread, ended with this one."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import subprocess
import tempfile
import threading
import weakref
from typing import IO, Any, BinaryIO

import msgspec

from turnout.plugin_api import PluginError, RunError
from turnout_feast import messages
from turnout_feast.service import Told
from turnout_feast.settings import FeastSettings

_LAST = 2_000
"""Bytes of what a process printed last that an error tells."""

_Answer = tuple[dict[str, Any], Any]
_Waiting = dict[int, "queue.SimpleQueue[_Answer | None]"]


class Process:
    """The other side of :mod:`turnout_feast.server`.

    Raises:
        PluginError: when the process does not start, or has another version of turnout-feast.
    """

    def __init__(self, interpreter: str, settings: FeastSettings) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the process
        environ = {**os.environ, **settings.variables, "TZ": "UTC"}
        try:  # -I: what lies in the repository's folder, where it runs, stands for no package
            self._child = subprocess.Popen(
                [interpreter, "-I", "-m", "turnout_feast.server", str(os.getpid())],
                cwd=settings.folder,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
            )
        except OSError as error:
            self._log.close()
            raise PluginError(f"the interpreter {interpreter} cannot be started", why=str(error)) from None
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._requests: BinaryIO = self._child.stdin  # type: ignore[assignment]
        self._answers: BinaryIO = self._child.stdout  # type: ignore[assignment]
        self._writing, self._numbers = threading.Lock(), itertools.count()
        self._waiting: _Waiting = {}
        self._owner = os.getpid()
        self.interpreter = interpreter
        self._finalizer = weakref.finalize(self, _end, self._child, self._requests, self._log, self._owner)
        try:
            self._version = self._greet(settings)
        except BaseException:
            self._answers.close()
            self.close()
            raise
        listening = threading.Thread(
            target=_listen, args=(self._answers, self._waiting), daemon=True, name="turnout-feast"
        )
        listening.start()

    @property
    def alive(self) -> bool:
        """Whether it can be asked: it lives, and this process has started it."""
        return self._owner == os.getpid() and self._child.poll() is None

    def close(self) -> None:
        """End it."""
        self._finalizer()

    @property
    def place(self) -> str:
        """Where Feast is, in words for a user."""
        return f"Feast {self._version} in a process of its own ({self.interpreter})"

    def call(self, name: str, arguments: dict[str, Any], table: Any = None, progress: Told | None = None) -> Any:
        """Ask, and wait for the answer.

        Raises:
            TurnoutError: what the other side has raised.
            RunError: when it is gone.
        """
        number, answers = next(self._numbers), queue.SimpleQueue[_Answer | None]()
        self._waiting[number] = answers
        try:
            with self._writing:
                messages.write(self._requests, {"id": number, "call": name, "arguments": arguments}, table)
            while (message := answers.get()) is not None:
                header, found = message
                if "progress" in header:
                    if progress is not None:
                        progress(*header["progress"])
                    continue
                if "error" in header:
                    raise messages.error_of(header["error"])
                return found if found is not None else header.get("result")
        except (BrokenPipeError, ValueError):
            pass
        finally:
            del self._waiting[number]
        raise RunError(f"the process with Feast has ended in {name!r}", why=self._last_words())

    def _greet(self, settings: FeastSettings) -> str:
        hello = messages.read(self._answers)
        if hello is None:
            self._child.wait()
            raise PluginError(
                "Feast does not start",
                why=self._last_words() or f"{self.interpreter} ended with {self._child.returncode}",
                fix=f"see that {self.interpreter} has feast>=0.67, pandas<3 and turnout-feast",
            )
        if hello[0]["format"] != messages.FORMAT:
            raise PluginError(
                f"{self.interpreter} has another version of turnout-feast", fix="install the version that is used here"
            )
        messages.write(self._requests, {"settings": msgspec.to_builtins(settings)})
        return str(hello[0]["feast"])

    def _last_words(self) -> str:
        """What the process printed last: the line that names an error, or the end."""
        with contextlib.suppress(OSError, ValueError):
            size = self._log.seek(0, os.SEEK_END)
            self._log.seek(max(0, size - _LAST))
            lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
            return lines[-1] if lines else ""
        return ""


def _listen(stream: BinaryIO, waiting: _Waiting) -> None:
    """Hand each answer to the call that waits for it, until there are none to come."""
    with contextlib.suppress(OSError, ValueError):
        while (message := messages.read(stream)) is not None:
            if (answers := waiting.get(message[0]["id"])) is not None:
                answers.put(message)
        stream.close()
    for answers in list(waiting.values()):
        answers.put(None)


def _end(child: subprocess.Popen[bytes], requests: BinaryIO, log: IO[bytes], owner: int) -> None:
    if os.getpid() == owner:  # not a process that was forked from it
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            child.kill()
            child.wait(5)
        with contextlib.suppress(OSError):
            requests.close()
        log.close()
