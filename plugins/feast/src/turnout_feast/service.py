"""What is asked of Feast, by name: the same where it runs in this process and where it has one of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import msgspec

from turnout_feast import describing
from turnout_feast.historical import historical
from turnout_feast.online import online
from turnout_feast.repository import Repository
from turnout_feast.settings import FeastSettings
from turnout_feast.tags import tags
from turnout_feast.writing import materialize, push

Told = Callable[[str, float], None]


class Backend(Protocol):
    """Where Feast is."""

    def call(self, name: str, arguments: dict[str, Any], table: Any = None, progress: Told | None = None) -> Any:
        """Have one of :data:`CALLS` answered: a pyarrow table, or what JSON can say.

        Raises:
            TurnoutError: what Feast, or the way to it, has raised.
        """

    @property
    def place(self) -> str:
        """Where it is, in words for a user."""


class Service:
    """Feast in this process. Reads online have a repository of their own: nothing else keeps them waiting."""

    def __init__(self, settings: FeastSettings) -> None:
        self._settings = settings
        self._lanes = {True: _Lane(settings), False: _Lane(settings)}

    def call(self, name: str, arguments: dict[str, Any], table: Any = None, progress: Told | None = None) -> Any:
        """As :class:`Backend` has it."""
        lane = self._lanes[name == "online"]
        with lane.lock:
            return CALLS[name](lane.repository(), arguments, table, progress or _untold)

    @property
    def place(self) -> str:
        """As :class:`Backend` has it."""
        import feast

        return f"Feast {feast.__version__} in this process"

    def needs_folder(self) -> bool:
        """Whether data is named by paths that only a process in the repository's folder finds."""
        lane = self._lanes[False]
        with lane.lock:
            return lane.repository().relative_sources()


class _Lane:
    def __init__(self, settings: FeastSettings) -> None:
        self.lock = threading.Lock()
        self._settings = settings
        self._repository: Repository | None = None

    def repository(self) -> Repository:
        if self._repository is None:
            self._repository = Repository(self._settings)
        return self._repository


def _historical(repository: Repository, arguments: dict[str, Any], table: Any, _: Told) -> Any:
    return historical(
        repository,
        table,
        arguments["features"],
        keys=arguments["keys"],
        timestamp=arguments["timestamp"],
        known_at=arguments["known_at"],
    )


def _online(repository: Repository, arguments: dict[str, Any], table: Any, _: Told) -> Any:
    return online(repository, table, arguments["features"], keys=arguments["keys"])


def _materialize(repository: Repository, arguments: dict[str, Any], _: Any, progress: Told) -> Any:
    since = arguments["since"]
    done = materialize(
        repository,
        datetime.fromisoformat(arguments["until"]),
        since=None if since is None else datetime.fromisoformat(since),
        views=arguments["views"],
        force=arguments["force"],
        progress=progress,
    )
    return msgspec.to_builtins(done)


def _push(repository: Repository, arguments: dict[str, Any], table: Any, _: Told) -> int:
    return push(repository, arguments["view"], table)


def _version(repository: Repository, arguments: dict[str, Any], _: Any, __: Told) -> str:
    return repository.version(arguments["features"])


def _tags(repository: Repository, arguments: dict[str, Any], _: Any, __: Told) -> dict[str, str]:
    return tags(repository, arguments["features"], arguments["services"])


def _resolve(repository: Repository, arguments: dict[str, Any], _: Any, __: Told) -> list[str]:
    return list(repository.service(arguments["service"]))


def _describe(repository: Repository, _: dict[str, Any], __: Any, ___: Told) -> Any:
    return msgspec.to_builtins(describing.describe(repository))


def _untold(view: str, share: float) -> None:
    """Nobody is told of progress."""


CALLS: dict[str, Callable[[Repository, dict[str, Any], Any, Told], Any]] = {
    "historical": _historical,
    "online": _online,
    "materialize": _materialize,
    "push": _push,
    "version": _version,
    "tags": _tags,
    "resolve": _resolve,
    "describe": _describe,
}
