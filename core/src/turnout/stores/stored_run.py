"""A run in a store: the plan it goes by, its ``run.json``, and its records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from turnout.base import canonical
from turnout.base.errors import ArtifactError, PlanError
from turnout.components.artifact_store import ArtifactStore
from turnout.model import records
from turnout.model.documents import read_record
from turnout.model.plan import Plan
from turnout.model.plan import decode as decode_plan
from turnout.model.records import Record, RunInfo
from turnout.model.validity import check as check_plan
from turnout.stores import layout

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


class Run:
    """A run, as one process reads and writes it. Not thread-safe.

    Args:
        info: its ``run.json``.
    """

    def __init__(self, store: ArtifactStore[Any], plan: Plan, info: RunInfo) -> None:
        self.store = store
        self.plan = plan
        self.info = info
        self.params = {param.name: param for param in plan.params}
        self._records: dict[tuple[str, int | None], Record] = {}
        self._plans = {info.plan: plan}

    def plan_of(self, digest: str) -> Plan:
        """The plan of an earlier run, read once."""
        if digest not in self._plans:
            self._plans[digest] = read_plan(self.store, digest)
        return self._plans[digest]

    def record(self, step: str, index: int | None) -> Record | None:
        """The record of a step or element; only committed ones are remembered, for they never change."""
        found = self._records.get((step, index))
        if found is None:
            key = layout.record(self.info.project, self.info.id, step, index)
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

    def commit(self, record: Record) -> tuple[Record, bool]:
        """Create a step's record unless there is one; return the record that stands and whether it is this one."""
        key = layout.record(self.info.project, self.info.id, record.step, record.index)
        mine = self.store.create(key, records.encode(record))
        if mine:
            self._records[record.step, record.index] = record
            return record, True
        standing = self.record(record.step, record.index)
        if standing is None:
            raise ArtifactError(f"{key} in {self.store.address} was there and is gone", fix="run the step again")
        return standing, False
