"""Beam: every pipeline of the corpus by the DirectRunner and by a portable job service on loopback."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from installed import need
from job_server import job_server
from samples import SAMPLE, cases
from waiting import until

from turnout.model.records import Options
from turnout.testing.corpus_project import Trial
from turnout.testing.orchestrator import OrchestratorSuite

__all__ = ["job_server"]


@pytest.fixture(autouse=True)
def _beam() -> None:
    need("apache-beam", "2.77")


class BeamSuite(OrchestratorSuite):
    launchers = ("turnout_beam",)

    def check_bundle(self, bundle: Any, plan: Any) -> None:
        tree = ast.parse(bundle.files["job.py"])
        assert {type(node).__name__ for node in ast.walk(tree)} & {"For", "While", "Lambda"} == set()


@pytest.mark.filterwarnings("ignore")
class TestDirectRunner(BeamSuite):
    sample = SAMPLE

    @pytest.fixture
    def stack(self, tmp_path: Any) -> dict[str, Any]:
        return {
            "orchestrator": {"type": "beam", "folder": str(tmp_path / "beam")},
            "artifact_store": {"root": str(tmp_path / "store")},
        }


@pytest.mark.filterwarnings("ignore")
class TestPortableRunner(BeamSuite):
    """What a job service may do otherwise than the DirectRunner."""

    sample = (
        *cases("empty-map", "failed-element", "chained-maps", "guards-half-open", "timeout", "parameters", "secret"),
        "test_a_run_can_be_cancelled",
    )

    @pytest.fixture
    def stack(self, tmp_path: Any, job_server: str) -> dict[str, Any]:
        orchestrator = {
            "type": "beam",
            "folder": str(tmp_path / "beam"),
            "runner": "PortableRunner",
            "job_endpoint": job_server,
            "options": {"environment_type": "LOOPBACK"},
        }
        return {"orchestrator": orchestrator, "artifact_store": {"root": str(tmp_path / "store")}}


def turnout(*words: str, folder: Path, expected: int = 0, **environ: str) -> str:
    """Run the command in *folder*; what it said."""
    command = [str(Path(sys.executable).with_name("turnout")), *words]
    environ = {"TURNOUT_CACHE": str(folder / ".cache"), **environ}
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == expected, said
    return said


HOUSE = """
import os, pathlib, time
from turnout import pipeline, step


@step
def load() -> int:
    print("said by load")
    return 3


@step
def weigh(number: int, mended: str) -> int:
    if not os.path.exists(mended):
        raise LookupError("no scale")
    return number


@step
def beside(number: int) -> int:
    return number + 1


@step
def tell(weight: int, other: int) -> str:
    return f"{weight} and {other}"


@pipeline
def house(mended: str):
    number = load()
    tell(weigh(number, mended), beside(number))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "house.py").write_text(HOUSE)
    (tmp_path / "beam.yaml").write_text("extends: local\norchestrator: {type: beam}\n")
    return tmp_path


def test_a_failed_step_keeps_what_is_done_and_resume_completes(project: Path) -> None:
    mended = project / "mended"
    said = turnout("run", "house.py", "--stack", "beam.yaml", "-p", f"mended={mended}", folder=project, expected=1)
    assert "LookupError: no scale" in said
    shown = json.loads(turnout("runs", "show", "latest", "--stack", "beam.yaml", "--json", folder=project))
    assert {step["step"]: step["state"] for step in shown["steps"]} == {
        "load": "succeeded",
        "weigh": "failed",
        "beside": "succeeded",
        "tell": "not run",
    }
    (output,) = project.glob(".turnout/beam/*/driver-output.log")
    assert "the run has failed: weigh failed: LookupError: no scale" in output.read_text()
    log = turnout("runs", "logs", "latest", "load", "--stack", "beam.yaml", folder=project)
    assert "said by load" in log
    mended.touch()
    turnout("runs", "resume", "latest", "--stack", "beam.yaml", folder=project)
    assert "3 and 4" in turnout("artifacts", "load", "latest", "tell", "--stack", "beam.yaml", folder=project)


def test_an_exported_job_runs_by_itself(project: Path) -> None:
    """From any folder, by nothing but the export; a wrong parameter or option is told before Beam starts."""
    turnout("export", "house.py", "--stack", "beam.yaml", "-o", "job", folder=project)
    (project / "mended").touch()

    def job(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "ignore", str(project / "job" / "job.py"), *words]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)

    done = job("--runner=DirectRunner", f"--mended={project / 'mended'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 and 4" in turnout("artifacts", "load", "latest", "tell", "--stack", "beam.yaml", folder=project)
    for words, said in {
        ("--runner=DirectRunner",): "the parameter 'mended' of house is not given",
        ("--mended=x", "--runer=DirectRunner"): "Beam has no option 'runer'. Did you mean 'runner'?",
        ("--mended=x", "--runner=FlunkRunner"): "Beam has no runner 'FlunkRunner'. Did you mean 'FlinkRunner'?",
        ("--mended=x", "--direct_num_workers=two"): "Beam refuses an option: argument --direct_num_workers",
        ("--mended=x", "--runner=PortableRunner", "--job_endpoint=127.0.0.1:1"): "no job service answers",
    }.items():
        refused = job(*words)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr
    assert job("--mended=x", "--write-proto", str(project / "job.pb")).returncode == 0
    assert b"weigh" in (project / "job.pb").read_bytes()


def test_what_a_stack_asks_wrongly_is_refused_before_anything_starts(project: Path) -> None:
    (project / "mended").touch()
    for settings, said in {
        "options: {direct_num_wokers: 2}": "Beam has no option 'direct_num_wokers'",
        'runner: PortableRunner, job_endpoint: "127.0.0.1:1"': "no job service answers at 127.0.0.1:1",
    }.items():
        (project / "beam.yaml").write_text(f"extends: local\norchestrator: {{type: beam, {settings}}}\n")
        refused = subprocess.run(
            [
                str(Path(sys.executable).with_name("turnout")),
                "run",
                "house.py",
                "--stack",
                "beam.yaml",
                "-p",
                "mended=x",
            ],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode in {1, 2}
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr
    assert not (project / ".turnout" / "beam").exists()


@pytest.mark.filterwarnings("ignore")
def test_a_job_that_is_killed_leaves_nothing_behind(turnout_corpus: Any, tmp_path: Path) -> None:
    """Killed without a word, the driver takes Beam and the step that runs with it; what is done stays done."""
    settings = {"type": "beam", "folder": str(tmp_path / "beam")}
    stack = {"orchestrator": settings, "artifact_store": {"root": str(tmp_path / "store")}}
    trial = Trial(turnout_corpus, stack, tmp_path)
    launch = trial.launch("patient")
    handle = launch.submit({"scratch": str(tmp_path / "begun")}, Options(no_cache=True))
    until((tmp_path / "begun" / "begun").exists)
    assert processes(handle.run_id), "the step is found by its run"
    handle._process.kill()
    assert handle.wait(60) == "failed"
    until(lambda: not processes(handle.run_id))


def processes(word: str) -> list[str]:
    """The processes with a word among their variables or in their command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.name != str(os.getpid()) and any(
                word.encode() in (folder / name).read_bytes() for name in ("cmdline", "environ")
            ):
                found.append(folder.name)
    return found


@pytest.mark.filterwarnings("ignore")
class TestFlights:
    """``turnout verify`` of the example, on a sample: by the DirectRunner, and by a job service."""

    sample = ("[direct]",)

    @pytest.mark.parametrize("runner", ["direct", "portable"])
    def test_nothing_differs_from_the_local_stack(
        self, runner: str, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        example = tmp_path / "flights"
        source = Path(__file__).parents[2] / "examples" / "flights"
        shutil.copytree(source, example, ignore=shutil.ignore_patterns(".turnout", "__pycache__"))
        settings = {"type": "beam"}
        if runner == "portable":
            settings["runner"] = "PortableRunner"
            settings["job_endpoint"] = request.getfixturevalue("job_server")
        more = ", options: {environment_type: LOOPBACK}" if runner == "portable" else ""
        orchestrator = ", ".join(f'{name}: "{value}"' for name, value in settings.items())
        (example / "there.yaml").write_text(
            f"extends: local\norchestrator: {{{orchestrator}{more}}}\nartifact_store: {{root: .turnout/there}}\n"
        )
        words = ["pipeline.py", "-p", "rows=4000", "-p", "iterations=20", "--stack", "local", "--stack", "there.yaml"]
        assert "no difference" in turnout("verify", *words, folder=example)
