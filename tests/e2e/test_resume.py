"""Going on with a run: what is committed stays, the rest runs by the run's own plan, code and parameters."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest
from waiting import until

from turnout.base.errors import ArtifactError, RunError
from turnout.runtime.state import marks_of

SOURCE = """
def tell(folder, name):
    with open(Path(folder, "told"), "a") as file:
        file.write(f"{name}\\n")

@step
def first(folder: str) -> int:
    tell(folder, "first")
    return 1

@step
def wait(x: int, folder: str) -> int:
    tell(folder, "wait")
    Path(folder, "pid.part").write_text(str(os.getpid()))
    Path(folder, "pid.part").rename(Path(folder, "pid"))
    while not Path(folder, "go").exists():
        time.sleep(0.02)
    if Path(folder, "go").read_text() == "fail":
        raise ConnectionError("not today")
    return x + 1

@step
def double(x: int, folder: str) -> int:
    tell(folder, "double")
    return 2 * x

@step
def total(xs: list[int], folder: str) -> int:
    tell(folder, "total")
    return sum(xs)

@step
def pair(x: int) -> list[int]:
    return [x, x + 1]

@pipeline
def flow(folder: str):
    total(double.map(pair(wait(first(folder), folder)), folder=folder), folder)
"""
EACH = ["double", "double", "first", "total", "wait"]


def told(project) -> list[str]:
    return sorted((project.folder / "told").read_text().split())


def go(project, how: str = "") -> None:
    (project.folder / "go.part").write_text(how)
    (project.folder / "go.part").rename(project.folder / "go")


def answer(project, *arguments: str, **options):
    process = project.command(*arguments, **options)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def marks(run) -> list[str]:
    found = marks_of(run.workspace.store, run.info.project, run.id)
    return [mark.state if mark.kind == "finish" else mark.kind for mark in found]


def busy(*_):
    raise RunError("the run is in progress")


@pytest.fixture
def running(project):
    """A ``turnout run`` whose step ``wait`` runs, and the process of its worker."""
    project.write(SOURCE)
    process = project.command("run", project.file.name, "-p", f"folder={project.folder}")
    pid = project.folder / "pid"
    until(lambda: pid.exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    worker = int(pid.read_text())
    yield process, worker
    for one in (worker, process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    process.communicate()


def test_a_killed_run_goes_on_by_its_own_code_though_the_source_has_changed(project, running):
    process, worker = running
    process.kill()
    os.kill(worker, signal.SIGKILL)
    process.wait(timeout=60)
    project.write(SOURCE.replace("2 * x", "100 * x"))
    (project.folder / "below").mkdir()
    project.command_folder = project.folder / "below"
    go(project)
    code, out, err = answer(project, "runs", "resume", "latest")
    assert code == 0, err
    assert [line.split()[1:] for line in out.splitlines() if "taken over" in line] == [
        ["first", "succeeded", "taken", "over"]
    ]
    run = project.look_latest()
    assert (run.state, run["total"].load(), marks(run)) == ("succeeded", 10, ["begin", "resume", "succeeded"])
    assert told(project) == sorted([*EACH, "wait"])  # the killed attempt, and the one that counts


def test_a_run_goes_on_though_the_project_is_gone(project, running):
    process, worker = running
    process.kill()
    os.kill(worker, signal.SIGKILL)
    process.wait(timeout=60)
    run = project.look_latest()
    project.file.unlink()
    (project.folder / "pyproject.toml").unlink()  # and with it the project's name
    go(project)
    code, out, err = answer(project, "runs", "resume", run.id, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["project"], document["state"]) == ("demo", "succeeded")
    assert told(project) == sorted([*EACH, "wait"])


def test_what_a_worker_of_the_killed_run_still_does_is_waited_for_and_not_done_twice(project, running):
    process, step = running
    worker = os.getsid(step)
    process.kill()
    process.wait(timeout=60)
    again = project.command("runs", "resume", "latest", "--json")
    said = again.stderr.readline()
    before, _, left = said.rpartition(": ")
    assert before == "turnout: waiting for what the run's killed process left running"
    assert str(worker) in left.replace(",", " ").split()
    assert told(project) == ["first", "wait"]
    go(project)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert told(project) == EACH
    assert {one["step"]: one["attempts"] for one in json.loads(out)["steps"]}["wait"] == 1


def test_a_run_in_progress_is_not_resumed(project, running):
    process, _ = running
    code, _, err = answer(project, "runs", "resume", "latest")
    assert code == 1
    assert "is in progress: another process runs it" in err
    assert "turnout runs cancel" in err
    go(project)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert told(project) == EACH


def test_of_two_that_resume_at_once_one_is_refused(project, running):
    process, worker = running
    process.kill()
    os.kill(worker, signal.SIGKILL)
    process.wait(timeout=60)
    both = [project.command("runs", "resume", "latest") for _ in range(2)]
    until(lambda: any(one.poll() is not None for one in both))
    go(project)
    errors = [one.communicate(timeout=120)[1] for one in both]
    assert sorted(one.returncode for one in both) == [0, 1]
    assert sum("is in progress" in text for text in errors) == 1
    assert told(project) == sorted([*EACH, "wait"])


def test_a_failed_run_is_resumed_from_python_and_a_succeeded_one_is_left_alone(project):
    go(project, "fail")
    run, state, _ = project.run(SOURCE, folder=str(project.folder))
    assert state == "failed"
    with pytest.raises(RunError, match="not today") as caught:
        run.resume()
    assert caught.value.run is run
    go(project)
    assert run.resume() is run
    assert (run.state, run["total"].load(), marks(run)) == (
        "succeeded",
        10,
        ["begin", "failed", "resume", "failed", "resume", "succeeded"],
    )
    before = told(project)
    assert run.resume().state == "succeeded"
    assert (told(project), len(marks(run))) == (before, 6)
    code, out, _ = answer(project, "runs", "resume", run.id)
    assert (code, out) == (0, f"the run {run.id} has succeeded: there is nothing left to run\n")


def test_what_was_invalidated_runs_again(project, monkeypatch):
    from turnout.api.invalidation import invalidate

    go(project)
    run, _, _ = project.run(SOURCE, folder=str(project.folder))
    assert invalidate(run, "double.1") == ("double.1", "total")
    with monkeypatch.context() as patch:
        patch.setattr(type(run.workspace.orchestrator), "resume", busy)
        with pytest.raises(RunError, match="is in progress"):
            run.resume()
    assert (run.state, marks(run)[-2:]) == ("failed", ["resume", "invalidate"])
    run.resume()
    assert told(project) == sorted([*EACH, "double", "total"])
    assert (run["total"].load(), marks(run)) == (
        10,
        ["begin", "succeeded", "invalidate", "resume", "invalidate", "resume", "succeeded"],
    )


def test_a_record_cut_in_half_is_named_and_the_run_goes_on_without_it(project):
    go(project)
    run, _, _ = project.run(SOURCE, folder=str(project.folder))
    record = Path(run.workspace.store.address, run.info.project, "runs", run.id, "steps/double.0/record.json")
    record.chmod(0o644)
    record.write_bytes(record.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=r"double\.0/record\.json cannot be read as a Record") as caught:
        run.resume()
    assert "turnout runs invalidate" in str(caught.value)
    assert answer(project, "runs", "invalidate", run.id, "double.0")[0] == 0
    code, _, err = answer(project, "runs", "resume", run.id)
    assert code == 0, err
    assert told(project) == sorted([*EACH, "double", "total"])
    assert project.look_latest()["total"].load() == 10


def test_a_truncated_artifact_is_named_and_made_again(project):
    source = SOURCE.replace("-> list[int]:\n    return [x, x + 1]", "-> list[str]:\n    return ['a' * 5000 * x] * 2")
    source = source.replace("double(x: int", "double(x: str").replace("return 2 * x", "return len(x)")
    go(project)
    run, _, _ = project.run(source, folder=str(project.folder))
    (path,) = (Path(run.workspace.store.address) / "artifacts" / run["pair"].record.outputs["output"].digests[0]).glob(
        "files/*"
    )
    path.chmod(0o644)
    os.truncate(path, 10)
    assert answer(project, "runs", "invalidate", run.id, "double")[0] == 0
    code, out, _ = answer(project, "runs", "resume", run.id)
    assert code == 1
    assert "it has 10 bytes instead of 10000" in out
    assert "`turnout runs resume RUN`" in out
    assert answer(project, "runs", "invalidate", run.id, "pair")[0] == 0
    assert answer(project, "runs", "resume", run.id)[0] == 0
    assert project.look_latest()["total"].load() == 20000
