"""Features as they were at a time: each view asked alone, once for each key and time, and joined back by a row number.

An offline store of Feast's may drop, double and reorder rows (dask's does); what comes back is put in its place by the
number that each asked row carries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.plugin_api import RunError
from turnout_feast import on_demand
from turnout_feast.failures import told
from turnout_feast.repository import DUMMY, Repository, View

_ROW, _TIME = "turnout_asked", "event_timestamp"
_HOLDS_EQUAL_ROWS = ("duckdb",)
"""Offline stores that give rows of equal key and time back as often as they were asked."""
_SAMPLE = 4_096


def historical(
    repository: Repository,
    entities: Any,
    features: Sequence[str],
    *,
    keys: Mapping[str, str],
    timestamp: str,
    known_at: bool,
) -> Any:
    """The features for each row of *entities*, in its order; a pyarrow table with its numbers and a column a feature.

    Args:
        entities: a pyarrow table with key columns, the column *timestamp* in UTC without nulls, and inputs.
        features: references ``view:feature``, no two of one name.
        keys: the column for each key of the views.
    """

    def look_up(view: View, names: Sequence[str]) -> dict[str, Any]:
        return _of_view(repository, view, names, entities, keys, timestamp, known_at=known_at)

    return on_demand.retrieve(repository, entities, features, look_up)


def _of_view(
    repository: Repository,
    view: View,
    names: Sequence[str],
    entities: Any,
    keys: Mapping[str, str],
    timestamp: str,
    *,
    known_at: bool,
) -> dict[str, Any]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [entities[keys[key]] for key in view.keys]
    known = np.ones(entities.num_rows, dtype=bool)
    for column in columns:
        if column.null_count:
            known &= pc.is_valid(column).to_numpy()
    if not known.any():
        return {name: pa.nulls(entities.num_rows, view.features[name]) for name in names}
    asked = pa.table([*columns, entities[timestamp]], [*view.keys, _TIME])
    if not known.all():
        asked = asked.filter(pa.array(known))
    codes = None
    if repository.offline not in _HOLDS_EQUAL_ROWS or _often_equal(asked):
        codes, first = _codes(asked)
        asked = asked.take(pa.array(first))
    frame = asked.to_pandas()
    frame[_ROW] = np.arange(len(frame), dtype="int64")
    if not view.keys:
        frame[DUMMY] = ""
    with told(
        f"joining the features of {view.name!r}",
        fix="see that the view's source has the columns that its definition names",
    ):
        job = repository.store.get_historical_features(
            entity_df=frame,
            features=[f"{view.name}:{name}" for name in names],
            full_feature_names=True,
            **({"filter_by_created_timestamp": True} if known_at else {}),
        )
        answer = job.to_arrow()
    places = _places(answer, len(frame), view)
    rows = np.full(entities.num_rows, -1, dtype="int64")
    rows[known] = places if codes is None else places[codes]
    taken = pa.array(rows, mask=rows < 0)
    return {name: _typed(answer[f"{view.name}__{name}"].combine_chunks(), view, name).take(taken) for name in names}


def _often_equal(table: Any) -> bool:
    """Whether so many rows are equal that asking each once saves more than it costs; a sample tells."""
    step = max(1, table.num_rows // _SAMPLE)
    sample = table.take(list(range(0, table.num_rows, step)))
    return bool(len(_codes(sample)[1]) < 0.995 * sample.num_rows)


def _codes(table: Any) -> tuple[Any, Any]:
    """A number for each row, equal where the rows are, and the first row of each number."""
    import numpy as np
    import pyarrow as pa

    codes = None
    for column in table.columns:
        encoded = column.combine_chunks().dictionary_encode()
        found = encoded.indices.to_numpy().astype("int64")
        if codes is not None:
            found = pa.array(codes * len(encoded.dictionary) + found).dictionary_encode().indices.to_numpy()
        codes = found.astype("int64")
    assert codes is not None
    first = np.empty(int(codes.max()) + 1, dtype="int64")
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return codes, first


def _places(answer: Any, asked: int, view: View) -> Any:
    """For each row that was asked where it lies in the answer; -1 where the store left it out."""
    import numpy as np

    numbers = answer[_ROW].to_numpy()
    if len(numbers) and np.bincount(numbers.astype("int64"), minlength=asked).max() > 1:
        raise RunError(
            f"Feast's offline store gave rows of {view.name!r} twice: {asked} were asked for, {len(numbers)} came",
            fix="see whether rows of the view's source have equal keys and times, and name a created_timestamp_column",
        )
    places = np.full(asked, -1, dtype="int64")
    places[numbers.astype("int64")] = np.arange(len(numbers))
    return places


def _typed(column: Any, view: View, name: str) -> Any:
    """A column in the type that its view declares."""
    import pyarrow as pa
    import pyarrow.compute as pc

    declared = view.features[name]
    if column.type == declared:
        return column
    try:
        return pc.cast(column, declared)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise RunError(
            f"the feature {name!r} of the view {view.name!r} is {column.type} in its source, and declared {declared}",
            why=str(error).splitlines()[0],
            fix="correct the type in the feature repository, and run `feast apply`",
        ) from None
