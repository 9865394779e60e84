"""A stand-in for the API of Kubeflow Pipelines (v2beta1), which holds each body against kfp-server-api's own models."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec
from typing_extensions import Self

ROOT = "/apis/v2beta1"
TOKEN = "a-token-of-the-tests"


class KubeflowServer:
    """Listens on loopback while it is entered; what was sent to it is in its attributes."""

    def __init__(self) -> None:
        self.experiments: list[dict[str, Any]] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.versions: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.failures = 0
        """How many of the next requests are answered with 503."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            do_POST = do_GET

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, document = server.answer(self.command, self.path, self.headers, body)
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *given: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

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
        place = parts.path.removeprefix(ROOT)
        self.requests.append(f"{method} {place}")
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"error": "no such token"}
        if self.failures:
            self.failures -= 1
            return 503, {"error": "not now"}
        match method, *place.strip("/").split("/"):
            case "GET", "healthz":
                return 200, {"multi_user": False}
            case "GET", "experiments":
                return 200, {"experiments": self.experiments}
            case "POST", "experiments":
                made = {**checked(body, "V2beta1Experiment"), "experiment_id": f"experiment-{len(self.experiments)}"}
                self.experiments.append(made)
                return 200, made
            case "POST", "runs":
                made = checked(body, "V2beta1Run")
                json_format.ParseDict(made["pipeline_spec"], PipelineSpec())
                assert made["experiment_id"] in {one["experiment_id"] for one in self.experiments}
                made.update(run_id=f"run-{len(self.runs)}", state="RUNNING")
                self.runs[made["run_id"]] = made
                return 200, made
            case "GET", "runs", run if run in self.runs:
                return 200, self.runs[run]
            case "POST", "runs", run if run.removesuffix(":terminate") in self.runs:
                self.runs[run.removesuffix(":terminate")]["state"] = "CANCELED"
                return 200, {}
            case "GET", "pipelines":
                return 200, {"pipelines": list(self.pipelines.values())}
            case "POST", "pipelines", "upload":
                name = parse_qs(parts.query)["name"][0]
                made = {"pipeline_id": f"pipeline-{len(self.pipelines)}", "display_name": name}
                parsed(body)
                self.pipelines[name] = made
                return 200, made
            case "POST", "pipelines", "upload_version":
                parsed(body)
                given = parse_qs(parts.query)
                self.versions.append({"display_name": given["name"][0], "pipeline_id": given["pipelineid"][0]})
                return 200, self.versions[-1]
            case "GET", "pipelines", _, "versions":
                return 200, {"pipeline_versions": self.versions}
        return 404, {"error": "there is no such thing"}


def checked(body: bytes, model: str) -> dict[str, Any]:
    """A body as the model of kfp-server-api reads it; nothing may be in it that the model does not know."""
    document: dict[str, Any] = json.loads(body)
    read = kfp_server_api.ApiClient().deserialize(SimpleNamespace(data=body.decode()), model)
    unknown = set(document) - set(read.attribute_map.values())
    assert not unknown, f"{model} has no {unknown}"
    return document


def parsed(body: bytes) -> None:
    """See that an uploaded file holds a specification."""
    text = body.decode()
    document = text[text.index("# The pipeline") : text.rindex("\r\n--")]
    json_format.ParseDict(yaml.safe_load(document), PipelineSpec())
