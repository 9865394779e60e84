"""A process that answers the requests of an endpoint, on a socket that its supervisor holds."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from turnout.base import context
from turnout.base.errors import ArtifactError, TurnoutError
from turnout.runtime import sealed
from turnout.runtime.store import worker_store
from turnout.serving.files import EndpointFolder, Wanted
from turnout.serving.part import Part
from turnout.serving.service import Service

if TYPE_CHECKING:
    from turnout.serving.app import App

IDLE = 5
"""Seconds after which a connection that asks nothing more is ended."""
LEAVING = IDLE + 1.0
"""Seconds that connections have to end by themselves when the worker is replaced: none ends sooner than it would have
without that."""
STOPPING = 2.0
"""Seconds that they have when the endpoint stops."""
ANSWERING = 8
"""Seconds that requests which were taken have for their answers beyond these."""
_PAUSE = 0.05


def main(folder: str, listener: int, told: int) -> int:
    """Load the endpoint, say over the file *told* that it is ready or why not, and answer until a SIGTERM,
    or until a SIGUSR1: another process takes over.

    Args:
        listener: the file number of the socket that listens.
    """
    files = EndpointFolder(Path(folder))
    wanted = files.wanted
    assert wanted is not None
    os.environ.update(sealed.environment(1))
    os.environ[context.WORKER] = "1"
    with tempfile.TemporaryDirectory(prefix="turnout-") as work:
        services: list[Service] = []
        try:
            application = _application(files, wanted, Path(work), services)
        except BaseException as error:
            text = str(error) if isinstance(error, TurnoutError) else f"{type(error).__name__}: {error}"
            trace = "".join(traceback.format_exception(error))
            for service in services:
                text, trace = map(service.components.redactor.text, (text, trace))
            print(trace, file=sys.stderr, flush=True)
            os.write(told, text.encode()[: 1 << 15])
            return 1
        gc.collect()
        gc.freeze()  # what was loaded stays: a collection that walks through it would make requests wait
        asyncio.run(serve(application, socket.socket(fileno=listener, **_kind(listener)), told))
    return 0


def _kind(listener: int) -> dict[str, int]:
    """The socket's kind, said in full: asyncio sends at once (TCP_NODELAY) where it knows that it is TCP."""
    with socket.socket(fileno=os.dup(listener)) as known:
        return {"family": known.family, "type": known.type, "proto": socket.IPPROTO_TCP}


def _application(files: EndpointFolder, wanted: Wanted, work: Path, services: list[Service]) -> App:
    """The application of what is wanted; each service is among *services* before it is loaded."""
    from turnout.serving.app import LOOPBACK, App, Limits

    store = worker_store()
    for share in wanted.versions:
        plan = files.plan(share.version)
        service = Part(plan, wanted.step, store, work) if wanted.step else Service(plan, store, work)
        services.append(service)
        service.load()
        with contextlib.suppress(ArtifactError):  # an image does not hold the rows that requests are like
            service.answer_stored()  # so that the first request finds everything warm
    limits = Limits(
        rows=wanted.rows, bytes=wanted.bytes, hosts=(*LOOPBACK, *wanted.hosts), named_errors=wanted.named_errors
    )
    return App([(one, share.share) for one, share in zip(services, wanted.versions, strict=True)], limits)


async def serve(application: App, listener: socket.socket, told: int) -> None:
    """Answer what comes to a listening socket that others hold too, until a SIGTERM or a SIGUSR1."""
    import uvicorn

    class Server(uvicorn.Server):
        """Says that it is ready once it accepts connections, ends without breaking one, and leaves what it counted."""

        patience = STOPPING

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.leave)
            await super().startup(sockets)
            os.write(told, b"ready")
            os.close(told)

        def leave(self) -> None:
            self.patience = LEAVING
            self.should_exit = True

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            application.closing = True
            # What is not accepted yet stays for the others. The server itself is closed later: it drops a connection
            # that was accepted a moment ago, and uvicorn one whose request has not been read.
            asyncio.get_running_loop().remove_reader(listener)
            until = time.monotonic() + self.patience
            await asyncio.sleep(_PAUSE)
            while self.server_state.connections and time.monotonic() < until:  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE)
            await super().shutdown(sockets)
            application.flush()

    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=ANSWERING,
        server_header=False,
    )
    sys.stdout.flush()
    await Server(config).serve(sockets=[listener])
