"""What docs/airflow.md says to try on one machine, typed in an empty folder: the stack is there by its name."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

from commands import Project
from installed import need

ROOT = Path(__file__).parents[2]


INIT, UP, VARIABLE, RUN, DOWN = (
    "turnout init",
    "turnout airflow up",
    "export AIRFLOW_HOME=$PWD/.turnout/airflow",
    "turnout run pipeline.py --stack airflow",
    "turnout airflow down",
)


def test_the_page_to_try_it(tmp_path: Path) -> None:
    need("apache-airflow", "3.3")
    page = (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8")
    (typed,) = re.findall(r"(?ms)^## To try it on this machine\n\n```console\n(.*?)^```$", page)
    assert typed.splitlines() == ['pip install "turnout-airflow[airflow]"', INIT, UP, VARIABLE, RUN, DOWN]
    (tmp_path / "empty").mkdir()
    project = Project(tmp_path / "empty", tmp_path / "project", tmp_path / "cache")
    project.call(*INIT.split()[1:])
    pipeline = project.folder / "pipeline.py"
    talkative = pipeline.read_text(encoding="utf-8").replace(
        "    result = sum(squares)\n", "    result = sum(squares)\n    print('added')\n"
    )
    pipeline.write_text(talkative, encoding="utf-8")
    project.call("stack", "check", "airflow", "--offline", code=2)  # its DAGs folder is not there yet
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
        assert given["AIRFLOW_HOME"] == VARIABLE.partition("=")[2].replace("$PWD", str(project.folder))
        assert project.call("stack", "check", "airflow", **given) == "the stack is in order\n"
        started = _processes(project)
        assert project.call("airflow", "up", "--port", port) == told
        assert _processes(project) == started
        said = project.call(*RUN.split()[1:], "--logs", **given)
        assert ("total", "added") in re.findall(r"^ +(\w+) +\| (.*)$", said, re.MULTILINE)
        assert "::group::" not in said
        run = json.loads(project.call("runs", "show", "latest", "--stack", "airflow", "--json", **given))
        assert run["state"] == "succeeded"
        assert run["orchestrator"] == "airflow"
        assert "total | added\n" in project.call("runs", "logs", "latest", "-f", "--stack", "airflow", **given)
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
