"""Bringing features online, and what it came to in plain values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from turnout.components.feature_store import FeatureStore, Materialized, Progress
from turnout.features.references import split


def views_of(features: Sequence[str]) -> tuple[str, ...]:
    """The views that references belong to, each once."""
    return tuple(dict.fromkeys(split(reference)[0] for reference in features))


def materialize(
    store: FeatureStore[Any],
    views: Sequence[str],
    until: datetime,
    *,
    since: datetime | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Bring views online up to a time.

    Returns:
        ``{"done": True, "views": {NAME: {"since": …, "until": …, "rows": …, "note": …}}}``, times as ISO 8601.
    """
    done = store.materialize(until, since=since, views=views, force=force, progress=progress)
    return {"done": True, "views": {one.view: _plain(one) for one in sorted(done, key=lambda one: one.view)}}


def _plain(one: Materialized) -> dict[str, Any]:
    since = None if one.since is None else one.since.isoformat()
    found = {"rows": one.rows, "since": since, "until": one.until.isoformat()}
    return {"note": one.note, **found} if one.note else found
