"""Runs a specification by kfp.local, in a process of its own: ``python -m turnout_kubeflow.driver FOLDER``.

The folder has ``pipeline.yaml`` and ``arguments.json``; the driver adds ``driver.log`` and, from the steps, their logs.
A file ``cancel`` in it asks for the end. While the driver lives it holds a lock on ``driver.lock``.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from turnout_kubeflow import containers

GRACE = 10.0
"""The seconds that steps have for their end when a run is cancelled."""
_STOPPED = "cancel"


def main(folder: Path) -> int:
    """Start kfp.local, stop it when asked to, and see that the end of the run is marked."""
    with (folder / "driver.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "begun").touch()
        given = json.loads((folder / "arguments.json").read_bytes())
        with (folder / "driver.log").open("ab") as log:
            command = [sys.executable, "-m", "turnout_kubeflow.driver", "--kfp", str(folder)]
            child = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
            while child.poll() is None:
                if (folder / _STOPPED).exists():
                    _stop(child, given)
                time.sleep(0.05)
            cancelled = (folder / _STOPPED).exists()
            if cancelled or not (folder / "finished").exists():
                finish = [sys.executable, "-m", "turnout.runtime", "finish", "--plan", given["plan"]]
                finish += ["--engine-run", given["engine_run"], *(["--cancelled"] if cancelled else [])]
                environ = {**os.environ, "TURNOUT_PARAMS": given["submission"]}
                subprocess.run(finish, env=environ, cwd=folder, stdout=log, stderr=log, check=False)
        (folder / "ended").touch()
    return 0


def run_kfp(folder: Path) -> None:
    """Run the specification here; raises what kfp.local raises when a task fails."""
    given = json.loads((folder / "arguments.json").read_bytes())
    threading.Thread(target=_end_with, args=(os.getppid(), given), daemon=True).start()
    warnings.simplefilter("ignore")  # kfp.local warns of display names and resources, which it does without
    from kfp import components, local

    local.init(runner=_runner(given, folder), pipeline_root=str(folder / "kfp"))
    pipeline: Any = components.load_component_from_file(str(folder / "pipeline.yaml"))
    pipeline(**given["arguments"])


def _runner(given: dict[str, Any], folder: Path) -> Any:
    from kfp import local

    settings = given["containers"]
    if settings is None:
        return local.SubprocessRunner(use_venv=False)
    told = {name: os.environ[name] for name in settings["environment"]}
    return containers.runner(given["engine_run"], told, [*settings["folders"], str(folder)], settings["network"])


def locked(folder: Path) -> bool:
    """Whether a driver lives that works in this folder."""
    try:
        with (folder / "driver.lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def forget(folder: Path) -> None:
    """Forget that a run in this folder began and ended: it goes on."""
    for mark in ("begun", _STOPPED, "finished", "ended"):
        (folder / mark).unlink(missing_ok=True)


def ask_to_stop(folder: Path) -> None:
    """Ask the driver of this folder to stop its run."""
    (folder / _STOPPED).touch()


def _end_with(parent: int, given: dict[str, Any]) -> None:
    """End this process and all it started when the driver is gone: nobody would mark the end of the run."""
    while os.getppid() == parent:
        time.sleep(0.5)
    _stop_containers(given)
    os.killpg(0, signal.SIGTERM)


def _stop_containers(given: dict[str, Any]) -> None:
    if given["containers"] is not None:
        containers.stop(given["engine_run"], GRACE)


def _stop(child: subprocess.Popen[bytes], given: dict[str, Any]) -> None:
    """Tell kfp.local and all it started to end, and end them."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        if number == signal.SIGTERM:
            time.sleep(0.5)  # the launchers of steps stop theirs
    _stop_containers(given)


if __name__ == "__main__":
    if sys.argv[1] == "--kfp":
        run_kfp(Path(sys.argv[2]))
    else:
        sys.exit(main(Path(sys.argv[1])))
