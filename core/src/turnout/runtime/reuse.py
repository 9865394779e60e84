"""Taking over records of an earlier run: every step but those asked to run again, and their descendants; where none
is asked for, every step that has a record there."""

from __future__ import annotations

import msgspec

from turnout.errors import RunError
from turnout.materializers.table import TABLES
from turnout.plan.model import OutputPlan, Plan, StepPlan
from turnout.records import model as records
from turnout.records.model import OutputRecord, Record
from turnout.runtime import clock
from turnout.runtime.session import Session
from turnout.spec.types import TypeName
from turnout.stores import layout


def reused_record(session: Session, step: StepPlan, index: int | None) -> Record | None:
    """The record to commit for a step that is not to run: an earlier run's, or one of replaced outputs.

    Raises:
        RunError: when the earlier run lacks the step, or its outputs have other names or types.
    """
    options = session.run.options
    if not options.replace and options.reuse is None:
        return None
    now = clock.now()
    if replaced := options.replace.get(step.name):
        if step.mapped:
            raise RunError(f"{step.name} is mapped, and cannot be replaced", fix="replace the step it maps over")
        _check_names(step, set(replaced), "the replacement")
        for output in step.outputs:
            _check_value(step, output, replaced[output.name], "the replacement")
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
    if data is None and reuse.from_ is None and not reuse.only:
        if session.store.exists(layout.run(session.run.project, reuse.run)):
            return None  # it did not get that far: this run goes on from there
        raise RunError(
            f"there is no run {reuse.run} of {session.run.project} in {session.store.address}",
            fix="see `turnout runs list`; another stack's runs lie in another store",
        )
    if data is None:
        raise RunError(
            f"the run {reuse.run} has no record of {step.name}, which this run is to reuse",
            fix=f"reuse from an earlier step, or let {step.name} run",
        )
    old = records.decode(data, Record, key)
    if old.state == "succeeded":
        _check(session, step, old, f"the run {reuse.run}")
    suffix = "" if index is None else f".{index}"
    return msgspec.structs.replace(
        old,
        run=session.run.id,
        plan=session.run.plan,
        reused_from=f"{reuse.run}/{step.name}{suffix}",
        ended=now,
        started=now,
    )


def _check(session: Session, step: StepPlan, old: Record, whose: str) -> None:
    """Refuse a record whose outputs have other names or types than the step's."""
    _check_names(step, set(old.outputs), whose)
    before = session.plan_of(old.plan).by_name[step.name]
    if before.kind != step.kind or before.mapped != step.mapped:
        raise RunError(f"{step.name} was another kind of step in {whose}", fix=f"let {step.name} run again")
    types = {output.name: output.type for output in before.outputs}
    for output in step.outputs:
        if not (
            output.type.name == types[output.name].name and output.type.collection == types[output.name].collection
        ):
            _check_value(step, output, old.outputs[output.name], whose)


def _check_value(step: StepPlan, output: OutputPlan, given: OutputRecord, whose: str) -> None:
    """Refuse a value that is plainly of another type than the step declares."""
    declared = output.type
    fits = declared.collection is (given.elements is not None)
    for artifact in [given.artifact] if given.elements is None else given.elements:
        fits = fits and artifact is not None and _fits(artifact.type, declared)
    if not fits:
        found = {one.type for one in (given.elements or (given.artifact,)) if one is not None}
        shown = ", ".join(sorted(found)) or "nothing"
        raise RunError(
            f"{step.name} declares {output.name!r} as {declared.text}, and {whose} has "
            f"{'a list of ' if given.elements is not None else ''}{shown}",
            fix=f"let {step.name} run again",
        )


def _fits(found: str, declared: TypeName) -> bool:
    if declared.name in {"any", "builtins:object", found} or (found == "builtins:NoneType" and declared.optional):
        return True
    if declared.name in TABLES or found in TABLES:
        return declared.name in TABLES and found in TABLES
    if {declared.name, found} <= {"builtins:float", "builtins:int"}:
        return declared.name == "builtins:float"
    return not (declared.name.startswith("builtins:") and found.startswith("builtins:"))


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
