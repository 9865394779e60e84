"""Joining a run: the first worker of it creates ``run.json``, which wins for all that come later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import msgspec

from turnout.base import clock
from turnout.base.errors import ArtifactError, ConfigError
from turnout.base.identity import run_id
from turnout.components.artifact_store import ArtifactStore
from turnout.components.registry import Registry
from turnout.model import records
from turnout.model.documents import read_info
from turnout.model.plan import Plan
from turnout.model.records import Git, Mark, RunInfo, Submission
from turnout.runtime import parameters
from turnout.runtime.reuse import pinned
from turnout.runtime.session import Session
from turnout.runtime.store import worker_store
from turnout.stores import layout
from turnout.stores.stored_run import Run, read_plan
from turnout.tracking.tracking import Tracking


def join(
    store: ArtifactStore[Any],
    plan_digest: str,
    engine_run: str,
    submission: Submission,
    *,
    in_process: bool = False,
    registry: Registry | None = None,
) -> Session:
    """Join a run, or create it: ``run.json`` wins over the plan and parameters this worker came with.

    Raises:
        TurnoutError: when there is no such plan, or this is the first worker and the parameters do not fit.
    """
    _check_native(engine_run)
    own = read_plan(store, plan_digest)
    run = run_id(own.project, own.name, own.instance, engine_run)
    key = layout.run(own.project, run)
    data, created = store.read(key), False
    if data is None:
        first = _new_run(store, own, plan_digest, run, engine_run, submission)
        if first.options.replace:
            with closing(Session(Run(store, own, first), in_process=in_process, registry=registry)) as session:
                first = msgspec.structs.replace(first, options=pinned(session))
        mine = records.encode(first)
        created = store.create(key, mine)
        data = mine if created else store.read(key)
    if data is None:
        raise ArtifactError(f"{key} in {store.address} was there and is gone", fix="do not delete runs in progress")
    info = read_info(data, own.project, run, key)
    plan = own if info.plan == plan_digest else read_plan(store, info.plan)
    session = Session(Run(store, plan, info), in_process=in_process, registry=registry)
    if created:
        store.create(layout.mark(own.project, run, 0), records.encode(Mark(kind="begin", time=info.created)))
        session.notify("run_started", message=info.started_by)
    return session


@contextmanager
def tracked(plan_digest: str, engine_run: str) -> Iterator[Tracking]:
    """The tracking of a run that a worker has joined, for the process beside it that sends what its steps log."""
    with closing(join(worker_store(), plan_digest, engine_run, Submission())) as session:
        yield session.tracking


def _check_native(engine_run: str) -> None:
    if not engine_run.strip():
        raise ConfigError(
            "the engine's own id of the run is empty",
            why="all runs would be one",
            fix="give what the engine calls the run: --engine-run",
        )
    try:
        engine_run.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"the engine's own id of the run, {engine_run!r}, is not UTF-8 text", fix="give it in UTF-8: --engine-run"
        ) from None


def _new_run(
    store: ArtifactStore[Any], plan: Plan, digest: str, run: str, engine_run: str, submission: Submission
) -> RunInfo:
    options = parameters.settle(submission.options)
    options = msgspec.structs.replace(options, tags={**plan.tags, **options.tags})
    return RunInfo(
        id=run,
        project=plan.project,
        pipeline=plan.name,
        plan=digest,
        params=parameters.bind(plan, submission.params, options),
        options=options,
        logical_time=options.at,
        interval=options.interval,
        created=clock.now(),
        started_by=options.started_by,
        git=options.git or _origin(store, plan),
        stack=plan.stack,
        stack_digest=options.stack_digest,
        orchestrator=plan.orchestrator,
        instance=plan.instance,
        engine_run=engine_run,
        engine_url=options.engine_url,
        effects=options.effects is not False,
    )


def _origin(store: ArtifactStore[Any], plan: Plan) -> Git | None:
    key = layout.code_origin(plan.code.digest)
    data = store.read(key)
    return None if data is None else records.decode(data, Git, key)
