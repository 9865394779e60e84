"""What the schema of a new version refuses that the live one takes."""

from __future__ import annotations

import msgspec
import pyarrow as pa
import pytest

from turnout.model.endpoint_plan import Column, EndpointPlan, Request
from turnout.model.inputs import Output
from turnout.model.plan import Code, Environment
from turnout.model.spec import Entrypoint
from turnout.model.types import ParamType, TypeName
from turnout.serving.narrowing import narrowed
from turnout.serving.tables import prototype

LETTERS = pa.dictionary(pa.int8(), pa.string())


def plan(*requests: Request) -> EndpointPlan:
    return EndpointPlan(
        project="shop",
        name="delay",
        pipeline="train",
        entrypoint=Entrypoint(module="delays", qualname="delay"),
        requests=requests,
        steps=(),
        answer=Output(step="predict", output="output"),
        stack="local",
        code=Code(digest="0" * 64),
        environment=Environment(python="3.11"),
    )


def table(**columns: pa.DataType | list[str]) -> Request:
    """A table request; a list gives the categories of a column."""
    arrays = {
        name: pa.DictionaryArray.from_arrays(pa.array([], pa.int8()), pa.array(type_))
        if isinstance(type_, list)
        else pa.array([], type_)
        for name, type_ in columns.items()
    }
    empty = pa.table(arrays)
    return Request(
        name="rows",
        type=TypeName(name="pyarrow.lib:Table"),
        columns=tuple(Column(name=field.name, type=str(field.type)) for field in empty.schema),
        prototype=prototype(empty),
    )


def value(kind: str, **more: object) -> Request:
    return Request(name="plus", type=TypeName(name=kind), value=ParamType(kind=kind), **more)


X = table(x=pa.int32())
CASES = {
    "the same": (X, X, []),
    "any columns": (X, msgspec.structs.replace(X, columns=None, prototype=""), []),
    "certain columns": (msgspec.structs.replace(X, columns=None, prototype=""), X, ["rows takes certain columns only"]),
    "a wider integer": (X, table(x=pa.int64()), []),
    "a narrower integer": (table(x=pa.int64()), X, ["rows.x takes int32, not int64"]),
    "a sign less": (X, table(x=pa.uint64()), ["rows.x takes uint64, not int32"]),
    "unsigned as large": (table(x=pa.uint32()), X, ["rows.x takes int32, not uint32"]),
    "unsigned in the next signed": (table(x=pa.uint32()), table(x=pa.int64()), []),
    "floats for integers": (X, table(x=pa.float64()), []),
    "integers for floats": (table(x=pa.float64()), X, ["rows.x takes int32, not double"]),
    "text of another form": (table(x=pa.string()), table(x=pa.large_string()), []),
    "categories for text": (table(x=pa.string()), table(x=["a"]), ["rows.x takes categories, not string"]),
    "more categories": (table(x=["a"]), table(x=["b", "a"]), []),
    "fewer categories": (table(x=["a", "b"]), table(x=["a"]), ["rows.x does not take 'b'"]),
    "one more column": (X, table(x=pa.int32(), y=pa.string()), ["rows.y has to be given"]),
    "one column less": (table(x=pa.int32(), y=pa.string()), X, ["rows.y is not taken any more"]),
    "no null": (
        X,
        msgspec.structs.replace(X, columns=(Column(name="x", type="int32", nullable=False),)),
        ["rows.x takes no null"],
    ),
    "another type of a value": (value("int"), value("str"), ["plus has another type"]),
    "a default less": (value("int", required=False, default=1), value("int"), ["plus has to be given"]),
}


@pytest.mark.parametrize("case", CASES)
def test_narrowed(case):
    before, after, lost = CASES[case]
    assert narrowed(plan(before), plan(after)) == lost


def test_parameters_come_and_go():
    plus = value("int")
    assert narrowed(plan(X), plan(X, plus)) == ["plus has to be given"]
    assert narrowed(plan(X), plan(X, msgspec.structs.replace(plus, required=False, default=1))) == []
    assert narrowed(plan(X, plus), plan(X)) == ["plus is not taken any more"]
