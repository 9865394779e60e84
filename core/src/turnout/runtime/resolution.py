"""What a step may do now: it follows from the plan and the records, never from what an engine called.

The rules, for a step whose record does not exist yet:

import msgspec

- A guard that is false or skipped skips the step.
- A required input from a skipped step skips it; an optional one is None. A gate has no optional inputs.
- A mapped step is skipped whole or not at all: by its guards, by a required input, or by any skipped step it
  maps over, whatever else it has.
- A reason to skip counts even while other inputs are not there yet: no later event could undo it.
- Otherwise it waits until every input is committed.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from turnout.base.errors import RunError
from turnout.model.inputs import Collected, Element, InputSpec, Output
from turnout.model.plan import Plan, StepPlan
from turnout.model.records import Record

ReadRecord = Callable[[str, "int | None"], "Record | None"]


class Ready(msgspec.Struct, frozen=True):
    """The step can run."""


class Skip(msgspec.Struct, frozen=True):
    """The step is skipped, and why; for a mapped step, all of it."""

    reason: str


class Wait(msgspec.Struct, frozen=True):
    """The step needs these steps (``name`` or ``name.index``) first; none of them is committed."""

    on: tuple[str, ...]


class Done(msgspec.Struct, frozen=True):
    """The step is committed."""

    record: Record


Decision = Ready | Skip | Wait | Done
Settled = Record | Skip | None
"""A whole step: its record, a derived skip, or None while it is open."""


class Resolver:
    """Decides over the steps of one run. Reads records, writes nothing, remembers nothing between calls."""

    def __init__(self, plan: Plan, read: ReadRecord) -> None:
        self.plan = plan
        self.read = read
        self.position = {step.name: number for number, step in enumerate(plan.steps)}

    def decide(self, name: str, index: int | None = None, *, known_open: bool = False) -> Decision:
        """What the step, or one element of a mapped step, may do now.

        Args:
            known_open: whether it is known to have no record.
        """
        step = self.plan.by_name[name]
        if not known_open and (record := self.read(name, index)):
            return Done(record)
        settled = self.settle(name, known_open=index is None)
        whole = settled[name]
        if isinstance(whole, Skip):
            return whole
        if isinstance(whole, Record):  # a mapped step that is skipped whole
            return Done(whole)
        waits = [gate for gate in step.guards if settled[gate] is None]
        for given in step.inputs.values():
            waits.extend(self._missing(given, index, settled))
        return Wait(tuple(dict.fromkeys(waits))) if waits else Ready()

    def settle(self, name: str, *, known_open: bool = False) -> dict[str, Settled]:
        """What the step and every open step above it have come to, skips derived.

        Args:
            known_open: whether it was seen already that the step itself has no record.
        """
        pending, seen = [name], {name}
        found: dict[str, Settled] = {}
        unsettled: list[str] = []
        while pending:
            current = pending.pop()
            if not (known_open and current == name) and (record := self.read(current, None)):
                found[current] = record
                continue
            unsettled.append(current)
            for upstream in self.plan.by_name[current].upstream:
                if upstream not in seen:
                    seen.add(upstream)
                    pending.append(upstream)
        for current in sorted(unsettled, key=self.position.__getitem__):
            found[current] = self._skip(self.plan.by_name[current], found)
        return found

    def settle_all(self) -> dict[str, Settled]:
        """What every step has come to, skips derived; each is looked at once."""
        found: dict[str, Settled] = {}
        for step in self.plan.steps:
            found[step.name] = self.read(step.name, None) or self._skip(step, found)
        return found

    def _skip(self, step: StepPlan, settled: dict[str, Settled]) -> Skip | None:
        for gate in step.guards:
            state = settled[gate]
            if _is_skipped(state):
                return Skip(f"the guard {gate} was skipped")
            if isinstance(state, Record) and state.value is False:
                return Skip(f"the guard {gate} was false")
        for name, given in step.inputs.items():
            source = given.source
            if not isinstance(source, (Output, Element, Collected)) or not _is_skipped(settled[source.step]):
                continue
            if isinstance(source, Element):
                return Skip(f"{source.step}, which it maps over, was skipped")
            if step.kind == "gate" or not given.type.optional:
                return Skip(f"its input {name} comes from {source.step}, which was skipped")
        return None

    def _missing(self, given: InputSpec, index: int | None, settled: dict[str, Settled]) -> list[str]:
        source = given.source
        if not isinstance(source, (Output, Element, Collected)) or _is_skipped(settled[source.step]):
            return []
        upstream = self.plan.by_name[source.step]
        if not upstream.mapped:
            return [] if settled[source.step] else [source.step]
        if isinstance(source, Element) and index is not None:
            return [] if self.read(source.step, index) else [f"{source.step}.{index}"]
        try:
            count = self.count(source.step)
        except RunError:
            return [source.step]
        if count is None:
            return [source.step]
        return [f"{source.step}.{number}" for number in range(count) if not self.read(source.step, number)]

    def count(self, name: str) -> int | None:
        """The number of elements of a mapped step, or None while what it maps over is open.

        Raises:
            RunError: when the lists it maps over differ in length.
        """
        counts: dict[str, int] = {}
        for given in self.plan.by_name[name].inputs.values():
            source = given.source
            if not isinstance(source, Element):
                continue
            if self.plan.by_name[source.step].mapped:
                count = self.count(source.step)
            else:
                record = self.read(source.step, None)
                output = record.outputs.get(source.output) if record else None
                count = None if output is None or output.elements is None else len(output.elements)
            if count is None:
                return None
            counts[f"{source.step}.{source.output}"] = count
        if len(set(counts.values())) > 1:
            lengths = ", ".join(f"{key} has {value}" for key, value in counts.items())
            raise RunError(
                f"{name} maps over lists of different lengths: {lengths}",
                fix="map over lists of one length: positional arguments of .map are zipped",
            )
        return next(iter(counts.values()))


def _is_skipped(state: Settled) -> bool:
    return isinstance(state, Skip) or (isinstance(state, Record) and state.state == "skipped")
