"""On-demand feature views: computed here, alike for training and for endpoints, from views and a request's inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from turnout.plugin_api import ROW, RunError
from turnout_feast.failures import told
from turnout_feast.repository import Repository, View

LookUp = Callable[[View, Sequence[str]], dict[str, Any]]
"""Gives columns of a view, by the features' names, for the rows that were asked."""


def retrieve(repository: Repository, entities: Any, features: Sequence[str], look_up: LookUp) -> Any:
    """The features and the number of each row of *entities*, as a pyarrow table; what views share is looked up once."""
    import pyarrow as pa

    wanted = repository.by_view(features)
    views = repository.views()  # once: each time it looks whether they have changed
    views = {name: views.get(name) or repository.view(name) for name in wanted}
    needed: dict[str, dict[str, None]] = {}
    for name, names in wanted.items():
        view = views[name]
        for source, fields in view.sources.items() if view.on_demand else ((name, names),):
            needed.setdefault(source, {}).update(dict.fromkeys(fields))
    found = {name: look_up(views.get(name) or repository.view(name), tuple(names)) for name, names in needed.items()}
    columns = {}
    for name, names in wanted.items():
        view = views[name]
        values = _computed(view, found, entities) if view.on_demand else found[name]
        columns.update({feature: values[feature] for feature in names})
    return pa.table(
        {ROW: entities[ROW], **{name: columns[name] for name in (one.partition(":")[2] for one in features)}}
    )


def _computed(view: View, found: dict[str, dict[str, Any]], entities: Any) -> dict[str, Any]:
    import pyarrow as pa

    inputs = {}
    for name, declared in view.inputs.items():
        if name not in entities.column_names:
            raise RunError(
                f"the on-demand view {view.name!r} needs the input {name!r}",
                fix=f"name it in Features(…, inputs=[{name!r}]) and give a table with that column",
            )
        try:
            inputs[name] = entities[name].cast(declared)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise RunError(
                f"the input {name!r} is {entities[name].type}, where the on-demand view {view.name!r} takes {declared}",
                why=str(error).splitlines()[0],
                fix="convert the table's column",
            ) from None
    if not entities.num_rows:
        return {name: pa.nulls(0, declared) for name, declared in view.features.items()}
    if getattr(view.feast, "aggregations", None):
        raise RunError(
            f"the on-demand view {view.name!r} aggregates, which turnout does not do for it",
            fix="let a feature view hold the aggregates",
        )
    sources = {f"{one}__{name}": found[one][name] for one, names in view.sources.items() for name in names}
    with told(f"computing the on-demand view {view.name!r}", fix="correct the function of the view"):
        table = view.feast.transform_arrow(pa.table({**inputs, **sources}))
        if table.num_rows != entities.num_rows:
            raise RunError(
                f"the on-demand view {view.name!r} made {table.num_rows} rows of {entities.num_rows}",
                fix="let its function return a row for each row",
            )
        return {name: _column(table, name).cast(declared) for name, declared in view.features.items()}


def _column(table: Any, name: str) -> Any:
    return table[name].combine_chunks()
