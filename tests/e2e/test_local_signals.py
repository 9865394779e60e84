"""Runs of the command that are interrupted, killed, or stopped from another process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from waiting import alive, until

SOURCE = """
@step
def first() -> int:
    return 1

@step(retries=3)
def slow(x: int, folder: str) -> int:
    child = subprocess.Popen(["sleep", "600"])
    Path(folder, "pids.part").write_text(f"{os.getpid()} {child.pid}")
    Path(folder, "pids.part").rename(Path(folder, "pids"))
    while not Path(folder, "go").exists():
        time.sleep(0.02)
    child.kill()
    child.wait()
    return x + 1

@step
def last(x: int) -> int:
    return x

@pipeline
def flow(folder: str):
    last(slow(first(), folder))
"""


@pytest.fixture
def running(project):
    """A ``turnout run`` whose step ``slow`` runs, and the processes of its worker."""
    project.write(SOURCE)
    process = project.command("run", project.file.name, "-p", f"folder={project.folder}", start_new_session=True)
    pids = project.folder / "pids"
    until(lambda: pids.exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    found = [int(pid) for pid in pids.read_text().split()]
    yield process, found
    for pid in (*found, process.pid):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def answer(project, *arguments: str):
    process = project.command(*arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def shown(project):
    code, out, err = answer(project, "runs", "show", "latest", "--json")
    assert code == 0, err
    return json.loads(out)


def states(document):
    return {one["step"]: one["state"] for one in document["steps"]}


def test_ctrl_c_stops_the_step_and_leaves_a_run_that_can_be_looked_at(project, running):
    process, pids = running
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "Traceback" not in err + out
    assert not any(alive(pid) for pid in pids)
    document = shown(project)
    assert document["state"] == "cancelled"
    assert states(document)["first"] == "succeeded"
    assert states(document).get("slow") != "succeeded"


def test_a_termination_is_as_good_as_ctrl_c(project, running):
    process, pids = running
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert not any(alive(pid) for pid in pids)
    assert shown(project)["state"] == "cancelled"


def test_a_run_is_stopped_from_another_process(project, running):
    process, pids = running
    assert shown(project)["state"] == "running"
    run = project.look_latest()
    run.workspace.orchestrator.cancel(run.plan, run.info.engine_run)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert not any(alive(pid) for pid in pids)
    assert shown(project)["state"] == "cancelled"


def test_when_the_engine_is_killed_the_running_step_ends_and_commits_and_nothing_else_starts(project, running):
    process, (worker, child) = running
    process.kill()
    process.wait(timeout=60)
    assert alive(worker)
    assert shown(project)["state"] == "failed"
    (project.folder / "go").touch()
    until(lambda: not alive(worker) and not alive(child))
    document = shown(project)
    assert document["state"] == "failed"
    assert states(document)["slow"] == "succeeded"
    assert "last" not in states(document) or states(document)["last"] == "not run"


def test_the_command_is_not_kept_open_by_what_a_step_left_behind(project):
    project.write(
        """
        @step
        def leave() -> int:
            return subprocess.Popen(["sleep", "600"], start_new_session=True).pid

        @pipeline
        def flow():
            leave()
        """
    )
    code, out, err = answer(project, "run", project.file.name, "--json")
    assert code == 0, err
    assert json.loads(out)["state"] == "succeeded"


def test_a_reader_that_goes_away_does_not_stop_the_run(project):
    project.write(
        """
        @step
        def work(n: int) -> int:
            time.sleep(0.05)
            return n

        @pipeline
        def flow():
            for n in range(6):
                work.named(f"work_{n}")(n)
        """
    )
    process = project.command("run", project.file.name)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)
    assert shown(project)["state"] == "succeeded"


def submitter(project, then: str) -> subprocess.Popen[str]:
    """A script that submits the flow, waits until its step runs, and then does something."""
    project.write(SOURCE)
    code = (
        f"import sys; sys.path.insert(0, '.'); import {project.module} as m; "
        f"m.flow.submit(folder={str(project.folder)!r}); "
        f"import os, time\nwhile not os.path.exists('pids'): time.sleep(0.02)\n{then}"
    )
    environ = {**os.environ, "TURNOUT_STACK": str(project.folder / "stack.yaml")}
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=project.folder, env=environ, stderr=subprocess.PIPE, text=True
    )


def test_a_submitter_that_dies_leaves_no_worker(project):
    process = submitter(project, "os._exit(7)")
    assert process.wait(timeout=60) == 7
    assert process.stderr is not None
    process.stderr.close()
    worker, child = (int(pid) for pid in (project.folder / "pids").read_text().split())
    (project.folder / "go").touch()
    until(lambda: not alive(worker) and not alive(child))


def test_a_submitter_that_comes_to_its_end_waits_for_the_run(project):
    process = submitter(project, "print('the script fails', file=sys.stderr)\n1 / 0")
    assert process.stderr is not None
    said = ""
    while "waiting for the run" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    assert "ZeroDivisionError" in said
    (project.folder / "go").touch()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 1
    assert shown(project)["state"] == "succeeded"


def test_ctrl_c_ends_a_submitter_that_waits_for_the_run(project):
    process = submitter(project, "")
    assert process.stderr is not None
    assert "waiting for the run" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    (project.folder / "go").touch()  # the worker ends its step, commits it and goes
    process.wait(timeout=60)
    process.stderr.close()
    worker, child = (int(pid) for pid in (project.folder / "pids").read_text().split())
    until(lambda: not alive(worker) and not alive(child))
    assert shown(project)["state"] != "running"
