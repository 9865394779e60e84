"""The hostile engine passes the suite: whatever an engine does to the runtime, the results are the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rigs import faults, hostile
from samples import SAMPLE

from turnout import builtin
from turnout.api.run import Run
from turnout.base.identity import run_id
from turnout.components.registry import Registry
from turnout.runtime import sealed
from turnout.stores import layout
from turnout.testing.corpus_project import Trial
from turnout.testing.orchestrator import OrchestratorSuite


class TestHostile(OrchestratorSuite):
    sample = SAMPLE

    @pytest.fixture
    def registry(self):
        return Registry([builtin, hostile])

    @pytest.fixture
    def stack(self, tmp_path):
        return {
            "orchestrator": {"type": "hostile", "seed": 1, "logs": str(tmp_path / "logs")},
            "artifact_store": {"root": str(tmp_path / "store")},
        }


class Steps:
    """Calls of a plan's steps, each in a process of its own that is killed at a point of its writes, or is not."""

    def __init__(self, trial: Trial, name: str, engine_run: str, folder: Path) -> None:
        launch = trial.launch(name)
        launch.publish()
        self.plan = launch.plan
        self.run = run_id(self.plan.project, name, self.plan.instance, engine_run)
        self.store = trial.workspace.store
        self.which = ("--plan", self.plan.digest, "--engine-run", engine_run)
        self.plugin = faults.installed_in(folder)

    def call(self, *words: str, kill_at: int | None = None) -> int:
        store = {"type": "faulty", "store": self.store.environment()["TURNOUT_STORE"], "kill_at": kill_at}
        done = subprocess.run(
            [sys.executable, "-m", "turnout.runtime", *words, *self.which],
            env={
                **os.environ,
                **sealed.environment(1),
                "TURNOUT_STORE": json.dumps(store),
                "PYTHONPATH": os.pathsep.join([self.plugin, os.environ.get("PYTHONPATH", "")]),
            },
            capture_output=True,
            check=False,
        )
        assert done.returncode in {0, 2, -signal.SIGKILL}, done.stderr.decode()
        return done.returncode

    def left(self, kind: str) -> list[str]:
        """The names of what the run left under its folder, of a kind."""
        folder = layout.run_folder(self.plan.project, self.run)
        return [entry.key for entry in self.store.list(folder) if kind in entry.key]


class TestKilled:
    """A call that is killed before or after any of its writes leaves nothing that another call cannot mend."""

    @pytest.fixture
    def trial(self, turnout_corpus, tmp_path, monkeypatch):
        monkeypatch.setenv("TURNOUT_CACHE", str(turnout_corpus.folder / "cache"))
        folder = tmp_path / "trial"
        folder.mkdir()
        return Trial(turnout_corpus, {"artifact_store": {"root": str(tmp_path / "store")}}, folder)

    @pytest.mark.parametrize(("pipeline", "step"), [("outputs", "several"), ("large", "load")])
    def test_a_step_killed_at_any_point_is_mended_by_the_next_call(self, trial, tmp_path, pipeline, step):
        digests, point, code = set(), 0, -signal.SIGKILL
        while code:
            steps = Steps(trial, pipeline, f"killed at {point}", tmp_path / "plugin")
            for entry in list(trial.workspace.store.list("artifacts")):
                trial.workspace.store.delete(entry.key)
            code = steps.call("step", "--step", step, kill_at=point)
            assert steps.call("step", "--step", step) == 0
            assert len(steps.left("record.json")) == 1
            run = Run(steps.run, workspace=trial.workspace)
            digests.add(json.dumps({name: value.digests for name, value in run[step].outputs.items()}))
            for value in run[step].outputs.values():
                value.load()
            point += 1
        assert len(digests) == 1
        assert point > 6, "a run, an attempt and a record are six points at least"

    def test_the_end_of_a_run_killed_at_any_point_is_marked_by_the_next_call(self, trial, tmp_path):
        point, code = 0, -signal.SIGKILL
        while code == -signal.SIGKILL:
            steps = Steps(trial, "guarded", f"killed at {point}", tmp_path / "plugin")
            code = steps.call("finish", kill_at=point)
            assert steps.call("finish") == 2
            assert Run(steps.run, workspace=trial.workspace).state == "failed"
            point += 1
        assert point > 4
