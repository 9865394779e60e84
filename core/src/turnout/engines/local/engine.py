"""The local engine: ready steps in parallel, in warm workers of this machine."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import os
import selectors
import sys
import threading
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from turnout.base import clock, names
from turnout.base.errors import ArtifactError, TurnoutError
from turnout.components.progress import Change, Watcher, ignore
from turnout.engines import processes
from turnout.engines.calling import log_name
from turnout.engines.local.control import CANCEL, WAKE, Control
from turnout.engines.local.queue import Demand, Queue
from turnout.engines.local.schedule import Schedule, Task
from turnout.engines.workers import Worker, WorkerKind, opening_of
from turnout.model.plan import StepPlan
from turnout.model.records import Failure, Isolation, Mark, RunState, StepResult
from turnout.runtime import sealed
from turnout.runtime.attempt import Attempt
from turnout.runtime.decision import result_of, settle_here
from turnout.runtime.failures import FINAL
from turnout.runtime.finish import finish_run
from turnout.runtime.interpreter import interpreter_for
from turnout.runtime.log_file import APPEND, open_log
from turnout.runtime.server import EndRun, OpenRun, RunStep
from turnout.runtime.session import WORK, Session
from turnout.stores import layout

ORPHAN_POLL = 0.2
"""Seconds between two looks for workers of an earlier engine."""
SLICE = 0.05
"""Seconds after which an engine that takes over results looks at what else has happened."""


class Running(msgspec.Struct, frozen=True):
    """A task in a worker: its number of tries, when it began (monotonic and on the clock), when it must end."""

    task: Task
    number: int
    began: float
    started: str
    deadline: float


class Engine:
    """Runs one run to its end.

    Whatever goes wrong in a worker, or on the way to one, is a failure of the step it was for.

    Args:
        workers: the cores of this machine that steps may use.
        logs: the folder of this run's log files.
        fail_fast: start nothing more after a failure; else independent branches go on.
        resumed: whether an earlier engine has begun the run. What its workers still run is waited for, and what is
            committed is taken over without asking a worker.
        isolation: what a step shares its process with, where its own options do not say it.

    Raises:
        RunError: when another engine runs the run.
    """

    def __init__(
        self,
        session: Session,
        *,
        workers: int,
        logs: Path,
        fail_fast: bool = False,
        resumed: bool = False,
        isolation: Isolation = "step",
        watch: Watcher = ignore,
    ) -> None:
        self.session = session
        self.plan = session.run.plan
        self.schedule = Schedule(self.plan)
        self.capacity = workers
        self.logs = logs
        self.fail_fast = fail_fast
        self.resumed = resumed
        self.attempted = resumed
        """Whether a step may have been attempted."""
        self._watch = watch
        self._queue = Queue(workers, _physical_memory())
        self._isolation: Isolation = isolation
        self._environ = {**session.run.store.environment(), WORK: str(session.work)}
        self._family = session.run.info.id
        self._idle: dict[WorkerKind, list[Worker]] = {}
        self._busy: dict[Worker, Running] = {}
        self._opened: set[Worker] = set()
        self._delayed: list[tuple[float, int, Task]] = []
        self._ticket = itertools.count()
        self._tries: dict[Task, int] = {}
        self._demands: dict[str, Demand] = {}
        self._interpreters: dict[str, str | TurnoutError | None] = {}
        self._unprepared: dict[str, list[Task]] = {}
        self._looked_up: set[Task] = set()
        # what lies near is looked at here; a store behind a network keeps an engine waiting
        self._near = session.run.store.local_path(layout.run(session.run.info.project, session.run.info.id)) is not None
        self._control = Control(logs)
        self._selector = selectors.DefaultSelector()
        self._cancelled = False
        self._stopping = False

    def cancel(self) -> None:
        """Stop every step now; what is committed stays. From any thread, at any time."""
        self._control.write(CANCEL)

    def run(self) -> Mark:
        """Call every step that can be called, then mark the end of the run."""
        self._selector.register(self._control, selectors.EVENT_READ)
        try:
            if self.resumed:
                self._await_orphans()
            while not self._cancelled and self._more():
                self._start()
                if self._more():
                    self._wait()
            if self._busy:
                self._shut_down()
            return finish_run(self.session, cancelled=self._cancelled, tell=self._tell_tracker)
        finally:
            self._shut_down()
            self._selector.close()
            self._control.close()

    def _await_orphans(self) -> None:
        """Wait until the workers of an engine that was killed have ended: each commits the step it has begun."""
        orphans = processes.workers(self._family)
        if orphans:
            numbers = ", ".join(map(str, processes.leaders(orphans) or orphans))
            print(f"turnout: waiting for what the run's killed process left running: {numbers}", file=sys.stderr)
        while not self._cancelled and processes.workers(self._family):
            self._cancelled = bool(self._selector.select(ORPHAN_POLL)) and self._control.cancelled()

    def _more(self) -> bool:
        if self._stopping:
            return bool(self._busy)
        return bool(self.schedule.ready or self._queue or self._busy or self._delayed or self._unprepared)

    # starting

    def _start(self) -> None:
        now = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._enqueue(heapq.heappop(self._delayed)[2])
        self._enqueue_ready(now + SLICE)
        while not self._stopping and (task := self._queue.take()) is not None:
            self._launch(task)
            self._enqueue_ready(now + SLICE)

    def _enqueue_ready(self, until: float) -> None:
        """Enqueue what is ready, and what becomes so by what is taken over; one at least, more until that time."""
        while self.schedule.ready and not self._stopping:
            task = self.schedule.ready.popleft()
            if (result := self._take(task)) is not None:
                self._end(task, result, message=result.message, adopted=result.adopted)
            else:
                self._enqueue(task)
            if time.monotonic() >= until:
                return

    def _take(self, task: Task) -> StepResult | None:
        """What a task comes to without a worker, or None where one is to be asked."""
        if not self._near:
            record = self.session.run.record(*task) if self.resumed else None
            return None if record is None else result_of(record, adopted=True)
        skipped = self.schedule.skips(self.plan.by_name[task[0]])
        settled = settle_here(self.session, *task, begun=self.resumed, skipped=skipped)
        if isinstance(settled, StepResult):
            return settled
        if settled.looked_up:
            self._looked_up.add(task)
        return None

    def _enqueue(self, task: Task) -> None:
        step = self.plan.by_name[task[0]]
        if step.environment not in self._interpreters:
            self._prepare(step)
        if self._interpreters[step.environment] is None:
            self._unprepared.setdefault(step.environment, []).append(task)
            return
        demand = self._demands.get(step.name)
        if demand is None:
            demand = self._demands[step.name] = Demand.of(step.resources, self.capacity)
        self._queue.put(task, demand)

    def _prepare(self, step: StepPlan) -> None:
        """Find or make the interpreter of an environment; other steps go on while one is made."""
        self._interpreters[step.environment] = None

        def find() -> None:
            try:
                self._interpreters[step.environment] = interpreter_for(self.session, step)
            except TurnoutError as error:
                self._interpreters[step.environment] = error
            except Exception as error:
                self._interpreters[step.environment] = TurnoutError(f"{type(error).__name__}: {error}")
            self._control.write(WAKE)

        threading.Thread(target=find, name=f"turnout-environment-{step.environment}", daemon=True).start()

    def _launch(self, task: Task) -> None:
        self.attempted = True
        name, index = task
        step = self.plan.by_name[name]
        number = self._tries[task] = self._tries.get(task, 0) + 1
        began = time.monotonic()
        deadline = math.inf if step.timeout is None else began + step.timeout
        running = Running(task, number, began, clock.now(), deadline)
        self._tell(Change(name, index, "running", number=number, total=self.schedule.total(name)))
        interpreter = self._interpreters[step.environment]
        if isinstance(interpreter, TurnoutError):
            self._lost(running, str(interpreter), "Environment", retryable=not isinstance(interpreter, FINAL))
            return
        assert interpreter is not None
        try:
            worker = self._worker(WorkerKind(interpreter, sealed.threads_for(step.resources.cores)))
        except OSError as error:
            self._lost(running, f"{names.label(*task)}: no worker could be started: {error}", "NoWorker")
            return
        self._busy[worker] = running
        log, look_up = str(self.log_file(name, index)), task not in self._looked_up
        self._looked_up.discard(task)  # when it is tried again, another run may have made it
        isolation = step.options.get("local", {}).get("isolation") or self._isolation
        worker.send(RunStep(step=name, index=index, log=log, look_up=look_up, isolation=isolation))

    @cached_property
    def _opening(self) -> OpenRun:
        return opening_of(self.session)

    def log_file(self, name: str, index: int | None) -> Path:
        """Where a step's output goes."""
        return self.logs / log_name(name, index)

    def _worker(self, kind: WorkerKind) -> Worker:
        if idle := self._idle.get(kind):
            return idle.pop()
        for others in self._idle.values():
            while others and len(self._opened) >= self.capacity:
                self._forget(worker := others.pop())
                worker.release()
                worker.close()
        worker = Worker(kind, self._family, self._opening, self._environ)
        self._opened.add(worker)
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)
        return worker

    def _forget(self, worker: Worker) -> None:
        self._selector.unregister(worker.answers)
        self._opened.discard(worker)

    # waiting

    def _wait(self) -> None:
        events = [one.deadline for one in self._busy.values()]
        events += [when for when, _, _ in self._delayed[:1]]
        nearest = min(events, default=math.inf)
        timeout = None if nearest == math.inf else max(0.0, nearest - time.monotonic())
        if self.schedule.ready and not self._stopping:
            timeout = 0.0
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                self._cancelled |= self._control.cancelled()
                self._take_prepared()
            else:
                self._receive(key.data)
        now = time.monotonic()
        for worker, running in list(self._busy.items()):
            if running.deadline <= now:
                self._time_out(worker, running)

    def _take_prepared(self) -> None:
        for environment in [name for name in self._unprepared if self._interpreters[name] is not None]:
            for task in self._unprepared.pop(environment):
                self._enqueue(task)

    def _receive(self, worker: Worker) -> None:
        answers = worker.receive()
        if answers is None:
            self._bury(worker)
            return
        for answer in answers:
            if not worker.opened and answer.state == "failed":
                self._bury(worker, answer.message)
                return
            if not worker.opened:
                worker.opened = True
                continue
            running = self._busy.pop(worker)
            self._idle.setdefault(worker.kind, []).append(worker)
            self._finished(running, answer)

    def _bury(self, worker: Worker, reason: str = "") -> None:
        """Take leave of a worker that died or could not begin."""
        running = self._busy.pop(worker, None)
        self._forget(worker)
        worker.close()
        if running is None:
            self._idle[worker.kind].remove(worker)
        elif reason:
            self._lost(running, reason, "NoWorker", retryable=False)
        else:
            self._lost(running, f"{names.label(*running.task)}: {worker.death()}", "ProcessDied")

    def _time_out(self, worker: Worker, running: Running) -> None:
        del self._busy[worker]
        self._forget(worker)
        worker.close()
        seconds = self.plan.by_name[running.task[0]].timeout
        self._lost(
            running, f"{names.label(*running.task)} was stopped at its timeout of {seconds:g} seconds", "Timeout"
        )

    def _lost(self, running: Running, message: str, kind: str, *, retryable: bool = True) -> None:
        """End a task whose worker cannot answer any more: as committed, where it came that far."""
        name, index = running.task
        record = self.session.run.record(name, index)
        if record is not None:
            self._finished(running, result_of(record, adopted=False))
            return
        with (
            contextlib.suppress(OSError, ArtifactError),
            os.fdopen(open_log(self.log_file(name, index), APPEND), "ab") as log,
        ):
            log.write(f"turnout: {message}\n".encode(errors="backslashreplace"))
        failure = Failure(type=kind, message=message, retryable=retryable)
        Attempt(self.session, self.plan.by_name[name], index, running.started).lose(failure)
        self._finished(running, StepResult(state="failed", retryable=retryable, message=message))

    def _finished(self, running: Running, result: StepResult) -> None:
        (name, index), seconds = running.task, time.monotonic() - running.began
        self._queue.release(running.task)
        retry = self.plan.by_name[name].retry
        if result.state == "failed" and result.retryable and running.number <= retry.count:
            wait = retry.wait(running.number)
            heapq.heappush(self._delayed, (time.monotonic() + wait, next(self._ticket), running.task))
            self._tell(Change(name, index, "retrying", wait, result.message, running.number))
            return
        self._end(running.task, result, seconds=seconds, message=result.message, number=running.number)

    def _end(self, task: Task, result: StepResult, **said: Any) -> None:
        """Take note of the end of a task, and tell of it."""
        if self._watch is not ignore:
            self._tell(Change(*task, result.state, total=self.schedule.total(task[0]), **said))
        seen = len(self.schedule.blocked)
        self.schedule.finish(task, result)
        for blocked in self.schedule.blocked[seen:]:
            self._tell(Change(blocked, None, "blocked"))
        if result.state == "failed" and self.fail_fast:
            self._stopping = True

    def _tell(self, change: Change) -> None:
        """Tell the watcher; one that fails is told no more, and does not stop the run."""
        try:
            self._watch(change)
        except Exception:
            self._watch = ignore

    def _tell_tracker(self, state: RunState) -> None:
        """Let a worker tell that has sent what its steps logged: to import a tracker's client once more takes long."""
        for worker in [one for idle in self._idle.values() for one in idle]:
            worker.send(EndRun(state))
            while (answers := worker.receive()) == []:
                continue
            if answers and answers[0].state != "skipped":
                if answers[0].message:
                    print(answers[0].message, file=sys.stderr)
                return
        self.session.tracking.finish(state)

    def _shut_down(self) -> None:
        for worker in self._opened:
            if worker in self._busy:
                worker.terminate()
            else:
                worker.release()
        for worker in self._opened:
            worker.close()
        self._opened.clear()
        self._idle.clear()
        processes.end(self._family)


def _physical_memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return math.inf
