"""The built-in orchestrator passes the suite like anyone else's."""

from __future__ import annotations

import pytest

from turnout.testing.cases import CASES
from turnout.testing.orchestrator import OrchestratorSuite


class TestLocal(OrchestratorSuite):
    @pytest.fixture
    def stack(self, tmp_path):
        return {
            "orchestrator": {"type": "local", "workers": 2, "logs": str(tmp_path / "logs")},
            "artifact_store": {"root": str(tmp_path / "store")},
        }

    @pytest.mark.parametrize("name", ["quoting", "quoting-of-defaults"])
    def test_texts_arrive_as_they_were_written(self, trial, turnout_corpus, name):
        case = next(case for case in CASES if case.name == name)
        text = turnout_corpus.module.NASTY
        assert trial.run(case)["echo"].load() == case.params.get("text", text) + text
