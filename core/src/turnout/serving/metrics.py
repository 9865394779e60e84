"""What is measured of an endpoint, for Prometheus: seconds and counts, with labels of few values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from turnout.model.endpoint import EndpointPlan
from turnout.serving.supervisor import METRICS

CONTENT_TYPE = CONTENT_TYPE_LATEST
COLUMNS = 50
"""Of how many columns of a request values are counted, the first ones."""
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
_VALUES = (-1e6, -1e4, -1e3, -100, -10, -1, -0.5, -0.1, 0, 0.1, 0.25, 0.5, 0.75, 0.9, 1, 10, 100, 1e3, 1e4, 1e6)


class Metrics:
    """The metrics of one endpoint in this process; several versions of it are told apart by a label."""

    def __init__(self, endpoint: str) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry}
        labels = ("endpoint", "version")
        self.seconds = Histogram(
            "turnout_request_seconds",
            "Seconds from a request to its answer.",
            (*labels, "code"),
            buckets=_SECONDS,
            **own,
        )
        self.parts = Histogram(
            "turnout_request_part_seconds",
            "Seconds that a part of answering took: decode, step:NAME, encode.",
            (*labels, "part"),
            buckets=_SECONDS,
            **own,
        )
        self.rows = Histogram("turnout_request_rows", "Rows of a request.", labels, buckets=_ROWS, **own)
        self.answers = Histogram("turnout_answer_value", "Numbers answered.", labels, buckets=_VALUES, **own)
        self.nulls = Counter("turnout_input_nulls", "Nulls among the values of a column.", (*labels, "column"), **own)
        self.values = Counter("turnout_input_values", "Values of a column.", (*labels, "column"), **own)
        self.sums = Gauge(
            "turnout_input_sum",
            "The sum of the numbers of a column.",
            (*labels, "column"),
            multiprocess_mode="sum",
            **own,
        )
        running = Gauge(
            "turnout_requests_running", "Requests being answered.", ("endpoint",), multiprocess_mode="livesum", **own
        )
        self.running = running.labels(endpoint)

    def of(self, plan: EndpointPlan) -> VersionMetrics:
        """The metrics of one version."""
        return VersionMetrics(self, plan)

    def text(self) -> bytes:
        """All metrics of all workers of the endpoint, as Prometheus reads them."""
        registry = self.registry
        if METRICS in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class VersionMetrics:
    """The metrics of one version of an endpoint, each child looked up once."""

    def __init__(self, metrics: Metrics, plan: EndpointPlan) -> None:
        own = (plan.name, plan.digest[:12])
        parts = ["decode", *(f"step:{step.name}" for step in plan.steps), "encode"]
        self._parts = {part: metrics.parts.labels(*own, part) for part in parts}
        self._codes = {f"{n}xx": metrics.seconds.labels(*own, f"{n}xx") for n in (2, 4, 5)}
        self._rows = metrics.rows.labels(*own)
        self._answers = metrics.answers.labels(*own)
        columns = [] if plan.table is None else [column.name for column in plan.table.columns or ()][:COLUMNS]
        self._columns = {
            name: tuple(metric.labels(*own, name) for metric in (metrics.nulls, metrics.values, metrics.sums))
            for name in columns
        }

    def observe(self, part: str, seconds: float) -> None:
        """Take the seconds of a part."""
        self._parts[part].observe(seconds)

    def answered(self, code: int, seconds: float) -> None:
        """Count a request, by the class of its status: ``2xx``."""
        self._codes[f"{code // 100}xx"].observe(seconds)

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Count the rows of a request and their values."""
        self._rows.observe(len(rows))
        for name, (nulls, values, sums) in self._columns.items():
            column = [row.get(name) for row in rows]
            present = [value for value in column if value is not None]
            if len(present) < len(column):
                nulls.inc(len(column) - len(present))
            if present:
                values.inc(len(present))
            if total := sum(value for value in present if isinstance(value, (int, float))):
                sums.inc(total)

    def answers(self, values: Any) -> None:
        """Count the numbers answered."""
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, (int, float)):
                self._answers.observe(value)
