"""The commands for stacks and plugins, on the built-in components."""

import json

import pytest
from click.testing import CliRunner

from turnout.cli.plugin import plugin
from turnout.cli.stack import stack
from turnout.stack import shipped

PROD = """extends: local
artifact_store: {root: "s3://bucket/x", credentials: "${secret:s3}"}
secrets: {type: files, folder: "${worker-env:SECRETS}"}
observers: [{type: jsonl, path: "${env:EVENTS:-e.jsonl}"}]
feature_store: {type: local, folder: f, views: {w: {keys: [e], timestamp: t}}}
"""


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("s3", "hunter2")
    monkeypatch.setenv("EVENTS", "hunter2.jsonl")
    for name in ("TURNOUT_STACK", "SECRETS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pyproject.toml").write_text('[tool.turnout]\nstack = "prod"\n')
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "prod.yaml").write_text(PROD)

    def run(*arguments, command=stack):
        result = CliRunner().invoke(command, arguments, catch_exceptions=False)
        assert "hunter2" not in result.output
        return result

    return run


def test_list_marks_the_default(call, monkeypatch):
    monkeypatch.setattr(shipped, "folders", lambda: iter(()))
    assert call("list").output == "local\t\tbuilt in\nprod\t*\tstacks/prod.yaml\n"
    assert json.loads(call("list", "--json").output)[1] == {
        "name": "prod",
        "file": "stacks/prod.yaml",
        "from": "",
        "default": True,
    }


def test_show_prints_the_merged_stack(call, snapshot):
    assert call("show").output == snapshot
    shown = json.loads(call("show", "--json").output)
    assert shown["files"] == ["stacks/prod.yaml", "turnout:local.yaml"]
    assert shown["stack"]["artifact_store"]["credentials"] == "${secret:s3}"
    assert shown["places"]["tracker.type"] == "turnout:local.yaml:4"
    assert len(shown["digest"]) == 64


def test_check_tells_errors_from_warnings_by_its_exit(call, tmp_path):
    result = call("check")
    assert (result.exit_code, result.output) == (
        0,
        "warning: stacks/prod.yaml:3: the environment variable 'SECRETS' is not set here\n  why: workers need it\n",
    )
    assert call("check", "local").output == "the stack is in order\n"
    (tmp_path / "stacks" / "bad.yaml").write_text("extends: local\ntracker: {type: nnoe}\n")
    result = call("check", "bad")
    assert result.exit_code == 2
    assert result.output == "error: stacks/bad.yaml:2: unknown tracker 'nnoe'. Did you mean 'none'?\n"
    result = call("check", "bad", "--json")
    assert result.exit_code == 2
    assert json.loads(result.output)[0]["level"] == "error"


def test_diff_prints_each_value_that_differs(call, tmp_path):
    (tmp_path / "stacks" / "other.yaml").write_text("extends: local\nartifact_store: {root: elsewhere}\n")
    assert call("diff", "local", "other").output == (
        "artifact_store.root\n  - .turnout/store  # turnout:local.yaml:3\n  + elsewhere  # stacks/other.yaml:2\n"
    )
    assert call("diff", "local", "local").output == "the stacks are the same\n"
    assert json.loads(call("diff", "local", "other", "--json").output)[0]["path"] == "artifact_store.root"


def test_schema_takes_the_built_in_stack(call, tmp_path):
    import jsonschema

    schema = json.loads(call("schema").output)
    jsonschema.Draft202012Validator.check_schema(schema)
    shown = json.loads(call("show", "--json").output)["stack"]
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(shown)) == []


def test_plugins_are_listed(call):
    text = call("list", command=plugin).output
    assert text.startswith("turnout (turnout 0.")
    assert "\n  orchestrator: local\n" in text
    assert "\n  artifact store: local, cloud\n" in text
    listed = json.loads(call("list", "--json", command=plugin).output)
    assert listed[0]["components"]["secret_store"] == ["env", "files"]
