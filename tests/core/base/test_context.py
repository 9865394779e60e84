"""Outside a run everything a step logs goes nowhere, and a step is a plain function."""

from __future__ import annotations

import pytest

import turnout
from turnout import log_artifact, log_figure, log_metric, log_metrics, log_params, log_table
from turnout.base import context
from turnout.base.errors import ConfigError
from turnout.runtime.step import run_step


def test_logging_outside_a_run_does_nothing():
    log_metric("x", 1.0)
    log_metric("x", float("nan"), x=3)
    log_metrics({"a": 1, "b": 2.5}, x=1)
    log_params({"anything": object()})
    log_artifact("x", object())
    log_figure("x", None)
    log_table("x", [1])


def test_a_step_called_outside_a_pipeline_just_runs():
    @turnout.step
    def double(x: int) -> int:
        log_metric("x", x)
        return 2 * x

    assert double(4) == 8


def test_there_is_no_feature_store_outside_a_run():
    with pytest.raises(ConfigError, match="there is no feature store outside a run"):
        context.feature_store()


def test_a_run_ends_with_its_step(bench):
    bench.write(
        """
        from turnout import log_metric

        def fine():
            log_metric("x", 1)

        def broken():
            raise ValueError("no")
        """
    )
    bench.make(bench.step("fine"), bench.step("broken"))
    session = bench.open()
    for step in ("fine", "broken"):
        run_step(session, step)
        assert context._active is None
    log_metric("late", 1)
    assert [point.name for point in bench.record("fine").logged.points] == ["x"]
