"""The tracker passes its suite."""

import json
from pathlib import Path
from urllib.parse import unquote

import pytest

from turnout.testing.tracker import Tracked, TrackerSuite
from turnout_specimen.tracker import SpecimenSettings, SpecimenTracker


class TestSpecimenTracker(TrackerSuite):
    @pytest.fixture
    def tracker(self, tmp_path):
        return SpecimenTracker(SpecimenSettings(folder=str(tmp_path / "runs")))

    @pytest.fixture
    def read_back(self, tracker):
        def read(external_id):
            run = Path(tracker.config.folder, external_id)
            points, params, artifacts = {}, {}, {}
            for path in run.glob("attempts/*.json"):
                attempt = json.loads(path.read_text())
                for _, (name, x, value) in sorted(attempt["points"].items(), key=lambda item: int(item[0])):
                    points.setdefault(f"{attempt['step']}/{name}", []).append((x, float(value)))
                params.update({f"{attempt['step']}/{name}": value for name, value in attempt["params"].items()})
            for path in run.glob("artifacts/*/**/*"):
                if path.is_file():
                    folder, _, rest = path.relative_to(run / "artifacts").as_posix().partition("/")
                    artifacts.setdefault(unquote(folder), {})[rest] = path.read_bytes()
            state = run / "state.json"
            return Tracked(
                points={name: tuple(series) for name, series in points.items()},
                params=params,
                artifacts=artifacts,
                state=json.loads(state.read_text()) if state.exists() else "running",
            )

        return read
