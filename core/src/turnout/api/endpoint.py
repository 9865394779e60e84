"""Endpoints as users handle them: planned, deployed, mounted in an application of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from turnout.api import allowed
from turnout.api.deployment import Deployment, check_share
from turnout.api.workspace import Workspace, user
from turnout.artifacts.artifacts import Artifacts
from turnout.base import clock
from turnout.base.errors import DeployError, PlanError, did_you_mean
from turnout.catalog.deployed import Deployed, forget, history, live, remember
from turnout.components.deployer import EndpointStatus
from turnout.components.kinds import DEPLOYER, MATERIALIZER
from turnout.definition.endpoint import EndpointDefinition, define
from turnout.definition.pipeline import PipelineDefinition
from turnout.materializers.choice import Materializers
from turnout.model.endpoint_plan import EndpointPlan
from turnout.serving.narrowing import narrowed
from turnout.serving.tables import stored_rows

if TYPE_CHECKING:
    from turnout.serving.trial import Trial


class Endpoint(EndpointDefinition):
    """A function as an endpoint; made by :func:`endpoint`."""

    def prepare(
        self,
        *,
        stack: str | None = None,
        run: str | None = None,
        accept: Sequence[str] = (),
        kept: Path | None = None,
    ) -> Deployment:
        """Plan the endpoint: find the run it serves, and pin it.

        Args:
            stack: as for ``turnout run``.
            run: ``latest``, an alias or a run's id, in place of what the definition says.
            accept: what of :data:`.deployment.ACCEPTABLE` is accepted.
            kept: the folder of an export of it, whose ``bindings.lock`` says what it serves again.

        Raises:
            TurnoutError: when there is no such run, or it cannot be served.
        """
        return Deployment.of(self, stack=stack, run=run, accept=tuple(accept), kept=kept)

    def plan(self, *, stack: str | None = None, run: str | None = None, accept: Sequence[str] = ()) -> EndpointPlan:
        """The endpoint's plan; its digest is the version."""
        return self.prepare(stack=stack, run=run, accept=accept).plan

    def deploy(
        self, *, stack: str | None = None, run: str | None = None, share: float = 1.0, accept: Sequence[str] = ()
    ) -> EndpointStatus:
        """Serve the endpoint by the stack's deployer, and wait until it is ready.

        Args:
            share: of the requests, from 0 to 1; less than 1 is a canary beside the live version.

        Raises:
            TurnoutError: when it cannot be planned or served.
        """
        allowed.check(f"{self.name}.deploy()", "start")
        return deploy(self.prepare(stack=stack, run=run, accept=accept), share).status


class Result(msgspec.Struct, frozen=True):
    """What came of a deployment: its state, and how it had answered stored rows; None where it was not tried.

    ``notes`` are what a person should know of the deployer's objects.
    """

    status: EndpointStatus
    trial: Trial | None
    notes: tuple[str, ...] = ()


def deploy(deployment: Deployment, share: float = 1.0) -> Result:
    """Try an endpoint, publish what it needs, let the stack's deployer serve it, and keep what it serves in the store.

    Raises:
        PlanError: when it takes less than the live version, unless that is accepted.
        DeployError: when it does not answer stored rows as the run did, or is not served.
    """
    from turnout.serving.trial import check, try_out  # serves: who defines or names an endpoint need not import it

    workspace, plan = deployment.workspace, deployment.plan
    deployer = workspace.stack.component(DEPLOYER)
    bundle = deployer.compile(plan)
    check_share(share)
    before = live(workspace.store, plan.project, plan.name, workspace.stack.name)
    if before is not None and not deployment.accepts("schema"):
        _check_schema(before, plan)
    deployment.publish()
    trial = None
    if not deployment.accepts("untried"):
        trial = try_out(plan, workspace.store)
        if not deployment.accepts("answers"):
            check(trial, plan)
    status = deployer.deploy(plan, bundle, workspace.store, share=share)
    _remember(workspace, plan, share)
    return Result(status, trial, bundle.notes)


def _check_schema(before: EndpointPlan, plan: EndpointPlan) -> None:
    if lost := narrowed(before, plan):
        raise PlanError(
            f"the endpoint {plan.name} would refuse what its live version {before.digest[:12]} takes: "
            + "; ".join(lost[:5])
            + (f"; and {len(lost) - 5} more" if len(lost) > 5 else ""),
            where=plan.where,
            why="clients send what they sent before",
            fix="keep the columns and types, or accept it once they have changed: --accept schema",
        )


def _remember(workspace: Workspace, plan: EndpointPlan, share: float = 1.0) -> None:
    deployed = Deployed(plan=plan, time=clock.now(), by=user(), stack=workspace.stack.name, share=share)
    remember(workspace.store, deployed)


def promote(workspace: Workspace, name: str) -> EndpointStatus:
    """Let the canary of an endpoint answer everything.

    Raises:
        DeployError: when there is none.
    """
    return _moved(workspace, workspace.stack.component(DEPLOYER).promote(name))


def rollback(workspace: Workspace, name: str) -> EndpointStatus:
    """Go back: from a canary to the live version alone, else to the version before.

    Raises:
        DeployError: when there is nothing to go back to.
    """
    return _moved(workspace, workspace.stack.component(DEPLOYER).rollback(name))


def _moved(workspace: Workspace, status: EndpointStatus) -> EndpointStatus:
    """Keep in the store which version answers now."""
    versions = {one.plan.digest: one.plan for one in history(workspace.store, workspace.project.name, status.name)}
    if status.versions and (plan := versions.get(status.versions[0].version)) is not None:
        _remember(workspace, plan)
    return status


def upload(deployment: Deployment, share: float = 1.0) -> None:
    """Publish what an exported endpoint needs, and keep in the store what it serves: others apply its files."""
    deployment.publish()
    for key, data in deployment.compiler.stored(deployment.plan).items():
        deployment.workspace.store.create(key, data)
    _remember(deployment.workspace, deployment.plan, share)


def rows_like(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    """A few rows of the table that an endpoint's requests are like, as requests give them.

    Raises:
        DeployError: when the endpoint has no such table.
    """
    plan = live(workspace.store, workspace.project.name, name, workspace.stack.name)
    table = None if plan is None else plan.table
    if table is None or table.like is None:
        raise DeployError(
            f"there are no stored rows that the endpoint {name} could be asked about",
            fix=f"give some: turnout endpoints predict {name} rows.json",
        )
    materializers = Materializers(workspace.registry.all(MATERIALIZER))
    with tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        artifacts = Artifacts(workspace.store, materializers, Path(folder))
        return stored_rows(artifacts.local_folder(table.like), [column.name for column in table.columns or ()])


def delete(workspace: Workspace, name: str) -> None:
    """Stop serving an endpoint, and let go of what it has served.

    Raises:
        DeployError: when there is no such endpoint.
    """
    deployer = workspace.stack.component(DEPLOYER)
    if deployer.status(name).state == "absent":
        raise unknown(workspace, name)
    deployer.delete(name)
    forget(workspace.store, workspace.project.name, name, workspace.stack.name)


def unknown(workspace: Workspace, name: str) -> DeployError:
    """What is said of an endpoint that is not deployed."""
    deployed = [status.name for status in workspace.stack.component(DEPLOYER).list()]
    return DeployError(
        f"no endpoint {name} is deployed on the stack {workspace.stack.name}. {did_you_mean(name, deployed)}".rstrip(
            " ."
        ),
        fix=f"there are: {', '.join(deployed)}" if deployed else "deploy it: turnout deploy ENDPOINT",
    )


def endpoint(pipeline: PipelineDefinition, **options: Any) -> Callable[[Callable[..., Any]], Endpoint]:
    """Make a function an endpoint of a pipeline; the options are those of :func:`.endpoint.define`."""
    return define(pipeline, Endpoint, **options)
