"""The tracker ``mlflow`` on a database and on a real server, read back with MLflow's own client."""

from __future__ import annotations

import base64
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from installed import need

need("mlflow", "3.17")

from turnout.base.errors import RunError  # noqa: E402
from turnout.plugin_api import Artifact, Promotion, Traced  # noqa: E402
from turnout.testing.plans import sample_run  # noqa: E402
from turnout.testing.tracker import Tracked, TrackerSuite, Unreachable, _batch, _points  # noqa: E402
from turnout_mlflow import names  # noqa: E402
from turnout_mlflow.tracker import MlflowSettings, MlflowTracker  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own

STATES = {"FINISHED": "succeeded", "FAILED": "failed", "KILLED": "cancelled", "RUNNING": "running"}
HUGE = sys.float_info.max


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """MLflow's server on loopback, that can be killed and started again where it was."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._log = folder / "server.log"
        words = ["--backend-store-uri", f"sqlite:///{folder}/m.db", "--artifacts-destination", f"{folder}/art"]
        words += ["--host", "127.0.0.1", "--port", str(self.port)]
        self._command = [sys.executable, "-m", "mlflow", "server", *words]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environ = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "--workers", "1"], env=environ, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + 180
        while True:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                    assert answer.status == 200
                    return
            except OSError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < until, self._log.read_text()
                time.sleep(0.2)

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("mlflow-server"))
    started.start()
    yield started
    started.kill()


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables: making them takes seconds."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow-empty") / "m.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


def read_run(tracker: MlflowTracker, external: str) -> Tracked:
    """A run of MLflow in the suite's terms; its parameters are those of steps, which have a slash."""
    with reader(tracker) as client:
        run = client.get_run(external)
        points = {}
        for key in run.data.metrics:
            history = client.get_metric_history(external, key)
            values = [(one.step, infinite(one.value)) for one in history]
            points[key] = tuple(values)
        params = {name: value for name, value in run.data.params.items() if "/" in name}
        folder = Path(client.download_artifacts(external, "")) if client.list_artifacts(external) else None
        artifacts: dict[str, dict[str, bytes]] = {}
        for file in sorted(folder.rglob("*")) if folder else ():
            if file.is_file():
                step, name, *rest = file.relative_to(folder).parts
                artifacts.setdefault(f"{step}/{name}", {})["/".join(rest)] = file.read_bytes()
        return Tracked(points=points, params=params, artifacts=artifacts, state=STATES[run.info.status])


def infinite(value: float) -> float:
    """A value as it was: a database of MLflow's has the greatest float for an infinity."""
    return value if abs(value) < HUGE else value * 2


def reader(tracker: MlflowTracker) -> Any:
    return tracker._connection.client("to be read by a test")


def turnout(folder: Path, *words: str, code: int = 0) -> Any:
    """What the command prints in a project, as JSON, and what it says besides."""
    command = [str(Path(sys.executable).with_name("turnout")), *words, "--json"]
    environ = {**os.environ, "TURNOUT_CACHE": str(folder.parent / "cache")}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == code, done.stdout + done.stderr
    return (json.loads(done.stdout) if done.stdout else None), done.stderr


class OnMlflow(TrackerSuite):
    @pytest.fixture
    def read_back(self, tracker: MlflowTracker) -> Callable[[str], Tracked]:
        return lambda external: read_run(tracker, external)

    def named(self, step: str, index: int | None, name: str) -> str:
        return names.key(super().named(step, index, name))


class TestOnSqlite(OnMlflow):
    @pytest.fixture
    def tracker(self, tmp_path: Path, empty_database: Path) -> MlflowTracker:
        shutil.copy(empty_database, tmp_path / "m.db")
        return MlflowTracker(MlflowSettings(uri=f"sqlite:///{tmp_path}/m.db"))

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> Unreachable:
        settings = MlflowSettings(uri=f"http://127.0.0.1:{free_port()}", username="ann", password="hunter2", retries=0)
        return Unreachable(MlflowTracker(settings), secret="hunter2")


class TestOnAServer(OnMlflow):
    @pytest.fixture
    def tracker(self, server: Server, request: pytest.FixtureRequest) -> MlflowTracker:
        return MlflowTracker(MlflowSettings(uri=server.uri, experiment=request.node.name))


class TestNested:
    """Each step a run within the run."""

    @pytest.fixture
    def tracker(self, tmp_path: Path, empty_database: Path) -> MlflowTracker:
        shutil.copy(empty_database, tmp_path / "m.db")
        return MlflowTracker(MlflowSettings(uri=f"sqlite:///{tmp_path}/m.db", steps="nested"))

    def test_each_step_has_a_run_that_is_made_once(self, tracker: MlflowTracker) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        for _ in range(2):
            again = MlflowTracker(tracker.config)
            again.log(_batch(run, external, points=_points([1.0, 2.0]), params={"depth": 6}))
            again.log(_batch(run, external, "score", index=3, points=_points([3.0])))
        assert MlflowTracker(tracker.config).begin(run, claimed=False) == external
        tracker.finish(run, external, "succeeded")
        with reader(tracker) as client:
            experiment = client.get_run(external).info.experiment_id
            children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{external}'")
            assert {child.info.run_name: child.data.metrics for child in children} == {
                "fit": {"loss": 2.0},
                "score/3": {"loss": 3.0},
            }
            assert {child.info.status for child in children} == {"FINISHED"}
            assert len(client.search_runs([experiment])) == 3
            assert client.get_run(external).data.params == {"depth": "6"}

    def test_tags_are_on_the_run_and_on_that_of_the_step(self, tracker: MlflowTracker) -> None:
        run, tags = sample_run(), {"feast.project": "p", "feast.feature_refs": "weather:wind,weather:sky"}
        external = tracker.begin(run, claimed=True)
        for _ in range(2):
            tracker.log(_batch(run, external, "look", tags=tags))
        with reader(tracker) as client:
            runs = client.search_runs([client.get_run(external).info.experiment_id])
            assert len(runs) == 2
            assert all(tags.items() <= one.data.tags.items() for one in runs)


class Refusing(http.server.BaseHTTPRequestHandler):
    """A server that lets nobody in, or nobody write, and says what it was shown."""

    code = 401

    def do_GET(self) -> None:
        shown = self.headers.get("Authorization", "")
        self.send_response(self.code)
        self.end_headers()
        self.wfile.write(f"not with {shown} {base64.b64decode(shown.partition(' ')[2]).decode()}".encode())

    do_POST = do_GET

    def log_message(self, *words: object) -> None:
        pass


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (401, "check username and password, or the token, that the stack names"),
        (403, "check that the user that the stack names may write there"),
        (404, "check the uri that the stack names: what answers there is no MLflow, or not the one that has the run"),
    ],
)
def test_what_a_server_refuses_is_said_without_the_password(
    code: int, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refusing, "code", code)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{listening.server_port}"
        tracker = MlflowTracker(MlflowSettings(uri=uri, username="ann", password="hunter2", retries=0))
        with pytest.raises(RunError) as caught:
            tracker.begin(sample_run(), claimed=True)
        listening.shutdown()
    text = str(caught.value)
    assert "hunter2" not in text
    assert base64.b64encode(b"ann:hunter2").decode() not in text
    assert f"MLflow at {uri} failed to begin the run sample-1" in text
    assert caught.value.fix == fix
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ


def test_a_table_that_was_logged_can_be_seen(tmp_path: Path, empty_database: Path) -> None:
    import pandas as pd

    shutil.copy(empty_database, tmp_path / "m.db")
    tracker, run = MlflowTracker(MlflowSettings(uri=f"sqlite:///{tmp_path}/m.db")), sample_run()
    external = tracker.begin(run, claimed=True)
    for name, table in (("plain", {"n": range(1500), "t": "x"}), ("nested", {"n": [[1, 2]]}), ("empty", {"n": []})):
        (tmp_path / name).mkdir()
        pd.DataFrame(table).to_parquet(tmp_path / name / "table.parquet")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "value.parquet").write_text("no table")
    names = ("plain", "nested", "empty", "text")
    tracker.log(_batch(run, external, artifacts={name: tmp_path / name for name in names}))
    found = read_run(tracker, external).artifacts
    assert {name: sorted(found[f"fit/{name}"]) for name in names} == {
        "plain": ["preview.csv", "table.parquet"],
        "nested": ["table.parquet"],
        "empty": ["preview.csv", "table.parquet"],
        "text": ["value.parquet"],
    }
    lines = found["fit/plain"]["preview.csv"].decode().splitlines()
    assert (len(lines), lines[:2], lines[-1]) == (1001, ['"n","t"', '0,"x"'], '999,"x"')


class Unsavable:
    """A model that no one can write down."""

    def predict(self, rows: Any) -> Any:
        return rows

    def __reduce__(self) -> Any:
        raise TypeError("not to be written down")


def test_a_model_that_mlflow_cannot_save_is_no_failure(tmp_path: Path, empty_database: Path) -> None:
    shutil.copy(empty_database, tmp_path / "m.db")
    tracker, run = MlflowTracker(MlflowSettings(uri=f"sqlite:///{tmp_path}/m.db", required=True)), sample_run()
    external = tracker.begin(run, claimed=True)
    artifact = Artifact(digest="0" * 64, materializer="sklearn", type="models:Unsavable", marked=True)
    output = Traced(
        name="output",
        artifact=artifact,
        step="fit",
        output="output",
        address="",
        files=lambda: tmp_path,
        load=Unsavable,
    )
    for _ in range(2):
        tracker.log(_batch(run, external, points=_points([1.0]), outputs=(output,)))
    with reader(tracker) as client:
        found = client.get_run(external)
        assert found.data.metrics == {"fit/loss": 1.0}
        assert "not to be written down" in found.data.tags["turnout.unsaved.fit"]
        assert client.search_logged_models([found.info.experiment_id]) == []
    given = {"step": "fit", "output": "output", "artifact": artifact, "files": tmp_path, "load": Unsavable}
    assert tracker.register(Promotion(run=run, external_id=external, alias="champion", **given)) is None


def test_a_database_that_has_not_the_run_is_told_from_one_that_is_down(tmp_path: Path, empty_database: Path) -> None:
    shutil.copy(empty_database, tmp_path / "m.db")
    tracker, run = MlflowTracker(MlflowSettings(uri=f"sqlite:///{tmp_path}/m.db")), sample_run()
    with pytest.raises(RunError) as caught:
        tracker.log(_batch(run, "0" * 32, points=_points([1.0])))
    assert caught.value.fix.startswith("check the uri that the stack names: ")
    (tmp_path / "readable").touch()
    blocked = MlflowTracker(MlflowSettings(uri=f"sqlite:///{tmp_path}/readable/m.db"))
    with pytest.raises(RunError, match="failed to begin the run"):
        blocked.begin(run, claimed=True)


def test_a_database_that_cannot_be_opened_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow itself would try ten times, for more than a minute and a half."""
    from mlflow.store.db import utils

    tried: list[str] = []
    monkeypatch.setattr(utils, "create_sqlalchemy_engine_with_retry", tried.append)
    (tmp_path / "m.db").mkdir()
    tracker = MlflowTracker(MlflowSettings(uri=f"sqlite:///{tmp_path}/m.db"))
    with pytest.raises(RunError, match="unable to open database file") as caught:
        tracker.begin(sample_run(), claimed=True)
    assert (tried, caught.value.fix) == ([], "see that it answers there")


PIPELINE = """
import time
from pathlib import Path
from turnout import log_metric, log_params, pipeline, step

@step
def learn(*, count: int, until: str) -> int:
    log_params({"count": count})
    for number in range(count):
        log_metric("loss", 1 / (number + 1), x=number)
        if number == 2 and until:
            deadline = time.monotonic() + 120
            while not Path(until).exists() and time.monotonic() < deadline:
                time.sleep(0.05)
    return count

@step
def check(count: int, *, far: bool) -> int:
    log_metric("seen", count)
    if far:
        log_metric("seen", count, x=2**63)
    return count

@pipeline
def small(count: int = 5, until: str = "", far: bool = False):
    check(learn(count=count, until=until), far=far)
"""


def test_a_server_that_is_killed_in_mid_run_and_comes_back(tmp_path: Path, server: Server) -> None:
    """The run succeeds without it, and is sent later, without doubles; where it is required, the step fails."""
    from mlflow import MlflowClient

    folder = tmp_path / "small"
    (folder / "stacks").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[project]\nname = 'small'\nversion = '1'\n")
    (folder / "pipeline.py").write_text(PIPELINE)
    for name, required in (("lenient", "false"), ("strict", "true")):
        settings = f"uri: '{server.uri}', experiment: killed, retries: 0, flush_seconds: 0.2, required: {required}"
        (folder / "stacks" / f"{name}.yaml").write_text(f"extends: local\ntracker: {{type: mlflow, {settings}}}\n")
    client = MlflowClient(server.uri)
    client.create_experiment("killed")

    def seen() -> bool:
        runs = client.search_runs([client.get_experiment_by_name("killed").experiment_id])
        return any(len(client.get_metric_history(run.info.run_id, "learn/loss")) == 3 for run in runs)

    goes_on = tmp_path / "goes-on"
    with ThreadPoolExecutor() as pool:
        words = ("run", "pipeline.py", "--stack", "lenient", "--no-cache", "-p", "count=7", "-p", f"until={goes_on}")
        running = pool.submit(turnout, folder, *words)
        try:
            deadline = time.monotonic() + 110
            while not seen():
                assert time.monotonic() < deadline
                assert not running.done(), running.result()
                time.sleep(0.1)
            server.kill()
            goes_on.touch()
            run, said = running.result()
            assert run["state"] == "succeeded"
            assert "the tracker mlflow failed" in said
            strict, _ = turnout(folder, "run", "pipeline.py", "--stack", "strict", "--no-cache", code=1)
            assert {step["step"]: step["state"] for step in strict["steps"]}["learn"] == "failed"
            assert "the stack says that the tracker is required" in json.dumps(strict)
        finally:
            goes_on.touch()
            server.start()

    reader = MlflowTracker(MlflowSettings(uri=server.uri))
    for _ in range(2):
        done, _ = turnout(folder, "runs", "sync", run["run"], "--stack", "lenient")
        found = read_run(reader, done["external_id"])
        assert found.points == {
            "learn/loss": tuple((number, 1 / (number + 1)) for number in range(7)),
            "check/seen": ((0, 7.0),),
        }
        assert (found.params, found.state) == ({"learn/count": "7"}, "succeeded")


def test_what_mlflow_did_not_take_is_told_and_sent_later(tmp_path: Path, empty_database: Path) -> None:
    """A deleted experiment costs nothing for good, and a point that MLflow cannot hold costs itself."""
    from mlflow import MlflowClient

    folder = tmp_path / "small"
    (folder / "stacks").mkdir(parents=True)
    shutil.copy(empty_database, folder / "m.db")
    (folder / "pyproject.toml").write_text("[project]\nname = 'small'\nversion = '1'\n")
    (folder / "pipeline.py").write_text(PIPELINE)
    uri = f"sqlite:///{folder}/m.db"
    (folder / "stacks" / "gone.yaml").write_text(
        f"extends: local\ntracker: {{type: mlflow, uri: '{uri}', experiment: gone}}\n"
    )
    client, reader = MlflowClient(uri), MlflowTracker(MlflowSettings(uri=uri))
    experiment = client.create_experiment("gone")
    client.delete_experiment(experiment)
    run, _ = turnout(folder, "run", "pipeline.py", "--stack", "gone", "--no-cache", "-p", "far=true")
    assert run["state"] == "succeeded"
    assert [one["label"] for one in run["missed"]] == ["check", "learn", "-end"]
    assert all("is deleted" in one["why"] for one in run["missed"])
    client.restore_experiment(experiment)
    done, _ = turnout(folder, "runs", "sync", run["run"], "--stack", "gone", code=1)
    assert [(one["label"], one["final"]) for one in done["refused"]] == [("check", True)]
    found = read_run(reader, done["external_id"])
    assert (len(found.points["learn/loss"]), found.points["check/seen"]) == (5, ((0, 5.0),))
    assert found.state == "succeeded"
    again, _ = turnout(folder, "run", "pipeline.py", "--stack", "gone", "--no-cache", "-p", "far=true")
    ((label, why),) = [(one["label"], one["why"]) for one in again["missed"]]
    assert label == "check"
    assert why.startswith("MLflow cannot hold the point seen of check at x=9223372036854775808")
