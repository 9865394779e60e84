"""A parameter that does not fit its declared type: the first call ends with 2, nothing runs, no run comes to be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from cases import CASES, Case
from installed import need

GIVEN = {"count": 2.5}
(FAN,) = (case for case in CASES if case.name == "fan")


def test_the_runtime_says_which(workshop: Any) -> None:
    done = _call(workshop, "step", "--step", "numbers")
    assert done.returncode == 2
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "failed"
    assert "'count'" in done.stderr
    assert "2.5" in done.stderr


@pytest.mark.parametrize(("engine", "distribution"), [("kfp", "kfp"), ("beam", "apache-beam")])
def test_a_script_fails(engine: str, distribution: str, run_script: Any) -> None:
    need(distribution, "2.17")
    wrong = Case("wrong", FAN.pipeline, GIVEN, {}, succeeds=False)
    with pytest.raises(LookupError, match="has no run"):
        run_script(engine, wrong, like=FAN)


def test_airflow_fails_the_run(workshop: Any, airflow: Any) -> None:
    run = airflow.server.trigger(FAN.pipeline, {"params": GIVEN})
    assert airflow.server.wait(FAN.pipeline, run) == "failed"
    assert "'count'" in airflow.server.log(FAN.pipeline, run, "numbers")
    with pytest.raises(LookupError, match="has no run"):
        workshop.evidence("airflow", FAN, airflow.store, run)


def _call(workshop: Any, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    store: Path = workshop.engine_store("wrong", FAN)
    plan = workshop.reference(FAN).plan
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "turnout.runtime",
            command,
            "--plan",
            plan,
            "--engine-run",
            str(uuid.uuid4()),
            *arguments,
        ],
        env={**os.environ, **workshop.environment(store), "TURNOUT_PARAMS": json.dumps({"params": GIVEN})},
        capture_output=True,
        text=True,
        check=False,
    )
