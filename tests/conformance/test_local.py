"""The built-in orchestrator passes the suite like anyone else's."""

from __future__ import annotations

import pytest
from samples import LARGEST

from turnout.testing.cases import CASES, SCRATCH
from turnout.testing.corpus_project import Trial
from turnout.testing.evidence import evidence
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


class TestEachWay:
    """Results do not depend on what runs the steps: the reference has two workers."""

    sample = tuple(f"-{name}]" for name in LARGEST)

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    @pytest.mark.parametrize(
        "settings", [{"workers": 1}, {"workers": 2, "isolation": "process"}], ids=["one-worker", "process"]
    )
    def test_results_are_the_same(self, turnout_corpus, tmp_path, case, settings):
        stack = {
            "orchestrator": {"type": "local", "logs": str(tmp_path / "logs"), **settings},
            "artifact_store": {"root": str(tmp_path / "store")},
        }
        found, reference = evidence(Trial(turnout_corpus, stack, tmp_path).run(case)), turnout_corpus.reference(case)
        assert {step: one.state for step, one in found.items()} == {step: one.state for step, one in reference.items()}
        if SCRATCH not in case.params.values():  # else a folder of the trial's own is among the values
            assert found == reference
