"""What the local engine calls next: the schedule, and the queue in front of the cores."""

from __future__ import annotations

import pytest

from turnout.engines.local.queue import Demand, Queue
from turnout.engines.local.schedule import Schedule
from turnout.model.inputs import Collected, Element, InputSpec, Output
from turnout.model.plan import Code, Plan, StepPlan
from turnout.model.records import StepResult
from turnout.model.settings import Resources
from turnout.model.spec import Entrypoint
from turnout.model.types import ANY, TypeName

OPTIONAL = TypeName(name="builtins:int", text="int", optional=True)
DONE, FAILED, SKIPPED = StepResult(state="succeeded"), StepResult(state="failed"), StepResult(state="skipped")


def given(source, type_=ANY):
    return InputSpec(source=source, type=type_)


def step(name, *upstream, optional=False, **fields):
    inputs = {one: given(Output(step=one, output="output"), OPTIONAL if optional else ANY) for one in upstream}
    return StepPlan(name=name, inputs=fields.pop("inputs", inputs), **fields)


def mapped(name, over, **fields):
    return StepPlan(name=name, inputs={"x": given(Element(step=over, output="output"))}, **fields)


def collector(name, over, **fields):
    return StepPlan(name=name, inputs={"x": given(Collected(step=over, output="output"))}, **fields)


def schedule(*steps):
    place = Entrypoint(module="m", qualname="p")
    plan = Plan(
        runtime="0",
        project="p",
        name="p",
        entrypoint=place,
        orchestrator="local",
        stack="local",
        code=Code(digest="0"),
        steps=steps,
    )
    return Schedule(plan)


def drain(one):
    found = list(one.ready)
    one.ready.clear()
    return found


def lists(count):
    return StepResult(state="succeeded", elements={"output": count})


def gate(value):
    return lambda name: StepResult(state="succeeded", values={name: value})


def test_a_step_is_ready_when_all_it_needs_has_ended():
    one = schedule(step("a"), step("b"), step("c", "a", "b"))
    assert drain(one) == [("a", None), ("b", None)]
    one.finish(("a", None), DONE)
    assert drain(one) == []
    one.finish(("b", None), DONE)
    assert drain(one) == [("c", None)]


def test_an_input_used_twice_counts_once():
    one = schedule(step("a"), step("b", inputs={n: given(Output(step="a", output="output")) for n in "xy"}))
    drain(one)
    one.finish(("a", None), DONE)
    assert drain(one) == [("b", None)]


def test_a_failure_blocks_all_that_needs_it_and_nothing_else():
    one = schedule(step("a"), step("free"), step("b", "a"), step("c", "b"), step("d", "free"))
    drain(one)
    one.finish(("a", None), FAILED)
    assert one.blocked == ["b", "c"]
    assert drain(one) == []
    one.finish(("free", None), DONE)
    assert drain(one) == [("d", None)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_map_is_one_task_an_element_and_its_collector_comes_last(count):
    one = schedule(step("items"), mapped("each", "items"), collector("sum", "each"))
    drain(one)
    one.finish(("items", None), lists(count))
    tasks = drain(one)
    if count:
        assert tasks == [("each", index) for index in range(count)]
    assert one.total("each") == count
    for task in reversed(tasks if count else []):
        assert drain(one) == []
        one.finish(task, DONE)
    assert (drain(one) if count else tasks) == [("sum", None)]


def test_chained_maps_have_the_count_of_the_first():
    one = schedule(step("items"), mapped("first", "items"), mapped("second", "first"))
    drain(one)
    one.finish(("items", None), lists(2))
    for task in drain(one):
        one.finish(task, DONE)
    assert drain(one) == [("second", 0), ("second", 1)]


def test_a_failed_element_blocks_the_collector_when_the_others_have_ended():
    one = schedule(step("items"), mapped("each", "items"), collector("sum", "each"))
    drain(one)
    one.finish(("items", None), lists(2))
    drain(one)
    one.finish(("each", 0), FAILED)
    assert one.blocked == []
    one.finish(("each", 1), DONE)
    assert (one.blocked, one.ended["each"]) == (["sum"], "failed")


def test_lists_of_two_lengths_are_called_as_often_as_the_longer_says_for_the_runtime_refuses_each():
    both = StepPlan(
        name="each",
        inputs={"x": given(Element(step="a", output="output")), "y": given(Element(step="b", output="output"))},
    )
    one = schedule(step("a"), step("b"), both)
    drain(one)
    one.finish(("a", None), lists(0))
    one.finish(("b", None), lists(3))
    assert len(drain(one)) == 3


@pytest.mark.parametrize(("value", "tasks"), [(True, [("each", 0), ("each", 1)]), (False, [("each", None)])])
def test_a_guarded_map_is_called_once_as_a_whole_where_its_guard_is_false(value, tasks):
    one = schedule(step("items"), step("when", kind="gate"), mapped("each", "items", guards=("when",)))
    drain(one)
    one.finish(("items", None), lists(2))
    one.finish(("when", None), gate(value)("when"))
    assert drain(one) == tasks


def test_a_map_over_a_skipped_step_is_called_once_and_its_skip_goes_on():
    one = schedule(step("items"), mapped("each", "items"), collector("sum", "each"))
    drain(one)
    one.finish(("items", None), SKIPPED)
    assert drain(one) == [("each", None)]
    one.finish(("each", None), SKIPPED)
    assert drain(one) == [("sum", None)]


def test_a_reason_to_skip_counts_whatever_else_has_failed():
    steps = (
        step("broken"),
        step("when", kind="gate"),
        step("guarded", "broken", guards=("when",)),
        step("after", "guarded", optional=True),
        step("both", "broken", "guarded"),
    )
    one = schedule(*steps)
    drain(one)
    one.finish(("when", None), gate(False)("when"))
    one.finish(("broken", None), FAILED)
    assert drain(one) == [("guarded", None)]
    one.finish(("guarded", None), SKIPPED)
    assert drain(one) == [("after", None), ("both", None)]
    assert one.blocked == []


def test_a_gate_that_failed_blocks_what_it_guards():
    one = schedule(step("when", kind="gate"), step("guarded", guards=("when",)))
    drain(one)
    one.finish(("when", None), FAILED)
    assert one.blocked == ["guarded"]


def test_a_long_chain_of_blocked_steps_needs_no_deep_stack():
    one = schedule(step("s0"), *(step(f"s{n}", f"s{n - 1}") for n in range(1, 5000)))
    drain(one)
    one.finish(("s0", None), FAILED)
    assert len(one.blocked) == 4999


ONE = Demand(1, 0)


def test_tasks_are_handed_out_in_order_as_far_as_the_cores_go():
    queue = Queue(2, 100)
    for name in "abc":
        queue.put((name, None), ONE)
    assert [queue.take(), queue.take(), queue.take()] == [("a", None), ("b", None), None]
    queue.release(("a", None))
    assert queue.take() == ("c", None)
    assert not queue


def test_what_does_not_fit_lets_smaller_tasks_pass_and_comes_when_there_is_room():
    queue = Queue(4, 100)
    for name, demand in {"a": Demand(2, 0), "wide": Demand(3, 0), "b": ONE, "c": ONE}.items():
        queue.put((name, None), demand)
    assert [queue.take(), queue.take(), queue.take(), queue.take()] == [("a", None), ("b", None), ("c", None), None]
    queue.release(("a", None))
    assert queue.take() is None
    queue.release(("b", None))
    assert queue.take() == ("wide", None)


def test_memory_is_kept_to_and_what_needs_more_than_there_is_runs_alone():
    queue = Queue(4, 100)
    for name, memory in {"a": 60, "b": 60, "huge": 1000}.items():
        queue.put((name, None), Demand(1, memory))
    assert [queue.take(), queue.take()] == [("a", None), None]
    queue.release(("a", None))
    assert [queue.take(), queue.take()] == [("b", None), None]
    queue.release(("b", None))
    assert queue.take() == ("huge", None)
    queue.put(("small", None), ONE)
    assert queue.take() is None


def test_a_task_that_is_tried_again_keeps_its_place():
    queue = Queue(1, 100)
    for name in "ab":
        queue.put((name, None), ONE)
    assert queue.take() == ("a", None)
    queue.release(("a", None))
    queue.put(("a", None), ONE)
    assert queue.take() == ("a", None)


@pytest.mark.parametrize(("cpu", "cores"), [(0.25, 1), (1, 1), (1.5, 2), (64, 4)])
def test_a_demand_is_of_whole_cores_and_no_more_than_there_are(cpu, cores):
    assert Demand.of(Resources(cpu=cpu, memory="1Ki"), 4) == Demand(cores, 1024)
