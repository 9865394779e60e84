"""Two runs compared, on two stacks or as they lie; records removed so that steps run again."""

from __future__ import annotations

import json

import pytest
from projects import answer_here as call
from projects import project_fixture

PIPELINE = """\
import os

from turnout import pipeline, step, when


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@step
def near(number: int) -> dict:
    return {"value": number + float(os.environ.get("NOISE", "0"))}


@step
def total(parts: list[dict]) -> float:
    return sum(part["value"] for part in parts)


@step
def large(result: float) -> str:
    return "large"


@pipeline
def work(count: int = 3, bound: float = 2.5):
    result = total(near.map(numbers(count)))
    with when(result > bound):
        large(result)
"""
OTHER = "extends: local\norchestrator: {type: local, instance: other}\nartifact_store: {root: .turnout/other}\n"


project = project_fixture({"work.py": PIPELINE, "other.yaml": OTHER}, name="verified")


def run(*arguments: str, **environ: str) -> str:
    return json.loads(call("run", "work.py", "--json", *arguments, **environ).out)["run"]


@pytest.mark.usefixtures("project")
def test_two_stacks_come_to_the_same():
    done = call("verify", "work.py", "--stack", "local", "--stack", "other.yaml", "-p", "count=4")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == "no difference: 8 steps, 10 artifacts equal by digest"
    answer = call("verify", "work.py", "--stack", "local", "--stack", "other.yaml", "--json")
    assert json.loads(answer.out)["differences"] == []


@pytest.mark.usefixtures("project")
def test_what_differs_is_named_from_the_first_step_on():
    one, other = run(), run("-p", "count=2")
    done = call("verify", one, other)
    assert done.code == 1
    assert "  numbers: the count of elements of output differs: 3 and 2" in done.out.splitlines()
    assert "  large: the state differs: succeeded and skipped" in done.out.splitlines()
    assert f"turnout explain {one[:8]} numbers" in done.out


def test_a_difference_in_nothing_is_not_equality(project):
    """Runs that failed alike: nothing of them differs, and little of them is there."""
    one, other, well = run(NOISE="x"), run(NOISE="x"), run()
    done = call("verify", one, other)
    assert done.code == 1
    assert done.out.splitlines() == [
        f"the run {one} (local) is failed: see turnout runs show {one[:8]}",
        f"the run {other} (local) is failed: see turnout runs show {other[:8]}",
        "not compared, for neither run has made them: near.0, near.1, near.2, total, when_1, large",
        "no difference in what both have made: 3 artifacts equal by digest",
    ]
    told = json.loads(call("verify", one, other, "--json").out)
    assert (told["states"], told["differences"]) == (["failed", "failed"], [])
    assert call("verify", one, well).code == 1
    said = call("runs", "compare", one, other).out
    assert said == "nothing differs in what the runs have done; they are failed and failed\n"
    done = call("verify", "work.py", "--stack", "local", "--stack", "other.yaml", NOISE="x")
    assert done.code == 1
    assert "no difference in what both have made" in done.out
    call("runs", "invalidate", well, "large")
    done = call("verify", well, well)
    assert (done.code, "neither run has made them: large" in done.out) == (1, True)


@pytest.mark.usefixtures("project")
def test_an_invalidated_step_says_that_it_is(project):
    first = run("-p", "bound=0.5")
    assert call("runs", "invalidate", first, "total").code == 0
    shown = call("runs", "show", first).out
    assert "state      failed" in shown
    assert "has not marked its end" not in shown
    lines = [line.split() for line in shown.splitlines()]
    for step in ("total", "when_1", "large"):
        (line,) = [line for line in lines if line[1:2] == [step]]
        assert " ".join(line) == f"· {step} not run, its record was removed by `turnout runs invalidate`"
    (listed,) = json.loads(call("runs", "list", "--json").out)
    assert listed["state"] == "failed"
    resumed = call("runs", "resume", first)
    assert resumed.code == 0, resumed.err
    assert "removed" not in call("runs", "show", first).out
    assert json.loads(call("runs", "list", "--json").out)[0]["state"] == "succeeded"


@pytest.mark.usefixtures("project")
def test_what_a_comparator_takes_for_the_same_is_the_same():
    one, near, far = run(), run("--no-cache", NOISE="1e-13"), run("--no-cache", NOISE="1e-3")
    found = json.loads(call("verify", one, near, "--json").out)
    assert (found["differences"], found["by_comparator"]) == ([], 4)
    assert call("verify", one, far).code == 1


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["work.py"], "a pipeline is verified on two stacks: --stack A --stack B"),
        (["work.py", "--stack", "local"], "a pipeline is verified on two stacks: --stack A --stack B"),
        (["a", "b", "-p", "x=1"], "two runs are compared as they are"),
        (["nothing", "nothing"], "the project verified has no run 'nothing'"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(arguments, what):
    done = call("verify", *arguments)
    assert done.code == 2
    assert what in done.err


@pytest.mark.usefixtures("project")
def test_an_invalidated_step_and_what_was_made_from_it_run_again():
    first = run()
    done = call("runs", "invalidate", first[:8], "near.1")
    assert done.out.splitlines() == [f"removed the record of {name}" for name in ("near.1", "total", "when_1", "large")]
    again = json.loads(call("run", "work.py", "--json", "--no-cache", "--reuse", first).out)
    taken = {(one["step"], one["index"]): bool(one["reused_from"]) for one in again["steps"]}
    assert taken == {
        ("numbers", None): True,
        ("near", 0): True,
        ("near", 1): False,
        ("near", 2): True,
        ("total", None): False,
        ("when_1", None): False,
        ("large", None): False,
    }
    assert "there is nothing to remove" in call("runs", "invalidate", first, "large").out


def test_a_record_that_cannot_be_read_can_be_removed(project):
    first = run()
    record = project / f".turnout/store/verified/runs/{first}/steps/total/record.json"
    record.chmod(0o644)
    record.write_bytes(record.read_bytes()[:40])
    assert call("runs", "show", first).code == 2
    assert call("runs", "invalidate", first, "total").code == 0
    assert call("runs", "show", first).code == 0
