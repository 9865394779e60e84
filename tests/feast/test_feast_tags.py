"""The tags of Feast's integration with MLflow, held to what Feast itself sets in a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from feast import FeatureStore
from feast.mlflow_integration.logger import FeastMlflowLogger

from turnout_feast.feature_store import FeastFeatureStore
from turnout_feast.settings import FeastSettings

UNKNOWN = "feast.entity_count"
"""What is not told of a run that has several look-ups."""


def set_by_feast(folder: Path, features: list[str], service: str | None = None) -> dict[str, str]:
    """The tags that Feast's own logger sets in the run that is active."""
    tags: dict[str, str] = {}
    client: Any = SimpleNamespace(
        set_tag=lambda run, name, value: tags.update({name: value}), log_metric=lambda *_: None
    )
    mlflow = SimpleNamespace(active_run=lambda: SimpleNamespace(info=SimpleNamespace(run_id="1")))
    store = FeatureStore(repo_path=str(folder))
    settings = SimpleNamespace(mlflow=SimpleNamespace(get_tracking_uri=lambda: ""))
    logger = FeastMlflowLogger(SimpleNamespace(project=store.project, config=settings), mlflow, client)
    assert logger.log_feature_retrieval(features, 3, 0.5, feature_service_name=service)
    return tags


@pytest.mark.parametrize(
    ("features", "services", "service"),
    [
        (["weather:wind", "weather:sky", "gusts:gust"], [], None),
        (["weather:wind", "traffic:planes"], ["delay"], "delay"),
        (["weather:wind", "traffic:planes"], [], "delay"),
        (["weather:wind", "traffic:planes", "weather:sky"], ["delay"], None),
        ([f"weather:feature_{number}" for number in range(100)], [], None),
    ],
)
def test_tags_are_those_that_feast_sets(
    features: list[str], services: list[str], service: str | None, repository: Callable[..., Path]
) -> None:
    folder = repository()
    found = dict(FeastFeatureStore(FeastSettings(repo=str(folder))).tags(features, services))
    wanted = set_by_feast(folder, features, service)
    assert wanted.pop(UNKNOWN) == "3"
    assert found == wanted


def test_a_tag_that_is_too_long_names_whole_features(repository: Callable[..., Path]) -> None:
    store = FeastFeatureStore(FeastSettings(repo=str(repository())))
    features = [f"weather:feature_{number}" for number in range(1000)]
    tag = store.tags(features, [])["feast.feature_refs"]
    assert 4_950 < len(tag) <= 4_990
    assert set(tag.split(",")) < {*features}
