"""A process that answers the requests of an endpoint, on a socket that its supervisor holds."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from turnout.base import context
from turnout.base.errors import ArtifactError, TurnoutError
from turnout.runtime import sealed
from turnout.runtime.store import worker_store
from turnout.serving.endpoint_folder import Duty, EndpointFolder
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
_PAUSE = 0.05


def main(folder: str, listener: int, told: int) -> int:
    """Load the endpoint, say over the file *told* that it is ready or why not, and answer until a SIGTERM,
    or until a SIGUSR1: another process takes over.

    Args:
        listener: the file number of the socket that listens.
    """
    files = EndpointFolder(Path(folder))
    duty = msgspec.json.decode(sys.stdin.buffer.read(), type=Duty)
    os.environ.update(sealed.environment(1))
    os.environ[context.WORKER] = "1"
    with tempfile.TemporaryDirectory(prefix="turnout-") as work:
        services: list[Service] = []
        try:
            application = _application(files, duty, Path(work), services)
        except BaseException as error:
            text = str(error) if isinstance(error, TurnoutError) else f"{type(error).__name__}: {error}"
            # of what turnout itself refuses the text says all, unless something of the project's is behind it
            shown = error.__cause__ if isinstance(error, TurnoutError) else error
            trace = "".join(traceback.format_exception(shown)) if shown is not None else str(error)
            for service in services:
                text, trace = map(service.components.redactor.text, (text, trace))
            print(trace, file=sys.stderr, flush=True)
            os.write(told, text.encode()[: 1 << 15])
            return 1
        gc.collect()
        gc.freeze()  # what was loaded stays: a collection that walks through it would make requests wait
        where = socket.socket(fileno=listener, **_kind(listener))
        # uvicorn gives on a SIGTERM that it has taken: it must not end the process before its folder is removed
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        asyncio.run(serve(application, where, told, stop_timeout=duty.wanted.stop_timeout, behind=duty.behind))
    return 0


def _kind(listener: int) -> dict[str, int]:
    """The socket's kind, said in full: asyncio sends at once (TCP_NODELAY) where it knows that it is TCP."""
    with socket.socket(fileno=os.dup(listener)) as known:
        tcp = known.family in (socket.AF_INET, socket.AF_INET6)
        return {"family": known.family, "type": known.type, "proto": socket.IPPROTO_TCP if tcp else 0}


def _application(files: EndpointFolder, duty: Duty, work: Path, services: list[Service]) -> App:
    """The application of what is wanted; its service is among *services* before it is loaded."""
    from turnout.serving.app import LOOPBACK, App, Limits
    from turnout.serving.canary import Canary

    wanted, store = duty.wanted, worker_store()
    plan = files.plan(duty.version.version)
    service = Part(plan, wanted.step, store, work) if wanted.step else Service(plan, store, work)
    services.append(service)
    service.load()
    with contextlib.suppress(ArtifactError):  # an image does not hold the rows that requests are like
        service.answer_stored()  # so that the first request finds everything warm
    limits = Limits(
        rows=wanted.rows,
        bytes=wanted.bytes,
        hosts=("*",) if duty.behind else (*LOOPBACK, *wanted.hosts),
        named_errors=wanted.named_errors,
        receive_timeout=wanted.receive_timeout,
    )
    canary = None
    if duty.canary:
        share = wanted.versions[1]
        canary = Canary(files.plan(share.version), share.share, duty.canary)
    return App(service, limits, canary)


async def serve(
    application: App, listener: socket.socket, told: int, *, stop_timeout: float = 60.0, behind: bool = False
) -> None:
    """Answer what comes to a listening socket that others hold too, until a SIGTERM or a SIGUSR1.

    Args:
        stop_timeout: seconds that what was taken has for its answers then.
        behind: whether others hand it what it is asked: a SIGTERM, which they get as well, does not end it.
    """
    import uvicorn

    from turnout.serving.connections import connections_of

    class Server(uvicorn.Server):
        """Says that it is ready once it accepts connections, ends without breaking one, and leaves what it counted."""

        patience = STOPPING

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.leave)
            if behind:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
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
            patience = min(self.patience, stop_timeout)
            self.config.timeout_graceful_shutdown = math.ceil(stop_timeout - patience)
            until = time.monotonic() + patience
            await asyncio.sleep(_PAUSE)
            while self.server_state.connections and time.monotonic() < until:  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE)
            await super().shutdown(sockets)
            application.flush()

    config = uvicorn.Config(
        application,
        http=connections_of(application),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=IDLE,
        server_header=False,
    )
    sys.stdout.flush()
    await Server(config).serve(sockets=[listener])
