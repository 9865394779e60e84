"""What is published is taken away again also where the pipeline has another name by now; trials touch none of it."""

import sys

import pytest
from click.testing import CliRunner
from projects import entered, write_project

from turnout.base.errors import ConfigError
from turnout.cli.app import application
from turnout.project.project import load as load_project
from turnout.testing.plans import sample_plan, sample_step
from turnout_airflow.dag import DagFile
from turnout_airflow.settings import AirflowSettings

PIPELINE = (
    "from turnout import pipeline, step\n\n@step\ndef one() -> int:\n    return 1\n\n@pipeline\ndef old():\n    one()\n"
)
STACK = "extends: local\norchestrator: {type: airflow, dags_folder: dags}\n"


@pytest.fixture
def call(tmp_path):
    stacks = {"test": STACK, "prod": STACK.replace("dags}", "dags, instance: prod}")}
    files = {f"stacks/{name}.yaml": text for name, text in stacks.items()}
    write_project(tmp_path, {"withdrawn.py": PIPELINE, **files}, name="house")
    (tmp_path / "dags").mkdir()

    def call(*words):
        sys.modules.pop("withdrawn", None)
        load_project.cache_clear()
        return CliRunner().invoke(application, words)

    with entered(tmp_path):
        yield call


def placed(tmp_path):
    return sorted(path.name for path in (tmp_path / "dags").iterdir())


@pytest.mark.parametrize("target", ["house.old", "withdrawn.py:old", "old"])
@pytest.mark.parametrize("change", ["renamed", "removed", "broken"])
def test_by_its_id_or_name(call, tmp_path, target, change):
    for stack in ("test", "prod"):
        assert call("publish", "withdrawn.py", "--stack", stack).exit_code == 0
    file = tmp_path / "withdrawn.py"
    if change == "removed":
        file.unlink()
    else:
        file.write_text(PIPELINE.replace("old", "new") if change == "renamed" else "import nothing_of_the_kind")
    assert placed(tmp_path) == ["house.old", "house.old.prod"]
    done = call("unpublish", target, "--stack", "test")
    assert done.exit_code == 0, done.exception
    assert done.output == f"old is gone from {tmp_path}/dags/house.old\n"
    assert placed(tmp_path) == ["house.old.prod"]
    again = call("unpublish", target, "--stack", "test")
    assert isinstance(again.exception, Exception)
    nothing = call("unpublish", "house.nothing", "--stack", "prod")
    assert isinstance(nothing.exception, ConfigError)
    assert "or name what is published by its id: house.old.prod" in str(nothing.exception)
    assert call("unpublish", "house.old.prod", "--stack", "prod").exit_code == 0
    assert placed(tmp_path) == []


def test_what_is_placed_in_a_project_is_no_code_of_it(call, tmp_path):
    first = call("publish", "withdrawn.py", "--stack", "test", "--json").output
    (tmp_path / "dags" / "house.old" / "notes.py").write_text("")
    (tmp_path / "dags" / "house.old" / "notes.py").unlink()
    assert call("publish", "withdrawn.py", "--stack", "test", "--json").output == first


def test_a_trial_updates_no_asset():
    plan = sample_plan(sample_step("make", options={"airflow": {"outlets": ["rates"]}}))
    published, trial = (DagFile(plan, AirflowSettings(), manual=manual).source for manual in (False, True))
    assert 'outlets=[Asset(name="rates")]' in published
    assert "Asset" not in trial
    assert "outlets" not in trial
