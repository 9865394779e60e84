"""Images that turnout builds, and steps that run in them: by podman, on a base made of this machine's Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from containers import Podman
from installed import need
from package_index import PASSWORD, PackageIndex
from waiting import until

from turnout.api.launch import Launch
from turnout.testing.cases import CASES
from turnout.testing.corpus_project import Trial
from turnout.testing.orchestrator import OrchestratorSuite

TURNOUT = str(Path(sys.executable).with_name("turnout"))
TAG = "localhost/painted:1"
SOURCE = """\
import packaging
from turnout import pipeline, step


@step
def version(prefix: str) -> str:
    return prefix + packaging.__version__


@pipeline
def painted(prefix: str = "packaging "):
    version(prefix)
"""
SERVING = "localhost/scaled:1"
ENDPOINT = """\
import pyarrow as pa
from turnout import endpoint, pipeline, step


@step
def table() -> pa.Table:
    return pa.table({"x": [1.0, 2.0]})


@step
def factor(rows: pa.Table) -> dict:
    return {"factor": len(rows), "padding": "x" * 5000}


@step
def times(rows: pa.Table, given: dict) -> list:
    return [x * given["factor"] for x in rows.column("x").to_pylist()]


@pipeline
def train():
    factor(table())


@endpoint(train, like={"rows": "table"})
def scaled(rows: pa.Table):
    return times(rows, train["factor"])
"""
ASK = """
import sys, urllib.request
body = {1!r}
asked = urllib.request.Request("http://127.0.0.1:8080/{0}", body and body.encode())
print(urllib.request.urlopen(asked, timeout=30).read().decode())
"""
PICKED = ("retry", "guards-half-open", "guarded-map-open", "parameters", "timeout")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one dependency, and stacks that start its steps by their image."""
    root = tmp_path_factory.mktemp("painted")
    (root / "pyproject.toml").write_text("[project]\nname = 'painted'\nversion = '1'\ndependencies = ['packaging']\n")
    (root / "painted.py").write_text(SOURCE)
    (root / "image.yaml").write_text("extends: local\norchestrator: {type: kubeflow, launch: image}\n")
    return root


@pytest.fixture(scope="module")
def image(podman: Podman, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What ``turnout image build`` says of an image that it built, its packages from an index that asks who is there."""
    command = [TURNOUT, "image", "build", "painted.py", "--stack", "image.yaml", "--json", "--tag", TAG]
    command += ["--base", podman.python_image(), "--bake-code", "--builder", "podman"]
    environ = {**os.environ, **podman.environment}
    written = subprocess.run([*command, "--file-only"], cwd=project, env=environ, capture_output=True, check=True)
    with PackageIndex(tmp_path_factory.mktemp("index")) as index:
        index.fetch([f"{name}=={version}" for name, version in pins(json.loads(written.stdout)).items()])
        config = index.folder / "pip.conf"
        config.write_text(f"[global]\nindex-url = {index.url}\n")
        done = subprocess.run(
            [*command, "--pip-config", str(config), "--", "--network", "host"],
            cwd=project, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    assert PASSWORD not in done.stdout + done.stderr
    yield json.loads(done.stdout)
    podman.run("rmi", "--force", TAG)


def test_an_image_holds_what_it_says_and_no_credential(
    podman: Podman, project: Path, image: dict[str, Any], tmp_path: Path
) -> None:
    frozen = podman.run("run", "--rm", "--network", "host", TAG, "python", "-m", "pip", "list", "--format", "json")
    found = {one["name"].lower().replace("_", "-"): one["version"] for one in json.loads(frozen)}
    expected = pins(image)
    assert {name: found[name] for name in expected} == expected
    assert set(found) - set(expected) == {"pip", "turnout", "turnout-kubeflow"}
    assert podman.run("run", "--rm", "--network", "host", TAG, "id", "-u").strip() == "1000"
    archive = tmp_path / "image.tar"
    podman.run("save", "--format", "docker-archive", "--output", str(archive), TAG)
    assert holds(archive, b"packaging/__init__.py")
    assert not holds(archive, PASSWORD.encode())


def test_code_that_is_baked_in_needs_no_package(
    podman: Podman, project: Path, image: dict[str, Any], tmp_path: Path
) -> None:
    """The store has the plan alone: the step runs by the code in the image, as any user."""
    export = [TURNOUT, "export", "painted.py", "--stack", "image.yaml", "-o", str(tmp_path / "out"), "--json"]
    plan = json.loads(subprocess.run(export, cwd=project, capture_output=True, check=True).stdout)["plan"]
    assert plan == image["plan"]
    store = tmp_path / "store"
    shutil.copytree(tmp_path / "out" / "plans", store / "plans")
    for folder in (store, store / "plans"):
        folder.chmod(0o777)
    call = ["python3", "-m", "turnout.runtime", "step", "--plan", plan, "--engine-run", "one", "--step", "version"]
    options = ["--rm", "--network", "host", "--user", "4321:4321", "--env", f"TURNOUT_STORE={store}"]
    printed = podman.run("run", *options, "--volume", f"{store}:{store}", TAG, *call)
    assert json.loads(printed.splitlines()[-1])["state"] == "succeeded"
    (record,) = store.rglob("steps/version/record.json")
    value = json.loads(record.read_bytes())["outputs"]["output"]["artifact"]["value"]
    assert value == f"packaging {pins(image)['packaging']}"


@pytest.mark.filterwarnings("ignore")
class TestOnKubeflowLocal:
    """Cases of the suite, each step in a container of its own by kfp.local, held against the local run."""

    suite = OrchestratorSuite()

    @pytest.fixture
    def trial(
        self, podman: Podman, image: dict[str, Any], turnout_corpus: Any, tmp_path: Path, monkeypatch: Any
    ) -> Trial:
        need("kfp", "2.17")
        for name, value in podman.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TURNOUT_CACHE", str(turnout_corpus.folder / "cache"))
        orchestrator = {
            "type": "kubeflow-local", "launch": "image", "image": TAG, "network": "host",
            "folder": str(tmp_path / "kubeflow"), "folders": [str(tmp_path), str(turnout_corpus.secrets)],
        }  # fmt: skip
        stack = {"orchestrator": orchestrator, "artifact_store": {"root": str(tmp_path / "store")}}
        folder = tmp_path / "trial"
        folder.mkdir()
        yield Trial(turnout_corpus, stack, folder)
        assert podman.run("ps", "--all", "--quiet") == "", "no container is left"

    @pytest.mark.parametrize("case", [one for one in CASES if one.name in PICKED], ids=lambda one: one.name)
    def test_a_case(self, trial: Trial, turnout_corpus: Any, case: Any) -> None:
        self.suite.test_a_case(trial, Launch.submit, turnout_corpus, case)

    def test_a_failed_step_shows_in_its_log(self, trial: Trial) -> None:
        """kfp calls some containers that fail a success; the records do not."""
        self.suite.test_a_failed_step_shows_in_its_log(trial, Launch.submit)

    def test_a_run_can_be_cancelled(self, trial: Trial, tmp_path: Path) -> None:
        self.suite.test_a_run_can_be_cancelled(trial, Launch.submit, tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_nothing_differs_from_the_local_stack(podman: Podman, project: Path, image: dict[str, Any]) -> None:
    """``turnout verify``, as a user calls it: here in a process, there in a container of the image."""
    need("kfp", "2.17")
    (project / "containers.yaml").write_text(
        f"extends: local\norchestrator: {{type: kubeflow-local, launch: image, image: '{TAG}', network: host}}\n"
        "artifact_store: {root: .turnout/other-store}\n"
    )
    command = [TURNOUT, "verify", "painted.py", "--stack", "local", "--stack", "containers.yaml"]
    environ = {**os.environ, **podman.environment, "TURNOUT_CACHE": str(project / ".turnout" / "cache")}
    done = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no difference" in done.stdout


def test_one_that_serves_an_endpoint(podman: Podman, tmp_path: Path) -> None:
    """By itself: its code, plan and artifacts are in it, and nobody is asked for anything."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text("[project]\nname = 'scaled'\nversion = '1'\ndependencies = ['packaging']\n")
    (project / "scaled.py").write_text(ENDPOINT)
    environ = {**os.environ, **podman.environment}
    subprocess.run([TURNOUT, "run", "scaled.py:train"], cwd=project, env=environ, capture_output=True, check=True)
    command = [TURNOUT, "image", "build", "scaled.py:scaled", "--json", "--tag", SERVING, "--builder", "podman"]
    command += ["--base", podman.python_image()]
    written = subprocess.run([*command, "--file-only"], cwd=project, env=environ, capture_output=True, check=True)
    (tmp_path / "index").mkdir()
    with PackageIndex(tmp_path / "index") as index:
        index.fetch([f"{name}=={version}" for name, version in pins(json.loads(written.stdout)).items()])
        config = tmp_path / "pip.conf"
        config.write_text(f"[global]\nindex-url = {index.url}\n")
        done = subprocess.run(
            [*command, "--pip-config", str(config), "--", "--network", "host"],
            cwd=project, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    try:
        name = podman.run("run", "--detach", "--network", "none", SERVING).strip()
        until(lambda: podman.succeeds("exec", name, "python", "-c", ASK.format("health/ready", None)))
        body = json.dumps([{"x": 1.5}, {"x": 2.0}])
        answer = podman.run("exec", name, "python", "-c", ASK.format("predict", body))
        assert json.loads(answer) == {"predictions": [3.0, 4.0]}
        podman.run("stop", "--time", "60", name)
        ended = json.loads(podman.run("inspect", name))[0]["State"]["ExitCode"]
        assert ended == 0, podman.run("logs", name)
        podman.run("rm", name)
    finally:
        podman.run("rmi", "--force", SERVING)


def pins(built: dict[str, Any]) -> dict[str, str]:
    """The exact versions of a build's files."""
    folder = Path(built["images"][0]["folder"])
    lines = [*(folder / "requirements.txt").read_text().split(), *(folder / "turnout.txt").read_text().splitlines()]
    return dict(line.split("==") for line in lines if "==" in line)


def holds(file: Path, words: bytes) -> bool:
    """Whether a file has these bytes anywhere."""
    rest = b""
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 22):
            if words in rest + chunk:
                return True
            rest = chunk[-len(words) :]
    return False
