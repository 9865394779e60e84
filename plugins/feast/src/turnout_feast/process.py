"""Feast in a process of its own, whose interpreter has it: started once, asked from any thread, ended with this one."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Iterable
from typing import IO, Any

import msgspec

from turnout.plugin_api import PluginError, RunError
from turnout_feast import messages
from turnout_feast.messages import Incoming, Outgoing
from turnout_feast.service import Told
from turnout_feast.settings import FeastSettings

_LAST = 2_000
"""Bytes of what a process printed last that an error tells."""

_Answer = tuple[dict[str, Any], Any]


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
        streams = (self._child.stdin, self._child.stdout)
        self._requests, self._answers = Outgoing(streams[0]), Incoming(streams[1])  # type: ignore[arg-type]
        self._writing, self._numbers = threading.Lock(), itertools.count()
        self._turn, self._reading, self._ended = threading.Condition(threading.Lock()), False, False
        self._waiting: dict[int, deque[_Answer]] = {}
        self._owner = os.getpid()
        self.interpreter = interpreter
        self._finalizer = weakref.finalize(self, _end, self._child, streams, self._log, self._owner)
        try:
            self._version = self._greet(settings)
        except BaseException:
            self.close()
            raise

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
        number = next(self._numbers)
        self._waiting[number] = deque()
        try:
            with self._writing:
                self._requests.write({"id": number, "call": name, "arguments": arguments}, table)
            while (message := self._answer(number)) is not None:
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

    def _answer(self, number: int) -> _Answer | None:
        """The next message for a call; None where the process has ended.

        Whoever waits and finds nobody reading reads, for all: a thread of its own would take as long as a read online.
        """
        mine = self._waiting[number]
        with self._turn:
            while not mine and not self._ended:
                if self._reading:
                    self._turn.wait()
                    continue
                self._reading = True
                self._turn.release()
                message = None
                try:
                    message = self._answers.read()
                except OSError:
                    pass
                except BaseException:  # interrupted, maybe within a message: what follows cannot be read
                    self._child.kill()
                    raise
                finally:
                    self._turn.acquire()
                    self._reading, self._ended = False, message is None
                    if message is not None and (answers := self._waiting.get(message[0]["id"])) is not None:
                        answers.append(message)
                    self._turn.notify_all()
            return mine.popleft() if mine else None

    def _greet(self, settings: FeastSettings) -> str:
        hello = self._answers.read()
        if hello is None:
            self._child.wait()
            raise PluginError(
                "Feast does not start",
                why=self._last_words() or f"{self.interpreter} ended with {self._child.returncode}",
                fix=f"see that {self.interpreter} has feast>=0.67, pandas<3 and turnout-feast",
            )
        if hello[0]["format"] != messages.FORMAT:
            raise PluginError(
                f"{self.interpreter} has another version of turnout-feast",
                why=f"its messages are of the version {hello[0]['format']}, those here of {messages.FORMAT}",
                fix="install the version there that is installed here",
            )
        self._requests.write({"settings": msgspec.to_builtins(settings)})
        return str(hello[0]["feast"])

    def _last_words(self) -> str:
        """What the process printed last: the line that names an error, or the end."""
        with contextlib.suppress(OSError, ValueError):
            size = self._log.seek(0, os.SEEK_END)
            self._log.seek(max(0, size - _LAST))
            lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
            return lines[-1] if lines else ""
        return ""


def _end(child: subprocess.Popen[bytes], streams: Iterable[Any], log: IO[bytes], owner: int) -> None:
    if os.getpid() == owner:  # not a process that was forked from it
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            child.kill()
            child.wait(5)
        for stream in (*streams, log):
            with contextlib.suppress(OSError):
                stream.close()
