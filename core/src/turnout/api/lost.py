"""Steps that were called and left no trace on record: at work, or killed with all that could have written it down.

An attempt is written down when it ends. Before, and where a step's process was killed and whoever started it with it (a
worker that is gone, a pod that was evicted), only the engine knows that it was called, and is asked.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from turnout.api.history import StepSummary
from turnout.base import names
from turnout.base.errors import TurnoutError, TurnoutWarning
from turnout.components.orchestrator import StepStatus
from turnout.model.inputs import Element
from turnout.model.records import Failure
from turnout.runtime.state import newest_mark

if TYPE_CHECKING:
    from turnout.api.run import Run

Place = tuple[str, "int | None"]
Summaries = Mapping[Place, StepSummary]


def with_called(run: Run, summaries: Summaries) -> dict[Place, StepSummary]:
    """What every step left behind, and what its engine says of those that left nothing, in the plan's order.

    An engine that does not answer is named by a :class:`TurnoutWarning`: all that is on record is shown without it.
    """
    committed = {name for (name, _), summary in summaries.items() if summary.record is not None}
    ready = [step.name for step in run.plan.steps if committed.issuperset(step.upstream)]
    unrecorded = {name: tuple(_open(run, name, summaries)) for name in ready}
    labels = [names.label(*place) for several in unrecorded.values() for place in several]
    if not labels or _was_stopped(run):
        return {**summaries}
    try:
        steps = run.workspace.ask_engine(run.info).steps
    except TurnoutError as error:
        unknown = ", ".join(labels[:3]) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
        warnings.warn(f"what became of {unknown} is not known: {error.what}", TurnoutWarning, stacklevel=2)
        steps = ()
    called: dict[Place, StepSummary] = {}
    for said in steps:
        for place in unrecorded.get(said.step, ()) if said.state in {"failed", "running"} else ():
            if said.index in {None, place[1]}:
                lost = _failure(run, said, place) if said.state == "failed" else None
                called[place] = StepSummary(*place, None, (), lost=lost, running=lost is None)
    position = {step.name: number for number, step in enumerate(run.plan.steps)}
    everything = {**summaries, **called}
    order = sorted(everything, key=lambda place: (position[place[0]], -1 if place[1] is None else place[1]))
    return {place: everything[place] for place in order}


def _open(run: Run, name: str, summaries: Summaries) -> Iterator[Place]:
    """The step, or those of its elements, that left nothing."""
    if (name, None) in summaries:
        return
    if run.plan.by_name[name].mapped:
        yield from ((name, index) for index in range(_count(run, name, summaries)) if (name, index) not in summaries)
    else:
        yield name, None


def _count(run: Run, name: str, summaries: Summaries) -> int:
    """How many elements a mapped step has, as far as that is on record."""
    source = next(given.source for given in run.plan.by_name[name].inputs.values() if isinstance(given.source, Element))
    if run.plan.by_name[source.step].mapped:
        return _count(run, source.step, summaries)
    listed = summaries.get((source.step, None))
    return 0 if listed is None or listed.record is None else listed.record.elements.get(source.output, 0)


def _was_stopped(run: Run) -> bool:
    """Whether the run was stopped on purpose: engines call failed what they stop, and what they never began."""
    mark = newest_mark(run.workspace.store, run.info.project, run.id).mark
    return mark is not None and (mark.kind == "cancel" or mark.state == "cancelled")


def _failure(run: Run, said: StepStatus, place: Place) -> Failure:
    word = f" ({said.message})" if said.message else ""
    return Failure(
        type="Lost",
        message=f"{run.info.orchestrator} says that it failed{word}, and it left nothing on record: its process was "
        f"killed, or could not begin\n  see its log: turnout runs logs {run.id[:8]} {names.label(*place)}",
    )
