"""What the tests of the engines share: a live Airflow, a service of containers, and how they are shared out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from airflow_server import AirflowServer  # noqa: E402
from containers import Podman, need_podman  # noqa: E402
from installed import need  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks for the live Airflow says so in its name: by that the tests are shared out."""
    asking = [one for one in items if isinstance(one, pytest.Function) and "airflow_server" in one.fixturenames]
    unnamed = [one.nodeid for one in asking if "airflow" not in one.nodeid]
    if unnamed:
        raise pytest.UsageError(
            f"these tests ask for Airflow, and neither they nor their files are called so: {unnamed}"
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """All that asks for the live Airflow goes to one process, so that there is one; else each file to any."""
    return ByEngine(config, log)


class ByEngine(LoadScopeScheduling):
    """Shares out the tests by the engine that they need."""

    def _split_scope(self, nodeid: str) -> str:
        return "airflow" if "airflow" in nodeid else nodeid.partition("::")[0]


@pytest.fixture(scope="session")
def airflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    """A live Airflow."""
    need("apache-airflow", "3.3")
    server = AirflowServer(tmp_path_factory.mktemp("airflow"))
    server.environment["TURNOUT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    with server:
        yield server


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """Podman as a service that speaks Docker's API (``DOCKER_HOST`` is its ``url``), and images for it."""
    need_podman()
    with Podman() as service:
        yield service
