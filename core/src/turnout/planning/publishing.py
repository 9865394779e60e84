"""Putting what workers need into the store: code, plan, and the content of local files."""

from __future__ import annotations

from typing import Any

from turnout import canonical
from turnout.components.artifact_store import ArtifactStore
from turnout.packaging.code import CodePackage
from turnout.plan.model import Plan
from turnout.records.model import Git
from turnout.runtime.bundle import ENVIRONMENT
from turnout.stores import layout


def bundle_files(store: ArtifactStore[Any], plan: Plan, package: CodePackage) -> dict[str, bytes]:
    """What a worker needs beside an engine's own files: the plan, the code package, and where the store is."""
    return {
        layout.plan(plan.digest): plan.encode(),
        layout.code(package.digest): package.data,
        ENVIRONMENT: canonical.pretty(store.environment()),
    }


def publish_plan(store: ArtifactStore[Any], plan: Plan, package: CodePackage) -> None:
    """Create the code package, then the plan, in the store, unless they are there."""
    if not store.exists(layout.code(package.digest)):
        store.create(layout.code(package.digest), package.data)
        if package.revision is not None:
            git = Git(package.revision.commit, package.revision.dirty)
            store.create(layout.code_origin(package.digest), canonical.encode(git))
    if not store.exists(layout.plan(plan.digest)):
        store.create(layout.plan(plan.digest), plan.encode())
