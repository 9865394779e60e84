"""What the tests of Feast share: online stores, each started once, and repositories on them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "engines")]

import repositories  # noqa: E402
from servers import SERVERS  # noqa: E402

NOISE = (
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore:On demand feature view is an experimental feature:RuntimeWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::ResourceWarning",
)
"""What Feast and its libraries warn of in their own code."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Feast warn."""
    for item in items:
        for text in NOISE:
            item.add_marker(pytest.mark.filterwarnings(text))


@pytest.fixture(scope="session")
def online_store() -> Iterator[Callable[[str], dict[str, Any]]]:
    """The settings of an online store by its name; its server is started when it is first asked for."""
    started: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:

        def get(name: str) -> dict[str, Any]:
            if name not in started:
                started[name] = stack.enter_context(SERVERS[name]())
            return started[name]

        yield get


@pytest.fixture
def repository(tmp_path: Path) -> Callable[..., Path]:
    """Makes a repository with the views of the suite."""

    def make(offline: str = "duckdb", online: Any = None, **further: Any) -> Path:
        store = online or {"type": "sqlite", "path": "online.db"}
        return repositories.make(tmp_path / "repo", offline=offline, online=store, **further)

    return make
