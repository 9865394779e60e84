"""Taking over records of an earlier run: every step but those asked to run again, and their descendants; where none
is asked for, every step that has a record there."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from turnout.base import clock, names
from turnout.base.errors import ConfigError, RunError, did_you_mean
from turnout.materializers.table import TABLES
from turnout.model import records
from turnout.model.plan import OutputPlan, Plan, StepPlan
from turnout.model.records import Options, OutputRecord, Record
from turnout.model.types import TypeName
from turnout.runtime.session import Session
from turnout.stores import layout


def reused_record(session: Session, step: StepPlan, index: int | None) -> Record | None:
    """The record to commit for a step that is not to run: an earlier run's, or one of replaced outputs.

    Raises:
        RunError: when the earlier run lacks the step, or its outputs have other names or types.
        ConfigError: when the options name no run, or a step that the plan does not have.
    """
    options = session.run.info.options
    if not options.replace and options.reuse is None:
        return None
    now = clock.now()
    if replaced := _replaced(options, step):
        if step.mapped:
            raise RunError(f"{step.name} is mapped, and cannot be replaced", fix="replace the step it maps over")
        _check_names(step, set(replaced), "the replacement")
        for output in step.outputs:
            _check_value(step, output, replaced[output.name], "the replacement")
        return Record(
            run=session.run.info.id,
            step=step.name,
            index=index,
            state="succeeded",
            plan=session.run.info.plan,
            outputs=replaced,
            reused_from="replace",
            started=now,
            ended=now,
        )
    reuse = options.reuse
    if reuse is None:
        return None
    _check_steps(session.run.plan, (*reuse.only, *filter(None, [reuse.from_])))
    if not _RUN.fullmatch(reuse.run):
        raise ConfigError(f"{reuse.run[:60]!r} is not the id of a run to reuse", fix="give its whole id")
    if step.name in _to_run(session.run.plan, reuse.from_, reuse.only):
        return None
    key = layout.record(session.run.info.project, reuse.run, step.name, index)
    data = session.run.store.read(key)
    if data is None and reuse.from_ is None and not reuse.only:
        if session.run.store.exists(layout.run(session.run.info.project, reuse.run)):
            return None  # it did not get that far: this run goes on from there
        raise RunError(
            f"there is no run {reuse.run} of {session.run.info.project} in {session.run.store.address}",
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
    return msgspec.structs.replace(
        old,
        run=session.run.info.id,
        plan=session.run.info.plan,
        reused_from=f"{reuse.run}/{names.label(step.name, index)}",
        ended=now,
        started=now,
    )


def _replaced(options: Options, step: StepPlan) -> dict[str, OutputRecord]:
    """What stands in for the outputs of a step; of a run that has begun, none is a name any more."""
    given = options.replace.get(step.name, {})
    return {name: output for name, output in given.items() if isinstance(output, OutputRecord)}


_NAMED = re.compile(r"(?P<run>[a-z2-7]{20})/(?P<step>[A-Za-z0-9_.]+?)(?:\.(?P<index>[0-9]{1,9}))?:(?P<output>\w+)")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RUN = re.compile(r"[A-Za-z0-9_-]+")


def pinned(session: Session) -> Options:
    """The options of a new run, with the outputs that stand in for others in the place of their names.

    Raises:
        ConfigError: for a step that the plan does not have, and a name of nothing that is on record.
    """
    options = session.run.info.options
    _check_steps(session.run.plan, options.replace)
    replace: dict[str, dict[str, str | OutputRecord]] = {
        step: {name: _output(session, given) if isinstance(given, str) else given for name, given in outputs.items()}
        for step, outputs in options.replace.items()
    }
    return msgspec.structs.replace(options, replace=replace)


def _check_steps(plan: Plan, steps: Iterable[str]) -> None:
    for step in steps:
        if step not in plan.by_name:
            raise ConfigError(
                f"{plan.name} has no step {step[:60]!r}. {did_you_mean(step, plan.by_name)}".rstrip(" ."),
                fix=f"its steps are: {', '.join(plan.by_name)}",
            )


def _output(session: Session, name: str) -> OutputRecord:
    """The output that a name stands for."""
    if _DIGEST.fullmatch(name):
        return OutputRecord(artifact=session.artifacts.find(name))
    found = _NAMED.fullmatch(name)
    if found is not None:
        step, index = found["step"], None if found["index"] is None else int(found["index"])
        key = layout.record(session.run.info.project, found["run"], step, index)
        data = session.run.store.read(key)
        record = None if data is None else records.decode(data, Record, key)
        if record is not None and (record.step, record.index) == (step, index) and found["output"] in record.outputs:
            return record.outputs[found["output"]]
    raise ConfigError(
        f"what is to stand in for a step, {name[:120]!r}, is no output on record",
        fix="give a digest, or RUN/STEP:OUTPUT of this project with the run's whole id: see `turnout artifacts list`",
    )


def _check(session: Session, step: StepPlan, old: Record, whose: str) -> None:
    """Refuse a record whose outputs have other names or types than the step's."""
    _check_names(step, set(old.outputs), whose)
    before = session.run.plan_of(old.plan).by_name[step.name]
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
