"""Whoever may trigger a run names what is on record; what a trigger describes is neither read nor imported."""

from __future__ import annotations

import json
import sys

import pytest

from turnout.artifacts import small
from turnout.base import canonical
from turnout.base.errors import ConfigError, TurnoutError
from turnout.model.records import Options, OutputRecord, Submission
from turnout.runtime.parameters import parse_submission

SOURCE = """
    import os

    class Trap:
        def __reduce__(self):
            return (os.mkdir, (os.environ["TRAP"],))

    def trap():
        return Trap()

    def load():
        return 1

    def double(x):
        return x * 2
"""


@pytest.fixture
def demo(bench, monkeypatch):
    bench.write(SOURCE)
    monkeypatch.setenv("TRAP", str(bench.folder / "trapped"))
    bench.make(bench.step("load"), bench.step("double", x=bench.out("load")))
    return bench


def described(**artifact) -> str:
    return json.dumps({"options": {"replace": {"load": {"output": {"artifact": artifact}}}}})


ENUM = {"$enum": ["turnout_trap:X", "A"]}
DESCRIPTIONS = {
    "an inline value": described(digest="0" * 64, materializer="json", type="builtins:int", inline=True, value=ENUM),
    "a pickle": described(digest="0" * 64, materializer="pickle", type="builtins:int", marked=True),
    "a list": json.dumps({"options": {"replace": {"load": {"output": {"elements": []}}}}}),
    "nothing": json.dumps({"options": {"replace": {"load": {"output": {}}}}}),
}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_a_description_is_refused(demo, case):
    with pytest.raises(ConfigError, match="TURNOUT_PARAMS describes what stands in for 'load'"):
        parse_submission(DESCRIPTIONS[case])
    done = demo.process("step", "--step", "load", TURNOUT_PARAMS=DESCRIPTIONS[case])
    assert done.returncode == 2
    assert demo.outcome(done)["state"] == "failed"
    assert "Traceback" not in done.stderr
    assert demo.infos() == []


def test_a_true_description_is_refused_too(demo):
    """Also one whose digest is right: of a class of any module, which would be imported."""
    tree = {"$enum": ["turnout_trap:X", "A"]}
    digest = small._digest("json", "turnout_trap:X", canonical.encode(tree))
    with pytest.raises(ConfigError):
        parse_submission(described(digest=digest, materializer="json", type="turnout_trap:X", inline=True, value=tree))


@pytest.mark.parametrize(
    "name",
    [
        "0" * 64,
        "a" * 20 + "/load:output",
        "../../x:output",
        "a" * 20 + "/../../other/runs/x/steps/load:output",
        "",
        "load",
        "x" * 10_000,
        "caf\u00e9/\u0000:\ud800",
    ],
)
def test_a_name_of_nothing(demo, name):
    with pytest.raises(TurnoutError, match=r"no output on record|is not in the store") as refused:
        demo.open(run="new", replace={"load": {"output": name}})
    assert len(str(refused.value)) < 1000
    assert demo.infos() == []


@pytest.mark.parametrize(
    "options", [{"replace": {"lode": {"output": "x"}}}, {"reuse": {"run": "a" * 20, "only": ["lode"]}}]
)
def test_a_step_that_there_is_not(demo, options):
    given = json.dumps({"options": options})
    done = demo.process("step", "--step", "load", TURNOUT_PARAMS=given)
    assert done.returncode == 2
    assert "demo has no step 'lode'. Did you mean 'load'" in done.stderr


@pytest.mark.parametrize("run", ["../../x", "", "a" * 20 + "/x", "a" * 20 + "\n", ".."])
def test_a_run_that_is_no_run(demo, run):
    given = json.dumps({"options": {"reuse": {"run": run}}})
    done = demo.process("step", "--step", "load", TURNOUT_PARAMS=given)
    assert done.returncode == 2
    assert "is not the id of a run to reuse" in done.stderr


def test_what_is_on_record_is_taken_by_its_name(demo):
    old = demo.open(run="old")
    demo.call("load", run="old")
    demo.call("double", run="old")
    named = json.dumps({"options": {"replace": {"load": {"output": f"{old.run.info.id}/double:output"}}}})
    for step in ("load", "double"):
        done = demo.process("step", "--step", step, run="new", TURNOUT_PARAMS=named)
        assert done.returncode == 0, done.stderr
    assert demo.value("load", run="new") == 2
    assert demo.value("double", run="new") == 4
    (info,) = [info for info in demo.infos() if info.engine_run == "new"]
    assert isinstance(info.options.replace["load"]["output"], OutputRecord)  # later workers look nothing up


def test_content_is_taken_by_its_digest(demo):
    session = demo.open(run="old")
    big = "a text " * 1000
    saved = session.artifacts.save_value(big)
    assert not saved.inline
    demo.make(demo.step("load"), demo.step("double", x=demo.out("load")))
    demo.run(run="new", replace={"load": {"output": saved.digest}})
    assert demo.value("double", run="new") == big * 2


def test_a_class_in_a_parameter_is_a_dict(demo):
    """A parameter that looks like a tagged value stays what it is: nothing is imported for it."""
    demo.make(demo.step("double", x=demo.param("given")), params=(demo.declare("given", "json"),))
    demo.write(SOURCE.replace("x * 2", "x"))
    demo.make(demo.step("double", x=demo.param("given")), params=(demo.declare("given", "json"),))
    done = demo.process("step", "--step", "double", TURNOUT_PARAMS=json.dumps({"params": {"given": ENUM}}))
    assert done.returncode == 0, done.stderr
    assert demo.value("double") == ENUM
    assert "turnout_trap" not in sys.modules


def test_options_are_a_closed_set():
    for text in (
        '{"options": {"import": "os"}}',
        '{"plan": "x"}',
        '{"options": {"replace": {"load": "x"}}}',
        "[]",
        "1",
    ):
        with pytest.raises(ConfigError, match="TURNOUT_PARAMS cannot be read"):
            parse_submission(text)
    assert parse_submission('{"options": {"replace": {}}}') == Submission(options=Options())
