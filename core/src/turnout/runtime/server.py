"""A warm worker: a process that has steps run one after another, as the engine that started it asks.

Requests and answers are JSON lines over two pipes. The first request opens a run; each other names a step.
The end of the requests ends the process, so that no worker outlives its engine.

No step runs in the worker. It forks a *template* for each module that steps come from, which imports the module's
libraries, and of the project nothing; a template forks a process for each step, one ahead. So a step finds what it
would find in a fresh interpreter, whatever steps ran before it. A step's process answers the engine by itself.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO, cast

import msgspec

from turnout.base import canonical
from turnout.base import python_gc as garbage
from turnout.base.errors import TurnoutError
from turnout.model.plan import StepPlan
from turnout.model.plan import decode as decode_plan
from turnout.model.records import Isolation, RunInfo, RunState, StepResult
from turnout.project import unpacking
from turnout.project.project import load as load_project
from turnout.runtime import forking, preloading
from turnout.runtime.execution import step_folder
from turnout.runtime.log_file import APPEND, open_log
from turnout.runtime.memory import mark, news, recall
from turnout.runtime.printing import print_to
from turnout.runtime.rehearsal import rehearse
from turnout.runtime.session import Session
from turnout.runtime.step import run_step
from turnout.runtime.store import worker_store
from turnout.stores.stored_run import Run

RAN, TAKEN = b"ran", b"taken"
"""The replies about a step: it ran, or there was a result already, or it was skipped."""
TEMPLATES = 8
"""How many templates a worker keeps; the one that was not used for longest goes."""


class OpenRun(msgspec.Struct, frozen=True, tag="open"):
    """Join a run; its plan is in the file *plan*."""

    plan: str
    run: RunInfo


class RunStep(msgspec.Struct, frozen=True, tag="step"):
    """Run a step; what it prints goes to the end of the file *log*; *look_up* says whether the cache may have it."""

    step: str
    index: int | None
    log: str
    look_up: bool = True
    isolation: Isolation = "step"


class EndRun(msgspec.Struct, frozen=True, tag="end"):
    """Tell the tracker how the run ended, where this worker has a process that knows it already.

    The answer is ``succeeded`` when it was told, ``skipped`` where there is no such process, else ``failed``.
    """

    state: RunState


Request = OpenRun | RunStep | EndRun
_decoder = msgspec.json.Decoder(Request)


def serve(requests: int, answers: int) -> int:
    """Answer requests from the descriptor *requests* on the descriptor *answers* until they end.

    Returns:
        the process's exit code: 1 when the run could not be joined, which the last answer then says.
    """
    os.set_inheritable(requests, False)
    os.set_inheritable(answers, False)
    worker: Worker | None = None
    for line in forking.lines(requests):
        request = _decoder.decode(line)
        if isinstance(request, OpenRun):
            try:
                worker = Worker(_open(request), line, requests, answers)
            except Exception as error:
                message = str(error) if isinstance(error, TurnoutError) else f"{type(error).__name__}: {error}"
                _answer(answers, StepResult(state="failed", message=message))
                return 1
            garbage.now()
            _answer(answers, StepResult(state="succeeded"))
            continue
        assert worker is not None, "a run is opened first"
        if isinstance(request, EndRun):
            _answer(answers, _end(worker.session, request.state))
        else:
            worker.run(line, request)
    if worker is not None:
        worker.close()
    return 0


def run_apart(answers: int, requests: int, replies: int) -> int:
    """Run one step in this process, which was started for it: where a worker cannot fork one."""
    for descriptor in (answers, requests, replies):
        os.set_inheritable(descriptor, False)
    asked = forking.lines(requests)
    opening = _decoder.decode(next(asked))
    assert isinstance(opening, OpenRun)
    session = _open(opening)
    garbage.now()
    _Steps(session, answers).run_one(next(asked), requests, replies)
    session.close()
    return 0


def _open(request: OpenRun) -> Session:
    plan = decode_plan(Path(request.plan).read_bytes(), f"the plan of the run {request.run.id}")
    return Session(Run(worker_store(), plan, request.run))


class Worker:
    """Hands each step to the template of its module."""

    def __init__(self, session: Session, opening: bytes, requests: int, answers: int) -> None:
        self.session = session
        self._opening = opening
        self._requests = requests
        self._answers = answers
        self._templates: dict[tuple[Any, ...], forking.Process] = {}
        self._attempted: set[str] = set()
        """The modules of which a step had to run: until then, importing libraries ahead may be for nothing."""
        forking.outlive()
        self._prepare()
        self._forks = forking.is_safe()

    def _prepare(self) -> None:
        """Do once what each step would have to, of that which is the same for all and meets no network."""
        session = self.session
        _ = (session.registry, session.artifacts, session.run.plan.by_name, session.tracking)

    def run(self, line: bytes, request: RunStep) -> None:
        """Have a step run, in the process that its isolation asks for."""
        if self.session.tracking.sender is not None:
            self.session.tracking.sender.start()
        if request.isolation == "process" or not self._forks:
            words = ("apart", str(self._answers))
            process = forking.start([sys.executable, "-m", "turnout.runtime", *words], [self._answers])
            process.ask(self._opening + b"\n" + line)
            process.release()
            forking.reap()
            return
        step = self.session.run.plan.by_name.get(request.step)
        module = None if step is None or request.isolation == "worker" else _module(step)
        unsure = step is not None and request.look_up and step.cache and module not in self._attempted
        ran = self._template(request, None if module is None or unsure else step).ask(line) == RAN
        if ran and module is not None:
            self._attempted.add(module)

    def _template(self, request: RunStep, step: StepPlan | None) -> forking.Process:
        """The template of a step's module, or the one without any."""
        key = (request.isolation, *(() if step is None else (_module(step), *step.files)))
        process = self._templates.pop(key, None)
        if process is None:
            while len(self._templates) >= TEMPLATES:
                self._templates.pop(next(iter(self._templates))).release()
            process = self._made(request, step)
        self._templates[key] = process
        return process

    def _made(self, request: RunStep, step: StepPlan | None) -> forking.Process:
        """A new template; of what its step's module imports it has as much as leaves it fit to be forked."""
        most = preloading.ALL
        while True:
            steps = _Steps(self.session, self._answers, shared=request.isolation == "worker")
            others = [other for process in self._templates.values() for other in process.descriptors]
            process = forking.fork(partial(steps.serve, step, request.log, most), [self._requests, *others])
            imported = int(process.ask(b""))
            if imported < 0:
                return process
            process.release()
            most = imported

    def close(self) -> None:
        """Let the templates end, and wait for what the steps still do."""
        for process in self._templates.values():
            process.release()
        self.session.close()
        forking.outlast()


def _module(step: StepPlan) -> str | None:
    """What has imports to be done ahead of a step: its module, or the digest of a function by value.

    None where what these find would differ: secrets are in a step's environment when its libraries are imported.
    """
    if step.entrypoint is None or step.secrets:
        return None
    return step.entrypoint.value or step.entrypoint.module


class _Steps:
    """Runs steps: each in a process forked from this one, or all of them in this one, where it is *shared*."""

    def __init__(self, session: Session, answers: int, *, shared: bool = False) -> None:
        self._session = session
        self._answers = answers
        self._shared = shared

    def serve(self, step: StepPlan | None, log: str, most: int, requests: int, replies: int) -> None:
        """Import ahead what *step*'s module does, then have steps run until the requests end.

        The first request is empty. The reply says where importing had to stop, -1 where it did not.
        """
        asked = forking.lines(requests)
        next(asked)
        stopped = -1 if step is None or not most else self._preload(step, log, most)
        forking.write(replies, b"%d\n" % stopped)
        if self._shared:
            self._serve_here(asked, requests, replies)
            return
        forking.outlive()
        rehearse(self._session)
        spare = None
        for line in asked:
            process = spare or self._fork(requests, replies)
            memory = recall(self._session, process.ask(line))
            process.release()
            forking.write(replies, (RAN if memory.ran else TAKEN) + b"\n")
            forking.reap()
            spare = self._fork(requests, replies)
        if spare is not None:
            spare.release()
        forking.outlast()

    def _serve_here(self, asked: Iterator[bytes], requests: int, replies: int) -> None:
        self._session.shared = True
        forking.begin()
        self._begin(requests, replies)
        for line in asked:
            forking.write(replies, (RAN if self._run(line) else TAKEN) + b"\n")
        forking.leave()

    def _fork(self, requests: int, replies: int) -> forking.Process:
        garbage.keep()
        return forking.fork(self._run_forked, [requests, replies])

    def _run_forked(self, requests: int, replies: int) -> None:
        line = next(forking.lines(requests), None)
        if line is not None:
            forking.begin()
            self.run_one(line, requests, replies)
            forking.leave()

    def run_one(self, line: bytes, requests: int, replies: int) -> None:
        """Run the one step of this process, and tell the engine and the process that asked for it."""
        self._begin(requests, replies)
        before = mark(self._session)
        ran = self._run(line)
        forking.write(replies, news(self._session, before, ran=ran) + b"\n")
        forking.cut_off(requests, replies, self._answers)

    def _begin(self, requests: int, replies: int) -> None:
        """Let this process be the one that runs steps: what they fork neither answers nor hides that it died."""
        os.register_at_fork(after_in_child=partial(forking.cut_off, requests, replies, self._answers))
        if self._session.tracking.sender is not None:
            self._session.tracking.sender.adopt()

    def _preload(self, step: StepPlan, log: str, most: int) -> int:
        code = self._session.code
        assert step.entrypoint is not None
        _print_to(log)
        forking.apart(lambda: code.unpacked)  # what is unpacked already needs no network, and so no threads
        try:
            roots = [code.folder / root for root in code.reference.roots]
            load_project(code.folder)  # as the places of definitions need it
            with step_folder(self._session, step):
                if step.entrypoint.value is None:
                    imports = preloading.leading_imports(roots, step.entrypoint.module)
                else:
                    value = code.folder / unpacking.value_path(step.entrypoint.value)
                    imports = preloading.pickled_imports(roots, value.read_bytes())
                return preloading.preload(imports, most)
        except Exception:  # the step meets it again, and says so
            return 0

    def _run(self, line: bytes) -> bool:
        """Run a step and answer the engine; return whether it was attempted."""
        request = _decoder.decode(line)
        assert isinstance(request, RunStep)
        log = _LateLog(request.log)
        sys.stdout = sys.stderr = cast("TextIO", log)
        self._session.before_attempt = log.begin
        try:
            result = run_step(self._session, request.step, request.index, look_up=request.look_up)
        except BaseException as error:  # a step's own KeyboardInterrupt, too: no terminal can interrupt a worker
            traceback.print_exc()
            result = StepResult(state="failed", retryable=True, message=f"{type(error).__name__}: {error}")
        finally:
            forking.flush()
        _answer(self._answers, result)
        return log.begun


def _end(session: Session, state: RunState) -> StepResult:
    try:
        return StepResult(state="succeeded" if session.tracking.finish_by_sender(state) else "skipped")
    except TurnoutError as error:
        return StepResult(state="failed", message=str(error))


class _LateLog(io.TextIOBase):
    """What a step prints to: its log file, made when an attempt begins or something is said before.

    A step that is taken from the cache has none.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self.begun = False

    def begin(self) -> None:
        """Let all that is printed from now on, by whomever, go to the log."""
        self.begun = True
        _print_to(self._path)

    def write(self, text: str) -> int:
        """Make the log and write to it."""
        self.begin()
        return sys.stderr.write(text)


def _print_to(log: str) -> None:
    """Let all that is printed from now on go to the end of a file, whatever an earlier step made of the streams."""
    forking.flush()
    target = open_log(log, APPEND)
    print_to(target)
    os.close(target)
    sys.stdout = _usable(sys.__stdout__, 1)
    sys.stderr = _usable(sys.__stderr__, 2)


def _usable(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is not None and not stream.closed:
        return stream
    return open(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def _answer(descriptor: int, result: StepResult) -> None:
    with contextlib.suppress(BrokenPipeError):  # the engine is gone: so is the end of the requests
        forking.write(descriptor, canonical.encode(result) + b"\n")
