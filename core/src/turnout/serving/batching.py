"""Requests that wait while others are answered, answered by one call: no timer, so that nobody waits for company."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from turnout.serving.answers import Answer
from turnout.serving.service import Observe, Service


class _Waiting(msgspec.Struct):
    body: Mapping[str, Any]
    answer: asyncio.Future[Answer]


class Batcher:
    """Answers the requests of one version.

    Args:
        service: of an endpoint that is batchable: it takes a table, and its steps answer each row by itself.
        most: how many rows one call is given at most, but for a single request.
    """

    def __init__(self, service: Service, observe: Observe, most: int) -> None:
        assert service.plan.table is not None
        self._service = service
        self._observe = observe
        self._most = most
        self._table = service.plan.table.name
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def answer(self, body: Mapping[str, Any]) -> Answer:
        """The answer to a request, when its turn comes.

        Raises:
            BadRequest: for a request that the endpoint refuses.
            Exception: whatever a step raises.
        """
        waiting = _Waiting(body, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await waiting.answer

    async def _work(self) -> None:
        while self._waiting:
            self._answer(self._next())
            waiting = -1
            while len(self._waiting) > waiting:  # clients that were answered just now ask again
                waiting = len(self._waiting)
                for _ in range(3):  # answers are written, requests read, and put among those that wait
                    await asyncio.sleep(0)

    def _next(self) -> list[_Waiting]:
        """The requests at the front that one call can answer: they differ in their rows only."""
        first = self._waiting[0]
        batch, rows = [first], _count(first.body, self._table)
        others = _others(first.body, self._table)
        for one in self._waiting[1:]:
            count = _count(one.body, self._table)
            if rows is None or count is None or rows + count > self._most or _others(one.body, self._table) != others:
                break
            batch.append(one)
            rows += count
        del self._waiting[: len(batch)]
        return batch

    def _answer(self, batch: list[_Waiting]) -> None:
        if len(batch) > 1:
            rows = [row for one in batch for row in one.body[self._table]]
            try:
                whole = self._service.answer({**batch[0].body, self._table: rows}, self._observe)
            except Exception:  # one of them is at fault: each is answered by itself
                whole = None
            if whole is not None:
                start = 0
                for one in batch:
                    end = start + len(one.body[self._table])
                    _settle(one, partial(Answer, whole.values[start:end], by_row=True))
                    start = end
                return
        for one in batch:
            _settle(one, partial(self._service.answer, one.body, self._observe))


def _settle(waiting: _Waiting, answer: Callable[[], Answer]) -> None:
    if waiting.answer.done():  # its client has gone
        return
    try:
        waiting.answer.set_result(answer())
    except Exception as error:
        waiting.answer.set_exception(error)


def _count(body: Mapping[str, Any], table: str) -> int | None:
    rows = body.get(table)
    return len(rows) if isinstance(rows, list) else None


def _others(body: Mapping[str, Any], table: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != table}
