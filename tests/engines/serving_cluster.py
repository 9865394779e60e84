"""A stand-in for a cluster with KServe, Seldon Core v1 and v2, on loopback, for Kubernetes' own client.

It keeps what is applied, holds each object to its schema and to the rules of its kind, refuses what has changed meanwhile, and
serves: the containers of endpoints run as processes of this machine, behind a gateway that shares requests as the objects say.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml
from crds import VERSIONS, problems
from serving_pods import Pod, asked, condition

Document = dict[str, Any]
CORE = {"configmaps": "ConfigMap", "services": "Service", "secrets": "Secret", "pods": "Pod"}
CUSTOM = {
    "inferenceservices": "InferenceService",
    "seldondeployments": "SeldonDeployment",
    "models": "Model",
    "servers": "Server",
    "experiments": "Experiment",
    "pipelines": "Pipeline",
    "servicemonitors": "ServiceMonitor",
    "prometheusrules": "PrometheusRule",
}
_PATH = re.compile(r"/(api/v1|apis/[^/]+/[^/]+)/namespaces/([^/]+)/([^/]+)(?:/([^/]+))?(?:/(log))?\Z")


class ServingCluster:
    """Use it as a context manager. ``kubeconfig`` is a file by which clients find it, ``gateway`` where endpoints answer.

    ``secrets`` are Secrets and their keys; ``faults`` are statuses that the next requests are answered with;
    ``held`` are fields that someone else has set: ``(plural, name)`` to a path of keys; ``unknown`` are kinds that are not
    installed, ``blind`` fields of a spec that its version of a tool does not know. ``requests`` are all that were made.
    For ``late`` looks at a changed object its tool says what was so before; a ``mute`` one never says of which generation it
    speaks. ``answering`` is whether containers of the image ``pause/…``, which are no processes, are ready.
    """

    namespace = "models"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects: dict[tuple[str, str], Document] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self.faults: deque[int] = deque()
        self.held: dict[tuple[str, str], tuple[str, ...]] = {}
        self.unknown: set[str] = set()
        self.blind: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        self.late = 0
        self.mute = False
        self.answering = True
        self.interpreter = sys.executable
        self.meanwhile: list[Any] = []
        self._pods: dict[str, Pod] = {}
        self._count = 0
        self._shown: dict[tuple[str, str], Document] = {}
        self._before: dict[tuple[str, str], tuple[int, Document]] = {}
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._answer))
        self._gateway = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._route))
        self.url, self.gateway = (f"http://127.0.0.1:{one.server_address[1]}" for one in (self._server, self._gateway))
        self.kubeconfig = folder / "kubeconfig.json"
        self.kubeconfig.write_text(json.dumps(kubeconfig(self.url)))

    def __enter__(self) -> ServingCluster:  # noqa: PYI034 - Self is of 3.11
        self._threads = [
            threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            for one in (self._server, self._gateway)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._server, self._gateway):
            one.shutdown()
            one.server_close()
        for thread in self._threads:
            thread.join(30)
        self.clear()

    def clear(self) -> None:
        """Take everything away."""
        with self._lock:
            self.objects.clear()
            for pod in self._pods.values():
                pod.stop()
            self._pods.clear()

    # The API server

    def _answer(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Any]:
        with self._lock:
            url = urlsplit(request.path)
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            self.requests.append((request.command, url.path))
            if self.faults:
                status = self.faults.popleft()
                if status:
                    return status, _status(status, "it was told to", "")
            found = _PATH.match(url.path)
            if found is None or found[2] != self.namespace or found[3] in self.unknown:
                return 404, "404 page not found"
            self._reconcile()
            root, _, plural, name, log = found.groups()
            if log:
                pod = self._pods.get(name)
                return (404, _status(404, "no such pod", "NotFound")) if pod is None else (200, pod.log.read_text())
            handler = {"GET": self._get, "PATCH": self._apply, "DELETE": self._delete}[request.command]
            return handler(root, plural, name, query, request, body)

    def _get(self, root: str, plural: str, name: str | None, query: dict[str, str], *_: Any) -> tuple[int, Any]:
        if plural == "secrets":
            if name not in self.secrets:
                return 404, _status(404, f'secrets "{name}" not found', "NotFound")
            return 200, {"kind": "Secret", "metadata": {"name": name}, "data": self.secrets[name]}
        everything = (
            {key[1]: self._seen(key) for key in self.objects if key[0] == plural}
            if plural != "pods"
            else {key: pod.seen() for key, pod in self._pods.items()}
        )
        if name is not None:
            if name not in everything:
                return 404, _status(404, f'{plural} "{name}" not found', "NotFound")
            return 200, everything[name]
        items = [
            one for one in everything.values() if _selects(query.get("labelSelector", ""), one["metadata"]["labels"])
        ]
        return 200, {"kind": "List", "metadata": {}, "items": items}

    def _apply(
        self,
        root: str,
        plural: str,
        name: str | None,
        query: dict[str, str],
        request: BaseHTTPRequestHandler,
        body: bytes,
    ) -> tuple[int, Any]:
        if request.headers["Content-Type"] != "application/apply-patch+yaml" or not query.get("fieldManager"):
            return 415, _status(415, "not an apply patch of a field manager", "UnsupportedMediaType")
        document = yaml.safe_load(body)
        if wrong := _wrong(document, root, plural, name, self.namespace):
            return 422, _status(422, f"{document.get('kind')} {name!r} is invalid: {wrong}", "Invalid")
        if self.meanwhile:
            self.meanwhile.pop(0)()
        old = self.objects.get((plural, name or ""))
        version = document["metadata"].pop("resourceVersion", None)
        if version is not None and (old is None or old["metadata"]["resourceVersion"] != version):
            return 409, _status(
                409, "the object has been modified; apply your changes to the latest version", "Conflict"
            )
        if old is not None and old.get("immutable") and old["data"] != document["data"]:
            return 422, _status(422, "data: Forbidden: field is immutable when `immutable` is set", "Invalid")
        path = self.held.get((plural, name or ""))
        if old is not None and path and query.get("force") != "true" and _at(old, path) != _at(document, path):
            causes = [
                {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl-edit"', "field": ".".join(path)}
            ]
            said = _status(
                409, f'Apply failed with 1 conflict: conflict with "kubectl-edit": .{".".join(path)}', "Conflict"
            )
            return 409, {**said, "details": {"causes": causes}}
        for field in self.blind:
            document.get("spec", {}).pop(field, None)
        if old is not None:
            self._before[plural, name or ""] = self.late, self._shown.get((plural, name or ""), {})
        self._count += 1
        generation = 1 if old is None else old["metadata"]["generation"] + (old.get("spec") != document.get("spec"))
        document["metadata"].update(resourceVersion=str(self._count), generation=generation, uid=f"{plural}/{name}")
        self.objects[plural, name or ""] = document
        self._reconcile()
        return 200 if old is not None else 201, self._seen((plural, name or ""))

    def _delete(self, root: str, plural: str, name: str | None, *_: Any) -> tuple[int, Any]:
        if self.objects.pop((plural, name or ""), None) is None:
            return 404, _status(404, f'{plural} "{name}" not found', "NotFound")
        self._reconcile()
        return 200, _status(200, "", "")

    def edit(self, plural: str, name: str, path: tuple[str, ...], value: Any) -> None:
        """Change a field, as someone else."""
        with self._lock:
            self._count += 1
            document = self.objects[plural, name]
            _at(document, path[:-1])[path[-1]] = value
            document["metadata"]["resourceVersion"] = str(self._count)

    # The tools' controllers

    def _reconcile(self) -> None:
        """Start the pods that objects ask for; those that are replaced end when their successors are ready."""
        wanted: dict[str, Document] = {}
        for (plural, name), document in self.objects.items():
            spec = document.get("spec", {})
            if plural == "inferenceservices":
                for one in [spec["predictor"], *(canary["predictor"] for canary in spec.get("canary", []))]:
                    wanted[f"{name}-{one['name']}-predictor"] = {"spec": one, "labels": one["labels"]}
            elif plural == "seldondeployments":
                for one in spec["predictors"]:
                    for n, component in enumerate(one["componentSpecs"]):
                        labels = component["metadata"]["labels"]
                        wanted[f"{name}-{one['name']}-{n}"] = {"spec": component["spec"], "labels": labels}
            elif plural == "servers":
                wanted[name] = {"spec": spec["podSpec"], "labels": {}}
        for slot, template in wanted.items():
            digest = json.dumps(template, sort_keys=True)
            mine = [pod for pod in self._pods.values() if pod.slot == slot]
            if not any(pod.digest == digest for pod in mine):
                self._count += 1
                name = f"{slot}-0" if not template["labels"] else f"{slot}-{self._count}"
                if name in self._pods:
                    self._pods.pop(name).stop()
                config = {key[1]: one["data"] for key, one in self.objects.items() if key[0] == "configmaps"}
                self._pods[name] = Pod(name, slot, digest, template, self.folder, config, self)
            newest = next(pod for pod in self._pods.values() if pod.slot == slot and pod.digest == digest)
            if newest.ready:
                for pod in mine:
                    if pod is not newest and pod.name in self._pods:
                        self._pods.pop(pod.name).stop()
        for name in [name for name, pod in self._pods.items() if pod.slot not in wanted]:
            self._pods.pop(name).stop()

    def _ready(self, slot: str) -> bool:
        """Whether the newest pod of a slot answers, and no other is left."""
        mine = [pod for pod in self._pods.values() if pod.slot == slot]
        return len(mine) == 1 and mine[0].ready

    def _seen(self, key: tuple[str, str]) -> Document:
        """An object with its status."""
        document, (plural, name) = self.objects[key], key
        spec, generation = document.get("spec", {}), document["metadata"]["generation"]
        status: Document | None = None
        if plural == "inferenceservices":
            canaries = [
                {"name": one["predictor"]["name"], "trafficPercent": one["trafficPercent"],
                 "ready": self._ready(f"{name}-{one['predictor']['name']}-predictor")}
                for one in spec.get("canary", [])
            ]  # fmt: skip
            ready = self._ready(f"{name}-{spec['predictor']['name']}-predictor")
            conditions = [condition("Ready", ready), condition("PredictorReady", ready)]
            url = f"http://{name}.{self.namespace}.example.com"
            status = {
                "observedGeneration": generation,
                "conditions": conditions,
                "canaryStatuses": canaries,
                "url": url,
            }
        elif plural == "seldondeployments":
            slots = [
                f"{name}-{one['name']}-{n}" for one in spec["predictors"] for n in range(len(one["componentSpecs"]))
            ]
            ready = all(map(self._ready, slots))
            status = {"state": "Available" if ready else "Creating", "observedGeneration": generation}
        elif plural in {"models", "experiments", "servers", "pipelines"}:
            servers = [self.objects[key]["spec"]["server"] for key in self.objects if key[0] == "models"]
            ready = all(map(self._ready, [spec["server"]] if plural == "models" else servers))
            status = {"observedGeneration": generation, "conditions": [condition("Ready", ready)]}
        if status is None:
            return document
        looks, before = self._before.get(key, (0, status))
        if looks:
            self._before[key] = looks - 1, before
            status = before
        self._shown[key] = status
        return {**document, "status": {name: one for name, one in status.items() if not self.mute or "Gen" not in name}}

    # The gateway

    def _route(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Any]:
        with self._lock:
            self._reconcile()
            self._count += 1
            turn = self._count % 100
            host = request.headers["Host"].partition(".")[0]
            if ("inferenceservices", host) in self.objects:
                spec = self.objects["inferenceservices", host]["spec"]
                shares = [(one["predictor"]["name"], one["trafficPercent"]) for one in spec.get("canary", [])]
                slot = _chosen([*shares, (spec["predictor"]["name"], 100)], turn)
                ports = [self._port(f"{host}-{slot}-predictor")]
            elif found := re.match(r"/seldon/models/([^/]+)/api/v1.0/predictions\Z", request.path):
                spec = self.objects["seldondeployments", found[1]]["spec"]
                shares = [(one["name"], one["traffic"]) for one in spec["predictors"] if not one.get("shadow")]
                slot = _chosen(shares, turn)
                count = next(len(one["componentSpecs"]) for one in spec["predictors"] if one["name"] == slot)
                ports = [self._port(f"{found[1]}-{slot}-{n}") for n in range(count)]
            elif found := re.match(r"/v2/models/([^/]+)/infer\Z", request.path):
                model = found[1]
                experiment = next((one for key, one in self.objects.items() if key[0] == "experiments"), None)
                if experiment is not None and experiment["spec"]["default"] == model:
                    candidates = experiment["spec"]["candidates"]
                    model = _chosen([(one["name"], one["weight"]) for one in candidates], turn)
                ports = [self._port(self.objects["models", model]["spec"]["server"])]
            else:
                return 404, "no such route"
        if "jsonData" not in (json.loads(body) if body else {}):
            return asked(ports[0], request.path, body)
        answer = json.loads(body)["jsonData"]
        for port in ports:
            status, answer = asked(port, "/predict", json.dumps(answer).encode())
            if status != 200:
                return status, answer
            answer = answer.get("next", answer)
        return 200, {"jsonData": answer}

    def _port(self, slot: str) -> int:
        mine = [pod for pod in self._pods.values() if pod.slot == slot and pod.ready]
        return mine[0].port if mine else 1


def kubeconfig(url: str) -> Document:
    """A kubeconfig that leads to a URL."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": url}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "users": [{"name": "it", "user": {"token": "shibboleth"}}],
    }


def _wrong(document: Document, root: str, plural: str, name: str | None, namespace: str) -> str:
    """What is wrong with an object that is applied."""
    metadata = document["metadata"]
    if (metadata.get("name"), metadata.get("namespace")) != (name, namespace):
        return "its name or namespace is not that of the path"
    if f"{'api' if document['apiVersion'] == 'v1' else 'apis'}/{document['apiVersion']}" != root:
        return f"{document['apiVersion']} is not of {root}"
    if document["kind"] in VERSIONS:
        return "; ".join(problems(document)) if document["kind"] == CUSTOM.get(plural) else "another kind"
    if plural in CORE:
        try:
            kubernetes_validate.validate(document, "1.30", strict=True)
        except kubernetes_validate.ValidationError as error:
            return str(error)
        return "" if document["kind"] == CORE[plural] else "another kind"
    return "no such kind"


def _chosen(shares: list[tuple[str, int]], turn: int) -> str:
    """Whose turn it is; the last share is what is left."""
    for name, share in shares:
        if turn < share:
            return name
        turn -= share
    return shares[-1][0]


def _selects(selector: str, labels: dict[str, str]) -> bool:
    for term in filter(None, selector.split(",")):
        name, equals, value = term.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    return True


def _at(document: Document, path: tuple[str, ...]) -> Any:
    found: Any = document
    for key in path:
        found = found.get(key, {})
    return found


def _status(code: int, message: str, reason: str) -> Document:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "message": message, "reason": reason, "metadata": {}}


def _handler(answer: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = answer(self, body)
            data = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(document, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _handle

        def log_message(self, *_: Any) -> None:
            """Nothing is told."""

    return Handler
