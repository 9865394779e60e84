"""Connections of clients: each request has to come in time, as a whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from turnout.serving.app import App

HEADERS = 1 << 16
"""The bytes that headers may have, beyond what is read at once."""


class Connection(HttpToolsProtocol):
    """A connection on which headers have to come within a time, and what is left of a body that nobody reads any more.

    Bodies that are read have a time of their own, see :meth:`.App._body`.
    """

    application: App
    _timer: asyncio.TimerHandle | None = None
    _size = 0

    def connection_made(self, transport: Any) -> None:
        """A client has come, and has said nothing so far."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A client has sent something."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.response_complete:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        if self._timer is None:
            self._size = -len(data)  # it may have the end of a body before the headers
            self._wait()
        self._size += len(data)
        if self._size > HEADERS and self._in_headers:
            self._refuse(431, f"the headers have more than {HEADERS} bytes")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    @property
    def _in_headers(self) -> bool:
        return self.headers is not None and (self.cycle is None or self.cycle.scope is not self.scope)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.application.limits.receive_timeout, self._late)

    def _late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # one before it is being answered
            self._wait()
        elif self._in_headers:
            self._refuse(408, f"the headers did not come within {self.application.limits.receive_timeout:g} s")
        else:
            self.transport.close()

    def _refuse(self, status: int, what: str) -> None:
        if self.transport.is_closing():
            return
        body = self.application.error(what)
        reason = {408: "Request Timeout", 431: "Request Header Fields Too Large"}[status]
        head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()


def connections_of(app: App) -> type[Connection]:
    """The class of the connections of an application."""
    return type("Connection", (Connection,), {"application": app})
