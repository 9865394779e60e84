"""Features looked up while a request is answered: in threads of a bounded pool, for a limited time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Semaphore
from typing import Any

from turnout.components.feature_store import FeatureStore
from turnout.features import retrieval
from turnout.features.references import Request
from turnout.model.feature_use import entrypoint
from turnout.model.plan import StepPlan
from turnout.serving.tables import BadRequest

THREADS = 8
"""How many look-ups of an endpoint run at a time in one process."""
WAITING = 64
"""How many may run or wait for a thread; a look-up beyond that fails at once."""
TIMEOUT = 1.0
"""Seconds that a look-up may take where the endpoint does not say."""


def is_lookup(step: StepPlan) -> bool:
    """Whether a step of an endpoint looks features up."""
    return step.entrypoint == entrypoint("online")


class Pool:
    """The threads of a process that look features up for one version of an endpoint."""

    def __init__(self) -> None:
        self._places = Semaphore(WAITING)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="turnout-features")

    def submit(self, store: FeatureStore[Any], table: Any, asked: Request) -> Future[Any] | None:
        """Start a look-up; None where too many wait already."""
        if not self._places.acquire(blocking=False):
            return None
        future = self._threads.submit(retrieval.found_online, store, table, asked)
        future.add_done_callback(lambda _future: self._places.release())
        return future


class Lookup:
    """One step that looks features up.

    Args:
        settings: the literal inputs of the step: ``features``, ``entity``, ``timeout`` and others.

    Raises:
        ConfigError: when the store has no such features.
    """

    def __init__(self, step: StepPlan, settings: Mapping[str, Any], store: FeatureStore[Any], pool: Pool) -> None:
        self.name = step.name
        self.timeout = float(settings.get("timeout") or TIMEOUT)
        self._nulls = settings.get("on_error", "fail") == "null"
        self._store = store
        self._pool = pool
        service = settings.get("service", "")
        references = store.resolve(service) if service else settings["features"]
        named = {name: settings[name] for name in ("entity", "keys", "inputs") if name in settings}
        self._asked = retrieval.asked_online(store, references, **named)

    def start(self, table: Any) -> Pending:
        """Look the features of a table's rows up; the caller lets it wait."""
        return Pending(self, table, self._pool.submit(self._store, table, self._asked))

    def failed(self, table: Any, error: Exception) -> Any:
        """The table with nulls, where the endpoint goes on without features.

        Raises:
            Exception: the error, where it does not.
        """
        if self._nulls:
            return retrieval.absent(table, self._asked)
        raise error

    def late(self, table: Any, *, busy: bool) -> Any:
        """As :meth:`failed`, of a look-up that has not ended in time, or found no thread.

        Raises:
            BadRequest: with the status 503, where the endpoint does not go on.
        """
        if self._nulls:
            return retrieval.absent(table, self._asked)
        why = f"{WAITING} look-ups wait already" if busy else f"they were not there within {self.timeout:g} s"
        raise BadRequest(f"the features of {self.name} cannot be looked up: {why}", status=503)


class Pending:
    """A look-up that was started."""

    def __init__(self, lookup: Lookup, table: Any, future: Future[Any] | None) -> None:
        self._lookup = lookup
        self._table = table
        self._future = future

    def wait(self) -> None:
        """Wait until it has ended, or its time is over."""
        if self._future is not None:
            wait([self._future], self._lookup.timeout)

    async def wait_async(self) -> None:
        """As :meth:`wait`; other requests are answered meanwhile."""
        if self._future is not None:
            wrapped = asyncio.wrap_future(self._future)
            wrapped.add_done_callback(lambda done: done.cancelled() or done.exception())  # it is told by the result
            await asyncio.wait([wrapped], timeout=self._lookup.timeout)

    def result(self) -> Any:
        """The table with features.

        Raises:
            BadRequest: with the status 503, when they were not there in time.
            Exception: whatever the feature store raises.
        """
        future = self._future
        if future is None or not future.done():
            if future is not None:
                future.cancel()
            return self._lookup.late(self._table, busy=future is None)
        try:
            return future.result()
        except Exception as error:
            return self._lookup.failed(self._table, error)
