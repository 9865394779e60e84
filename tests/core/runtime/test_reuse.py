"""Taking over what an earlier run made: all but some steps, with the outputs checked by name and type."""

from __future__ import annotations

import pytest

from turnout.model.expressions import Compare, Const, Ref
from turnout.model.plan import OutputPlan
from turnout.model.records import OutputRecord, Reuse
from turnout.model.types import TypeName
from turnout.runtime.finish import finish_run

SOURCE = """
    def count(path, given=None):
        with open(path, "a") as file:
            file.write("x")
        return 1

    def load():
        return [1, 2]

    def double(x):
        return 2 * x

    def total(xs, plus=0):
        return sum(xs) + plus
"""
INT = TypeName(name="builtins:int", text="int")


@pytest.fixture
def demo(bench):
    bench.write(SOURCE)
    return bench


def chain(demo, plus=0):
    return (
        demo.step("load", lists=True),
        demo.step("double", x=demo.each("load")),
        demo.step("total", xs=demo.all("double"), plus=plus),
        demo.step("after", "double", x=demo.out("total")),
        demo.step("beside", "load"),
    )


def earlier(demo, **fields):
    demo.make(*chain(demo), **fields)
    demo.run(run="old")
    return demo.open(run="old").run.info.id


def reused(demo, run="new"):
    labels = {}
    for step, index in [
        ("load", None),
        ("double", 0),
        ("double", 1),
        ("total", None),
        ("after", None),
        ("beside", None),
    ]:
        record = demo.record(step, index, run=run)
        labels[step if index is None else f"{step}.{index}"] = record.reused_from
    return labels


def test_from_runs_a_step_and_its_descendants_again(demo):
    old = earlier(demo)
    demo.make(*chain(demo, plus=100))
    assert demo.run(run="new", reuse=Reuse(run=old, from_="total")) == {"succeeded": 6}
    assert reused(demo) == {
        "load": f"{old}/load",
        "double.0": f"{old}/double.0",
        "double.1": f"{old}/double.1",
        "total": None,
        "after": None,
        "beside": f"{old}/beside",
    }
    assert demo.value("after", run="new") == 212
    record = demo.record("double", 1, run="new")
    assert (record.run, record.plan) == (demo.open(run="new").run.info.id, demo.plan.digest)
    assert record.outputs == demo.record("double", 1, run="old").outputs


def test_only_runs_nothing_else_again(demo):
    old = earlier(demo)
    demo.make(*chain(demo, plus=100))
    demo.run(run="new", reuse=Reuse(run=old, only=("total",)))
    assert {step for step, source in reused(demo).items() if source is None} == {"total"}
    assert demo.value("total", run="new") == 106
    assert demo.value("after", run="new") == 12


def test_without_either_everything_is_taken_over(demo):
    old = earlier(demo)
    demo.run(run="new", reuse=Reuse(run=old))
    assert None not in reused(demo).values()


def test_what_the_old_run_did_not_get_to_is_run(demo):
    demo.make(*chain(demo))
    demo.call("load", run="old")
    demo.call("double", 1, run="old")
    old = demo.open(run="old").run.info.id
    assert demo.run(run="new", reuse=Reuse(run=old)) == {"succeeded": 6}
    assert {step for step, source in reused(demo).items() if source is not None} == {"load", "double.1"}
    assert demo.value("total", run="new") == 6


def test_nothing_that_is_taken_over_is_run(demo, tmp_path):
    demo.make(demo.step("count", path=str(tmp_path / "marks")))
    demo.call("count", run="old")
    demo.call("count", run="new", reuse=Reuse(run=demo.open(run="old").run.info.id))
    assert (tmp_path / "marks").read_text() == "x"
    assert len(demo.attempts("count")) == 1


def test_taking_over_what_was_taken_over(demo):
    old = earlier(demo)
    demo.run(run="mid", reuse=Reuse(run=old))
    mid = demo.open(run="mid").run.info.id
    demo.run(run="new", reuse=Reuse(run=mid))
    assert demo.record("load", run="new").reused_from == f"{mid}/load"
    assert demo.record("load", run="new").started >= demo.record("load", run="mid").started


def test_a_skip_is_taken_over_as_a_skip(demo):
    guard = Compare("==", Ref("it"), Const("never"))
    steps = (
        demo.step("load"),
        demo.gate("good", guard, it=demo.out("load")),
        demo.step("inner", "load", guards=("good",)),
    )
    demo.make(*steps)
    demo.run(run="old")
    assert demo.run(run="new", reuse=Reuse(run=demo.open(run="old").run.info.id)) == {"skipped": 1, "succeeded": 2}
    assert demo.record("good", run="new").value is False


def test_a_step_the_old_run_has_not(demo):
    demo.make(demo.step("load", lists=True))
    demo.run(run="old")
    demo.make(*chain(demo))
    old = demo.open(run="old").run.info.id
    result = demo.call("beside", run="new", reuse=Reuse(run=old, from_="total"))
    assert result.exit_code == 2
    assert "has no record of beside, which this run is to reuse" in result.message


def test_a_run_that_is_not_there(demo):
    demo.make(demo.step("load", lists=True))
    result = demo.call("load", reuse=Reuse(run="nowhere"))
    assert result.exit_code == 2
    assert "there is no run nowhere of bench in " in result.message
    assert demo.call("load", run="run 2", reuse=Reuse(run="../../code", only=("x",))).state == "failed"


def outputs(*pairs, lists=False):
    return tuple(
        OutputPlan(name=name, type=TypeName(name=type_, text=type_.partition(":")[2], collection=lists))
        for name, type_ in pairs
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (outputs(("other", "builtins:int")), "has the outputs ['other'], and the run "),
        (outputs(("output", "builtins:int"), ("more", "builtins:int")), "has the outputs ['more', 'output']"),
        (outputs(("output", "builtins:str")), "declares 'output' as str, and the run "),
        (outputs(("output", "pandas:DataFrame")), "declares 'output' as DataFrame, and the run "),
        (outputs(("output", "builtins:int"), lists=True), "declares 'output' as int, and the run "),
    ],
)
def test_other_outputs_than_the_old_run_has(demo, changed, reason):
    demo.make(demo.step("one", "double", x=1, outputs=outputs(("output", "builtins:int"))))
    demo.run(run="old")
    old = demo.open(run="old").run.info.id
    demo.make(demo.step("one", "double", x=1, outputs=changed))
    result = demo.call("one", run="new", reuse=Reuse(run=old))
    if "DataFrame" in reason:
        pytest.importorskip("pandas")
    assert result.exit_code == 2, result
    assert reason in result.message
    assert demo.record("one", run="new") is None


@pytest.mark.parametrize("name", ["any", "builtins:float", "builtins:object", "some.module:Number"])
def test_types_that_the_old_value_may_fit_are_taken(demo, name):
    demo.make(demo.step("one", "double", x=1, outputs=outputs(("output", "builtins:int"))))
    demo.run(run="old")
    old = demo.open(run="old").run.info.id
    demo.make(demo.step("one", "double", x=1, outputs=outputs(("output", name))))
    assert demo.call("one", run="new", reuse=Reuse(run=old)).exit_code == 0


def test_a_step_that_became_mapped_is_refused(demo):
    demo.make(demo.step("load", lists=True), demo.step("double", x=3))
    demo.run(run="old")
    old = demo.open(run="old").run.info.id
    demo.make(demo.step("load", lists=True), demo.step("double", x=demo.each("load")))
    demo.call("load", run="new", reuse=Reuse(run=old, only=("load",)))
    result = demo.call("double", 0, run="new")
    assert result.exit_code == 2
    assert "has no record of double" in result.message


def replacement(demo, value, **options):
    artifacts = demo.open(run="another").artifacts
    if isinstance(value, list):
        return OutputRecord(elements=tuple(artifacts.save_value(item) for item in value))
    return OutputRecord(artifact=artifacts.save_value(value))


def test_a_replaced_output_is_what_the_others_see(demo):
    demo.make(*chain(demo))
    given = {"load": {"output": replacement(demo, [10, 20, 30])}}
    assert demo.run(run="new", replace=given) == {"succeeded": 7}
    assert demo.value("total", run="new") == 120
    assert demo.record("load", run="new").reused_from == "replace"
    assert demo.attempts("load") == []


def test_a_replacement_counts_before_an_earlier_run(demo):
    old = earlier(demo)
    given = {"load": {"output": replacement(demo, [5])}}
    demo.run(run="new", replace=given, reuse=Reuse(run=old, from_="double"))
    assert demo.value("total", run="new") == 10


@pytest.mark.parametrize(
    ("step", "value", "reason"),
    [
        ("load", 3, "declares 'output' as list"),
        ("double", 3, "double is mapped, and cannot be replaced"),
    ],
)
def test_a_replacement_that_does_not_fit(demo, step, value, reason):
    demo.make(*chain(demo))
    given = {step: {"output": replacement(demo, value)}}
    if step == "double":
        demo.call("load", run="new", replace=given)
    result = demo.call(step, 0 if step == "double" else None, run="new", replace=given)
    assert result.exit_code == 2
    assert reason in result.message


def test_a_replacement_of_another_name(demo):
    demo.make(*chain(demo))
    result = demo.call("load", replace={"load": {"rows": replacement(demo, [1])}})
    assert result.exit_code == 2
    assert "the replacement has ['rows']" in result.message


def test_options_are_those_of_the_first_worker(demo):
    """A worker that brings no options reuses what the first one said."""
    old = earlier(demo)
    demo.open(run="new", reuse=Reuse(run=old))
    demo.call("load", run="new")
    assert demo.record("load", run="new").reused_from == f"{old}/load"
    finish_run(demo.open(run="new"))
