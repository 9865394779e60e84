"""An Airflow in a folder of its own: what is started is written down, so that exactly that is stopped."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from turnout.plugin_api import Background, ConfigError, RunError, last_line, see_free

PARTS = {"api-server": (), "scheduler": ("--skip-serve-logs",), "dag-processor": ()}
"""What is started, in this order; tasks that start before the API answers would fail."""
PATIENCE = 120.0
"""How many seconds the API server may take to answer."""


class Trial:
    """Airflow in the folder *home*; ``processes.json`` there names the processes that were started."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self._background = Background(self.home / "processes.json")

    def up(self, port: int, python: str | None = None) -> str:
        """Start what does not run, and return the URL when it answers.

        Raises:
            ConfigError: when there is no Airflow to start, or the port is taken.
            RunError: when it does not come up; nothing is left running then.
        """
        try:
            for folder in ("dags", "plugins", "server-logs"):  # plugins are found in a folder that was there only
                (self.home / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self.home} cannot be written: {error.strerror}", fix="choose another: --home"
            ) from error
        with self._background.starting():
            if set(self._background.running) != set(PARTS):
                self._start(port, python)
            return str(self._background.known["url"])

    def _start(self, port: int, python: str | None) -> None:
        self.down()
        interpreter = python or sys.executable
        if python is None and find_spec("airflow") is None:
            raise ConfigError(
                "there is no Airflow in this environment",
                fix='pip install "turnout-airflow[airflow]" here, or in another and give it: --python PATH',
            )
        see_free(port, "choose another: turnout airflow up --port 8081")
        url = f"http://127.0.0.1:{port}"
        environment = self._environment(url, port)
        self._migrate(interpreter, environment)
        try:
            for part, options in PARTS.items():
                log = self.home / "server-logs" / f"{part}.log"
                self._background.start(part, [interpreter, "-m", "airflow", part, *options], log, environment, url=url)
                if part == "api-server":
                    self._wait(url)
        except BaseException:
            self.down()
            raise

    def down(self) -> list[str]:
        """Stop what :meth:`up` started and return the names of what was still running."""
        return self._background.stop()

    def _environment(self, url: str, port: int) -> dict[str, str]:
        settings = {
            "CORE__DAGS_FOLDER": str(self.home / "dags"),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__PARALLELISM": "4",
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home / 'airflow.db'}",
            "API__HOST": "127.0.0.1",
            "API__PORT": str(port),
            "API__BASE_URL": url,
            "API__WORKERS": "1",
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "DAG_PROCESSOR__REFRESH_INTERVAL": "2",
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2",
            "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "WORKERS__EXECUTION_API_TIMEOUT": "60",
            "USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TURNOUT"))}
        return {
            **inherited,
            "AIRFLOW_HOME": str(self.home),
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        }

    def _migrate(self, python: str, environment: dict[str, str]) -> None:
        with (self.home / "server-logs" / "migrate.log").open("wb") as log:
            command = [python, "-m", "airflow", "db", "migrate"]
            try:
                done = subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
            except OSError as error:
                raise ConfigError(f"{python} cannot be started: {error.strerror}", fix="correct --python") from error
        if done.returncode != 0:
            raise self._failure("migrate", "`airflow db migrate` failed")

    def _wait(self, url: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            if _healthy(url):
                return
            if "api-server" not in self._background.running:
                raise self._failure("api-server", "Airflow's API server ended")
            if time.monotonic() > deadline:
                raise self._failure("api-server", f"Airflow's API server does not answer after {PATIENCE:g} s")
            time.sleep(0.25)

    def _failure(self, part: str, what: str) -> RunError:
        log = self.home / "server-logs" / f"{part}.log"
        return RunError(what, why=last_line(log), fix=f"see {log}")


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310
            return bool(json.load(answer)["metadatabase"]["status"] == "healthy")
    except (OSError, ValueError, KeyError):
        return False
