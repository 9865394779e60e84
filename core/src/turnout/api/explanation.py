"""Why a step ran: what its key was made of, held against the run before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from turnout.api.history import run_infos
from turnout.api.run import Run
from turnout.api.steprun import StepRun
from turnout.base.cache_folder import cache_folder
from turnout.base.errors import TurnoutError
from turnout.fingerprint.fingerprint import Fingerprint, Fingerprints
from turnout.model import records
from turnout.model.forms import plain
from turnout.model.plan import Environment, Plan, StepPlan
from turnout.model.records import InputRecord, Record
from turnout.planning.stepcode import Step, step_code
from turnout.runtime import cache
from turnout.runtime.code import Code
from turnout.runtime.session import Session
from turnout.stores import layout
from turnout.stores.stored_run import Run as StoredRun

Part = Literal[
    "step", "code", "expression", "parameter", "input", "package", "python", "variable", "file", "output", "threads",
    "environment", "features",
]  # fmt: skip


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a key that changed: what it is, its name, and what it was and is; None where there was or is none.

    ``made_by`` is the step that an input comes from, whose own explanation goes on from there.
    """

    part: Part
    name: str
    before: Any = None
    after: Any = None
    made_by: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a step ran, or did not.

    ``compared_with`` is the newest earlier run that has the step on record, None where there is none; ``changes`` say
    in what the keys differ, and ``reason`` is the answer in a sentence.
    """

    compared_with: str | None = None
    changes: tuple[Change, ...] = ()
    reason: str


def explain(step: StepRun) -> Explanation:
    """Why a committed step, or element, ran: what changed since the newest earlier run of the pipeline that has it.

    Raises:
        RunError: when it is not committed.
    """
    record = step.record
    if record.state == "skipped" or step.plan.kind == "gate":
        return Explanation(reason=record.reason or "a guard decides anew in every run")
    if record.reused_from is not None:
        given = record.reused_from == "replace"
        return Explanation(reason="a value was given for it" if given else f"taken over from {record.reused_from}")
    found = _earlier(step)
    if found is None:
        return Explanation(reason="no earlier run has it" if record.cached_from is None else _cached(record))
    before, old = found
    changes = tuple(_changes(before[step.label], old, step, record)) if old.cache_key != record.cache_key else ()
    if record.cached_from is not None:
        reason = _cached(record)
    elif changes:
        reason = f"its key is not that of the run {before.id}"
    else:
        reason = _ran_all_the_same(step)
    return Explanation(compared_with=before.id, changes=changes, reason=reason)


def _cached(record: Record) -> str:
    return f"it did not run: everything it depends on is as it was for {record.cached_from}"


def _ran_all_the_same(step: StepRun) -> str:
    if step.plan.cache is False:
        return "everything is as it was, but its results are not cached"
    if step.run.info.options.no_cache:
        return "everything is as it was, but the run was started with --no-cache"
    if step.record.isolation == "worker":
        return "everything is as it was, but it shared its process with other steps (isolation: worker): not cached"
    if not step.record.sealed:
        return "everything is as it was, but it ran in the submitter's own process, where nothing is cached"
    session = Session(StoredRun(step.run.workspace.store, step.run.plan, step.run.info))
    if (undeclared := cache.undeclared(session, step.plan)) is not None:
        maker, kind = undeclared
        return (
            f"everything is as it was, but {maker} declares no type and gave a value of the project's class {kind}; "
            "declare it, and the results are cached"
        )
    if step.plan.cache is not True:
        return f"everything is as it was, but its results are cached for {step.plan.cache:g} seconds only"
    return "everything is as it was, but what was cached was gone, damaged, or not there yet"


def _earlier(step: StepRun) -> tuple[Run, Record] | None:
    """The newest run of the pipeline before this one that has the step on record, and that record."""
    info, store = step.run.info, step.run.workspace.store
    for other in run_infos(store, info.project):
        if other.pipeline != info.pipeline or other.created >= info.created:
            continue
        key = layout.record(info.project, other.id, step.name, step.index)
        if (data := store.read(key)) is not None:
            record = records.decode(data, Record, key)
            if record.state == "succeeded" and record.key_parts and record.reused_from is None:
                return Run(other.id, workspace=step.run.workspace), record
    return None


def _changes(one: StepRun, old: Record, other: StepRun, new: Record) -> Iterable[Change]:
    before, after = old.key_parts, new.key_parts
    if before.get("code") != after.get("code"):
        yield from _code(one, other, before.get("code"), after.get("code"))
    for name in dict.fromkeys([*before["inputs"], *after["inputs"]]):
        if before["inputs"].get(name) != after["inputs"].get(name):
            yield _input(name, old, new)
    if before["environment"] != after["environment"]:
        yield from _environment(_environment_of(one), _environment_of(other))
    parts: tuple[tuple[Part, str], ...] = (
        ("variable", "env"),
        ("file", "files"),
        ("output", "outputs"),
        ("package", "packages"),
        ("features", "features"),
    )
    for part, key in parts:
        yield from _mapping(part, before.get(key, {}), after.get(key, {}))
    for name in after["inputs"]:
        classes = (one.get("classes", {}).get(name, {}) for one in (before, after))
        yield from _mapping("code", *classes)
    single: tuple[Part, ...] = ("step", "expression", "threads")
    for part in single:
        if before.get(part) != after.get(part):
            yield Change(part, part, before.get(part), after.get(part))


def _mapping(part: Part, before: dict[str, Any], after: dict[str, Any]) -> Iterable[Change]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield Change(part, name, before.get(name), after.get(name))


def _input(name: str, old: Record, new: Record) -> Change:
    """An input, or where it is a parameter of the pipeline that parameter."""
    before, after = old.inputs.get(name), new.inputs.get(name)
    param = next((given.param for given in (after, before) if given is not None and given.param), None)
    made_by = next((given.step for given in (after, before) if given is not None and given.step), "")
    return Change("parameter" if param else "input", param or name, _shown(before), _shown(after), made_by)


def _shown(given: InputRecord | None) -> Any:
    if given is None or given.skipped:
        return None if given is None else "skipped"
    return list(given.digests) or plain(given.value)


def _environment_of(step: StepRun) -> Environment | None:
    return step.run.plan.environments.get(step.plan.environment)


def _environment(before: Environment | None, after: Environment | None) -> Iterable[Change]:
    if before is None or after is None:
        yield Change("environment", "lock", before and list(before.pins), after and list(after.pins))
        return
    if before.python != after.python:
        yield Change("python", "python", before.python, after.python)
    yield from _mapping("package", _versions(before), _versions(after))


def _versions(environment: Environment) -> dict[str, str]:
    pinned = {name: version for name, _, version in (pin.partition("==") for pin in environment.pins)}
    return {**pinned, **{name: f"content {digest[:12]}" for name, digest in environment.local.items()}}


def _code(one: StepRun, other: StepRun, before: Any, after: Any) -> Iterable[Change]:
    """The functions, classes and constants that changed; the step as a whole where they cannot be told apart."""
    left, right = code_parts(one), code_parts(other)
    if left is None or right is None:
        yield Change("code", other.plan.entrypoint.qualname if other.plan.entrypoint else other.name, before, after)
    else:
        yield from _mapping("code", left, right)


def code_parts(step: StepRun) -> dict[str, str] | None:
    """The digests of all that the code of a step reaches, by ``module:name``; from the run's code package.

    None where the package is not there any more, or the step's function is in no file of it.
    """
    plan = step.run.plan
    try:
        return _parts(Code(plan.code, step.run.workspace.store, cache_folder()).prints, plan, step.plan)
    except TurnoutError:
        return None


def _parts(prints: Fingerprints, plan: Plan, step: StepPlan) -> dict[str, str] | None:
    """The parts, if they are those that the planner has taken the step's fingerprint from."""

    def own(one: Step) -> Fingerprint | None:
        return None if one.entrypoint is None else prints.of_class(str(one.entrypoint))

    found = step_code(plan.steps, prints, own, plan.params).get(step.name)
    return found.parts if found is not None and found.digest == step.fingerprint else None
