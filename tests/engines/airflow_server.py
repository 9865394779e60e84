"""A real Airflow on this machine's loopback: API server, scheduler and DAG processor, on SQLite unless told otherwise."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

ENDED = ("success", "failed")
PARTS = {"api-server": (), "scheduler": ("--skip-serve-logs",), "dag-processor": ()}


class AirflowServer:
    """Airflow in *home*; everything it is told goes by environment variables. Use it as a context manager.

    Each of its processes is a session of its own, so that stopping one takes its children along.

    Args:
        parts: what is started of it.
        certificate: a file with certificate and key; it then speaks TLS.
        token: what it is called with, where it asks for one.
        settings: more settings, as ``SECTION__KEY``.
    """

    _migrated: ClassVar[Path | None] = None
    """The SQLite database as ``airflow db migrate`` has made it once: making it takes long."""

    def __init__(
        self,
        home: Path,
        *,
        parts: Iterable[str] = PARTS,
        certificate: Path | None = None,
        token: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.parts = tuple(parts)
        self.token = token
        self._tls = None if certificate is None else ssl.create_default_context(cafile=str(certificate))
        self.dags = home / "dags"
        self.logs = home / "server-logs"
        self.dags.mkdir(parents=True)
        (home / "plugins").mkdir()
        self.logs.mkdir()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._port, worker_logs, triggerer_logs = _free_ports(3)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self._port}"
        tls = {"API__SSL_CERT": str(certificate), "API__SSL_KEY": str(certificate)} if certificate else {}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TURNOUT"))},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
            "AIRFLOW__TRIGGERER__TRIGGERER_LOG_SERVER_PORT": str(triggerer_logs),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",  # a file that changes is parsed at once
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **{f"AIRFLOW__{name}": value for name, value in {**tls, **(settings or {})}.items()},
        }
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def __enter__(self) -> AirflowServer:  # noqa: PYI034 - Self is of 3.11
        self._migrate()
        try:
            for part in self.parts:
                self.start(part)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def orchestrator(self) -> dict[str, Any]:
        """The settings of an orchestrator that runs pipelines here, steps in this environment."""
        return {"type": "airflow", "url": self.url, "dags_folder": str(self.dags), "python": sys.executable}

    def start(self, part: str) -> None:
        """Start a part of it; of the API server, until it answers."""
        with (self.logs / f"{part}.log").open("wb") as log:
            self._processes[part] = subprocess.Popen(
                self._command(part, *PARTS[part]),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if part == "api-server":
            self.wait_until(self._healthy, 90, "the API server to answer")

    def _migrate(self) -> None:
        """Make the database, or copy the one that was made before."""
        database, cls = self.home / "airflow.db", type(self)
        sqlite = self.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("sqlite")
        if sqlite and cls._migrated is not None:
            shutil.copyfile(cls._migrated, database)
            return
        with (self.logs / "migrate.log").open("wb") as log:
            command = self._command("db", "migrate")
            subprocess.run(command, env=self.environment, stdout=log, stderr=subprocess.STDOUT, check=True)
        if sqlite:
            cls._migrated = Path(shutil.copyfile(database, self.home / "migrated.db"))

    def stop(self) -> None:
        """End what was started: SIGTERM to each session, SIGKILL to what is left of it."""
        for process in reversed(self._processes.values()):
            _signal_group(process, signal.SIGTERM)
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            _signal_group(process, signal.SIGKILL)
            process.wait(15)
        self._processes.clear()

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call the REST API under ``/api/v2`` and return what it answers; HTTP errors carry the answer's text."""
        request = urllib.request.Request(
            f"{self.url}/api/v2{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=120, context=self._tls) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()[:2000]}") from error

    def place(self, name: str, source: str, dag_ids: tuple[str, ...]) -> None:
        """Put a DAG file into the folder and wait until Airflow has parsed it, or says why it cannot."""
        (self.dags / name).write_text(source, encoding="utf-8")

        def parsed() -> bool:
            errors = self.call("GET", "/importErrors")["import_errors"]
            if errors:
                raise AssertionError(errors[0]["stack_trace"])
            known = {dag["dag_id"] for dag in self.call("GET", "/dags?limit=100")["dags"]}
            return known.issuperset(dag_ids)

        self.wait_until(parsed, 60, f"the DAGs of {name}")

    def trigger(self, dag_id: str, conf: Mapping[str, Any], logical_date: str | None = None) -> str:
        """Start a run and return its id."""
        answer = self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": logical_date, "conf": dict(conf)})
        return str(answer["dag_run_id"])

    def wait(self, dag_id: str, run_id: str, seconds: float = 180) -> str:
        """The state of a run when it has ended."""
        path = f"/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}"
        state = ""

        def ended() -> bool:
            nonlocal state
            state = self.call("GET", path)["state"]
            return state in ENDED

        self.wait_until(ended, seconds, f"run {run_id} of {dag_id}")
        return state

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run, one a mapped element."""
        run = urllib.parse.quote(run_id, safe="")
        found: list[dict[str, Any]] = self.call("GET", f"/dags/{dag_id}/dagRuns/{run}/taskInstances?limit=100")[
            "task_instances"
        ]
        return found

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1, map_index: int = -1) -> str:
        """What a task printed in one attempt."""
        run = urllib.parse.quote(run_id, safe="")
        path = f"/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}/logs/{attempt}?map_index={map_index}"
        return "\n".join(str(line.get("event", line)) for line in self.call("GET", path)["content"])

    def explain(self, dag_id: str, run_id: str) -> str:
        """The states of a run's tasks and the last lines of those that failed, for a test's message."""
        lines = []
        for task in self.tasks(dag_id, run_id):
            name, state, index, tries = task["task_id"], task["state"], task["map_index"], task["try_number"]
            lines.append(f"{name}[{index}]: {state} after {tries}")
            if state == "failed":
                lines += ["    " + line for line in self.log(dag_id, run_id, name, tries, index).splitlines()[-30:]]
        return "\n".join(lines)

    def wait_until(self, condition: Any, seconds: float, what: str) -> None:
        """Poll *condition* until it holds; fail when a process of Airflow has died or the time is over.

        Args:
            seconds: what it takes at most on a machine that does little else; a busy one has four times as long.
        """
        deadline = time.monotonic() + 4 * seconds
        while not condition():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"airflow {name} ended with {process.returncode}:\n{self._tail(name)}")
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {name}\n{self._tail(name)}" for name in self._processes)
                raise TimeoutError(f"waited {seconds} s for {what}\n{tails}")
            time.sleep(0.25)

    def _healthy(self) -> bool:
        try:
            return bool(self.call("GET", "/monitor/health")["metadatabase"]["status"] == "healthy")
        except (OSError, RuntimeError):
            return False

    def _tail(self, name: str) -> str:
        return "\n".join((self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-30:])

    @staticmethod
    def _command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "airflow", *arguments]


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
