"""Which steps are ready: the part of the local engine that decides *when*, without processes or clocks."""

from __future__ import annotations

from collections import deque
from typing import Literal

from turnout.model.inputs import Element
from turnout.model.plan import Plan, StepPlan
from turnout.model.records import StepResult

Task = tuple[str, "int | None"]
End = Literal["succeeded", "skipped", "failed", "blocked"]


class Schedule:
    """Follows the states of all steps of a run and says what can be called next.

    It knows states, element counts and the values of gates: all that an engine is told.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ended: dict[str, End] = {}
        self.ready: deque[Task] = deque()
        self._open = {step.name: len(step.upstream) for step in plan.steps}
        self._lists: dict[tuple[str, str], int] = {}
        self._counts: dict[str, int] = {}
        self._left: dict[str, int] = {}
        self._failed_elements: set[str] = set()
        self._values: dict[str, bool] = {}
        self.blocked: list[str] = []
        for step in plan.steps:
            if not self._open[step.name]:
                self._release(step)

    def total(self, name: str) -> int | None:
        """The count of elements of a mapped step, once it is known."""
        return self._counts.get(name)

    def finish(self, task: Task, result: StepResult) -> None:
        """Take note that a task has ended for good."""
        name, index = task
        if index is None:
            for output, count in result.elements.items():
                self._lists[name, output] = count
            self._values.update(result.values)
            self._end(name, result.state)
            return
        self._left[name] -= 1
        if result.state == "failed":
            self._failed_elements.add(name)
        if not self._left[name]:
            self._end(name, "failed" if name in self._failed_elements else "succeeded")

    def _end(self, name: str, state: End) -> None:
        pending: list[tuple[str, End]] = [(name, state)]
        while pending:
            current, how = pending.pop()
            self.ended[current] = how
            if how == "blocked":
                self.blocked.append(current)
            for below in self.plan.downstream[current]:
                self._open[below] -= 1
                if self._open[below]:
                    continue
                step = self.plan.by_name[below]
                broken = any(self.ended[upstream] in {"failed", "blocked"} for upstream in step.upstream)
                if broken and not self.skips(step):
                    pending.append((below, "blocked"))
                elif (end := self._release(step)) is not None:
                    pending.append((below, end))

    def _release(self, step: StepPlan) -> End | None:
        """Make a step ready; return how it ended where there is nothing to call."""
        if not step.mapped or self.skips(step):
            self.ready.append((step.name, None))
            return None
        count = self._count(step)
        self._counts[step.name] = self._left[step.name] = count
        self.ready.extend((step.name, index) for index in range(count))
        return None if count else "succeeded"

    def skips(self, step: StepPlan) -> bool:
        """Whether a step whose upstream has ended will be skipped: it is then called once, as a whole.

        A reason to skip counts whatever else has failed.
        """
        if any(self.ended[gate] == "skipped" or self._values.get(gate) is False for gate in step.guards):
            return True
        for given in step.inputs.values():
            source = getattr(given.source, "step", None)
            needed = step.kind == "gate" or isinstance(given.source, Element) or not given.type.optional
            if needed and source is not None and self.ended[source] == "skipped":
                return True
        return False

    def _count(self, step: StepPlan) -> int:
        counts = []
        for given in step.inputs.values():
            if isinstance(given.source, Element):
                source = given.source
                upstream = self._counts.get(source.step)
                counts.append(self._lists.get((source.step, source.output), 0) if upstream is None else upstream)
        return max(counts)
