"""What the tests of the engines share: the project, the local runs that everything is held against, a live Airflow."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from airflow_server import AirflowServer  # noqa: E402
from cases import CASES, Case  # noqa: E402
from containers import Podman, need_podman  # noqa: E402
from evidence import Evidence, gather, run_of, without  # noqa: E402
from installed import need  # noqa: E402

SHIMS = HERE / "shims"


def pytest_configure() -> None:
    """Ctrl-C reaches what the tests start, also where these run in the background, for which shells have it ignored."""
    here = threading.current_thread() is threading.main_thread()
    if here and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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


class Reference(NamedTuple):
    """A local run: what it left, its plan, and its parameters as a submitter gives them to an engine."""

    evidence: Evidence
    plan: str
    params: dict[str, Any]


class Workshop:
    """The project in a folder of its own, with local runs of every case in the project's own store."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.store = self.project / ".turnout" / "store"
        self.cache = folder / "cache"
        self._folder = folder
        self._references: dict[str, Reference] = {}
        shutil.copytree(HERE / "project", self.project, ignore=shutil.ignore_patterns("__pycache__", ".turnout"))

    def environment(self, store: Path) -> dict[str, str]:
        """What a worker of an engine is told."""
        return {"TURNOUT_STORE": str(store), "TURNOUT_CACHE": str(self.cache)}

    def scratch(self, engine: str, case: Case) -> Path:
        """The folder that a run is given as a parameter, where it asks for one."""
        return self._folder / "scratch" / engine / case.name

    def reference(self, case: Case) -> Reference:
        """The local run of a case, made when it is first asked for."""
        if case.name not in self._references:
            self._references[case.name] = self._run(case)
        return self._references[case.name]

    def engine_store(self, engine: str, *cases: Case) -> Path:
        """A store of an engine's own, holding what a submitter puts there: plans, code, the files given as parameters."""
        store = self._folder / "stores" / engine
        for case in cases:
            reference = self.reference(case)
            given = [value["digest"] for value in reference.evidence.params.values() if _is_file(value)]
            for name in ("plans", "code", *(f"artifacts/{digest}" for digest in given)):
                shutil.copytree(self.store / name, store / name, dirs_exist_ok=True)
        return store

    def params(self, engine: str, case: Case) -> dict[str, Any]:
        """The parameters of a run as that engine is given them."""
        scratch = str(self.scratch(engine, case))
        return {name: scratch if value == "{scratch}" else value for name, value in self.reference(case).params.items()}

    def evidence(self, engine: str, case: Case, store: Path, engine_run: str) -> Evidence:
        """What an engine's run left, comparable with what another run of the case left."""
        return without(gather(store, run_of(store, engine_run)), self.scratch(engine, case))

    def _run(self, case: Case) -> Reference:
        scratch = self.scratch("local", case)
        options = [f"{name}={json.dumps(value)}" for name, value in case.params.items() if not isinstance(value, str)]
        options += [f"{n}={v.replace('{scratch}', str(scratch))}" for n, v in case.params.items() if isinstance(v, str)]
        options += [f"{name}={path}" for name, path in case.files]
        command = [
            str(Path(sys.executable).with_name("turnout")),
            "run",
            f"pipelines.py:{case.pipeline}",
            "--json",
            "--no-cache",
        ]
        command += [word for option in options for word in ("-p", option)]
        command += ["--at", case.at] if case.at else []
        done = subprocess.run(
            command,
            cwd=self.project,
            env={**os.environ, "TURNOUT_CACHE": str(self.cache)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (0 if case.succeeds else 1), done.stdout + done.stderr
        assert done.stdout, done.stderr
        run = json.loads(done.stdout)["run"]
        evidence = without(gather(self.store, run), scratch)
        files = {name: value for name, value in evidence.params.items() if name in dict(case.files)}
        return Reference(evidence, evidence.plan, {**case.params, **files})


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and "digest" in value


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The project, and local runs to hold the engines' against."""
    return Workshop(tmp_path_factory.mktemp("engines"))


Script = Callable[..., Evidence]


@pytest.fixture(scope="session")
def run_script(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Script:
    """Run a case by a shim that is a script of its own, to its end, and return what it left.

    ``like`` is the case whose plan it goes by, where that is not its own.
    """

    def run(engine: str, case: Case, *options: str, copies: int = 1, like: Case | None = None) -> Evidence:
        planned = like or case
        store = workshop.engine_store(f"{engine}-{case.name}", planned)
        engine_run = str(uuid.uuid4())
        given = {
            "pipeline": case.pipeline,
            "python": sys.executable,
            "plan": workshop.reference(planned).plan,
            "engine_run": engine_run,
            "copies": copies,
            "environment": workshop.environment(store),
            "submission": {
                "params": workshop.params(engine, case) if like is None else case.params,
                "options": {"started_by": engine, **({"at": case.at} if case.at else {})},
            },
        }
        file = tmp_path_factory.mktemp(f"{engine}-{case.name}") / "case.json"
        file.write_text(json.dumps(given), encoding="utf-8")
        shim = SHIMS / f"{engine.partition('-')[0]}_pipelines.py"
        command = [sys.executable, str(shim), str(file), *options]
        done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False, timeout=180)
        assert (done.returncode == 0) is case.succeeds, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return workshop.evidence(engine, case, store, engine_run)

    return run


class AirflowRuns(NamedTuple):
    """A live Airflow in which a run of every case has been started."""

    server: AirflowServer
    store: Path
    runs: dict[str, str]


@pytest.fixture(scope="session")
def airflow_server(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    """A live Airflow."""
    need("apache-airflow", "3.3")
    server = AirflowServer(tmp_path_factory.mktemp("airflow"))
    server.environment["TURNOUT_CACHE"] = str(workshop.cache)
    with server:
        yield server


@pytest.fixture(scope="session")
def airflow(workshop: Workshop, airflow_server: AirflowServer) -> AirflowRuns:
    """Airflow with the DAG file of the shims placed and one run of each case on its way."""
    server = airflow_server
    store = workshop.engine_store("airflow", *CASES)
    settings = {
        "plans": {case.pipeline: workshop.reference(case).plan for case in CASES},
        "environment": workshop.environment(store),
        "python": sys.executable,
    }
    (server.dags / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    source = (SHIMS / "airflow_dags.py").read_text(encoding="utf-8")
    server.place("airflow_dags.py", source, tuple(settings["plans"]))
    runs = {
        case.name: server.trigger(case.pipeline, {"params": workshop.params("airflow", case)}, case.at)
        for case in CASES
    }
    return AirflowRuns(server, store, runs)


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """Podman as a service that speaks Docker's API (``DOCKER_HOST`` is its ``url``), and images for it."""
    need_podman()
    with Podman() as service:
        yield service
