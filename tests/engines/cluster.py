"""A stand-in for a Kubernetes cluster, on loopback: it checks each pod against Kubernetes' own schema, and runs the
command of its first container as a process of this machine, with the variables that the pod has and no others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import kubernetes_validate
from aiohttp import web

VERSION = "1.30"
XCOM = "/airflow/xcom"
_PODS = "/api/v1/namespaces/{namespace}/pods"


class Cluster:
    """Use it as a context manager. ``kubeconfig`` is a file by which clients find it; ``pods`` are all there ever were.

    Args:
        secrets: Secrets of its only namespace: for each its keys and their values.
    """

    def __init__(self, folder: Path, secrets: dict[str, dict[str, str]]) -> None:
        self.folder = folder
        self.secrets = secrets
        self.pods: dict[str, Pod] = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.kubeconfig = folder / "kubeconfig.json"
        named = {"cluster": {"server": f"http://127.0.0.1:{self._port}"}, "context": {"cluster": "it", "user": "it"}}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": named["cluster"]}],
            "contexts": [{"name": "it", "context": named["context"]}],
            "users": [{"name": "it", "user": {}}],
        }
        self.kubeconfig.write_text(json.dumps(document))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Cluster:  # noqa: PYI034 - Self is of 3.11
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.post(_PODS, self._create),
                web.get(_PODS, self._list),
                web.get(f"{_PODS}/{{name}}", self._read),
                web.patch(f"{_PODS}/{{name}}", self._patch),
                web.delete(f"{_PODS}/{{name}}", self._delete),
                web.get(f"{_PODS}/{{name}}/log", self._log),
                web.get(f"{_PODS}/{{name}}/exec", self._exec),
                web.get("/api/v1/namespaces/{namespace}/events", self._events),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def _close(self) -> None:
        for pod in self.pods.values():
            await pod.stop()
        await self._runner.cleanup()

    async def _create(self, request: web.Request) -> web.Response:
        document = await request.json()
        try:
            kubernetes_validate.validate(document, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            return web.json_response({"kind": "Status", "message": str(error)}, status=422)
        metadata = document["metadata"]
        metadata.update(namespace=request.match_info["namespace"], uid=str(len(self.pods)), creationTimestamp=_now())
        pod = Pod(document, self.folder / metadata["name"], self.secrets)
        await pod.start()
        self.pods[metadata["name"]] = pod
        return web.json_response(pod.seen(), status=201)

    async def _list(self, request: web.Request) -> web.Response:
        wanted = request.query.get("labelSelector", "")
        found = [pod.seen() for pod in self.pods.values() if not pod.deleted and _selects(wanted, pod.labels)]
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": found})

    async def _read(self, request: web.Request) -> web.Response:
        pod = self._pod(request)
        return web.json_response(pod.seen())

    async def _patch(self, request: web.Request) -> web.Response:
        pod = self._pod(request)
        pod.labels.update((await request.json())["metadata"]["labels"])
        return web.json_response(pod.seen())

    async def _delete(self, request: web.Request) -> web.Response:
        pod = self._pod(request)
        await pod.stop()
        pod.deleted = True
        return web.json_response(pod.seen())

    async def _log(self, request: web.Request) -> web.Response:
        pod = self._pod(request)
        await pod.ended()
        return web.Response(text="".join(f"{_now()} {line}\n" for line in pod.output.splitlines()))

    async def _exec(self, request: web.Request) -> web.WebSocketResponse:
        """What the side car is asked for: the outcome, and its own end."""
        pod = self._pod(request)
        answer = web.WebSocketResponse(protocols=["v4.channel.k8s.io"])
        await answer.prepare(request)
        if "cat" in request.query.getall("command")[-1]:
            outcome = pod.xcom / "return.json"
            await answer.send_bytes(
                b"\1" + (outcome.read_bytes() if outcome.exists() else b"__airflow_xcom_result_empty__")
            )
        else:
            pod.attended = False
        await answer.close()
        return answer

    async def _events(self, _: web.Request) -> web.Response:
        return web.json_response({"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": []})

    def _pod(self, request: web.Request) -> Pod:
        pod = self.pods.get(request.match_info["name"])
        if pod is None or pod.deleted:
            raise web.HTTPNotFound(text=json.dumps({"kind": "Status", "reason": "NotFound"}))
        return pod


class Pod:
    """A pod and the process of its first container."""

    def __init__(self, document: dict[str, Any], folder: Path, secrets: dict[str, dict[str, str]]) -> None:
        self.document = document
        self.labels: dict[str, str] = document["metadata"].setdefault("labels", {})
        self.xcom = folder / "xcom"
        self.xcom.mkdir(parents=True)
        self.output = ""
        self.deleted = False
        self.attended = len(document["spec"]["containers"]) > 1
        self._secrets = secrets
        self._started = _now()
        self._finished = ""
        self._code: int | None = None

    @property
    def container(self) -> dict[str, Any]:
        """What is said of the first container."""
        found: dict[str, Any] = self.document["spec"]["containers"][0]
        return found

    async def start(self) -> None:
        """Start the process."""
        words = [*self.container["command"], *self.container["args"]]
        self._process = await asyncio.create_subprocess_exec(
            *[word.replace(XCOM, str(self.xcom)) for word in words],
            env={"PATH": os.defpath, **self._variables()},
            cwd=self.xcom,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._following = asyncio.ensure_future(self._follow())

    async def _follow(self) -> None:
        output, _ = await self._process.communicate()
        self.output = output.decode(errors="replace")
        self._finished = _now()
        self._code = self._process.returncode

    async def ended(self) -> None:
        """Wait for its end."""
        await asyncio.shield(self._following)

    async def stop(self) -> None:
        """Kill it, unless it has ended."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self.ended()

    def _variables(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in self.container.get("env", []):
            if reference := one.get("valueFrom", {}).get("secretKeyRef"):
                found[one["name"]] = self._secrets[reference["name"]][reference["key"]]
            else:  # as Kubernetes does: $(NAME) of a variable before it, $$ for a dollar
                pattern = r"\$(\$|\((\w+)\))"
                found[one["name"]] = re.sub(
                    pattern, lambda it: "$" if it[1] == "$" else found.get(it[2], it[0]), one.get("value", "")
                )
        return found

    def seen(self) -> dict[str, Any]:
        """The pod as a client reads it."""
        state: dict[str, Any] = {"running": {"startedAt": self._started}}
        if self._code is not None:
            ended = {"exitCode": abs(self._code), "startedAt": self._started, "finishedAt": self._finished}
            state = {"terminated": ended}
        states = [state, {"running": {}} if self.attended else {"terminated": {"exitCode": 0}}]
        containers = self.document["spec"]["containers"]
        common = {"image": "", "imageID": "", "ready": True, "restartCount": 0}
        statuses = [
            {**common, "name": one["name"], "state": state} for one, state in zip(containers, states, strict=False)
        ]
        over = self._code is not None and not self.attended
        phase = "Running" if not over else "Failed" if self._code else "Succeeded"
        return {**self.document, "status": {"phase": phase, "containerStatuses": statuses}}


def _selects(selector: str, labels: dict[str, str]) -> bool:
    for term in filter(None, selector.split(",")):
        name, unequal, value = term.partition("!=")
        if unequal:
            fits = labels.get(name) != value
        elif term.startswith("!"):
            fits = term[1:] not in labels
        else:
            name, _, value = term.partition("=")
            fits = labels.get(name) == value
        if not fits:
            return False
    return True


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
