"""A step of a run, to look into: its state, what it read and made, what it logged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from turnout.api.history import StepSummary
from turnout.artifacts.artifacts import Artifacts
from turnout.base import names
from turnout.base.errors import ConfigError, RunError, did_you_mean
from turnout.model.inputs import Element
from turnout.model.plan import StepPlan
from turnout.model.records import InputRecord, OutputRecord, Point, Record
from turnout.model.types import ANY, TypeName

if TYPE_CHECKING:
    from turnout.api.run import Run


def is_figure(record: OutputRecord) -> bool:
    """Whether an artifact is a figure."""
    return record.artifact is not None and record.artifact.materializer in {"figure", "plotly"}


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
        return names.label(self.name, self.index)

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
        """``succeeded``, ``skipped``, ``failed``, ``damaged`` (its record cannot be read), ``running`` or ``not run``;
        of a mapped step, of all its elements together."""
        if self.summary is not None:
            if self.summary.damaged is not None:
                return "damaged"
            if self.summary.record is not None:
                return self.summary.record.state
            if self.summary.running:
                return "running"
            return "not run" if any(one.state == "succeeded" for one in self.summary.attempts[-1:]) else "failed"
        if not self.plan.mapped or self.index is not None:
            return "not run"
        states = {element.state for element in self.elements}
        for state in ("failed", "damaged", "running"):
            if state in states:
                return state
        return "succeeded" if len(self.elements) == self.count and "not run" not in states else "not run"

    @property
    def parts(self) -> list[StepRun]:
        """The elements of a mapped step; else, and where it has none, the step itself."""
        return (self.elements or [self]) if self.plan.mapped and self.summary is None and self.index is None else [self]

    @property
    def reason(self) -> str:
        """Why it was skipped, or why it is not run though it was attempted; else empty."""
        if self.summary is not None and self.summary.record is not None:
            return self.summary.record.reason
        if self.state == "not run" and self.run.invalidated.intersection({self.name, self.label}):
            return "its record was removed by `turnout runs invalidate`"
        return "its result was not committed" if self.summary is not None and self.state == "not run" else ""

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
    def logged(self) -> dict[str, Value]:
        """What the step stored by ``log_artifact``, ``log_figure`` and ``log_table``, by name.

        An element of a mapped step has its own: ``run["score.3"].logged``.
        """
        artifacts = self.record.logged.artifacts
        return {name: Value(self.run.artifacts, OutputRecord(artifact=one)) for name, one in artifacts.items()}

    @property
    def figures(self) -> dict[str, Value]:
        """Those of :attr:`logged` that are figures: ``run["fit"].figures["loss"].load()``."""
        return {name: value for name, value in self.logged.items() if is_figure(value.record)}

    @property
    def log_params(self) -> dict[str, Any]:
        """What the step noted by ``log_params``, as JSON."""
        return dict(self.record.logged.params)

    @property
    def points(self) -> dict[str, list[Point]]:
        """Every point the step logged, by the metric's name, in order: its ``value``, ``x`` and ``time``."""
        found: dict[str, list[Point]] = {}
        for point in self.record.logged.points:
            found.setdefault(point.name, []).append(point)
        return found

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
        """The value of an output, or of what the step logged under that name; the name may be left out where there is
        one output. Of a mapped step, a list of all; of a guard, what it decided.

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
        return {**self.logged, **self.outputs}[output].load()

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
        if name not in names and name not in (logged := self._logged_names()):
            kept = f"; it logged: {', '.join(logged)}" if logged else ""
            raise ConfigError(
                f"{self.name} has no output {name!r}. {did_you_mean(name, [*names, *logged])}".rstrip(" ."),
                fix=f"its outputs are: {', '.join(names)}{kept}" if names else "it is a guard: load it without a name",
            )
        return name

    def _logged_names(self) -> list[str]:
        """The names of what the step, or any element of it, stored beside its outputs."""
        parts = self.elements if self.plan.mapped and self.index is None else [self]
        records = [part.summary.record for part in parts if part.summary is not None]
        return list(dict.fromkeys(name for one in records if one is not None for name in one.logged.artifacts))

    @property
    def ran(self) -> bool:
        """Whether it was attempted in this run, in a process of its own: not taken over, skipped, or run in-process."""
        if self.plan.kind != "task" or self.summary is None:
            return False
        record = self.summary.record
        return (
            bool(self.summary.attempts or self.summary.lost)
            if record is None
            else record.attempt is not None and record.sealed
        )

    def log_lines(self) -> Iterator[str]:
        """The lines that the step, or the element, printed or said by ``logging``, all attempts in order.

        Raises:
            ArtifactError: when its engine has no log of it.
        """
        orchestrator = self.run.workspace.orchestrator_of(self.run.info)
        return orchestrator.logs(self.run.plan, self.run.info.engine_run, self.name, self.index)

    @property
    def printed(self) -> str:
        """What the step printed, or said by ``logging``, in all attempts; of a mapped step, of all elements in order.

        Raises:
            ArtifactError: when its engine has no log of it.
        """
        return "\n".join(line for part in self.parts for line in part.log_lines())

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
