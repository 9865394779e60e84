"""Steps run by a warm process beside an engine's own: the engine's end of ``python -m turnout.runtime serve``."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from turnout.base.errors import RunError
from turnout.engines.calling import command
from turnout.engines.protocol import FORMAT, Answer, Hello, Request
from turnout.model.records import Isolation, StepResult


class Executor:
    """One process that runs the steps of a run, one at a time.

    Args:
        plan: the digest of the plan.
        engine_run: the engine's own id of the run.
        environ: all variables of the process.
        bundle: a folder that holds plan and code, and says where the store is.
        isolation: what runs a step: a process forked from a warm one (``step``), or a new interpreter (``process``).

    Raises:
        RunError: when the run cannot be joined.
    """

    def __init__(
        self,
        plan: str,
        engine_run: str,
        environ: Mapping[str, str],
        *,
        bundle: Path | None = None,
        isolation: Isolation = "step",
    ) -> None:
        self._ids = itertools.count(1)
        more = [f"--isolation={isolation}", *([] if bundle is None else [f"--bundle={bundle}"])]
        self._process = subprocess.Popen(
            [*command("serve", plan, engine_run), *more],
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        line = self._read()
        hello = msgspec.json.decode(line, type=Hello) if line else Hello(failure="the process that runs steps died")
        if hello.format != FORMAT:
            hello = Hello(failure=f"turnout {hello.turnout} answers in format {hello.format}, not {FORMAT}")
        if hello.failure:
            self.close()
            raise RunError(hello.failure)

    def run(self, step: str, index: int | None = None, *, timeout: float | None = None) -> StepResult:
        """Run a step, or one element of a mapped step, to its end.

        Args:
            timeout: the seconds after which it is stopped.

        Raises:
            RunError: when the process has died; another executor may be asked.
        """
        request = Request(id=next(self._ids), step=step, index=index, timeout=timeout)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(msgspec.json.encode(request) + b"\n")
            self._process.stdin.flush()
        line = self._read()
        if not line:
            raise RunError(f"the process that ran {step} has died")
        answer = msgspec.json.decode(line, type=Answer)
        assert answer.id == request.id
        return answer.result

    def close(self) -> None:
        """End the process, with what it runs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _read(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Executors:
    """The executors of this process, each used by one thread at a time and kept for the next."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, ...], list[Executor]] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def of(self, plan: str, engine_run: str, submission: str, isolation: Isolation = "step") -> Iterator[Executor]:
        """An executor for a run; it is closed where its process has died.

        Args:
            submission: parameters and options of the run, the JSON text of ``TURNOUT_PARAMS``.
        """
        key = plan, engine_run, submission, isolation
        with self._lock:
            idle = self._idle.setdefault(key, [])
            executor = idle.pop() if idle else None
        if executor is None:
            environ = {**os.environ, "TURNOUT_PARAMS": submission}
            executor = Executor(plan, engine_run, environ, isolation=isolation)
        try:
            yield executor
        except BaseException:
            executor.close()
            raise
        with self._lock:
            idle.append(executor)

    def close(self) -> None:
        """End all that are idle."""
        with self._lock:
            executors = [executor for idle in self._idle.values() for executor in idle]
            self._idle.clear()
        for executor in executors:
            executor.close()
