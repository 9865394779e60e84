"""Resuming on engines that cannot be told to: refused, with the way that is open."""

from __future__ import annotations

from typing import Any

import pytest

from turnout.base.errors import UnsupportedError
from turnout.components.base import Config
from turnout.components.orchestrator import Bundle, Orchestrator, RunHandle
from turnout.model.plan import Plan
from turnout.model.records import RunInfo, Submission


class Distant(Orchestrator[Config]):
    """An engine that starts runs and does no more."""

    name = "distant"

    def compile(self, plan: Plan) -> Bundle:
        return Bundle()

    def submit(self, plan: Plan, bundle: Bundle, submission: Submission, store: Any) -> RunHandle:
        raise NotImplementedError


def test_an_engine_that_cannot_is_refused_with_its_own_way(bench):
    bench.write("def one():\n    return 1\n")
    bench.make(bench.step("one"))
    run: RunInfo = bench.open().run.info
    with pytest.raises(UnsupportedError) as error:
        Distant(Config()).resume(bench.plan, run, bench.store)
    assert str(error.value) == (
        f"the distant orchestrator cannot resume the run {run.id} from here\n"
        "  fix: run what failed again in distant itself: steps that are committed return their records; "
        "its run is run 1"
    )
