"""``turnout.runs(…)``, and what ``turnout runs list`` and ``turnout artifacts list`` show: read from the index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from turnout.api import allowed
from turnout.api.run import Run
from turnout.api.workspace import Workspace
from turnout.base import clock, durations
from turnout.base.errors import ConfigError, DefinitionError
from turnout.catalog.index import Index, Listed, ListedArtifact
from turnout.model import times
from turnout.model.records import RunInfo, RunState
from turnout.runtime.state import with_engine


class ListedRun(NamedTuple):
    """A run and its state: as its records say, else as its engine does."""

    info: RunInfo
    state: RunState


def runs(
    pipeline: str | None = None,
    *,
    tags: Mapping[str, str] | None = None,
    state: str | Iterable[str] | None = None,
    since: datetime | timedelta | str | None = None,
    limit: int | None = None,
    stack: str | None = None,
    workspace: Workspace | None = None,
) -> list[Run]:
    """The runs of the current project, newest first.

    Args:
        pipeline: only runs of the pipeline of this name.
        tags: only runs that have all of these tags.
        state: only runs in this state, or in one of these.
        since: only runs created at this time or later; a span such as ``"7d"`` is counted back from now.
        limit: this many at most.
        stack: the stack whose store is looked in; as for ``turnout run``.
    """
    if workspace is None:
        allowed.check("turnout.runs()", "read")
    place = workspace or Workspace.here(stack)
    states = (state,) if isinstance(state, str) else state
    found = list_runs(place, pipeline=pipeline, tags=tags, states=states, since=since, limit=limit)
    return [Run(one.info.id, workspace=place) for one in found]


def list_runs(
    workspace: Workspace,
    *,
    pipeline: str | None = None,
    tags: Mapping[str, str] | None = None,
    states: Iterable[str] | None = None,
    since: datetime | timedelta | str | None = None,
    limit: int | None = None,
) -> list[ListedRun]:
    """As :func:`runs`, without looking into the runs; an engine is asked where only it can tell the state."""
    wanted = None if states is None else frozenset(states)
    most, start = limit if wanted is None else None, None if since is None else moment(since)
    with closing(Index(workspace.store, workspace.project.name)) as index:
        found = index.runs(pipeline=pipeline, tags=tags, states=wanted, since=start, limit=most)
    listed = []
    for one in found:
        state = _state(workspace, one)
        if wanted is None or state in wanted:
            listed.append(ListedRun(one.info, state))
        if limit is not None and len(listed) >= limit:
            break
    return listed


def list_artifacts(
    workspace: Workspace, *, since: datetime | timedelta | str | None = None, **chosen: Any
) -> list[ListedArtifact]:
    """What the steps of all runs made, the newest run's first; see :meth:`turnout.catalog.index.Index.artifacts`."""
    with closing(Index(workspace.store, workspace.project.name)) as index:
        return index.artifacts(since=None if since is None else moment(since), **chosen)


def _state(workspace: Workspace, one: Listed) -> RunState:
    return with_engine(one.mark, workspace.ask_engine(one.info).state) if one.state is None else one.state


def moment(since: datetime | timedelta | str) -> str:
    """A point in time as records write it; a span is counted back from now.

    Raises:
        ConfigError: when a text is neither a time (ISO 8601) nor a span such as ``7d``.
    """
    if isinstance(since, timedelta):
        return clock.written(datetime.now(timezone.utc) - since)
    if isinstance(since, datetime):
        return clock.written(since if since.tzinfo else since.replace(tzinfo=timezone.utc))
    try:
        return moment(timedelta(seconds=durations.seconds(since, "since", None)))
    except (DefinitionError, OverflowError):
        pass
    try:
        return moment(times.parse_datetime(since))
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{since[:60]!r} is neither a time nor a span of time",
            fix="write a day or a time, such as 2026-01-31 or 2026-01-31T06:00, or how long ago, such as 7d or 12h",
        ) from None
