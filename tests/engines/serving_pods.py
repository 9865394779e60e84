"""The pods of a stand-in for a cluster: the container of an endpoint runs as a process of this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from serving_cluster import ServingCluster

Document = dict[str, Any]


class Pod:
    """The process of the container of an endpoint.

    Of an image ``missing/…`` there is none, nor of one ``pause/…``, which is ready when the cluster is ``answering``.
    """

    def __init__(
        self,
        name: str,
        slot: str,
        digest: str,
        template: Document,
        folder: Path,
        config: dict[str, dict[str, str]],
        cluster: ServingCluster,
    ) -> None:
        self.name, self.slot, self.digest, self.template = name, slot, digest, template
        self.labels = template["labels"]
        spec = template["spec"]
        container = next(one for one in spec["containers"] if one["name"] in {"kserve-container", "turnout"})
        self.container = container["name"]
        self.log = folder / f"{name}.log"
        self.waiting = "ErrImagePull" if container["image"].startswith("missing/") else ""
        self.pausing = container["image"].startswith("pause/")
        self.cluster = cluster
        self.process: subprocess.Popen[bytes] | None = None
        self._answered = False
        self.log.touch()
        environ = {"PATH": os.defpath, "HOME": str(folder), "TURNOUT_CACHE": str(folder / "cache")}
        for one in container.get("env", []):
            reference = one.get("valueFrom", {}).get("secretKeyRef")
            environ[one["name"]] = (
                one["value"] if reference is None else cluster.secrets[reference["name"]][reference["key"]]
            )
        mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        volume = next(one for one in spec["volumes"] if one["name"] == "endpoint")["configMap"]
        mounted = folder / name
        self.temporary = mounted / "tmp"
        shutil.rmtree(self.temporary, ignore_errors=True)  # another pod of the name had it
        self.temporary.mkdir(parents=True, exist_ok=True)
        environ["TMPDIR"] = str(self.temporary)
        for item in volume["items"]:
            (mounted / item["path"]).write_text(config[volume["name"]][item["key"]])
        environ["TURNOUT_ENDPOINT"] = environ["TURNOUT_ENDPOINT"].replace(mounts["endpoint"], str(mounted))
        assert container["command"][0] == "python"
        if not self.waiting and not self.pausing:
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    [cluster.interpreter, *container["command"][1:], *container.get("args", []),
                     *("--host", "127.0.0.1", "--port", "0")],
                    env=environ, cwd=mounted, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                    start_new_session=True,
                )  # fmt: skip

    @property
    def port(self) -> int:
        """The port that its server was given, and has written down; one that nobody answers at until then."""
        for path in self.temporary.glob("turnout-endpoint-*/serving.json"):
            if url := json.loads(path.read_bytes())["url"]:
                return urlsplit(url).port or 1
        return 1

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        if self.pausing:
            return self.cluster.answering
        if not self._answered and self.process is not None and self.process.poll() is None:
            self._answered = asked(self.port, "/health/ready", b"")[0] == 200
        return self._answered

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def seen(self) -> Document:
        """The pod as a client reads it."""
        code = None if self.process is None else self.process.poll()
        status: Document = {"name": self.container, "state": {"running": {}}}
        if self.waiting:
            status["state"] = {"waiting": {"reason": self.waiting, "message": "there is no such image"}}
        elif code is not None:
            status["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
            status["lastState"] = {"terminated": {"exitCode": code}}
        metadata = {"name": self.name, "labels": self.labels}
        told = {"containerStatuses": [status], "conditions": [condition("Ready", self.ready)]}
        return {"metadata": metadata, "spec": self.template["spec"], "status": told}


def asked(port: int, path: str, body: bytes) -> tuple[int, Any]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        try:
            connection.request("POST" if body else "GET", path, body or None, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException) as error:
            return 503, {"error": {"what": f"no healthy upstream: {error}"}}


def condition(name: str, ready: bool) -> Document:
    return {"type": name, "status": "True"} if ready else {"type": name, "status": "False", "reason": "NotReady"}
