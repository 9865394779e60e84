"""What is run on every engine: a pipeline, the parameters of the run, and what must come of each step."""

from __future__ import annotations

from typing import Any, NamedTuple

NASTY = 'it\'s "quoted" $(touch no) `no` {{ no }} %s \\ \t\n<b> & 漢字 ☃'
BIG = 123456789012345678901234567890
DONE, SKIPPED = "succeeded", "skipped"


class Case(NamedTuple):
    """One run.

    ``params`` are as an engine is given them (``{scratch}`` in a text becomes a folder of the run's own), ``files``
    the parameters that are files of the project, by name and path; ``states`` is the state of every step and element when all is over.
    """

    name: str
    pipeline: str
    params: dict[str, Any]
    states: dict[str, str]
    files: tuple[tuple[str, str], ...] = ()
    succeeds: bool = True
    at: str | None = None


CASES = (
    Case("diamond", "diamond", {"rows": 3}, dict.fromkeys(["load", "split", "weigh", "count", "join"], DONE)),
    Case(
        "fan",
        "fan",
        {"count": 3, "factor": 5},
        dict.fromkeys(["numbers", *(f"{s}.{i}" for s in ("square", "label") for i in range(3)), "total"], DONE),
    ),
    Case("empty-fan", "fan", {"count": 0}, {"numbers": DONE, "total": DONE}),
    Case(
        "guards-good",
        "guards",
        {"score": 0.5},
        {
            **dict.fromkeys(["measure", "good", "publish", "great", "bad", "summary", "archive"], DONE),
            **dict.fromkeys(["celebrate", "alert"], SKIPPED),
        },
    ),
    Case(
        "guards-bad",
        "guards",
        {"score": 0.1},
        {
            **dict.fromkeys(["measure", "good", "bad", "alert", "summary"], DONE),
            **dict.fromkeys(["publish", "great", "celebrate", "archive"], SKIPPED),
        },
    ),
    Case("retry", "retry", {"scratch": "{scratch}"}, {"flaky": DONE, "after": DONE}),
    Case("given-up", "retry", {"scratch": "{scratch}", "failures": 9}, {}, succeeds=False),
    Case(
        "parameters",
        "parameters",
        {
            "whole": 3,
            "big": str(BIG),
            "ratio": 2,
            "flag": True,
            "text": NASTY,
            "moment": "2026-03-01T10:30:00+02:00",
            "day": "2026-02-28",
            "items": [3, 1, 2],
            "table": {"x": 1.5, "y": 2},  # in order: engines sort keys, and only adapters hand on another order
        },
        {"describe": DONE, "read": DONE},
        files=(("path", "data/colours.csv"),),
        at="2026-03-01T06:00:00+00:00",
    ),
)

DESCRIBED = {
    "whole": ["int", "3"],
    "big": ["int", str(BIG)],
    "ratio": ["float", "2.0"],
    "flag": ["bool", "True"],
    "text": ["str", repr(NASTY)],
    "moment": ["datetime", "datetime.datetime(2026, 3, 1, 8, 30, tzinfo=datetime.timezone.utc)"],
    "day": ["date", "datetime.date(2026, 2, 28)"],
    "items": ["list", "[3, 1, 2]"],
    "table": ["dict", "{'x': 1.5, 'y': 2.0}"],
    "logical": ["datetime", "datetime.datetime(2026, 3, 1, 6, 0, tzinfo=datetime.timezone.utc)"],
}
"""What the step ``describe`` of the pipeline ``parameters`` must have seen, whichever engine called it."""
