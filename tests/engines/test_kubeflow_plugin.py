"""Kubeflow Pipelines: every pipeline of the corpus is parsed by kfp's own tools and run by kfp.local."""

from __future__ import annotations

import contextlib
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
from samples import SAMPLE
from waiting import until

from turnout.api.run import Run
from turnout.model.records import Options
from turnout.testing.corpus_project import Trial
from turnout.testing.orchestrator import OrchestratorSuite


@pytest.fixture(autouse=True)
def _kfp() -> None:
    need("kfp", "2.17")


def parse(document: bytes) -> None:
    """Hold a specification against the protobufs, which refuse what they do not know, and load it as a user does."""
    from google.protobuf import json_format
    from kfp import components
    from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec, PlatformSpec

    pipeline, *platform = yaml.safe_load_all(document)
    json_format.ParseDict(pipeline, PipelineSpec())
    for one in platform:
        json_format.ParseDict(one, PlatformSpec())
    components.load_component_from_text(document.decode())


@pytest.mark.filterwarnings("ignore")
class TestKubeflowLocal(OrchestratorSuite):
    sample = SAMPLE

    @pytest.fixture
    def stack(self, tmp_path: Any) -> dict[str, Any]:
        return {
            "orchestrator": {"type": "kubeflow-local", "folder": str(tmp_path / "kubeflow")},
            "artifact_store": {"root": str(tmp_path / "store")},
        }

    def check_bundle(self, bundle: Any, plan: Any) -> None:
        parse(bundle.files["pipeline.yaml"])


@pytest.mark.filterwarnings("ignore")
def test_an_exported_pipeline_runs_in_anyones_kfp(turnout_corpus: Any, tmp_path: Path) -> None:
    """By no code of ours but the launcher's: kfp.local is given the exported file, and its artifacts lead to ours."""
    stack = {"orchestrator": {"type": "kubeflow"}, "artifact_store": {"root": str(tmp_path / "store")}}
    trial = Trial(turnout_corpus, stack, tmp_path)
    launch = trial.launch("outputs")
    launch.publish()
    (tmp_path / "pipeline.yaml").write_bytes(launch.export().files["pipeline.yaml"])
    environ = {**os.environ, **trial.workspace.store.environment()}
    given = json.dumps({"number": 6})
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BY_HAND, given],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    run = Run("latest", workspace=trial.workspace)  # kfp gives it a name that nobody else is told
    assert run.state == "succeeded"
    assert run.params == {"number": 6}
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()], "kfp's own cache keeps nothing"
    written = [json.loads(path.read_text()) for path in (tmp_path / "local_outputs").rglob("executor_output.json")]
    shown = {name: one["artifacts"][0] for document in written for name, one in document["artifacts"].items()}
    digests = {name: shown[name]["metadata"]["digest"] for name in ("whole", "text", "raw", "tree")}
    assert digests == {name: output.digests[0] for name, output in run["several"].outputs.items()}
    assert shown["whole"]["metadata"]["value"] == 6


@pytest.mark.parametrize(
    ("pipeline", "given", "step", "names"),
    [
        ("outputs", {"number": 6}, "gather", {"tree", "raw", "whole"}),
        ("guarded_map", {"count": 2, "wanted": True}, "square.1", {"number"}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_kubeflow_knows_what_a_step_reads(
    pipeline: str, given: dict[str, Any], step: str, names: set[str], turnout_corpus: Any, tmp_path: Path
) -> None:
    """What kfp tells the last call of a step: artifacts with the digests that the step's own record says it read."""
    stack = {"orchestrator": {"type": "kubeflow"}, "artifact_store": {"root": str(tmp_path / "store")}}
    trial = Trial(turnout_corpus, stack, tmp_path)
    launch = trial.launch(pipeline)
    launch.publish()
    exported = launch.export().files["pipeline.yaml"].decode()
    listening = f"printf '%s' \"$0\" > {tmp_path}/told-$TURNOUT_STEP\n          exec python3"
    (tmp_path / "pipeline.yaml").write_text(exported.replace("exec python3", listening), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BY_HAND, json.dumps(given)],
        cwd=tmp_path,
        env={**os.environ, **trial.workspace.store.environment()},
        capture_output=True,
        check=True,
    )
    run = Run("latest", workspace=trial.workspace)  # kfp gives it a name that nobody else is told
    told = json.loads((tmp_path / f"told-{step.partition('.')[0]}").read_text(encoding="utf-8"))["inputs"]["artifacts"]
    shown = {name: one["artifacts"][0]["metadata"] for name, one in told.items()}
    assert set(shown) == names
    read = run[step].record.inputs
    for name in names:
        assert shown[name]["step"] == read[name].step
        assert set(read[name].digests) <= {shown[name].get("digest"), *shown[name].get("digests", [])}


BY_HAND = """
import json, sys
from kfp import components, local
local.init(runner=local.SubprocessRunner(use_venv=False), enable_caching=True, cache_root="cache")
components.load_component_from_file("pipeline.yaml")(**json.loads(sys.argv[1]))
"""


@pytest.mark.filterwarnings("ignore")
def test_it_is_parsed_as_the_golden_says() -> None:
    golden = Path(__file__).parents[1] / "plugins" / "kubeflow" / "pipeline.yaml"
    parse(golden.read_bytes())


def test_it_has_the_form_of_kfps_own(tmp_path: Path) -> None:
    """Each field of the golden specification is one that kfp's own compiler writes at that place."""
    own = tmp_path / "own.yaml"
    source = Path(__file__).parent / "kubeflow_project" / "own.py"
    subprocess.run([sys.executable, "-W", "ignore", str(source), str(own)], check=True, capture_output=True)
    golden = Path(__file__).parents[1] / "plugins" / "kubeflow" / "pipeline.yaml"
    ours, theirs = (fields(yaml.safe_load(file.read_text(encoding="utf-8"))) for file in (golden, own))
    assert ours - theirs == set()


NAMED = {"components", "executors", "tasks", "parameters", "artifacts"}


def fields(value: Any, *place: str) -> set[tuple[str, ...]]:
    """The places of all fields, whatever those are called that have names of the pipeline's own."""
    if isinstance(value, list):
        return set().union(*(fields(one, *place) for one in value))
    if not isinstance(value, dict):
        return {place}
    named = bool(place) and place[-1] in NAMED
    return {place}.union(*(fields(one, *place, "*" if named else name) for name, one in value.items()))


@pytest.mark.filterwarnings("ignore")
def test_nothing_outlives_its_driver(turnout_corpus: Any, tmp_path: Path) -> None:
    """Killed without a word, the driver takes kfp.local and the step that runs with it; the run counts as failed."""
    settings = {"type": "kubeflow-local", "folder": str(tmp_path / "kubeflow")}
    trial = Trial(
        turnout_corpus, {"orchestrator": settings, "artifact_store": {"root": str(tmp_path / "store")}}, tmp_path
    )
    launch = trial.launch("patient")
    handle = launch.submit({"scratch": str(tmp_path / "begun")}, Options(no_cache=True))
    until((tmp_path / "begun" / "begun").exists)
    assert processes(handle.engine_run), "the step is found by its run"
    handle._process.kill()
    assert handle.wait(60) == "failed"
    assert trial.orchestrator.status(launch.plan, handle.engine_run).state == "failed"
    until(lambda: not processes(handle.engine_run))


def processes(word: str) -> list[str]:
    """The processes with a word in their command."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in file.read_bytes():
                found.append(file.parent.name)
    return found


@pytest.mark.filterwarnings("ignore")
def test_nothing_differs_from_the_local_stack(tmp_path: Path) -> None:
    """``turnout verify`` of the example, on a sample, as a user calls it."""
    example = tmp_path / "flights"
    source = Path(__file__).parents[2] / "examples" / "flights"
    shutil.copytree(source, example, ignore=shutil.ignore_patterns(".turnout", "__pycache__"))
    (example / "kubeflow.yaml").write_text(
        "extends: local\norchestrator: {type: kubeflow-local}\nartifact_store: {root: .turnout/kubeflow-store}\n"
    )
    command = [str(Path(sys.executable).with_name("turnout")), "verify", "pipeline.py", "-p", "rows=4000"]
    done = subprocess.run(
        [*command, "-p", "iterations=20", "--stack", "local", "--stack", "kubeflow.yaml"],
        cwd=example,
        env={**os.environ, "TURNOUT_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no difference" in done.stdout
