"""Cache keys: equal where everything a step is given is equal, and only there."""

from __future__ import annotations

import itertools

import pytest

from turnout.model.expressions import Compare, Const, Ref
from turnout.model.inputs import InputSpec, Literal
from turnout.model.plan import Environment, OutputPlan
from turnout.model.settings import Resources, Retry
from turnout.model.types import ParamType, TypeName

SOURCE = """
    def make(value):
        return value

    def split(x):
        return list(x)

    def use(x):
        return 1

    def both(x, y):
        return 1
"""


@pytest.fixture
def demo(bench):
    bench.write(SOURCE)
    return bench


def literal(value, kind="json", **fields):
    return InputSpec(source=Literal(value=value, type=ParamType(kind=kind, **fields)))


class Keys:
    """Runs plans of one store and tells the key of a step in each."""

    def __init__(self, bench) -> None:
        self.bench = bench
        self.numbers = itertools.count()

    def of(self, *steps, step="use", index=None, params=None, **fields) -> str:
        self.bench.make(*steps, **fields)
        run = f"run {next(self.numbers)}"
        counts = self.bench.run(params, run=run)
        assert set(counts) <= {"succeeded", "skipped"}, self.bench.attempts(step, index)
        return self.bench.record(step, index, run=run).cache_key


@pytest.fixture
def keys(demo):
    return Keys(demo)


def test_the_same_inputs_give_the_same_key(demo, keys):
    def steps():
        return demo.step("make", value={"a": [1, 2]}), demo.step("use", x=demo.out("make"))

    assert keys.of(*steps()) == keys.of(*steps())


def test_neither_the_steps_name_nor_where_a_value_came_from_counts(demo, keys):
    one = keys.of(demo.step("make", value=7), demo.step("use", x=demo.out("make")))
    other = keys.of(demo.step("early", "make", value=7), demo.step("late", "use", x=demo.out("early")), step="late")
    assert one == other
    written = keys.of(demo.step("use", x=literal(3, "int")))
    demo.make(demo.step("use", x=demo.param("p")), params=(demo.declare("p", "int"),))
    demo.call("use", params={"p": "3"}, run="by parameter")
    assert demo.record("use", run="by parameter").cache_key == written


def test_any_two_of_these_inputs_differ(demo, keys):
    """Each is another argument for the step, however alike they are written."""
    values = {
        "int": literal(1, "int"),
        "float": literal(1.0, "float"),
        "bool": literal(True, "bool"),
        "text": literal("1", "str"),
        "date": literal("2026-03-01", "date"),
        "text of a date": literal("2026-03-01", "str"),
        "moment": literal("2026-03-01T00:00:00Z", "datetime"),
        "text of a moment": literal("2026-03-01T00:00:00Z", "str"),
        "seconds": literal(90, "timedelta"),
        "number of seconds": literal(90, "int"),
        "dates": literal(["2026-03-01"], "list", items=(ParamType(kind="date"),)),
        "texts": literal(["2026-03-01"], "list", items=(ParamType(kind="str"),)),
        "nothing": literal(None),
        "no text": literal("", "str"),
        "text of nothing": literal("null", "str"),
        "empty list": literal([]),
        "empty object": literal({}),
        "looks like a file": literal({"digest": "0" * 64, "suffix": ""}, "dict"),
        "looks like a part": literal({"value": 1, "type": "int"}, "dict"),
        "looks like an artifact": literal({"artifact": ["0" * 64]}, "dict"),
    }
    found = {name: keys.of(demo.step("use", x=value)) for name, value in values.items()}
    assert len(set(found.values())) == len(values), found


def test_a_literal_is_not_an_artifact_of_the_same_value(demo, keys):
    assert keys.of(demo.step("use", x=7)) != keys.of(demo.step("make", value=7), demo.step("use", x=demo.out("make")))


def test_what_stands_side_by_side_does_not_run_together(demo, keys):
    pairs = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"), ('a","y":"b', "c")]
    found = {keys.of(demo.step("both", x=x, y=y), step="both") for x, y in pairs}
    assert len(found) == len(pairs)


def test_a_list_output_is_not_its_only_element_nor_the_list_as_one_value(demo, keys):
    def use(*steps):
        return keys.of(*steps, demo.step("use", x=demo.out("make")))

    elements = use(demo.step("make", value=["a"], lists=True))
    whole = use(demo.step("make", value=["a"]))
    lone = use(demo.step("make", value="a"))
    assert len({elements, whole, lone}) == 3


def collected(demo, keys, value):
    return keys.of(
        demo.step("make", value=value, lists=True),
        demo.step("split", x=demo.each("make"), lists=True),
        demo.step("use", x=demo.all("split")),
    )


def test_nested_lists_whose_concatenation_is_equal_differ(demo, keys):
    values = [["a", "bc"], ["ab", "c"], ["abc"], ["", "abc"], ["abc", ""]]
    assert len({collected(demo, keys, value) for value in values}) == len(values)


def test_collected_elements_count_in_their_order(demo, keys):
    def use(value):
        return keys.of(
            demo.step("make", value=value, lists=True),
            demo.step("each", "make", value=demo.each("make")),
            demo.step("use", x=demo.all("each")),
        )

    assert len({use([1, 2]), use([2, 1]), use([1]), use([]), use([[1, 2]])}) == 5


def test_elements_of_equal_value_share_a_key(demo, keys):
    demo.make(demo.step("make", value=[5, 5, 6], lists=True), demo.step("use", x=demo.each("make")))
    demo.run()
    first, second, third = (demo.record("use", index).cache_key for index in range(3))
    assert first == second != third


def test_everything_that_is_bound_to_the_step_counts(demo, keys, monkeypatch):
    def step(**fields):
        return demo.step("use", x=1, **fields)

    monkeypatch.setenv("REGION", "eu")
    pins = {"default": Environment(python="3.11", pins=("a==1",)), "other": Environment(python="3.11", pins=("a==2",))}
    text = TypeName(name="builtins:int", text="int")
    (demo.root / "q.sql").write_text("select 1")
    found = {
        "plain": keys.of(step()),
        "code": keys.of(step(fingerprint="f" * 64)),
        "function": keys.of(demo.step("use", "make", value=1)),
        "environment": keys.of(step(), environments=pins),
        "another environment": keys.of(step(environment="other"), environments=pins),
        "variable": keys.of(step(env=("REGION",))),
        "file": keys.of(step(files={"q.sql": "a" * 64})),
        "changed file": keys.of(step(files={"q.sql": "b" * 64})),
        "type of an output": keys.of(step(outputs=(OutputPlan(name="output", type=text),))),
        "materializer": keys.of(step(outputs=(OutputPlan(name="output", type=text, materializer="pickle"),))),
        "name of an output": keys.of(step(outputs=(OutputPlan(name="result", type=text),))),
    }
    monkeypatch.setenv("REGION", "us")
    found["another variable"] = keys.of(step(env=("REGION",)))
    monkeypatch.setenv("REGION", "")
    found["empty variable"] = keys.of(step(env=("REGION",)))
    monkeypatch.delenv("REGION")
    found["no variable"] = keys.of(step(env=("REGION",)))
    assert len(set(found.values())) == len(found), found


def test_what_is_not_bound_to_the_step_does_not_count(demo, keys):
    plain = keys.of(demo.step("use", x=1))
    assert plain == keys.of(demo.step("use", x=1, retry=Retry(count=3), resources=Resources(memory="1Gi")))
    assert plain != keys.of(demo.step("use", x=1, resources=Resources(cpu=2))), "threads can change the last digit"
    assert plain == keys.of(demo.step("use", x=1, timeout=60.0, doc="A text.", image="an/image:1"))
    assert plain == keys.of(demo.step("use", x=1), tags={"a": "b"}, doc="Another.")


def test_the_logical_time_counts_only_where_it_is_passed(demo):
    params = (demo.declare("day", "datetime", source="logical_time"),)
    demo.make(demo.step("use", x=1), demo.step("dated", "use", x=demo.param("day")), params=params)
    for day in ("2026-03-01", "2026-03-02"):
        demo.run(run=day, at=day)
    key = {
        (step, day): demo.record(step, run=day).cache_key
        for step in ("use", "dated")
        for day in ("2026-03-01", "2026-03-02")
    }
    assert key["use", "2026-03-01"] == key["use", "2026-03-02"]
    assert key["dated", "2026-03-01"] != key["dated", "2026-03-02"]


def test_an_input_that_was_skipped_is_not_an_input_that_is_none(demo, keys):
    never = demo.gate("never", Compare("==", Ref("x"), Const(2)), x=1)
    skipped = keys.of(
        never, demo.step("make", value=1, guards=("never",)), demo.step("use", x=demo.out("make", optional=True))
    )
    assert skipped != keys.of(demo.step("use", x=literal(None)))


def test_the_parts_are_on_record(demo):
    demo.make(demo.step("use", x=literal(3, "int"), fingerprint="f" * 64))
    demo.call("use")
    parts = demo.record("use").key_parts
    assert parts["code"] == "f" * 64
    assert parts["inputs"] == {"x": {"value": 3, "type": "int"}}
    assert set(parts) >= {"step", "code", "inputs", "environment", "env", "files", "outputs"}
