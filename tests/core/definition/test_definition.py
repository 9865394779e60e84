"""What a user writes, and the spec it is traced to."""

from __future__ import annotations

import collections
import os
import pickle
import subprocess
import sys
import textwrap
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import cloudpickle
import msgspec
import pandas as pd
import pytest

from turnout.base import canonical, durations
from turnout.base.errors import DefinitionError
from turnout.definition import docstrings, schedules
from turnout.definition.features import Features
from turnout.definition.markers import INTERVAL_START, LOGICAL_TIME
from turnout.definition.own_materializers import materializer
from turnout.definition.pipeline import PipelineDefinition, define
from turnout.definition.step import Step, step
from turnout.definition.when import when
from turnout.files import File, Folder
from turnout.model import inputs
from turnout.model.expressions import evaluate, render
from turnout.model.graph import order
from turnout.model.settings import Resources, Retry
from turnout.model.spec import InputSpec, OutputSpec, PipelineSpec, Place, Schedule, StepSpec
from turnout.model.types import ParamType


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Score(NamedTuple):
    value: float
    rows: int


class Model:
    pass


class BetterModel(Model):
    pass


@materializer(Model)
class ModelFiles:
    def save(self, value: Model, folder: Path) -> None: ...

    def load(self, folder: Path) -> Model: ...


weather = Features("airport_weather:wind_speed", "airport_weather:visibility", entity="origin")


@step
def load(path: File) -> pd.DataFrame:
    return pd.DataFrame({"path": [str(path)]})


@step
def split(
    flights: pd.DataFrame, *, seed: int
) -> tuple[Annotated[pd.DataFrame, "train"], Annotated[pd.DataFrame, "test"]]:
    """Split it."""
    return flights[:seed], flights[seed:]


@step(
    retries=2,
    retry_delay="10s",
    retry_backoff=2.0,
    timeout="30m",
    resources=Resources(cpu=2, memory="4Gi"),
    requirements=["scikit-learn>=1.5"],
    secrets={"DB_PASSWORD": "warehouse"},
    env=["REGION"],
    files=["sql/*.sql"],
    cache="12h",
    options={"airflow": {"pool": "gpu"}},
    kubeflow={"display": "Fit"},
)
def fit(train: pd.DataFrame, *, depth: int = 6) -> BetterModel: ...


@step
def evaluate_model(model: Model, test: pd.DataFrame) -> dict[str, float]: ...


@step
def publish(model: Model, at: datetime) -> None: ...


@step
def months(path: File) -> list[int]: ...


@step
def score(month: int, *, model: Model | None = None, shift: float = 0.0) -> float:
    return month + shift


@step
def merge(scores: list[float]) -> float:
    return sum(scores)


@step
def pair(x: int, y: int) -> tuple[int, str]:
    return x + y, str(x)


@step
def is_good(score: float) -> bool: ...


@step
def anything(x=None): ...


def pipeline(function, **settings) -> PipelineDefinition:
    return define(function, PipelineDefinition, **settings)


def spec_of(function, **settings) -> PipelineSpec:
    return pipeline(function, **settings).spec


def steps_of(function) -> dict[str, StepSpec]:
    return {one.name: one for one in spec_of(function).steps}


def flights(
    path: File = "data/flights.parquet",
    depth: int = 6,
    seed: int = 7,
    day: datetime = LOGICAL_TIME,
):
    """Predict the arrival delay of a flight.

    Args:
        path: the flights,
            one a row.
        depth (int): how deep the trees are.
    """
    joined = weather.historical(load(path))
    train, test = split(joined, seed=seed)
    model = fit(train, depth=depth)
    report = evaluate_model(model, test)
    with when(report["r2"] > 0.3):
        publish(model, day)
    scores = score.map(months(path), model=model)
    merge(scores)


def test_the_whole_spec(snapshot) -> None:
    found = canonical.without_defaults(
        spec_of(flights, schedule="@daily", tags={"team": "ops"}, airflow={"owner": "ops"})
    )

    def without_lines(value):
        if isinstance(value, dict):
            if set(value) == {"file", "line"}:
                return value["file"]
            return {key: without_lines(item) for key, item in value.items() if key != "bases"}
        return [without_lines(item) for item in value] if isinstance(value, list) else value

    text = canonical.pretty(without_lines(found)).decode()
    assert text.replace("pandas.core.frame:DataFrame", "pandas:DataFrame") == snapshot, "the first is pandas 2's name"


def test_a_spec_survives_json() -> None:
    spec = spec_of(flights, schedule=timedelta(hours=2))
    data = canonical.encode(canonical.without_defaults(spec))
    again = msgspec.json.decode(data, type=PipelineSpec)
    assert again == spec
    assert canonical.encode(canonical.without_defaults(again)) == data


def test_the_place_is_the_line_of_the_call() -> None:
    source = Path(__file__).read_text().splitlines()
    for one in spec_of(flights).steps:
        assert one.place is not None
        assert one.place.file == "tests/core/definition/test_definition.py"
        assert any(word in source[one.place.line - 1] for word in (one.name, "weather.historical", "when(")), one


# Steps


def test_a_step_called_outside_a_pipeline_runs() -> None:
    assert score(3, shift=0.5) == 3.5
    assert split.__name__ == "split"
    assert split.__doc__ == "Split it."
    assert split.__wrapped__ is split.function
    assert list(load("x")["path"]) == ["x"]


def test_a_map_outside_a_pipeline_runs_too() -> None:
    assert score.map([1, 2], shift=0.5) == [1.5, 2.5]
    assert score.map([]) == []
    assert pair.map([1, 2], (3, 4)) == ([4, 6], ["1", "2"])
    assert pair.map([], []) == ([], [])


def test_settings_of_a_step() -> None:
    config = fit.settings
    assert config.retry == Retry(count=2, delay=10.0, backoff=2.0)
    assert config.timeout == 1800.0
    assert config.resources == Resources(cpu=2.0, memory="4Gi")
    assert config.cache == 43200.0
    assert config.options == {"airflow": {"pool": "gpu"}, "kubeflow": {"display": "Fit"}}
    assert step(cache=True)(merge.function).settings.cache is True
    assert step(cache=False)(merge.function).settings.cache is False


def test_defaults_are_not_written_out() -> None:
    with_defaults = step(retry_delay=0, resources=Resources(memory=0))(merge.function)

    def p():
        with_defaults([1.0])
        merge.named("plain")([1.0])

    for one in spec_of(p).steps:
        assert not {"retry", "resources", "guards", "cache"} & set(msgspec.to_builtins(one))


def test_what_is_said_is_kept_where_it_says_what_engines_may_do_by_themselves() -> None:
    explicit = step(retries=0, resources=Resources(cpu=1, memory=" 2 Gi "))(merge.function)

    def p():
        explicit([1.0])

    (one,) = spec_of(p).steps
    assert (one.retry, one.resources) == (Retry(never=True), Resources(cpu=1.0, memory="2Gi"))
    assert (Resources().cores, one.resources.cores) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("settings", "waits"),
    [
        ({"retries": 3, "retry_delay": "2h", "retry_backoff": 2}, [7200, 14400, 28800]),
        ({"retries": 2, "retry_delay": "36h"}, [129600, 129600]),
        ({"retries": 2, "retry_delay": 0.25}, [0.25, 0.25]),
    ],
)
def test_delays_are_as_long_as_they_are_asked_for(settings, waits) -> None:
    def p():
        step(**settings)(merge.function)([1.0])

    retry = spec_of(p).steps[0].retry
    assert [retry.wait(number) for number in range(1, retry.count + 1)] == waits


def test_delays_that_no_engine_can_wait_are_refused() -> None:
    with pytest.raises(DefinitionError, match="the delay before the last retry would be ten years or more"):
        step(retries=200, retry_delay="1s", retry_backoff=100)(merge.function)


def test_a_step_is_a_value_of_its_own_after_named() -> None:
    other = fit.named("fit_small")
    assert (other.name, fit.name) == ("fit_small", "fit")
    assert other.function is fit.function
    assert other.settings is fit.settings


def test_a_step_pickles_by_its_name_or_by_value() -> None:
    assert pickle.loads(pickle.dumps(score)) is score
    other = pickle.loads(cloudpickle.dumps(score.named("other")))
    assert (other.name, other(3)) == ("other", 3.0)

    @step
    def local(x: int) -> int:
        return x + 1

    assert pickle.loads(cloudpickle.dumps(local))(1) == 2


# Outputs and types


def outputs_of(annotation: Any) -> dict[str, str]:
    def function(): ...

    if annotation is not Ellipsis:
        function.__annotations__["return"] = annotation
    return {one.name: one.type.text for one in step(function).outputs}


@pytest.mark.parametrize(
    ("annotation", "wanted"),
    [
        (..., {"output": "Any"}),
        (None, {}),
        (int, {"output": "int"}),
        (Annotated[int, "rows"], {"rows": "int"}),
        (Annotated[int, 3], {"output": "int"}),
        (tuple[int, str], {"output_0": "int", "output_1": "str"}),
        (tuple[Annotated[int, "rows"], str], {"rows": "int", "output_1": "str"}),
        (tuple[int, ...], {"output": "tuple[int, ...]"}),
        (tuple[int], {"output": "tuple[int]"}),
        (tuple, {"output": "tuple"}),
        (Annotated[tuple[int, str], "both"], {"both": "tuple[int, str]"}),
        (Score, {"output": "Score"}),
        (int | None, {"output": "int | None"}),
        (int | str, {"output": "int | str"}),
        (list[dict[str, float]], {"output": "list[dict[str, float]]"}),
        (Literal["a", "b"], {"output": "Literal['a', 'b']"}),
        (Any, {"output": "Any"}),
    ],
)
def test_outputs(annotation, wanted) -> None:
    assert outputs_of(annotation) == wanted


def type_of(annotation: Any):
    from turnout.definition.annotations import type_name

    return type_name(annotation)


def test_type_names() -> None:
    found = type_of(BetterModel)
    assert found.name == f"{__name__}:BetterModel"
    assert found.bases == (f"{__name__}:Model",)
    assert type_of(list[BetterModel]).collection
    assert type_of(list[BetterModel]).name == found.name
    assert type_of(list).collection
    assert type_of(list).name == "any"
    assert type_of(collections.abc.Sequence[int]).collection
    assert type_of(int | None).optional
    assert type_of(File).bases == type_of(Folder).bases == ("pathlib:Path", "pathlib:PurePath")
    assert type_of(Path).name == "pathlib:Path"
    assert type_of(dict[str, int]).name == "builtins:dict"
    assert type_of(int | str).name == "any"
    assert type_of(Any).name == "any"
    assert type_of(Literal[1, 2]).name == "builtins:int"
    assert type_of(Annotated[int, "x"]).name == "builtins:int"


def fitting_types():
    import numpy as np
    import polars as pl
    import pyarrow as pa

    yes = [
        (int, int), (int, float), (bool, int), (int, Any), (Any, int), (BetterModel, Model), (Model, BetterModel),
        (pd.DataFrame, pl.DataFrame), (pl.DataFrame, pa.Table), (pa.Table, pd.DataFrame), (int | None, int),
        (int, int | None), (list[int], list[float]), (list[int], list), (list, list[int]), (dict, dict[str, int]),
        (np.float64, float), (float, np.float32), (np.int64, int), (File, Path), (File, os.PathLike),
        (list[int], collections.abc.Iterable), (dict, collections.abc.Mapping), (Colour, str), (str, Colour),
        (int | str, float), (collections.OrderedDict, dict), (Literal["a"], str), (datetime, date), (tuple, list[int]),
    ]  # fmt: skip
    no = [
        (float, int), (str, int), (int, str), (int, bool), (dict, list[int]), (list[int], dict), (list[int], int),
        (int, list[int]), (pd.DataFrame, int), (pd.DataFrame, dict), (pl.LazyFrame, pd.DataFrame), (Model, str),
        (str, Model), (list[str], list[int]), (list[pd.DataFrame], pd.DataFrame), (str, File), (File, str),
        (date, datetime), (str, bytes), (Model, Score), (pd.Series, pd.DataFrame), (np.ndarray, list[float]),
    ]  # fmt: skip
    return [(*types, True) for types in yes] + [(*types, False) for types in no]


@pytest.mark.parametrize(("given", "wanted", "expected"), fitting_types())
def test_fits(given, wanted, expected) -> None:
    from turnout.definition.fitting import fits

    assert fits(type_of(given), type_of(wanted)) is expected


def test_annotations_of_a_nested_function_are_understood() -> None:
    class Local:
        pass

    @step
    def make() -> Local: ...

    @step
    def use(local: Local): ...

    def p():
        use(make())

    assert steps_of(p)["use"].inputs["local"].type.text.endswith("Local")


def test_a_class_of_the_project_gets_its_materializer() -> None:
    found = steps_of(flights)
    assert found["fit"].outputs[0].materializer == f"{__name__}:ModelFiles"
    assert found["load"].outputs[0].materializer is None


# Parameters


def test_parameters() -> None:
    def p(
        required: int,
        plain=3,
        choice: Literal["a", "b"] = "a",
        colour: Colour = Colour.RED,
        maybe: int | None = None,
        when_: datetime = datetime(2026, 1, 2),  # noqa: DTZ001
        start=INTERVAL_START,
        names: list[str] = ["a"],  # noqa: B006
        folder: Folder = "data",
        anything_=None,
        span: timedelta = timedelta(minutes=1),
    ):
        anything(required)

    found = {one.name: one for one in spec_of(p).params}
    assert found["required"].required
    assert found["required"].default is None
    assert found["plain"].type == ParamType(kind="int")
    assert found["choice"].type.choices == ("a", "b")
    assert found["colour"].default == "red"
    assert found["colour"].type.choices == ("red", "blue")
    assert found["maybe"].type.optional
    assert found["when_"].default == "2026-01-02T00:00:00[naive]"
    assert (found["start"].source, found["start"].type.kind) == ("interval_start", "datetime")
    assert not found["start"].required
    assert found["names"].default == ["a"]
    assert found["folder"].default == {"path": "data"}
    assert found["anything_"].type.kind == "json"
    assert found["span"].default == 60
    assert [one.name for one in found.values() if one.required] == ["required"]


def test_docs_of_parameters() -> None:
    docs = {one.name: one.doc for one in spec_of(flights).params}
    assert docs["path"] == "the flights, one a row."
    assert docs["depth"] == "how deep the trees are."
    assert docs["seed"] == ""
    assert docstrings.parameters("No section.\n\nx: 1") == {}
    assert docstrings.parameters("Args:\n    a: one: two\n\n    b: three\n\nReturns:\n    c: four") == {
        "a": "one: two",
        "b": "three",
    }


# Wiring


def test_literals_are_kept_by_their_declared_type() -> None:
    def p():
        anything(datetime(2026, 1, 2))  # noqa: DTZ001
        anything.named("nothing")(None)
        anything.named("list")([1, {"a": (2, 3)}])
        score(3.0, shift=1)
        load("s3://bucket/a.parquet")

    found = steps_of(p)
    assert found["anything"].inputs["x"].source == inputs.Literal(
        value="2026-01-02T00:00:00[naive]", type=ParamType(kind="datetime")
    )
    assert found["nothing"].inputs["x"].source.value is None
    assert found["list"].inputs["x"].source.value == [1, {"a": {"$tuple": [2, 3]}}]
    assert canonical.encode(found["score"].inputs["month"].source.value) == b"3"
    assert canonical.encode(found["score"].inputs["shift"].source.value) == b"1.0"
    assert found["load"].inputs["path"].source.value == {"url": "s3://bucket/a.parquet"}
    assert "model" not in found["score"].inputs, "a default stays with the function"


def test_a_default_file_of_a_step_is_an_input() -> None:
    @step
    def read(path: File = "a.parquet", other: File | None = None): ...

    def p():
        read()

    assert steps_of(p)["read"].inputs == {
        "path": InputSpec(
            source=inputs.Literal(value={"path": "a.parquet"}, type=ParamType(kind="file")), type=type_of(File)
        )
    }


def test_outputs_unpack_and_are_attributes() -> None:
    def p(path: File = "a"):
        both = split(load(path), seed=1)
        first, *rest = both
        anything(both.train)
        anything.named("second")(rest[0])
        anything.named("first")(first)
        single = months(path)
        anything.named("single")(single.output)

    found = steps_of(p)
    assert found["anything"].inputs["x"].source == inputs.Output(step="split", output="train")
    assert found["first"].inputs["x"].source == inputs.Output(step="split", output="train")
    assert found["second"].inputs["x"].source == inputs.Output(step="split", output="test")
    assert found["single"].inputs["x"].source == inputs.Output(step="months", output="output")


# Maps


def test_maps() -> None:
    def p(path: File = "a", shift: float = 1.0, ns: list[int] = [1, 2]):  # noqa: B006
        first = score.map(months(path), shift=shift)
        is_good.map(first)
        collected = merge(first)
        score.named("kept").map(ns)
        anything.named("held").map(first)
        use = step(takes_list)
        use.map(ns, all_=first, one=collected)

    found = steps_of(p)
    element = inputs.Element(step="score", output="output")
    assert found["score"].inputs["month"].source == inputs.Element(step="months", output="output")
    assert found["score"].inputs["shift"].source == inputs.Param(name="shift")
    assert found["score"].mapped
    assert found["is_good"].inputs["score"].source == element
    assert found["merge"].inputs["scores"].source == inputs.Collected(step="score", output="output")
    assert not found["merge"].mapped
    assert found["kept_items"].inputs["items"].source == inputs.Param(name="ns")
    assert str(found["kept_items"].entrypoint) == "turnout.steps:elements"
    assert found["kept_items"].outputs[0].type.collection
    assert found["kept"].inputs["month"].source == inputs.Element(step="kept_items", output="output")
    assert found["held"].inputs["x"].source == element
    assert found["takes_list"].inputs["all_"].source == inputs.Collected(step="score", output="output")
    assert found["takes_list"].inputs["one"].source == inputs.Output(step="merge", output="output")


def takes_list(n: int, all_: list[float], one: float) -> float: ...


def test_literals_are_zipped_by_a_step_each() -> None:
    def p():
        both = pair.map([1, 2], range(2))
        anything(both.output_0)

    found = steps_of(p)
    assert list(found) == ["pair_items", "pair_items_2", "pair", "anything"]
    assert found["pair_items"].inputs["items"].source == inputs.Literal(
        value=[1, 2], type=ParamType(kind="list", items=(ParamType(kind="int"),))
    )
    assert found["pair_items_2"].inputs["items"].source.value == [0, 1]
    assert found["pair"].inputs["y"].source == inputs.Element(step="pair_items_2", output="output")
    assert found["anything"].inputs["x"].source == inputs.Collected(step="pair", output="output_0")


def test_an_empty_list_can_be_mapped() -> None:
    def p():
        score.map([])

    assert steps_of(p)["score_items"].inputs["items"].source.value == []


def test_turnouts_own_steps_run() -> None:
    from turnout import steps

    assert steps.elements([1, 2]) == [1, 2]


# Guards


def test_guards() -> None:
    def p(path: File = "a", depth: int = 3, fast: bool = False, names: list[str] = []):  # noqa: B006
        report = evaluate_model(fit(load(path)), load.named("load_2")(path))
        with when((report["r2"] > 0.3) & ~(depth == 3) | (depth >= 10)):
            anything()
            with when(fast, name="fast"):
                anything.named("inner")()
        with when(names.contains("a")):
            anything.named("after")()
        with when(depth.isin([1, 2, 3])):
            score.map([1])
        with when(is_good(1.0)):
            anything.named("bool")()

    found = steps_of(p)
    gate = found["when_1"]
    assert gate.kind == "gate"
    assert gate.entrypoint is None
    assert render(gate.expression) == "((evaluate_model['r2'] > 0.3) and (not (depth == 3))) or (depth >= 10)"
    assert gate.inputs["evaluate_model"].source == inputs.Output(step="evaluate_model", output="output")
    assert gate.inputs["depth"].source == inputs.Param(name="depth")
    assert found["anything"].guards == ("when_1",)
    assert found["fast"].guards == ("when_1",)
    assert found["inner"].guards == ("fast",)
    assert found["when_2"].guards == ()
    assert render(found["when_2"].expression) == "'a' in names"
    assert found["after"].guards == ("when_2",)
    assert found["score_items"].guards == found["score"].guards == ("when_3",)
    assert render(found["when_4"].expression) == "is_good"
    assert evaluate(gate.expression, {"evaluate_model": {"r2": 0.5}, "depth": 4})


def test_reflected_comparisons_and_steps_of_one_name() -> None:
    def p(depth: int = 3):
        left, right = pair(1, 2)
        with when((depth > 2) & (left == depth) & (right != "a")):
            anything()
        inner = pipeline(sub)
        a, b = inner(1), inner.named("other")(2)
        with when(a > b):
            anything.named("x")()

    found = steps_of(p)
    assert render(found["when_1"].expression) == "((depth > 2) and (pair_output_0 == depth)) and (pair_output_1 != 'a')"
    assert render(found["when_2"].expression) == "score > score_2"
    assert found["when_2"].inputs["score_2"].source == inputs.Output(step="other.score", output="output")


def test_a_guard_ends_with_its_block_even_when_it_raises() -> None:
    def p(depth: int = 3):
        try:
            with when(depth > 3):
                int("x")
        except ValueError:
            pass
        anything()

    assert steps_of(p)["anything"].guards == ()


# Sub-pipelines


def sub(month: int, shift: float = 0.5):
    with when(shift > 0):
        return score(month, shift=shift)


def test_a_pipeline_in_a_pipeline_is_a_group() -> None:
    inner = pipeline(sub)

    def middle(month: int):
        return inner(month)

    middle = pipeline(middle)

    def p(depth: int = 3):
        with when(depth > 1):
            x = inner(depth)
        y = inner.named("second")(4, shift=2)
        z = middle(5)
        anything([1])
        for number, handle in enumerate((x, y, z)):
            anything.named(f"use_{number}")(handle)

    found = steps_of(p)
    assert list(found) == [
        "when_1", "sub.when_1", "sub.score", "second.when_1", "second.score", "middle.sub.when_1", "middle.sub.score",
        "anything", "use_0", "use_1", "use_2",
    ]  # fmt: skip
    assert found["sub.when_1"].guards == ("when_1",)
    assert found["sub.score"].guards == ("sub.when_1",)
    assert found["sub.score"].inputs["month"].source == inputs.Param(name="depth")
    assert found["sub.score"].inputs["shift"].source.value == 0.5, "a value is given, so that it shows in the plan"
    assert render(found["sub.when_1"].expression) == "0.5 > 0"
    assert canonical.encode(found["second.score"].inputs["shift"].source.value) == b"2.0"
    assert found["use_2"].inputs["x"].source == inputs.Output(step="middle.sub.score", output="output")


def test_a_sub_pipeline_sees_handles_as_when_it_runs_alone() -> None:
    def inner(ns: list[int] = [1, 2], n: int = 3):  # noqa: B006
        score.map(ns)
        if n > 2:
            pass

    inner = pipeline(inner)

    def p():
        inner()

    for one in (inner, pipeline(p)):
        with pytest.raises(DefinitionError, match="used as a condition"):
            one.trace()


def test_a_list_given_to_a_sub_pipeline_can_be_mapped() -> None:
    def inner(ns: list[int] = [1, 2]):  # noqa: B006
        return score.map(ns)

    inner = pipeline(inner)

    def p():
        is_good.map(inner())
        inner.named("again")([3])

    found = steps_of(p)
    assert found["inner.score_items"].inputs["items"].source.value == [1, 2]
    assert found["again.score_items"].inputs["items"].source.value == [3]
    assert found["is_good"].inputs["score"].source == inputs.Element(step="inner.score", output="output")


# Tracing


def test_a_trace_is_kept_and_tells_its_functions() -> None:
    definition = pipeline(flights)
    traced = definition.trace()
    assert definition.trace() is traced
    assert traced.functions["fit"] is fit.function
    assert "when_1" not in traced.functions
    assert "airport_weather_features" not in traced.functions
    assert traced.values == {}
    assert traced.requirements == ("scikit-learn>=1.5",)


def test_entrypoints_are_found_by_name() -> None:
    found = steps_of(flights)
    assert str(found["load"].entrypoint) == f"{__name__}:load"
    assert found["load"].entrypoint.value is None


def test_functions_of_functions_travel_by_value() -> None:
    factor = 3

    @step
    def local(x: int) -> int:
        return x * factor

    def p():
        local(1)
        local.named("again")(2)

    definition = pipeline(p)
    traced = definition.trace()
    entrypoint = traced.spec.steps[0].entrypoint
    assert entrypoint == traced.spec.steps[1].entrypoint
    assert set(traced.values) == {entrypoint.value}
    assert canonical.digest(traced.values[entrypoint.value]) == entrypoint.value
    assert pickle.loads(traced.values[entrypoint.value])(2) == 6
    factor = 4
    assert definition.trace() is not traced, "what travels by value may have changed"


def test_a_function_whose_name_was_given_away_travels_by_value() -> None:
    def p():
        shadowed_first(1)
        shadowed(1)

    first, second = spec_of(p).steps
    assert first.entrypoint.value is not None
    assert second.entrypoint.value is None


@step(name="first")
def shadowed(x: int) -> int:
    return x


shadowed_first = shadowed


@step
def shadowed(x: int) -> int:
    return x + 1


def test_a_cycle_is_named() -> None:
    def one(name: str, *needs: str) -> StepSpec:
        given = {need: InputSpec(source=inputs.Output(step=need, output="output")) for need in needs}
        return StepSpec(name=name, inputs=given, outputs=(OutputSpec(name="output", type=type_of(int)),))

    ordered = (one("a"), one("c", "a"), one("b", "a"))
    assert order(ordered) == ordered, "what is in order already stays so"
    assert [s.name for s in order((one("b", "a"), one("d", "b", "c"), one("c", "a"), one("a")))] == list("abcd")
    with pytest.raises(DefinitionError, match=r"in a circle: (\w) -> \w -> \w -> \1\n"):
        order((one("a", "c"), one("b", "a"), one("c", "b"), one("d")))
    with pytest.raises(DefinitionError, match="needs 'x', which is not in the pipeline"):
        order((one("a", "x"),))


def test_errors_of_the_users_own_come_through() -> None:
    def p():
        anything()
        raise KeyError("mine")

    definition = pipeline(p)
    with pytest.raises(KeyError, match="mine"):
        definition.trace()
    assert anything() is None, "the trace has ended"


def test_ten_thousand_steps() -> None:
    def p():
        total = score(0)
        for number in range(4999):
            with when(total > number):
                total = score.named(f"score_{number}")(number, shift=total)

    assert len(spec_of(p).steps) == 9999


# Schedules, durations


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("@daily", Schedule(cron="@daily")),
        ("0  6 * * MON-fri", Schedule(cron="0 6 * * MON-fri")),
        ("*/15 0-6/2,12 1 jan,6 0-7", Schedule(cron="*/15 0-6/2,12 1 jan,6 0-7")),
        ("every 2h", Schedule(every=7200.0)),
        ("6h", Schedule(every=21600.0)),
        (timedelta(days=1), Schedule(every=86400.0)),
        (["s3://bucket/a", "b"], Schedule(assets=("s3://bucket/a", "b"))),
    ],
)
def test_schedules(given, wanted) -> None:
    assert schedules.schedule(given, start=None, catchup=False, timezone="UTC", where=None) == wanted


@pytest.mark.parametrize(
    "cron", ["* * * *", "60 * * * *", "* * 0 * *", "* * * 13 *", "* * * foo *", "5-1 * * * *", "*/0 * * * *",
             "a b c d e", "* * * * 8", "1,,2 * * * *", "1-2-3 * * * *", "-1 * * * *", "0 0 ? * *", "@reboot"]
)  # fmt: skip
def test_wrong_crons(cron) -> None:
    with pytest.raises(DefinitionError):
        schedules.schedule(cron, start=None, catchup=False, timezone="UTC", where=None)


def test_start_and_time_zone() -> None:
    found = schedules.schedule("@daily", start=date(2026, 1, 1), catchup=True, timezone="Europe/Berlin", where=None)
    assert found == Schedule(cron="@daily", start="2026-01-01T00:00:00", catchup=True, timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("start", "moment"),
    [
        (date(2026, 1, 1), "2025-12-31T23:00:00Z"),
        ("2026-07-01", "2026-06-30T22:00:00Z"),
        ("2026-07-01 06:30", "2026-07-01T04:30:00Z"),
        ("2026-07-01T06:30Z", "2026-07-01T06:30:00Z"),
        ("2026-07-01T06:30-05:00", "2026-07-01T11:30:00Z"),
        (datetime(2026, 7, 1, 6, 30), "2026-07-01T04:30:00Z"),  # noqa: DTZ001
        (datetime(2026, 7, 1, 6, 30, tzinfo=timezone.utc), "2026-07-01T06:30:00Z"),
        ("2026-03-29T02:30", "2026-03-29T01:30:00Z"),
    ],
)
def test_a_start_without_an_offset_is_in_the_time_zone_of_its_schedule(start, moment) -> None:
    found = schedules.schedule("@daily", start=start, catchup=False, timezone="Europe/Berlin", where=None)
    assert schedules.anchored(found).start == moment


@pytest.mark.parametrize("start", ["0001-01-01", "9999-12-31T23:59"])
def test_a_start_that_is_no_moment_in_every_zone_is_refused(start) -> None:
    with pytest.raises(DefinitionError, match="is not a time that a schedule begins at"):
        schedules.schedule("@daily", start=start, catchup=False, timezone="Asia/Tokyo", where=None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1h30m", 5400), ("2d", 172800), ("1w", 604800), ("0.5s", 0.5), ("1h 5m", 3900), (3, 3), (2.5, 2.5)],
)
def test_durations(text, seconds) -> None:
    assert durations.seconds(text, "timeout", None) == seconds


@pytest.mark.parametrize(
    "wrong", ["", "h", "30", "m30", "1m1h", "-1s", "1.5h", True, None, float("nan"), float("inf"), 0, -1]
)
def test_wrong_durations(wrong) -> None:
    with pytest.raises(DefinitionError):
        durations.seconds(wrong, "timeout", None)


# In processes of their own

SCRIPT = """
from turnout.definition.pipeline import PipelineDefinition, define
from turnout.definition.step import step
from turnout.model.spec import PipelineSpec
from turnout.base import canonical

class Model: ...

@step(secrets={"B": "b", "A": "a"}, env=["Z", "Y"], airflow={"b": 1, "a": 2})
def fit(x: int) -> Model: ...

def flights(n: int = 3):
    fit(n)

if __name__ == "__main__":
    traced = define(flights, PipelineDefinition, tags={"b": "1", "a": "2"}).trace()
    assert not traced.values
    print(canonical.encode(traced.spec).decode())
"""


def run_python(*arguments: str, folder: Path, seed: int = 0) -> str:
    environ = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environ, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_a_script_is_known_by_the_name_of_its_module(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "src" / "delays").mkdir(parents=True)
    script = tmp_path / "src" / "delays" / "pipe.py"
    script.write_text(SCRIPT)
    first = run_python(str(script), folder=tmp_path, seed=1)
    assert first == run_python(str(script), folder=tmp_path, seed=2)
    spec = msgspec.json.decode(first, type=PipelineSpec)
    assert str(spec.entrypoint) == "delays.pipe:flights"
    assert str(spec.steps[0].entrypoint) == "delays.pipe:fit"
    assert spec.steps[0].outputs[0].type.name == "delays.pipe:Model"
    line = SCRIPT.splitlines().index("    fit(n)") + 1
    assert spec.steps[0].place == Place("src/delays/pipe.py", line)


def test_a_notebooks_functions_travel_by_value(tmp_path: Path) -> None:
    notebook = textwrap.dedent("""
        import sys
        cell = '''
        from turnout.definition.pipeline import PipelineDefinition, define
        from turnout.definition.step import step
        from turnout.base.errors import DefinitionError
        @step
        def double(x: int) -> int:
            return helper(x)
        def helper(x):
            return 2 * x
        def p(n: int = 3):
            double(n)
        definition = define(p, PipelineDefinition)
        traced = definition.trace()
        one = traced.spec.steps[0]
        assert one.place is None and traced.spec.place is None
        assert one.entrypoint.module == "__main__" and one.entrypoint.value in traced.values
        assert definition.trace() is not traced
        open("double.pickle", "wb").write(traced.values[one.entrypoint.value])
        try:
            define(lambda: None, PipelineDefinition)
        except DefinitionError as error:
            print(error.where)
        '''
        exec(compile(cell, "<ipython-input-3-abc>", "exec"), sys.modules["__main__"].__dict__)
    """)
    assert run_python("-c", notebook, folder=tmp_path).startswith("<notebook>:")
    check = "import pickle; print(pickle.load(open('double.pickle', 'rb'))(4))"
    assert run_python("-c", check, folder=tmp_path) == "8\n"


def test_importing_the_definition_stays_light(tmp_path: Path) -> None:
    heavy = "rich click yaml cloudpickle packaging uv pandas numpy pyarrow polars"
    check = (
        "import sys, turnout.definition.pipeline, turnout.definition.features, turnout.definition.when\n"
        f"print(sorted(set({heavy.split()!r}) & set(sys.modules)))"
    )
    assert run_python("-c", check, folder=tmp_path) == "[]\n"


def test_step_is_exported_as_a_class() -> None:
    assert isinstance(load, Step)
    assert repr(load) == "<step load>"
    assert repr(pipeline(flights)) == "<pipeline flights>"
