"""The newest values, from Feast's online store: null keys left out, and what is older than its view's TTL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from turnout.plugin_api import RunError
from turnout_feast import on_demand
from turnout_feast.failures import told
from turnout_feast.repository import OFFLINE_ONLY, Repository, View, aware

_ROWS = 5_000
"""Rows that are asked for at once: SQLite takes so many values in one statement."""
_FEW = 64
"""Rows up to which arrays are made together: each by itself takes longer than its values."""
_PLAIN = frozenset(f"{kind}_val" for kind in ("bool", "int32", "int64", "float", "double", "string", "bytes"))
"""The fields of Feast's values that hold what Python has as it is."""


def online(repository: Repository, entities: Any, features: Sequence[str], *, keys: Mapping[str, str]) -> Any:
    """The features for each row of *entities*, in its order; a pyarrow table with its numbers and a column a feature.

    Args:
        entities: a pyarrow table with key columns and inputs.
        features: references ``view:feature``, no two of one name.
        keys: the column for each key of the views.

    Raises:
        RunError: when a view was never materialized, or the store cannot be reached.
    """

    def look_up(view: View, names: Sequence[str]) -> dict[str, Any]:
        return _of_view(repository, view, names, entities, keys)

    return on_demand.retrieve(repository, entities, features, look_up)


def _of_view(
    repository: Repository, view: View, names: Sequence[str], entities: Any, keys: Mapping[str, str]
) -> dict[str, Any]:
    import pyarrow as pa

    if not view.online:
        raise RunError(
            f"the feature view {view.name!r} is not online",
            why=OFFLINE_ONLY,
            fix="define it with online=True, run `feast apply`, and materialize it",
        )
    if not view.materialized:
        view = repository.views(anew=True)[view.name]
    if not view.materialized:
        raise RunError(
            f"the feature view {view.name!r} was never materialized",
            why="Feast would give nulls for all keys",
            fix=f"run `turnout features materialize --view {view.name}`, or push rows to it",
        )
    columns = [entities[keys[key]].to_pylist() for key in view.keys]
    asked = list(zip(*columns, strict=True)) if columns else [()] * entities.num_rows
    rows = [row for row, key in enumerate(asked) if None not in key]
    values: dict[str, list[Any]] = {name: [None] * entities.num_rows for name in names}
    for start in range(0, len(rows), _ROWS):
        places: dict[tuple[Any, ...], list[int]] = {}
        for row in rows[start : start + _ROWS]:
            places.setdefault(asked[row], []).append(row)
        _fill(repository, view, places, values)
    if entities.num_rows > _FEW:
        return {name: pa.array(values[name], view.features[name]) for name in names}
    whole = pa.array(
        [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)], view.row(names)
    )
    return dict(zip(names, whole.flatten(), strict=True))


def _fill(
    repository: Repository, view: View, places: Mapping[tuple[Any, ...], list[int]], values: dict[str, list[Any]]
) -> None:
    """Put the values of keys in their places, by the look-up of the online store itself.

    Feast's call around it checks and resolves anew for each request what is known of a view here.
    """
    from feast.type_map import feast_value_type_to_python_type

    with told(f"reading {view.name!r} online", fix="see that `feast apply` was run for this online store"):
        found = repository.online_rows(view, list(places), list(values))
    oldest = datetime.now(timezone.utc) - view.ttl if view.ttl else None
    for rows, (when, features) in zip(places.values(), found, strict=True):
        if features is None or (oldest is not None and (when is None or aware(when) < oldest)):
            continue
        for name, column in values.items():
            if (proto := features.get(name)) is None:
                continue
            kind = proto.WhichOneof("val")
            value = (
                getattr(proto, kind)
                if kind in _PLAIN
                else feast_value_type_to_python_type(proto, view.value_types[name])
            )
            for row in rows:
                column[row] = value
