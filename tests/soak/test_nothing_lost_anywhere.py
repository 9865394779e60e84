"""A run killed at each of its changes to the store, one after another, and resumed each time: some minutes."""

from __future__ import annotations

import shutil

import pytest
from rigs.killed_run import KilledRun, check


@pytest.mark.parametrize("who", ["worker", "both", "run"])
def test_killed_at_every_change_and_resumed(tmp_path, who):
    run = KilledRun(tmp_path / "undisturbed")
    changes = run.run("run" if who == "run" else "worker").changes()
    outcome = run.outcome()
    reached = []
    for number in range(len(changes)):
        folder = tmp_path / "killed"
        reached.append(check(KilledRun(folder), outcome, who, number))
        shutil.rmtree(folder)
    assert all(reached)
