"""What every orchestrator is tried with: the pipelines of the corpus, how each is run, and what must come of it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from turnout.model.capability import Capability

PASSWORD = 'pass "word"/%&é'  # noqa: S105 - made up
"""The secret ``corpus_password``: no record, log or message may show it."""
NASTY = 'it\'s "quoted" $(touch was_here) `touch was_here` ${HOME} %s {{ 1 + 1 }} {% raw %}\\ \\n\t<b> & 漢字 ☃\nend'
"""A text as the user of an engine might give it when a run is started."""
BIG = 123456789012345678901234567890
LONG = "a_name_as_long_as_any_may_be_" + "x" * 71
SCRATCH = "{scratch}"
"""Stands in parameters for a folder of the run's own, in which steps remember how often they were tried."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a pipeline of the corpus.

    ``params`` are as a user gives them; ``at`` is the logical time. ``needs`` is what the pipeline asks of the
    orchestrator: where one of it is refused, so must the pipeline be. ``states`` has the state of every step
    (``name``, or ``name.index`` for an element) when the run has ended: ``succeeded``, ``skipped``, or
    ``failed``, which a step is that never began as well. ``values`` has what steps returned, by ``step`` or
    ``step:output``; ``elements`` the length of list outputs, by ``step:output``; ``decisions`` what gates decided.
    """

    name: str
    pipeline: str
    params: dict[str, Any] = {}
    at: str | None = None
    needs: tuple[Capability, ...] = ()
    states: dict[str, str]
    values: dict[str, Any] = {}
    elements: dict[str, int] = {}
    decisions: dict[str, bool] = {}

    @property
    def succeeds(self) -> bool:
        """Whether the run does."""
        return "failed" not in self.states.values()


def _states(**groups: str) -> dict[str, str]:
    """States by step, from the steps by state: ``succeeded="load fit"``."""
    return {step: state for state, steps in groups.items() for step in steps.split()}


_GUARDED = (Capability.GATE,)
_MAPPED = (Capability.MAP,)
_NAMES = ("class", "import", "a_b", "a__b", "ab", "x1", "x_1", LONG)

CASES = (
    Case(
        name="linear",
        pipeline="linear",
        states=_states(succeeded="start double spell"),
        values={"start": 3, "double": 6, "spell": "the number 6"},
    ),
    Case(
        name="diamond",
        pipeline="diamond",
        params={"number": 5},
        states=_states(succeeded="start left more right add"),
        values={"start": 5, "left": 10, "more": 10, "right": 20, "add": 30},
    ),
    Case(
        name="outputs",
        pipeline="outputs",
        states=_states(succeeded="several gather"),
        values={
            "several:whole": 4,
            "several:text": "4",
            "several:raw": b"\0\1\2\3",
            "several:tree": {"number": 4, "deep": [None, True, {"x": 0.5}]},
            "gather": {"whole": 4, "size": 4, "deep": [None, True, {"x": 0.5}]},
        },
    ),
    Case(
        name="map",
        pipeline="mapped",
        needs=_MAPPED,
        states=_states(succeeded="numbers square.0 square.1 square.2 total"),
        values={"numbers": [1, 2, 3], "square.0": 2, "square.1": 8, "square.2": 18, "total": 1882},
        elements={"numbers:output": 3},
    ),
    Case(
        name="empty-map",
        pipeline="mapped",
        params={"count": 0},
        needs=_MAPPED,
        states=_states(succeeded="numbers total"),
        values={"numbers": [], "total": 0},
        elements={"numbers:output": 0},
    ),
    Case(
        name="map-of-one",
        pipeline="mapped",
        params={"count": 1, "factor": 7},
        needs=_MAPPED,
        states=_states(succeeded="numbers square.0 total"),
        values={"square.0": 7, "total": 7},
        elements={"numbers:output": 1},
    ),
    Case(
        name="failed-element",
        pipeline="broken_element",
        needs=_MAPPED,
        states=_states(succeeded="numbers fragile.0 fragile.2 beside", failed="fragile.1 total"),
        values={"fragile.0": 1, "fragile.2": 3, "beside": 321},
        elements={"numbers:output": 3},
    ),
    Case(
        name="chained-maps",
        pipeline="chained",
        needs=_MAPPED,
        states=_states(succeeded="numbers square.0 square.1 square.2 label.0 label.1 label.2 total listed"),
        values={"square.1": 4, "label.1": "#4", "total": 941, "listed": "#1 #4 #9"},
        elements={"numbers:output": 3},
    ),
    Case(
        name="guards-open",
        pipeline="guarded",
        params={"score": 0.9},
        needs=_GUARDED,
        states=_states(succeeded="measure good release great celebrate bad summary archive", skipped="alert"),
        values={
            "celebrate": "RELEASED AT 0.9",
            "summary": {"score": 0.9, "released": "released at 0.9", "alerted": None},
        },
        decisions={"good": True, "great": True, "bad": False},
    ),
    Case(
        name="guards-half-open",
        pipeline="guarded",
        needs=_GUARDED,
        states=_states(succeeded="measure good release great bad summary archive", skipped="celebrate alert"),
        values={"archive": "archived: released at 0.5"},
        decisions={"good": True, "great": False, "bad": False},
    ),
    Case(
        name="guards-closed",
        pipeline="guarded",
        params={"score": 0.1},
        needs=_GUARDED,
        states=_states(succeeded="measure good bad alert summary", skipped="release great celebrate archive"),
        values={"summary": {"score": 0.1, "released": None, "alerted": "only 0.1"}},
        decisions={"good": False, "bad": True},
    ),
    Case(
        name="guarded-map",
        pipeline="guarded_map",
        needs=(*_GUARDED, *_MAPPED),
        states=_states(succeeded="numbers asked found", skipped="square total"),
        values={"found": "nothing"},
        elements={"numbers:output": 2},
        decisions={"asked": False},
    ),
    Case(
        name="guarded-map-open",
        pipeline="guarded_map",
        params={"wanted": True},
        needs=(*_GUARDED, *_MAPPED),
        states=_states(succeeded="numbers asked square.0 square.1 total found"),
        values={"found": "2 squares", "total": 123},
        elements={"numbers:output": 2},
        decisions={"asked": True},
    ),
    Case(
        name="retry",
        pipeline="retried",
        params={"scratch": SCRATCH},
        needs=(Capability.RETRIES,),
        states=_states(succeeded="flaky after"),
        values={"flaky": "it worked", "after": "after it worked"},
    ),
    Case(
        name="given-up",
        pipeline="retried",
        params={"scratch": SCRATCH, "failures": 99},
        needs=(Capability.RETRIES,),
        states=_states(failed="flaky after"),
    ),
    Case(
        name="timeout",
        pipeline="slow",
        needs=(Capability.TIMEOUT,),
        states=_states(succeeded="start spell", failed="endless after"),
        values={"spell": "the number 1"},
    ),
    Case(
        name="parameters",
        pipeline="parameters",
        params={
            "big": str(BIG),
            "text": NASTY,
            "whole": 3,
            "ratio": 2,
            "flag": True,
            "moment": "2026-03-01T10:30:00+02:00",
            "day": "2026-02-28",
            "span": 90,
            "items": [3, 1, 2],
            "table": {"y": 2, "x": 1.5},
            "tree": {"b": [1, None, {"c": "d"}], "a": 0.5},
            "level": "high",
            "colour": "blue",
        },
        states=_states(succeeded="describe read"),
        values={
            "describe": {
                "big": ["int", str(BIG)],
                "colour": ["Colour", "<Colour.BLUE: 'blue'>"],
                "day": ["date", "datetime.date(2026, 2, 28)"],
                "flag": ["bool", "True"],
                "items": ["list", "[3, 1, 2]"],
                "level": ["str", "'high'"],
                "moment": ["datetime", "datetime.datetime(2026, 3, 1, 8, 30, tzinfo=datetime.timezone.utc)"],
                "nothing": ["NoneType", "None"],
                "ratio": ["float", "2.0"],
                "span": ["timedelta", "datetime.timedelta(seconds=90)"],
                "table": ["dict", "{'y': 2.0, 'x': 1.5}"],
                "text": ["str", repr(NASTY)],
                "tree": ["dict", "{'b': [1, None, {'c': 'd'}], 'a': 0.5}"],
                "whole": ["int", "3"],
            },
            "read": ".csv red,1\nblue,2\n",
        },
    ),
    Case(
        name="logical-time",
        pipeline="timed",
        at="2026-03-01T07:00:00+01:00",
        needs=(Capability.LOGICAL_TIME,),
        states=_states(succeeded="when_it_was"),
        values={"when_it_was": "2026-03-01T06:00:00+00:00"},
    ),
    Case(
        name="sub-pipelines",
        pipeline="nested",
        needs=(Capability.GROUP,),
        states=_states(succeeded="prepare.start prepare.double again.start again.double add"),
        values={"prepare.double": 10, "again.double": 14, "add": 24},
    ),
    Case(
        name="large",
        pipeline="large",
        states=_states(succeeded="load weigh"),
        values={
            "load": bytes(range(256)) * 16_384,
            "weigh": "4194304 bytes, SHA-256 2b07811057df887086f06a67edc6ebf911de8b6741156e7a2eb1416a4b8b1b2e",
        },
    ),
    Case(
        name="failing-branch",
        pipeline="broken_branch",
        states=_states(succeeded="start double kept", failed="fail lost spell"),
        values={"kept": "the number 2"},
    ),
    Case(
        name="skipped-after-a-failure",
        pipeline="skipped_failure",
        needs=_GUARDED,
        states=_states(succeeded="start asked", failed="fail", skipped="spell"),
        decisions={"asked": False},
    ),
    Case(
        name="skipped-long-after-a-failure",
        pipeline="skipped_later",
        needs=_GUARDED,
        states=_states(succeeded="start asked kept", failed="fail lost", skipped="spell add"),
        values={"kept": "the number 1"},
        decisions={"asked": False},
    ),
    Case(
        name="skipped-map-of-a-failure",
        pipeline="skipped_constant",
        needs=(*_GUARDED, *_MAPPED),
        states=_states(succeeded="asked", failed="no_numbers", skipped="double square total"),
        decisions={"asked": False},
    ),
    Case(
        name="names",
        pipeline="names",
        states=_states(succeeded=" ".join((*_NAMES, "pack", "None"))),
        values={
            **{name: number + 1 for number, name in enumerate(_NAMES)},
            "pack:class": [1, 2, 3, 4, 5, 6, 7, 8],
            "pack:output": 8,
            "None": 12345678,
        },
        elements={"pack:class": 8},
    ),
    Case(
        name="secret",
        pipeline="secret",
        needs=(Capability.SECRETS,),
        states=_states(succeeded="unlock look"),
        values={"unlock": sha256(PASSWORD.encode()).hexdigest(), "look": False},
    ),
    Case(
        name="quoting",
        pipeline="quoted",
        params={"text": NASTY},
        needs=(Capability.TAGS,),
        states=_states(succeeded="echo"),
    ),
    Case(
        name="quoting-of-defaults",
        pipeline="quoted",
        needs=(Capability.TAGS,),
        states=_states(succeeded="echo"),
    ),
)
"""The cases, each with its name."""

ASKING = {
    **{need: case.pipeline for case in reversed(CASES) for need in case.needs},
    **dict.fromkeys(
        (
            Capability.BACKOFF,
            Capability.CPU,
            Capability.MEMORY,
            Capability.GPU,
            Capability.ACCELERATOR,
            Capability.REQUIREMENTS,
            Capability.ENV,
            Capability.INTERVAL,
        ),
        "demands",
    ),
}
"""For each capability that planning can refuse, a pipeline that asks for it."""
