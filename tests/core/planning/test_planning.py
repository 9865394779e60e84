"""Planning: a definition, a stack, code and locked environments become one plan; all that is wrong is said at once."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from projects import git, write

from turnout.base import canonical
from turnout.base.errors import TurnoutError
from turnout.model.plan import decode

PIPELINE = '''\
"""A pipeline with one of everything."""

from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated

import pandas as pd

from turnout import LOGICAL_TIME, File, Folder, Resources, materializer, pipeline, step, when


class Mode(Enum):
    FAST = "fast"
    SLOW = "slow"


class Model:
    def __init__(self, weight):
        self.weight = weight


@materializer(Model)
class ModelFile:
    def save(self, model, folder):
        (folder / "weight").write_text(str(model.weight))

    def load(self, folder):
        return Model(float((folder / "weight").read_text()))


@step
def read(path: File, *, extra: Folder) -> pd.DataFrame:
    """Read a table."""
    return pd.read_csv(path)


@step
def split(rows: pd.DataFrame, *, seed: int = 3) -> tuple[Annotated[pd.DataFrame, "train"], Annotated[pd.DataFrame, "test"]]:
    return rows, rows


@step(retries=2, retry_delay="10s", retry_backoff=2, timeout="30m", resources=Resources(cpu=2, memory="1Gi"),
      secrets={"DB_PASSWORD": "warehouse"}, env=["REGION"], files=["sql/*.sql"])
def fit(train: pd.DataFrame, *, depth: int, mode: Mode, when_: datetime, wait: timedelta = timedelta(seconds=90)) -> Model:
    """Fit it."""
    return Model(1.0)


@step(cache="12h")
def evaluate(model: Model, test: pd.DataFrame | None) -> dict:
    return {"r2": 0.5, "by": {"a": [1]}}


@step
def publish(model: Model) -> str:
    return "done"


@step
def parts(rows: pd.DataFrame) -> list[int]:
    return [1, 2]


@step
def score(part: int, *, model: Model, factor: float = 1.5) -> float:
    return part * factor


@step
def again(score: float) -> float:
    return score


@step(cache=False)
def total(scores: list[float]) -> float:
    return sum(scores)


@pipeline
def prepare(path: File, extra: Folder, seed: int = 3):
    return split(read(path, extra=extra), seed=seed)


@pipeline(schedule="@daily", tags={"team": "ops"})
def complete(
    path: File = "data/rows.csv", extra: Folder = "data/extra", depth: int = 6, mode: Mode = Mode.FAST,
    limit: float = 0.3, day: datetime = LOGICAL_TIME,
):
    """One of everything.

    Args:
        path: the rows.
    """
    train, test = prepare(path, extra)
    model = fit(train, depth=depth, mode=mode, when_=day)
    report = evaluate(model, test)
    with when((report["r2"] > limit) & report["by"]["a"][0].isin([1, 2])):
        publish(model)
    total(again.map(score.map(parts(test), model=model)))
'''

PYPROJECT = """\
[project]
name = "house"
version = "0.1.0"
dependencies = []
"""

STACK = """\
extends: local
orchestrator: {type: local, logs: "/var/log/turnout-of-this-machine"}
artifact_store: {root: "s3://bucket-of-this-machine/x", credentials: "${secret:s3}"}
secrets: {type: files, folder: "${worker-env:SECRETS}"}
observers: [{type: jsonl, path: "${env:EVENTS}"}]
steps:
  "fit*": {resources: {cpu: 4}, image: "images/fit:1", retries: 5, timeout: 60}
  total: {cache: 90}
pipelines:
  complete: {schedule: "0 6 * * *", params: {depth: 8}, tags: {tier: "1"}}
"""


COMPLETE = {
    "pyproject.toml": PYPROJECT,
    "everything.py": PIPELINE,
    "data/rows.csv": "a,b\n1,2\n",
    "data/extra/one.txt": "one",
    "data/extra/deep/two.txt": "two",
    "sql/a.sql": "select 1",
    "sql/b.sql": "select 2",
    "stacks/shared.yaml": STACK,
    ".gitignore": ".turnout/\n__pycache__/\n",
}

PLAN_IT = """\
import sys
from turnout.api.launch import Launch
from turnout.cli.target import find_pipeline
plan = Launch.of(find_pipeline(sys.argv[1]), stack=sys.argv[2]).plan
sys.stdout.buffer.write(plan.encode())
"""


def planned(root: Path, target: str = "everything.py:complete", stack: str = "shared", **environ: str) -> bytes:
    """A plan's bytes, made by a process of its own."""
    environ = {**os.environ, "EVENTS": "events.jsonl", **environ}
    environ.pop("TURNOUT_STACK", None)
    done = subprocess.run(
        [sys.executable, "-c", PLAN_IT, target, stack], cwd=root, env=environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    return write(tmp_path_factory.mktemp("one") / "house", COMPLETE)


@pytest.fixture(scope="module")
def plan(complete):
    return decode(planned(complete))


def test_the_same_bytes_whatever_the_hash_seed_the_folder_and_git(complete, plan, tmp_path):
    copy = tmp_path / "elsewhere" / "another name"
    shutil.copytree(complete, copy, ignore=shutil.ignore_patterns(".turnout", "__pycache__"))
    assert planned(copy, PYTHONHASHSEED="1") == planned(copy, PYTHONHASHSEED="4242") == plan.encode()
    assert planned(copy, "everything:complete") == plan.encode()
    git(copy, "init")
    git(copy, "add", ".")
    assert planned(copy) == plan.encode()
    git(copy, "commit", "-m", "all")
    git(tmp_path, "clone", str(copy), "cloned")
    assert planned(tmp_path / "cloned") == plan.encode()


def test_a_change_of_anything_that_counts_changes_the_plan(complete, plan, tmp_path):
    copy = tmp_path / "house"
    shutil.copytree(complete, copy, ignore=shutil.ignore_patterns(".turnout", "__pycache__"))
    known = {plan.digest}
    for name, before, after in (
        ("everything.py", "part * factor", "part + factor"),
        ("data/rows.csv", "1,2", "1,3"),
        ("data/extra/deep/two.txt", "two", "deux"),
        ("sql/b.sql", "select 2", "select 3"),
        ("stacks/shared.yaml", "cpu: 4", "cpu: 5"),
        ("pyproject.toml", "dependencies = []", 'dependencies = ["click"]'),
    ):
        path = copy / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))
        digest = canonical.digest(planned(copy))
        assert digest not in known, name
        known.add(digest)


def test_nothing_of_the_submitter_is_in_a_plan(complete, plan):
    text = plan.encode().decode()
    for private in (str(complete), str(Path.home()), "of-this-machine", "turnout/logs", "s3"):
        assert private not in text, private
    assert '"folder":"${worker-env:SECRETS}"' in text


def test_the_stack_is_laid_over_the_definition(plan):
    fit = plan.by_name["fit"]
    assert (fit.retry.count, fit.retry.delay, fit.retry.backoff) == (5, 10.0, 2.0)
    assert (fit.timeout, fit.resources.cpu, fit.resources.memory, fit.image) == (60.0, 4.0, "1Gi", "images/fit:1")
    assert plan.by_name["total"].cache == 90.0
    assert plan.schedule.cron == "0 6 * * *"
    assert plan.tags == {"team": "ops", "tier": "1"}
    assert {param.name: param.default for param in plan.params}["depth"] == 8
    assert plan.worker.observers[0].config == {"path": "events.jsonl"}


def test_only_what_is_fixed_by_its_inputs_is_cached_by_default(plan):
    assert {step.name: step.cache for step in plan.steps} == {
        "prepare.read": True,
        "prepare.split": True,
        "fit": False,  # it has secrets
        "evaluate": 12 * 3600.0,
        "when_1": False,
        "publish": True,
        "parts": True,
        "score": True,
        "again": True,
        "total": 90.0,
    }


def test_materializers_are_chosen_while_planning(plan):
    chosen = {step.name: [output.materializer for output in step.outputs] for step in plan.steps}
    assert chosen["prepare.split"] == ["table", "table"]
    assert chosen["fit"] == ["everything:ModelFile"]
    assert chosen["parts"] == chosen["evaluate"] == ["json"]
    assert chosen["publish"] == ["text"]


def test_local_data_is_in_the_plan_by_digest(plan):
    defaults = {param.name: param.default for param in plan.params}
    assert set(defaults["path"]) == {"digest", "suffix", "name"}
    assert defaults["path"]["suffix"] == ".csv"
    assert defaults["extra"]["suffix"] == ""
    assert plan.by_name["fit"].files == {
        f"sql/{name}.sql": canonical.digest(f"select {number}".encode()) for name, number in (("a", 1), ("b", 2))
    }


WRONG = """\
from datetime import datetime
from turnout import INTERVAL_START, File, Folder, Resources, pipeline, step


@step(resources=Resources(gpu=2, accelerator="a100"), files=["sql/*.sql"])
def fit(path: File, since: datetime) -> int:
    return 1


@step(requirements=["numpy<1", "numpy>2"])
def torn(given: int) -> int:
    return given


@pipeline
def wrong(path: File = "data/nowhere.csv", since: datetime = INTERVAL_START):
    torn(fit(path, since))
    fit.named("fit_2")("data/neither.csv", since)
"""


@pytest.fixture
def plan_here(tmp_path, monkeypatch):
    """Plans a module in this process, for its errors: a function of its text, the stack's, and what is accepted."""
    from turnout.api.launch import Launch
    from turnout.cli.target import find_pipeline

    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("TURNOUT_STACK", raising=False)
    monkeypatch.chdir(tmp_path)

    def plan(text: str, stack: str = "extends: local\n", accept: tuple[str, ...] = ()):
        name = f"defined_{tmp_path.name}".replace("-", "_")
        write(tmp_path, {f"{name}.py": text, "pyproject.toml": PYPROJECT, "stacks/own.yaml": stack})
        monkeypatch.delitem(sys.modules, name, raising=False)
        return Launch.of(find_pipeline(f"{name}.py"), stack="own", accept=accept)

    def shown(*arguments, **keywords) -> str:
        with pytest.raises(TurnoutError) as caught:
            plan(*arguments, **keywords)
        text = str(caught.value).replace(f"defined_{tmp_path.name}".replace("-", "_"), "MODULE")
        running = f"{sys.version_info.major}.{sys.version_info.minor}"
        return text.replace(str(tmp_path), "PROJECT").replace(running, "RUNNING")

    plan.error = shown
    return plan


def test_everything_that_is_wrong_is_said_at_once(plan_here, snapshot):
    assert plan_here.error(WRONG) == snapshot


def test_what_is_accepted_by_name_is_gone_without(plan_here, tmp_path):
    text = textwrap.dedent("""\
        from turnout import Resources, pipeline, step

        @step(resources=Resources(gpu=2))
        def fit() -> int:
            return 1

        @pipeline
        def fitted():
            fit()
        """)
    assert "--accept gpu" in plan_here.error(text)
    assert plan_here(text, accept=("gpu",)).plan.accepted == ("gpu",)
    assert plan_here(text, "extends: local\naccept: [gpu]\n").plan.accepted == ("gpu",)


def test_a_list_longer_than_the_engine_maps_over_is_refused(plan_here, monkeypatch):
    from turnout.engines.local.adapter import LocalOrchestrator

    text = textwrap.dedent("""\
        from turnout import pipeline, step

        @step
        def square(number: int) -> int:
            return number**2

        @pipeline
        def squares(given: list[int] = [1, 2, 3, 4]):
            square.map([1, 2, 3])
            square.named("more").map(range(4))
            square.named("by_parameter").map(given)
        """)
    monkeypatch.setattr(LocalOrchestrator, "max_fan_out", 3)
    error = plan_here.error(text)
    assert "the step more is mapped over 4 elements, and the local orchestrator takes 3 at most" in error
    assert "MODULE.py:10" in error
    assert plan_here(text.replace("range(4)", "range(3)"))


SIMPLE = """\
from turnout import pipeline, step

@step
def fit(depth: int) -> int:
    return depth

@pipeline
def simple(depth: int = 6):
    fit(depth)
"""


@pytest.mark.parametrize(
    ("stack", "accept"),
    [
        ("extends: local\n", ("gpus",)),
        ("extends: local\naccept: [everything]\n", ()),
        ("extends: local\npipelines:\n  simple: {params: {dept: 8}}\n", ()),
        ("extends: local\npipelines:\n  simple: {params: {depth: deep}}\n", ()),
        ("extends: local\nenvironment: {python: '3.99'}\n", ()),
        ("extends: local\nsteps:\n  fit: {resources: {gpu: 1}}\n", ()),
    ],
    ids=["accept", "accept_of_the_stack", "parameter", "type_of_a_parameter", "python", "gap_of_the_stack"],
)
def test_misfits_of_the_stack(plan_here, stack, accept, snapshot):
    assert plan_here.error(SIMPLE, stack, accept=accept) == snapshot


def test_files_that_are_not_there(plan_here, snapshot):
    text = SIMPLE.replace("@step\n", '@step(files=["sql/*.sql", "README.md"])\n')
    assert plan_here.error(text) == snapshot


def test_a_step_with_requirements_that_are_met_shares_their_versions(plan_here):
    launch = plan_here(SIMPLE.replace("@step\n", '@step(requirements=["msgspec"])\n'))
    named = launch.plan.by_name["fit"].environment
    assert named.startswith("env_")
    assert [pin for pin in launch.plan.environments[named].pins if pin.startswith("msgspec==")]


def test_what_no_index_has_counts_in_the_environment(plan_here, monkeypatch):
    from turnout.environment import environment
    from turnout.environment.pins import Locked

    monkeypatch.setattr(
        environment,
        "lock",
        lambda *_: Locked(python="3.11", pins=("a==1",), local={"own": "d1"}, notes=("own is local",)),
    )
    launch = plan_here(SIMPLE)
    assert launch.plan.environments["default"].local == {"own": "d1"}
    assert "own is local" in launch.planned.notes


def test_a_secret_is_never_looked_up_while_planning(plan_here, monkeypatch):
    from turnout.builtin.secrets_from_environment import EnvironmentSecrets

    monkeypatch.setattr(EnvironmentSecrets, "get", lambda *_: pytest.fail("a secret was looked up"))
    launch = plan_here(SIMPLE.replace("@step\n", '@step(secrets={"TOKEN": "token"})\n'))
    assert launch.plan.by_name["fit"].secrets == {"TOKEN": "token"}


def test_planning_is_linear(tmp_path):
    """The work for each step of a long pipeline is that for each step of a short one: counted in calls, not in time."""
    import cProfile
    import pstats

    from turnout.api.launch import Launch
    from turnout.cli.target import find_pipeline

    text = textwrap.dedent("""\
        from turnout import pipeline, step

        @step
        def start() -> int:
            return 1

        @step
        def add(left: int, right: int) -> int:
            return left + right

        def chain(count):
            @pipeline(name=f"chain_{count}")
            def chained():
                left = right = start()
                for number in range(count):
                    left, right = add.named(f"add_{number}")(left, right), left
            return chained

        warm, short, long = chain(9), chain(500), chain(5000)
        """)
    write(tmp_path, {"chains.py": text, "pyproject.toml": PYPROJECT})

    def calls(name: str, count: int) -> float:
        pipeline = find_pipeline(f"{tmp_path}/chains.py:{name}")
        profile = cProfile.Profile()
        profile.enable()
        plan = Launch.of(pipeline, stack="local").plan
        profile.disable()
        assert len(plan.steps) == count + 1
        assert decode(plan.encode()) == plan
        return pstats.Stats(profile).total_calls / count

    calls("warm", 9)
    few = calls("short", 500)
    assert calls("long", 5000) <= few * 1.2


def test_planning_writes_nothing_but_its_own_state(complete):
    planned(complete)
    assert {path.name for path in complete.iterdir()} - {"__pycache__", ".turnout"} == {
        name.partition("/")[0] for name in COMPLETE
    }
    assert json.loads(planned(complete))["format"] == 2
