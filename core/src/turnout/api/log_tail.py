"""What the steps of a run print, as it comes: by reading their logs again, on any engine that gives them out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import msgspec

from turnout.base import names
from turnout.base.errors import TurnoutError
from turnout.components.artifact_store import ArtifactStore
from turnout.components.orchestrator import Orchestrator
from turnout.model.inputs import Element
from turnout.model.plan import Plan, StepPlan
from turnout.model.records import Record
from turnout.stores import layout

Place = tuple[str, "int | None"]
"""A step, and the index of an element of a mapped one."""


class LogTail:
    """Shows each line that a step of a run prints once.

    Args:
        show: is given the label of the step (``fit``, ``score.3``) and a line.
        only: the step or element to show; else all are.
    """

    def __init__(
        self,
        orchestrator: Orchestrator[Any],
        plan: Plan,
        run: str,
        engine_run: str,
        store: ArtifactStore[Any],
        show: Callable[[str, str], None],
        *,
        only: Place | None = None,
    ) -> None:
        self._orchestrator = orchestrator
        self._plan = plan
        self._run = run
        self._engine_run = engine_run
        self._store = store
        self._show = show
        self._only = only
        self._committed: dict[Place, Record | None] = {}
        self._read: set[Place] = set()
        self._shown: dict[Place, list[str]] = {}
        self._problem: TurnoutError | None = None
        self._lock = threading.Lock()

    @property
    def problem(self) -> TurnoutError | None:
        """Why nothing at all was shown, where the engine did not give out the logs of what has run."""
        return None if any(self._shown.values()) else self._problem

    def look(self, *, ended: bool = False) -> None:
        """Show what is new of the steps that run, or have ended since.

        Args:
            ended: whether the run has: then what failed is read to its end, too.
        """
        self._see_records()
        self._problem = None
        for place in self._places(ended=ended):
            if self.read(*place) and place in self._committed:
                self._read.add(place)

    def read(self, step: str, index: int | None) -> bool:
        """Show what is new of a step or element; return whether there was a log to read."""
        place = (step, index)
        if self._plan.by_name[step].kind != "task" or self._only not in {None, place, (step, None)}:
            return True
        with self._lock:
            shown = self._shown.setdefault(place, [])
            try:
                start = max(len(shown) - 1, 0)  # the last line may have grown
                for line in islice(self._orchestrator.logs(self._plan, self._engine_run, step, index), start, None):
                    self._take(place, shown, line, first=start == len(shown) - 1)
                    start += 1
            except (TurnoutError, OSError) as error:  # it has no log yet, or the engine does not answer now
                self._problem = error if isinstance(error, TurnoutError) else self._problem
                return False
            return True

    def _take(self, place: Place, shown: list[str], line: str, *, first: bool) -> None:
        if first and shown:
            if line == shown[-1]:
                return
            shown.pop()
        shown.append(line)
        self._show(names.label(*place), line)

    def _places(self, *, ended: bool) -> Iterator[Place]:
        """What may have printed something new: what runs, and what was committed and not read since."""
        busy = None if ended or self._orchestrator.local else self._started()
        for step in self._plan.steps:
            if step.kind != "task" or not self._is_ready(step):
                continue
            count = self._count(step) if step.mapped else None
            for index in range(count or 0) if step.mapped else (None,):
                place = (step.name, index)
                if place in self._read:
                    continue
                record = self._committed.get(place)
                if record is not None and (record.attempt is None or not record.sealed):
                    continue  # it was taken over or skipped; or it ran, and printed, in the submitter's process
                if place in self._committed or busy is None or place in busy:
                    yield place

    def _started(self) -> set[Place] | None:
        """What the engine says has begun; None where it tells nothing of steps."""
        with suppress(TurnoutError):
            steps = self._orchestrator.status(self._plan, self._engine_run).steps
            return {(one.step, one.index) for one in steps if one.state != "waiting"} if steps else None
        return None

    def _is_ready(self, step: StepPlan) -> bool:
        return all(self._plan.by_name[name].mapped or (name, None) in self._committed for name in step.upstream)

    def _count(self, step: StepPlan) -> int | None:
        """How many elements a mapped step has, as far as that is on record."""
        source = next(given.source for given in step.inputs.values() if isinstance(given.source, Element))
        if self._plan.by_name[source.step].mapped:
            return self._count(self._plan.by_name[source.step])
        record = self._committed.get((source.step, None))
        return None if record is None else record.elements.get(source.output)

    def _see_records(self) -> None:
        """Take note of what was committed since."""
        project = self._plan.project
        for label in self._store.children(layout.steps(project, self._run)):
            place = self._place(label)
            if place is None or place in self._committed:
                continue
            data = self._store.read(layout.record(project, self._run, *place))
            if data is not None:
                self._committed[place] = None
                with suppress(msgspec.MsgspecError, UnicodeDecodeError):  # a damaged one is told of elsewhere
                    self._committed[place] = msgspec.json.decode(data, type=Record)

    def _place(self, label: str) -> Place | None:
        if label in self._plan.by_name:
            return label, None
        step, _, index = label.rpartition(".")
        return (step, int(index)) if step in self._plan.by_name and index.isdigit() else None
