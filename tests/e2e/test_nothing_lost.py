"""A run killed while it writes, and resumed: its artifacts are an undisturbed run's, and nothing committed runs twice.

Every change to the store's disk is known here by name, so that a new one is noticed; a few are tried. All of them are
tried by ``tests/soak/test_nothing_lost_anywhere.py``.
"""

from __future__ import annotations

import pytest
from rigs.killed_run import KilledRun, check

WORKER = {
    # the value of an output: its files, then its manifest
    "os.mkdir .staging",
    "os.mkdir .staging/*",
    "open .staging/*",
    "os.mkdir artifacts/*",
    "os.mkdir artifacts/*/files",
    "os.link artifacts/*/files/text.txt",
    "os.link artifacts/*/manifest.json",
    "os.remove .staging/*",
    "os.rmdir .staging/*",
    # what the step came to
    "os.mkdir demo/runs/*/steps",
    *(
        change
        for label in ("read", "measure.0", "measure.1", "total", "when_1")
        for change in (
            f"os.mkdir demo/runs/*/steps/{label}",
            f"os.mkdir demo/runs/*/steps/{label}/attempts",
            f"os.link demo/runs/*/steps/{label}/attempts/*.json",
            f"os.link demo/runs/*/steps/{label}/record.json",
        )
    ),
    # and where the next run finds it
    "os.mkdir demo/cache",
    "os.mkdir demo/cache/*",
    "os.link demo/cache/*/*",
}
RUN = {
    # the file given
    "os.mkdir .staging",
    "open .turnout-store",
    "os.mkdir .staging/*",
    "open .staging/*",
    "os.mkdir artifacts",
    "os.mkdir artifacts/*",
    "os.mkdir artifacts/*/files",
    "os.rename .staging/*",
    "os.link artifacts/*/files/file.txt",
    "os.link artifacts/*/manifest.json",
    "os.remove .staging/*",
    "os.rmdir .staging/*",
    # what keeps it from being collected before the run is on record
    "os.mkdir claims",
    "os.mkdir claims/*",
    "os.link claims/*/*",
    # code and plan
    "os.mkdir code",
    "os.mkdir code/*",
    "os.link code/*/code.zip",
    "os.mkdir plans",
    "os.link plans/*.json",
    # the run's beginning and end, and what is skipped between them
    "os.mkdir demo",
    "os.mkdir demo/runs",
    "os.mkdir demo/runs/*",
    "os.link demo/runs/*/run.json",
    "os.mkdir demo/runs/*/steps/never",
    "os.link demo/runs/*/steps/never/record.json",
    "os.mkdir demo/runs/*/marks",
    "os.link demo/runs/*/marks/0.json",
    "os.link demo/runs/*/marks/1.json",
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the run comes to, and all changes that its worker and its own process make, in order."""
    run = KilledRun(tmp_path_factory.mktemp("undisturbed") / "project")
    worker = run.run("worker").changes()
    other = KilledRun(tmp_path_factory.mktemp("undisturbed") / "project")
    changes = {"worker": worker, "run": other.run("run").changes()}
    assert other.outcome() == run.outcome()
    assert run.outcome()["state"] == "succeeded"
    assert run.told() == {"read": 1, "measure.0": 1, "measure.1": 1, "total": 1}
    return run.outcome(), changes


def test_every_change_that_a_run_makes_to_its_store_is_known(undisturbed):
    _, changes = undisturbed
    assert set(changes["worker"]) == WORKER
    assert {change for change in changes["run"] if change != "os.mkdir "} == RUN


@pytest.mark.parametrize(
    ("who", "change"),
    [
        ("worker", "os.link artifacts/*/manifest.json"),
        ("worker", "os.link demo/runs/*/steps/measure.0/attempts/*.json"),
        ("both", "os.link demo/runs/*/steps/measure.1/record.json"),
        ("both", "os.link demo/cache/*/*"),
        ("run", "os.link demo/runs/*/steps/never/record.json"),
        ("run", "os.link demo/runs/*/run.json"),
        ("run", "os.link demo/runs/*/marks/1.json"),
    ],
)
def test_a_run_killed_before_a_change_comes_to_the_same_when_resumed(undisturbed, tmp_path, who, change):
    outcome, changes = undisturbed
    made = changes["run" if who == "run" else "worker"]
    last = len(made) - 1 - made[::-1].index(change)
    assert check(KilledRun(tmp_path / "project"), outcome, who, last)
