"""What a step sees is what it sees when it is called as a function: for all types of parameters, on the real way.

A pipeline of functions is defined and planned; its parameters become the text that an engine hands to a worker, which
reads the plan from the store, writes ``run.json`` and runs the steps. What they saw, they told in their answers.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Annotated, Any, Literal, NewType, TypedDict
from zoneinfo import ZoneInfo

import annotated_types
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from turnout import pipeline, step
from turnout.api.launch import Launch
from turnout.api.workspace import Workspace
from turnout.base import canonical
from turnout.engines.local.inline import run_inline
from turnout.model.records import Options
from turnout.project.project import load
from turnout.runtime.joining import join
from turnout.runtime.parameters import parse_submission


class Shade(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Odd(enum.Enum):
    NOTHING = None
    SOMETHING = "something"
    NUMBER = 1


Mine = NewType("Mine", Shade)


class Fields(TypedDict):
    z: float
    times: list[datetime]
    a: Odd


def spelled(value: Any) -> str:
    """A value as a text that tells its class, its order, its zone and its sign."""
    kind = type(value).__qualname__
    if isinstance(value, enum.Enum):
        return f"{kind}.{value.name}"
    if isinstance(value, (list, tuple)):
        return f"{kind}({', '.join(map(spelled, value))})"
    if isinstance(value, dict):
        return f"{kind}({', '.join(f'{key!r}: {spelled(item)}' for key, item in value.items())})"
    if isinstance(value, float):
        return f"{kind}({value!r}, {math.copysign(1, value)})"
    fold = f", fold {value.fold}" if isinstance(value, datetime) else ""
    return f"{kind}({value!r}{fold})"


ZONES = [None, timezone.utc, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-3))]
ZONES += [ZoneInfo(name) for name in ("Europe/Paris", "America/New_York", "UTC", "Asia/Kathmandu")]
SCALARS = {
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False) | st.just(-0.0),
    bool: st.booleans(),
    str: st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(["null", "$keys", "[naive]", "red"]),
    date: st.dates(),
    timedelta: st.timedeltas(timedelta(days=-900), timedelta(days=900)),
    Shade: st.sampled_from(Shade),
    Level: st.sampled_from(Level),
    Odd: st.sampled_from(Odd),
    Mine: st.sampled_from(Shade),
    Literal["a", 1, True]: st.sampled_from(["a", 1, True]),
    Annotated[int, annotated_types.Ge(0)]: st.integers(0),
    datetime: st.builds(
        lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=0 if zone is timezone.utc else fold),
        st.datetimes(datetime(1950, 1, 1), datetime(2037, 1, 1)) | st.just(datetime(2026, 10, 25, 2, 30)),  # noqa: DTZ001
        st.sampled_from(ZONES),
        st.integers(0, 1),
    ),
}
KEYS = st.text(st.characters(codec="utf-8"), max_size=3) | st.sampled_from(
    ["z", "a", "$keys", "$tuple", "$dict", "$json"]
)
JSON = st.recursive(
    st.none() | SCALARS[bool] | SCALARS[int] | SCALARS[float] | SCALARS[str],
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner),
    max_leaves=6,
)


@st.composite
def typed(draw, depth: int = 2) -> tuple[Any, Any]:
    """An annotation and a value of it."""
    kind = draw(
        st.sampled_from(["scalar", "scalar", "list", "tuple", "pair", "any", "dict", "optional", "fields", "json"])
    )
    if kind == "json":
        return Any, draw(JSON)
    if kind == "fields":
        fields = {
            "z": draw(SCALARS[float]),
            "times": draw(st.lists(SCALARS[datetime], max_size=2)),
            "a": draw(SCALARS[Odd]),
        }
        return Fields, {key: fields[key] for key in draw(st.permutations(list(fields)))}
    if depth == 0 or kind == "scalar":
        annotation = draw(st.sampled_from(list(SCALARS)))
        return annotation, draw(SCALARS[annotation])
    annotation, value = draw(typed(depth - 1))
    other, second = draw(typed(depth - 1))
    if kind == "list":
        return list[annotation], [value] * draw(st.integers(0, 3))
    if kind == "tuple":
        return tuple[annotation, ...], (value,) * draw(st.integers(0, 2))
    if kind == "pair":
        return tuple[annotation, other], (value, second)
    if kind == "any":
        return Sequence[annotation], draw(st.sampled_from([list, tuple]))([value] * draw(st.integers(0, 3)))
    if kind == "dict":
        return dict[str, annotation], dict.fromkeys(draw(st.lists(KEYS, max_size=3, unique=True)), value)
    return annotation | None, draw(st.sampled_from([None, value]))


def functions(annotation: Any, value: Any) -> tuple[Any, Any]:
    """A pipeline whose steps tell what they see of a parameter, a default and a literal, with and without a type."""

    def declared(x):
        return spelled(x)

    def undeclared(x):
        return spelled(x)

    def p(given, default=value):
        declare, see = step(declared), step(undeclared)
        for name, what in (("given", given), ("default", default), ("literal", value)):
            declare.named(f"declared_{name}")(what)
        see.named("undeclared_given")(given)
        see.named("undeclared_default")(default)

    declared.__annotations__ = {"x": annotation, "return": str}
    undeclared.__annotations__ = {"return": str}
    p.__annotations__ = {"given": annotation, "default": annotation}
    return pipeline(p), declared


@pytest.fixture
def told(turnout_stack, tmp_path):
    workspace = Workspace(load(tmp_path), turnout_stack)

    def run(definition, value: Any) -> dict[str, str]:
        launch = Launch(definition, workspace)
        launch.publish()
        text = canonical.encode(launch.submission({"given": value}, Options())).decode()
        submission = parse_submission(text)
        assert canonical.encode(submission).decode() == text
        run = submission.options.uuid
        session = join(workspace.store, launch.plan.digest, run, submission, in_process=True)
        _, error = run_inline(session)
        assert error is None, error
        records = {step.name: session.run.record(step.name, None) for step in session.run.plan.steps}
        session.close()
        return {name: record.outputs["output"].artifact.value for name, record in records.items()}

    return run


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=typed())
def test_every_type_arrives_as_in_a_call(told, drawn):
    annotation, value = drawn
    definition, function = functions(annotation, value)
    assert set(told(definition, value).values()) == {function(value)}


LITERALS = {
    "order": {"z": 1, "a": {"c": 1, "b": 2}},
    "tuple": (2, [3, (4,)]),
    "own keys": {"$keys": ["a"], "a": {"$tuple": [1]}},
    "sign": [-0.0, 0.0],
    "member": Odd.NOTHING,
    "naive": datetime(2026, 1, 2),  # noqa: DTZ001
    "paris": datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Paris")),
}


@pytest.mark.parametrize("name", LITERALS)
def test_a_literal_keeps_its_own_class(told, name):
    value = LITERALS[name]

    def seen(x) -> str:
        return spelled(x)

    def p(given=1):
        step(seen)(value)

    assert told(pipeline(p), 1) == {"seen": spelled(value)}


CONVERTED = {
    "float32": (float, np.float32(0.1), float(np.float32(0.1))),
    "list for tuple": (tuple[int, int], [2, 3], (2, 3)),
    "tuple for list": (list[int], (2, 3), [2, 3]),
    "int for float": (float, 2, 2.0),
    "text": (dict[str, int], '{"z": 1, "a": 2}', {"z": 1, "a": 2}),
    "key": (list[Shade], ["red"], [Shade.RED]),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_what_is_given_becomes_the_declared_type(told, name):
    annotation, value, expected = CONVERTED[name]
    definition, _ = functions(annotation, expected)
    assert set(told(definition, value).values()) == {spelled(expected)}


def test_a_union_of_a_members_class_and_none_is_told_apart(told):
    for value in (None, Odd.NOTHING):
        definition, _ = functions(list[Odd | None] | None, [value])
        assert set(told(definition, [value]).values()) == {spelled([value])}
