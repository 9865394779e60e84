"""What an endpoint's function may say, and the spec it is traced to."""

from __future__ import annotations

import inspect
from pathlib import Path

import pandas as pd
import pytest

from turnout import Features, endpoint, pipeline, step, when
from turnout.base.errors import DefinitionError
from turnout.model.inputs import Output, Param


@step
def load() -> pd.DataFrame: ...


@step
def fit(rows: pd.DataFrame) -> dict: ...


@step
def two(rows: pd.DataFrame) -> tuple[int, float]: ...


@step
def names(rows: pd.DataFrame) -> list[str]: ...


@step
def named(name: str) -> str: ...


@step
def predict(model: dict, rows: pd.DataFrame, *, plus: float = 0.0) -> pd.Series: ...


@pipeline
def train():
    rows = load()
    fit(rows)
    two(rows)
    names(rows)


@pipeline
def other():
    fit(load())


def test_the_spec():
    weather = Features("weather:wind", entity="airport")

    @endpoint(train, like={"rows": "load"}, without={"rows": ["y"]}, run="champion")
    def delay(rows: pd.DataFrame, plus: float = 1):
        """Says how late.

        Args:
            rows: the flights.
        """
        return predict(train["fit"], weather.online(rows), plus=plus)

    spec = delay.trace().spec
    assert [step.name for step in spec.steps] == ["weather_features", "predict"]
    assert spec.steps[0].inputs["entities"].source == Param(name="rows")
    assert spec.bound == (Output(step="fit", output="output"),)
    assert spec.answer == Output(step="predict", output="output")
    rows, plus = spec.requests
    assert (rows.like, rows.without, rows.doc) == (Output(step="load", output="output"), ("y",), "the flights.")
    assert (plus.required, plus.default, plus.value.kind) == (False, 1.0, "float")
    assert spec.run == "champion"


CASES = {
    "returns a table as it is": (lambda rows: rows, "returns rows as it is"),
    "returns what it serves": (lambda rows: train["fit"], "returns fit as it is"),
    "returns nothing": (lambda rows: None, "returns None"),
    "another pipeline": (lambda rows: predict(other["fit"], rows), "asks for a result of other"),
    "no such step": (lambda rows: predict(train["fti"], rows), "no step 'fti'. Did you mean 'fit'"),
    "several outputs": (lambda rows: predict(train["two"], rows), "2 outputs, and one is to be chosen"),
    "no such output": (lambda rows: predict(train["fit.x"], rows), "no output 'x'"),
    "a list": (lambda rows: predict(train["names"], rows), "one value an element"),
    "a wrong type": (lambda rows: predict(train["load"], rows), "takes a dict as 'model'"),
    "a taken name": (lambda rows: (fit(rows), predict(train["fit"], rows))[1], "'fit' is used twice"),
}


@pytest.mark.parametrize("case", CASES)
def test_misuse_is_refused_at_its_line(case):
    body, told = CASES[case]

    def function(rows: pd.DataFrame):
        return body(rows)

    with pytest.raises(DefinitionError, match=told) as refused:
        endpoint(train)(function).trace()
    assert "test_endpoint.py" in str(refused.value)


def gated(rows: pd.DataFrame, on: bool):
    with when(on == True):  # noqa: E712 - this line
        return predict(train["fit"], rows)


def half_gated(rows: pd.DataFrame, on: bool):
    when(on == True)  # noqa: E712 - this line
    return predict(train["fit"], rows)


def mapped(rows: pd.DataFrame, names: list[str]):
    return named.map(names)  # this line


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (gated, "the endpoint 'gated' decides by when"),
        (half_gated, "the endpoint 'half_gated' decides by when"),
        (mapped, "the endpoint 'mapped' maps 'named' over elements"),
    ],
)
def test_an_endpoint_does_not_branch_or_fan_out(function, told):
    with pytest.raises(DefinitionError, match=told) as refused:
        endpoint(train)(function).trace()
    lines = Path(__file__).read_text().splitlines()[: refused.value.where.line]
    assert lines[-1].endswith("this line")
    assert lines[-1].strip() in inspect.getsource(function)


def test_results_are_asked_for_in_endpoints_only():
    with pytest.raises(DefinitionError, match="outside an endpoint"):
        train["fit"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"like": {"row": "load"}}, "like= names 'row'"),
        ({"without": {"x": []}}, "without= names 'x'"),
        ({"columns": {"x": []}}, "columns= names 'x'"),
        ({"columns": {"rows": ["x"]}}, "the columns of 'rows' of the endpoint 'delay' are chosen from no table"),
        (
            {"like": {"rows": "load"}, "columns": {"rows": ["x"]}, "without": {"rows": ["y"]}},
            "the columns of 'rows' of the endpoint 'delay' are chosen twice",
        ),
    ],
)
def test_options_name_parameters(options, told):
    @endpoint(train, **options)
    def delay(rows: pd.DataFrame):
        return predict(train["fit"], rows)

    with pytest.raises(DefinitionError, match=told):
        delay.trace()
