"""A cluster, as Kubernetes' own client sees it: objects applied, read and removed, and errors with fixes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from turnout.plugin_api import ConfigError, DeployError, PluginError
from turnout_kubernetes.versions import LABEL, MANAGER

Document = dict[str, Any]
TRIES = 4
"""How often the API server is asked that fails."""
PAUSE = 0.5
"""Seconds between the first two; they double."""
PATIENCE = 30
"""Seconds that a call may take."""
_FAILED = {429, 500, 502, 503, 504}


class Kind(msgspec.Struct, frozen=True):
    """A kind of objects: its API version, its name, and its plural; and what brings it to a cluster."""

    api_version: str
    kind: str
    plural: str
    brought_by: str = ""

    def path(self, namespace: str, name: str = "") -> str:
        """The path of one object, or of all."""
        root = "/api" if "/" not in self.api_version else "/apis"
        folder = f"{root}/{self.api_version}/namespaces/{namespace}/{self.plural}"
        return f"{folder}/{name}" if name else folder

    def head(self, name: str, namespace: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Document:
        """The beginning of an object of this kind."""
        metadata: Document = {"name": name, "namespace": namespace, "labels": dict(labels)}
        if annotations:
            metadata["annotations"] = dict(annotations)
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata}


CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
SERVICE = Kind("v1", "Service", "services")
SECRET = Kind("v1", "Secret", "secrets")
POD = Kind("v1", "Pod", "pods")
SERVICE_MONITOR = Kind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors", "the Prometheus operator")
PROMETHEUS_RULE = Kind("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules", "the Prometheus operator")


class Conflict(DeployError):
    """Someone else has changed the object since it was read."""


class Refused(DeployError):
    """The API server does not let this account do it."""


class Cluster:
    """One namespace of a cluster. Objects are applied by server-side apply, as the field manager ``turnout``.

    Args:
        extra: what to install for its client.
        force: take over fields that another manager has set.

    Raises:
        PluginError: where the client is not installed.
        ConfigError: where no kubeconfig leads to a cluster.
    """

    def __init__(self, namespace: str, kubeconfig: str, context: str, extra: str, *, force: bool = False) -> None:
        if find_spec("kubernetes") is None:
            raise PluginError("Kubernetes' client is not installed", fix=f"pip install '{extra}'")
        self.namespace = namespace
        self._force = force
        self._client = _connected(kubeconfig, context)

    @property
    def url(self) -> str:
        """The address of the API server."""
        return str(self._client.configuration.host)

    def get(self, kind: Kind, name: str) -> Document | None:
        """An object; None where there is none."""
        found: Document | None = self._call("GET", kind, name)
        return found

    def list(self, kind: Kind, selector: str) -> tuple[Document, ...]:
        """The objects with labels; none where the cluster does not know the kind."""
        found = self._call("GET", kind, query={"labelSelector": selector})
        return () if found is None else tuple(found["items"])

    def apply(self, document: Document, kind: Kind) -> Document:
        """Create or update an object by server-side apply.

        Raises:
            Conflict: when it has changed since its ``resourceVersion``, where the document has one.
            DeployError: when the API server refuses it.
        """
        query = {"fieldManager": MANAGER, "force": "true" if self._force else "false"}
        name = document["metadata"]["name"]
        found: Document | None = self._call(
            "PATCH", kind, name, query=query, body=document, content="application/apply-patch+yaml"
        )
        if found is None:
            raise DeployError(
                f"the cluster at {self.url} has no {kind.kind} ({kind.api_version}), or no namespace {self.namespace}",
                fix=f"install {kind.brought_by}" if kind.brought_by else "create the namespace, or name another one",
            )
        return found

    def delete(self, kind: Kind, name: str) -> None:
        """Remove an object; nothing happens where there is none."""
        self._call("DELETE", kind, name)

    def keys(self, secret: str) -> frozenset[str] | None:
        """The keys of a Secret, not their values; None where there is none.

        Raises:
            Refused: where this account may not look.
        """
        found = self.get(SECRET, secret)
        return None if found is None else frozenset({*found.get("data", {})})

    def pods(self, name: str) -> tuple[Document, ...]:
        """The pods of an endpoint."""
        return self.list(POD, f"{LABEL}={name}")

    def log(self, pod: str, container: str, *, lines: int | None = None) -> Iterator[str]:
        """The lines of a container's log; none where it has not begun."""
        query = {"container": container, **({} if lines is None else {"tailLines": str(lines)})}
        text = self._call("GET", POD, f"{pod}/log", query=query, raw=True)
        yield from (text or "").splitlines()

    def _call(
        self,
        method: str,
        kind: Kind,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        body: Document | None = None,
        content: str = "application/json",
        raw: bool = False,
    ) -> Any:
        """The answer's document; None for a 404. All calls may be made again: they say how things are to be."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        path = kind.path(self.namespace, name)
        for tries in range(1, TRIES + 1):
            try:
                answer = self._client.call_api(
                    path,
                    method,
                    query_params=list((query or {}).items()),
                    header_params={"Accept": "*/*" if raw else "application/json", "Content-Type": content},
                    body=body,
                    auth_settings=["BearerToken"],
                    response_type=None if raw else "object",
                    _preload_content=not raw,
                    _return_http_data_only=True,
                    _request_timeout=PATIENCE,
                )
                return answer.data.decode(errors="replace") if raw else answer
            except ApiException as error:
                if error.status == 404:
                    return None
                if error.status not in _FAILED or tries == TRIES:
                    raise self._refusal(error, method, kind, name) from None
            except (HTTPError, OSError) as error:
                if tries == TRIES:
                    raise DeployError(
                        f"no cluster answers at {self.url}",
                        why=_reason(error),
                        fix="check the kubeconfig and its context, and that the cluster can be reached from here",
                    ) from None
            time.sleep(PAUSE * 2 ** (tries - 1))
        raise AssertionError

    def _refusal(self, error: Any, method: str, kind: Kind, name: str) -> Exception:
        status = _status(error.body)
        what = f"{kind.kind} {name}".rstrip().removesuffix("/log")
        why = status.get("message") or str(error.reason)
        verb = {"GET": "read", "PATCH": "apply", "DELETE": "delete"}[method]
        if error.status == 401:
            return DeployError(
                f"the cluster at {self.url} does not know who asks (401)",
                why=why,
                fix="sign in to it again: the kubeconfig's credentials are missing or have expired",
            )
        if error.status == 403:
            return Refused(
                f"this account may not {verb} {what} in the namespace {self.namespace} (403)",
                why=why,
                fix=f"ask for a Role with the verbs get, list, patch and delete on {kind.plural}",
            )
        if error.status == 409:
            causes = status.get("details", {}).get("causes", [])
            if any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
                return DeployError(
                    f"{what} has fields that someone else has set",
                    why=why,
                    fix="take those changes back, or take the fields over: deployer: {force: true}",
                )
            return Conflict(f"{what} was changed meanwhile", why=why, fix="try again")
        if error.status in {400, 422}:
            fix = "see what the message names; settings of the stack's deployer and options of the endpoint lead to it"
            return DeployError(f"the cluster does not accept {what} ({error.status})", why=why, fix=fix)
        return DeployError(
            f"the cluster at {self.url} fails to {verb} {what} ({error.status})",
            why=f"{why}; it was asked {TRIES} times",
            fix="see the API server's own log, or try again later",
        )


def _connected(kubeconfig: str, context: str) -> Any:
    """Kubernetes' client, as the kubeconfig says, else a pod's own account."""
    from kubernetes import client, config

    files = [kubeconfig] if kubeconfig else os.environ.get("KUBECONFIG", "").split(os.pathsep)
    files = [file for file in files if file] or [str(Path("~/.kube/config").expanduser())]
    settings = client.Configuration()
    settings.retries = False
    try:
        if any(Path(file).is_file() for file in files):
            config.load_kube_config(
                os.pathsep.join(files), context=context or None, client_configuration=settings, persist_config=False
            )
        elif not kubeconfig and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=settings)
        else:
            raise ConfigError(
                f"there is no kubeconfig: {', '.join(files)}",
                fix="get one from the cluster, and name it: KUBECONFIG, or deployer: {kubeconfig: FILE}",
            )
    except config.ConfigException as error:
        raise ConfigError(
            f"the kubeconfig {', '.join(files)} leads to no cluster"
            + (f" by the context {context!r}" if context else ""),
            why=str(error),
            fix="see `kubectl config get-contexts`, and name one: deployer: {context: NAME}",
        ) from None
    return client.ApiClient(settings)


def _status(body: Any) -> Document:
    try:
        found = json.loads(body)
    except (TypeError, ValueError):
        return {"message": str(body)[:500]} if body else {}
    return found if isinstance(found, dict) else {}


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).partition(">: ")[2] or str(reason)
