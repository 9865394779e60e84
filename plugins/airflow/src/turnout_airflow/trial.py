"""``turnout airflow up|down``: an Airflow on this machine's loopback, to try things on."""

from __future__ import annotations

import json
import secrets
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from turnout.plugin_api import ConfigError, Plan, TrialServers, secret_variables, trial_command
from turnout_airflow.settings import AirflowSettings


class Trial(TrialServers):
    """API server, scheduler and DAG processor; tasks that start before the API answers would fail."""

    name = "airflow"
    tool = "Airflow"
    what = "Airflow: API server, scheduler, DAG processor, on SQLite"
    port = 8080
    health = "/api/v2/monitor/health"
    folders = ("dags", "plugins")  # plugins are found in a folder that was there only

    def commands(self, python: str, port: int) -> dict[str, list[str]]:
        """The API server first."""
        parts = {"api-server": (), "scheduler": ("--skip-serve-logs",), "dag-processor": ()}
        return {part: [python, "-m", "airflow", part, *options] for part, options in parts.items()}

    def environ(self, url: str, port: int) -> dict[str, str]:
        """Airflow's settings, all of them local, and eager for new files."""
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
        return {"AIRFLOW_HOME": str(self.home), **{f"AIRFLOW__{name}": value for name, value in settings.items()}}

    def used(self, url: str) -> str:
        """The variables of the ready-made stack."""
        return f"for the stack airflow: export AIRFLOW_HOME={self.home} AIRFLOW_URL={url}"

    def prepare(self, python: str, environ: Mapping[str, str]) -> None:
        """Make its database, or bring it up to date."""
        with (self.logs / "migrate.log").open("wb") as log:
            migrate = [python, "-m", "airflow", "db", "migrate"]
            done = subprocess.run(migrate, env=dict(environ), stdout=log, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise self.failure("migrate", "`airflow db migrate` failed")

    def healthy(self, answer: bytes) -> bool:
        """Whether it reaches its database."""
        try:
            return bool(json.loads(answer)["metadatabase"]["status"] == "healthy")
        except (ValueError, KeyError):
            return False


airflow = trial_command(Trial)


def see_secrets(plan: Plan, settings: AirflowSettings) -> None:
    """See that an Airflow of ``turnout airflow up`` has the variables in which the secrets of steps lie.

    Raises:
        ConfigError: when it was started without one.
    """
    home = Path(settings.dags_folder).parent
    environ = Trial(home).environ_at(settings.url, "scheduler") if settings.launch == "python" else None
    if environ is None:
        return
    for step in plan.steps:
        for secret, variable in (secret_variables(plan, step) or {}).items():
            if variable not in environ:
                given = f" --home {shlex.quote(str(home))}"
                port = settings.url.rstrip("/").rpartition(":")[2]
                raise ConfigError(
                    f"the Airflow at {settings.url} does not have the variable {variable}: the secret {secret!r} of "
                    f"{step.name}",
                    where=step.where,
                    why="a server has the variables that were set when it was started",
                    fix=f"export {variable}=…; turnout airflow down{given}; turnout airflow up{given} --port {port}",
                )
