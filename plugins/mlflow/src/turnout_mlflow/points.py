"""Metric points as MLflow has them: of points with equal name, step, time and value it keeps one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from turnout.plugin_api import Batch, Point, parse_time
from turnout_mlflow import names

if TYPE_CHECKING:
    from mlflow.entities import Metric

_REMEMBERED = 20_000

T = TypeVar("T")


class Points:
    """The points of one attempt after another, as their batches come.

    MLflow's times are milliseconds: points that would be equal move one on, in their order. So the points of an
    attempt have the same times in however many parts they are sent, and however often.
    """

    def __init__(self) -> None:
        self._owner: tuple[str, str, int | None, str] | None = None
        self._taken: dict[tuple[str, int, str, int], int] = {}

    def metrics(self, prefix: str, batch: Batch) -> Iterator[Metric]:
        """The points of a batch, their names after *prefix*."""
        from mlflow.entities import Metric

        owner = (batch.external_id, batch.step, batch.index, batch.attempt)
        if owner != self._owner:
            self._owner, self._taken = owner, {}
        for point in sorted(batch.held, key=lambda one: one.sequence):
            key, value = names.key(prefix + point.name), float(point.value)
            step = point.sequence if point.x is None else point.x
            yield Metric(key, value, self._moment(key, step, value, point), step)

    def _moment(self, key: str, step: int, value: float, point: Point) -> int:
        moment, shown = milliseconds(point.time), str(value)
        while self._taken.setdefault((key, step, shown, moment), point.sequence) != point.sequence:
            moment += 1
        if len(self._taken) > _REMEMBERED:  # later points have later times: only the last ones can meet another
            self._taken = dict(list(self._taken.items())[_REMEMBERED // 2 :])
        return moment


def milliseconds(time: str) -> int:
    """A recorded time in milliseconds."""
    return int(parse_time(time).timestamp() * 1000)


def parts(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """The items in order, so many at a time."""
    return (list(items[start : start + size]) for start in range(0, len(items), size))
