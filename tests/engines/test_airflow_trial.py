"""`turnout airflow up`, a run with the stack that comes with turnout as it stands, `turnout airflow down`."""

from __future__ import annotations

import json
import re
import shutil
import socket
from pathlib import Path

from commands import Project
from installed import need

ROOT = Path(__file__).parents[2]


def test_up_a_run_and_down(tmp_path: Path) -> None:
    need("apache-airflow", "3.3")
    project = Project(Path(__file__).parent / "airflow_project", tmp_path / "project", tmp_path / "cache")
    (project.folder / "stacks").mkdir()
    shutil.copy(ROOT / "stacks" / "airflow.yaml", project.folder / "stacks")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = project.call("airflow", "up", "--port", port, code=2)
        assert f"port {port} is taken" in said
        assert "choose another: turnout airflow up --port" in said
    try:
        told = project.call("airflow", "up", "--port", port)
        assert f"Airflow is at http://127.0.0.1:{port}, its logs in " in told
        given = dict(re.findall(r"(AIRFLOW_\w+)=(\S+)", told))
        assert set(given) == {"AIRFLOW_HOME", "AIRFLOW_URL"}
        started = _processes(project)
        assert project.call("airflow", "up", "--port", port) == told
        assert _processes(project) == started
        run = json.loads(project.call("run", "schedules.py:maker", "--stack", "airflow", "--json", **given))
        assert run["state"] == "succeeded"
        assert run["orchestrator"] == "airflow"
    finally:
        said = project.call("airflow", "down")
    assert said == "stopped api-server, scheduler, dag-processor\n"
    home = given["AIRFLOW_HOME"]
    left = [path for path in Path("/proc").glob("[0-9]*/environ") if _has(path, f"AIRFLOW_HOME={home}\0".encode())]
    assert not left
    assert project.call("airflow", "down") == "nothing was running\n"


def _processes(project: Project) -> dict[str, int]:
    document = json.loads((project.folder / ".turnout" / "airflow" / "processes.json").read_text())
    return {name: one["pid"] for name, one in document["processes"].items()}


def _has(path: Path, text: bytes) -> bool:
    try:
        return text in path.read_bytes()
    except OSError:
        return False
