"""A run, to look into: its state, its steps, what they read and made, what they logged."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

from turnout.api import allowed
from turnout.api.history import StepSummary, find_run, run_state, step_summaries
from turnout.api.workspace import Workspace
from turnout.components.orchestrator import RunHandle
from turnout.errors import ConfigError, RunError, did_you_mean
from turnout.plan.model import Plan, StepPlan
from turnout.records.model import InputRecord, OutputRecord, Record, RunInfo, RunState
from turnout.runtime.artifacts import Artifacts
from turnout.runtime.session import Session, read_plan
from turnout.spec.inputs import Element
from turnout.spec.types import ANY, TypeName
from turnout.stores import layout


class Value:
    """An input or output of a committed step: what it is by digest, and the value itself on request."""

    def __init__(self, artifacts: Artifacts, record: OutputRecord, type_: TypeName = ANY) -> None:
        self._artifacts = artifacts
        self._type = type_
        self.record = record

    @property
    def digests(self) -> tuple[str, ...]:
        """The digest of the artifact, or of each element of a list output."""
        return self.record.digests

    def load(self) -> Any:
        """The value, read anew at each call and verified.

        Raises:
            ArtifactError: when it is gone or damaged.
            PlanError: when the stack's policies do not allow that it is read.
        """
        return self._artifacts.load_output(self.record, self._type)

    def __repr__(self) -> str:
        return f"<value {', '.join(digest[:12] for digest in self.digests[:3])}>"


class StepRun:
    """A step of a run, or one element of a mapped step."""

    def __init__(self, run: Run, name: str, index: int | None, summary: StepSummary | None) -> None:
        self.run = run
        self.name = name
        self.index = index
        self.summary = summary

    @property
    def label(self) -> str:
        """``step`` or ``step.index``."""
        return self.name if self.index is None else f"{self.name}.{self.index}"

    @property
    def plan(self) -> StepPlan:
        """The step as it was planned."""
        return self.run.plan.by_name[self.name]

    @property
    def record(self) -> Record:
        """The record of the committed step.

        Raises:
            RunError: when it is not committed; for a mapped step, whose elements have the records.
            ArtifactError: when it cannot be read, or was changed.
        """
        if self.summary is not None and self.summary.record is not None:
            return self.summary.record
        if self.summary is not None and self.summary.damaged is not None:
            raise self.summary.damaged
        elements = [element.index for element in self.elements] if self.plan.mapped else []
        if elements and self.index is None:
            raise RunError(
                f"{self.name} is mapped: each of its {len(elements)} elements has a record of its own",
                fix=f"name one: {self.name}.{elements[0]}",
            )
        if elements and self.index not in elements:
            raise RunError(
                f"{self.name} has no element {self.index} in the run {self.run.id}",
                fix=f"its elements are {elements[0]} to {elements[-1]}",
            )
        raise RunError(
            f"{self.label} {'failed' if self.state == 'failed' else 'was not run'} in the run {self.run.id}",
            fix=f"see how it went: turnout runs show {self.run.id[:8]}",
        )

    @property
    def state(self) -> str:
        """``succeeded``, ``skipped``, ``failed``, ``damaged`` (its record cannot be read) or ``not run``; of a mapped
        step, of all its elements together."""
        if self.summary is not None and self.summary.damaged is not None:
            return "damaged"
        if self.summary is not None:
            return "failed" if self.summary.record is None else self.summary.record.state
        if not self.plan.mapped or self.index is not None:
            return "not run"
        states = {element.state for element in self.elements}
        for state in ("failed", "damaged"):
            if state in states:
                return state
        return "succeeded" if len(self.elements) == self.count and "not run" not in states else "not run"

    @property
    def count(self) -> int | None:
        """How many elements a mapped step has, or None where that is not known yet."""
        source = next(given.source for given in self.plan.inputs.values() if isinstance(given.source, Element))
        step = self.run[source.step]
        if step.plan.mapped:
            return step.count
        if step.summary is None or step.summary.record is None:
            return None
        return step.summary.record.elements.get(source.output)

    @property
    def outputs(self) -> dict[str, Value]:
        """The outputs by name."""
        types = {output.name: output.type for output in self.run.plan.by_name[self.name].outputs}
        return {
            name: Value(self.run.artifacts, record, types.get(name, ANY))
            for name, record in self.record.outputs.items()
        }

    @property
    def inputs(self) -> dict[str, Value]:
        """The inputs that were artifacts, by name; :attr:`record` also has the literals and parameters."""
        return {
            name: Value(self.run.artifacts, self._input(given))
            for name, given in self.record.inputs.items()
            if given.step is not None and not given.skipped
        }

    def _input(self, given: InputRecord) -> OutputRecord:
        assert given.step is not None
        assert given.output is not None
        plan = self.run.plan.by_name[given.step]
        if plan.mapped and given.index is None:
            return self.run[given.step].collected(given.output)
        source = self.run[given.step] if not plan.mapped else self.run[f"{given.step}.{given.index}"]
        record = source.record.outputs[given.output]
        if given.index is not None and not plan.mapped and record.elements is not None:
            return OutputRecord(artifact=record.elements[given.index])
        return record

    def collected(self, output: str) -> OutputRecord:
        """The outputs of all elements of a mapped step as one list output."""
        found = [element.record.outputs[output] for element in self.elements]
        return OutputRecord(elements=tuple(one.artifact for one in found if one.artifact is not None))

    @property
    def elements(self) -> list[StepRun]:
        """The elements of a mapped step, in order."""
        indices = sorted(index for name, index in self.run.summaries if name == self.name and index is not None)
        return [self.run[f"{self.name}.{index}"] for index in indices]

    def load(self, output: str | None = None) -> Any:
        """The value of an output; its name may be left out where there is one. Of a mapped step, a list of all;
        of a guard, what it decided.

        Raises:
            RunError: when the step is not committed, or was skipped.
            ConfigError: when there is no such output, or more than one to choose from.
            ArtifactError: when it is not in the store, or damaged.
        """
        if self.plan.kind == "gate" and output is None and self.state != "skipped":
            return self.record.value
        output = self._output(output)
        self.checked()
        if self.plan.mapped and self.index is None:
            if self.state != "succeeded":
                raise RunError(
                    f"{self.name} is not complete in the run {self.run.id}",
                    fix=f"load one element: {self.name}.0; or see how it went: turnout runs show {self.run.id[:8]}",
                )
            return [element.load(output) for element in self.elements]
        return self.outputs[output].load()

    def checked(self, output: str | None = None) -> StepRun:
        """This step, if it made its outputs, and has the one of that name.

        Raises:
            RunError: when it was skipped.
            ConfigError: when it has no such output.
        """
        if output is not None:
            self._output(output)
        if self.state == "skipped":
            raise RunError(
                f"{self.label} was skipped in the run {self.run.id}, so it has no output",
                why=self.record.reason or None,
                fix=f"see what it needs: turnout explain {self.run.id[:8]} {self.label}",
            )
        return self

    def _output(self, name: str | None) -> str:
        names = [one.name for one in self.plan.outputs]
        if name is None and len(names) == 1:
            return names[0]
        if name is None:
            raise ConfigError(f"{self.name} has {len(names)} outputs", fix=f"say which: {', '.join(names)}")
        if name not in names:
            raise ConfigError(
                f"{self.name} has no output {name!r}. {did_you_mean(name, names)}".rstrip(" ."),
                fix=f"its outputs are: {', '.join(names)}" if names else "it is a guard: load it without a name",
            )
        return name

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of every metric the step logged; of a mapped step, of its last element."""
        if self.plan.mapped and self.index is None:
            return {name: value for element in self.elements for name, value in element.metrics.items()}
        return {point.name: float(point.value) for point in self.record.logged.points}

    def debug(self) -> Any:
        """Run the step, or the element, once more in this process: with its recorded inputs and the code imported here.

        Nothing is stored, and no tracker is told. ``turnout debug`` does it with the run's code and environment.

        Returns:
            What the step returned: of several outputs a tuple, of a guard its decision.

        Raises:
            RunError: when it was skipped, or its inputs are not there.
            BaseException: whatever the step raises.
        """
        from turnout.api.debug import debug_here

        return debug_here(self)

    def __repr__(self) -> str:
        return f"<step {self.label} of {self.run.id[:8]}: {self.state}>"


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
        return {(one.step, one.index): one for one in found}

    def refresh(self) -> Run:
        """Forget what was read, so that the next look sees what has come since."""
        self.__dict__.pop("_summaries", None)
        self.known, self.attempted = {}, True
        return self

    @property
    def state(self) -> RunState:
        """The state, derived anew."""
        return run_state(self.workspace.store, self.info, self.workspace.ask_engine)

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
        name, _, tail = label.rpartition(".")
        if name not in self.plan.by_name or not tail.isdigit():
            raise ConfigError(
                f"the run {self.id} has no step {label!r}. {did_you_mean(label, self.plan.by_name)}".rstrip(" ."),
                fix=f"its steps are: {', '.join(self.plan.by_name)}",
            )
        if not self.plan.by_name[name].mapped:
            raise ConfigError(f"{name} is not mapped, so it has no element {int(tail)}", fix=f"name it {name!r}")
        return name, int(tail)

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
        return state

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
        from turnout.plan.drawing import draw

        states = {step.name: step.state for step in self}
        return draw(self.plan.steps, states) + f"<p>run {self.id}: {self.state}</p>"

    def __repr__(self) -> str:
        return f"<run {self.id} of {self.info.pipeline}: {self.state}>"
