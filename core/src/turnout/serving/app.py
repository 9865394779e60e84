"""An endpoint over HTTP: rows as JSON, the Open Inference Protocol, health, metrics, and a page that describes it."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router

from turnout.model.endpoint_plan import EndpointPlan
from turnout.serving import inference, pages
from turnout.serving.answers import Answer
from turnout.serving.batching import Batcher
from turnout.serving.canary import Canary
from turnout.serving.metrics import CONTENT_TYPE, FLUSH, Metrics, VersionMetrics
from turnout.serving.service import Service
from turnout.serving.tables import BadRequest

JSON = "application/json"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
ROW_ID = b"x-row-id"
"""The header by which a client says whose request it is: of two versions, one answers all with the same."""
VERSION = "x-turnout-version"
_SOON = 0.5
"""Seconds that are waited at once for a part of a body."""
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Read = Callable[[Any, Service, int], tuple[dict[str, Any], Any]]
"""What a JSON document gives, of so many rows at most, by the parameters; and what writing its answer takes."""
Write = Callable[[Answer, Any], dict[str, Any]]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint takes: rows and bytes of a request, the ``Host`` headers (``*`` for any), the seconds within
    which a body must have come; and whether errors name what is wrong."""

    rows: int = 10_000
    bytes: int = 16 << 20
    hosts: tuple[str, ...] = LOOPBACK
    named_errors: bool = True
    receive_timeout: float = 60.0


class App:
    """The application of one endpoint.

    Args:
        service: the version that answers.
        canary: another one, which answers some of the requests elsewhere.
    """

    def __init__(self, service: Service, limits: Limits | None = None, canary: Canary | None = None) -> None:
        self.limits = limits or Limits()
        self.service = service
        self.canary = canary
        plan = service.plan
        self.metrics = Metrics(plan.name)
        self.own = self.metrics.of(plan)
        self._of_canary = None if canary is None else self.metrics.of(canary.plan)
        self._batcher = Batcher(service, self.own.observe, self.limits.rows) if service.batchable else None
        self._flushing = False
        self.closing = False
        """Whether connections are to end: another process takes over."""
        self.document = pages.openapi(plan, self.limits.rows)
        name = plan.name
        infer = _Post(self._answer, inference.given, inference.document)
        self.asgi = Router(
            routes=[
                Route("/predict", _Post(self._answer, _given, _document), methods=["POST"]),
                Route(f"/v2/models/{name}/infer", infer, methods=["POST"]),
                Route("/", self._page),
                Route("/docs", self._page),
                Route("/openapi.json", self._openapi),
                Route("/metrics", self._metrics),
                *(Route(path, self._healthy) for path in ("/health/live", "/health/ready")),
                *(Route(path, self._healthy) for path in ("/v2/health/live", "/v2/health/ready")),
                Route("/v2", self._server),
                Route(f"/v2/models/{name}", self._model),
                Route(f"/v2/models/{name}/ready", self._healthy),
            ]
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, unless the ``Host`` header is of nobody that may ask."""
        if scope["type"] == "http":
            send = self._last(send)
            if not self._is_host(scope):
                response = self._error(421, "this Host is not served here", "Host")
                await response(scope, receive, send)
                return
        await self.asgi(scope, receive, send)

    def _last(self, send: Send) -> Send:
        """Says with an answer that its connection ends, where that is so by then."""

        async def last(message: Any) -> None:
            if self.closing and message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        return last

    def flush(self) -> None:
        """Let other workers see what this one has counted."""
        self._flushing = False
        self.metrics.flush()

    def _is_host(self, scope: Any) -> bool:
        if "*" in self.limits.hosts:
            return True
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self.limits.hosts or f"[{name}]" in self.limits.hosts

    # Answering

    async def _answer(self, scope: Any, receive: Receive, read: Read, write: Write) -> Response:
        started = time.perf_counter()
        try:
            body = await self._body(receive)
        except BadRequest as refused:
            return self._answered(self._refused(refused), self.service.plan, self.own, started)
        if self.canary is not None and self.canary.takes(_key(scope, body)):
            return await self._handed(self.canary, scope["path"], body, started)
        observe = self.own.observe
        self.metrics.running.inc()
        try:
            arrived = time.perf_counter()
            try:
                document = _decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise BadRequest(f"the body is not JSON: {error}", status=400) from None
            given, context = read(document, self.service, self.limits.rows)
            rows = _rows(self.service, given, self.limits.rows)
            observe("parse", time.perf_counter() - arrived)
            if self._batcher is not None:
                answer = await self._batcher.answer(given)
            elif self.service.lookups:
                answer = await self.service.answer_later(given, observe)
            else:
                answer = self.service.answer(given, observe)
            self.own.answered(rows, answer.values)
            made = time.perf_counter()
            response = Response(_encode(write(answer, context)), media_type=JSON)
            observe("write", time.perf_counter() - made)
        except BadRequest as refused:
            response = self._refused(refused)
        except Exception as error:
            response = self._failed(error)
        finally:
            self.metrics.running.dec()
        return self._answered(response, self.service.plan, self.own, started)

    async def _handed(self, canary: Canary, path: str, body: bytes, started: float) -> Response:
        """What the canary answers; it counts the request itself, unless its process ends meanwhile."""
        try:
            status, answer = await canary.ask(path, body)
        except OSError as error:
            assert self._of_canary is not None
            print(f"the canary {canary.plan.digest[:12]} did not answer: {error}", file=sys.stderr, flush=True)
            response = self._error(503, "the process that was to answer has ended; ask again")
            return self._answered(response, canary.plan, self._of_canary, started)
        return Response(answer, status, {VERSION: canary.plan.digest[:12]}, media_type=JSON)

    def _answered(self, response: Response, plan: EndpointPlan, metrics: VersionMetrics, started: float) -> Response:
        """Count a request; its answer says which version it is of."""
        response.headers[VERSION] = plan.digest[:12]
        metrics.request(response.status_code, time.perf_counter() - started)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(FLUSH, self.flush)
        return response

    async def _body(self, receive: Receive) -> bytes:
        """The body; one that is too large is read to its end, so that the client gets the answer, and not kept."""
        message = await receive()
        body: bytes = message.get("body", b"")
        size = len(body)
        if message.get("more_body"):
            parts, waited = [body], 0.0
            while message.get("more_body"):
                message, waited = await self._part(receive, waited)
                part = message.get("body", b"")
                size += len(part)
                if size <= self.limits.bytes:
                    parts.append(part)
                else:
                    parts.clear()
            body = b"".join(parts)
        if message["type"] == "http.disconnect":
            raise BadRequest("the connection ended before the body did", status=400)
        if size > self.limits.bytes:
            raise BadRequest(f"the body has {size} bytes, {self.limits.bytes} are taken", status=413)
        return body

    async def _part(self, receive: Receive, waited: float) -> tuple[Any, float]:
        """The next part of a body, and the seconds that were waited for it, added to those before.

        A step of another request holds up the whole process: that time is not the client's.
        """
        coming = asyncio.ensure_future(receive())
        while True:
            started = time.monotonic()
            done, _ = await asyncio.wait({coming}, timeout=_SOON)
            waited += min(time.monotonic() - started, _SOON)
            if waited > self.limits.receive_timeout:
                coming.cancel()
                raise BadRequest(f"the body did not come within {self.limits.receive_timeout:g} s", status=408)
            if done:
                return coming.result(), waited

    def error(self, what: str, where: str = "") -> bytes:
        """The document of an error: what clients are told of it."""
        error = {"what": what, **({"where": where} if where else {})} if self.limits.named_errors else {}
        return _encode({"error": error or {"what": "the request is refused"}})

    def _error(self, status: int, what: str, where: str = "") -> Response:
        ended = {"connection": "close"} if status == 408 else None  # what is left of the body is not waited for
        return Response(self.error(what, where), status, ended, media_type=JSON)

    def _refused(self, refused: BadRequest) -> Response:
        return self._error(refused.status, refused.what, refused.where)

    def _failed(self, error: Exception) -> Response:
        redactor = self.service.components.redactor
        print(redactor.text("".join(traceback.format_exception(error))), file=sys.stderr, flush=True)
        what = f"it failed: {type(error).__name__}: {error}" if self.limits.named_errors else "it failed"
        return Response(_encode({"error": {"what": redactor.text(what)}}), 500, media_type=JSON)

    # What is said of the endpoint

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(pages.page(self.document))

    async def _openapi(self, _request: Request) -> Response:
        return Response(_encode(self.document), media_type=JSON)

    async def _metrics(self, _request: Request) -> Response:
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    async def _healthy(self, _request: Request) -> Response:
        return Response(_encode({"live": True, "ready": True}), media_type=JSON)

    async def _server(self, _request: Request) -> Response:
        from turnout import __version__

        return Response(_encode({"name": "turnout", "version": __version__, "extensions": []}), media_type=JSON)

    async def _model(self, _request: Request) -> Response:
        plans = [self.service.plan, *([] if self.canary is None else [self.canary.plan])]
        return Response(_encode(inference.metadata(plans)), media_type=JSON)


class _Post:
    """A route that takes a body: an ASGI application, for a request of Starlette's costs as much as reading a row."""

    def __init__(self, answer: Callable[[Any, Receive, Read, Write], Awaitable[Response]], read: Read, write: Write):
        self._answer, self._read, self._write = answer, read, write

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        response = await self._answer(scope, receive, self._read, self._write)
        await response(scope, receive, send)


def _key(scope: Any, body: bytes) -> bytes:
    """By what a request is given to one of two versions: a row id, or without one the whole body."""
    return next((value for name, value in scope["headers"] if name == ROW_ID), b"") or body


def _document(answer: Answer, _context: Any) -> dict[str, Any]:
    return answer.document


def _rows(service: Service, given: dict[str, Any], most: int) -> list[Any]:
    """The rows of a request, still as they came."""
    table = service.plan.table
    rows = given.get(table.name) if table is not None else None
    if table is None or not isinstance(rows, list):
        return []
    if len(rows) > most:
        raise BadRequest(f"has {len(rows)} rows, {most} are taken", table.name, status=413)
    return rows


def _given(document: Any, service: Service, _most: int) -> tuple[dict[str, Any], None]:
    """What a body of ``POST /predict`` gives: an object by the endpoint's parameters, or of one table just its rows."""
    if isinstance(document, list) and service.plan.table is not None:
        return {service.plan.table.name: document}, None
    if not isinstance(document, dict):
        names = ", ".join(request.name for request in service.plan.requests)
        raise BadRequest(f"the body takes an object with {names}")
    return document, None
