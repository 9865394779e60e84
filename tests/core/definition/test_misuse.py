"""Every way to define a pipeline wrongly that we know of: it is refused, at the user's line, with the fix."""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys
from pathlib import Path

import pytest

from turnout.base.errors import TurnoutError

_numbers = itertools.count()

PRELUDE = """\
import datetime as dt, enum, pathlib
from typing import Annotated, Any, Literal, NamedTuple
import pandas as pd
from turnout.api.endpoint import endpoint
from turnout.definition.features import Features
from turnout.definition.own_materializers import materializer
from turnout.definition.pipeline import PipelineDefinition, define
from turnout.definition.step import step
from turnout.definition.when import when
from turnout.files import File, Folder
from turnout.definition.markers import INTERVAL_END, LOGICAL_TIME
from turnout.model.settings import Resources

def pipeline(function=None, **settings):
    if function is None:
        return lambda given: define(given, PipelineDefinition, **settings)
    return define(function, PipelineDefinition, **settings)

@step
def load(path: File = "a.parquet") -> pd.DataFrame: ...
@step
def split(table: pd.DataFrame) -> tuple[Annotated[pd.DataFrame, "train"], Annotated[pd.DataFrame, "test"]]: ...
@step
def fit(train: pd.DataFrame, *, depth: int = 6) -> dict[str, float]: ...
@step
def report() -> dict[str, float]: ...
@step
def number() -> float: ...
@step
def flag() -> bool: ...
@step
def words() -> list[str]: ...
@step
def untyped(): ...
@step
def nothing(x: int = 1) -> None: ...
@step
def double(x: int) -> int: ...
@step
def total(xs: list[int]) -> int: ...
@step
def lists(x: int) -> list[int]: ...
"""
_LINES = PRELUDE.count("\n")

# Bodies of a pipeline `p(n: int = 3, path: File = "a.parquet", at: dt.datetime = LOGICAL_TIME, ns: list[int] = [1])`.
BODIES = {
    "if_on_handle": "if number():\n    report()",
    "closure_over_parameter": "@step\ndef inner(x: int) -> int: return x + n\ninner(2)",
    "closure_within_closure": "k = [number()]\ndef help(x): return x + k[0]\n@step\ndef inner(x: int): return help(x)\ninner(2)",
    "default_of_inner_step": "@step\ndef inner(x: int, y=n) -> int: return x + y\ninner(2, 3)",
    "given_to_a_library": "import os.path\nos.path.join(n, 'a')",
    "if_on_comparison": "if number() > 0.5:\n    report()",
    "and_of_comparisons": "r = report()\nwith when(r['a'] > 1 and r['b'] > 2):\n    nothing()",
    "chained_comparison": "with when(0 < number() < 1):\n    nothing()",
    "not_of_handle": "with when(not flag()):\n    nothing()",
    "while_on_parameter": "while n > 3:\n    nothing()",
    "loop_over_parameter": "for i in range(n):\n    nothing()",
    "loop_over_handle": "for word in words():\n    nothing()",
    "loop_over_list_parameter": "[double(x) for x in ns]",
    "len_of_handle": "len(words())",
    "in_handle": "if 'a' in words():\n    nothing()",
    "handle_in_list": "if number() in [1, 2]:\n    nothing()",
    "f_string": "print(f'{number()}')",
    "str_of_parameter": "load(str(path))",
    "percent_format": "'%s' % number()",
    "arithmetic": "double(n + 1)",
    "arithmetic_reflected": "double(2 * n)",
    "in_place": "x = double(1)\nx += 1",
    "minus": "-number()",
    "int_of_handle": "int(number())",
    "float_of_handle": "float(number())",
    "round_of_handle": "round(number())",
    "attribute": "load().head()",
    "attribute_of_condition": "report()['r2'].mean()",
    "set_attribute": "load().index = 3",
    "set_item": "load()['a'] = 3",
    "call_handle": "report()()",
    "handle_as_key": "{number(): 1}",
    "open_file_parameter": "open(path)",
    "path_division": "load(path / 'x')",
    "with_handle": "with flag():\n    nothing()",
    "map_of_handle": "words().map(double)",
    "unpack_too_many": "a, b, c = split(load())",
    "unpack_too_few": "(a,) = split(load())",
    "unpack_one_output": "a, b = report()",
    "unpack_nothing": "a, b = nothing()",
    "unknown_output": "split(load()).tran",
    "output_of_nothing": "nothing().output",
    "index_outputs": "split(load())[0]",
    "all_outputs_given": "fit(split(load()))",
    "nothing_given": "double(nothing())",
    "compare_outputs": "with when(split(load()) == 1):\n    nothing()",
    "combine_outputs": "with when(split(load()) & (n > 1)):\n    nothing()",
    "slice": "with when(words()[1:] == []):\n    nothing()",
    "index_by_handle": "with when(words()[n] == 'a'):\n    nothing()",
    "condition_of_table": "with when(load() > 3):\n    nothing()",
    "condition_of_file": "with when(path == 'a'):\n    nothing()",
    "condition_of_mapped": "with when(double.map(ns) == 3):\n    nothing()",
    "condition_order_of_time": "with when(at > dt.datetime(2026, 1, 1)):\n    nothing()",
    "condition_with_object": "with when(number() > object()):\n    nothing()",
    "condition_with_nan": "with when(number() == float('nan')):\n    nothing()",
    "condition_with_set": "with when(number().isin({1, 2})):\n    nothing()",
    "isin_text": "with when(untyped().isin('abc')):\n    nothing()",
    "and_without_parentheses": "r = report()\nwith when(r['a'] > 1 & r['b'] > 2):\n    nothing()",
    "or_with_plain_bool": "with when((n > 1) | True):\n    nothing()",
    "when_plain_bool": "with when(True):\n    nothing()",
    "when_plain_value": "with when('yes'):\n    nothing()",
    "when_handle_of_number": "with when(number()):\n    nothing()",
    "when_handle_undeclared": "with when(untyped()):\n    nothing()",
    "when_outputs": "with when(split(load())):\n    nothing()",
    "when_step": "with when(flag):\n    nothing()",
    "when_without_with": "when(n > 1)\nnothing()",
    "when_twice": "guard = when(n > 1)\nwith guard:\n    nothing()\nwith guard:\n    number()",
    "when_bad_name": "with when(n > 1, name='is big'):\n    nothing()",
    "when_name_used_twice": "with when(n > 1, name='big'):\n    nothing()\nwith when(n > 2, name='big'):\n    number()",
    "condition_given_to_step": "double(report()['a'])",
    "comparison_given_to_step": "double(n > 1)",
    "missing_input": "fit()",
    "missing_inputs_of_pipeline_call": "inner()",
    "unknown_input": "fit(load(), dept=3)",
    "too_many_positional": "fit(load(), 3)",
    "input_twice": "fit(load(), train=load.named('again')())",
    "table_for_int": "double(load())",
    "int_for_table": "fit(n)",
    "literal_for_table": "fit('a.parquet')",
    "text_for_int": "double('3')",
    "float_for_int": "double(2.5)",
    "bool_for_int": "double(True)",
    "none_for_int": "double(None)",
    "list_for_int": "double(lists(1))",
    "list_literal_with_text": "total([1, 'x'])",
    "single_for_list": "total(double(1))",
    "list_of_other": "total(words())",
    "mapped_for_single": "double.named('again')(double.map([1, 2]))",
    "text_parameter_for_file": "load(text)",
    "object_literal": "untyped_input(object())",
    "nan_literal": "untyped_input(float('nan'))",
    "infinite_literal": "untyped_input({'a': [float('inf')]})",
    "object_keys": "untyped_input({1: 2})",
    "table_literal": "fit(pd.DataFrame())",
    "url_with_password": "load('https://me:secret@example.org/a.parquet')",
    "step_not_called": "fit(load)",
    "handles_in_list": "total([double(1), double.named('again')(2)])",
    "handles_in_object": "untyped_input({'a': [number()]})",
    "marker_given": "when_at(LOGICAL_TIME)",
    "name_twice": "double(1)\ndouble(2)",
    "name_twice_in_loop": "for i in range(2):\n    double(i)",
    "name_differs_in_case": "double(1)\ndouble.named('Double')(2)",
    "bad_name": "double.named('my step')(1)",
    "name_unicode": "double.named('größe')(1)",
    "name_empty": "double.named('')(1)",
    "name_too_long": "double.named('x' * 101)(1)",
    "name_too_long_in_group": "inner.named('g' * 90)(ns).named",
    "name_injection": 'double.named("x\'; import os #")(1)',
    "map_nothing": "double.map()",
    "map_keyword_only": "double.map(x=[1, 2])",
    "map_scalar_literal": "double.map(3)",
    "map_scalar_parameter": "double.map(n)",
    "map_scalar_output": "double.map(double.named('one')(1))",
    "map_table": "double.map(load())",
    "map_undeclared": "double.map(untyped())",
    "map_outputs": "double.map(split(load()))",
    "map_text": "double.map('abc')",
    "map_set": "double.map({1, 2})",
    "map_lengths": "two.map([1, 2], [1, 2, 3])",
    "map_elements_of_other_type": "double.map(words())",
    "map_literal_of_other_type": "double.map([1, 'x'])",
    "map_nested": "double.map(lists.map(ns))",
    "map_handles_in_list": "double.map([number(), 2])",
    "map_files": "load.map(['a.parquet', 'b.parquet'])",
    "map_pipeline": "inner.map([1, 2])",
    "map_too_many": "double.map([1], [2])",
    "pipeline_calls_itself": "p()",
    "pipeline_twice": "inner(ns)\ninner(ns)",
    "pipeline_named_like_step": "double(1)\ninner.named('double')(ns)",
    "pipeline_wrong_type": "inner('abc')",
    "pipeline_table_for_list": "inner(load())",
    "pipeline_marker_default": "timed()",
    "pipeline_without_steps": "empty()",
    "pipeline_bad_name": "inner.named('a b')(ns)",
    "steps_none": "pass",
    "foreign_handle": "leaks.append(number())\nother(leaks)",
    "features_of_parameter": "Features('weather:wind', entity='origin').historical(path)",
    "features_of_number": "Features('weather:wind', entity='origin').historical(number())",
    "features_of_literal": "Features('weather:wind', entity='origin').historical('a')",
    "features_reference": "Features('wind', entity='origin')",
    "features_none": "Features(entity='origin')",
    "features_entity": "Features('weather:wind', entity=3)",
    "features_entity_and_keys": "Features('weather:wind', entity='a', keys={'b': 'c'})",
    "features_keys": "Features('weather:wind', keys=['origin'])",
    "features_inputs": "Features('weather:wind', inputs='amount')",
    "features_service": "Features(service=3)",
    "features_service_and_references": "Features('weather:wind', service='delays')",
    "features_cache": "Features('weather:wind').historical(load(), cache='soon')",
    "features_materialized_until_text": "Features('weather:wind').materialize('soon')",
    "features_materialized_until_table": "Features('weather:wind').materialize(load())",
    "features_materialized_twice": "Features('weather:wind').materialize(at)\nFeatures('weather:sky').materialize(at)",
    "features_twice": "w = Features('weather:wind', entity='origin')\nw.historical(w.historical(load()))",
}
HELPERS = """\
leaks = []
@step
def untyped_input(x): ...
@step
def when_at(at: dt.datetime): ...
@step
def two(x: int, y: int) -> int: ...
@pipeline
def inner(xs: list[int]):
    return total(xs)
@pipeline
def timed(at: dt.datetime = LOGICAL_TIME):
    when_at(at)
@pipeline
def empty():
    pass
def other(found):
    @pipeline
    def second():
        untyped_input(found[0])
    second.trace()
@pipeline
def p(n: int = 3, path: File = "a.parquet", at: dt.datetime = LOGICAL_TIME, ns: list[int] = [1], text: str = "a"):
"""

# Whole modules, after the prelude; what is refused is refused while importing or by tracing `p`.
MODULES = {
    "step_lambda": "f = step(lambda x: x)",
    "step_method": "class A:\n    @step\n    def fit(self): ...",
    "step_bound_method": "class A:\n    def fit(self): ...\nstep(A().fit)",
    "step_class": "@step\nclass A: ...",
    "step_builtin": "step(len)",
    "step_async": "@step\nasync def f(): ...",
    "step_generator": "@step\ndef f():\n    yield 1",
    "step_twice": "@step\n@step\ndef f(): ...",
    "step_args": "@step\ndef f(*tables): ...",
    "step_kwargs": "@step\ndef f(**settings): ...",
    "step_positional_only": "@step\ndef f(x, /): ...",
    "step_marker_default": "@step\ndef f(at: dt.datetime = LOGICAL_TIME): ...",
    "step_name_private": "@step\ndef _f(): ...",
    "step_name_given": "@step(name='a-b')\ndef f(): ...",
    "step_retries_negative": "@step(retries=-1)\ndef f(): ...",
    "step_retries_without_end": "@step(retries=10**30)\ndef f(): ...",
    "step_retries_bool": "@step(retries=True)\ndef f(): ...",
    "step_retry_delay": "@step(retry_delay='soon')\ndef f(): ...",
    "step_retry_backoff": "@step(retry_backoff=0.5)\ndef f(): ...",
    "step_timeout_zero": "@step(timeout=0)\ndef f(): ...",
    "step_timeout_number_text": "@step(timeout='90')\ndef f(): ...",
    "step_timeout_negative": "@step(timeout=dt.timedelta(seconds=-1))\ndef f(): ...",
    "step_resources_dict": "@step(resources={'cpu': 2})\ndef f(): ...",
    "step_cpu": "@step(resources=Resources(cpu=0))\ndef f(): ...",
    "step_memory": "@step(resources=Resources(memory='4 GB'))\ndef f(): ...",
    "step_gpu": "@step(resources=Resources(gpu=0.5))\ndef f(): ...",
    "step_requirements_text": "@step(requirements='pandas')\ndef f(): ...",
    "step_requirements_wrong": "@step(requirements=['pandas=>2'])\ndef f(): ...",
    "step_secrets_list": "@step(secrets=['warehouse'])\ndef f(): ...",
    "step_secrets_variable": "@step(secrets={'DB-PASSWORD': 'warehouse'})\ndef f(): ...",
    "step_secrets_empty": "@step(secrets={'DB': ''})\ndef f(): ...",
    "step_env_text": "@step(env='REGION')\ndef f(): ...",
    "step_env_wrong": "@step(env=['A B'])\ndef f(): ...",
    "step_files_absolute": "@step(files=['/etc/passwd'])\ndef f(): ...",
    "step_files_outside": "@step(files=['../secret.sql'])\ndef f(): ...",
    "step_cache": "@step(cache='often')\ndef f(): ...",
    "step_unknown_setting": "@step(retrys=2)\ndef f(): ...",
    "step_option_not_json": "@step(airflow={'pool': object()})\ndef f(): ...",
    "step_options_no_object": "@step(options=['pool'])\ndef f(): ...",
    "annotation_unknown": "@step\ndef f(x: 'Missing') -> int: ...\n@pipeline\ndef p():\n    f(1)",
    "annotation_unknown_return": "@step\ndef f() -> 'pd.Missing': ...\n@pipeline\ndef p():\n    f()",
    "annotation_unknown_in_pipeline": "@pipeline\ndef p(x: 'Missing' = 1):\n    nothing()",
    "outputs_same_name": "@step\ndef f() -> tuple[Annotated[int, 'a'], Annotated[int, 'a']]: ...\n@pipeline\ndef p():\n    f()",
    "outputs_case": "@step\ndef f() -> tuple[Annotated[int, 'a'], Annotated[int, 'A']]: ...\n@pipeline\ndef p():\n    f()",
    "outputs_bad_name": "@step\ndef f() -> Annotated[int, 'the model']: ...\n@pipeline\ndef p():\n    f()",
    "outputs_tuple_of_one": "@step\ndef f() -> tuple[Annotated[int, 'a']]: ...\n@pipeline\ndef p():\n    f()",
    "closure_not_picklable": "import threading\ndef make():\n    lock = threading.Lock()\n    @step\n    def f():\n        lock.acquire()\n    return f\nf = make()\n@pipeline\ndef p():\n    f()",
    "pipeline_args": "@pipeline\ndef p(*xs): ...",
    "pipeline_async": "@pipeline\nasync def p(): ...",
    "pipeline_generator": "@pipeline\ndef p():\n    yield number()",
    "pipeline_of_step": "define(number, PipelineDefinition)",
    "pipeline_name": '@pipeline(name="x\'; import os #")\ndef p(): ...',
    "pipeline_parameter_private": "@pipeline\ndef p(_x: int = 1): ...",
    "pipeline_called": "@pipeline\ndef p():\n    number()\np()",
    "pipeline_mapped_outside": "@pipeline\ndef p():\n    number()\np.map([1])",
    "parameter_table": "@pipeline\ndef p(x: pd.DataFrame):\n    nothing()",
    "parameter_path": "@pipeline\ndef p(x: pathlib.Path = 'a'):\n    nothing()",
    "parameter_union": "@pipeline\ndef p(x: int | str = 1):\n    nothing()",
    "parameter_tuple": "@pipeline\ndef p(x: tuple[int, str] = (1, 'a', 2)):\n    nothing()",
    "parameter_files": "@pipeline\ndef p(x: list[File] = []):\n    nothing()",
    "parameter_object_keys": "@pipeline\ndef p(x: dict[int, str] = {}):\n    nothing()",
    "parameter_enum_of_floats": "class E(enum.Enum):\n    A = 0.5\n@pipeline\ndef p(x: E = E.A):\n    nothing()",
    "parameter_bytes": "@pipeline\ndef p(x: bytes = b'a'):\n    nothing()",
    "default_of_other_type": "@pipeline\ndef p(x: int = 'six'):\n    nothing()",
    "default_none": "@pipeline\ndef p(x: int = None):\n    nothing()",
    "default_no_choice": "@pipeline\ndef p(x: Literal['a', 'b'] = 'c'):\n    nothing()",
    "default_object": "@pipeline\ndef p(x=object()):\n    nothing()",
    "default_time": "@pipeline\ndef p(x: dt.datetime = '2026-02-30'):\n    nothing()",
    "default_step_call": "@pipeline\ndef p(x: float = number):\n    nothing()",
    "marker_of_text": "@pipeline\ndef p(x: str = INTERVAL_END):\n    nothing()",
    "schedule_preset": "@pipeline(schedule='@dayly')\ndef p(): ...",
    "schedule_fields": "@pipeline(schedule='0 6 * *')\ndef p(): ...",
    "schedule_range": "@pipeline(schedule='0 25 * * *')\ndef p(): ...",
    "schedule_nothing": "@pipeline(schedule='0s')\ndef p(): ...",
    "schedule_every": "@pipeline(schedule='every now and then')\ndef p(): ...",
    "schedule_number": "@pipeline(schedule=60)\ndef p(): ...",
    "schedule_empty_list": "@pipeline(schedule=[])\ndef p(): ...",
    "schedule_negative": "@pipeline(schedule=dt.timedelta(0))\ndef p(): ...",
    "schedule_missing": "@pipeline(catchup=True)\ndef p(): ...",
    "schedule_catchup_without_start": "@pipeline(schedule='@daily', catchup=True)\ndef p(): ...",
    "schedule_start": "@pipeline(schedule='@daily', start='yesterday')\ndef p(): ...",
    "schedule_timezone": "@pipeline(schedule='@daily', timezone='Mars/Base')\ndef p(): ...",
    "tags_not_text": "@pipeline(tags={'tier': 1})\ndef p(): ...",
    "pipeline_unknown_setting": "@pipeline(shedule='@daily')\ndef p(): ...",
    "when_outside": "with when(True): ...",
    "features_outside": "Features('weather:wind', entity='origin').historical(pd.DataFrame())",
    "features_materialized_outside": "Features('weather:wind').materialize(dt.datetime.now())",
    "handle_outside": "kept = []\n@pipeline\ndef q():\n    kept.append(number())\nq.trace()\nuntyped(kept[0])\n",
    "handle_outside_map": "kept = []\n@pipeline\ndef q():\n    kept.append(words())\nq.trace()\ndouble.map(kept[0])\n",
    "handle_of_earlier_trace": "kept = []\n@pipeline\ndef q():\n    kept.append(number())\nq.trace()\n@pipeline\ndef p():\n    double(kept[0])",
    "handle_of_earlier_trace_in_when": "kept = []\n@pipeline\ndef q():\n    kept.append(flag())\nq.trace()\n@pipeline\ndef p():\n    with when(kept[0]):\n        nothing()",
    "handles_compared_across": "kept = []\n@pipeline\ndef q():\n    kept.append(number())\nq.trace()\n@pipeline\ndef p():\n    with when(number() > kept[0]):\n        nothing()",
    "map_outside_nothing": "double.map(x=[1])",
    "map_outside_lengths": "double.map([1], [1, 2])",
    "materializer_nothing": "@materializer()\nclass M: ...",
    "materializer_no_class": "@materializer('pd.DataFrame')\nclass M: ...",
    "materializer_no_load": "class A: ...\n@materializer(A)\nclass M:\n    def save(self, value, folder): ...",
    "materializer_save_short": "class A: ...\n@materializer(A)\nclass M:\n    def save(self, value): ...\n    def load(self, folder): ...",
    "materializer_local": "def f():\n    @materializer(int)\n    class M:\n        def save(self, value, folder): ...\n        def load(self, folder): ...\nf()",
    "endpoint_of_function": "@endpoint(load)\ndef e(rows): ...",
    "endpoint_lambda": "@pipeline\ndef p():\n    number()\nendpoint(p)(lambda rows: rows)",
    "endpoint_called": "@pipeline\ndef p():\n    number()\n@endpoint(p)\ndef e(rows): ...\ne(1)",
}


def refused(source: str, folder: Path) -> str:
    """The error that importing a module and tracing its pipeline ``p`` raises, without what differs by machine."""
    name = f"misuse_{next(_numbers)}"
    file = folder / "pipeline.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with pytest.raises(TurnoutError) as caught:  # noqa: PT012 - either may refuse
            spec.loader.exec_module(module)
            module.p.trace()
    finally:
        del sys.modules[name]
    assert caught.value.fix, "an error says how to mend it"
    text = str(caught.value)
    assert str(folder) not in text
    assert "secret" not in text or "secrets" in text or "secret.sql" in text
    text = re.sub(r"(?<=pipeline\.py:)\d+", lambda found: f"+{int(found[0]) - _LINES}", text)
    return re.sub(r"0x[0-9a-f]+", "0x…", text.replace(name, "pipeline"))


@pytest.mark.parametrize("case", BODIES)
def test_body_of_a_pipeline(case: str, tmp_path: Path, snapshot) -> None:
    body = "".join(f"    {line}\n" for line in BODIES[case].splitlines())
    assert refused(PRELUDE + HELPERS + body, tmp_path).replace("pandas.core.frame.", "pandas.") == snapshot


@pytest.mark.parametrize("case", MODULES)
def test_module(case: str, tmp_path: Path, snapshot) -> None:
    if case in {"step_class", "step_twice"} and sys.version_info < (3, 11):
        pytest.skip("before Python 3.11 a decorator is called from the line of what it decorates")
    assert refused(f"{PRELUDE}{MODULES[case]}\n", tmp_path) == snapshot
