"""The file of a job: what it says, and that nothing in a pipeline becomes code."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

from turnout.plugin_api import Collected, Element, InputSpec, ParamSpec, ParamType, Retry, UnsupportedError
from turnout.testing.plans import sample_plan, sample_step
from turnout_beam.orchestrator import BeamOrchestrator
from turnout_beam.settings import BeamSettings, flags

NASTY = "it's \"quoted\" $(touch was_here) {{ 1 }} ''' \\ \n\x1b]0;x\x07 漢 end"


def source(plan) -> str:
    return BeamOrchestrator(BeamSettings()).compile(plan).files["job.py"].decode()


def test_a_small_pipeline(snapshot):
    each = {"x": InputSpec(source=Element(step="load", output="output"))}
    chained = {"x": InputSpec(source=Element(step="part.square", output="output"))}
    plan = sample_plan(
        sample_step("load", retry=Retry(count=2, delay=60.0, backoff=2.0), timeout=1800.0),
        sample_step("part.square", inputs=each),
        sample_step("class", inputs=chained),
        sample_step("report", inputs={"all": InputSpec(source=Collected(step="class", output="output"))}),
        params=(ParamSpec(name="depth", type=ParamType(kind="int"), default=6, doc="How deep trees grow."),),
        doc="Predict the delay of a flight.",
    )
    text = source(plan)
    assert text == snapshot
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--line-length=88", "--check", "--stdin-filename=job.py", "-"],
        input=text,
        text=True,
        check=False,
        capture_output=True,
        env={**os.environ, "RUFF_NO_CACHE": "true"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_texts_are_literals():
    plan = sample_plan(
        sample_step("load"),
        params=(ParamSpec(name="x", type=ParamType(kind="str"), default=NASTY, doc=NASTY),),
        doc=NASTY,
        name="x'; import os #",
    )
    tree = ast.parse(source(plan))
    said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {NASTY.strip(), "x'; import os #"} <= said
    assert {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} == {"pathlib", "turnout_beam"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["--runner=DirectRunner"]),
        (
            {"runner": "PortableRunner", "job_endpoint": "127.0.0.1:8099", "options": {"environment_type": "LOOPBACK"}},
            ["--runner=PortableRunner", "--job_endpoint=127.0.0.1:8099", "--environment_type=LOOPBACK"],
        ),
        (
            {"options": {"streaming": True, "save_main_session": False, "experiments": ("a", "b c")}},
            ["--runner=DirectRunner", "--streaming", "--experiments=a", "--experiments=b c"],
        ),
    ],
    ids=["default", "portable", "kinds"],
)
def test_settings_become_options(settings, words):
    assert flags(BeamSettings(**settings)) == words


def test_an_image_of_a_step_is_refused_with_its_line():
    with pytest.raises(UnsupportedError) as caught:
        source(sample_plan(sample_step("fit", image="house/fit:1")))
    assert str(caught.value).startswith("steps.py:7: the step fit has an image of its own, house/fit:1")
