"""The cache: results of earlier runs by the key of what they were made from. A hit counts only if it verifies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta

import msgspec

from turnout.base import canonical, clock, names
from turnout.base.errors import ArtifactError, TurnoutError
from turnout.model import records
from turnout.model.documents import check_outputs
from turnout.model.inputs import Collected, Element, Output, Upstream
from turnout.model.plan import StepPlan
from turnout.model.records import InputRecord, Logged, Record
from turnout.runtime.forbidden import artifacts_of
from turnout.runtime.session import Session
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
    if not step.cache or step.kind != "task" or session.in_process or session.run.info.options.no_cache:
        return False
    return undeclared(session, step) is None


def undeclared(session: Session, step: StepPlan) -> tuple[str, str] | None:
    """The step whose output a step is given without a declared type, and the project's class that it came to."""
    for given in step.inputs.values():
        if isinstance(given.source, Upstream) and (kind := _unknown_class(session, given.source)) is not None:
            return given.source.step, kind
    return None


def _unknown_class(session: Session, source: Output | Element | Collected) -> str | None:
    step = session.run.plan.by_name[source.step]
    declared = next(output.type.name for output in step.outputs if output.name == source.output)
    if declared != "any":
        return None
    count = (session.resolver.count(step.name) or 0) if step.mapped else 1
    indices: Iterable[int | None] = range(count) if step.mapped else (None,)
    found = (session.run.record(step.name, index) for index in indices)
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
    folder = layout.cache(session.run.info.project, key)
    for name in _newest_first(session, folder):
        old = _named(session, step, name, key)
        if old is not None and _expired(step, old):
            return None
        if old is not None and _is_whole(session, old, most):
            return _taken_over(session, step, index, old, inputs)
        session.run.store.delete(f"{folder}/{name}")
    return None


def _newest_first(session: Session, folder: str) -> Sequence[str]:
    """The names of a key's entries. Their content is read only where there are several, to put them in order."""
    names = session.run.store.children(folder)
    if len(names) < 2:
        return names
    ended = {}
    for name in names:
        data = session.run.store.read(f"{folder}/{name}")
        if data is not None:
            try:
                ended[name] = _decoder.decode(data).ended
            except canonical.UNREADABLE:
                session.run.store.delete(f"{folder}/{name}")
    return sorted(ended, key=ended.__getitem__, reverse=True)


def _expired(step: StepPlan, old: Record) -> bool:
    if isinstance(step.cache, bool):
        return False
    return clock.parse(clock.now()) - clock.parse(old.ended) > timedelta(seconds=step.cache)


def _named(session: Session, step: StepPlan, name: str, key: str) -> Record | None:
    """The record that an entry names, if it is there, and may be taken over for that key."""
    place = layout.cached_record(session.run.info.project, name)
    data = None if place is None else session.run.store.read(place)
    if place is None or data is None:
        return None
    try:
        record = records.decode(data, Record, place)
        check_outputs(record, step, place)
    except ArtifactError:
        return None
    return record if record.cache_key == key and record.state == "succeeded" and record.sealed else None


def _is_whole(session: Session, record: Record, most: float) -> bool:
    """Whether all that a record refers to verifies; what does not is removed."""
    artifacts, whole = tuple(artifacts_of(record.outputs, record.logged)), True
    if sum(artifact.size for artifact in artifacts if not artifact.inline) > most:
        raise TooLarge("the artifacts of a cached step are large")
    for artifact in artifacts:
        try:
            session.artifacts.verify(artifact)
        except ArtifactError:
            session.artifacts.discard(artifact)
            whole = False
    return whole


def _taken_over(
    session: Session, step: StepPlan, index: int | None, old: Record, inputs: dict[str, InputRecord]
) -> Record:
    now = clock.now()
    label = names.label(old.step, old.index)
    return msgspec.structs.replace(
        old,
        run=session.run.info.id,
        plan=session.run.info.plan,
        step=step.name,
        index=index,
        inputs=inputs,
        cached_from=old.cached_from or f"{old.run}/{label}",
        started=now,
        ended=now,
    )


def remember(session: Session, record: Record) -> None:
    """Make a committed record the newest entry of its key."""
    pointer = Pointer(run=record.run, step=record.step, index=record.index, ended=record.ended)
    place = layout.cache_entry(session.run.info.project, record.cache_key, record.run, record.step, record.index)
    session.run.store.create(place, canonical.encode(pointer))
