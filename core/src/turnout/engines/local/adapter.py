"""The built-in orchestrator: the local engine behind the contract that every engine meets."""

from __future__ import annotations

import os
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from turnout.base.errors import ArtifactError, RunError, TurnoutError
from turnout.base.identity import run_id
from turnout.components.artifact_store import ArtifactStore
from turnout.components.base import Config, LocalPath
from turnout.components.orchestrator import Bundle, Orchestrator, RunHandle, RunStatus
from turnout.engines import processes
from turnout.engines.calling import called, log_name
from turnout.engines.local.control import CANCEL, NAME, send
from turnout.engines.local.engine import Engine
from turnout.engines.local.inline import run_inline
from turnout.model.capability import Capability, Support
from turnout.model.plan import Plan
from turnout.model.records import Isolation, Mark, Record, RunInfo, RunState, Submission
from turnout.runtime.joining import join
from turnout.runtime.log_file import READ, open_log
from turnout.runtime.session import Session
from turnout.stores.stored_run import Run

LOOK = 0.2
"""Seconds between two looks whether the rest of the process has ended."""


class LocalConfig(Config, frozen=True):
    """Settings of the local orchestrator."""

    instance: Annotated[str, msgspec.Meta(description="Part of every run id.")] = "local"
    workers: Annotated[int, msgspec.Meta(description="Steps at a time; 0 for one a core.", ge=0)] = 0
    fail_fast: Annotated[
        bool, msgspec.Meta(description="Start nothing more after a failure; else independent branches go on.")
    ] = False
    in_process: Annotated[
        bool, msgspec.Meta(description="Run steps in this very process, unsealed: for tests and debuggers.")
    ] = False
    isolation: Annotated[
        Isolation,
        msgspec.Meta(
            description="What runs a step: a process forked from a warm worker (step), a new interpreter (process), or "
            "the worker itself (worker): quick, but a step sees what others left in it, and nothing fills the cache."
        ),
    ] = "step"
    logs: Annotated[LocalPath, msgspec.Meta(description="The folder of the steps' log files.")] = ".turnout/logs"


class LocalOptions(Config, frozen=True):
    """What the local orchestrator takes for a step: ``steps: {"tiny*": {local: {isolation: worker}}}``."""

    isolation: Annotated[
        Isolation | None, msgspec.Meta(description="What runs the step, in place of the orchestrator's isolation.")
    ] = None


class LocalRun(RunHandle):
    """A run of the local engine, in a thread of this process."""

    def __init__(self, session: Session, engine: Engine) -> None:
        self.run_id = session.run.info.id
        self.engine_run = session.run.info.engine_run
        self.session = session
        self.mark: Mark | None = None
        self._engine = engine
        self._error: BaseException | None = None
        self._ended = threading.Event()  # unlike Thread.join, its wait can be interrupted and begun again
        self._thread = threading.Thread(target=self._work, name=f"turnout-{self.run_id}", daemon=True)
        self._thread.start()

    @property
    def records(self) -> Mapping[tuple[str, int | None], Record]:
        """What the engine has read to mark the end."""
        return self.session.run.records if self._ended.is_set() else {}

    @property
    def attempted(self) -> bool:
        """Whether a worker was asked to run a step, by this engine or one before it."""
        return not self._ended.is_set() or self._engine.attempted

    def _work(self) -> None:
        try:
            self.mark = self._engine.run()
        except TurnoutError as error:
            self._error = _stopped(self.run_id, error)
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()

    def wait(self, timeout: float | None = None) -> RunState:
        """Block until the run has ended; raise what ended the engine itself, should anything."""
        if not self._ended.wait(timeout):
            return "running"
        if self._error is not None:
            raise self._error
        assert self.mark is not None
        return self.mark.state

    def cancel(self) -> None:
        """Stop the steps that run now and mark the run cancelled; nothing happens to one that has ended."""
        self._engine.cancel()
        self._ended.wait()

    def hold_process(self) -> None:
        """Keep a thread that Python waits for at its end, and say so there."""
        threading.Thread(target=self._outlast, name=f"turnout-end-of-{self.run_id}").start()

    def _outlast(self) -> None:
        while not self._ended.wait(LOOK):
            if not threading.main_thread().is_alive():
                print(f"turnout: waiting for the run {self.run_id}; Ctrl-C ends it", file=sys.stderr, flush=True)
                self._ended.wait()


def _stopped(run: str, error: TurnoutError) -> RunError:
    """What is said of a run that its engine could not bring to an end."""
    again = f"then go on: turnout runs resume {run[:8]}"
    stopped = RunError(
        f"the run {run} stopped: {error.what}", why=error.why, fix=f"{error.fix}; {again}" if error.fix else again
    )
    stopped.__cause__ = error
    return stopped


class InlineRun(RunHandle):
    """A run that was over when it was submitted; ``failure`` is the first exception of a step."""

    def __init__(self, session: Session, mark: Mark, failure: BaseException | None) -> None:
        self.run_id = session.run.info.id
        self.engine_run = session.run.info.engine_run
        self.session = session
        self.mark = mark
        self.failure = failure

    def wait(self, timeout: float | None = None) -> RunState:
        """The state the run ended in."""
        del timeout
        return self.mark.state

    def cancel(self) -> None:
        """Nothing is left to stop."""


class LocalOrchestrator(Orchestrator[LocalConfig]):
    """Runs pipelines on this machine, in warm worker processes, without a server."""

    name = "local"
    local = True
    Config = LocalConfig
    options = LocalOptions
    capabilities: ClassVar[Mapping[Capability, Support]] = {
        Capability.RETRIES: "native",
        Capability.BACKOFF: "native",
        Capability.TIMEOUT: "native",
        Capability.MAP: "native",
        Capability.GATE: "native",
        Capability.GROUP: "native",
        Capability.CPU: "native",
        Capability.MEMORY: "emulated",
        Capability.GPU: "refused",
        Capability.ACCELERATOR: "refused",
        Capability.REQUIREMENTS: "native",
        Capability.SECRETS: "native",
        Capability.ENV: "native",
        Capability.LOGICAL_TIME: "native",
        Capability.INTERVAL: "refused",
        Capability.PARAMS: "native",
        Capability.TAGS: "native",
        Capability.DOCS: "native",
        Capability.BY_VALUE: "native",
        Capability.SCHEDULE: "refused",
        Capability.ASSET_SCHEDULE: "refused",
        Capability.CATCHUP: "refused",
    }

    def compile(self, plan: Plan) -> Bundle:
        """The local engine reads the plan itself: the bundle is empty."""
        del plan
        return Bundle()

    def submit(self, plan: Plan, bundle: Bundle, submission: Submission, store: ArtifactStore[Any]) -> RunHandle:
        """Start the run in a thread; with ``in_process``, run it to its end."""
        del bundle
        engine_run = submission.options.uuid or str(uuid.uuid4())
        session = join(store, plan.digest, engine_run, submission, in_process=self.config.in_process)
        if self.config.in_process:
            mark, failure = run_inline(session, fail_fast=self.config.fail_fast, watch=self.watch)
            return InlineRun(session, mark, failure)
        return LocalRun(session, self._engine(session))

    def resume(self, plan: Plan, run: RunInfo, store: ArtifactStore[Any]) -> RunHandle:
        """Run the rest of the run in a thread, in workers even where the stack says ``in_process``: only they are sure
        to have the code of the run."""
        session = Session(Run(store, plan, run))
        return LocalRun(session, self._engine(session, resumed=True))

    def _engine(self, session: Session, *, resumed: bool = False) -> Engine:
        return Engine(
            session,
            workers=self.config.workers or os.cpu_count() or 1,
            logs=self.log_folder(session.run.info.id),
            fail_fast=self.config.fail_fast,
            resumed=resumed,
            isolation=self.config.isolation,
            watch=self.watch,
        )

    def status(self, plan: Plan, engine_run: str) -> RunStatus:
        """``running`` while its engine lives on this machine, ``failed`` where that was killed."""
        folder = self._folder_of(plan, engine_run)
        control = send(folder)
        if control == "sent":
            return RunStatus(state="running", steps=called(plan, folder))
        if control == "dead":  # its workers end the steps that they have begun
            return RunStatus(state="failed", steps=called(plan, folder, cut_off=not processes.workers(folder.name)))
        return RunStatus(state="unknown")

    def cancel(self, plan: Plan, engine_run: str) -> None:
        """Ask the engine, in whatever process of this machine it runs, to stop the run."""
        folder = self._folder_of(plan, engine_run)
        found = send(folder, CANCEL)
        if found == "other":
            raise RunError(
                f"{folder / NAME} is not the pipe of an engine of yours, so nothing was written to it",
                why="it is a link or a file, or another user's",
                fix="see who put it there, and remove it",
            )
        if found != "sent":
            raise RunError(
                f"the run {run_id(plan.project, plan.name, plan.instance, engine_run)} does not run on this machine",
                fix="see how it went: turnout runs list",
            )

    def _folder_of(self, plan: Plan, engine_run: str) -> Path:
        return self.log_folder(run_id(plan.project, plan.name, plan.instance, engine_run))

    def log_folder(self, run: str) -> Path:
        """Where the log files of a run's steps lie."""
        return Path(self.config.logs).absolute() / run

    def logs(self, plan: Plan, engine_run: str, step: str, index: int | None = None) -> Iterator[str]:
        """The lines of a step's log file, all attempts in order."""
        path = self._folder_of(plan, engine_run) / log_name(step, index)
        try:
            with os.fdopen(open_log(path, READ), encoding="utf-8", errors="replace") as stream:
                yield from (line.rstrip("\n") for line in stream)
        except FileNotFoundError:
            raise ArtifactError(
                f"there is no log of {step} on this machine",
                why=f"looked for {path}",
                fix="the step has not run here (its result may be from the cache), or its log was removed",
            ) from None
