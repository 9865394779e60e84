"""The views of a repository as turnout describes them, and what this combination of Feast's stores does otherwise."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import FeatureView
from turnout_feast.repository import DISABLED, OFFLINE_ONLY, Repository, View

_OFFLINE = {
    "dask": "dask's offline store keeps whole numbers with nulls as floats: beyond 2^53 they lose digits.",
}
_ONLINE = {
    "sqlite": "SQLite keeps the times of rows online to the second: which of two rows within one is newer is not told.",
}


def describe(repository: Repository) -> tuple[FeatureView, ...]:
    """The feature views there are."""
    views = repository.views(anew=True)
    return tuple(_described(repository, view, views) for view in views.values())


def _described(repository: Repository, view: View, views: dict[str, View]) -> FeatureView:
    keys, known_at, until = dict(view.keys), _knows(repository, view), view.until
    sources = [views[name] for name in view.sources if name in views]
    if view.on_demand:
        keys = {key: type_ for source in sources for key, type_ in source.keys.items()}
        known_at = all(_knows(repository, source) for source in sources)
        ends = [source.until for source in sources if source.until is not None]
        until = min(ends) if ends and len(ends) == len(sources) else None
    return FeatureView(
        name=view.name,
        keys=_named(keys),
        timestamp=view.timestamp or next((source.timestamp for source in sources), ""),
        features=_named(view.features),
        created=view.created or "",
        ttl=view.ttl.total_seconds() if view.ttl else None,
        known_at=known_at,
        inputs=_named(view.inputs),
        owner=str(view.feast.owner or ""),
        doc=str(view.feast.description or ""),
        materialized_until=until,
        refuses=_refuses(sources if view.on_demand else [view]),
        problem=_missing_file(repository, view),
        notes=_notes(repository, view),
    )


def _missing_file(repository: Repository, view: View) -> str:
    """That a view's source is a file on this machine which is not there; nothing where that cannot be told."""
    path = "" if view.on_demand else str(getattr(view.feast.batch_source, "path", "") or "")
    if not path or "://" in path or "*" in path or (place := repository.settings.folder / path).exists():
        return ""
    return f"the feature view {view.name!r} has no file {place}"


def _knows(repository: Repository, view: View) -> bool:
    """Whether a view can be asked for values as they were known at a time."""
    offline = repository.store.provider.offline_store
    return bool(view.created) and bool(getattr(offline, "supports_filter_by_created_timestamp", False))


def _named(types: dict[str, Any]) -> dict[str, str]:
    return {name: str(type_) for name, type_ in types.items()}


def _refuses(views: list[View]) -> dict[str, str]:
    """What views that are stored cannot be asked for."""
    found = {}
    for view in views:
        if not view.online:
            found["online"] = found["materialize"] = OFFLINE_ONLY
        elif not view.enabled:
            found.setdefault("materialize", DISABLED)
    return found


def _notes(repository: Repository, view: View) -> tuple[str, ...]:
    if view.on_demand:
        return ()
    notes = [_OFFLINE.get(repository.offline, ""), _ONLINE.get(repository.online, "") if view.online else ""]
    if view.online and not view.created:
        notes.append(
            "It has no created_timestamp_column: which of two rows of one time counts is up to Feast's stores."
        )
    return tuple(note for note in notes if note)
