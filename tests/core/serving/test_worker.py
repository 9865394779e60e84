"""A worker that is replaced or stopped: no connection breaks, at whatever stage it is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

PROGRAM = """
import asyncio, os, socket, sys
from turnout.serving.app import App, Limits
from turnout.serving.worker import serve

class Gated(App):
    def __init__(self, gate):
        self.limits, self.closing, self.gate = Limits(), False, gate

    async def asgi(self, scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        if scope["path"] == "/gate":  # nothing else happens in this process meanwhile
            os.write(1, b"!")
            os.read(self.gate, 1)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def flush(self):
        pass

listener, told, gate = map(int, sys.argv[1:])
asyncio.run(serve(Gated(gate), socket.socket(fileno=listener), told))
"""


@pytest.fixture
def worker():
    """A worker on a socket that the test holds too, as a supervisor does; ``open`` lets it answer ``/gate``."""
    with ExitStack() as closing:
        listener = closing.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        (ready, told), (gate, opening) = os.pipe(), os.pipe()
        closing.callback(os.close, ready)
        closing.callback(os.close, opening)
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *map(str, (listener.fileno(), told, gate))],
            pass_fds=[listener.fileno(), told, gate],
            stdout=subprocess.PIPE,
        )
        closing.enter_context(process)
        closing.callback(process.kill)
        os.close(told)
        os.close(gate)
        assert os.read(ready, 16) == b"ready"

        def connect(data=b""):
            client = closing.enter_context(socket.create_connection(listener.getsockname()[:2], timeout=60))
            client.sendall(data)
            return client

        def gated():
            """A request that holds the whole worker up, until the gate is opened."""
            client = connect(asked("/gate", last=True))
            assert process.stdout.read(1) == b"!"
            return client

        def left():
            """What is left, whole, to those who hold the socket too: who asks, and with what."""
            listener.settimeout(0)
            while True:
                try:
                    taken = closing.enter_context(listener.accept()[0])
                except BlockingIOError:
                    return
                yield taken.getpeername(), taken.recv(4096)

        yield SimpleNamespace(
            process=process,
            connect=connect,
            gated=gated,
            left=left,
            open=lambda: os.write(opening, b"!"),
        )


def asked(path="/", *, last=False):
    end = "Connection: close\r\n" if last else ""
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{end}Content-Length: 2\r\n\r\n[]".encode()


def answer(client):
    """Whether a connection got its answer, and whether that said that it ends."""
    data = b""
    while not data.endswith(b"\r\n\r\nok"):
        part = client.recv(4096)
        if not part:
            return False, True
        data += part
    return data.startswith(b"HTTP/1.1 200"), b"connection: close" in data.lower()


def ended(client):
    """Whether a connection ends in good order, with nothing more to read."""
    return client.recv(1) == b""


def test_connections_at_each_stage_are_answered_by_a_worker_that_is_replaced(worker):
    silent = worker.connect()
    half = worker.connect(asked()[:30])
    body = worker.connect(asked()[:-1])
    idle = worker.connect(asked())
    assert answer(idle) == (True, False)  # the others came before it: they are accepted as well
    worker.process.send_signal(signal.SIGUSR1)
    idle.sendall(asked())
    while (told := answer(idle)) == (True, False):
        idle.sendall(asked())
    assert told == (True, True)
    waiting = worker.connect(asked())  # nobody accepts it
    silent.sendall(asked())
    half.sendall(asked()[30:])
    body.sendall(asked()[-1:])
    for client in (silent, half, body):
        assert answer(client) == (True, True)
    assert all(ended(client) for client in (idle, silent, half, body))
    assert worker.process.wait(60) == 0
    assert list(worker.left()) == [(waiting.getsockname(), asked())]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
@pytest.mark.parametrize("first", ["the signal", "the request"])
def test_a_connection_that_comes_with_the_signal_is_answered_or_left_to_others(worker, number, first):
    held = worker.gated()
    if first == "the signal":
        worker.process.send_signal(number)
    clients = [worker.connect(asked(last=True)) for _ in range(8)]
    if first == "the request":
        worker.process.send_signal(number)
    worker.open()
    assert answer(held) == (True, True)
    # uvicorn gives a signal on that it has taken
    assert worker.process.wait(60) == (-signal.SIGTERM if number == signal.SIGTERM else 0)
    left = dict(worker.left())
    for client in clients:
        assert left.get(client.getsockname()) == asked(last=True) or answer(client) == (True, True)


def test_a_worker_ends_at_once_when_it_has_no_connections(worker):
    with worker.connect(asked()) as client:
        assert answer(client) == (True, False)
    worker.process.send_signal(signal.SIGUSR1)
    assert worker.process.wait(60) == 0
