"""The settings of the feature store ``feast``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from turnout.plugin_api import Config, WorkerPath


class FeastSettings(Config, frozen=True):
    """Settings of the feature store ``feast``."""

    repo: Annotated[
        WorkerPath, Meta(description="The feature repository: the folder of feature_store.yaml, as workers see it.")
    ]
    config: Annotated[
        str, Meta(description="The file of Feast's own settings, if it is not feature_store.yaml; relative to `repo`.")
    ] = ""
    variables: Annotated[
        dict[str, str],
        Meta(description="Environment variables for Feast: what feature_store.yaml refers to as ${NAME}, for one."),
    ] = msgspec.field(default_factory=dict)
    python: Annotated[
        str,
        Meta(
            description="An interpreter that has Feast 0.67 or later and turnout-feast. By default the one that runs "
            "the step, if it has them, else one of an environment that uv makes."
        ),
    ] = ""
    requirements: Annotated[
        tuple[str, ...],
        Meta(
            description="What that environment needs besides Feast and the extras that feature_store.yaml asks for: "
            "the packages that on-demand feature views import."
        ),
    ] = ()

    @property
    def folder(self) -> Path:
        """The repository, as an absolute path."""
        return Path(self.repo).expanduser().absolute()

    @property
    def file(self) -> Path:
        """The file of Feast's own settings, as an absolute path."""
        return self.folder / (self.config or "feature_store.yaml")
