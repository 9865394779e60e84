"""What kfp.local shows of a pipeline's outputs, and how far it goes where an element of a map fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from installed import need

HERE = Path(__file__).parent
TYPES = {
    "tables": dict.fromkeys(("pandas", "polars", "arrow", "series", "several"), "system.Dataset"),
    "models": {"plain": "system.Model", "chained": "system.Model"},
    "numbers": {"scores": "system.Metrics", "counts": "system.Metrics", "one": "system.Artifact"},
    "others": {**dict.fromkeys(("text", "report", "file", "any"), "system.Artifact"), "array": "system.Dataset"},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    need("kfp", "2.17")
    folder = tmp_path / "project"
    shutil.copytree(HERE / "kubeflow_project", folder, ignore=shutil.ignore_patterns(".turnout", "__pycache__"))
    (folder / "kfp.yaml").write_text(
        "extends: local\norchestrator: {type: kubeflow-local}\nartifact_store: {root: .turnout/kfp-store}\n"
    )
    return folder


def turnout(project: Path, *words: str, code: int = 0) -> Any:
    """A command in the project, and what it says as JSON."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("turnout")), *words, "--json"],
        cwd=project,
        env={**os.environ, "TURNOUT_CACHE": str(project.parent / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_every_output_is_shown_as_what_it_is(project: Path) -> None:
    run = turnout(project, "run", "outputs.py:shown", "--stack", "kfp.yaml")
    (folder,) = (project / ".turnout" / "kubeflow").glob("*/")
    components = yaml.safe_load((folder / "pipeline.yaml").read_text(encoding="utf-8"))["components"]
    written = [json.loads(path.read_text(encoding="utf-8")) for path in folder.rglob("executor_output.json")]
    shown: dict[str, dict[str, Any]] = {}
    for document in written:
        for name, one in document["artifacts"].items():
            (artifact,) = one["artifacts"]
            shown.setdefault(artifact["metadata"]["step"], {})[name] = artifact
    digests = {step["step"]: step["outputs"] for step in run["steps"]}
    store = project / ".turnout" / "kfp-store"
    for step, expected in TYPES.items():
        declared = components[f"comp-{step}"]["outputDefinitions"]["artifacts"]
        titles = {name: declared[name]["artifactType"]["schemaTitle"] for name in expected}
        assert titles == expected
        for name in expected:
            metadata = shown[step][name]["metadata"]
            told = metadata.get("digests") or [metadata["digest"]]
            assert told == digests[step][name]
            if "uri" in metadata:
                assert Path(metadata["uri"]) == store / "artifacts" / metadata["digest"]
                assert any(Path(metadata["uri"]).iterdir())
    assert (shown["numbers"]["scores"]["metadata"]["r2"], shown["numbers"]["counts"]["metadata"]["rows"]) == (0.5, 3)
    assert shown["models"]["logged-metrics"]["metadata"]["loss"] == 0.25, "the last point of each metric"


def test_a_failed_element_stops_what_it_stops_here(project: Path) -> None:
    """The other elements go on, and no map of that map begins: as on the local stack."""
    states = {}
    for stack in ("local", "kfp.yaml"):
        run = turnout(project, "run", "maps.py:chain", "--stack", stack, code=1)
        states[stack] = {(step["step"], step.get("index")): step["state"] for step in run["steps"]}
    assert states["kfp.yaml"] == states["local"]
    assert list(states["local"].values()).count("succeeded") == 3


def test_a_run_goes_on_under_its_id(project: Path, tmp_path: Path) -> None:
    """What was committed is not run again, and is given to what was not."""
    place = tmp_path / "place"
    run = turnout(project, "run", "again.py", "-p", f"place={place}", "--stack", "kfp.yaml", code=1)
    assert {step["step"]: step["state"] for step in run["steps"]} == {
        "begin": "succeeded",
        "read": "failed",
        "double": "not run",
    }
    place.write_text("four", encoding="utf-8")
    turnout(project, "runs", "resume", run["run"], "--stack", "kfp.yaml")
    shown = turnout(project, "runs", "show", run["run"], "--stack", "kfp.yaml")
    assert (shown["run"], shown["state"]) == (run["run"], "succeeded")
    assert {step["step"]: step["attempts"] for step in shown["steps"]} == {"begin": 1, "read": 2, "double": 1}


def test_parameters_arrive_as_on_this_machine(project: Path) -> None:
    given = ("-p", 'given={"z": 3, "a": 4}', "-p", "none=null")
    verified = turnout(project, "verify", "values.py", *given, "--stack", "local", "--stack", "kfp.yaml")
    assert verified["differences"] == []
    for step, told in {
        "of_shades": "{'z': [<Shade.RED: 'red'>, None], 'a': []}",
        "of_odd": "(<Odd.NOTHING: None>,)",
        "of_pair": "(2, 'b')",
        "of_either": "(1, 2)",
        "of_order": "{'z': 1, 'a': 2}",
        "of_given": "{'z': 3, 'a': 4}",
        "of_zone": "datetime.datetime(2026, 7, 1, 12, 0, tzinfo=zoneinfo.ZoneInfo(key='Europe/Paris'))",
        "of_naive": "datetime.datetime(2026, 1, 1, 0, 0)",
        "of_sign": "-0.0",
        "of_training": "{'shades': [<Shade.BLUE: 'blue'>], 'rate': 1.0}",
        "of_tree": "{'z': (1, -0.0), 'a': 2}",
        "of_none": "None",
    }.items():
        (shown,) = turnout(project, "artifacts", "show", verified["right"], step, "--stack", "kfp.yaml")
        assert shown["value"] == told
