"""Endpoints from the command line: deployed, looked at, moved on and taken away, and what is wrong told with its fix."""

from __future__ import annotations

import json

import pytest
from projects import HERE, answer_here, project_fixture

PIPELINE = """\
import pyarrow as pa

from turnout import endpoint, pipeline, step


@step
def table(rows: int = 4) -> pa.Table:
    return pa.table({"x": [float(n) for n in range(rows)], "name": [str(n) for n in range(rows)]})


@step
def fit(rows: pa.Table) -> float:
    return 2.0


@step
def scaled(rows: pa.Table, factor: float) -> list[float]:
    return [x * factor for x in rows.column("x").to_pylist()]


@pipeline
def train():
    rows = table()
    scaled(rows, fit(rows))


@endpoint(train, like={"rows": "table"}, without={"rows": ["name"]})
def double(rows: pa.Table):
    return scaled(rows, train["fit"])
"""
STACK = """\
extends: local
deployer: {type: specimen, folder: deployments}
"""


project = project_fixture({"doubling.py": PIPELINE, "stacks/here.yaml": STACK}, name="served", more=HERE)


@pytest.fixture
def call(project):
    def called(*words, code=0):
        answer = answer_here(*words)
        assert answer.code == code, answer
        return answer.err if code == 2 else answer.out

    return called


def test_an_endpoint_goes_up_and_away(call, project):
    run = json.loads(call("run", "doubling.py", "--json"))["run"]
    told = call("deploy", "doubling.py")
    assert told.startswith("double is served at file://")
    assert f"of the run {run} of train\n  scaled answered 2 stored rows, as the run (largest difference 0)" in told
    document = json.loads(call("deploy", "doubling.py", "--json"))
    assert document["tried"]["compared"][0]["differing"] == 0
    assert json.loads(call("endpoints", "list", "--json"))[0]["versions"][0]["version"] == document["version"]
    assert call("endpoints", "list").split("\t")[:2] == ["double", "ready"]
    assert "answers 100%" in call("endpoints", "show", "double")
    assert call("endpoints", "predict", "double", "--count", "2") == '{"x":0.0}\n  0.0\n{"x":1.0}\n  2.0\n'
    (project / "rows.json").write_text('[{"x": 4}]')
    assert json.loads(call("endpoints", "predict", "double", "rows.json", "--json"))["predictions"] == [8.0]
    (project / "rows.json").write_text('{"x": 4}')
    assert "rows.json holds no rows" in call("endpoints", "predict", "double", "rows.json", code=2)
    assert json.loads(call("endpoints", "delete", "double", "--json")) == {"name": "double", "state": "absent"}
    assert call("endpoints", "list") == "no endpoint is deployed; deploy one: turnout deploy ENDPOINT\n"


def test_what_clients_send_is_taken_on_unless_less_is_accepted(call, project):
    call("run", "doubling.py")
    call("deploy", "doubling.py")
    text = (project / "doubling.py").read_text()
    (project / "doubling.py").write_text(text.replace(', without={"rows": ["name"]}', ""))
    told = call("deploy", "doubling.py", code=2)
    assert "would refuse what its live version" in told
    assert "takes: rows.name has to be given" in told
    assert "--accept schema" in told
    assert "is served at" in call("deploy", "doubling.py", "--accept", "schema")


def test_answers_that_are_not_the_runs_are_refused_unless_accepted(call, project):
    call("run", "doubling.py")
    text = (project / "doubling.py").read_text()
    (project / "doubling.py").write_text(text.replace("[x * factor for x", "[x * factor + 1 for x"))
    told = call("deploy", "doubling.py", code=2)
    assert "with other code: scaled changed since" in told
    told = call("deploy", "doubling.py", "--accept", "code", code=2)
    assert "scaled differs in 2 of 2 rows" in told
    assert "row 0 gives 1.0, and gave 0.0 in the run" in told
    accepted = ("--accept", "code", "--accept", "answers")
    assert "differs in 2: row 0 gives 1.0" in call("deploy", "doubling.py", *accepted)
    untried = ("--accept", "code", "--accept", "untried")
    assert "not tried on stored rows" in call("deploy", "doubling.py", *untried)


MISTAKES = {
    "no run yet": (("deploy", "doubling.py"), "train has no run that succeeded", "turnout run doubling:train"),
    "no such endpoint": (("deploy", "doubling.py:doubel"), "has no endpoint 'doubel'. Did you mean 'double'", "double"),
    "nothing deployed": (("endpoints", "show", "double"), "no endpoint double is deployed", "turnout deploy ENDPOINT"),
    "to delete": (("endpoints", "delete", "double"), "no endpoint double is deployed", "turnout deploy ENDPOINT"),
    "to go back": (("endpoints", "rollback", "double"), "no endpoint double is deployed", "turnout deploy ENDPOINT"),
    "acceptance": (("deploy", "doubling.py", "--accept", "shema"), "nothing called 'shema'", "code, schema, answers"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_is_wrong_is_told_with_what_to_type(call, case):
    words, what, fix = MISTAKES[case]
    told = call(*words, code=2)
    assert what in told
    assert fix in told.partition("fix: ")[2]


def test_what_there_is_no_run_or_alias_of(call):
    call("run", "doubling.py")
    told = call("deploy", "doubling.py", "--run", "champion", code=2)
    assert "no run and no alias 'champion'" in told
    assert "turnout promote RUN STEP --alias champion" in told
    call("deploy", "doubling.py")
    told = call("endpoints", "show", "doubel", code=2)
    assert "Did you mean 'double'" in told
    for command in ("promote", "rollback", "start", "logs"):
        told = call("endpoints", command, "double", code=2)
        assert "the specimen deployer cannot" in told
