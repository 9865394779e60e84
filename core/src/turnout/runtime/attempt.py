"""An attempt at a step: it begins, and ends exactly once, failed or with what is to be committed."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from turnout.base import clock
from turnout.base.errors import TurnoutError
from turnout.model import records
from turnout.model.plan import StepPlan
from turnout.model.records import Attempt as Document
from turnout.model.records import Failure, Isolation, Logged, Record, StepResult
from turnout.runtime import cache
from turnout.runtime.cache_key import key_of, key_parts
from turnout.runtime.decision import result_of
from turnout.runtime.execution import Executed, StepFailed
from turnout.runtime.host import this_host
from turnout.runtime.inputs import input_records
from turnout.runtime.outside import is_told
from turnout.runtime.session import Session
from turnout.stores import layout
from turnout.tracking.report import Report


def give_up(session: Session, step: StepPlan, index: int | None, started: str, failure: Failure) -> StepResult:
    """End an attempt whose process is gone: as committed, where it came that far, else failed."""
    record = session.run.record(step.name, index)
    if record is not None:
        return result_of(record, adopted=False)
    Attempt(session, step, index, started).lose(failure)
    return StepResult(state="failed", retryable=failure.retryable, message=failure.message)


class Attempt:
    """One attempt at a step, or at an element of a mapped step.

    Args:
        started: when it began, where another process has begun it.
    """

    def __init__(self, session: Session, step: StepPlan, index: int | None, started: str | None = None) -> None:
        self.id = os.urandom(6).hex()
        self._session = session
        self._step = step
        self._index = index
        self._started = started or clock.now()
        self._ended = False
        self._isolation: Isolation = "worker" if session.shared else "step"

    def begin(self) -> None:
        """Tell that it has begun."""
        self._session.before_attempt()
        self._session.notify("step_started", **self._place)
        if self._session.tracking.sender is not None:
            self._session.tracking.sender.begin(**self._place)

    def fail(self, failed: StepFailed) -> StepResult:
        """End it: the step, or what surrounds it, raised. Where another call has succeeded meanwhile, that counts."""
        session, failure = self._session, failed.failure
        session.failure = failed.cause
        self._fail(failure, failed.logged, failure.traceback or failure.message)
        session.tracking.track(Report(**self._place, logged=failed.logged))
        self._tell_failure(failure)
        if isinstance(failed.cause, KeyboardInterrupt):
            raise KeyboardInterrupt(session.components.redactor.text(str(failed.cause))) from None
        if (standing := session.run.record(self._step.name, self._index)) is not None:
            session.failure = None
            return result_of(standing, adopted=True)
        return StepResult(state="failed", retryable=failure.retryable, message=failure.message)

    def succeed(self, done: Executed) -> StepResult:
        """End it, and commit the step; where a required tracker does not take what was logged, it has failed."""
        session, step = self._session, self._step
        inputs = input_records(session, step, self._index)
        report = Report(**self._place, logged=done.logged, inputs=inputs, outputs=done.outputs)
        try:
            session.tracking.require(report)
        except TurnoutError as error:
            session.failure = error
            failure = Failure(type=type(error).__qualname__, message=str(error))
            self._fail(failure, done.logged, failure.message)
            self._tell_failure(failure)
            return StepResult(state="failed", retryable=True, message=failure.message)
        parts = key_parts(session, step, inputs)
        record = Record(
            run=session.run.info.id,
            step=step.name,
            index=self._index,
            state="succeeded",
            attempt=self.id,
            plan=session.run.info.plan,
            inputs=inputs,
            outputs=done.outputs,
            value=done.value,
            cache_key=key_of(parts),
            key_parts=session.components.redactor.tree(parts),
            started=self._started,
            ended=clock.now(),
            sealed=session.sealed,
            isolation=self._isolation,
            logged=done.logged,
        )
        self._end(None, Logged())
        standing, mine = session.run.commit(record)
        if mine:
            if record.sealed and cache.applies(session, step) and is_told(parts):
                cache.remember(session, record)
            session.tracking.track_committed(report)
            seconds = clock.seconds_between(record.started, record.ended)
            session.notify("step_succeeded", state="succeeded", seconds=seconds, record=record, **self._place)
        return result_of(standing, adopted=not mine)

    def lose(self, failure: Failure) -> None:
        """End it from outside: its process is gone, stopped at its timeout, or died."""
        self._end(failure, Logged())
        self._session.notify(
            "step_failed", step=self._step.name, index=self._index, state="failed", message=failure.message
        )

    @property
    def _place(self) -> dict[str, Any]:
        return {"step": self._step.name, "index": self._index, "attempt": self.id}

    def _fail(self, failure: Failure, logged: Logged, text: str) -> None:
        with suppress(ValueError, OSError):  # a step may have closed its streams
            print(text, file=sys.stderr or sys.__stderr__, flush=True)
        self._end(failure, logged)

    def _tell_failure(self, failure: Failure) -> None:
        self._session.notify("step_failed", message=failure.message, state="failed", **self._place)

    def _end(self, failure: Failure | None, logged: Logged) -> None:
        """Put its end on record."""
        assert not self._ended, "an attempt ends once"
        self._ended = True
        session, run = self._session, self._session.run
        document = Document(
            id=self.id,
            run=run.info.id,
            step=self._step.name,
            index=self._index,
            state="failed" if failure else "succeeded",
            started=self._started,
            ended=clock.now(),
            host=this_host(sealed=session.sealed, isolation=self._isolation),
            failure=failure,
            logged=logged,
        )
        key = layout.attempt(run.info.project, run.info.id, self._step.name, self._index, self.id)
        run.store.create(key, records.encode(document))
