"""The suite an observer must pass: every event arrives whole, once, from however many workers.

A plugin's test file is one class::

    class TestMyObserver(ObserverSuite):
        @pytest.fixture
        def observer(self, tmp_path):
            return MyObserver(MyObserver.Config(url="http://localhost:8080"))

        @pytest.fixture
        def read_back(self, observer):
            return lambda: [msgspec.convert(event, Event) for event in …]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar, get_args

import pytest

from turnout.components.base import Component
from turnout.components.observer import Event, EventKind, Observer
from turnout.testing.component import ComponentSuite
from turnout.testing.processes import together

ReadBack = Callable[[], list[Event]]


class ObserverSuite(ComponentSuite):
    """Subclass it, name the subclass ``Test…`` and give the fixtures ``observer`` and ``read_back``.

    For a tool that keeps some fields of an event only, :meth:`kept` says which.
    """

    kind: ClassVar[str] = "observer"

    @pytest.fixture
    def observer(self) -> Observer[Any]:
        """An observer whose tool has seen nothing yet, and that other processes can make by its class and config."""
        raise NotImplementedError("give the suite a fixture 'observer'")

    @pytest.fixture
    def read_back(self) -> ReadBack:
        """Gives the events that the tool has, in its order."""
        raise NotImplementedError("give the suite a fixture 'read_back'")

    @pytest.fixture
    def component(self, observer: Observer[Any]) -> Component[Any]:
        """The observer."""
        return observer

    def kept(self, event: Event) -> Event:
        """The event as far as the tool keeps it: all of it."""
        return event

    def test_every_kind_of_event_arrives_in_order(self, observer: Observer[Any], read_back: ReadBack) -> None:
        events = [_event(kind, step="fit" if kind.startswith("step") else None) for kind in get_args(EventKind)]
        for event in events:
            observer.notify(event)
        assert read_back() == [self.kept(event) for event in events]

    def test_every_field_arrives(self, observer: Observer[Any], read_back: ReadBack) -> None:
        event = _event(
            "step_succeeded",
            engine_run="manual__2026-01-31T12:00:00+00:00",
            step="fit",
            index=3,
            attempt="0123456789ab",
            state="succeeded",
            seconds=1.5,
            message="Zoë said 'no',\n\"perhaps\"\t{x} 漢字",
            inputs={"train": ("a" * 64, "b" * 64)},
            outputs={"output": ("c" * 64,)},
        )
        observer.notify(event)
        assert read_back() == [self.kept(event)]

    def test_a_long_message_arrives_whole(self, observer: Observer[Any], read_back: ReadBack) -> None:
        event = _event("step_failed", step="fit", message="no luck " * 20_000)
        observer.notify(event)
        observer.notify(_event("run_finished"))
        assert read_back() == [self.kept(event), self.kept(_event("run_finished"))]

    def test_workers_at_the_same_time_lose_and_double_nothing(
        self, observer: Observer[Any], read_back: ReadBack
    ) -> None:
        workers, count = 4, 50
        together(observer, *[(notify_all, (worker, count)) for worker in range(workers)])
        expected = Counter(
            self.kept(_element(worker, number)).message for worker in range(workers) for number in range(count)
        )
        found = read_back()
        assert Counter(event.message for event in found) == expected
        assert len(found) == workers * count


def _event(kind: EventKind, **fields: Any) -> Event:
    return Event(
        kind=kind, time="2026-01-31T12:00:00.000000Z", project="sample", pipeline="sample", run="sample-1", **fields
    )


def _element(worker: int, number: int) -> Event:
    return _event("step_succeeded", step="score", index=worker, message=f"{worker}.{number} " + "x" * 2000)


def notify_all(observer: Observer[Any], worker: int, count: int) -> None:
    """What a worker does: it tells of many events."""
    for number in range(count):
        observer.notify(_element(worker, number))
