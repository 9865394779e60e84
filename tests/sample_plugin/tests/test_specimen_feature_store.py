"""The feature store passes its suite."""

import json

import pytest

from turnout.testing.feature_store import VIEWS, FeatureStoreSuite
from turnout_specimen.feature_store import SpecimenFeatureStore, SpecimenSettings


class TestSpecimenFeatureStore(FeatureStoreSuite):
    @pytest.fixture
    def feature_store(self, tmp_path):
        for view in VIEWS:
            rows = [dict(zip(view.columns, row, strict=True)) for row in zip(*view.columns.values(), strict=True)]
            document = {
                "keys": view.keys,
                "timestamp": view.timestamp,
                "created": view.created,
                "ttl": None if view.ttl is None else view.ttl.total_seconds(),
                "rows": rows,
            }
            (tmp_path / f"{view.name}.json").write_text(json.dumps(document, default=lambda time: time.isoformat()))
        return SpecimenFeatureStore(SpecimenSettings(folder=str(tmp_path)))
