"""Endpoints as Models of Seldon Core v2, in servers of their own; a canary is an Experiment whose default is live."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from turnout.plugin_api import DeployError, EndpointPlan, Uri, ask, digest_of
from turnout_kubernetes import pods
from turnout_kubernetes.cluster import POD, Kind
from turnout_kubernetes.deployer import Document, KubernetesDeployer
from turnout_kubernetes.manifests import Comment, Part
from turnout_kubernetes.progress import State, conditions, messages, observed
from turnout_kubernetes.settings import KubernetesSettings
from turnout_kubernetes.versions import LABEL, NAME, Release, Revision, Served
from turnout_seldon import mlserver, tensors

_BRINGS = "Seldon Core v2 (2.6.0 is Apache-2.0)"
MODEL = Kind("mlops.seldon.io/v1alpha1", "Model", "models", _BRINGS)
SERVER = Kind("mlops.seldon.io/v1alpha1", "Server", "servers", _BRINGS)
EXPERIMENT = Kind("mlops.seldon.io/v1alpha1", "Experiment", "experiments", _BRINGS)
PIPELINE = Kind("mlops.seldon.io/v1alpha1", "Pipeline", "pipelines", _BRINGS)

SERVER_NAME = "seldon-server-name"
"""The label that Seldon gives the pods of a server."""

_BUCKET = re.compile(r"(?!file:)[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class SeldonV2Settings(KubernetesSettings, frozen=True):
    """Settings of the deployer ``seldon-v2``."""

    models: Annotated[
        Uri, Meta(description="The folder that servers fetch models from: a URI; else `models` in the store.")
    ] = ""
    storage_secret: Annotated[
        str, Meta(description="The Secret by which servers may read there, as rclone takes it.")
    ] = ""
    server_config: Annotated[str, Meta(description="The ServerConfig with MLServer.")] = "mlserver"
    canary: Annotated[
        Literal["split", "mirror"], Meta(description="What `--share` gives a canary: requests, or only copies of them.")
    ] = "split"
    pipeline: Annotated[
        bool, Meta(description="Also make a Pipeline of the model; it passes requests through Kafka.")
    ] = False


class SeldonV2Deployer(KubernetesDeployer[SeldonV2Settings]):
    """Serves endpoints by Seldon Core v2."""

    name = "seldon-v2"
    Config = SeldonV2Settings
    main = MODEL
    kinds = (PIPELINE, EXPERIMENT, MODEL, SERVER)
    exported: ClassVar[Any] = {
        **KubernetesDeployer.exported,
        **dict.fromkeys(("models", "storage_secret", "server_config"), "write ${env:NAME}"),
    }
    extra = "turnout-seldon[client]"
    needed_extra: ClassVar[str] = "client"

    @property
    def mirrors(self) -> bool:  # type: ignore[override]
        """Whether canaries get copies only."""
        return self.config.canary == "mirror"

    def files(self, endpoint: EndpointPlan) -> dict[str, bytes]:
        return mlserver.files(endpoint)

    def notes(self, endpoint: EndpointPlan) -> tuple[str, ...]:
        options = self.options_for(endpoint)
        fewest = options.autoscaling.minimum if options.autoscaling is not None else options.replicas or 1
        found = []
        if fewest < 2:
            found.append(
                f"{endpoint.name} has one replica of its server: while that is replaced or moved, nobody answers; "
                f"say replicas: 2"
            )
        if self.config.models:
            found.append(f"put the folder {mlserver.FOLDER} to {self._uri(endpoint)}, where servers fetch it")
        if self.config.pipeline:
            found.append("a Pipeline passes its requests through Kafka: the cluster has to have one")
        return tuple(found)

    def stored(self, endpoint: EndpointPlan) -> dict[str, bytes]:
        """The model's files, where no folder of the stack's has them."""
        if self.config.models:
            return {}
        folder, files = self._folder(endpoint), mlserver.files(endpoint)
        return {f"{folder}/{name.partition('/')[2]}": data for name, data in files.items()}

    def piece(self, endpoint: EndpointPlan, revision: str) -> Document:
        options = self.options_for(endpoint)
        replicas = options.replicas or 1
        scaling: Document = {"replicas": replicas}
        if options.autoscaling is not None:
            scaling = {"minReplicas": options.autoscaling.minimum, "maxReplicas": options.autoscaling.maximum}
        secret = {"secretName": self.config.storage_secret} if self.config.storage_secret else {}
        return {
            "model": {"storageUri": self._uri(endpoint), **secret, **scaling},
            "server": {
                "serverConfig": self.config.server_config,
                **scaling,
                "podSpec": {
                    **pods.pod(options, revision),
                    "containers": [pods.container(endpoint, self.config, options)],
                },
            },
        }

    def parts(self, name: str, release: Release, revisions: Mapping[str, Revision]) -> Iterator[Part]:
        live, canary = release.live, release.canary
        annotations = self.annotations(release, revisions)
        yield self._server(name, live, revisions)
        if canary is not None:
            yield self._server(name, canary, revisions)
            yield self._model(f"{name}-canary", name, canary, revisions, {NAME: annotations[NAME]})
        yield self._model(name, name, live, revisions, annotations)
        if canary is not None:
            yield self._experiment(name, release)
        if self.config.pipeline:
            spec = {"steps": [{"name": name}], "output": {"steps": [name]}}
            head = self.head(PIPELINE, f"{name}-pipeline", name)
            comment = (
                "The model as a pipeline of one step: its requests go through Kafka, which the cluster has to have."
            )
            yield Part(kind=PIPELINE, document={**head, "spec": spec}, file="pipeline.yaml", comment=comment)

    def state(self, main: Document, name: str) -> State:
        base = self.config.gateway.rstrip("/")
        found = conditions(main)
        phase: Any = "ready" if observed(main) and found.get("Ready", {}).get("status") == "True" else "starting"
        if found.get("ModelReady", found.get("Ready", {})).get("reason") in {"ModelFailed", "LoadFailed"}:
            phase = "failed"
        told = messages(found)
        release = self.release(main)
        if phase == "ready" and release is not None and release.canary is not None:
            for kind, other in ((MODEL, f"{name}-canary"), (EXPERIMENT, f"{name}-canary")):
                one = self.cluster.get(kind, other)
                state = conditions(one or {"metadata": {}})
                if one is None or not observed(one) or state.get("Ready", {}).get("status") != "True":
                    phase, told = "starting", f"{kind.kind} {other}: {messages(state) or 'is not ready'}"
        return State(phase=phase, url=f"{base}/v2/models/{name}" if base else "", message=told)

    def ask(self, name: str, url: str, plan: EndpointPlan, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        if not rows:
            return []
        headers = {"Seldon-Model": url.rpartition("/")[2]}
        return tensors.predictions(ask(f"{url}/infer", {"inputs": tensors.inputs(rows)}, headers))

    def watched(self, name: str, release: Release) -> dict[str, dict[str, str]]:
        """A service for each server: the label that Seldon gives its pods names it."""
        slots = [one.slot for one in (*release.served, release.shadow) if one is not None]
        return {f"{name}-{slot}-metrics": {SERVER_NAME: f"{name}-{slot}"} for slot in slots}

    def endpoint_pods(self, name: str, revisions: set[str]) -> tuple[Document, ...]:
        """The pods of its servers: Seldon's stateful sets name them, and give them no labels of ours."""
        found = []
        for server in self.cluster.list(SERVER, f"{LABEL}={name}"):
            for n in range(server["spec"].get("replicas", 1)):
                pod = self.cluster.get(POD, f"{server['metadata']['name']}-{n}")
                if pod is not None and (not revisions or pods.revision(pod) in revisions):
                    found.append(pod)
        return tuple(found)

    def _server(self, name: str, served: Served, revisions: Mapping[str, Revision]) -> Part:
        plan = revisions[served.revision].plan
        spec = revisions[served.revision].piece["server"]
        head = self.head(SERVER, f"{name}-{served.slot}", name)
        comment = (
            f"MLServer for version {plan.digest[:12]}, with the endpoint in a container beside it, as its packages ask."
        )
        return Part(kind=SERVER, document={**head, "spec": spec}, file="server.yaml", comment=comment)

    def _model(
        self, model: str, name: str, served: Served, revisions: Mapping[str, Revision], annotations: Mapping[str, str]
    ) -> Part:
        found = revisions[served.revision]
        spec = {**found.piece["model"], "server": f"{name}-{served.slot}"}
        comment = f"The endpoint {found.plan.name}: {found.plan.pipeline} of the run {found.plan.run}."
        document = {**self.head(MODEL, model, name, annotations), "spec": spec}
        return Part(kind=MODEL, document=document, file="model.yaml", comment=comment)

    def _experiment(self, name: str, release: Release) -> Part:
        canary = f"{name}-canary"
        spec: dict[Any, Any] = {
            "default": name,
            Comment(): "Requests to the default's URL are shared as the weights say, which are percents.",
            "candidates": [{"name": name, "weight": release.live.share}],
        }
        if release.shadow is not None:
            spec["mirror"] = {"name": canary, "percent": release.shadow.share}
        else:
            spec["candidates"].append({"name": canary, "weight": release.served[1].share})
        head = self.head(EXPERIMENT, canary, name)
        comment = "The canary; its default is the live model, so that the URL stays."
        return Part(kind=EXPERIMENT, document={**head, "spec": spec}, file="experiment.yaml", comment=comment)

    def _folder(self, endpoint: EndpointPlan) -> str:
        """The folder of a model's files: named by what is in them."""
        files = {name: data.decode() for name, data in mlserver.files(endpoint).items()}
        return f"models/{digest_of(files)}"

    def _uri(self, endpoint: EndpointPlan) -> str:
        """Where servers fetch a model's files.

        Raises:
            DeployError: where no address of the store says it.
        """
        base = self.config.models or _root(self.config.environment.get(pods.STORE, ""))
        if not _BUCKET.match(base):
            raise DeployError(
                f"servers cannot fetch the model of the endpoint {endpoint.name}: "
                + (f"{base!r} is no URI of a bucket" if base else "no URI is known"),
                where=endpoint.where,
                why="a server of Seldon Core v2 fetches models by rclone, over the network",
                fix="name a folder in a bucket, deployer: {models: s3://…}; or the store, "
                f"{{environment: {{{pods.STORE}: s3://…}}}}",
            )
        folder = self._folder(endpoint)
        return f"{base.rstrip('/')}/{folder.partition('/')[2] if self.config.models else folder}"


def _root(store: str) -> str:
    """Where a store is that pods are told of: by its URL, or by a JSON object where it has more settings."""
    if not store.startswith("{"):
        return store
    try:
        return str(json.loads(store).get("root", ""))
    except ValueError:
        return store
