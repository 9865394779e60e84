"""Taking over records of an earlier run: every step but those asked to run again, and their descendants."""

from __future__ import annotations

import msgspec

from turnout.errors import RunError
from turnout.plan.model import Plan, StepPlan
from turnout.records import model as records
from turnout.records.model import Record
from turnout.runtime import clock
from turnout.runtime.session import Session
from turnout.stores import layout


def reused_record(session: Session, step: StepPlan, index: int | None) -> Record | None:
    """The record to commit for a step that is not to run: an earlier run's, or one of replaced outputs.

    Raises:
        RunError: when the earlier run lacks the step, or its outputs have other names or types.
    """
    options, now = session.run.options, clock.now()
    if replaced := options.replace.get(step.name):
        _check_names(step, set(replaced), "the replacement")
        return Record(
            run=session.run.id,
            step=step.name,
            index=index,
            state="succeeded",
            plan=session.run.plan,
            outputs=replaced,
            reused_from="replace",
            started=now,
            ended=now,
        )
    reuse = options.reuse
    if reuse is None or step.name in _to_run(session.plan, reuse.from_, reuse.only):
        return None
    key = layout.record(session.run.project, reuse.run, step.name, index)
    data = session.store.read(key)
    if data is None:
        raise RunError(
            f"the run {reuse.run} has no record of {step.name}, which this run is to reuse",
            fix=f"reuse from an earlier step, or let {step.name} run",
        )
    old = records.decode(data, Record, key)
    if old.state == "succeeded":
        _check_names(step, set(old.outputs), f"the run {reuse.run}")
    suffix = "" if index is None else f".{index}"
    return msgspec.structs.replace(
        old,
        run=session.run.id,
        plan=session.run.plan,
        reused_from=f"{reuse.run}/{step.name}{suffix}",
        ended=now,
        started=now,
    )


def _check_names(step: StepPlan, given: set[str], whose: str) -> None:
    wanted = {output.name for output in step.outputs}
    if given != wanted:
        raise RunError(
            f"{step.name} has the outputs {sorted(wanted)}, and {whose} has {sorted(given)}",
            fix=f"let {step.name} run again",
        )


def _to_run(plan: Plan, start: str | None, only: tuple[str, ...]) -> set[str]:
    if only:
        return set(only)
    if start is None:
        return set()
    found, pending = {start}, [start]
    while pending:
        for name in plan.downstream.get(pending.pop(), ()):
            if name not in found:
                found.add(name)
                pending.append(name)
    return found
