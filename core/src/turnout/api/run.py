"""A run, to look into: its state, its steps, its metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import msgspec

from turnout.api import allowed
from turnout.api.history import StepSummary, find_run, step_summaries
from turnout.api.lost import with_called
from turnout.api.steprun import StepRun
from turnout.api.workspace import Workspace
from turnout.artifacts.artifacts import Artifacts
from turnout.base import names
from turnout.base.errors import ConfigError, did_you_mean
from turnout.components.orchestrator import RunHandle, RunStatus
from turnout.model.plan import Plan
from turnout.model.records import Record, RunInfo, RunState
from turnout.project.project import load, root_of
from turnout.runtime.session import Session
from turnout.runtime.state import closing_mark, mark_cancelled, marks_of, newest_mark, run_state
from turnout.stores import layout
from turnout.stores.stored_run import Run as StoredRun
from turnout.stores.stored_run import read_plan
from turnout.tracking.missed import Missed, noted


class Run:
    """A run by its id, or the start of it (``latest`` is the newest), from any engine.

    Args:
        stack: the stack whose store holds the run; as for ``turnout run``.
    """

    def __init__(self, id: str, *, stack: str | None = None, workspace: Workspace | None = None) -> None:  # noqa: A002
        if workspace is None:
            allowed.check("turnout.Run()", "read")
        self.workspace = workspace or Workspace.here(stack)
        self.info: RunInfo = find_run(self.workspace.store, self.workspace.project.name, id)
        self.id = self.info.id
        self.handle: RunHandle | None = None
        """The engine's handle, where this process has submitted the run."""
        self.known: Mapping[tuple[str, int | None], Record] = {}
        """Records that need not be read, until the next :meth:`refresh`."""
        self.attempted = True
        """Whether steps may have been attempted; if not, the records known are all there is."""

    @cached_property
    def plan(self) -> Plan:
        """The plan the run goes by."""
        return read_plan(self.workspace.store, self.info.plan)

    @cached_property
    def _session(self) -> Session:
        return self.workspace.session(self.plan, self.info)

    def other(self, id: str) -> Run:  # noqa: A002
        """Another run of the same project and store."""
        return Run(id, workspace=self.workspace)

    @property
    def artifacts(self) -> Artifacts:
        """The reader of this run's artifacts; code for the project's own materializers is the run's."""
        return self._session.artifacts

    @property
    def summaries(self) -> Mapping[tuple[str, int | None], StepSummary]:
        """What every step left behind, by name and index; read once, see :meth:`refresh`."""
        return self._summaries

    @cached_property
    def _summaries(self) -> dict[tuple[str, int | None], StepSummary]:
        found = step_summaries(self.workspace.store, self.plan, self.id, self.known, attempted=self.attempted)
        summaries = {(one.step, one.index): one for one in found}
        return with_called(self, summaries) if self.attempted else summaries

    def refresh(self) -> Run:
        """Forget what was read, so that the next look sees what has come since."""
        for name in ("_summaries", "_session", "invalidated"):
            with suppress(AttributeError):
                delattr(self, name)
        self.known, self.attempted = {}, True
        return self

    @property
    def state(self) -> RunState:
        """The state, derived anew: by marks and records, and only where these leave it open by its engine."""
        return run_state(StoredRun(self.workspace.store, self.plan, self.info), self.workspace.ask_engine)

    def ended(self, said: RunState) -> RunState:
        """The state of the run when its engine says that it has ended, and how."""
        return run_state(StoredRun(self.workspace.store, self.plan, self.info), lambda _: RunStatus(state=said))

    @cached_property
    def invalidated(self) -> frozenset[str]:
        """The labels of steps whose records were removed by ``turnout runs invalidate``, now or before."""
        marks = marks_of(self.workspace.store, self.info.project, self.id)
        return frozenset(label for mark in marks for label in mark.removed)

    @property
    def missed(self) -> tuple[Missed, ...]:
        """What the run's tracker did not take; ``turnout runs sync`` sends it once more."""
        if self.plan.worker.tracker.type == "none":
            return ()
        return noted(self.workspace.store, self.info.project, self.id)

    @property
    def marked(self) -> bool:
        """Whether the end of the run is marked; also one of which steps were invalidated since. The end of one that its
        engine ended without that is marked by ``turnout runs sync``."""
        store, project = self.workspace.store, self.info.project
        invalidated = newest_mark(store, project, self.id).kind == "invalidate"
        return invalidated or closing_mark(store, project, self.id) is not None

    @property
    def external_id(self) -> str | None:
        """What the run's tracker calls it; None before a step has sent something, and without a tracker."""
        return self._tracker("id")

    @property
    def tracker_page(self) -> str | None:
        """The address of the run's page in its tracker; None before a step has sent something, or without one."""
        return self._tracker("page")

    def _tracker(self, name: str) -> str | None:
        data = self.workspace.store.read(layout.tracker(self.info.project, self.id, name))
        return None if data is None else str(msgspec.json.decode(data))

    @property
    def params(self) -> dict[str, Any]:
        """The typed parameters as JSON: objects in their order, tuples as lists, times as texts."""
        return self.info.plain_params

    def place(self, label: str) -> tuple[str, int | None]:
        """The step and index that a label (``score`` or ``score.3``) names; ConfigError where it names none."""
        if label in self.plan.by_name:
            return label, None
        step, colon, output = label.partition(":")
        if colon and {step, step.rpartition(".")[0]} & self.plan.by_name.keys():
            raise ConfigError(
                f"the run {self.id} has no step {label[:60]!r}",
                why="a step and its output are named apart",
                fix=f"write `{step} {output}`; in Python, run[{step!r}].load({output!r})",
            )
        name, index = names.place(label)
        if name not in self.plan.by_name:
            raise ConfigError(
                f"the run {self.id} has no step {label[:60]!r}. {did_you_mean(label, self.plan.by_name)}".rstrip(" ."),
                fix=f"its steps are: {', '.join(self.plan.by_name)}",
            )
        if not self.plan.by_name[name].mapped:
            raise ConfigError(f"{name} is not mapped, so it has no element {index}", fix=f"name it {name!r}")
        return name, index

    def __getitem__(self, label: str) -> StepRun:
        name, index = self.place(label)
        return StepRun(self, name, index, self.summaries.get((name, index)))

    def __iter__(self) -> Iterator[StepRun]:
        return (self[step.name] for step in self.plan.steps)

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of every metric, over all steps in the plan's order."""
        found: dict[str, float] = {}
        for summary in self.summaries.values():
            if summary.record is not None:
                found.update({point.name: float(point.value) for point in summary.record.logged.points})
        return found

    def wait(self, timeout: float | None = None) -> RunState:
        """Block until the run has ended, *timeout* seconds at most, and return its state."""
        ends = None if timeout is None else time.monotonic() + timeout
        while (state := self.state if self.handle is None else self.handle.wait(0.5)) == "running":
            if ends is not None and time.monotonic() >= ends:
                break
            if self.handle is None:
                time.sleep(0.5)
        self.refresh()
        return state if state == "running" or self.handle is None else self.ended(state)

    def cancel(self) -> None:
        """Stop the run, and mark that this was meant; what is committed stays.

        Raises:
            RunError: when it does not run where this process could stop it.
            UnsupportedError: when its engine cannot, or is another than the stack's.
        """
        if self.handle is not None:
            self.handle.cancel()
        else:
            self.workspace.orchestrator_of(self.info).cancel(self.plan, self.info.engine_run)
        mark_cancelled(self.workspace.store, self.plan, self.id)

    def resume(self) -> Run:
        """Go on with a run that failed, was stopped or was killed, and wait for its end.

        What it committed stays; the rest runs by the run's own plan, code and parameters, whatever has become of the
        project's files since. Nothing runs where it has succeeded.

        Raises:
            RunError: when it is still in progress, or fails again; ``run`` is then this run.
            ArtifactError: when a record of it is damaged.
            UnsupportedError: when its engine cannot.
        """
        from turnout.api.resumption import resume

        return resume(self)

    def _repr_html_(self) -> str:
        from turnout.model.drawing import draw

        states = {step.name: step.state for step in self}
        return draw(self.plan.steps, states) + f"<p>run {escape(self.id)}: {escape(self.state)}</p>"

    def __repr__(self) -> str:
        return f"<run {self.id} of {self.info.pipeline}: {self.state}>"


def find(run: str, stack: str | None) -> Run:
    """The run whose id starts so: of the project of the current folder, else of any in the stack's store.

    Raises:
        ConfigError: when there is none, or more than one.
    """
    project = load(root_of(Path.cwd()))
    workspace = Workspace(project, stack)
    try:
        return Run(run, workspace=workspace)
    except ConfigError:
        store, start = workspace.store, run.lower()
        others = [
            name
            for name in store.children("")
            if any(one.startswith(start) for one in store.children(layout.runs(name)))
        ]
        if len(others) != 1 or others == [project.name]:
            raise
    return Run(run, workspace=Workspace(msgspec.structs.replace(project, name=others[0]), stack))
