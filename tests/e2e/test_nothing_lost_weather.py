"""Runs whose disk is full, or whose store goes away for a while: the error says so, and going on completes them."""

from __future__ import annotations

import contextlib
import resource
import signal
import subprocess

import pytest
from waiting import until

SOURCE = """
def tell(folder, name):
    with open(Path(folder, "told"), "a") as file:
        file.write(f"{name}\\n")

@step
def first(folder: str) -> str:
    tell(folder, "first")
    return "a" * 50_000

@step
def wait(text: str, folder: str, fill: str) -> str:
    tell(folder, "wait")
    Path(folder, "waits").touch()
    while not Path(folder, "go").exists():
        time.sleep(0.02)
    if fill and not Path(folder, "filled").exists():
        Path(folder, "filled").touch()
        with open(fill, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
    return text.upper()

@step
def last(text: str, folder: str) -> int:
    tell(folder, "last")
    return len(text)

@pipeline
def flow(folder: str, fill: str = ""):
    last(wait(first(folder), folder, fill), folder)
"""


def told(project) -> list[str]:
    return (project.folder / "told").read_text().split()


def go(project) -> None:
    (project.folder / "go").touch()


def answer(project, *arguments: str, **options):
    process = project.command(*arguments, **options)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def store_at(project, setting: str) -> None:
    (project.folder / "stack.yaml").write_text(
        f"extends: local\norchestrator: {{type: local, workers: 1}}\nartifact_store: {{{setting}}}\n"
    )


def completes(project) -> None:
    code, out, err = answer(project, "runs", "resume", "latest")
    assert code == 0, out + err
    run = project.look_latest()
    assert (run.state, run["wait"].load(), run["last"].load()) == ("succeeded", "A" * 50_000, 50_000)
    assert told(project) == ["first", "wait", "wait", "last"]


@pytest.fixture
def small_disk(project):
    """A disk of one megabyte."""
    folder = project.folder / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(project, small_disk):
    store_at(project, f"root: {small_disk}/store")
    project.write(SOURCE)
    go(project)
    parameters = ("-p", f"folder={project.folder}", "-p", f"fill={small_disk}/filler")
    code, out, err = answer(project, "run", project.file.name, *parameters)
    assert code == 1, out + err
    assert "the disk is full" in out + err
    assert "free some space" in out + err
    (small_disk / "filler").unlink()
    completes(project)
    assert list((small_disk / "store" / ".staging").iterdir()) == []


def test_a_limit_on_files_is_named_and_the_run_goes_on_without_it(project):
    project.write(SOURCE)
    go(project)

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    code, out, _ = answer(project, "run", project.file.name, "-p", f"folder={project.folder}", preexec_fn=limited)
    assert code == 1
    assert "File too large" in out or "larger than the limit" in out
    (project.folder / "told").write_text("")
    code, out, err = answer(project, "runs", "resume", "latest")
    assert code == 0, out + err
    assert told(project) == ["first", "wait", "last"]


@contextlib.contextmanager
def running(project):
    project.write(SOURCE)
    process = project.command("run", project.file.name, "-p", f"folder={project.folder}")
    try:
        until(lambda: (project.folder / "waits").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def test_a_store_that_goes_away_is_missed_and_the_run_goes_on_when_it_is_back(project):
    store, away = project.folder / ".turnout" / "store", project.folder / "away"
    with running(project) as process:
        store.rename(away)
        go(project)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "wait       failed" in out
    assert "the folder has gone away" in err
    assert "then go on: turnout runs resume" in err
    assert not store.exists(), "nothing is written where a disk is not mounted"
    away.rename(store)
    completes(project)


def test_a_bucket_that_cannot_be_reached_for_a_while(project, bucket):
    endpoint = f"endpoint: 'http://127.0.0.1:{bucket.port}', region: us-east-1, allow_http: true"
    store_at(project, f"root: 's3://weather/turnout', {endpoint}, retries: 1, timeout: 10")
    with running(project) as process:
        bucket.stop()
        go(project)
        _, err = process.communicate(timeout=120)
        bucket.start()
    assert process.returncode == 1
    assert "stopped: cannot" in err
    assert "then go on: turnout runs resume" in err
    completes(project)
