"""The suite a deployer must pass: an endpoint goes up, answers row for row, refuses what it should, and goes away.

A plugin's test file is one class::

    class TestMyDeployer(DeployerSuite):
        @pytest.fixture
        def deployer(self, tmp_path):
            return MyDeployer(MyDeployer.Config(namespace="test"))

        @pytest.fixture
        def served(self):
            return Served(endpoint=…, name="delay", rows=…, predictions=…, bad_rows=…)
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, get_args

import msgspec
import pytest

from turnout.base.errors import DeployError
from turnout.components.base import Component
from turnout.components.deployer import Deployer, EndpointStatus
from turnout.components.orchestrator import Bundle
from turnout.model.capability import Support
from turnout.testing.component import ComponentSuite
from turnout.testing.processes import together


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint to try a deployer on: its plan and name, rows with the predictions due, and rows to refuse."""

    endpoint: Any
    name: str
    rows: list[dict[str, Any]]
    predictions: list[Any]
    bad_rows: list[dict[str, Any]] = []


class DeployerSuite(ComponentSuite):
    """Subclass it, name the subclass ``Test…`` and give the fixtures ``deployer`` and ``served``."""

    kind: ClassVar[str] = "deployer"
    patience: ClassVar[float] = 120.0
    """Seconds within which a deployment must be ready."""

    @pytest.fixture
    def deployer(self) -> Deployer[Any]:
        """A deployer whose tool has no deployment of the endpoint yet."""
        raise NotImplementedError("give the suite a fixture 'deployer'")

    @pytest.fixture
    def served(self) -> Served:
        """The endpoint, with rows and what is due for them."""
        raise NotImplementedError("give the suite a fixture 'served'")

    @pytest.fixture
    def component(self, deployer: Deployer[Any]) -> Component[Any]:
        """The deployer."""
        return deployer

    @pytest.fixture
    def ready(self, deployer: Deployer[Any], served: Served) -> Iterator[EndpointStatus]:
        """The endpoint deployed and ready; deleted afterwards."""
        deployer.deploy(served.endpoint, deployer.compile(served.endpoint))
        try:
            yield self.wait(deployer, served.name)
        finally:
            deployer.delete(served.name)

    def wait(self, deployer: Deployer[Any], name: str) -> EndpointStatus:
        """Wait until a deployment is ready."""
        until = time.monotonic() + self.patience
        while (status := deployer.status(name)).state == "starting" and time.monotonic() < until:
            time.sleep(0.1)
        assert status.state == "ready", status.message
        return status

    def test_its_capabilities_are_said(self, deployer: Deployer[Any]) -> None:
        assert set(deployer.capabilities.values()) <= set(get_args(Support))

    def test_compiling_is_pure(
        self, deployer: Deployer[Any], served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        before = pickle.dumps(served.endpoint)
        bundle = deployer.compile(served.endpoint)
        assert deployer.compile(served.endpoint) == bundle
        assert list(tmp_path.iterdir()) == [], "compile gives files as data and writes none"
        assert pickle.dumps(served.endpoint) == before
        others = together(deployer, *[(compiled, (served.endpoint,))] * 2, hash_seeds=("1", "4242"))
        assert others == [bundle, bundle], "the same endpoint must give the same bytes in every process"

    def test_its_files_stay_in_their_folder(self, deployer: Deployer[Any], served: Served) -> None:
        bundle = deployer.compile(served.endpoint)
        for name, data in bundle.files.items():
            assert isinstance(data, bytes)
            assert not PurePosixPath(name).is_absolute()
            assert ".." not in PurePosixPath(name).parts
        assert bundle.entrypoint == "" or bundle.entrypoint in bundle.files

    def test_what_is_not_deployed_is_absent(self, deployer: Deployer[Any], served: Served) -> None:
        assert deployer.status(served.name).state == "absent"
        with pytest.raises(DeployError, match=served.name):
            deployer.predict(served.name, served.rows)
        deployer.delete(served.name)

    def test_it_answers_row_for_row(self, deployer: Deployer[Any], served: Served, ready: EndpointStatus) -> None:
        assert ready.name == served.name
        assert deployer.predict(served.name, served.rows) == pytest.approx(served.predictions)
        backwards = deployer.predict(served.name, served.rows[::-1])
        assert backwards == pytest.approx(served.predictions[::-1])
        again = type(deployer)(deployer.config)
        assert again.predict(served.name, served.rows[:1]) == pytest.approx(served.predictions[:1])

    def test_no_rows_give_no_predictions(self, deployer: Deployer[Any], served: Served, ready: EndpointStatus) -> None:
        assert deployer.predict(served.name, []) == []

    def test_bad_rows_are_refused(self, deployer: Deployer[Any], served: Served, ready: EndpointStatus) -> None:
        for row in served.bad_rows:
            with pytest.raises(DeployError):
                deployer.predict(served.name, [*served.rows, row])
        assert deployer.predict(served.name, served.rows) == pytest.approx(served.predictions)

    def test_deploying_again_updates(self, deployer: Deployer[Any], served: Served, ready: EndpointStatus) -> None:
        deployer.deploy(served.endpoint, deployer.compile(served.endpoint))
        assert self.wait(deployer, served.name).name == served.name
        assert deployer.predict(served.name, served.rows) == pytest.approx(served.predictions)

    def test_what_is_deleted_is_absent(self, deployer: Deployer[Any], served: Served, ready: EndpointStatus) -> None:
        deployer.delete(served.name)
        deployer.delete(served.name)
        assert deployer.status(served.name).state == "absent"
        with pytest.raises(DeployError, match=served.name):
            deployer.predict(served.name, served.rows)


def compiled(deployer: Deployer[Any], endpoint: Any) -> Bundle:
    """The bundle of an endpoint, as another process compiles it."""
    return deployer.compile(endpoint)
