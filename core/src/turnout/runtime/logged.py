"""What a step logs while it runs, gathered for its record and the tracker."""

from __future__ import annotations

import math
from typing import Any

from turnout import canonical
from turnout.errors import ConfigError
from turnout.plan.model import OutputPlan
from turnout.records.model import Artifact, Logged, Point
from turnout.runtime import clock
from turnout.runtime.session import Session
from turnout.spec.types import ANY


class StepLog:
    """Collects metric points, params and artifacts of one attempt; called from any thread of the step."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._points: list[Point] = []
        self._params: dict[str, Any] = {}
        self._artifacts: dict[str, Artifact] = {}

    def log_metric(self, name: str, value: float, x: int | None) -> None:
        """Note a metric point."""
        shown: float | str = value
        if not math.isfinite(value):
            shown = "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
        self._points.append(Point(name, shown, len(self._points), clock.now(), x))

    def log_param(self, name: str, value: Any) -> None:
        """Note a parameter; a value JSON cannot hold is refused."""
        if not canonical.is_json(value):
            raise ConfigError(f"log_params: {name!r} is a {type(value).__name__}, not a JSON value", fix="convert it")
        self._params[name] = value

    def log_artifact(self, name: str, value: Any) -> None:
        """Store a value beside the outputs."""
        record = self._session.artifacts.save(value, OutputPlan(name=name, type=ANY))
        assert record.artifact is not None
        self._artifacts[name] = record.artifact

    def feature_store(self) -> Any:
        """The stack's feature store."""
        return self._session.components.feature_store

    def collected(self) -> Logged:
        """All of it so far."""
        return Logged(points=tuple(self._points), params=dict(self._params), artifacts=dict(self._artifacts))
