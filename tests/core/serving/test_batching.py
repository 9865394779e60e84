"""What waits is answered together, and as if it had been answered alone."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from turnout.serving.answers import Answer
from turnout.serving.batching import Batcher
from turnout.serving.tables import BadRequest


class Doubling:
    """Answers each row with twice its ``x``, and notes how many rows each call had."""

    plan = SimpleNamespace(table=SimpleNamespace(name="rows"))

    def __init__(self):
        self.calls = []

    def answer(self, given, observe):
        if not isinstance(given.get("rows"), list):
            raise BadRequest("is missing", "rows")
        self.calls.append(len(given["rows"]))
        for n, row in enumerate(given["rows"]):
            if row["x"] is None:
                raise BadRequest("takes no null", f"rows[{n}]")
        return Answer([row["x"] * given.get("by", 2) for row in given["rows"]], by_row=True)


def ask(requests, most=100):
    service = Doubling()
    batcher = Batcher(service, lambda part, seconds: None, most)

    async def all_at_once():
        return await asyncio.gather(*(batcher.answer(given) for given in requests), return_exceptions=True)

    return service.calls, asyncio.run(all_at_once())


def rows(*values):
    return {"rows": [{"x": value} for value in values]}


def test_those_that_wait_are_answered_by_one_call():
    calls, answers = ask([rows(1), rows(2, 3), rows(), rows(4)])
    assert [answer.values for answer in answers] == [[2], [4, 6], [], [8]]
    assert calls == [4]


def test_other_arguments_are_other_calls():
    calls, answers = ask([rows(1), {**rows(2), "by": 3}, {**rows(3), "by": 3}, rows(4)])
    assert [answer.values for answer in answers] == [[2], [6], [9], [8]]
    assert calls == [1, 2, 1]


def test_a_wrong_request_is_refused_alone():
    _, answers = ask([rows(1), rows(2, None), {"rows": 3}, {}, rows(4)])
    assert [answers[0].values, answers[4].values] == [[2], [8]]
    assert [str(answer) for answer in answers[1:4]] == ["rows[1]: takes no null", *["rows: is missing"] * 2]
    assert all(isinstance(answer, BadRequest) for answer in answers[1:4])


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_call_has_a_limit_of_rows(most):
    calls, answers = ask([rows(n) for n in range(6)] + [rows(*range(5))], most)
    assert [answer.values for answer in answers] == [[2 * n] for n in range(6)] + [[0, 2, 4, 6, 8]]
    assert max(calls[:-1]) == most
