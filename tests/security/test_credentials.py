"""Credentials in clear are refused wherever a stack may hold them, and never shown; references stay allowed."""

from __future__ import annotations

import itertools
import json
import os

import pytest
from projects import project_fixture

from turnout.base.credentials import REFERENCE, hidden, in_clear
from turnout.base.errors import ConfigError, ConfigErrors
from turnout.components.registry import discover
from turnout.project.project import load
from turnout.stack.check import check
from turnout.stack.find import load_stack, open_stack
from turnout.stack.render import to_plain, to_yaml
from turnout.stores.address import from_environment

CLEAR = [
    "http://ann:hunter2@host",
    "https://hunter2@host/simple",
    "https://hunter2:@host",
    "postgresql+psycopg2://ann:hunter2@host/db",
    "postgres://ann:hun/hunter2@host/db",
    "redis://:hunter2@host:6379/0",
    "s3://key:hunter2@bucket/folder",
    "git+https://hunter2@host/x.git",
    "//ann:hunter2@host",
    "http://host/x?page=1&password=hunter2",
    "http://host/x?api_key=hunter2",
    "http://host/x?pass%77ord=hunter2",
    "https://account.blob/x?sv=1&sig=hunter2",
    "https://host/#access_token=hunter2",
    "jdbc:postgresql://host/db?user=ann&password=hunter2",
    "host=db user=ann password=hunter2",
    "host=db user=ann password = 'hunter2'",
    "Server=host;Pwd=hunter2;",
    "AccountName=x;AccountKey=hunter2==;",
    "--token=hunter2",
    '{"password": "hunter2"}',
]
HARMLESS = [
    "http://localhost:8080",
    "http://host:8080/x@y",
    "abfs://container@account.dfs/x",
    "ssh://git@host/x.git",
    "sftp://ann@host/dags",
    "postgres://ann@host/db",
    "sqlite:///mlflow.db",
    "registry:5000/image:tag@sha256:00ff",
    "http://host/token/x?page=1",
    "/data/password=x/part",
    "models:/name@alias",
    "db/password",
    "http://host?trust_password=true",
    "${secret:x}",
]


@pytest.mark.parametrize("text", CLEAR)
def test_what_is_a_credential(text):
    assert any("hunter2" in credential for credential in in_clear(text))
    assert "hunter2" not in hidden(text)
    assert not list(in_clear(text.replace("hunter2", REFERENCE)))


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_none(text):
    assert not list(in_clear(text))
    assert hidden(text) == text


project = project_fixture({}, prepare=lambda root: (root / "stacks").mkdir())


BASE = {"orchestrator": {"type": "local"}, "artifact_store": {"root": "store"}}
PLACES = {
    "a store's root": ("artifact_store", {"type": "cloud", "root": "?"}),
    "a store's endpoint": ("artifact_store", {"root": "s3://b/x", "endpoint": "?"}),
    "a store's options": ("artifact_store", {"root": "s3://b/x", "options": {"x": "?"}}),
    "a dags folder": ("orchestrator", {"type": "airflow", "dags_folder": "?"}),
    "Airflow's url": ("orchestrator", {"type": "airflow", "url": "?"}),
    "variables of containers": ("orchestrator", {"type": "airflow", "environment": {"DB": "?"}}),
    "Kubeflow's url": ("orchestrator", {"type": "kubeflow", "url": "?"}),
    "what is installed": ("orchestrator", {"type": "kubeflow", "install": ["--index-url", "?"]}),
    "MLflow's uri": ("tracker", {"type": "mlflow", "uri": "?"}),
    "a folder of TensorBoard": ("tracker", {"type": "tensorboard", "folder": "?"}),
    "an observer": ("observers", [{"type": "jsonl", "path": "?"}]),
    "a package index": ("environment", {"index_url": "?"}),
    "further indexes": ("environment", {"extra_index_urls": ["https://fine/simple", "?"]}),
    "pages of wheels": ("environment", {"find_links": ["?"]}),
    "a secret store": ("secrets", {"type": "files", "folder": "?"}),
    "a step": ("steps", {"fit*": {"image": "?"}}),
    "an option of a step": ("steps", {"fit*": {"local": {}, "env": ["A"], "image": "?"}}),
    "a parameter": ("pipelines", {"flights": {"params": {"source": "?"}}}),
    "a tag": ("pipelines", {"flights": {"tags": {"source": "?"}}}),
}
EVERYWHERE = list(itertools.product(PLACES, ["http://ann:hunter2@host/x", "https://host/x?password=hunter2"]))


def written(project, place, text):
    section, settings = PLACES[place]
    document = json.loads(json.dumps({**BASE, section: settings}).replace('"?"', json.dumps(text)))
    (project / "stacks" / "it.yaml").write_text(json.dumps(document))
    return load(project), discover()


@pytest.mark.parametrize(("place", "text"), EVERYWHERE)
def test_a_credential_is_refused_in_every_component_and_never_shown(project, place, text):
    given = written(project, place, text)
    with pytest.raises((ConfigError, ConfigErrors)) as caught:
        load_stack("it", *given, {})
    assert "holds a password or a token in clear" in str(caught.value)
    assert "${secret:NAME}" in str(caught.value)
    stack = open_stack("it", *given, {})
    findings = check("it", *given, {})
    for shown in (str(caught.value), repr(findings), to_yaml(stack), json.dumps(to_plain(stack))):
        assert "hunter2" not in shown


@pytest.mark.parametrize("place", ["MLflow's uri", "a package index", "Airflow's url"])
@pytest.mark.parametrize("text", ["${env:URL}", "${worker-env:OTHER:-http://ann:hunter2@host}"])
def test_nor_does_it_come_in_by_a_variable_or_a_default(project, place, text):
    given = written(project, place, text)
    with pytest.raises((ConfigError, ConfigErrors)) as caught:
        load_stack("it", *given, {"URL": "http://ann:hunter2@host"})
    assert "holds a password or a token in clear" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("place", ["MLflow's uri", "a package index", "Airflow's url", "a dags folder"])
@pytest.mark.parametrize(
    "text", ["http://ann:${secret:x}@host", "https://${secret:x}@host", "https://h?token=${secret:x}"]
)
def test_a_reference_within_a_url_is_allowed(project, place, text):
    assert load_stack("it", *written(project, place, text), {}).name == "it"


def test_the_settings_to_use_instead_are_named(project):
    for place, names in {"Airflow's url": "`password: ${secret:NAME}` or `token: ${secret:NAME}`"}.items():
        with pytest.raises((ConfigError, ConfigErrors)) as caught:
            load_stack("it", *written(project, place, "http://ann:hunter2@host"), {})
        assert names in str(caught.value)


@pytest.mark.parametrize("name", ["root", "endpoint"])
def test_the_store_of_a_worker(name):
    settings = {"type": "cloud", "root": "s3://b/x", name: "https://key:hunter2@host"}
    with pytest.raises(ConfigError) as caught:
        from_environment({"TURNOUT_STORE": json.dumps(settings)})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_a_token_that_ends_in_a_line_feed_is_taken_without_it(project, end, monkeypatch):
    (project / "stacks" / "it.yaml").write_text(
        "extends: local\norchestrator: {type: airflow, token: '${secret:T}', password: '${worker-env:T}'}\n"
    )
    monkeypatch.setenv("T", f"hunter2{end}")
    stack = load_stack("it", load(project), discover(), dict(os.environ))
    config = stack.component("orchestrator").config
    assert stack.secret("T") == "hunter2"
    assert (config.token, config.password) == ("hunter2", "hunter2")


def test_a_steps_secret_has_no_line_feed_at_its_end(bench, monkeypatch):
    monkeypatch.setenv("T", "abc\r\n")
    bench.write("import os\ndef look():\n    return os.environ['PASSWORD'][::-1]\n")
    bench.make(bench.step("look", secrets={"PASSWORD": "T"}))
    assert bench.call("look").exit_code == 0
    assert bench.value("look") == "cba"


def test_a_credential_that_a_workers_variable_brings_is_kept_secret(monkeypatch):
    from turnout.stack.references import resolve_worker

    config, seen = resolve_worker({"uri": "${worker-env:URI}"}, {"URI": "http://ann:hunter2@host"}, str)
    assert config == {"uri": "http://ann:hunter2@host"}
    assert seen == {"hunter2"}
