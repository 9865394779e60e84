"""The driver of a run: ``python -m turnout.engines.drive FOLDER`` runs an engine's command, and marks the run's end.

``driver.json`` in the folder says what to run. While the driver lives it holds a lock on ``driver.lock``; a file
``cancel`` asks it to stop the run. The engine's output goes to ``driver-output.log``. The variables
``TURNOUT_ENGINE_RUN`` and ``TURNOUT_PARAMS`` tell it which run this is, and what was given to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from turnout.engines.calling import ENGINE_RUN, FINISHED, finish_command
from turnout.runtime.log_file import APPEND, open_log

GRACE = 15.0
"""The seconds that an engine has for its end when its run is cancelled, before it is killed."""
LOOK = 0.05
"""Seconds between two looks at the engine."""
SETTLE = 0.5
"""Seconds that what an engine has started has for its own end, once the engine is gone."""
OUTPUT = "driver-output.log"
"""The file with what the engine prints; no step logs there, for their names have no hyphen."""
_BEGUN, _CANCEL, _ENDED = "begun", "cancel", "ended"


class Drive(msgspec.Struct, frozen=True, kw_only=True):
    """``driver.json``: the engine's command, and the run whose end is marked after it."""

    command: tuple[str, ...]
    plan: str
    engine_run: str
    submission: str


def main(folder: Path) -> int:
    """Start the engine, stop it when asked to, and see that the end of the run is marked."""
    with os.fdopen(open_log(folder / "driver.lock", APPEND), "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _mark(folder, _BEGUN)
        drive = msgspec.json.decode((folder / "driver.json").read_bytes(), type=Drive)
        with os.fdopen(open_log(folder / OUTPUT, APPEND), "ab") as log:
            output: dict[str, Any] = {"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            environ = {**os.environ, ENGINE_RUN: drive.engine_run, "TURNOUT_PARAMS": drive.submission}
            engine = subprocess.Popen(drive.command, env=environ, start_new_session=True, **output)
            while engine.poll() is None:
                if (folder / _CANCEL).exists():
                    _stop(engine)
                time.sleep(LOOK)
            cancelled = (folder / _CANCEL).exists()
            if cancelled or not (folder / FINISHED).exists():
                command = finish_command(drive.plan, drive.engine_run, *(["--cancelled"] if cancelled else []))
                subprocess.run(command, env=environ, check=False, **output)
        _mark(folder, _ENDED)
    return 0


def end_with_driver() -> None:
    """For an engine's process: end it, and all of its session, when its driver is gone: nobody would mark the end."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def begun(folder: Path) -> bool:
    """Whether a driver has begun to work in this folder, since :func:`forget` at least."""
    return (folder / _BEGUN).exists()


def _mark(folder: Path, name: str) -> None:
    os.close(open_log(folder / name, APPEND))


def killed(folder: Path) -> bool:
    """Whether a driver began to work in this folder, and is gone without having come to the end."""
    return begun(folder) and not (folder / _ENDED).exists() and not locked(folder)


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
    for mark in (_BEGUN, _CANCEL, FINISHED, _ENDED):
        (folder / mark).unlink(missing_ok=True)


def ask_to_stop(folder: Path) -> None:
    """Ask the driver of this folder to stop its run."""
    _mark(folder, _CANCEL)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SETTLE)
    os.killpg(0, signal.SIGTERM)


def _stop(engine: subprocess.Popen[bytes]) -> None:
    """Tell the engine and all it started to end, and end them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(engine.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            engine.wait(GRACE)
            time.sleep(SETTLE)
        os.killpg(engine.pid, signal.SIGKILL)
    engine.wait()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
