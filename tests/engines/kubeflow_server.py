"""A stand-in for the API of Kubeflow Pipelines (v2beta1), which holds each body against kfp-server-api's own models."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec, PlatformSpec
from typing_extensions import Self

ROOT = "/apis/v2beta1"
TOKEN = "a-token-of-the-tests"
CREATED = "2026-03-01T06:30:00Z"
"""When every recurring run was made."""


class KubeflowServer:
    """Listens on loopback while it is entered; what was sent to it is in its attributes.

    Args:
        certificate: a file with a certificate and its key, to be reached by TLS.
    """

    def __init__(self, certificate: str = "") -> None:
        self.experiments: list[dict[str, Any]] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.recurring: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.failures = 0
        """How many of the next requests are answered with 503."""
        self.page = ""
        """What every request is answered with instead, where it is not empty."""
        self.token = TOKEN
        self.cookie = ""
        """What is asked for instead of a token, where it is not empty."""
        self.held: threading.Event | None = None
        """What the answer to a run that has been started waits for."""
        self._made = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, document = server.answer(self.command, self.path, self.headers, body)
                data = document.encode() if isinstance(document, str) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if isinstance(document, str) else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_DELETE = do_GET

            def log_message(self, *given: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *given: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        """The status and the document that a request gets."""
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        place = parts.path.removeprefix(ROOT)
        self.requests.append(f"{method} {place}")
        if self.page:
            return 200, self.page
        given = headers.get("Cookie") if self.cookie else headers.get("Authorization")
        if given != (self.cookie or f"Bearer {self.token}"):
            return 401, {"error": "no such token"}
        if self.failures:
            self.failures -= 1
            return 503, {"error": "not now"}
        match method, *place.strip("/").split("/"):
            case "GET", "healthz":
                return 200, {"multi_user": False}
            case _, "experiments" | "runs" | "recurringruns", *_:
                return self._run(method, place.strip("/"), query, body)
            case _, "pipelines", *rest:
                return self._pipeline(method, rest, query, body)
        return 404, {"error": "there is no such thing"}

    def _run(self, method: str, place: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        """Experiments, runs and recurring runs."""
        name, _, call = place.partition(":")
        match method, *name.split("/"):
            case "GET", "experiments":
                return 200, {"experiments": chosen(self.experiments, query)}
            case "POST", "experiments":
                made = {**checked(body, "V2beta1Experiment"), "experiment_id": self._id("experiment")}
                self.experiments.append(made)
                return 200, made
            case "GET", "runs":
                return 200, {"runs": list(self.runs.values())}
            case "POST", "runs":
                made = checked(body, "V2beta1Run")
                spec = made["pipeline_spec"]
                specification(spec.get("pipeline_spec", spec), spec.get("platform_spec"))
                made.update(run_id=f"run-{len(self.runs)}", state="RUNNING")
                self._see(made)
                self.runs[made["run_id"]] = made
                if self.held is not None:
                    self.held.wait(60)
                return 200, made
            case "GET", "runs", run if run in self.runs:
                return 200, self.runs[run]
            case "POST", "runs", run if run in self.runs and call == "terminate":
                self.runs[run]["state"] = "CANCELED"
                return 200, {}
            case "GET", "recurringruns":
                return 200, {"recurringRuns": chosen(self.recurring.values(), query)}
            case "POST", "recurringruns":
                made = {**checked(body, "V2beta1RecurringRun"), "recurring_run_id": self._id("recurring")}
                scheduled(made)
                assert made["pipeline_version_reference"]["pipeline_version_id"] in self.versions
                made["created_at"] = CREATED
                self._see(made)
                self.recurring[made["recurring_run_id"]] = made
                return 200, made
            case "POST", "recurringruns", one if one in self.recurring and call in {"enable", "disable"}:
                self.recurring[one]["mode"] = call.upper()
                return 200, {}
            case "DELETE", "recurringruns", one if one in self.recurring:
                del self.recurring[one]
                return 200, {}
        return 404, {"error": "there is no such thing"}

    def _pipeline(self, method: str, place: list[str], query: dict[str, str], body: bytes) -> tuple[int, Any]:
        """Pipelines and their versions."""
        match method, *place:
            case ("GET",):
                return 200, {"pipelines": chosen(self.pipelines.values(), query)}
            case ("POST",):
                made = {**checked(body, "V2beta1Pipeline"), "pipeline_id": self._id("pipeline")}
                self.pipelines[made["pipeline_id"]] = made
                return 200, made
            case "POST", "upload_version":
                assert query["pipelineid"] in self.pipelines
                documents = list(yaml.safe_load_all(uploaded(body)))
                specification(*documents)
                made = {"display_name": query["name"], "pipeline_id": query["pipelineid"]}
                made.update(pipeline_version_id=self._id("version"), pipeline_spec=documents[0])
                self.versions[made["pipeline_version_id"]] = made
                return 200, made
            case "GET", one, "versions" if one in self.pipelines:
                mine = [version for version in self.versions.values() if version["pipeline_id"] == one]
                return 200, {"pipeline_versions": chosen(mine, query)}
            case "DELETE", one, "versions", version if version in self.versions:
                assert self.versions.pop(version)["pipeline_id"] == one
                return 200, {}
            case "DELETE", one if one in self.pipelines:
                assert all(version["pipeline_id"] != one for version in self.versions.values())
                del self.pipelines[one]
                return 200, {}
        return 404, {"error": "there is no such thing"}

    def _see(self, made: dict[str, Any]) -> None:
        """See that the experiment of a run is one that was made."""
        assert made["experiment_id"] in {one["experiment_id"] for one in self.experiments}

    def _id(self, kind: str) -> str:
        self._made += 1
        return f"{kind}-{self._made}"


def arrived(value: Any) -> Any:
    """What comes of a run's inputs on their way to its tasks: there is one kind of number, and no order of keys."""
    if isinstance(value, dict):
        return {name: arrived(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [arrived(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def chosen(found: Iterable[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    """What a filter of a query leaves."""
    predicates = json.loads(query.get("filter", "{}")).get("predicates", [])
    for one in predicates:
        assert one["key"] in {"display_name", "name"}, one
        assert one["operation"] in {"EQUALS", 1}, one
    names = {one.get("stringValue", one.get("string_value")) for one in predicates}
    return [one for one in found if not names or one["display_name"] in names]


def checked(body: bytes, model: str) -> dict[str, Any]:
    """A body as the model of kfp-server-api reads it; nothing may be in it, however deep, that the model does not know."""
    document: dict[str, Any] = json.loads(body)
    kfp_server_api.ApiClient().deserialize(SimpleNamespace(data=body.decode()), model)
    known(document, model)
    return document


def known(document: Any, model: str) -> None:
    """Hold the names of fields against a model and those inside of it."""
    cls = getattr(kfp_server_api, model, None)
    if cls is None or not isinstance(document, dict):
        return
    fields = {name: cls.openapi_types[attribute] for attribute, name in cls.attribute_map.items()}
    assert set(document) <= set(fields), f"{model} has no {set(document) - set(fields)}"
    for name, value in document.items():
        known(value, fields[name])


def scheduled(made: dict[str, Any]) -> None:
    """See that a back end would take the trigger of a recurring run."""
    trigger = made["trigger"]
    assert len(trigger) == 1
    if "cron_schedule" in trigger:
        fields = trigger["cron_schedule"]["cron"].split(" ")
        assert len(fields) == 6, "seconds come first"
        assert re.fullmatch(r"(\*|[0-6](-[0-6])?)(/[0-9])?(,[0-6](-[0-6])?)*", fields[-1]), fields
    else:
        assert int(trigger["periodic_schedule"]["interval_second"]) > 0
    for one in trigger.values():
        assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", one.get("start_time", CREATED)), one
    assert 1 <= int(made["max_concurrency"]) <= 10
    assert made["mode"] == "ENABLE"


def uploaded(body: bytes) -> str:
    """The text of an uploaded file."""
    text = body.decode()
    return text[text.index("# The pipeline") : text.rindex("\r\n--")]


def specification(pipeline: Any, platform: Any = None) -> None:
    """See that documents are a specification, and what it says of a platform."""
    json_format.ParseDict(pipeline, PipelineSpec())
    if platform is not None:
        json_format.ParseDict(platform, PlatformSpec())
