"""Declared types: read where the function is written, of any nesting, and held to when they bound their values."""

from __future__ import annotations

import contextlib
import enum
import re
import types
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any, Literal, NewType, TypedDict

import annotated_types
import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from projects import HERE, IN_PROCESS, entered, write_project
from typing_extensions import NotRequired

import turnout
from turnout import step
from turnout.base.errors import ConfigError, DefinitionError
from turnout.definition.pipeline import PipelineDefinition, define
from turnout.model.bounds import check_python
from turnout.model.scalars import Misfit
from turnout.model.types import ParamType
from turnout.model.values import convert

ELSEWHERE = types.ModuleType("decorators")
exec(  # a module of its own, whose names are not those of this one
    """
import functools
class Shade: ...
def timed(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper
""",
    ELSEWHERE.__dict__,
)


class Shade(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Odd(enum.Enum):
    NOTHING = None
    SOMETHING = "something"


class Managed(contextlib.ContextDecorator):
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...


Mine = NewType("Mine", Shade)


class Training(TypedDict):
    lr: float
    shades: list[Shade]


DECORATORS: dict[str, Callable[[Any], Any]] = {
    "wraps": ELSEWHERE.timed,
    "wraps twice": lambda function: ELSEWHERE.timed(ELSEWHERE.timed(function)),
    "validate_call": pydantic.validate_call,
    "a context manager": Managed(),
    "contextmanager": contextlib.contextmanager(lambda: (yield))(),
}


@pytest.mark.parametrize("name", DECORATORS)
def test_annotations_are_read_where_the_function_is_written(name):
    def paint(shade: Shade) -> list[Shade]:
        return [shade]

    made = step(DECORATORS[name](paint))
    assert made.signature.parameters["shade"].type == ParamType(
        kind="str", choices=("red", "blue"), enum=f"{__name__}:Shade"
    )
    assert made.outputs[0].type.name == f"{__name__}:Shade"
    assert made.outputs[0].type.collection


def test_what_is_wrong_is_told_where_the_function_is_written():
    def paint(shade: Missing) -> None: ...  # noqa: F821

    with pytest.raises(DefinitionError, match="Missing") as caught:
        _ = step(ELSEWHERE.timed(paint)).signature
    assert caught.value.where.file.endswith("test_declared_types.py")


ENUMS = {
    "member": Shade,
    "list": list[Shade],
    "dict": dict[str, Shade],
    "tuple": tuple[Shade, ...],
    "pair": tuple[Shade, Odd],
    "optional inside": list[Shade | None],
    "optional": list[Shade] | None,
    "sequence": Sequence[Shade],
    "new type": Mine,
    "nested": dict[str, list[tuple[Mine, Odd | None]]],
    "fields": Training,
}


@pytest.mark.parametrize("name", ENUMS)
def test_members_are_known_by_their_class_wherever_they_are_nested(name):
    def paint(x): ...

    paint.__annotations__ = {"x": ENUMS[name]}
    type_ = step(paint).signature.parameters["x"].type
    assert {f"{__name__}:Shade"} <= type_.enums <= {f"{__name__}:Shade", f"{__name__}:Odd"}


@step
def counts() -> list[int]: ...
@step
def row(count: int) -> list[float]: ...
@step
def cube(count: int) -> list[list[float]]: ...
@step
def table(count: int) -> dict[str, list[float]]: ...
@step
def pair(count: int) -> tuple[float, ...]: ...
@step
def maybe(count: int) -> list[float] | None: ...
@step
def rows(given: list[list[float]]) -> None: ...
@step
def lists(given: Sequence[Sequence[float]]) -> None: ...
@step
def cubes(given: list[list[list[float]]]) -> None: ...
@step
def tables(given: list[dict[str, list[float]]]) -> None: ...
@step
def pairs(given: list[tuple[float, ...]]) -> None: ...
@step
def maybes(given: list[list[float] | None]) -> None: ...
@step
def numbers(given: list[float]) -> None: ...


@pytest.mark.parametrize(
    ("mapped", "taker"),
    [(row, rows), (row, lists), (cube, cubes), (table, tables), (pair, pairs), (maybe, maybes)],
    ids=lambda one: one.name,
)
def test_elements_of_any_nesting_are_collected(mapped, taker):
    def p():
        taker(mapped.map(counts()))

    assert [step.name for step in define(p, PipelineDefinition).trace().spec.steps][-1] == taker.name


def test_elements_that_are_lists_are_handed_on_one_by_one():
    def p():
        numbers.map(cube(1))
        numbers.named("again").map(row.map(counts()))

    assert len(define(p, PipelineDefinition).trace().spec.steps) == 5


def test_lists_are_not_taken_for_their_elements():
    def p():
        numbers(row.map(counts()))

    with pytest.raises(DefinitionError, match=re.escape("is of type list[list[float]]")):
        define(p, PipelineDefinition).trace()


BOUNDS = [
    (Annotated[int, pydantic.Field(gt=0)], 1, [0, -1]),
    (Annotated[int, annotated_types.Ge(0), annotated_types.Lt(3)], 2, [-1, 3]),
    (Annotated[float, annotated_types.Interval(gt=0, le=1)], 1.0, [0.0, 1.5]),
    (Annotated[float, msgspec.Meta(ge=0, multiple_of=0.1)], 0.3, [-0.1, 0.25]),
    (pydantic.PositiveInt, 1, [0]),
    (pydantic.conint(multiple_of=2), 4, [3]),
    (Annotated[str, msgspec.Meta(min_length=1, pattern="^a")], "ab", ["", "b"]),
    (pydantic.constr(max_length=2), "ab", ["abc"]),
    (Annotated[list[int], annotated_types.Len(1, 2)], [1], [[], [1, 2, 3]]),
    (list[Annotated[int, annotated_types.Gt(0)]], [1], [[1, 0]]),
    (dict[str, pydantic.PositiveInt], {"b": 1, "a": 2}, [{"b": 1, "a": 0}]),
    (Annotated[dict[str, int], annotated_types.MinLen(1)], {"a": 1}, [{}]),
    (tuple[int, pydantic.NegativeInt] | None, (1, -1), [(1, 1)]),
    (NewType("Positive", pydantic.PositiveInt), 1, [0]),
    (Training, {"lr": 0.5, "shades": []}, [{"lr": "fast", "shades": []}, {"lr": 1.0}, {"lr": 1, "shades": [], "x": 1}]),
]


@pytest.mark.parametrize(("annotation", "fitting", "refused"), BOUNDS, ids=lambda one: str(one)[:40])
def test_declared_bounds_hold(annotation, fitting, refused):
    def take(x): ...

    take.__annotations__ = {"x": annotation}
    type_ = step(take).signature.parameters["x"].type
    in_source = convert(fitting, type_, "x", text=False, canonical=False)
    assert convert(in_source, type_, "x") == in_source
    for value in refused:
        for text in (True, False):
            with pytest.raises(ConfigError, match="the parameter 'x"):
                convert(value, type_, "x", text=text, canonical=False)


@step
def each(x: list[Annotated[float, annotated_types.Ge(0)]]) -> None: ...


FLOW = """
from typing import Annotated, Any, TypedDict

import annotated_types
import pydantic

from turnout import pipeline, step


@step
def bounded(x: Annotated[int, pydantic.Field(gt=0)]) -> Annotated[int, annotated_types.Lt(10)]:
    return x * 5


@step
def number(x: int) -> int:
    return x


@pipeline
def bounds(x: int = 1):
    bounded(number(x))
    bounded.named("again")(x)


class Fitted(TypedDict):
    lr: float


@step
def given_fields(x: Fitted) -> None: ...


@step
def make() -> dict[str, Any]:
    return {"lr": "fast"}


@pipeline
def fields():
    given_fields(make())
"""


@pytest.fixture
def flow(tmp_path):
    files = {"flow.py": FLOW, "stacks/here.yaml": IN_PROCESS}
    with entered(write_project(tmp_path / "project", files, more=HERE)):
        yield import_module("flow")


def test_bounds_hold_for_what_other_steps_and_wider_parameters_give(flow):
    with pytest.raises(turnout.RunError, match="the input 'x' of bounded is -1") as caught:
        flow.bounds.run(x=-1)
    assert "it must be greater than 0" in str(caught.value.__cause__ or caught.value)
    with pytest.raises(turnout.RunError, match="the output 'output' of bounded is 10"):
        flow.bounds.run(x=2)


def test_fields_hold_for_what_another_step_gives(flow):
    with pytest.raises(turnout.RunError, match="the input 'x' of given_fields is"):
        flow.fields.run()


class Fitted(TypedDict):
    lr: float
    shades: list[Shade]
    layers: NotRequired[list[tuple[int, str]]]
    mode: Literal["fast", "slow"]
    table: pd.DataFrame


@step
def given_fields(x: Fitted) -> None: ...


GOOD = {"lr": 1, "shades": [Shade.RED], "mode": "fast", "table": None}
KEYS = {
    "a subclass of the type": ({"lr": np.float64(0.5)}, None),
    "more": ({"layers": [(1, "a")], "other": 1}, None),
    "a text": ({"lr": "fast"}, r"\['lr'\]: it must be float, .* and is of type str"),
    "None": ({"lr": None}, r"\['lr'\]: it must be float, .* and is None"),
    "a bool": ({"lr": True}, r"\['lr'\]: .* is of type bool"),
    "no member": ({"shades": ["dark"]}, r"\['shades'\]\[0\]: .* is of type str"),
    "too many": ({"layers": [(1, "a", 2)]}, r"\['layers'\]\[0\]: it must have 2 elements"),
    "inside": ({"layers": [(1, "a"), (1, 2)]}, r"\['layers'\]\[1\]\[1\]: it must be str"),
    "no choice": ({"mode": "medium"}, r"\['mode'\]: it must be one of 'fast', 'slow'"),
    "left out": ({"lr": ...}, "it has no 'lr', which its annotation demands"),
}


@pytest.mark.parametrize("case", KEYS)
def test_a_value_is_held_to_the_keys_of_a_typed_dict(case):
    changes, message = KEYS[case]
    value = {key: item for key, item in (GOOD | changes).items() if item is not ...}
    type_ = given_fields.signature.parameters["x"].check
    if message is None:
        check_python(value, type_)
        return
    with pytest.raises(Misfit) as caught:
        check_python(value, type_)
    assert re.search(message, f"{caught.value.path}: {caught.value}")


REFUSED = [
    Annotated[int, annotated_types.Predicate(bool)],
    Annotated[int, pydantic.AfterValidator(abs)],
    Annotated[str, pydantic.Field(strict=True)],
    Annotated[pd.DataFrame, annotated_types.MinLen(1)],
    Annotated[int, annotated_types.MinLen(1)],
    int | Annotated[str, annotated_types.MinLen(1)],
    list[Annotated[int, annotated_types.Predicate(bool)]],
    pydantic.constr(to_upper=True),
]


@pytest.mark.parametrize("annotation", REFUSED, ids=str)
def test_a_constraint_that_nobody_checks_is_refused(annotation):
    def take(x): ...

    take.__annotations__ = {"x": annotation}
    with pytest.raises(DefinitionError, match="declares what is not checked"):
        _ = step(take).signature
    take.__annotations__ = {"return": annotation}
    with pytest.raises(DefinitionError, match="declares what is not checked"):
        _ = step(take).outputs


def test_what_is_no_constraint_is_left_alone():
    def take(x: Annotated[int, "a label", pydantic.Field(description="how deep", title="Depth")]) -> None: ...

    assert step(take).signature.parameters["x"].check is None
