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
            for row in rows:
                row[view.timestamp] = row[view.timestamp].isoformat()
            document = {"entity": view.entity, "timestamp": view.timestamp, "rows": rows}
            (tmp_path / f"{view.name}.json").write_text(json.dumps(document))
        return SpecimenFeatureStore(SpecimenSettings(folder=str(tmp_path)))
