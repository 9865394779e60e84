"""How runs behave on a live Airflow, seen from the command line and from Airflow itself."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Project

BROAD, TROUBLED, PATIENT = (f"proof.{name}.run" for name in ("broad", "troubled", "patient"))


@pytest.fixture(scope="module")
def project(airflow_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, with a stack of the live Airflow."""
    folder = tmp_path_factory.mktemp("behaviour")
    made = Project(Path(__file__).parent / "airflow_project", folder / "project", folder / "cache")
    made.stack("airflow", airflow_server.orchestrator)
    return made


@pytest.fixture(scope="module")
def started(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The longer runs, on their way at once: scratch folder and process of each."""
    found = {}
    for name in ("broad", "troubled"):
        scratch = tmp_path_factory.mktemp(name)
        found[name] = scratch, _run(project, name, scratch, "--json")
    yield found
    for _, process in found.values():
        _end(process)


def test_a_retry_a_skip_many_elements_and_an_empty_map(airflow_server: Any, started: Any, project: Project) -> None:
    _, process = started["broad"]
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    run = json.loads(printed)
    tasks = airflow_server.tasks(BROAD, run["engine_run"])
    shown = {(task["task_id"], task["map_index"]): (task["state"], task["try_number"]) for task in tasks}
    assert shown[("flaky", -1)] == ("success", 2)
    assert {index for name, index in shown if name == "square"} == set(range(20))
    assert {state for (name, _), (state, _) in shown.items() if name == "square"} == {"success"}
    states = {name: state for (name, _), (state, _) in shown.items()}
    assert [states[name] for name in ("never", "needs", "square_none")] == ["skipped"] * 3
    assert [states[name] for name in ("total", "total_of_none", "finish-run")] == ["success"] * 3
    recorded = {step["step"]: step for step in run["steps"] if step["index"] is None}
    assert (recorded["flaky"]["attempts"], recorded["never"]["state"], recorded["needs"]["state"]) == (
        2,
        "skipped",
        "skipped",
    )
    assert project.call("artifacts", "load", run["run"], "total", "--stack", "airflow").strip() == "2470"
    assert project.call("artifacts", "load", run["run"], "total_of_none", "--stack", "airflow").strip() == "0"


def test_a_timeout_and_a_failure_in_the_log(airflow_server: Any, started: Any, project: Project) -> None:
    scratch, process = started["troubled"]
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 1, printed
    run = json.loads(printed)
    states = {task["task_id"]: task["state"] for task in airflow_server.tasks(TROUBLED, run["engine_run"])}
    assert states == {"slow": "failed", "loud": "failed", "lost": "upstream_failed", "finish-run": "failed"}
    assert _gone(int((scratch / "slow").read_text()))
    log = project.call("runs", "logs", run["run"], "loud", "--stack", "airflow")
    assert "the table has 3 rows, and 4 were announced" in log
    assert "RuntimeError: cannot go on with 3 rows" in log
    assert "AirflowTaskTimeout: Timeout" in project.call("runs", "logs", run["run"], "slow", "--stack", "airflow")
    recorded = {step["step"]: step for step in run["steps"]}
    assert recorded["loud"]["state"] == "failed"
    assert "cannot go on with 3 rows" in recorded["loud"]["error"]
    assert (recorded["slow"]["state"], recorded["lost"]["state"]) == ("failed", "not run")
    assert recorded["slow"]["error"].startswith("airflow says that it failed, and it left nothing on record")


def test_ctrl_c_stops_the_run_in_airflow(airflow_server: Any, project: Project, tmp_path: Path) -> None:
    process = _run(project, "patient", tmp_path)
    try:
        airflow_server.wait_until(lambda: (tmp_path / "hold").exists() or process.poll() is not None, 120, "the step")
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=120)
    finally:
        _end(process)
    assert process.returncode == 1, printed
    assert "stopping; what is committed stays" in printed
    (run,) = _runs(project, "patient", scratch=str(tmp_path))
    assert f"run {run['run']} cancelled" in printed
    (listed,) = [one for one in project.json("runs", "list", "--stack", "airflow") if one["run"] == run["run"]]
    assert (run["state"], listed["state"]) == ("cancelled", "cancelled")
    shown = airflow_server.call("GET", f"/dags/{PATIENT}/dagRuns/{run['engine_run']}")
    assert shown["state"] == "failed"
    states = {task["task_id"]: task["state"] for task in airflow_server.tasks(PATIENT, run["engine_run"])}
    assert states.pop("tell") in {"failed", "upstream_failed"}
    assert states == {"hold": "failed", "finish-run": "failed"}
    airflow_server.wait_until(lambda: _gone(int((tmp_path / "hold").read_text())), 60, "the step's process to end")


def test_a_run_whose_dag_is_paused_says_so_and_goes_on_later(
    airflow_server: Any, project: Project, tmp_path: Path
) -> None:
    process = _run(project, "patient", tmp_path)
    try:
        airflow_server.wait_until(lambda: (tmp_path / "hold").exists() or process.poll() is not None, 120, "the step")
        airflow_server.call("PATCH", f"/dags/{PATIENT}", {"is_paused": True})
        (tmp_path / "go").touch()
        printed, _ = process.communicate(timeout=120)
    finally:
        _end(process)
        airflow_server.call("PATCH", f"/dags/{PATIENT}", {"is_paused": False})
    assert process.returncode == 1, printed
    assert f"the DAG {PATIENT} is paused" in printed
    assert "unpause it in Airflow, where the run then goes on" in printed
    (run,) = _runs(project, "patient", scratch=str(tmp_path))
    assert airflow_server.wait(PATIENT, run["engine_run"]) == "success"


def test_a_redeployment_leaves_the_run_its_plan_and_a_cleared_task_its_record(
    airflow_server: Any, project: Project, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    first = _run(project, "patient", old)
    try:
        airflow_server.wait_until(lambda: (old / "hold").exists() or first.poll() is not None, 120, "the step")
        source = project.folder / "behaviour.py"
        source.write_text(source.read_text().replace("the first version", "the second version"))
        new.mkdir()
        (new / "go").touch()
        second = json.loads(
            project.call("run", "behaviour.py:patient", "-p", f"scratch={new}", "--stack", "airflow", "--json")
        )
        (old / "go").touch()
        printed, _ = first.communicate(timeout=120)
    finally:
        _end(first)
    assert first.returncode == 0, printed
    (run,) = _runs(project, "patient", scratch=str(old))
    assert run["plan"] != second["plan"]
    told = [
        project.call("artifacts", "load", one, "tell", "--stack", "airflow").strip()
        for one in (run["run"], second["run"])
    ]
    assert told == ["the first version", "the second version"]

    body = {"dry_run": False, "dag_run_id": run["engine_run"], "task_ids": ["tell"], "only_failed": False}
    airflow_server.call("POST", f"/dags/{PATIENT}/clearTaskInstances", body)
    assert airflow_server.wait(PATIENT, run["engine_run"]) == "success"
    tries = {task["task_id"]: task["try_number"] for task in airflow_server.tasks(PATIENT, run["engine_run"])}
    assert tries["tell"] == 2
    log = airflow_server.log(PATIENT, run["engine_run"], "tell", attempt=2)
    assert '"adopted":true' in log
    assert f"turnout runs invalidate {run['run']} tell" in log
    again = project.json("runs", "show", run["run"], "--stack", "airflow")
    assert again["steps"] == run["steps"]
    assert again["state"] == "succeeded"


def _run(project: Project, pipeline: str, scratch: Path, *more: str) -> Any:
    return project.start("run", f"behaviour.py:{pipeline}", "-p", f"scratch={scratch}", "--stack", "airflow", *more)


def _runs(project: Project, pipeline: str, **params: str) -> list[dict[str, Any]]:
    """The runs with these parameters, each as `runs show` has it."""
    listed = project.json("runs", "list", "--stack", "airflow", "--pipeline", pipeline)
    return [project.json("runs", "show", one["run"], "--stack", "airflow") for one in listed if one["params"] == params]


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _end(process: Any) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()
