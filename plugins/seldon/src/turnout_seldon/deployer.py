"""Endpoints as SeldonDeployments of Seldon Core v1: one node, or one for each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from turnout.plugin_api import (
    DeployError,
    EndpointPlan,
    KubernetesNames,
    Output,
    StepPlan,
    UnsupportedError,
    ask,
    encode,
)
from turnout_kubernetes import pods
from turnout_kubernetes.cluster import Kind
from turnout_kubernetes.deployer import Document, KubernetesDeployer
from turnout_kubernetes.manifests import Comment, Part
from turnout_kubernetes.progress import State, conditions, messages, observed
from turnout_kubernetes.settings import KubernetesSettings, ServingOptions
from turnout_kubernetes.versions import LABEL, REVISION, Release, Revision, Served
from turnout_seldon import microservice

SELDON_DEPLOYMENT = Kind(
    "machinelearning.seldon.io/v1", "SeldonDeployment", "seldondeployments", "Seldon Core v1 (1.17.1 is Apache-2.0)"
)
DEEPEST = 11
"""Nodes of a graph, one below the other: the schema of SeldonDeployments describes no more."""


class SeldonSettings(KubernetesSettings, frozen=True):
    """Settings of the deployer ``seldon``."""

    microservice_image: Annotated[
        str, Meta(description="The image of Seldon's microservice, made of the folder `microservice` of an export.")
    ] = ""
    graph: Annotated[
        Literal["one", "steps"],
        Meta(description="One node for all steps of an endpoint, or one for each: TRANSFORMERs, then a MODEL."),
    ] = "one"
    canary: Annotated[
        Literal["split", "mirror"],
        Meta(description="What `--share` gives a canary: requests, or only copies of them (a shadow)."),
    ] = "split"


class SeldonDeployer(KubernetesDeployer[SeldonSettings]):
    """Serves endpoints by Seldon Core v1."""

    name = "seldon"
    Config = SeldonSettings
    main = SELDON_DEPLOYMENT
    kinds = (SELDON_DEPLOYMENT,)
    exported: ClassVar[Any] = {**KubernetesDeployer.exported, "microservice_image": "write ${env:NAME}"}
    extra = "turnout-seldon[client]"
    needed_extra: ClassVar[str] = "client"

    @property
    def mirrors(self) -> bool:  # type: ignore[override]
        """Whether canaries are shadows."""
        return self.config.canary == "mirror"

    def files(self, endpoint: EndpointPlan) -> dict[str, bytes]:
        return microservice.files()

    def notes(self, endpoint: EndpointPlan) -> tuple[str, ...]:
        if self.config.graph == "one":
            return ()
        sources = [given.source for step in endpoint.steps for given in step.inputs.values()]
        handed = {(one.step, one.output) for one in sources if isinstance(one, Output)}
        return tuple(
            f"{one.step}:{one.output} was kept as a pickle in the run {endpoint.run}, and nodes take none from each "
            f"other: requests will fail there; say graph: one, or let the step give a table, an array or plain values"
            for one in endpoint.expected
            if (one.step, one.output) in handed
            and any(made.marked for made in (one.artifact, *one.elements) if made is not None)
        )

    def piece(self, endpoint: EndpointPlan, revision: str) -> Document:
        options = self.options_for(endpoint)
        if not self.config.microservice_image:
            raise DeployError(
                f"the nodes of the endpoint {endpoint.name} have no image of Seldon's microservice",
                where=endpoint.where,
                why="it has an environment of its own, beside the endpoint's",
                fix="build one of the folder `microservice` of an export, and name it: deployer: "
                "{microservice_image: …}; any text will do for a first export",
            )
        steps = self._steps(endpoint)
        names = KubernetesNames(taken=[pods.CONTAINER])
        nodes = [names.take(endpoint.name if step is None else step.name) for step in steps]
        graph: Document = {}
        for node in reversed(list(enumerate(nodes))):
            graph = self._node(node[1], last=node[0] == len(nodes) - 1, child=graph)
        return {
            **({"annotations": dict(sorted(options.annotations.items()))} if options.annotations else {}),
            "labels": {**dict(sorted(options.labels.items())), LABEL: self.cluster_name(endpoint), REVISION: revision},
            **({"replicas": options.replicas or 1} if options.autoscaling is None else {}),
            "graph": graph,
            "componentSpecs": [
                self._component(endpoint, revision, options, node, step, last=n == len(nodes) - 1)
                for n, (node, step) in enumerate(zip(nodes, steps, strict=True))
            ],
        }

    def parts(self, name: str, release: Release, revisions: Mapping[str, Revision]) -> Iterator[Part]:
        live = revisions[release.live.revision]
        predictors = [self._predictor(one, revisions) for one in release.served]
        spec: dict[Any, Any] = {"name": name, "protocol": "seldon", "transport": "rest"}
        if release.shadow is not None:
            spec[Comment()] = "The shadow gets copies of requests; nobody gets its answers."
            predictors.append({**self._predictor(release.shadow, revisions), "shadow": True})
        elif len(predictors) > 1:
            spec[Comment()] = "The live version first; traffic is in percent, and adds up to 100."
        document = {
            **self.head(SELDON_DEPLOYMENT, name, name, self.annotations(release, revisions)),
            "spec": {**spec, "predictors": predictors},
        }
        comment = (
            f"The endpoint {live.plan.name}: {live.plan.pipeline} of the run {live.plan.run}.\n"
            "A node is two containers: Seldon's microservice, and the endpoint, to which it passes requests on."
        )
        yield Part(kind=SELDON_DEPLOYMENT, document=document, file="seldondeployment.yaml", comment=comment)

    def state(self, main: Document, name: str) -> State:
        status = main.get("status", {})
        base, namespace = self.config.gateway.rstrip("/"), self.config.namespace
        url = f"{base}/seldon/{namespace}/{name}" if base else status.get("address", {}).get("url", "")
        url = url.removesuffix("/api/v1.0/predictions")
        told = status.get("description") or messages(conditions(main))
        if status.get("state") == "Failed":
            return State(phase="failed", url=url, message=told)
        if status.get("state") != "Available" or not observed(main):
            return State(phase="starting", url=url, message=told)
        return State(phase="ready", url=url)

    def ask(self, name: str, url: str, plan: EndpointPlan, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        body = {} if plan.table is None else {plan.table.name: list(rows)}
        answer = ask(f"{url}/api/v1.0/predictions", {"jsonData": body})
        found: Sequence[Any] = answer["jsonData"]["predictions"]
        return found

    def _steps(self, endpoint: EndpointPlan) -> list[StepPlan | None]:
        """The step of each node; one node answers all."""
        if self.config.graph == "one":
            return [None]
        if len(endpoint.steps) > DEEPEST:
            raise UnsupportedError(
                f"the endpoint {endpoint.name} has {len(endpoint.steps)} steps, and a graph has {DEEPEST} nodes",
                where=endpoint.where,
                why="the schema of SeldonDeployments describes nodes so deep, and no deeper",
                fix="serve it by one node: deployer: {graph: one}",
            )
        return list(endpoint.steps)

    def _node(self, name: str, *, last: bool, child: Document) -> Document:
        return {
            "name": name,
            "type": "MODEL" if last else "TRANSFORMER",
            "endpoint": {"type": "REST"},
            **({"children": [child]} if child else {}),
        }

    def _component(
        self,
        endpoint: EndpointPlan,
        revision: str,
        options: ServingOptions,
        node: str,
        step: StepPlan | None,
        *,
        last: bool,
    ) -> Document:
        """The pods of one node."""
        environment = {
            "SERVICE_TYPE": "MODEL" if last else "TRANSFORMER",
            microservice.METADATA: encode(microservice.metadata(endpoint)).decode(),
            microservice.SERVING: f"127.0.0.1:{pods.PORT}",
        }
        seldon = {
            "name": node,
            "image": self.config.microservice_image,
            **({"imagePullPolicy": options.image_pull_policy} if options.image_pull_policy else {}),
            "env": [{"name": name, "value": value} for name, value in environment.items()],
            "securityContext": pods.security(),
        }
        serving = pods.container(endpoint, self.config, options, step="" if step is None else step.name)
        labels = {LABEL: self.cluster_name(endpoint), REVISION: revision}
        found: Document = {
            "metadata": {"labels": labels},
            "spec": {**pods.pod(options, revision), "containers": [seldon, serving]},
        }
        if options.autoscaling is not None:
            scaling = options.autoscaling
            target = {"type": "Utilization", "averageUtilization": scaling.cpu}
            found["hpaSpec"] = {
                "minReplicas": scaling.minimum,
                "maxReplicas": scaling.maximum,
                "metricsv2": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            }
        return found

    def _predictor(self, served: Served, revisions: Mapping[str, Revision]) -> Document:
        piece = revisions[served.revision].piece
        return {"name": served.slot, "traffic": served.share, **piece}
