"""The cache: results of earlier runs by the key of what they were made from. A hit counts only if it verifies."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from turnout import canonical
from turnout.errors import ArtifactError, TurnoutError
from turnout.plan.model import StepPlan
from turnout.records import model as records
from turnout.records.model import InputRecord, Logged, Record
from turnout.runtime import clock
from turnout.runtime.policies import artifacts_of
from turnout.runtime.session import Session
from turnout.spec.inputs import Collected, Element, Output, Upstream
from turnout.stores import layout


class TooLarge(TurnoutError):
    """Verifying what the cache has would take long."""


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """Where a cached result lies: the record of a step of a run, and when it was made."""

    run: str
    step: str
    index: int | None
    ended: str


_decoder = msgspec.json.Decoder(Pointer)


def applies(session: Session, step: StepPlan) -> bool:
    """Whether the step's result may come from the cache and go into it.

    Not in an unsealed process, not with ``no_cache``, and not where an input's step declares no type and gave a value
    of a class of the project's: a change of that class would not show in the key.
    """
    if not step.cache or step.kind != "task" or session.in_process or session.run.options.no_cache:
        return False
    return undeclared(session, step) is None


def undeclared(session: Session, step: StepPlan) -> tuple[str, str] | None:
    """The step whose output a step is given without a declared type, and the project's class that it came to."""
    for given in step.inputs.values():
        if isinstance(given.source, Upstream) and (kind := _unknown_class(session, given.source)) is not None:
            return given.source.step, kind
    return None


def _unknown_class(session: Session, source: Output | Element | Collected) -> str | None:
    step = session.plan.by_name[source.step]
    declared = next(output.type.name for output in step.outputs if output.name == source.output)
    if declared != "any":
        return None
    count = (session.resolver.count(step.name) or 0) if step.mapped else 1
    indices: Iterable[int | None] = range(count) if step.mapped else (None,)
    found = (session.record(step.name, index) for index in indices)
    types = (artifact.type for record in found if record for artifact in artifacts_of(record.outputs, Logged()))
    return next((name for name in types if session.code.has_module(name.partition(":")[0])), None)


def look_up(
    session: Session,
    step: StepPlan,
    index: int | None,
    key: str,
    inputs: dict[str, InputRecord],
    most: float = math.inf,
) -> Record | None:
    """The record to commit for a step whose result is known: of the newest entry that is whole, or None.

    An entry whose artifacts are gone or damaged is removed with them, so that they are made again.

    Args:
        most: how many bytes are read, at most, to verify artifacts.

    Raises:
        TooLarge: when it would be more.
    """
    pointers = []
    folder = layout.cache(session.run.project, key)
    for name in session.store.children(folder):
        place = f"{folder}/{name}"
        data = session.store.read(place)
        if data is not None:
            try:
                pointers.append((_decoder.decode(data), place))
            except msgspec.MsgspecError:
                session.store.delete(place)
    for pointer, place in sorted(pointers, key=lambda one: one[0].ended, reverse=True):
        if _expired(step, pointer):
            return None
        found = _whole(session, pointer, key, most)
        if found is not None:
            return _taken_over(session, step, index, found, pointer, inputs)
        session.store.delete(place)
    return None


def _expired(step: StepPlan, pointer: Pointer) -> bool:
    if isinstance(step.cache, bool):
        return False
    return clock.parse(clock.now()) - clock.parse(pointer.ended) > timedelta(seconds=step.cache)


def _whole(session: Session, pointer: Pointer, key: str, most: float) -> Record | None:
    """The record a pointer names, if it is there, has that key, and all it refers to verifies."""
    place = layout.record(session.run.project, pointer.run, pointer.step, pointer.index)
    data = session.store.read(place)
    if data is None:
        return None
    try:
        record = records.decode(data, Record, place)
    except ArtifactError:
        return None
    if record.cache_key != key or record.state != "succeeded" or not record.sealed:
        return None
    artifacts, whole = tuple(artifacts_of(record.outputs, record.logged)), True
    if sum(artifact.size for artifact in artifacts if not artifact.inline) > most:
        raise TooLarge("the artifacts of a cached step are large")
    for artifact in artifacts:
        try:
            session.artifacts.verify(artifact)
        except ArtifactError:
            session.artifacts.discard(artifact)
            whole = False
    return record if whole else None


def _taken_over(
    session: Session, step: StepPlan, index: int | None, old: Record, pointer: Pointer, inputs: dict[str, InputRecord]
) -> Record:
    now = clock.now()
    label = pointer.step if pointer.index is None else f"{pointer.step}.{pointer.index}"
    return msgspec.structs.replace(
        old,
        run=session.run.id,
        plan=session.run.plan,
        step=step.name,
        index=index,
        inputs=inputs,
        cached_from=old.cached_from or f"{pointer.run}/{label}",
        started=now,
        ended=now,
    )


def remember(session: Session, record: Record) -> None:
    """Make a committed record the newest entry of its key."""
    pointer = Pointer(run=record.run, step=record.step, index=record.index, ended=record.ended)
    place = layout.cache_entry(session.run.project, record.cache_key, record.run, record.step, record.index)
    session.store.create(place, canonical.encode(pointer))
