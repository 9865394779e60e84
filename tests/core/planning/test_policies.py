"""Policies: refused while planning with the line that asks, and again on the worker."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from projects import git, project_fixture, write

from turnout import builtin
from turnout.api.launch import Launch
from turnout.api.workspace import Workspace
from turnout.base.errors import PlanError, PluginError
from turnout.builtin.no_pickle import NoPickle
from turnout.cli.target import find_pipeline
from turnout.components.registry import Registry, discover
from turnout.model.records import Options, Reuse, Submission
from turnout.planning.policies import forbidden
from turnout.plugin_api import Config, Git, Policy, Violation, hookimpl
from turnout.project.project import load
from turnout.runtime.joining import join
from turnout.runtime.session import Session
from turnout.runtime.step import run_step
from turnout.testing.plans import sample_plan, sample_step

PIPELINE = """\
from typing import Any

from sklearn.linear_model import LinearRegression

from turnout import pipeline, step


class Odd:
    def __init__(self):
        self.itself = self


@step
def fit() -> LinearRegression:
    return LinearRegression()


@step
def odd() -> Any:
    return Odd()


@step
def logs() -> int:
    from turnout import log_artifact

    log_artifact("odd", Odd())
    return 1


@step
def plain() -> int:
    return 1


@pipeline
def pickles():
    fit()
    plain()


@pipeline
def surprises():
    odd()


@pipeline
def logged():
    logs()


@pipeline
def fine():
    plain()
"""


project = project_fixture(
    {"pipelines.py": PIPELINE, ".gitignore": ".turnout/\n__pycache__/\n"},
    name="policed",
    dependencies=(),
    environ={"GIT_CONFIG_GLOBAL": "/dev/null"},
)


def stack(project: Path, name: str, text: str) -> str:
    write(project, {f"stacks/{name}.yaml": textwrap.dedent(text)})
    return str(project / f"stacks/{name}.yaml")


def commit(root: Path) -> None:
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        git(root, *command)


def planned(pipeline: str, stack: str) -> Launch:
    launch = Launch.of(find_pipeline(f"pipelines.py:{pipeline}"), stack=stack)
    assert launch.plan
    return launch


def refused(pipeline: str, stack: str) -> str:
    with pytest.raises(PlanError) as caught:
        planned(pipeline, stack)
    return str(caught.value)


def test_no_pickle_refuses_a_planned_pickle_with_its_line(project):
    path = stack(project, "strict", "extends: local\npolicies: [{type: no_pickle}]\n")
    assert refused("pickles", path) == (
        "pipelines.py:38: the output 'output' of the step fit, a LinearRegression, would be saved as a pickle\n"
        "  why: the stack's policy 'no_pickle' does not allow it\n"
        "  fix: return plain values, tables or arrays, or write a materializer for its class: "
        "@turnout.materializer(TheClass)"
    )
    assert planned("fine", path).plan.worker.policies[0].type == "no_pickle"


@pytest.mark.parametrize(("pipeline", "step"), [("surprises", "odd"), ("logged", "logs")])
def test_no_pickle_refuses_on_the_worker_what_the_plan_left_open(project, pipeline, step):
    path = stack(project, "strict", "extends: local\npolicies: [{type: no_pickle}]\n")
    session = opened(planned(pipeline, path))
    result = run_step(session, step)
    assert (result.exit_code, result.retryable) == (2, False)
    assert result.message == (
        f"the step {step} made a pipelines.Odd, which was saved as a pickle\n"
        "  why: the stack's policy 'no_pickle' does not allow it\n"
        "  fix: return plain values, tables or arrays, or write a materializer for its class: "
        "@turnout.materializer(TheClass)"
    )
    assert session.run.record(step, None) is None


def test_no_pickle_refuses_a_function_by_value():
    plan = sample_plan(sample_step("cell", value="0" * 64))
    (violation,) = NoPickle(Config()).check(plan)
    assert violation.what == (
        "the function of the step cell would travel as a pickle, for it is not defined in a module"
    )


def test_images_outside_the_patterns_are_refused(project):
    path = stack(
        project,
        "strict",
        """\
        extends: local
        policies: [{type: images, allow: ["registry.example.com/ml/*", "python:3.1?-slim"]}]
        steps: {fit: {image: "docker.io/evil:latest"}, plain: {image: "registry.example.com/ml/team/base:1"}}
        """,
    )
    assert refused("pickles", path) == (
        "pipelines.py:38: the image 'docker.io/evil:latest' of the step fit is not allowed\n"
        "  why: the stack's policy 'images' does not allow it\n"
        "  fix: use an image that matches registry.example.com/ml/*, python:3.1?-slim"
    )
    assert planned("fine", path)


def test_a_missing_image_is_refused_where_one_is_required(project):
    text = 'extends: local\npolicies: [{type: images, allow: ["*"], required: true}]\n'
    assert "the step plain names no image" in refused("fine", stack(project, "strict", text))


def test_everything_that_is_not_allowed_is_said_at_once(project):
    text = 'extends: local\npolicies: [{type: no_pickle}, {type: images, allow: ["a*"], required: true}]\n'
    message = refused("pickles", stack(project, "strict", text))
    assert message.startswith("pickles is not allowed on the stack strict:\n- pipelines.py:38: the output")
    assert message.count("\n- ") == 3


def test_clean_git_wants_a_commit_that_holds_the_code(project):
    path = stack(project, "strict", "extends: local\npolicies: [{type: clean_git}]\n")
    assert "the code does not come from a git commit" in refused("fine", path)
    commit(project)
    before = planned("fine", path).plan.digest
    (project / "notes.txt").write_text("not committed")
    assert "the project's files differ from the commit " in refused("fine", path)
    (project / "notes.txt").unlink()
    assert planned("fine", path).plan.digest == before


def test_a_child_stack_cannot_drop_a_policy_of_its_base(project):
    stack(project, "base", "extends: local\npolicies: [{type: no_pickle}]\n")
    for text in ("extends: base\npolicies: []\n", "extends: base\npolicies: [{type: clean_git}]\n"):
        assert "would be saved as a pickle" in refused("pickles", stack(project, "child", text))


def opened(launch: Launch, git: Git | None = None, registry: Registry | None = None) -> Session:
    """A session of a worker that came by the plan, whoever made it."""
    launch.publish()
    options = Options(git=git)
    return join(launch.workspace.store, launch.plan.digest, "1", Submission(options=options), registry=registry)


def test_a_worker_refuses_a_plan_that_was_made_without_the_check(project, monkeypatch):
    path = stack(project, "strict", "extends: local\npolicies: [{type: no_pickle}, {type: clean_git}]\n")
    monkeypatch.setattr("turnout.planning.planner.forbidden", lambda *_: [])
    session = opened(planned("pickles", path))
    for step in ("fit", "plain"):  # the run as a whole is refused
        result = run_step(session, step)
        assert (result.exit_code, session.run.record(step, None)) == (2, None)
        assert "would be saved as a pickle" in result.message
        assert "the code does not come from a git commit" in result.message


def test_what_an_earlier_run_made_is_held_to_the_policies_of_this_one(project):
    free = planned("surprises", stack(project, "free", "extends: local\n")).submit({})
    assert free.wait() == "succeeded"
    launch = planned("surprises", stack(project, "strict", "extends: local\npolicies: [{type: no_pickle}]\n"))
    launch.publish()
    again = Submission(options=Options(reuse=Reuse(run=free.run_id)))
    result = run_step(join(launch.workspace.store, launch.plan.digest, "1", again), "odd")
    assert result.exit_code == 2
    assert result.message.startswith("the step odd made a pipelines.Odd, which was saved as a pickle\n")


def test_a_worker_goes_by_the_commit_that_the_submitter_tells(project, monkeypatch):
    path = stack(project, "strict", "extends: local\npolicies: [{type: clean_git}]\n")
    monkeypatch.setattr("turnout.planning.planner.forbidden", lambda *_: [])
    assert run_step(opened(planned("fine", path), Git("abc", dirty=True)), "plain").exit_code == 2


def test_a_run_that_is_allowed_succeeds(project):
    path = stack(project, "strict", "extends: local\npolicies: [{type: no_pickle}, {type: clean_git}]\n")
    commit(project)
    assert planned("fine", path).submit({}).wait() == "succeeded"


class Broken(Policy[Config]):
    """Raises whatever it is asked."""

    name = "broken"

    def check(self, plan):
        raise KeyError("oops")


class Wants(Config, frozen=True):
    """One setting."""

    word: str


class Picky(Policy[Wants]):
    """Refuses everything, naming its setting."""

    name = "picky"
    Config = Wants

    def check(self, plan):
        return (Violation(what=f"not {self.config.word}"),)


class Plugin:
    """Brings both."""

    @hookimpl
    def turnout_policies(self):
        return Broken, Picky


def test_a_policy_that_fails_refuses(project):
    registry = Registry([builtin, Plugin()])
    path = stack(project, "strict", "extends: local\npolicies: [{type: broken}]\n")
    workspace = Workspace(load(project), path, registry)
    with pytest.raises(PluginError) as caught:
        Launch(find_pipeline("pipelines.py:fine"), workspace)
    assert str(caught.value) == (
        "the policy broken failed: KeyError: 'oops'\n  fix: mend it, or take it out of the stack"
    )


def test_a_setting_that_only_a_worker_knows_leaves_the_check_to_it(project, monkeypatch):
    registry = Registry([builtin, Plugin()])
    path = stack(project, "strict", 'extends: local\npolicies: [{type: picky, word: "${worker-env:WORD}"}]\n')
    launch = Launch(find_pipeline("pipelines.py:fine"), Workspace(load(project), path, registry))
    assert forbidden(launch.plan, None, registry) == []
    monkeypatch.setenv("WORD", "blue")
    assert run_step(opened(launch, registry=registry), "plain").message.startswith("not blue\n")


def test_the_built_in_policies_are_there():
    assert {"no_pickle", "images", "clean_git"} <= set(discover().names("policy"))
