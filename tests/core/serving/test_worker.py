"""A worker's connections: none breaks when it is replaced or stopped, at whatever stage it is; and none lasts for ever."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace

import pytest

PROGRAM = """
import asyncio, os, select, socket, sys
from turnout.serving.app import App, Limits
from turnout.serving.worker import serve

class Gated(App):
    def __init__(self, gate, receive_timeout):
        self.limits, self.closing, self.gate = Limits(receive_timeout=receive_timeout), False, gate

    async def asgi(self, scope, receive, send):
        while scope["path"] != "/early" and (await receive()).get("more_body"):
            pass
        if scope["path"] == "/gate":  # nothing else happens in this process meanwhile
            os.write(1, b"!")
            os.read(self.gate, 1)
        if scope["path"] == "/slow":
            os.write(1, b"!")
            while not select.select([self.gate], [], [], 0)[0]:
                await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def flush(self):
        pass

listener, told, gate = map(int, sys.argv[1:4])
receive, stop = map(float, sys.argv[4:])
asyncio.run(serve(Gated(gate, receive), socket.socket(fileno=listener), told, stop_timeout=stop))
"""


@pytest.fixture
def worker():
    with working() as worker:
        yield worker


@pytest.fixture
def hasty():
    """A worker that waits for nothing."""
    with working(receive_timeout=0.4, stop_timeout=0.4) as worker:
        yield worker


@contextmanager
def working(receive_timeout=60.0, stop_timeout=60.0):
    """A worker on a socket that the test holds too, as a supervisor does; ``open`` lets it answer ``/gate``."""
    with ExitStack() as closing:
        listener = closing.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        (ready, told), (gate, opening) = os.pipe(), os.pipe()
        closing.callback(os.close, ready)
        closing.callback(os.close, opening)
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *map(str, (listener.fileno(), told, gate, receive_timeout, stop_timeout))],
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

        def gated(path="/gate"):
            """A request that is under way, and holds the whole worker up, until the gate is opened."""
            client = connect(asked(path, last=True))
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


def test_a_request_under_way_has_a_time_of_its_own_when_its_worker_is_replaced(worker, hasty):
    client, cut = worker.gated("/slow"), hasty.gated("/slow")
    for one in (worker, hasty):
        one.process.send_signal(signal.SIGUSR1)
    assert hasty.process.wait(60) == 0
    assert answer(cut)[0] is False
    worker.open()
    assert answer(client) == (True, True)
    assert worker.process.wait(60) == 0


def everything(client):
    """What a connection gives until it ends."""
    data = b""
    with suppress(ConnectionResetError):
        while part := client.recv(4096):
            data += part
    return data


def trickling(client, part):
    """What a connection gives whose client sends a little, again and again."""
    with suppress(BrokenPipeError, ConnectionResetError):
        while not select.select([client], [], [], 0.02)[0]:
            client.sendall(part)
    return everything(client)


def test_headers_that_do_not_end_are_refused(hasty):
    begun = asked()[:30]
    for told in (everything(hasty.connect(begun)), trickling(hasty.connect(begun), b"a")):
        assert told.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert told.endswith(b'{"error":{"what":"the headers did not come within 0.4 s"}}')
    assert everything(hasty.connect()) == b""
    with hasty.connect(asked(last=True)) as client:
        assert answer(client) == (True, True)


def test_headers_without_measure_are_refused(worker):
    told = trickling(worker.connect(b"GET / HTTP/1.1\r\n"), b"a: " + b"b" * (1 << 12) + b"\r\n")
    assert told.startswith(b"HTTP/1.1 431 ")
    assert b"the headers have more than 65536 bytes" in told


def test_what_is_left_of_a_body_that_nobody_reads_ends(hasty):
    begun = asked("/early").replace(b"Content-Length: 2", b"Content-Length: 100000")
    client = hasty.connect(begun)
    assert answer(client) == (True, False)
    assert trickling(client, b"a") == b""


def test_a_request_that_is_answered_for_long_is_not_late(hasty):
    client = hasty.gated("/slow")
    client.sendall(asked()[:30])
    assert everything(hasty.connect(asked()[:30])).startswith(b"HTTP/1.1 408")
    hasty.open()
    assert answer(client)[0] is True
