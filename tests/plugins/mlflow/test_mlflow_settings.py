"""The plugin where MLflow is not: it is found, its settings are checked, its names follow MLflow's rules."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import project_fixture

from turnout.base.errors import ConfigError, ConfigErrors, PluginError, RunError
from turnout.cli import doctor
from turnout.components.registry import discover
from turnout.plugin_api import Git, Options
from turnout.project.project import load
from turnout.stack import tools
from turnout.stack.find import load_stack
from turnout.testing.plans import sample_run
from turnout_mlflow import names
from turnout_mlflow.connection import Connection
from turnout_mlflow.tracker import MlflowSettings, MlflowTracker, _own_tags

STACKS = Path(__file__).parents[3] / "stacks"


project = project_fixture({}, prepare=lambda root: (root / "stacks").mkdir())


def stack(project, tracker):
    (project / "stacks" / "it.yaml").write_text(f"extends: local\ntracker: {tracker}\n")
    return load_stack("it", load(project), discover(), {})


def test_the_plugin_is_found():
    assert discover().get("tracker", "mlflow") is MlflowTracker


@pytest.mark.parametrize(
    ("name", "uri"), [("local", "sqlite:///.turnout/mlflow/mlflow.db"), ("airflow", "http://127.0.0.1:5000")]
)
def test_the_ready_made_stacks_are_right(name, uri, project):
    if name != "local":
        pytest.importorskip(f"turnout_{name}", reason=f"the stack {name}-mlflow takes turnout-{name}, too")
    for stack in {name, f"{name}-mlflow"} - {"local"}:
        (project / "stacks" / f"{stack}.yaml").write_text((STACKS / f"{stack}.yaml").read_text())
    worker = load_stack(f"{name}-mlflow", load(project), discover(), {}).worker()
    assert (worker.tracker.type, worker.tracker.config) == ("mlflow", {"uri": uri})


def test_a_credential_waits_for_the_worker(project):
    worker = stack(project, "{type: mlflow, uri: 'http://h', username: ann, password: '${secret:mlflow}'}").worker()
    assert worker.tracker.config["password"] == "${secret:mlflow}"


@pytest.mark.parametrize(
    ("tracker", "text"),
    [
        ("{type: mlflow, uri: 'http://ann:hunter2@h'}", "holds a password or a token in clear"),
        ("{type: mlflow, uri: 'file:///tmp/runs'}", "neither that of a server nor of a database"),
        ("{type: mlflow, uri: runs}", "neither that of a server nor of a database"),
        ("{type: mlflow, password: hunter2}", "must not stand in a stack file"),
        ("{type: mlflow, steps: netsed}", "Did you mean 'nested'"),
        ("{type: mlflow, required: often}", "must be a bool"),
        ("{type: mlflow, autolog: 1}", "must be a bool or a list"),
        ("{type: mlflow, timeout: 0}", "must be an int >= 1"),
        ("{type: mlflow, url: 'http://h'}", "unknown setting 'url'"),
    ],
)
def test_settings_that_cannot_work_are_refused(project, tracker, text):
    with pytest.raises((ConfigError, ConfigErrors)) as caught:
        stack(project, tracker).component("tracker")
    assert text in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_where_mlflow_is_missing_the_fix_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("turnout_mlflow.connection.find_spec", lambda name: None)
    tracker = MlflowTracker(MlflowSettings(uri=f"sqlite:///{tmp_path}/m.db"))
    with pytest.raises(PluginError) as caught:
        tracker.begin(sample_run(), claimed=True)
    assert str(caught.value).splitlines() == [
        "MLflow is not installed where this step runs",
        "  fix: pip install 'turnout-mlflow[mlflow]'",
    ]


def test_the_doctor_says_what_the_stack_needs(project, monkeypatch):
    (project / "stacks" / "it.yaml").write_text("extends: local\ntracker: {type: mlflow}\n")
    for version, count in ((None, 1), ("2.9", 1), ("3.17.2", 0)):
        met = lambda needed, version=version: version is not None and needed.specifier.contains(version)  # noqa: E731
        monkeypatch.setattr(tools, "is_met", met)
        found = list(doctor._named_by_the_stack(discover(), load(project), "it"))
        assert [(one.level, one.plugin, one.what, one.fix) for one in found] == count * [
            (
                "warning",
                "mlflow",
                "the stack uses it, and mlflow>=3.17 is not installed here",
                "where steps run: pip install 'turnout-mlflow[mlflow]'",
            )
        ]


def test_an_error_shows_no_credential(monkeypatch):
    connection = Connection(
        "postgresql://ann:first@h/db", username="ann", password="second", token="third", timeout=1, retries=0
    )
    monkeypatch.setattr("turnout_mlflow.connection.find_spec", lambda name: True)
    monkeypatch.setitem(connection.__dict__, "_client", None)
    with pytest.raises(RunError) as caught, connection.client("to be tried"):
        raise OSError("no way to postgresql://ann:first@h/db with second, YW5uOnNlY29uZA== or third\nmore")
    assert str(caught.value).splitlines() == [
        "MLflow at postgresql://h/db failed to be tried",
        "  why: no way to postgresql://h/db with ***, *** or ***",
        "  fix: see that it answers there",
    ]
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("error", "why", "fix"),
    [
        (OSError("failed with error code 401 != 200"), None, "check username and password, or the token"),
        (OSError('FATAL: password authentication failed for user "ann"'), None, "check username and password"),
        (OSError("failed with error code 403 != 200"), None, "may write there"),
        (OSError("attempt to write a readonly database"), None, "may write there"),
        (
            OSError("(raised as a result of autoflush)\npermission denied for table runs"),
            "permission denied",
            "may write",
        ),
        (OSError("PERMISSION_DENIED: no"), None, "may write there"),
        (OSError("failed with error code 404 != 200"), None, "check the uri"),
        (OSError("Connection refused: host='h', port=4013, run 4040"), None, "see that it answers there"),
        (ModuleNotFoundError("No module named 'psycopg'", name="psycopg"), None, "pip install psycopg"),
    ],
)
def test_an_error_says_what_mends_it(monkeypatch, error, why, fix):
    connection = Connection("http://h", username=None, password=None, token=None, timeout=1, retries=0)
    monkeypatch.setattr("turnout_mlflow.connection.find_spec", lambda name: True)
    monkeypatch.setitem(connection.__dict__, "_client", None)
    with pytest.raises(RunError) as caught, connection.client("to be tried"):
        raise error
    assert fix in caught.value.fix
    assert caught.value.why.startswith(why or str(error))


def test_the_tags_of_a_run_say_where_it_comes_from():
    git, options = Git(commit="0123abc", dirty=True), Options(tags={"team": "ops", "a:b": "c"})
    run = msgspec.structs.replace(sample_run(), git=git, options=options, engine_url="http://engine/runs/7")
    tags = _own_tags(run)
    assert tags[names.key("a:b")] == "c"
    assert {
        "team": "ops",
        "mlflow.source.git.commit": "0123abc",
        "turnout.git_dirty": "true",
        "turnout.project": run.project,
        "turnout.pipeline": run.pipeline,
        "turnout.plan": run.plan,
        "turnout.stack": run.stack,
        "turnout.orchestrator": run.orchestrator,
        "turnout.engine_url": "http://engine/runs/7",
    }.items() <= tags.items()


def test_planning_imports_no_mlflow():
    code = (
        "import sys, turnout_mlflow.tracker as t; t.MlflowTracker(t.MlflowSettings()); print('mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


TEXTS = st.text(min_size=1, max_size=300)


@given(TEXTS, TEXTS)
def test_different_names_stay_different_and_follow_the_rules(one, other):
    for rule, pattern in ((names.key, r"[/\w.\- ]{1,250}\Z"), (names.folder, r"[A-Za-z0-9_.\- ]{1,250}\Z")):
        made = rule(one)
        assert re.match(pattern, made)
        assert not made.startswith((".", "/"))
        assert "//" not in made
        assert (made == rule(other)) is (one == other)


@pytest.mark.parametrize("name", ["fit/loss", "evaluate/val loss", "score/3/rmse.mean", "Verlust ß", "a-b_c"])
def test_plain_names_stay_as_they_are(name):
    assert names.key(name) == name


@pytest.mark.parametrize("name", ["../up", "/root", "a//b", "a/./b", ".", "..", "%", "a:b", "x\n", " x", "a/"])
def test_other_names_get_a_mark(name):
    assert re.fullmatch(r".*-[0-9a-f]{8}", names.key(name))
    assert re.fullmatch(r"[^/]*-[0-9a-f]{8}", names.folder(name))
