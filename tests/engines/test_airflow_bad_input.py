"""Texts that try to be code, loaded and run by a live Airflow: they stay texts, or are refused."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Project

SOURCE = Path(__file__).parent / "airflow_project"
NASTY = "\"\"\"'; import os; os.system('touch was_here') # $(touch was_here) {{ 1 + 1 }} {% raw %}\\\r\n\u2028☃.md"
RUN = "../../run; touch was_here; $(touch was_here) {{ 1 }} ☃"


@pytest.fixture(scope="module")
def project(airflow_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project, with a stack whose options are no better than the rest."""
    folder = tmp_path_factory.mktemp("bad-input")
    made = Project(SOURCE, folder / "project", folder / "cache")
    stack = {
        "extends": "local",
        "orchestrator": airflow_server.orchestrator,
        "steps": {
            "*": {
                "airflow": {
                    "owner": NASTY,
                    "queue": "{{ 1 }}'",
                    "outlets": [NASTY.replace("☃", "").replace("\u2028", "")],
                }
            }
        },
        "pipelines": {"wild": {"airflow": {"owner": '{{ 1 }}"'}}},
    }
    (made.folder / "stacks").mkdir()
    (made.folder / "stacks" / "airflow.yaml").write_text(json.dumps(stack))
    made.call("publish", "wild.py:wild", "--stack", "airflow")
    made.call("publish", "wild.py:little", "--stack", "airflow")
    yield made
    made.call("unpublish", "wild.py:wild", "--stack", "airflow")
    made.call("unpublish", "wild.py:little", "--stack", "airflow")


def test_defaults_docstrings_tags_and_literals(airflow_server: Any, project: Project) -> None:
    there = project.start("run", "wild.py:wild", "--stack", "airflow", "--no-cache", "--json")
    here = project.json("run", "wild.py:wild", "--no-cache")
    printed, _ = there.communicate(timeout=300)
    assert there.returncode == 0, printed
    run = json.loads(printed[printed.index("{\n") :])
    assert project.json("verify", here["run"], run["run"])["differences"] == []
    wild: dict[str, Any] = {}
    exec(compile((SOURCE / "wild.py").read_text().split("@step")[0], "wild.py", "exec"), wild)
    told = ast.literal_eval(project.call("artifacts", "load", run["run"], "several", "--stack", "airflow"))
    assert told == [wild["NASTY"], wild["PYTHON"], wild["FILES"], wild["TABLE"]]
    shown = airflow_server.call("GET", "/dags/proof.wild/details")
    assert shown["doc_md"] == inspect.cleandoc(wild["NASTY"])
    defaults = {name: param["value"] for name, param in shown["params"].items()}
    assert (defaults["text"], defaults["conf"], defaults["table"]) == (wild["NASTY"], wild["JINJA"], wild["TABLE"])
    assert {tag["name"] for tag in shown["tags"]} >= {"dag:{{ dag }}"}
    assert '{{ 1 }}"' in shown["owners"]
    _nothing_was_executed(airflow_server, project)


def test_values_given_at_run_time(airflow_server: Any, project: Project) -> None:
    given = {"text": NASTY, "dag": "{{ dag }}", "files": ["{{ x }}", NASTY], "table": {"__type": NASTY, "__var": None}}
    run = airflow_server.trigger("proof.wild", given)
    texts = {"nasty": NASTY, "long": "{{" * 5000, "none": "", "nul": "a\0b"}
    started = {name: airflow_server.trigger("proof.little", {"text": text}) for name, text in texts.items()}
    wrong = airflow_server.trigger("proof.little", {"no_such_parameter; touch was_here": 1})
    with pytest.raises(RuntimeError, match="400"):
        airflow_server.trigger("proof.little", {"number": "1; touch was_here"})
    with pytest.raises(RuntimeError, match=r": 4\d\d "):
        airflow_server.call("POST", "/dags/proof.little/dagRuns", {"logical_date": None, "conf": {}, "dag_run_id": RUN})
    for one in started.values():
        assert airflow_server.wait("proof.little", one) == "success", airflow_server.explain("proof.little", one)
    assert airflow_server.wait("proof.little", wrong) == "failed"
    assert "no_such_parameter" in airflow_server.log("proof.little", wrong, "pair")
    assert airflow_server.wait("proof.wild", run) == "success", airflow_server.explain("proof.wild", run)
    ids = _ids(project)
    for name, one in started.items():
        assert _made(project, ids[one], "pair") == [texts[name], 1]
    assert _made(project, ids[run], "several") == [given["text"], given["dag"], given["files"], given["table"]]
    _nothing_was_executed(airflow_server, project)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('.named("DAG")', '.named("x; import os #")', "';' is not allowed in it"),
        ('.named("DAG")', '.named("{{ x }}")', "'{' is not allowed"),
        ('.named("DAG")', '.named("a\\nb")', "is not allowed in it"),
        ('.named("DAG")', '.named("x" * 250)', "100 are allowed"),
        ('.named("DAG")', '.named("TASK")', "differ in case only"),
        ("    text: str = NASTY,", "    wörter: str = NASTY,", "is not allowed in it"),
    ],
    ids=["python", "jinja", "newline", "long", "case", "parameter"],
)
def test_names_are_refused(project: Project, tmp_path: Path, old: str, new: str, expected: str) -> None:
    source = (SOURCE / "wild.py").read_text().replace(old, new).replace("several(text,", "several(NASTY,")
    (tmp_path / "wild.py").write_text(source.replace('("class")(text)', '("class")(NASTY)'))
    (tmp_path / "pyproject.toml").write_text((SOURCE / "pyproject.toml").read_text())
    words = ("export", str(tmp_path / "wild.py") + ":wild", "--stack", str(project.folder / "stacks" / "airflow.yaml"))
    assert expected in project.call(*words, "-o", str(tmp_path / "out"), code=2)
    assert not (tmp_path / "out").exists()


def _ids(project: Project) -> dict[str, str]:
    """The runs by what Airflow calls them."""
    listed = project.json("runs", "list", "--stack", "airflow", "--limit", "50")
    shown = [project.json("runs", "show", one["run"], "--stack", "airflow") for one in listed]
    return {one["engine_run"]: one["run"] for one in shown}


def _made(project: Project, run: str, step: str) -> Any:
    """What a step of a run made."""
    return ast.literal_eval(project.call("artifacts", "load", run, step, "--stack", "airflow"))


def _nothing_was_executed(server: Any, project: Project) -> None:
    for folder in (server.home, project.folder, Path.cwd()):
        assert not list(folder.rglob("was_here"))
