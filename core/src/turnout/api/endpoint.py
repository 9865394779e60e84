"""Endpoints as users handle them: planned, deployed, mounted in an application of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from turnout.api import allowed
from turnout.api.deployment import Deployment
from turnout.api.workspace import Workspace, user
from turnout.base import clock
from turnout.base.errors import DeployError
from turnout.catalog.endpoints import Deployed, forget, remember
from turnout.components.deployer import EndpointStatus
from turnout.components.kinds import DEPLOYER
from turnout.definition.endpoint import EndpointDefinition, define
from turnout.definition.pipeline import PipelineDefinition
from turnout.model.endpoint import EndpointPlan


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
            accept: ``code``, to serve with other code than the run had.
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
        return deploy(self.prepare(stack=stack, run=run, accept=accept), share)


def deploy(deployment: Deployment, share: float = 1.0) -> EndpointStatus:
    """Publish what an endpoint needs, let the stack's deployer serve it, and keep what it serves in the store."""
    workspace, plan = deployment.workspace, deployment.plan
    deployer = workspace.stack.component(DEPLOYER)
    bundle = deployer.compile(plan)
    deployment.publish()
    status = deployer.deploy(plan, bundle, workspace.store, share=share)
    deployed = Deployed(plan=plan, time=clock.now(), by=user(), stack=workspace.stack.name, share=share)
    remember(workspace.store, deployed)
    return status


def upload(deployment: Deployment) -> None:
    """Publish what an exported endpoint needs, and keep in the store what it serves: others apply its files."""
    workspace = deployment.workspace
    deployment.publish()
    remember(
        workspace.store,
        Deployed(plan=deployment.plan, time=clock.now(), by=user(), stack=workspace.stack.name),
    )


def delete(workspace: Workspace, name: str) -> None:
    """Stop serving an endpoint, and let go of what it has served.

    Raises:
        DeployError: when there is no such endpoint.
    """
    deployer = workspace.stack.component(DEPLOYER)
    if deployer.status(name).state == "absent":
        raise DeployError(f"there is no endpoint {name}", fix="see turnout endpoints list")
    deployer.delete(name)
    forget(workspace.store, workspace.project.name, name)


def endpoint(pipeline: PipelineDefinition, **options: Any) -> Callable[[Callable[..., Any]], Endpoint]:
    """Make a function an endpoint of a pipeline; the options are those of :func:`.endpoint.define`."""
    return define(pipeline, Endpoint, **options)
