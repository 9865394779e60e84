"""From the client through the API to the records: what was submitted is run, by kfp.local behind a stand-in."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installed import need

from turnout.api.run import Run
from turnout.model.records import Options
from turnout.plugin_api import run_id
from turnout.testing.cases import CASES
from turnout.testing.corpus_project import Corpus, Trial
from turnout.testing.evidence import evidence

pytestmark = pytest.mark.filterwarnings("ignore")
TIME = "2026-03-01T06:00:00Z"


@pytest.fixture
def server() -> Iterator[Any]:
    need("kfp", "2.17")
    from kubeflow_server import KubeflowServer

    with KubeflowServer() as server:
        yield server


def trial_on(server: Any, corpus: Corpus, folder: Path, **more: Any) -> Trial:
    (corpus.secrets / "kubeflow_token").write_text(server.token, encoding="utf-8")
    settings = {"type": "kubeflow", "url": server.url, "token": "${secret:kubeflow_token}", "poll": 0.05}
    stack = {"orchestrator": settings, "artifact_store": {"root": str(folder / "store")}, **more}
    (folder / "trial").mkdir()
    return Trial(corpus, stack, folder / "trial")


@pytest.mark.parametrize("name", ["guards-half-open", "chained-maps", "failed-element", "quoting"])
def test_what_is_submitted_does_what_it_does_here(
    name: str, server: Any, turnout_corpus: Corpus, tmp_path: Path
) -> None:
    from kubeflow_backend import carry_out

    trial, case = trial_on(server, turnout_corpus, tmp_path), next(case for case in CASES if case.name == name)
    handle = trial.launch(case.pipeline).submit(case.params, Options(no_cache=True))
    made = server.runs[handle.engine_run]
    carry_out(
        copy.deepcopy(made["pipeline_spec"]),
        made["runtime_config"]["parameters"],
        tmp_path / "backend",
        trial.workspace.store.environment(),
        run=handle.engine_run,
    )
    made["state"] = "SUCCEEDED"
    assert handle.wait(60) == ("succeeded" if case.succeeds else "failed")
    assert evidence(Run(handle.run_id, workspace=trial.workspace)) == turnout_corpus.reference(case)


def test_a_run_by_schedule_has_the_time_of_the_schedule(server: Any, turnout_corpus: Corpus, tmp_path: Path) -> None:
    from kubeflow_backend import carry_out

    trial = trial_on(server, turnout_corpus, tmp_path, pipelines={"timed": {"schedule": "0 6 * * *"}})
    launch = trial.launch("timed")
    launch.activate()
    (recurring,) = server.recurring.values()
    version = server.versions[recurring["pipeline_version_reference"]["pipeline_version_id"]]
    carry_out(
        version["pipeline_spec"],
        recurring["runtime_config"]["parameters"],
        tmp_path / "backend",
        trial.workspace.store.environment(),
        run="by-schedule",
        time=TIME,
    )
    plan = launch.plan
    run = Run(run_id(plan.project, plan.name, plan.instance, "by-schedule"), workspace=trial.workspace)
    assert run.state == "succeeded"
    assert run["when_it_was"].load() == "2026-03-01T06:00:00+00:00"
    assert (run.info.started_by, run.info.engine_url) == ("kubeflow", f"{server.url}/#/runs/details/by-schedule")
