"""What is measured of an endpoint, for Prometheus: seconds and counts, with labels of few values."""

from __future__ import annotations

import math
import os
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from turnout.model.endpoint_plan import Column, EndpointPlan
from turnout.serving.generation import METRICS, WORKER

CONTENT_TYPE = CONTENT_TYPE_LATEST
COLUMNS = 50
"""Of how many columns of a request values are counted, the first ones."""
CLASSES = 20
"""How many different texts of answers a worker tells apart, the first ones; all others are ``other``."""
FLUSH = 0.2
"""Seconds after which what a worker has counted is to be seen by the others."""
KEPT = 2000
"""How many rows and answers are kept at most until they are counted."""
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
_VALUES = (-1e6, -1e4, -1e3, -100, -10, -1, -0.5, -0.1, 0, 0.1, 0.25, 0.5, 0.75, 0.9, 1, 10, 100, 1e3, 1e4, 1e6)
_NUMBERS = ("int", "uint", "double", "float", "halffloat")


class Metrics:
    """The metrics of one endpoint in this process; several versions of it are told apart by a label."""

    def __init__(self, endpoint: str) -> None:
        if METRICS in os.environ and WORKER in os.environ:
            # a worker that is started again goes on with the counts of the one before it
            worker = os.environ[WORKER]
            values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry}
        labels = ("endpoint", "version")
        self.seconds = _Distribution(
            "turnout_request_seconds",
            "Seconds from a request to its answer.",
            (*labels, "code"),
            buckets=_SECONDS,
            **own,
        )
        self.parts = _Distribution(
            "turnout_request_part_seconds",
            "Seconds that a part of answering took: parse, decode, features, step:NAME, encode, write.",
            (*labels, "part"),
            buckets=_SECONDS,
            **own,
        )
        self.rows = _Distribution("turnout_request_rows", "Rows of a request.", labels, buckets=_ROWS, **own)
        self.answers = _Distribution("turnout_answer_value", "Numbers answered.", labels, buckets=_VALUES, **own)
        self.answer_sums = Counter("turnout_answer_sum", "The sum of the numbers answered.", (*labels, "sign"), **own)
        self.answer_squares = Counter("turnout_answer_squares", "The sum of their squares.", labels, **own)
        self.classes = Counter("turnout_answer_class", "Texts and truth values answered.", (*labels, "value"), **own)
        column = (*labels, "column")
        self.nulls = Counter("turnout_input_nulls", "Nulls among the values of a column.", column, **own)
        self.values = Counter("turnout_input_values", "Values of a column.", column, **own)
        self.sums = Counter("turnout_input_sum", "The sum of the numbers of a column.", (*column, "sign"), **own)
        self.squares = Counter("turnout_input_squares", "The sum of the squares of a column's numbers.", column, **own)
        running = Gauge(
            "turnout_requests_running", "Requests being answered.", ("endpoint",), multiprocess_mode="livesum", **own
        )
        self.running = running.labels(endpoint)
        self._versions: list[VersionMetrics] = []

    def of(self, plan: EndpointPlan) -> VersionMetrics:
        """The metrics of one version."""
        version = VersionMetrics(self, plan)
        self._versions.append(version)
        return version

    def flush(self) -> None:
        """Let the other workers see what this one has counted."""
        for version in self._versions:
            version.flush()

    def text(self) -> bytes:
        """All metrics of all workers of the endpoint, as Prometheus reads them."""
        self.flush()
        if METRICS not in os.environ:
            return generate_latest(self.registry)
        while True:
            try:
                registry = CollectorRegistry()
                MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
                return generate_latest(registry)
            except FileNotFoundError:  # the supervisor has just removed what an old version counted
                continue


class VersionMetrics:
    """The metrics of one version of an endpoint.

    What is observed is kept until it is flushed, for a call of the client's library costs a multiple of an addition.
    """

    def __init__(self, metrics: Metrics, plan: EndpointPlan) -> None:
        self._own = own = (plan.name, plan.digest[:12])
        self._metrics = metrics
        self._codes = {f"{n}xx": _Observed(metrics.seconds.labels(*own, f"{n}xx")) for n in (2, 4, 5)}
        self._parts: dict[str, _Observed] = {}
        self._rows = _Observed(metrics.rows.labels(*own))
        self._answers = metrics.answers.labels(*own)
        self._moments = _Moments(metrics.answer_sums, metrics.answer_squares, own)
        self._classes: dict[str, Any] = {}
        columns = [] if plan.table is None else list(plan.table.columns or ())[:COLUMNS]
        self._columns = [_ColumnMetrics(metrics, own, column) for column in columns]
        self._asked: list[Mapping[str, Any]] = []
        self._answered: list[Any] = []

    def observe(self, part: str, seconds: float) -> None:
        """Take the seconds of a part."""
        if (observed := self._parts.get(part)) is None:
            observed = self._parts[part] = _Observed(self._metrics.parts.labels(*self._own, part))
        observed.values.append(seconds)

    def request(self, code: int, seconds: float) -> None:
        """Count a request, by the class of its status: ``2xx``."""
        self._codes[f"{code // 100}xx"].values.append(seconds)

    def answered(self, rows: Sequence[Mapping[str, Any]], answers: Any) -> None:
        """Count the rows of a request that was answered, the values in them, and the answers."""
        if rows:
            self._rows.values.append(len(rows))
            self._asked += rows
        if isinstance(answers, list):
            self._answered += answers
        else:
            self._answered.append(answers)
        if len(self._asked) + len(self._answered) > KEPT:
            self._count()

    def flush(self) -> None:
        """Hand on what was kept."""
        for observed in (*self._codes.values(), *self._parts.values(), self._rows):
            observed.flush()
        self._count()

    def _count(self) -> None:
        rows, answers = self._asked, self._answered
        self._asked, self._answered = [], []
        if rows:
            for column in self._columns:
                column.count(rows)
        numbers, texts = [], Counts[str]()
        for value in answers:
            if isinstance(value, (bool, str)):
                texts[str(value).lower() if isinstance(value, bool) else value] += 1
            elif isinstance(value, (int, float)) and (number := _number(value)) is not None:
                numbers.append(number)
        if numbers:
            self._answers.observe_all(numbers)
            self._moments.add(numbers)
        for text, count in texts.items():
            self._class(text).inc(count)

    def _class(self, text: str) -> Any:
        if text not in self._classes and (len(self._classes) >= CLASSES or len(text) > 100):
            text = "other"
        if (child := self._classes.get(text)) is None:
            child = self._classes[text] = self._metrics.classes.labels(*self._own, text)
        return child


class _Observed:
    """What was observed of a histogram and not handed on yet."""

    def __init__(self, histogram: Any) -> None:
        self._histogram = histogram
        self.values: list[float] = []

    def flush(self) -> None:
        if self.values:
            values, self.values = self.values, []
            self._histogram.observe_all(values)


class _Distribution(Histogram):
    """A histogram that takes many values at once: one by one they would take longer than answering them."""

    def observe_all(self, numbers: Sequence[float]) -> None:
        self._sum.inc(sum(numbers))
        for place, count in Counts(bisect_left(self._upper_bounds, number) for number in numbers).items():
            self._buckets[place].inc(count)


class _Moments:
    """The sum of numbers, those below zero apart so that it only grows, and of their squares."""

    def __init__(self, sums: Counter, squares: Counter, labels: Sequence[str]) -> None:
        self._positive, self._negative = (sums.labels(*labels, sign) for sign in ("positive", "negative"))
        self._squares = squares.labels(*labels)

    def add(self, numbers: Sequence[float]) -> None:
        if positive := sum(number for number in numbers if number > 0):
            self._positive.inc(positive)
        if negative := sum(number for number in numbers if number < 0):
            self._negative.inc(-negative)
        self._squares.inc(sum(number * number for number in numbers))


class _ColumnMetrics:
    """What is counted of one column."""

    def __init__(self, metrics: Metrics, own: tuple[str, str], column: Column) -> None:
        self._name = column.name
        self._nulls, self._values = (metric.labels(*own, column.name) for metric in (metrics.nulls, metrics.values))
        self._moments = None
        if column.type.rstrip("0123456789") in _NUMBERS:
            self._moments = _Moments(metrics.sums, metrics.squares, (*own, column.name))

    def count(self, rows: Sequence[Mapping[str, Any]]) -> None:
        present = [value for row in rows if (value := row.get(self._name)) is not None]
        if len(present) < len(rows):
            self._nulls.inc(len(rows) - len(present))
        if not present:
            return
        self._values.inc(len(present))
        if self._moments is not None:
            self._moments.add([number for value in present if (number := _number(value)) is not None])


def _number(value: Any) -> float | None:
    """A number whose square a sum can take; None for any other, such as ``"NaN"``."""
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) and abs(number) < 1e100 else None
