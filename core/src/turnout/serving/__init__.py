"""Endpoints answered over HTTP: the steps that training used, over what a run made."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turnout.api.endpoint import Endpoint
    from turnout.serving.app import App


def asgi(endpoint: Endpoint, *, stack: str | None = None, run: str | None = None) -> App:
    """The ASGI application of an endpoint, to be mounted in one of your own or served by another server.

    It answers in this process: its environment is yours. Requests are taken from any ``Host``.

    Args:
        endpoint: what ``@endpoint`` made.
        stack: as for ``turnout run``.
        run: which run it serves, in place of what its definition says.

    Raises:
        TurnoutError: when there is no such run, or it cannot be served.
    """
    from turnout.serving.app import App, Limits
    from turnout.serving.service import Service

    deployment = endpoint.prepare(stack=stack, run=run)
    deployment.publish()
    work = tempfile.mkdtemp(prefix="turnout-")
    service = Service(deployment.plan, deployment.workspace.store, Path(work), deployment.workspace.registry)
    weakref.finalize(service, shutil.rmtree, work, ignore_errors=True)
    service.load()
    return App(service, Limits(hosts=("*",)))
