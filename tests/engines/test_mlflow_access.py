"""Who may read and write an MLflow: a PostgreSQL with a reader of its own, and MLflow's own sign-in."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installed import need
from postgres import free_port, postgres

need("mlflow", "3.17")

from turnout.base.errors import RunError  # noqa: E402
from turnout.testing.plans import sample_run  # noqa: E402
from turnout.testing.tracker import _batch, _points  # noqa: E402
from turnout_mlflow.tracker import MlflowSettings, MlflowTracker  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own

MAY_NOT = "check that the user that the stack names may write there"
WHO = "check username and password, or the token, that the stack names"


def log_and_read_back(tracker: MlflowTracker, tmp_path: Path) -> str:
    """Log everything twice, and see that it is there once; returns the run's id in MLflow."""
    run = sample_run()
    external = tracker.begin(run, claimed=True)
    (tmp_path / "note.txt").write_text("fine")
    for _ in range(2):
        again = MlflowTracker(tracker.config)
        things = {"params": {"depth": 6}, "artifacts": {"note": tmp_path / "note.txt"}}
        again.log(_batch(run, external, points=_points(["inf", 1.0, 1.0, 2.0], positions=[0, 1, 1, 2]), **things))
    tracker.finish(run, external, "succeeded")
    assert MlflowTracker(tracker.config).begin(run, claimed=False) == external
    with tracker._connection.client("to be read by a test") as client:
        found = client.get_run(external)
        history = client.get_metric_history(external, "fit/loss")
        assert sorted(point.step for point in history) == [0, 1, 1, 2]
        assert max(point.value for point in history) > 1e300
        assert (found.info.status, found.data.params["fit/depth"]) == ("FINISHED", "6")
        assert Path(client.download_artifacts(external, "fit/note/note.txt", str(tmp_path))).read_text() == "fine"
    return external


def refused(tracker: MlflowTracker, external: str, fix: str, *secret: str) -> None:
    """Every call fails with this fix and without the secret."""
    run = sample_run("other-1")
    calls: tuple[Any, ...] = (
        lambda: tracker.begin(run, claimed=True),
        lambda: tracker.log(_batch(run, external, points=_points([9.0]))),
        lambda: tracker.finish(run, external, "failed"),
    )
    for call in calls:
        with pytest.raises(RunError) as caught:
            call()
        assert caught.value.fix == fix
        assert not any(one in str(caught.value) for one in secret)


def test_on_postgresql(tmp_path: Path) -> None:
    import psycopg2

    with postgres("writer") as uri:
        settings = {"experiment": "shared", "artifacts": (tmp_path / "artifacts").as_uri()}
        writer = MlflowTracker(MlflowSettings(uri=uri, **settings))
        external = log_and_read_back(writer, tmp_path)
        connection = psycopg2.connect(uri.replace("+psycopg2", ""))
        with connection, connection.cursor() as cursor:
            cursor.execute("create role reader login; grant select on all tables in schema public to reader")
        connection.close()
        reader = uri.replace("writer@", "reader:hunter2@")
        refused(MlflowTracker(MlflowSettings(uri=reader, **settings)), external, MAY_NOT, "hunter2")


@pytest.fixture
def signed_in(tmp_path: Path) -> Iterator[str]:
    """An MLflow that asks for user and password; everybody may read what others have made."""
    need("Flask-WTF", "1.2")
    with (tmp_path / "auth.ini").open("w") as file:
        file.write(f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{tmp_path}/users.db\n")
        file.write("admin_username = admin\nadmin_password = an-admins-password\n")
        file.write("authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n")
    port = free_port()
    places = ["--backend-store-uri", f"sqlite:///{tmp_path}/m.db", "--artifacts-destination", f"{tmp_path}/art"]
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", *places]
    told = {
        "MLFLOW_AUTH_CONFIG_PATH": str(tmp_path / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
            env={**os.environ, **told}, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, tmp_path / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_with_mlflows_own_sign_in(signed_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tracker(username: str | None, password: str | None) -> MlflowTracker:
        given = {"uri": signed_in, "experiment": "shared", "retries": 0}
        return MlflowTracker(MlflowSettings(username=username, password=password, **given))

    external = log_and_read_back(tracker("admin", "an-admins-password"), tmp_path)
    refused(tracker("admin", "hunter2-hunter2"), external, WHO, "hunter2-hunter2")
    refused(tracker(None, None), external, WHO)
    with monkeypatch.context() as patch:
        from mlflow.server.auth.client import AuthServiceClient

        patch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        patch.setenv("MLFLOW_TRACKING_PASSWORD", "an-admins-password")
        AuthServiceClient(signed_in).create_user("reader", "a-readers-password")
    refused(tracker("reader", "a-readers-password"), external, MAY_NOT, "a-readers-password")


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 180
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
