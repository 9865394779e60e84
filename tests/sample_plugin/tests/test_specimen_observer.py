"""The observer passes its suite."""

from pathlib import Path

import msgspec
import pytest

from turnout.plugin_api import Event
from turnout.testing.observer import ObserverSuite
from turnout_specimen.observer import SpecimenObserver, SpecimenSettings


class TestSpecimenObserver(ObserverSuite):
    @pytest.fixture
    def observer(self, tmp_path):
        return SpecimenObserver(SpecimenSettings(folder=str(tmp_path / "events")))

    @pytest.fixture
    def read_back(self, observer):
        return lambda: [
            msgspec.json.decode(path.read_bytes(), type=Event)
            for path in sorted(Path(observer.config.folder).glob("*.json"))
        ]
