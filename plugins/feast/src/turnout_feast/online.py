"""The newest values, from Feast's online store: null keys left out, and what is older than its view's TTL."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.plugin_api import RunError
from turnout_feast import on_demand
from turnout_feast.failures import told
from turnout_feast.repository import Repository, View

_ROWS = 5_000
"""Rows that are asked for at once: SQLite takes so many values in one statement."""
_FEW = 64
"""Rows up to which arrays are made together: each by itself takes longer than its values."""


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
            why="its definition says online=False",
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
    rows = [row for row in range(entities.num_rows) if all(column[row] is not None for column in columns)]
    values: dict[str, list[Any]] = {name: [None] * entities.num_rows for name in names}
    references = [f"{view.name}:{name}" for name in names]
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        asked = {key: [column[row] for row in part] for key, column in zip(view.keys, columns, strict=True)}
        _fill(repository, view, references, asked, part, values)
    if entities.num_rows > _FEW:
        return {name: pa.array(values[name], view.features[name]) for name in names}
    whole = pa.array(
        [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)], view.row(names)
    )
    return dict(zip(names, whole.flatten(), strict=True))


def _fill(
    repository: Repository,
    view: View,
    references: list[str],
    asked: dict[str, list[Any]],
    rows: Sequence[int],
    values: dict[str, list[Any]],
) -> None:
    from feast.type_map import feast_value_type_to_python_type

    with told(f"reading {view.name!r} online", fix="see that `feast apply` was run for this online store"):
        answer = repository.store.get_online_features(
            features=references, entity_rows=asked or [{}] * len(rows), full_feature_names=True
        ).proto
    oldest = time.time() - view.ttl.total_seconds() if view.ttl else 0.0
    features = {f"{view.name}__{name}": name for name in values}
    for name, vector in zip(answer.metadata.feature_names.val, answer.results, strict=True):
        feature = features.get(name)
        if feature is None:
            continue
        column, declared = values[feature], view.value_types[feature]
        for row, value, when in zip(rows, vector.values, vector.event_timestamps, strict=True):
            if not oldest or when.seconds + when.nanos * 1e-9 >= oldest:
                column[row] = feast_value_type_to_python_type(value, declared)
