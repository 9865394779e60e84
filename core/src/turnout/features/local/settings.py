"""The settings of the feature store ``local``."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

import msgspec

from turnout.base import durations
from turnout.components.base import Config, SettingError, WorkerPath


class ViewSettings(Config, frozen=True):
    """One feature view."""

    keys: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, description="The columns that name an entity.")]
    timestamp: Annotated[str, msgspec.Meta(description="The column that says since when a row holds.")]
    created: Annotated[
        str,
        msgspec.Meta(description="The column that says when a row was written: of two of one time the later counts."),
    ] = ""
    ttl: Annotated[str, msgspec.Meta(description="How long a row holds, such as 3h; by default until the next.")] = ""
    source: Annotated[
        str,
        msgspec.Meta(
            description="The Parquet file in the folder, or the folder of such files; by default the view's name, with "
            ".parquet if it is a file."
        ),
    ] = ""
    features: Annotated[
        tuple[str, ...], msgspec.Meta(description="The columns that are features; by default all others.")
    ] = ()
    owner: Annotated[str, msgspec.Meta(description="Whom to ask.")] = ""
    doc: Annotated[str, msgspec.Meta(description="What it holds, for people.")] = ""

    @property
    def ttl_seconds(self) -> float | None:
        """The time to live in seconds."""
        return durations.parse(self.ttl) if self.ttl else None


class LocalFeatureSettings(Config, frozen=True):
    """Settings of the feature store ``local``."""

    folder: Annotated[
        WorkerPath,
        msgspec.Meta(description="The folder of Parquet files; a relative one starts at the project's root."),
    ]
    views: Annotated[dict[str, ViewSettings], msgspec.Meta(description="The feature views by their names.")]
    services: Annotated[
        dict[str, tuple[str, ...]],
        msgspec.Meta(description="Names for lists of features: delay_model: [weather:wind, traffic:planes]."),
    ] = msgspec.field(default_factory=dict)
    online: Annotated[
        WorkerPath,
        msgspec.Meta(description="The SQLite file of what is online; by default online.sqlite in the folder."),
    ] = ""

    def __post_init__(self) -> None:
        for name, view in self.views.items():
            path = PurePosixPath(view.source or name)
            if path.is_absolute() or ".." in path.parts or ":" in name or not name:
                raise SettingError(
                    f"the view {name!r} does not name a file in the folder",
                    *("views", name, "source"),
                    fix="write `source` as a path below `folder`, such as weather.parquet",
                )
            own = [*view.keys, view.timestamp, *([view.created] if view.created else [])]
            if len(set(own)) < len(own) or set(own) & set(view.features):
                raise SettingError(
                    f"the view {name!r} uses a column twice",
                    *("views", name),
                    fix="name a column once: as a key, a time or a feature",
                )
            try:
                view.ttl_seconds  # noqa: B018 - is parsed
            except ValueError:
                raise SettingError(
                    f"the ttl {view.ttl!r} of the view {name!r} is no duration",
                    *("views", name, "ttl"),
                    fix="write it as 3h",
                ) from None
        for name, references in self.services.items():
            for reference in references:
                if reference.partition(":")[0] not in self.views:
                    raise SettingError(
                        f"the service {name!r} names {reference!r}, whose view is not there",
                        *("services", name),
                        fix=f"the views are {', '.join(self.views)}",
                    )
