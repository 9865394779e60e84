"""The local engine: ready steps in parallel, in warm workers of this machine."""

from __future__ import annotations

import heapq
import itertools
import math
import os
import selectors
import threading
import time
from pathlib import Path
from typing import NamedTuple

from turnout.errors import RunError
from turnout.local.progress import Change, Watcher, ignore
from turnout.local.schedule import Schedule, Task
from turnout.local.workers import Worker, WorkerKind
from turnout.plan.model import StepPlan
from turnout.quantities import memory_bytes
from turnout.records.model import Failure, FinishMark, StepResult, Submission
from turnout.runtime import clock, sealed
from turnout.runtime.finish import finish_run
from turnout.runtime.interpreter import interpreter_for
from turnout.runtime.server import OpenRun, RunStep
from turnout.runtime.session import Session
from turnout.runtime.step import report_lost


class Running(NamedTuple):
    """A task in a worker: its number of tries, when it began (monotonic and on the clock), when it must end."""

    task: Task
    number: int
    began: float
    started: str
    deadline: float


class Engine:
    """Runs one run to its end. :meth:`cancel` may be called from another thread."""

    def __init__(
        self,
        session: Session,
        submission: Submission,
        *,
        workers: int,
        logs: Path,
        fail_fast: bool = False,
        watch: Watcher = ignore,
    ) -> None:
        self.session = session
        self.plan = session.plan
        self.schedule = Schedule(self.plan)
        self.capacity = workers
        self.logs = logs
        self.fail_fast = fail_fast
        self.watch = watch
        self._opening = OpenRun(plan=session.run.plan, engine_run=session.run.engine_run, submission=submission)
        self._environ = session.store.environment()
        self._idle: dict[WorkerKind, list[Worker]] = {}
        self._busy: dict[Worker, Running] = {}
        self._opened: set[Worker] = set()
        self._delayed: list[tuple[float, int, Task]] = []
        self._ticket = itertools.count()
        self._tries: dict[Task, int] = {}
        self._kinds: dict[str, WorkerKind] = {}
        self._memory = _physical_memory()
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = os.pipe()
        self._cancelled = threading.Event()
        self._stopping = False

    def cancel(self) -> None:
        """Stop every step now; what is committed stays."""
        self._cancelled.set()
        os.write(self._waker, b"x")

    def run(self) -> FinishMark:
        """Call every step that can be called, then mark the end of the run."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self._selector.register(self._wake, selectors.EVENT_READ)
        try:
            while not self._cancelled.is_set() and self._more():
                self._start()
                if self._busy or self._delayed:
                    self._wait()
        finally:
            self._shut_down()
        return finish_run(self.session, cancelled=self._cancelled.is_set())

    def _more(self) -> bool:
        if self._stopping:
            return bool(self._busy)
        return bool(self.schedule.ready or self._busy or self._delayed)

    # starting

    def _start(self) -> None:
        now = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self.schedule.ready.appendleft(heapq.heappop(self._delayed)[2])
        skipped: list[Task] = []
        while self.schedule.ready and not self._stopping:
            task = self.schedule.ready.popleft()
            step = self.plan.by_name[task[0]]
            if self._fits(step):
                self._launch(task, step)
            else:
                skipped.append(task)
                if len(self._busy) >= self.capacity:
                    break
        self.schedule.ready.extendleft(reversed(skipped))

    def _fits(self, step: StepPlan) -> bool:
        """Whether the machine has room: cores for all, and memory for those that say what they need."""
        if not self._busy:
            return True
        running = [self.plan.by_name[one.task[0]] for one in self._busy.values()]
        cores = sum(min(math.ceil(one.resources.cpu), self.capacity) for one in (*running, step))
        memory = sum(memory_bytes(one.resources.memory) for one in (*running, step))
        return cores <= self.capacity and memory <= self._memory

    def _launch(self, task: Task, step: StepPlan) -> None:
        name, index = task
        number = self._tries[task] = self._tries.get(task, 0) + 1
        worker = self._worker(self._kind(step))
        began = time.monotonic()
        deadline = math.inf if step.timeout is None else began + step.timeout
        self._busy[worker] = Running(task, number, began, clock.now(), deadline)
        worker.send(RunStep(step=name, index=index, log=str(self.log_file(name, index))))
        self.watch(Change(name, index, "running", number=number, total=self.schedule.total(name)))

    def log_file(self, name: str, index: int | None) -> Path:
        """Where a step's output goes."""
        return self.logs / f"{_label((name, index))}.log"

    def _kind(self, step: StepPlan) -> WorkerKind:
        kind = self._kinds.get(step.name)
        if kind is None:
            threads = sealed.threads_for(step.resources.cpu)
            kind = self._kinds[step.name] = WorkerKind(interpreter_for(self.session, step), threads)
        return kind

    def _worker(self, kind: WorkerKind) -> Worker:
        if idle := self._idle.get(kind):
            return idle.pop()
        for others in self._idle.values():
            while others and len(self._opened) >= self.capacity:
                self._drop(others.pop())
        worker = Worker(kind, self._opening, self._environ)
        self._opened.add(worker)
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)
        return worker

    def _drop(self, worker: Worker, *, kill: bool = False) -> None:
        self._selector.unregister(worker.answers)
        self._opened.discard(worker)
        if kill:
            worker.stop()
        else:
            worker.close()

    # waiting

    def _wait(self) -> None:
        events = [one.deadline for one in self._busy.values()]
        events += [when for when, _, _ in self._delayed[:1]]
        nearest = min(events, default=math.inf)
        timeout = None if nearest == math.inf else max(0.0, nearest - time.monotonic())
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                os.read(self._wake, 64)
            else:
                self._receive(key.data)
        now = time.monotonic()
        for worker, running in list(self._busy.items()):
            if running.deadline <= now:
                self._time_out(worker, running)

    def _receive(self, worker: Worker) -> None:
        answers = worker.receive()
        running = self._busy.get(worker)
        if answers is None:
            self._busy.pop(worker, None)
            self._drop(worker, kill=True)
            if running is not None:
                self._lost(running, f"{_label(running.task)}: {worker.death()}", "ProcessDied")
            return
        for answer in answers:
            if not worker.opened:
                worker.opened = True
                if answer.state == "failed":
                    raise RunError(answer.message)
                continue
            assert running is not None
            del self._busy[worker]
            self._idle.setdefault(worker.kind, []).append(worker)
            self._finished(running, answer)

    def _time_out(self, worker: Worker, running: Running) -> None:
        del self._busy[worker]
        self._drop(worker, kill=True)
        seconds = self.plan.by_name[running.task[0]].timeout
        self._lost(running, f"{_label(running.task)} was stopped at its timeout of {seconds:g} seconds", "Timeout")

    def _lost(self, running: Running, message: str, kind: str) -> None:
        name, index = running.task
        with self.log_file(name, index).open("a") as log:
            log.write(f"turnout: {message}\n")
        failure = Failure(type=kind, message=message)
        report_lost(self.session, self.plan.by_name[name], index, running.started, failure)
        self._finished(running, StepResult(state="failed", retryable=True, message=message))

    def _finished(self, running: Running, result: StepResult) -> None:
        (name, index), seconds = running.task, time.monotonic() - running.began
        retry = self.plan.by_name[name].retry
        if result.state == "failed" and result.retryable and running.number <= retry.count:
            wait = retry.wait(running.number)
            heapq.heappush(self._delayed, (time.monotonic() + wait, next(self._ticket), running.task))
            self.watch(Change(name, index, "retrying", wait, result.message, running.number))
            return
        self.watch(
            Change(name, index, result.state, seconds, result.message, running.number, self.schedule.total(name))
        )
        seen = len(self.schedule.blocked)
        self.schedule.finish(running.task, result)
        for blocked in self.schedule.blocked[seen:]:
            self.watch(Change(blocked, None, "blocked"))
        if result.state == "failed" and self.fail_fast:
            self._stopping = True

    def _shut_down(self) -> None:
        for worker in list(self._opened):
            self._drop(worker, kill=worker in self._busy)
        self._selector.close()
        os.close(self._wake)
        os.close(self._waker)


def _label(task: Task) -> str:
    name, index = task
    return name if index is None else f"{name}.{index}"


def _physical_memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return math.inf
