"""Steps with requirements of their own: environments that conflict, from wheels that the stack names."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from projects import call

FLOW = """
import sys
from turnout import pipeline, step

def seen() -> dict:
    import tn_shape
    return {"version": tn_shape.version, "python": sys.executable}

@step(requirements=["tn-shape<2"])
def old() -> dict:
    return seen()

@step(requirements=["tn-shape>=2"])
def new(before: dict) -> dict:
    return {**seen(), "before": before["version"]}

@step
def here(both: dict) -> dict:
    return {**both, "own": sys.executable}

@pipeline
def shapes():
    here(new(old()))
"""


def make_wheel(folder: Path, version: str) -> None:
    """A wheel of one module, which says its version."""
    info = f"tn_shape-{version}.dist-info"
    files = {
        "tn_shape.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tn-shape\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"tn_shape-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("shapes")
    (made / "wheels").mkdir()
    for version in ("1.0", "2.0"):
        make_wheel(made / "wheels", version)
    (made / "pyproject.toml").write_text('[project]\nname = "shapes"\nversion = "1"\ndependencies = []\n')
    (made / "shapes.py").write_text(FLOW)
    (made / "stack.yaml").write_text("extends: local\nenvironment: {find_links: [wheels]}\n")
    return made


def turnout(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command on the stack with the wheels, unless another is named."""
    return call(folder, *words, **{"TURNOUT_CACHE": str(folder / "cache"), "TURNOUT_STACK": "stack.yaml", **environ})


@pytest.fixture(scope="module")
def run(folder) -> dict:
    """A run of the three steps, in three environments."""
    done = turnout(folder, "run", "shapes.py", "--json")
    document = json.loads(done.stdout) if done.returncode in {0, 1} else {"steps": []}
    unreachable = done.stderr + " ".join(one["error"] for one in document["steps"])
    if done.returncode and "make the package index reachable" in unreachable and not os.environ.get("CI"):
        pytest.skip("no package index answers, from which turnout's own requirements come")
    assert done.returncode == 0, done.stderr + unreachable
    return document


def value(folder: Path, run: dict, step: str) -> dict:
    (shown,) = json.loads(turnout(folder, "artifacts", "show", run["run"], step, "--json").stdout)
    return shown["value"]


@pytest.mark.slow
def test_two_steps_of_one_pipeline_run_on_versions_that_conflict(folder, run):
    found = value(folder, run, "here")
    assert (found["before"], found["version"]) == ("1.0", "2.0")
    assert found["own"] == sys.executable
    assert found["python"].startswith(str(folder / "cache"))
    assert value(folder, run, "old")["python"] != found["python"]


@pytest.mark.slow
def test_the_locks_are_in_the_plan_and_in_the_keys(folder, run):
    environments = json.loads(turnout(folder, "explain", "shapes.py", "--json").stdout)["environments"]
    pins = sorted(pin for one in environments.values() for pin in one["pins"])
    assert pins == ["tn-shape==1.0", "tn-shape==2.0"]
    assert all(one["cached_from"] is None for one in run["steps"])
    text = (folder / "shapes.py").read_text()
    try:
        (folder / "shapes.py").write_text(text.replace('"tn-shape>=2"', '"tn-shape==1.*"'))
        again = json.loads(turnout(folder, "run", "shapes.py", "--json").stdout)
        assert {one["step"]: bool(one["cached_from"]) for one in again["steps"]}["new"] is False
        why = json.loads(turnout(folder, "explain", "latest", "new", "--json").stdout)["why"]
        package = next(change for change in why["changes"] if change["part"] == "package")
        assert package == {"part": "package", "name": "tn-shape", "before": "2.0", "after": "1.0"}
    finally:
        (folder / "shapes.py").write_text(text)


@pytest.mark.slow
def test_a_replay_has_the_environment_that_the_step_was_locked_to(folder, run):
    done = turnout(folder, "debug", run["run"], "new", "--json")
    found = json.loads(done.stdout)
    assert found["equal"] is True, done.stderr
    assert found["python"] == value(folder, run, "new")["python"]


def test_a_worker_finds_folders_of_wheels_in_the_code_package(folder):
    done = turnout(folder, "explain", "shapes.py", "--plan")
    assert json.loads(done.stdout)["worker"]["index"] == {"find_links": ["wheels"]}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{index_url: 'https://user:hunter22@packages.example/simple'}", "'index_url' of environment holds"),
        ("{extra_index_urls: ['https://${env:TOKEN}@packages.example/simple']}", "'extra_index_urls' of environment"),
    ],
)
def test_a_password_of_an_index_is_never_planned_or_shown(settings, said, folder):
    (folder / "stacks").mkdir(exist_ok=True)
    (folder / "stacks" / "clear.yaml").write_text(f"extends: local\nenvironment: {settings}\n")
    done = turnout(folder, "explain", "shapes.py", "--stack", "clear", TOKEN="hunter22")
    assert done.returncode == 2
    assert said in done.stderr
    assert "hunter22" not in done.stderr + done.stdout


def test_a_secret_of_an_index_is_planned_as_a_reference_and_not_shown_when_uv_fails(folder):
    (folder / "stacks").mkdir(exist_ok=True)
    address = "https://me:${secret:INDEX}@127.0.0.1:9/simple"
    (folder / "stacks" / "secret.yaml").write_text(f"extends: local\nenvironment: {{index_url: '{address}'}}\n")
    locks = folder / ".turnout" / "locks"
    done = turnout(folder, "run", "shapes.py", "--stack", "secret", INDEX="hunter22", UV_HTTP_RETRIES="0")
    assert done.returncode == 2
    assert "hunter22" not in done.stderr + done.stdout
    assert not any("hunter22" in path.read_text() for path in locks.glob("*.txt"))
    without = turnout(folder, "run", "shapes.py", "--stack", "secret")
    assert "the secret 'INDEX' is not there" in without.stderr


def test_offline_keeps_uv_from_the_network(folder):
    (folder / "stacks").mkdir(exist_ok=True)
    settings = "{offline: true, index_url: 'http://127.0.0.1:9/simple', find_links: [wheels]}"
    (folder / "stacks" / "offline.yaml").write_text(f"extends: local\nenvironment: {settings}\n")
    done = turnout(folder, "explain", "shapes.py", "--stack", "offline", "--json", UV_CACHE_DIR=str(folder / "uv"))
    assert done.returncode == 0, done.stderr
    pins = [pin for one in json.loads(done.stdout)["environments"].values() for pin in one["pins"]]
    assert sorted(pins) == ["tn-shape==1.0", "tn-shape==2.0"]
