"""What a running step can reach: logging to the run's tracker and record, and the stack's feature store.

Outside a run every ``log_*`` does nothing, so that a step stays a plain function.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from turnout.base.errors import ConfigError

WORKER = "TURNOUT_IN_WORKER"
"""The variable that marks a worker, and all processes that its steps start."""
FAMILY = "TURNOUT_WORKER"
"""The variable by which a worker's engine finds what its steps have started, to end it with them."""
_active: ActiveStep | None = None
_imports = 0


class ActiveStep(Protocol):
    """The step that runs in this process now (one at a time, whatever threads it starts)."""

    def log_metric(self, name: str, value: float, x: int | None) -> None:
        """Note a metric point."""

    def log_param(self, name: str, value: Any) -> None:
        """Note a parameter."""

    def log_artifact(self, name: str, value: Any) -> None:
        """Store a value beside the outputs."""

    def feature_store(self) -> Any:
        """The stack's feature store."""


def activate(step: ActiveStep | None) -> None:
    """Say which step runs in this process; None for none. For the runtime only."""
    global _active  # noqa: PLW0603
    _active = step


def in_step() -> bool:
    """Whether a step runs in this process now."""
    return _active is not None


def in_worker() -> bool:
    """Whether this process is a worker, or a step has started it."""
    return WORKER in os.environ


@contextmanager
def importing() -> Iterator[None]:
    """While modules of a project are imported to plan its pipelines or to run their steps."""
    global _imports  # noqa: PLW0603
    _imports += 1
    try:
        yield
    finally:
        _imports -= 1


def is_importing() -> bool:
    """Whether modules of a project are imported for that purpose now."""
    return _imports > 0


def log_metric(name: str, value: float, *, x: int | None = None, step: int | None = None) -> None:
    """Log one point of a metric.

    Args:
        name: the metric's name; several points of one name make a curve.
        value: a number; NaN and infinities are kept.
        x: the position on the curve (an epoch, a batch); left out, points keep the order they were logged in.
        step: the same by the name that trackers have for it.

    Raises:
        ConfigError: when both ``x`` and ``step`` are given.
    """
    x = _position(x, step)
    if _active is not None:
        try:
            number = float(value)
        except OverflowError:
            raise ConfigError(f"the metric {name!r} is too large for a float", fix="log its logarithm") from None
        _active.log_metric(name, number, x)


def log_metrics(metrics: dict[str, float], *, x: int | None = None, step: int | None = None) -> None:
    """Log one point of each of several metrics, as :func:`log_metric` does."""
    x = _position(x, step)
    for name, value in metrics.items():
        log_metric(name, value, x=x)


def _position(x: int | None, step: int | None) -> int | None:
    if x is not None and step is not None:
        raise ConfigError("x and step are one thing: the position on the curve", fix="give one of the two")
    return step if x is None else x


def log_params(params: dict[str, Any]) -> None:
    """Log parameters that the step decided on itself: JSON values by name."""
    if _active is not None:
        for name, value in params.items():
            _active.log_param(name, value)


def log_artifact(name: str, value: Any) -> None:
    """Store any value a materializer takes (a ``pathlib.Path`` is taken as a file) beside the step's outputs."""
    if _active is not None:
        _active.log_artifact(name, value)


def log_figure(name: str, figure: Any) -> None:
    """Store a figure (matplotlib or plotly) beside the step's outputs."""
    log_artifact(name, figure)


def log_table(name: str, table: Any) -> None:
    """Store a table (pandas, Polars or pyarrow) beside the step's outputs."""
    log_artifact(name, table)


def feature_store() -> Any:
    """The feature store of the run's stack.

    Raises:
        ConfigError: outside a run.
    """
    from turnout.base.errors import ConfigError

    if _active is None:
        raise ConfigError(
            "there is no feature store outside a run",
            fix="use Features(…).historical(…) in a pipeline, or give the function a table in a test",
        )
    return _active.feature_store()
