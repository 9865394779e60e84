"""What a step logs while it runs, gathered for its record and the tracker."""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable
from typing import Any

from turnout.artifacts.artifacts import Artifacts
from turnout.base import canonical, clock
from turnout.base.errors import ConfigError
from turnout.base.redaction import Redactor
from turnout.model.plan import OutputPlan
from turnout.model.records import Artifact, Logged, Point
from turnout.model.types import ANY, JSON_TYPE
from turnout.model.values import convert
from turnout.tracking.sending import Sender


class StepLog:
    """Collects metric points, params and artifacts of one attempt; called from any thread of the step.

    Args:
        artifacts: gives what saves values.
        feature_store: gives the stack's feature store.
        sender: is handed points and params as they come, which may show them while the step runs.

    ``tags`` are set by the runtime: what the run is to be found by in a tracker.
    """

    def __init__(
        self,
        artifacts: Callable[[], Artifacts],
        redactor: Redactor,
        feature_store: Callable[[], Any],
        sender: Sender | None = None,
    ) -> None:
        self.feature_store = feature_store
        self._artifacts = artifacts
        self._redactor = redactor
        self._sender = sender
        self._lock = threading.Lock()
        self._points: list[Point] = []
        self._params: dict[str, Any] = {}
        self._saved: dict[str, Artifact] = {}
        self.tags: dict[str, str] = {}

    def log_metric(self, name: str, value: float, x: int | None) -> None:
        """Note a metric point."""
        shown: float | str = value
        if not math.isfinite(value):
            shown = "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
        position = None if x is None else operator.index(x)
        with self._lock:
            point = Point(self._name(name), shown, len(self._points), clock.now(), position)
            self._points.append(point)
            if self._sender is not None:
                self._sender.log(point)

    def log_param(self, name: str, value: Any) -> None:
        """Note a parameter; a value JSON cannot hold is refused."""
        try:
            converted = convert(value, JSON_TYPE, name)
        except ConfigError:  # half a character and an endless number are kept, escaped
            converted = convert(canonical.writable(value), JSON_TYPE, name)
        with self._lock:
            self._params[self._name(name)] = converted
            if self._sender is not None:
                self._sender.log(params=self._redactor.tree({name: converted}))

    def log_artifact(self, name: str, value: Any) -> None:
        """Store a value beside the outputs."""
        name = self._name(name)
        record = self._artifacts().save(value, OutputPlan(name=name, type=ANY))
        assert record.artifact is not None
        self._saved[name] = record.artifact

    def collected(self) -> Logged:
        """All of it so far, without secrets."""
        with self._lock:
            points = tuple(self._points)
        params, tags = self._redactor.tree(self._params), self._redactor.tree(self.tags)
        return Logged(points=points, params=params, artifacts=dict(self._saved), tags=tags)

    def _name(self, name: Any) -> str:
        if not isinstance(name, str):
            raise ConfigError(f"what is logged is named by a text, not by {name!r}", fix="give it a name")
        return self._redactor.text(name)
