"""Small projects in a temporary folder, run for real on the local stack."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
import textwrap
import threading
import urllib.request
import uuid
from pathlib import Path

import pytest
from projects import TURNOUT

from turnout.components.orchestrator import RunHandle
from turnout.model.records import Options

HEADER = """
from __future__ import annotations
import os, signal, subprocess, sys, threading, time
from pathlib import Path
from typing import Annotated, Any
from turnout import Resources, log_metric, pipeline, step, when
"""


class Project:
    """A project of one module, and a stack of two workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = f"flow_{uuid.uuid4().hex[:8]}"
        self.file = folder / f"{self.module}.py"
        self.command_folder = folder
        (folder / "pyproject.toml").write_text("[project]\nname = 'demo'\nversion = '1'\n")
        self.stack("{type: local, workers: 2}")

    def stack(self, orchestrator: str) -> None:
        (self.folder / "stack.yaml").write_text(f"extends: local\norchestrator: {orchestrator}\n")

    def write(self, source: str) -> None:
        self.file.write_text(HEADER + textwrap.dedent(source))

    def pipeline(self, name: str = "flow"):
        return getattr(importlib.import_module(self.module), name)

    def run(self, source: str, **options):
        """Run the pipeline ``flow`` of *source* to its end, whatever that is."""
        handle, changes = self.start(source, **options)
        state = handle.wait(60)
        assert state != "running"
        return self.look(handle), state, changes

    def start(self, source: str, **params) -> tuple[RunHandle, list]:
        from turnout.api.launch import Launch

        self.write(source)
        launch = Launch.of(self.pipeline(), stack=str(self.folder / "stack.yaml"))
        changes: list = []
        launch.workspace.orchestrator.watch = changes.append
        return launch.submit(params, Options()), changes

    def look(self, handle: RunHandle):
        from turnout.api.run import Run

        return Run(handle.run_id, stack=str(self.folder / "stack.yaml"))

    def look_latest(self):
        from turnout.api.run import Run

        return Run("latest", stack=str(self.folder / "stack.yaml"))

    def log(self, run, label: str) -> str:
        return (self.folder / ".turnout" / "logs" / run.id / f"{label}.log").read_text(errors="replace")

    def command(self, *arguments: str, **options) -> subprocess.Popen[str]:
        environ = {**os.environ, "TURNOUT_STACK": str(self.folder / "stack.yaml")}
        return subprocess.Popen(
            [*TURNOUT, *arguments],
            cwd=self.command_folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            **options,
        )


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TURNOUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Project(tmp_path)
    yield made
    sys.modules.pop(made.module, None)


class Bucket:
    """An S3 server on loopback with one bucket; what it holds outlives it."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self._app = DomainDispatcherApplication(create_backend_app)
        self.port = 0
        self.start()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/weather", method="PUT")
        urllib.request.urlopen(request).close()

    def start(self) -> None:
        from werkzeug.serving import make_server

        self._server = make_server("127.0.0.1", self.port, self._app)
        self.port = self._server.port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def bucket(monkeypatch):
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret")
    bucket = Bucket()
    yield bucket
    bucket.stop()
