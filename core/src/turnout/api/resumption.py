"""Going on with a run that was killed, stopped, or failed: what it committed stays, the rest runs by its own plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from turnout.api.failure import failed
from turnout.base import clock
from turnout.base.errors import UnsupportedError
from turnout.components.artifact_store import ArtifactStore
from turnout.components.orchestrator import RunHandle
from turnout.model.plan import Plan
from turnout.model.records import Mark, RunInfo, RunState
from turnout.runtime.finish import finish_run
from turnout.runtime.session import Session
from turnout.runtime.state import ENDED, append_mark, files_of, is_complete, newest_mark, run_state, state_of_records
from turnout.stores.stored_run import Run as StoredRun

if TYPE_CHECKING:
    from turnout.api.run import Run


def start(run: Run) -> RunHandle | None:
    """Go on with a run; None where all of it is committed and its end is marked. Does not wait for its end.

    Raises:
        ArtifactError: when a record of the run is damaged.
        RunError: when the run is in progress.
        UnsupportedError: when its engine cannot, or is another than the stack's.
    """
    workspace, info = run.workspace, run.info
    orchestrator = workspace.orchestrator_of(info)
    stored = StoredRun(workspace.store, run.plan, info)
    state, mark = state_of_records(stored)
    marked = mark is not None and (mark.kind, mark.state) == ("finish", "succeeded")
    if marked and is_complete(stored, files_of(workspace.store, info.project, info.id)):
        return None
    with resuming(workspace.store, info):
        try:
            return orchestrator.resume(run.plan, info, workspace.store)
        except UnsupportedError:
            if state != "succeeded":
                raise
    close(run)
    return None


@contextmanager
def resuming(store: ArtifactStore[Any], info: RunInfo) -> Iterator[None]:
    """Mark that a run goes on, before it does; where it does not, what was marked before counts again."""
    before = newest_mark(store, info.project, info.id)
    append_mark(store, info.project, info.id, Mark(kind="resume", time=clock.now()))
    try:
        yield
    except BaseException:
        if before.mark is not None and before.kind not in {"begin", "resume"}:
            append_mark(store, info.project, info.id, before.mark, after=before.number + 1)
        raise


def close(run: Run, *, plan: Plan | None = None, tell: Callable[[RunState], None] | None = None) -> RunState:
    """Mark the end of a run that has ended, where none is marked that stands, and return its state.

    An engine that stops a run at a time limit of its own may start nothing more of it, the end included.

    Args:
        plan: the run's, with the worker's settings that count.
        tell: tells the tracker; by default from here.
    """
    stored = StoredRun(run.workspace.store, plan or run.plan, run.info)
    state = run_state(stored, run.workspace.ask_engine)
    if state not in ENDED:
        return state
    return finish_run(Session(stored, registry=run.workspace.registry), tell=tell).state


def resume(run: Run) -> Run:
    """Go on with a run and wait for its end: what :meth:`turnout.api.run.Run.resume` does."""
    handle = start(run)
    if handle is None:
        return run
    run.refresh().handle = handle
    try:
        state = run.wait()
    except KeyboardInterrupt:
        run.cancel()
        raise
    if state != "succeeded":
        raise failed(run, state)
    return run
