"""Runs on a server of Kubeflow Pipelines, by kfp's own client; the server is a stand-in, no cluster is behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installed import need

from turnout.api.failure import failed
from turnout.api.run import Run
from turnout.base.errors import ConfigError, RunError
from turnout.model.records import Options
from turnout.testing.cases import CASES
from turnout.testing.corpus_project import Corpus, Trial
from turnout.testing.evidence import evidence


@pytest.fixture
def server() -> Iterator[Any]:
    need("kfp", "2.17")
    from kubeflow_server import KubeflowServer

    with KubeflowServer() as server:
        yield server


@pytest.fixture
def trial(server: Any, turnout_corpus: Corpus, tmp_path: Path) -> Trial:
    from kubeflow_server import TOKEN

    return bound(server, turnout_corpus, tmp_path, TOKEN)


def bound(server: Any, corpus: Corpus, folder: Path, token: str) -> Trial:
    """The corpus on the stand-in, with that token."""
    (corpus.secrets / "kubeflow_token").write_text(token, encoding="utf-8")
    settings = {"type": "kubeflow", "url": server.url, "token": "${secret:kubeflow_token}", "poll": 0.05}
    stack = {"orchestrator": settings, "artifact_store": {"root": str(folder / "store")}}
    return Trial(corpus, stack, folder)


def work(server: Any, trial: Trial, launch: Any, run: str, *steps: str) -> None:
    """Do what the containers of a run would: start each step, then the end, as the specification says."""
    made = server.runs[run]
    from kubeflow_server import arrived

    given = {"inputs": {"parameterValues": {**arrived(made["runtime_config"]["parameters"]), "engine-run": run}}}
    executors = made["pipeline_spec"]["deploymentSpec"]["executors"]
    for step in (*steps, "finish"):
        container = executors[f"exec-{step}"]["container"]
        outputs = {"outputs": {"outputFile": str(trial.folder / "outputs" / f"{step}.json")}}
        environ = {**os.environ, **trial.workspace.store.environment()}
        environ.update((one["name"], one["value"]) for one in container["env"])
        command = [sys.executable, "-m", "turnout_kubeflow.launch", "--executor-input"]
        subprocess.run([*command, json.dumps({**given, **outputs})], env=environ, check=False, capture_output=True)


@pytest.mark.filterwarnings("ignore")
def test_a_run_is_started_followed_and_read_from_its_records(server: Any, trial: Trial) -> None:
    launch = trial.launch("linear")
    handle = launch.submit({"number": 4}, Options(tags={"a": "b"}))
    assert handle.engine_run == "run-0"
    assert handle.url.endswith("/#/runs/details/run-0")
    assert handle.wait(0.1) == "running"
    assert server.runs["run-0"]["runtime_config"]["parameters"]["number"] == 4
    work(server, trial, launch, "run-0", "start", "double", "spell")
    server.failures = 2
    server.runs["run-0"]["state"] = "SUCCEEDED"
    assert handle.wait(60) == "succeeded"
    launch.submit({}, Options())
    assert [one["display_name"] for one in server.experiments] == ["turnout"], "an experiment is used again"


@pytest.mark.filterwarnings("ignore")
def test_parameters_of_every_type_arrive_as_they_were_given(server: Any, trial: Trial, turnout_corpus: Corpus) -> None:
    case = next(case for case in CASES if case.name == "parameters")
    launch = trial.launch(case.pipeline)
    handle = launch.submit(case.params, Options(no_cache=True))
    work(server, trial, launch, "run-0", "describe", "read")
    server.runs["run-0"]["state"] = "SUCCEEDED"
    assert handle.wait(60) == "succeeded"
    run = Run(handle.run_id, workspace=trial.workspace)
    assert {name: run[name].load() for name in case.values} == case.values
    assert evidence(run) == turnout_corpus.reference(case)
    assert run.info.engine_url == handle.url


@pytest.mark.filterwarnings("ignore")
def test_what_kubeflow_calls_a_success_is_none_where_a_step_failed(server: Any, trial: Trial) -> None:
    launch = trial.launch("broken_branch")
    handle = launch.submit({}, Options())
    server.runs["run-0"]["state"] = "SUCCEEDED"
    assert handle.wait(60) == "succeeded", "Kubeflow's word, as nothing was recorded"
    work(server, trial, launch, "run-0", "start", "fail")
    assert handle.wait(60) == "failed"
    assert launch.ended(handle).ended("succeeded") == "failed", "no word of Kubeflow's overrules the records"


@pytest.mark.filterwarnings("ignore")
def test_a_step_whose_pod_is_gone_has_failed(server: Any, trial: Trial) -> None:
    """It left nothing on record; Kubeflow's API has the states of tasks by what is shown of them."""
    launch = trial.launch("broken_branch")
    handle = launch.submit({}, Options())
    work(server, trial, launch, "run-0", "start")
    states = {"start": "SUCCEEDED", "fail": "FAILED", "lost": "PENDING", "fail-driver": "SUCCEEDED"}
    details = [{"display_name": name, "state": state} for name, state in states.items()]
    server.runs["run-0"].update(state="FAILED", run_details={"task_details": details})
    assert handle.wait(60) == "failed"
    run = Run(handle.run_id, workspace=trial.workspace)
    assert {step.name: step.state for step in run if step.name in states} == {
        "start": "succeeded",
        "fail": "failed",
        "lost": "not run",
    }
    assert "kubeflow says that it failed" in str(failed(run, "failed"))


@pytest.mark.filterwarnings("ignore")
def test_a_run_is_cancelled_and_asked_for(server: Any, trial: Trial) -> None:
    launch = trial.launch("linear")
    handle = launch.submit({}, Options())
    other = type(trial.orchestrator)(trial.orchestrator.config)
    assert other.status(launch.plan, "run-0").state == "running"
    other.cancel(launch.plan, "run-0")
    assert handle.wait(60) == "cancelled"
    assert other.status(launch.plan, "run-0").state == "cancelled"
    assert other.status(launch.plan, "no-such-run").state == "unknown"
    handle.cancel()
    assert server.requests.count("POST /runs/run-0:terminate") == 1


@pytest.mark.filterwarnings("ignore")
def test_a_server_that_refuses(server: Any, trial: Trial, turnout_corpus: Corpus, tmp_path: Path) -> None:
    launch = trial.launch("linear")
    server.failures = 100
    with pytest.raises(RunError, match=r"failed at GET /experiments \(503\)"):
        launch.submit({}, Options())
    assert not server.runs
    server.failures = 0
    stranger = bound(server, turnout_corpus, tmp_path, "wrong-token")
    with pytest.raises(ConfigError, match=r"\(401\)") as caught:
        stranger.launch("linear").submit({}, Options())
    assert "orchestrator.token" in str(caught.value.fix)
    assert "wrong-token" not in str(caught.value)


def test_without_a_server_nothing_is_started(turnout_corpus: Corpus, tmp_path: Path) -> None:
    stack = {"orchestrator": {"type": "kubeflow"}, "artifact_store": {"root": str(tmp_path / "store")}}
    with pytest.raises(ConfigError, match="gives no URL of Kubeflow Pipelines"):
        Trial(turnout_corpus, stack, tmp_path).launch("linear").submit({}, Options())
