"""``turnout TOOL up|down``: a tool's servers on this machine's loopback, in a folder of their own, to try things on."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from turnout.base.background import Background, last_line, see_free
from turnout.base.errors import ConfigError, RunError

if TYPE_CHECKING:
    import click


class TrialServers(ABC):
    """The servers of a tool in the folder *home*, without sign-in; ``processes.json`` there names what was started.

    A subclass says what is started, and :func:`command` makes ``up`` and ``down`` of it. The package of the tool is
    called as the command, and an extra of the plugin that brings it.
    """

    name: ClassVar[str]
    """What the command is called: ``mlflow``."""
    tool: ClassVar[str]
    """What people call the tool: ``MLflow``."""
    what: ClassVar[str]
    """What ``up`` starts, for its help: ``MLflow's server, on SQLite``."""
    port: ClassVar[int]
    """Where it answers by default."""
    health: ClassVar[str]
    """The path that answers when it is ready."""
    folders: ClassVar[tuple[str, ...]] = ()
    """Folders in *home* that are there before anything is started."""
    patience: ClassVar[float] = 120.0
    """Seconds until it answers: a database may be made first."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.logs = self.home / "server-logs"
        self._background = Background(self.home / "processes.json")

    @abstractmethod
    def commands(self, python: str, port: int) -> Mapping[str, list[str]]:
        """The command of each server by its name; the first answers before the others are started."""

    @abstractmethod
    def environ(self, url: str, port: int) -> dict[str, str]:
        """Variables of all servers, beside those of this process that are neither the tool's nor turnout's."""

    @abstractmethod
    def used(self, url: str) -> str:
        """What a stack, or its environment, is to be given to use it."""

    def prepare(self, python: str, environ: Mapping[str, str]) -> None:  # noqa: B027 - most need nothing
        """What is done before a server is started: migrating a database. Raises RunError, OSError."""

    def healthy(self, answer: bytes) -> bool:
        """Whether what came from :attr:`health` says that it is ready."""
        return True

    def up(self, port: int, python: str | None = None) -> str:
        """Start what does not run, and return the URL when it answers.

        Raises:
            ConfigError: when the tool is not installed, the port is taken, or the folder cannot be written.
            RunError: when it does not come up; nothing is left running then.
        """
        try:
            for folder in (*self.folders, self.logs.name):
                (self.home / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self.home} cannot be written: {error.strerror}", fix="choose another: --home"
            ) from error
        with self._background.starting():
            if set(self._background.running) != set(self.commands("", port)):
                self._start(port, python)
            return str(self._background.known["url"])

    def environ_at(self, url: str, server: str) -> Mapping[str, str] | None:
        """The variables that a server was started with; None where other servers, or none, are at *url*."""
        there = self._background.known.get("url") == url.rstrip("/")
        return self._background.environ(server) if there else None

    def down(self) -> list[str]:
        """Stop what :meth:`up` started and return the names of what was still running."""
        return self._background.stop() if self.home.is_dir() else []

    def failure(self, server: str, what: str) -> RunError:
        """That a server, or what prepares it, failed; its log says why."""
        log = self.logs / f"{server}.log"
        return RunError(what, why=last_line(log), fix=f"see {log}")

    def _start(self, port: int, python: str | None) -> None:
        self.down()
        if python is None and find_spec(self.name) is None:
            raise ConfigError(
                f"there is no {self.tool} in this environment",
                fix=f'pip install "turnout-{self.name}[{self.name}]" here, or in another and give it: --python PATH',
            )
        see_free(port, f"choose another: turnout {self.name} up --port {self.port + 1}")
        url, python = f"http://127.0.0.1:{port}", python or sys.executable
        left_out = (self.name.upper(), "TURNOUT")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        environ = {**inherited, **self.environ(url, port)}
        try:
            self.prepare(python, environ)
            for number, (server, command) in enumerate(self.commands(python, port).items()):
                self._background.start(server, command, self.logs / f"{server}.log", environ, url=url)
                if not number:
                    self._wait(server, url)
        except OSError as error:
            raise ConfigError(f"{python} cannot be started: {error.strerror}", fix="correct --python") from error
        except BaseException:
            self.down()
            raise

    def _wait(self, server: str, url: str) -> None:
        deadline = time.monotonic() + self.patience
        while not self._answers(url):
            if server not in self._background.running:
                raise self.failure(server, f"{self.tool}'s {server} ended")
            if time.monotonic() > deadline:
                raise self.failure(server, f"{self.tool}'s {server} does not answer after {self.patience:g} s")
            time.sleep(0.2)

    def _answers(self, url: str) -> bool:
        try:
            with urllib.request.urlopen(f"{url}{self.health}", timeout=5) as answer:  # noqa: S310 - http, on loopback
                return self.healthy(answer.read())
        except OSError:
            return False


def command(servers: type[TrialServers]) -> click.Group:
    """The command ``up|down`` of a tool's servers, for the hook ``turnout_commands``."""
    import click

    tool, article = servers.tool, "An" if servers.tool[0] in "AEIOU" else "A"
    group = click.Group(
        servers.name, help=f"{article} {tool} of this machine alone, in a folder of its own, to try things on."
    )
    home = click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(".turnout") / servers.name,
        show_default=True,
        help="The folder that all of it lies in.",
    )

    @group.command(
        help=f"Start {servers.what}; without sign-in, on loopback only.\n\n"
        "Exits 0 when it answers. Nothing happens where it runs already."
    )
    @home
    @click.option(
        "--port", type=click.IntRange(1, 65535), default=servers.port, show_default=True, help="Where it answers."
    )
    @click.option("--python", metavar="PATH", help=f"An interpreter that has {tool}; this one if it has.")
    def up(home: Path, port: int, python: str | None) -> None:
        trial = servers(home)
        url = trial.up(port, python)
        click.echo(f"{tool} is at {url}, its logs in {trial.logs}")
        if not url.endswith(f":{port}"):
            click.echo(f"it was running there already; for another port: turnout {servers.name} down, then up again")
        click.echo(trial.used(url))

    @group.command(help=f"Stop the {tool} that `up` started, and nothing else. What it knows stays in its folder.")
    @home
    def down(home: Path) -> None:
        stopped = servers(home).down()
        click.echo(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")

    return group
