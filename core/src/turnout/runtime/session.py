"""A session: one worker's view of one run. It finds or creates ``run.json`` and reads records."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec

from turnout.artifacts.artifacts import Artifacts
from turnout.base import canonical, clock
from turnout.base.cache_folder import cache_folder
from turnout.base.errors import ArtifactError, ConfigError, PlanError
from turnout.base.identity import run_id
from turnout.components.artifact_store import ArtifactStore
from turnout.components.policy import Policy
from turnout.components.registry import Registry, discover
from turnout.materializers.choice import Materializers
from turnout.model import records
from turnout.model.documents import read_info, read_record
from turnout.model.plan import Plan
from turnout.model.plan import decode as decode_plan
from turnout.model.records import Git, Mark, Record, RunInfo, Submission
from turnout.model.validity import check as check_plan
from turnout.runtime import parameters
from turnout.runtime.code import Code
from turnout.runtime.forbidden import allow_reading
from turnout.runtime.resolution import Resolver
from turnout.runtime.sending import Sender
from turnout.runtime.worker_components import WorkerComponents
from turnout.stores import layout
from turnout.stores.settings import VARIABLE as STORE

WORK = "TURNOUT_WORK"
"""The variable with the folder in which a worker's temporary files lie; whoever sets it removes them."""


_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def read_plan(store: ArtifactStore[Any], digest: str) -> Plan:
    """The plan of that digest.

    Raises:
        PlanError: when the store has none, it does not verify, or it is of a newer format.
    """
    if not _DIGEST.match(digest):
        raise PlanError(
            f"{digest[:80]!r} is not the digest of a plan",
            why="a digest has 64 hexadecimal digits",
            fix="export or submit the pipeline again",
        )
    data = store.read(layout.plan(digest))
    if data is None:
        raise PlanError(
            f"the plan {digest[:12]} is not in {store.address}",
            fix="check TURNOUT_STORE, or publish the pipeline again",
        )
    if canonical.digest(data) != digest:
        raise PlanError(
            f"the plan {digest[:12]} in {store.address} is damaged",
            why="its content is not what its digest says",
            fix=f"remove {layout.plan(digest)} from the store and publish the pipeline again",
        )
    where = f"the plan {digest[:12]}"
    return check_plan(decode_plan(data, where), where)


class Session:
    """One worker's view of one run. Not thread-safe; one step at a time.

    Args:
        readers: the policies that are asked before something is read; by default those of the plan.
    """

    def __init__(
        self,
        store: ArtifactStore[Any],
        plan: Plan,
        run: RunInfo,
        *,
        in_process: bool = False,
        registry: Registry | None = None,
        readers: tuple[Policy[Any], ...] | None = None,
    ) -> None:
        self.store = store
        self.plan = plan
        self.run = run
        self.in_process = in_process
        self.resolver = Resolver(plan, self.record)
        self.params = {param.name: param for param in plan.params}
        self.failure: BaseException | None = None
        self.shared = False
        """Whether steps share this process with those before them."""
        self.before_attempt: Callable[[], None] = lambda: None
        self._registry = registry
        self._readers = readers
        self._records: dict[tuple[str, int | None], Record] = {}
        self._plans = {run.plan: plan}

    @classmethod
    def open(
        cls,
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
                first = cls(store, own, first, in_process=in_process, registry=registry).pinned()
            mine = records.encode(first)
            created = store.create(key, mine)
            data = mine if created else store.read(key)
        if data is None:
            raise ArtifactError(f"{key} in {store.address} was there and is gone", fix="do not delete runs in progress")
        info = read_info(data, own.project, run, key)
        plan = own if info.plan == plan_digest else read_plan(store, info.plan)
        session = cls(store, plan, info, in_process=in_process, registry=registry)
        if created:
            store.create(layout.mark(own.project, run, 0), records.encode(Mark(kind="begin", time=info.created)))
            session.announce()
        return session

    def pinned(self) -> RunInfo:
        """The run with what its options name in the place of the names; for its first worker.

        Raises:
            ConfigError: when they name what is not there.
        """
        from turnout.runtime.reuse import pinned

        try:
            return msgspec.structs.replace(self.run, options=pinned(self))
        finally:
            self.close()

    def announce(self) -> None:
        """Tell the observers that the run has started; by its first worker only."""
        self.components.notify(self, "run_started", message=self.run.started_by)

    def plan_of(self, digest: str) -> Plan:
        """The plan of an earlier run, read once."""
        if digest not in self._plans:
            self._plans[digest] = read_plan(self.store, digest)
        return self._plans[digest]

    def record(self, step: str, index: int | None) -> Record | None:
        """The record of a step or element; only committed ones are remembered, for they never change."""
        found = self._records.get((step, index))
        if found is None:
            key = layout.record(self.run.project, self.run.id, step, index)
            data = self.store.read(key)
            if data is not None:
                found = self._records[step, index] = read_record(data, self.plan, step, index, key)
        return found

    @property
    def records(self) -> Mapping[tuple[str, int | None], Record]:
        """The records that were read or committed, by name and index."""
        return self._records

    def remember(self, records: Iterable[Record]) -> None:
        """Take records for read that another process has read."""
        self._records.update({(record.step, record.index): record for record in records})

    @property
    def sealed(self) -> bool:
        """Whether a step has a process of its own, in which everything is fixed that could make two machines differ."""
        return not (self.in_process or self.shared)

    def commit(self, record: Record) -> tuple[Record, bool]:
        """Create a step's record unless there is one; return the record that stands and whether it is this one."""
        key = layout.record(self.run.project, self.run.id, record.step, record.index)
        mine = self.store.create(key, records.encode(record))
        if mine:
            self._records[record.step, record.index] = record
            return record, True
        standing = self.record(record.step, record.index)
        if standing is None:
            raise ArtifactError(f"{key} in {self.store.address} was there and is gone", fix="run the step again")
        return standing, False

    @cached_property
    def registry(self) -> Registry:
        """The plugins of this process, discovered on first use."""
        return self._registry or discover()

    @cached_property
    def components(self) -> WorkerComponents:
        """The worker's side of the stack."""
        return WorkerComponents(self.plan.worker, lambda: self.registry)

    @cached_property
    def code(self) -> Code:
        """The project's code, from its package."""
        return Code(self.plan.code, self.store, cache_folder(), first=not self.in_process)

    @cached_property
    def artifacts(self) -> Artifacts:
        """Saving and loading of values."""
        materializers = Materializers(self.registry.all("materializer"), load_project=self.code.load_class)
        readers = self._readers
        if readers is None:
            readers = self.components.policies if self.plan.worker.policies else ()
        allow = partial(allow_reading, readers) if readers else None
        return Artifacts(self.store, materializers, self.work, self.components.redactor, allow)

    @cached_property
    def sender(self) -> Sender | None:
        """The process that sends what steps log, while they run; None where it is sent from here, after each step."""
        if self.in_process or self.plan.worker.tracker.type == "none" or STORE not in os.environ:
            return None
        return Sender(self)

    @cached_property
    def work(self) -> Path:
        """A folder for this process's temporary files."""
        folder = tempfile.mkdtemp(prefix="turnout-", dir=os.environ.get(WORK))
        self._cleanup = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def close(self) -> None:
        """End what sends, and remove the temporary files; the latter happens by itself when the session is gone."""
        if (sender := self.__dict__.get("sender")) is not None:
            sender.close()
        if "work" in self.__dict__:
            self._cleanup()


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
    )


def _origin(store: ArtifactStore[Any], plan: Plan) -> Git | None:
    key = layout.code_origin(plan.code.digest)
    data = store.read(key)
    return None if data is None else records.decode(data, Git, key)
