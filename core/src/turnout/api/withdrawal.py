"""Taking a published pipeline away again: also one that has another name by now, or is not there any more."""

from __future__ import annotations

from turnout.api.workspace import Workspace
from turnout.model.plan import Plan
from turnout.planning import publishing
from turnout.stores.stored_run import read_plan


def withdraw(workspace: Workspace, plan: Plan) -> str:
    """Take a pipeline from the orchestrator. Returns where it was."""
    place = workspace.orchestrator.unpublish(plan)
    publishing.release(workspace.store, plan)
    return place


def published(workspace: Workspace) -> dict[str, Plan]:
    """What the stack's store knows to be published on its engine: the plans by the ids that the engine shows."""
    found = publishing.published(workspace.store, workspace.orchestrator.name, workspace.stack.instance)
    plans = [read_plan(workspace.store, digest) for digest in found.values()]
    return {workspace.orchestrator.published_as(plan): plan for plan in plans}
