"""The suite a deployer must pass: an endpoint goes up, answers row for row, refuses what it should, and goes away.

A plugin's test file is one class::

    class TestMyDeployer(DeployerSuite):
        @pytest.fixture
        def deployer(self, tmp_path):
            return MyDeployer(MyDeployer.Config(namespace="test"))

The endpoint that it is tried on is made once a session; give a fixture ``served`` for another one.
"""

from __future__ import annotations

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
from turnout.model.endpoint_plan import EndpointPlan
from turnout.testing.component import ComponentSuite
from turnout.testing.endpoints import Served, make_served
from turnout.testing.processes import together

_served: dict[Path, Served] = {}


class DeployerSuite(ComponentSuite):
    """Subclass it, name the subclass ``Test…`` and give the fixture ``deployer``."""

    kind: ClassVar[str] = "deployer"
    patience: ClassVar[float] = 120.0
    """Seconds within which a deployment must be ready."""

    @pytest.fixture
    def deployer(self) -> Deployer[Any]:
        """A deployer whose tool has no deployment of the endpoint yet."""
        raise NotImplementedError("give the suite a fixture 'deployer'")

    @pytest.fixture
    def served(self, tmp_path_factory: pytest.TempPathFactory) -> Served:
        """The endpoint, with rows and what is due for them."""
        session = tmp_path_factory.getbasetemp()
        if session not in _served:
            _served[session] = make_served(tmp_path_factory.mktemp("served"))
        return _served[session]

    @pytest.fixture
    def component(self, deployer: Deployer[Any]) -> Component[Any]:
        """The deployer."""
        return deployer

    @pytest.fixture
    def ready(self, deployer: Deployer[Any], served: Served) -> Iterator[EndpointStatus]:
        """The endpoint deployed and ready; deleted afterwards."""
        deployer.deploy(served.endpoint, deployer.compile(served.endpoint), served.store)
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
        before = served.endpoint.encode()
        bundle = deployer.compile(served.endpoint)
        assert deployer.compile(served.endpoint) == bundle
        assert list(tmp_path.iterdir()) == [], "compile gives files as data and writes none"
        assert served.endpoint.encode() == before
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
        assert [one.version for one in ready.versions] == [served.endpoint.digest]
        assert ready in deployer.list()
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
        deployer.deploy(served.endpoint, deployer.compile(served.endpoint), served.store)
        assert self.wait(deployer, served.name).name == served.name
        assert deployer.predict(served.name, served.rows) == pytest.approx(served.predictions)

    def test_a_canary_answers_its_share(self, deployer: Deployer[Any], served: Served, ready: EndpointStatus) -> None:
        if "canary" not in deployer.capabilities:
            pytest.skip("this deployer has no canaries")
        canary = msgspec.structs.replace(served.endpoint, doc="the same, described anew")
        deployer.deploy(canary, deployer.compile(canary), served.store, share=0.25)
        shares = {one.version: one.share for one in self.wait(deployer, served.name).versions}
        assert shares == {served.endpoint.digest: 0.75, canary.digest: 0.25}
        assert deployer.predict(served.name, served.rows) == pytest.approx(served.predictions)
        deployer.rollback(served.name)
        assert [one.version for one in self.wait(deployer, served.name).versions] == [served.endpoint.digest]
        deployer.deploy(canary, deployer.compile(canary), served.store, share=0.25)
        deployer.promote(served.name)
        assert [one.version for one in self.wait(deployer, served.name).versions] == [canary.digest]
        assert deployer.predict(served.name, served.rows) == pytest.approx(served.predictions)

    def test_its_log_is_lines_of_text(self, deployer: Deployer[Any], served: Served, ready: EndpointStatus) -> None:
        if "logs" not in deployer.capabilities:
            with pytest.raises(DeployError, match=served.name):
                list(deployer.logs(served.name))
        else:
            assert all("\n" not in line for line in deployer.logs(served.name))

    def test_shares_are_more_than_none_and_at_most_all(self, deployer: Deployer[Any], served: Served) -> None:
        for share in (0.0, -0.5, 1.5):
            with pytest.raises(DeployError, match="share"):
                deployer.deploy(served.endpoint, deployer.compile(served.endpoint), served.store, share=share)

    def test_what_is_deleted_is_absent(self, deployer: Deployer[Any], served: Served, ready: EndpointStatus) -> None:
        deployer.delete(served.name)
        deployer.delete(served.name)
        assert deployer.status(served.name).state == "absent"
        with pytest.raises(DeployError, match=served.name):
            deployer.predict(served.name, served.rows)


def compiled(deployer: Deployer[Any], endpoint: EndpointPlan) -> Bundle:
    """The bundle of an endpoint, as another process compiles it."""
    return deployer.compile(endpoint)
