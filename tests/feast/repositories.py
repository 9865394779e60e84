"""Feature repositories made for a test: the views of the suite and some more, applied to real stores."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from turnout.testing.feature_store import VIEWS, View, at

_numbers = itertools.count()
MORE = (
    View(
        "whole",
        ("code",),
        "since",
        {"code": ["a", "a", "b"], "since": [at(6), at(12), at(6)], "whole": [1, None, 2**40]},
    ),
    View(
        "renewed",
        ("code",),
        "since",
        {"code": ["a", "a"], "since": [at(6), at(6)], "written": [at(7), at(9)], "state": [5, 6]},
        created="written",
    ),
)
"""Views besides those of the suite."""


def make(folder: Path, *, offline: str, online: Mapping[str, Any], relative: bool = False) -> Path:
    """Write a repository with data, and apply it; its project has a name of its own, for servers that others use."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "project": f"suite_{folder.parent.name.replace('-', '_')[-20:]}_{next(_numbers)}",
        "provider": "local",
        "registry": "registry.db",
        "offline_store": {"type": offline},
        "online_store": dict(online),
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    for view in (*VIEWS, *MORE):
        write(folder, view)
    apply(folder, relative=relative)
    return folder


def write(folder: Path, view: View) -> None:
    """Write the data of a view."""
    columns = {
        name: pd.array(values, dtype="Int64") if name in view.features and _are_whole(values) else list(values)
        for name, values in view.columns.items()
    }
    pd.DataFrame(columns).to_parquet(folder / f"{view.name}.parquet")


def apply(folder: Path, *, ttl: Mapping[str, timedelta] = {}, factor: str = "factor", relative: bool = False) -> None:
    """What ``feast apply`` does for the suite's views, an on-demand view, and two services."""
    from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RequestSource
    from feast.on_demand_feature_view import OnDemandFeatureView
    from feast.types import Float64
    from feast.value_type import ValueType

    entities: dict[str, Any] = {}
    views: dict[str, Any] = {}
    for view in (*VIEWS, *MORE):
        for key in view.keys:
            kind = ValueType.INT64 if isinstance(view.columns[key][0], int) else ValueType.STRING
            entities.setdefault(key, Entity(name=key, join_keys=[key], value_type=kind))
        source = FileSource(
            path=f"{view.name}.parquet" if relative else str(folder / f"{view.name}.parquet"),
            timestamp_field=view.timestamp,
            created_timestamp_column=view.created,
        )
        views[view.name] = FeatureView(
            name=view.name,
            entities=[entities[key] for key in view.keys],
            ttl=ttl.get(view.name, view.ttl or timedelta(0)),
            schema=[Field(name=name, dtype=_type_of(view.columns[name])) for name in view.features],
            source=source,
            owner="met@example.org" if view.name == "weather" else "",
            description="The weather at airports." if view.name == "weather" else "",
        )
    request = RequestSource(name="request", schema=[Field(name="factor", dtype=Float64)])

    def gust(rows: pd.DataFrame) -> pd.DataFrame:
        if (rows["factor"] < 0).any():
            raise ValueError("a factor is never negative")
        return pd.DataFrame({"gust": rows["wind"] * rows["factor"]})

    gusts = OnDemandFeatureView(
        name="gusts",
        sources=[views["weather"], request],
        schema=[Field(name="gust", dtype=Float64)],
        udf=gust,
        udf_string=f"wind * {factor}",
    )
    services = [
        FeatureService(name="delay", features=[views["weather"][["wind"]], views["traffic"]]),
        FeatureService(name="gusty", features=[gusts]),
        FeatureService(name="renamed", features=[views["weather"].with_name("climate")]),
    ]
    FeatureStore(repo_path=str(folder)).apply([*entities.values(), *views.values(), gusts, *services])


def _are_whole(values: Any) -> bool:
    return all(value is None or isinstance(value, int) for value in values)


def _type_of(values: Any) -> Any:
    from feast.types import Float64, Int64, String

    if _are_whole(values):
        return Int64
    return String if isinstance(values[0], str) else Float64
