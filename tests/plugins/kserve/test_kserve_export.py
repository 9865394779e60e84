"""Endpoints exported by the ready-made stacks: the same bytes, held to their lock, with no secret in them."""

import json

import pytest
import yaml
from crds import problems
from projects import call_here, entered, write

PIPELINE = """\
from turnout import endpoint, pipeline, step


@step
def fit(factor: float) -> float:
    return factor


@step(secrets={"TOKEN": "api"})
def scaled(x: float, factor: float) -> float:
    return x * factor


@pipeline
def train(factor: float = 2.0):
    fit(factor)


@endpoint(train)
def double(x: float):
    return scaled(x, train["fit"])
"""
STACK = """\
extends: {name}
secrets: {{type: env}}
deployer: {{kubernetes_secrets: {{api: tokens/api}}}}
artifact_store: {{root: .turnout/store}}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("TURNOUT_STORE", "s3://bucket/turnout")
    monkeypatch.setenv("TURNOUT_IMAGE", "registry.example/doubling:1")
    monkeypatch.setenv("TURNOUT_MICROSERVICE_IMAGE", "registry.example/microservice:1")
    stacks = {f"stacks/{name}-own.yaml": STACK.format(name=name) for name in ("kserve", "seldon", "seldon-v2")}
    stacks["stacks/leaking.yaml"] = 'extends: kserve\ndeployer:\n  environment: {TOKEN: "${secret:api}"}\n'
    pyproject = "[project]\nname = 'served'\nversion = '1'\n"
    files = {"pyproject.toml": pyproject, "doubling.py": PIPELINE, **stacks}
    with entered(write(tmp_path / "project", files)) as path:
        yield path


def test_each_stack_exports_what_its_lock_says(project, tmp_path, capfd):
    call_here("run", "doubling.py")
    for name in ("kserve", "seldon", "seldon-v2"):
        folder = tmp_path / name
        words = ("export", "doubling.py:double", "--stack", f"{name}-own", "-o", str(folder))
        call_here(*words)
        call_here("run", "doubling.py", "-p", f"factor={len(name)}")
        capfd.readouterr()
        call_here(*words, "--check", "--json")
        assert json.loads(capfd.readouterr().out)["changed"] == []
        resources = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
        for resource in resources:
            for document in yaml.safe_load_all((folder / resource).read_text()):
                assert document["kind"] == "ConfigMap" or problems(document) == []
        main = (folder / resources[1]).read_text()
        assert "secretKeyRef:\n" in main
        assert "registry.example/doubling:1" in main


def test_a_secret_in_a_deployers_settings_is_refused(project, capfd):
    call_here("run", "doubling.py")
    capfd.readouterr()
    call_here("export", "doubling.py:double", "--stack", "leaking", "-o", "out", code=2)
    error = capfd.readouterr().err
    assert "stacks/leaking.yaml:3: the setting 'environment' of deployer 'kserve' goes into exported files" in error
    assert "deployer.kubernetes_secrets" in error
