"""What goes online, materialized or pushed: the newest row of an entity stays, whoever writes when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from turnout.plugin_api import ConfigError, Materialized, UnsupportedError
from turnout_feast.failures import told
from turnout_feast.repository import DISABLED, EPOCH, OFFLINE_ONLY, Repository, View, aware

_ROWS = 5_000


def materialize(
    repository: Repository,
    until: datetime,
    *,
    since: datetime | None,
    views: Sequence[str],
    force: bool,
    progress: Callable[[str, float], None],
) -> list[Materialized]:
    """Bring views online up to *until*, each on its own, and note the windows in Feast's registry.

    One that is computed on demand stands for those that it is computed from.
    Feast's own ``materialize`` puts a view into a state in which others may not read it; this one does not.
    """
    until = until.replace(tzinfo=timezone.utc) if until.tzinfo is None else until.astimezone(timezone.utc)
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=timezone.utc)
    if since is not None and since > until:
        raise ConfigError(
            f"the window would start at {since.isoformat()}, after its end at {until.isoformat()}",
            fix="give an earlier `since`",
        )
    repository.views(anew=True)
    done = []
    for view in _chosen(repository, views):
        with repository.turn(view.name, "materializing"):
            current = repository.views(anew=True).get(view.name, view)  # another may just have brought it this far
            done.append(_one(repository, current, until, since, force=force, progress=progress))
    return done


def push(repository: Repository, name: str, rows: Any) -> int:
    """Write rows (a pyarrow table) of a view online; returns how many were written, older ones left out."""
    import pandas as pd

    view = repository.view(name)
    if view.on_demand or not view.online:
        raise UnsupportedError(
            f"nothing can be pushed to the feature view {name!r}",
            why="it is computed on demand" if view.on_demand else OFFLINE_ONLY,
            fix="push to a view that is stored online",
        )
    needed = [*view.keys, view.timestamp, *view.features, *([view.created] if view.created else [])]
    missing = [column for column in needed if column not in rows.column_names]
    if missing:
        raise ConfigError(
            f"the rows pushed to {name!r} have no column {', '.join(missing)}", fix=f"give {', '.join(needed)}"
        )
    if not rows.num_rows:
        return 0
    frame = rows.select(needed).to_pandas(types_mapper=pd.ArrowDtype)
    provider = repository.store.provider
    with _newest_kept(repository, view) as written, told(f"pushing to {name!r}"):
        provider.ingest_df(view.feast, frame)
    if not view.materialized:
        with repository.changing() as registry:
            registry.apply_materialization(view.feast, repository.store.project, EPOCH, EPOCH)
    return len(written)


def _chosen(repository: Repository, names: Sequence[str]) -> list[View]:
    if not names:
        return [view for view in repository.views().values() if _is_materialized(view)]
    named = [repository.view(name) for name in names]
    stored = dict.fromkeys(name for view in named for name in (view.sources if view.on_demand else (view.name,)))
    chosen = [repository.view(name) for name in stored]
    for view in chosen:
        if not _is_materialized(view):
            raise UnsupportedError(
                f"the feature view {view.name!r} cannot be materialized",
                why=DISABLED if view.online else OFFLINE_ONLY,
                fix="leave it out",
            )
    return chosen


def _is_materialized(view: View) -> bool:
    return not view.on_demand and view.online and view.enabled


def _one(
    repository: Repository,
    view: View,
    until: datetime,
    since: datetime | None,
    *,
    force: bool,
    progress: Callable[[str, float], None],
) -> Materialized:
    if view.until is not None and until <= view.until and not force:
        note = f"it is online up to {view.until.isoformat()} already"
        return Materialized(view=view.name, since=since, until=until, rows=0, note=note)
    start = since or view.until
    if start is not None and start > until:  # forced: an older window, read from its beginning
        start = None
    progress(view.name, 0.0)
    provider, project = repository.store.provider, repository.store.project
    with (
        _newest_kept(repository, view) as written,
        told(
            f"materializing {view.name!r}",
            fix="see that the view's source is there and has the columns that its definition names, and that `feast "
            "apply` was run since then",
        ),
    ):
        provider.materialize_single_feature_view(
            config=repository.store.config,
            feature_view=view.feast,
            start_date=start or EPOCH,
            end_date=until,
            registry=repository.store.registry,
            project=project,
            tqdm_builder=_silent,
        )
    with repository.changing() as registry:
        registry.apply_materialization(view.feast, project, start or EPOCH, until)
    progress(view.name, 1.0)
    return Materialized(view=view.name, since=start, until=until, rows=len(written))


def _silent(total: int) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, disable=True)


@contextmanager
def _newest_kept(repository: Repository, view: View) -> Iterator[set[bytes]]:
    """Within the block the online store keeps the newest row of each entity; gives the entities that were written.

    Most stores of Feast's take whatever is written last, however old it is.
    """
    store = repository.store.provider.online_store
    write, written = store.online_write_batch, set[bytes]()

    def write_newer(config: Any, table: Any, data: Any, progress: Any = None) -> None:
        rows = list(_newest(data).values())
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            with repository.turn(view.name, "writing"):  # nobody writes between the comparison and what follows from it
                online = store.online_read(config, table, [key for key, *_ in part], [table.features[0].name])
                newer = [row for row, (time, _) in zip(part, online, strict=True) if _is_newer(row[2], time)]
                if newer:
                    write(config, table, newer, progress)
            written.update(key.SerializeToString() for key, *_ in newer)

    store.online_write_batch = write_newer
    try:
        yield written
    finally:
        del store.online_write_batch


def _newest(data: Any) -> dict[bytes, Any]:
    """The newest row of each entity; of two of one time the one created later."""
    found: dict[bytes, Any] = {}
    for row in data:
        key = row[0].SerializeToString()
        if key not in found or _age(found[key]) <= _age(row):
            found[key] = row
    return found


def _age(row: Any) -> tuple[datetime, datetime]:
    _, _, time, created = row
    return aware(time), EPOCH if created is None or str(created) == "NaT" else aware(created)


def _is_newer(time: datetime, online: datetime | None) -> bool:
    """Whether a row may replace the one online; some stores keep whole seconds of its time."""
    return online is None or aware(time) >= aware(online)
