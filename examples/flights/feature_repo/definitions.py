"""The view of `stacks/features.yaml`, as Feast defines it."""

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource
from feast.types import Float64
from feast.value_type import ValueType

airport = Entity(name="airport", join_keys=["origin"], value_type=ValueType.STRING)
weather = FeatureView(
    name="weather",
    entities=[airport],
    ttl=timedelta(hours=3),
    schema=[
        Field(name=name, dtype=Float64)
        for name in ("temp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
    ],
    source=FileSource(path="../views/weather.parquet", timestamp_field="known"),
    owner="ops",
    description="What the station at the airport reported, from when it was known.",
)
