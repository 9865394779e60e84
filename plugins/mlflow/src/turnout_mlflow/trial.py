"""An MLflow in a folder of its own: its server, its database and its artifacts."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from turnout.plugin_api import Background, ConfigError, RunError, last_line, see_free

PATIENCE = 120.0
"""How many seconds the server may take to answer: it makes its database first."""


class Trial:
    """MLflow in the folder *home*; ``processes.json`` there names the process that was started."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.log = self.home / "server.log"
        self._background = Background(self.home / "processes.json")

    def up(self, port: int, python: str | None = None) -> str:
        """Start the server unless it runs, and return its URL when it answers.

        Raises:
            ConfigError: when there is no MLflow to start, the port is taken, or the folder cannot be made.
            RunError: when it does not come up; nothing is left running then.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.home} cannot be made: {error.strerror}", fix="choose another: --home") from error
        with self._background.starting():
            if not self._background.running:
                self._start(port, python)
            return str(self._background.known["url"])

    def _start(self, port: int, python: str | None) -> None:
        self.down()
        if python is None and find_spec("mlflow") is None:
            raise ConfigError(
                "there is no MLflow in this environment",
                fix='pip install "turnout-mlflow[mlflow]" here, or in another and give it: --python PATH',
            )
        see_free(port, "choose another: turnout mlflow up --port 5001")
        url = f"http://127.0.0.1:{port}"
        try:
            self._background.start(
                "server", self._command(python or sys.executable, port), self.log, _environ(), url=url
            )
            self._wait(url)
        except OSError as error:
            raise ConfigError(f"{python} cannot be started: {error.strerror}", fix="correct --python") from error
        except BaseException:
            self.down()
            raise

    def down(self) -> list[str]:
        """Stop what :meth:`up` started and return the names of what was still running."""
        return self._background.stop() if self.home.is_dir() else []

    def _command(self, python: str, port: int) -> list[str]:
        options = {
            "--backend-store-uri": f"sqlite:///{self.home / 'mlflow.db'}",
            "--artifacts-destination": str(self.home / "artifacts"),
            "--host": "127.0.0.1",
            "--port": str(port),
            "--workers": "1",
            "--uvicorn-opts": "--timeout-graceful-shutdown 2",  # a browser keeps its connections
        }
        return [python, "-m", "mlflow", "server", *(word for option in options.items() for word in option)]

    def _wait(self, url: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not _healthy(url):
            if not self._background.running:
                raise RunError("MLflow's server ended", why=last_line(self.log), fix=f"see {self.log}")
            if time.monotonic() > deadline:
                raise RunError(f"MLflow's server does not answer after {PATIENCE:g} s", fix=f"see {self.log}")
            time.sleep(0.2)


def _environ() -> dict[str, str]:
    """The environment without what would make it another MLflow; it tells nobody of its use and runs no jobs."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "TURNOUT"))}
    return {**inherited, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False
