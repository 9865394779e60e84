"""The API of an engine as it may answer: what is asked again, who is told who asks, and what each error says."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from turnout.engines import http
from turnout.plugin_api import ConfigError, HttpApi, NotFound, RunError, Upload


class Engine:
    """Answers each request with the next of a list: a status and a document, or where else to look."""

    def __init__(self):
        self.answers: list[tuple[int, object]] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                engine.asked.append((self.command, self.path, dict(self.headers), body))
                status, document = engine.answers.pop(0)
                data = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", document)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_DELETE = do_GET

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def start(monkeypatch):
    monkeypatch.setattr(http, "PAUSE", 0.0)
    engines = []

    def make():
        engines.append(Engine())
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(start):
    return start()


class Api(HttpApi):
    engine = "Locomotive"
    root = "/v1"
    fix_access = "give a token"
    fix_request = "ask otherwise"
    token = "old"

    def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    def sign_in(self):
        self.token = "new"
        return True


def test_a_call_and_its_query(engine):
    engine.answers = [(200, {"runs": []})]
    query = {"name": "a b", "page": 2, "none": None}
    assert Api(engine.url + "/").call("GET", "/runs", query=query) == {"runs": []}
    ((method, path, headers, body),) = engine.asked
    assert (method, path, body) == ("GET", "/v1/runs?name=a+b&page=2", b"")
    assert (headers["Authorization"], headers["Accept"]) == ("Bearer old", "application/json")


def test_an_upload(engine):
    engine.answers = [(201, None)]
    assert Api(engine.url).call("POST", "/files", Upload("file", "a.yaml", b"\x00\r\n")) is None
    _, _, headers, body = engine.asked[0]
    boundary = headers["Content-Type"].removeprefix("multipart/form-data; boundary=").encode()
    assert body.split(b"\r\n\r\n", 1)[1] == b"\x00\r\n\r\n--" + boundary + b"--\r\n"
    assert b'name="file"; filename="a.yaml"' in body


def test_it_signs_in_once(engine):
    engine.answers = [(401, {}), (200, 1), (401, {}), (401, {"detail": "no"})]
    api = Api(engine.url)
    assert api.call("GET", "/runs") == 1
    assert [headers["Authorization"] for *_, headers, _ in engine.asked] == ["Bearer old", "Bearer new"]
    with pytest.raises(ConfigError, match=r"refuses to GET /runs \(401\)") as caught:
        api.call("GET", "/runs")
    assert (caught.value.why, caught.value.fix) == ("no", "give a token")


@pytest.mark.parametrize(("method", "again", "tries"), [("GET", None, 4), ("POST", None, 1), ("POST", True, 4)])
def test_what_fails_is_asked_again_where_nothing_can_happen_twice(engine, method, again, tries):
    engine.answers = [(503, {"message": "busy"})] * 9
    with pytest.raises(RunError, match=r"Locomotive at .* failed at .* \(503\)") as caught:
        Api(engine.url).call(method, "/runs", again=again)
    assert (caught.value.why, len(engine.asked)) == ("busy", tries)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        ((404, {"error": "gone"}), NotFound, "has no /runs"),
        ((422, b"odd"), ConfigError, r"does not accept GET /runs \(422\)"),
        ((200, b"<html>"), ConfigError, "is no Locomotive: /v1/runs gives no JSON"),
    ],
)
def test_what_else_it_answers(engine, answer, kind, text):
    engine.answers = [answer]
    with pytest.raises(kind, match=text):
        Api(engine.url).call("GET", "/runs", query={"page": 1})
    assert len(engine.asked) == 1


def test_nothing_answers(start):
    engine = Engine()
    engine.answers = [(200, 1)]
    api = Api(engine.url)
    api.call("GET", "/runs")
    engine.close()
    with pytest.raises(RunError, match="no Locomotive answers at"):
        api.call("GET", "/runs")
    with pytest.raises(ConfigError, match="no Locomotive answers at"):
        Api(engine.url).call("GET", "/runs")


@pytest.mark.parametrize("there", [True, False])
def test_one_thing_is_made_once(engine, there):
    engine.answers = [(500, {}), (200, {}) if there else (404, {}), (200, {})]
    Api(engine.url).create("/runs", {"id": "r"}, "/runs/r")
    asked = [f"{method} {path}" for method, path, *_ in engine.asked]
    assert asked == ["POST /v1/runs", "GET /v1/runs/r", "POST /v1/runs"][: 2 if there else 3]
    engine.answers = [(404, {"detail": "no such project"})]
    with pytest.raises(NotFound, match="has no /runs"):
        Api(engine.url).create("/runs", {}, "/runs/r")


def test_a_redirect_tells_nobody_else_who_asks(start):
    one, other = start(), start()
    one.answers = [(302, f"{other.url}/x"), (302, f"{one.url}/y"), (200, 2)]
    other.answers = [(200, 1)]
    api = Api(one.url)
    assert api.call("GET", "/runs") == 1
    assert "Authorization" not in other.asked[0][2]
    assert api.call("GET", "/runs") == 2
    assert one.asked[-1][2]["Authorization"] == "Bearer old"


@pytest.mark.parametrize(
    ("url", "text"),
    [("", "the stack gives no URL of Locomotive"), ("file:///x", "'file:///x' is not the URL of a Locomotive")],
)
def test_a_url_that_is_none(url, text):
    with pytest.raises(ConfigError, match=text):
        Api(url)


def test_certificates_that_are_none(tmp_path):
    (tmp_path / "ca.pem").write_text("none")
    for name in ("ca.pem", "absent.pem"):
        with pytest.raises(ConfigError, match="cannot be read as certificates"):
            Api("https://127.0.0.1:1", str(tmp_path / name))
