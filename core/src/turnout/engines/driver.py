"""The base of engines that are driven from a process of our own, on the machine of whoever submits a run."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import msgspec

from turnout.base import canonical
from turnout.base.background import last_line
from turnout.base.errors import ArtifactError, RunError
from turnout.base.identity import run_id
from turnout.components.artifact_store import ArtifactStore
from turnout.components.base import Config, LocalPath
from turnout.components.orchestrator import Bundle, Orchestrator, RunHandle, RunStatus
from turnout.components.progress import Watcher
from turnout.engines import drive
from turnout.engines.calling import LOGS, called, log_name
from turnout.engines.following import Follower, last_state
from turnout.model.plan import Plan
from turnout.model.records import RunInfo, RunState, Submission
from turnout.runtime.log_file import READ, open_log

LOOK = 0.5
"""Seconds between two looks at the records of a run."""


class DriverSettings(Config, frozen=True):
    """Settings of an engine of this kind; another struct serves as well where it has the field ``folder``."""

    instance: Annotated[str, msgspec.Meta(description="Part of every run id.")] = "default"
    folder: Annotated[LocalPath, msgspec.Meta(description="Where runs keep their files, and the steps' logs lie.")] = (
        ".turnout/runs"
    )


SettingsT = TypeVar("SettingsT", bound=Config)


class DriverRun(RunHandle):
    """A run whose driver is a process of this machine. What became of it, the records say, whatever the engine says."""

    def __init__(
        self,
        plan: Plan,
        engine_run: str,
        folder: Path,
        process: subprocess.Popen[bytes],
        store: ArtifactStore[Any],
        watch: Watcher,
    ) -> None:
        self.engine_run = engine_run
        self.run_id = run_id(plan.project, plan.name, plan.instance, engine_run)
        self._plan = plan
        self._folder = folder
        self._process = process
        self._store = store
        self._follower = Follower(plan, self.run_id, store, watch)

    def wait(self, timeout: float | None = None) -> RunState:
        """The run's state when it has ended, ``running`` when *timeout* seconds are over before.

        Raises:
            RunError: when the engine failed before it called the first step.
        """
        limit = None if timeout is None else time.monotonic() + timeout
        while self._process.poll() is None:
            left = LOOK if limit is None else min(LOOK, limit - time.monotonic())
            if left <= 0:
                return "running"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(left)
            self._follower.look()
        self._follower.look(ended=True)
        state = last_state(self._store, self._plan.project, self.run_id) or "failed"
        reason = last_line(self._folder / drive.OUTPUT)
        if state == "failed" and reason and not self._follower.begun:
            raise RunError(
                f"the engine ended before the first step of the run {self.run_id} began",
                why=reason,
                fix=f"see all that it printed: {self._folder / drive.OUTPUT}",
            )
        return state

    def cancel(self) -> None:
        if self._process.poll() is None:
            drive.ask_to_stop(self._folder)
            self._process.wait()


class DriverOrchestrator(Orchestrator[SettingsT]):
    """An engine that a process of our own runs: a subclass gives ``compile`` and :meth:`command`.

    Each run has a folder under the setting ``folder``: the bundle's files, what :meth:`prepare` adds, the output of
    the engine (``driver-output.log``) and of each step. The driver outlives the process that submits the run.
    """

    @abstractmethod
    def command(self, plan: Plan, folder: Path) -> Sequence[str]:
        """The command that runs the bundle in *folder* to its end; it is started there.

        It calls the runtime for each step (:func:`turnout.engines.calling.call`). Its exit code does not count: the
        records do. It should call :func:`turnout.engines.drive.end_with_driver`. The variables ``TURNOUT_ENGINE_RUN``
        and ``TURNOUT_PARAMS`` tell it which run this is, and what was given to it.
        """

    def prepare(
        self, plan: Plan, engine_run: str, submission: Submission, store: ArtifactStore[Any]
    ) -> Mapping[str, bytes]:
        """Check that a run can start; return what the command needs beside the bundle's files, by relative path.

        Raises:
            PluginError: where the engine is not installed.
            RunError: where it cannot be reached.
        """
        return {}

    def environment(self, plan: Plan, store: ArtifactStore[Any]) -> Mapping[str, str]:
        """The variables that the engine and its steps get beside those of this process."""
        return dict(store.environment())

    def submit(self, plan: Plan, bundle: Bundle, submission: Submission, store: ArtifactStore[Any]) -> RunHandle:
        """Start the driver of a run in the background."""
        return self._start(plan, bundle, submission.options.uuid or str(uuid.uuid4()), submission, store)

    def resume(self, plan: Plan, run: RunInfo, store: ArtifactStore[Any]) -> RunHandle:
        """Start the engine again for the same run: it calls every step, and those that are committed say so at once."""
        folder = self.folder_of(plan, run.engine_run)
        if drive.locked(folder):
            raise RunError(
                f"the run {run.id} is in progress",
                why="its driver lives on this machine",
                fix=f"wait for it, or stop it: turnout runs cancel {run.id[:8]}",
            )
        drive.forget(folder)
        # run.json has it all; what stands in for steps there is no name any more, as a trigger would have to give it
        options = msgspec.structs.replace(run.options, replace={})
        submission = Submission(params=run.params, options=options)
        return self._start(plan, self.compile(plan), run.engine_run, submission, store)

    def _start(
        self, plan: Plan, bundle: Bundle, engine_run: str, submission: Submission, store: ArtifactStore[Any]
    ) -> RunHandle:
        folder = self.folder_of(plan, engine_run)
        files = {**bundle.files, **self.prepare(plan, engine_run, submission, store)}
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        document = drive.Drive(
            command=tuple(self.command(plan, folder)),
            plan=plan.digest,
            engine_run=engine_run,
            submission=canonical.encode(submission).decode(),
        )
        (folder / "driver.json").unlink(missing_ok=True)  # not what a link of that name leads to
        (folder / "driver.json").write_bytes(msgspec.json.encode(document))
        nothing = subprocess.DEVNULL
        process = subprocess.Popen(
            [sys.executable, "-m", "turnout.engines.drive", str(folder)],
            cwd=folder,
            env={**os.environ, **self.environment(plan, store), LOGS: str(folder)},
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            start_new_session=True,
        )
        while process.poll() is None and not drive.begun(folder):
            time.sleep(drive.LOOK / 5)
        return DriverRun(plan, engine_run, folder, process, store, self.watch)

    def status(self, plan: Plan, engine_run: str) -> RunStatus:
        """``running`` while its driver lives on this machine, ``failed`` where that was killed."""
        folder = self.folder_of(plan, engine_run)
        if drive.locked(folder):
            return RunStatus(state="running", steps=called(plan, folder))
        if drive.killed(folder):
            return RunStatus(state="failed", steps=called(plan, folder, cut_off=True))
        return RunStatus(state="unknown")

    def logs(self, plan: Plan, engine_run: str, step: str, index: int | None = None) -> Iterator[str]:
        """The lines of a step's log file, all attempts in order."""
        path = self.folder_of(plan, engine_run) / log_name(step, index)
        if not path.exists():
            raise ArtifactError(
                f"there is no log of {step} on this machine",
                why=f"looked for {path}",
                fix="the step has not run here, or its log was removed",
            )
        with os.fdopen(open_log(path, READ), encoding="utf-8", errors="replace") as stream:
            yield from stream.read().splitlines()

    def cancel(self, plan: Plan, engine_run: str) -> None:
        """Ask the driver, in whatever process of this machine it was submitted, to stop the run."""
        folder = self.folder_of(plan, engine_run)
        if not drive.locked(folder):
            raise RunError(
                f"the run {folder.name} does not run on this machine", fix="see how it went: turnout runs list"
            )
        drive.ask_to_stop(folder)

    def folder_of(self, plan: Plan, engine_run: str) -> Path:
        """The folder of a run."""
        runs = Path(cast("DriverSettings", self.config).folder)
        return runs.absolute() / run_id(plan.project, plan.name, plan.instance, engine_run)
