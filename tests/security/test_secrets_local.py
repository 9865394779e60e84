"""A run on the local stack, by the command line: no byte of a secret in the store, the logs, the index or the terminal."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

from projects import TURNOUT, project_fixture

SECRET = "kanary9wordZq7x"
FLOW = """
import atexit, base64, os, subprocess, sys, threading, time
import pandas as pd
from turnout import log_metric, log_params, pipeline, step

given = step(secrets={"PASSWORD": "VAULT"})

def told():
    secret = os.environ["PASSWORD"]
    print("told", secret, base64.b64encode(b"x" + secret.encode()))
    atexit.register(print, "atexit", secret)
    threading.Timer(0.3, print, ("timer", secret)).start()
    subprocess.Popen([sys.executable, "-c", "import os, time; time.sleep(1); print('child', os.environ['PASSWORD'])"])
    log_metric("m " + secret, 1.0)
    log_params({"p " + secret: secret})
    return secret

@given
def fine():
    told()
    return 1

@given
def interrupt(fine):
    raise KeyboardInterrupt("with " + told())

@given
def leave(fine):
    raise SystemExit("with " + told())

@given
def named(fine):
    raise type("E" + told(), (Exception,), {})(os.fsdecode(b"caf\\xe9 " + os.environ["PASSWORD"].encode()))

@given
def table(fine):
    return pd.DataFrame({"a": ["x", told()]})

@given
def text(fine):
    return "x" * 10_000 + told()

@given
def died(fine):
    print("dying", told(), flush=True)
    os.kill(os.getpid(), 9)

@pipeline
def flow():
    one = fine()
    interrupt(one), leave(one), named(one), table(one), text(one), died(one)
"""


project = project_fixture(
    {"flow.py": FLOW, "stack.yaml": "extends: local\nobservers: [{type: jsonl, path: events.jsonl}]\n"}
)


def turnout(project: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        [*TURNOUT, *arguments, "--stack", "stack.yaml"],
        cwd=project,
        env={**os.environ, "VAULT": SECRET, "TURNOUT_CACHE": str(project.parent / "cache")},
        capture_output=True,
        timeout=300,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_run_whose_steps_do_what_they_can(project):
    printed = turnout(project, "run", "flow.py")
    printed += turnout(project, "runs", "show", "latest")
    printed += b"".join(turnout(project, "runs", "logs", "latest", name) for name in ("fine", "interrupt", "named"))
    assert b"[secret]" in printed
    forms = [SECRET.encode(), *(base64.b64encode(b"x" * n + SECRET.encode())[4:-4] for n in range(3))]
    files = [path for path in project.parent.rglob("*") if path.is_file()]
    assert any("logs" in path.parts for path in files)
    for form in forms:
        assert form not in printed, form
        assert [path for path in files if form in path.read_bytes()] == []
    logs = b"".join(path.read_bytes() for path in files if "logs" in path.parts)
    assert b"told [secret]" in logs
