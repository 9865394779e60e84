"""``turnout mlflow up|down``: an MLflow on this machine's loopback, to try things on."""

from __future__ import annotations

from turnout.plugin_api import TrialServers, trial_command


class Trial(TrialServers):
    """MLflow's server, its database and its artifacts."""

    name = "mlflow"
    tool = "MLflow"
    what = "MLflow's server, on SQLite"
    port = 5000
    health = "/health"

    def commands(self, python: str, port: int) -> dict[str, list[str]]:
        """The one server."""
        options = {
            "--backend-store-uri": f"sqlite:///{self.home / 'mlflow.db'}",
            "--artifacts-destination": str(self.home / "artifacts"),
            "--host": "127.0.0.1",
            "--port": str(port),
            "--workers": "1",
            "--uvicorn-opts": "--timeout-graceful-shutdown 2",  # a browser keeps its connections
        }
        return {"server": [python, "-m", "mlflow", "server", *(word for option in options.items() for word in option)]}

    def environ(self, url: str, port: int) -> dict[str, str]:
        """It tells nobody of its use and runs no jobs."""
        return {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

    def used(self, url: str) -> str:
        """A tracker."""
        return f"for a stack: tracker: {{type: mlflow, uri: {url}}}"


mlflow = trial_command(Trial)
