"""What is counted of requests: sums that Prometheus can divide, and never more labels than an endpoint has parts."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from turnout.model.endpoint_plan import Column
from turnout.serving.metrics import CLASSES, COLUMNS, KEPT, Metrics


@pytest.fixture
def metrics():
    return Metrics("delay")


def of(metrics, *columns):
    table = SimpleNamespace(name="rows", columns=[Column(name=name, type=type_) for name, type_ in columns])
    return metrics.of(SimpleNamespace(name="delay", digest="0123456789abcdef", table=table, steps=()))


def values(metrics, name):
    """The values of a metric, by its labels but for those of the endpoint."""
    return {
        tuple(
            value for label, value in sorted(sample.labels.items()) if label not in {"endpoint", "version"}
        ): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name == name
    }


def test_inputs_are_counted_by_column(metrics):
    version = of(metrics, ("x", "double"), ("n", "int8"), ("name", "string"), ("ok", "bool"))
    version.answered([{"x": 1.5, "n": -2, "name": "a", "ok": True}, {"x": None, "n": 3, "name": "b", "ok": False}], [])
    assert values(metrics, "turnout_input_values_total") == {("x",): 1, ("n",): 2, ("name",): 2, ("ok",): 2}
    assert values(metrics, "turnout_input_nulls_total") == {("x",): 1, ("n",): 0, ("name",): 0, ("ok",): 0}
    signs = {("x", "positive"): 1.5, ("x", "negative"): 0, ("n", "positive"): 3, ("n", "negative"): 2}
    assert values(metrics, "turnout_input_sum_total") == signs
    assert values(metrics, "turnout_input_squares_total") == {("x",): 2.25, ("n",): 13}
    assert values(metrics, "turnout_request_rows_sum") == {(): 2}


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", math.nan, math.inf, 10**400, 1e300], ids=lambda value: str(value)[:9]
)
def test_a_number_that_no_sum_can_take_is_left_out(metrics, value):
    version = of(metrics, ("x", "double"))
    version.answered([{"x": value}, {"x": 2.0}], [value, 2.0])
    assert values(metrics, "turnout_input_sum_total")["x", "positive"] == 2.0
    assert values(metrics, "turnout_answer_sum_total") == {("positive",): 2.0, ("negative",): 0}
    assert values(metrics, "turnout_answer_squares_total") == {(): 4.0}


def test_answers_are_a_histogram_as_if_each_were_observed(metrics):
    version = of(metrics, ("x", "double"))
    numbers = [-2e6, -1e6, -0.7, 0.0, 0, 0.1, 0.11, 5, 1e6, 1e7]
    version.answered([{"x": 1.0}], numbers)
    other = Metrics("delay")
    for number in numbers:
        other.answers.labels("delay", "0123456789ab").observe(number)
    for name in ("turnout_answer_value_bucket", "turnout_answer_value_count"):
        assert values(metrics, name) == values(other, name)


def test_classes_are_counted_up_to_a_number_of_them(metrics):
    version = of(metrics, ("x", "double"))
    version.answered([{"x": 1.0}], ["late", "late", True, None, {"no": "class"}])
    assert values(metrics, "turnout_answer_class_total") == {("late",): 2, ("true",): 1}
    version.answered([{"x": 1.0}], [f"text {n}" for n in range(1000)] + ["long" * 50])
    counts = values(metrics, "turnout_answer_class_total")
    assert len(counts) == CLASSES + 1
    assert counts["other",] == 1000 - (CLASSES - 2) + 1


def test_what_is_kept_is_bounded_and_seen_when_it_is_flushed(metrics):
    version = of(metrics, ("x", "double"))
    for _ in range(KEPT):
        version.answered([{"x": 1.0}, {"x": 2.0}], [1.0, 2.0])
        assert len(version._asked) + len(version._answered) <= KEPT + 4
    assert values(metrics, "turnout_input_values_total") == {("x",): 2 * KEPT}
    assert values(metrics, "turnout_answer_value_count") == {(): 2 * KEPT}
    assert values(metrics, "turnout_request_rows_count") == {(): KEPT}
    assert values(metrics, "turnout_request_rows_count") == {(): KEPT}


def test_only_the_first_columns_are_counted(metrics):
    version = of(metrics, *((f"c{n}", "double") for n in range(200)))
    version.answered([{f"c{n}": 1.0 for n in range(200)}], [1.0])
    assert len(values(metrics, "turnout_input_values_total")) == COLUMNS


def test_seconds_by_part_and_by_class_of_status(metrics):
    version = of(metrics)
    version.observe("decode", 0.25)
    version.observe("step:predict", 0.5)
    version.request(200, 1.0)
    version.request(404, 0.1)
    assert values(metrics, "turnout_request_part_seconds_sum") == {("decode",): 0.25, ("step:predict",): 0.5}
    assert values(metrics, "turnout_request_seconds_count") == {("2xx",): 1, ("4xx",): 1, ("5xx",): 0}
