"""Steps of kfp.local in containers: what is asked for before a run starts, and what a container that ends comes to."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from turnout.model.plan import Component as WorkerComponent
from turnout.plugin_api import PluginError, RunError, Submission, Worker
from turnout.stores.local import LocalStore
from turnout.testing.plans import sample_plan, sample_step
from turnout_kubeflow import containers
from turnout_kubeflow import local as local_module
from turnout_kubeflow.local import KubeflowLocalOrchestrator
from turnout_kubeflow.settings import KubeflowLocalSettings


class Missing(Exception):
    """An image that is not there, a daemon that does not answer."""


class Container:
    """Ends when it is looked at for the second time, and is gone once it is removed."""

    def __init__(self, code: int) -> None:
        self.attrs = {"State": {"Status": "created", "ExitCode": 0}}
        self.looks = [{"Status": "running", "ExitCode": 0}, {"Status": "exited", "ExitCode": code}]
        self.removed = False

    def reload(self) -> None:
        assert not self.removed
        self.attrs = {"State": self.looks.pop(0)}

    def logs(self) -> bytes:
        assert not self.removed
        return b"what it said \xff\n"

    def remove(self, force: bool) -> None:
        self.removed = True


class Client:
    """Docker's client, with one image to be pulled and one container to be started."""

    def __init__(self, code: int = 0, *, fails: bool = False) -> None:
        self.container, self.fails, self.asked = Container(code), fails, []
        self.images = self.containers = self

    def ping(self) -> None:
        if self.fails:
            raise Missing("no socket\nand more")

    def get(self, image: str) -> None:
        if image != "here:1":
            raise Missing

    def pull(self, image: str) -> None:
        if image != "there:1":
            raise Missing("no registry\nand more")

    def run(self, **given: Any) -> Container:
        if self.fails:
            self.container.reload = self._broken  # type: ignore[method-assign]
        self.asked.append(given)
        return self.container

    def close(self) -> None:
        pass

    def _broken(self) -> None:
        raise RuntimeError("the daemon is gone")


@pytest.fixture(autouse=True)
def docker(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = types.SimpleNamespace(ImageNotFound=Missing, NotFound=Missing, APIError=Missing, DockerException=Missing)
    module = types.SimpleNamespace(errors=errors, from_env=Client)
    monkeypatch.setitem(sys.modules, "docker", module)  # type: ignore[arg-type]
    monkeypatch.setattr(containers, "LOOK", 0.0)


def test_a_container_is_asked_for_its_exit_code_before_it_is_removed(capsys):
    client = Client(7)
    assert containers.run(client, "team/image:1", ["python3"], {}, user="1:1") == 7
    (given,) = client.asked
    assert given == {"image": "team/image:1", "command": ["python3"], "detach": True, "volumes": {}, "user": "1:1"}
    assert client.container.removed
    assert "what it said" in capsys.readouterr().out


def test_a_container_is_removed_whatever_happens():
    client = Client(fails=True)
    with pytest.raises(RuntimeError, match="the daemon is gone"):
        containers.run(client, "image", [], {})
    assert client.container.removed


def test_what_is_missing_is_said_before_anything_runs(monkeypatch, tmp_path):
    settings = KubeflowLocalSettings(folder=str(tmp_path / "kfp"), launch="image", image="here:1")
    orchestrator = KubeflowLocalOrchestrator(settings)
    plan = sample_plan(sample_step("fit", image="there:1"), sample_step("publish", image="nowhere:1"))
    monkeypatch.setattr(local_module, "find_spec", lambda name: name)

    def refused(kind: type[Exception]) -> Any:
        with pytest.raises(kind) as caught:
            orchestrator.submit(plan, orchestrator.compile(plan), Submission(), None)
        assert not (tmp_path / "kfp").exists()
        return caught.value

    monkeypatch.setattr(containers, "find_spec", lambda name: None)
    assert refused(PluginError).fix == 'pip install "turnout-kubeflow[containers]"'
    monkeypatch.setattr(containers, "find_spec", lambda name: name)
    error = refused(RunError)
    assert (error.what, error.why) == ("the image nowhere:1 is not here and cannot be pulled", "no registry")
    monkeypatch.setattr(sys.modules["docker"], "from_env", lambda: Client(fails=True))
    error = refused(RunError)
    assert (error.what, error.why) == ("nothing answers that could start containers", "no socket")


def test_containers_get_what_steps_ask_for_and_what_is_named(monkeypatch, tmp_path):
    """Names alone are written down; a variable that is not there is not given."""
    for name in ("REGION", "APP_db", "AWS_PROFILE", "OTHER"):
        monkeypatch.setenv(name, "hush-hush")
    plan = sample_plan(
        sample_step("fit", env=("REGION", "ABSENT"), secrets={"DB": "db"}),
        worker=Worker(secrets=WorkerComponent(type="env", config={"prefix": "APP_"})),
    )
    store = LocalStore.from_url(str(tmp_path / "store"))
    settings = KubeflowLocalSettings(launch="image", variables=("AWS_PROFILE",), folders=("/data",), network="host")
    found = KubeflowLocalOrchestrator(settings)._containers(plan, store)
    assert found == {
        "environment": ["APP_db", "AWS_PROFILE", "REGION", "TURNOUT_ENGINE_RUN", "TURNOUT_LOGS", "TURNOUT_STORE"],
        "folders": [str(tmp_path / "store"), "/data"],
        "network": "host",
    }
    assert KubeflowLocalOrchestrator(KubeflowLocalSettings())._containers(plan, store) is None
