"""Putting what workers need into the store: code, plan, and the content of local files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from turnout.base import canonical, clock
from turnout.components.artifact_store import ArtifactStore
from turnout.model.plan import Plan
from turnout.model.records import Git
from turnout.project.code import CodePackage
from turnout.runtime import bundle
from turnout.stores import claims, layout


def bundle_files(store: ArtifactStore[Any], plan: Plan, package: CodePackage) -> dict[str, bytes]:
    """What a worker needs beside an engine's own files: the plan, the code package, and where the store is."""
    return {
        layout.plan(plan.digest): plan.encode(),
        bundle.code_file(package.digest): bundle.as_text(package.data),
        bundle.ENVIRONMENT: canonical.pretty(store.environment()),
    }


def publish_plan(store: ArtifactStore[Any], plan: Plan, package: CodePackage) -> None:
    """Create the code package, then the plan, in the store, unless they are there.

    They are claimed until a run names them.
    """
    claims.claim(store, plan.digest, claims.HELD)
    publish_code(store, package)
    if not store.exists(layout.plan(plan.digest)):
        store.create(layout.plan(plan.digest), plan.encode())


def publish_code(store: ArtifactStore[Any], package: CodePackage) -> None:
    """Create a code package in the store, unless it is there; it is claimed until something names it."""
    claims.claim(store, package.digest, claims.HELD)
    if not store.exists(layout.code(package.digest)):
        store.create(layout.code(package.digest), package.data)
        if package.revision is not None:
            git = Git(package.revision.commit, package.revision.dirty)
            store.create(layout.code_origin(package.digest), canonical.encode(git))


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that an engine was given: who gave it, and when (ISO 8601, UTC)."""

    plan: str
    project: str
    pipeline: str
    orchestrator: str
    instance: str
    time: str
    by: str


def keep(store: ArtifactStore[Any], plan: Plan, by: str) -> None:
    """Note that an engine is given a plan, which keeps it and all that it names in the store."""
    note = Export(
        plan=plan.digest,
        project=plan.project,
        pipeline=plan.name,
        orchestrator=plan.orchestrator,
        instance=plan.instance,
        time=clock.now(),
        by=by,
    )
    store.create(layout.export(plan.digest), canonical.encode(note))


def release(store: ArtifactStore[Any], plan: Plan) -> None:
    """Forget every plan of this pipeline that its engine was given: it has been taken from there."""
    whose = (plan.project, plan.name, plan.orchestrator, plan.instance)
    for key, note in _notes(store):
        if (note.project, note.pipeline, note.orchestrator, note.instance) == whose:
            store.delete(key)


def published(store: ArtifactStore[Any], orchestrator: str, instance: str) -> dict[tuple[str, str], str]:
    """The digests of the plans that an engine was given last: by project and pipeline."""
    notes = [note for _, note in _notes(store) if (note.orchestrator, note.instance) == (orchestrator, instance)]
    return {(note.project, note.pipeline): note.plan for note in sorted(notes, key=lambda note: note.time)}


def _notes(store: ArtifactStore[Any]) -> Iterator[tuple[str, Export]]:
    for name in store.children(layout.exports()):
        key = f"{layout.exports()}/{name}"
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            yield key, msgspec.json.decode(store.read(key) or b"", type=Export)
