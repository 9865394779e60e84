"""Garbage: which runs of a project may go, and removing them with all that nothing names any more."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta, timezone

from turnout.api.workspace import Workspace
from turnout.base import clock
from turnout.base.errors import ConfigError
from turnout.catalog.garbage import Collected, Collection
from turnout.catalog.index import Index
from turnout.stores import claims

GRACE = timedelta(hours=24)
ABANDONED = timedelta(days=30)
"""A run of this age that has not ended, and of which its engine knows nothing, is taken for dead."""


def collect_garbage(
    workspace: Workspace,
    *,
    keep_runs: int | None = None,
    older_than: timedelta | None = None,
    pipeline: str | None = None,
    grace: timedelta = GRACE,
    dry_run: bool = False,
) -> Collected:
    """Remove runs of this project, and from the store all content that nothing names: of any project.

    Without *keep_runs* and *older_than* no run is removed. The newest run of a pipeline that succeeded stays, and so
    do runs in progress, those whose artifacts an alias names, and those that a run in progress takes results from.

    Args:
        keep_runs: how many runs of each pipeline stay, the newest.
        older_than: only runs created longer ago are removed; with *keep_runs* only those that are both.
        pipeline: only runs of this pipeline are removed.
        grace: for how long what was written, claimed or removed counts as in use: by runs in flight. At least two
            hours, or nothing at all where nobody works with the store.
        dry_run: remove nothing.

    Raises:
        ConfigError: for a negative number, or too short a grace period.
        ArtifactError: when the store fails, or something of it cannot be read; nothing that is named is gone then.
    """
    if (keep_runs is not None and keep_runs < 0) or (older_than or timedelta()) < timedelta() or grace < timedelta():
        raise ConfigError("a number of runs or a span of time is negative", fix="give what is to be kept")
    if timedelta() < grace < timedelta(seconds=claims.SHORTEST_GRACE):
        raise ConfigError(
            f"a grace period of {grace} is shorter than what writers rely on",
            fix="give 2h at least, or 0 where nobody works with the store",
        )
    chosen = _choose(workspace, keep_runs, older_than, pipeline)
    project = workspace.project.name
    collection = Collection(workspace.store, [(project, run) for run in chosen], grace=grace.total_seconds())
    return collection.preview() if dry_run else collection.collect()


def _choose(
    workspace: Workspace, keep_runs: int | None, older_than: timedelta | None, pipeline: str | None
) -> list[str]:
    """The runs that may be removed."""
    if keep_runs is None and older_than is None:
        return []
    now = datetime.now(timezone.utc)
    before = clock.written(now - (older_than or timedelta()))
    with closing(Index(workspace.store, workspace.project.name)) as index:
        runs = index.runs(pipeline=pipeline)
    seen: Counter[str] = Counter()
    succeeded: set[str] = set()
    chosen = []
    for one in runs:
        info = one.info
        seen[info.pipeline] += 1
        if one.state == "succeeded" and info.pipeline not in succeeded:
            succeeded.add(info.pipeline)
        elif seen[info.pipeline] > (keep_runs or 0) and info.created < before:
            state = one.state or workspace.ask_engine(info).state
            lost = state == "unknown" and info.created < clock.written(now - ABANDONED)
            if state not in {"running", "unknown"} or lost:
                chosen.append(info.id)
    return chosen
