"""Endpoints as InferenceServices of KServe, in Standard mode: plain Deployments, no Knative."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from turnout.plugin_api import EndpointPlan, SettingError, ask
from turnout_kubernetes import pods
from turnout_kubernetes.cluster import Kind
from turnout_kubernetes.deployer import Document, KubernetesDeployer
from turnout_kubernetes.manifests import Comment, Part
from turnout_kubernetes.progress import State, conditions, messages, observed
from turnout_kubernetes.settings import KubernetesSettings
from turnout_kubernetes.versions import LABEL, REVISION, Release, Revision

INFERENCE_SERVICE = Kind(
    "serving.kserve.io/v1beta1", "InferenceService", "inferenceservices", "KServe; canaries need 0.20 or later"
)
CONTAINER = "kserve-container"
"""What KServe calls the container that answers."""
MODE = {"serving.kserve.io/deploymentMode": "Standard"}
SCALING = ("minReplicas", "maxReplicas", "scaleMetric", "scaleMetricType", "scaleTarget")
"""What a canary may not say: KServe gives it pods by its share."""


class KServeSettings(KubernetesSettings, frozen=True):
    """Settings of the deployer ``kserve``."""

    canary: Annotated[
        Literal["split", "mirror"], Meta(description="What `--share` gives a canary: requests. KServe mirrors none.")
    ] = "split"

    def __post_init__(self) -> None:
        """Refuse what Seldon's deployers can do and this one cannot.

        Raises:
            SettingError: for a canary that is to get copies of requests.
        """
        if self.canary == "mirror":
            raise SettingError(
                "KServe gives a canary a share of the requests, and no copies of them",
                "canary",
                fix="take `canary` out, or use the deployer seldon or seldon-v2, which can mirror",
            )


class KServeDeployer(KubernetesDeployer[KServeSettings]):
    """Serves endpoints by KServe."""

    name = "kserve"
    Config = KServeSettings
    main = INFERENCE_SERVICE
    kinds = (INFERENCE_SERVICE,)
    extra = "turnout-kserve[client]"
    needed_extra: ClassVar[str] = "client"
    container = CONTAINER

    def piece(self, endpoint: EndpointPlan, revision: str) -> Document:
        options = self.options_for(endpoint)
        name = self.cluster_name(endpoint)
        serving = {**pods.container(endpoint, self.config, options), "name": CONTAINER}
        scaling: Document = {"minReplicas": options.replicas or 1, "maxReplicas": options.replicas or 1}
        if options.autoscaling is not None:
            found = options.autoscaling
            scaling = {
                "minReplicas": found.minimum,
                "maxReplicas": found.maximum,
                "scaleMetric": "cpu",
                "scaleMetricType": "Utilization",
                "scaleTarget": found.cpu,
            }
        labels = {**dict(sorted(options.labels.items())), LABEL: name, REVISION: revision}
        annotations = dict(sorted(options.annotations.items()))
        return {
            **scaling,
            "labels": labels,
            **({"annotations": annotations} if annotations else {}),
            **pods.pod(options, revision),
            "containers": [serving],
        }

    def parts(self, name: str, release: Release, revisions: Mapping[str, Revision]) -> Iterator[Part]:
        live = revisions[release.live.revision]
        spec: dict[Any, Any] = {"predictor": {"name": release.live.slot, **live.piece}}
        comment = f"The endpoint {live.plan.name}: {live.plan.pipeline} of the run {live.plan.run}."
        if release.canary is not None:
            canary = revisions[release.canary.revision]
            piece = {key: value for key, value in canary.piece.items() if key not in SCALING}
            spec[Comment()] = "KServe gives a canary pods by its share; its HTTPRoutes split the requests."
            spec["canary"] = [
                {"trafficPercent": release.canary.share, "predictor": {"name": release.canary.slot, **piece}}
            ]
        annotations = {**MODE, **self.annotations(release, revisions)}
        document = {**self.head(INFERENCE_SERVICE, name, name, annotations), "spec": spec}
        yield Part(kind=INFERENCE_SERVICE, document=document, file="inferenceservice.yaml", comment=comment)

    def state(self, main: Document, name: str) -> State:
        status = main.get("status", {})
        url, found = status.get("url", ""), conditions(main)
        release = self.release(main)
        canary = None if release is None else release.canary
        if canary is not None and "canary" not in main.get("spec", {}):
            why = "this KServe knows no canaries and has dropped it: install 0.20 or later"
            return State(phase="failed", url=url, message=why)
        if not observed(main) or found.get("Ready", {}).get("status") != "True":
            return State(phase="starting", url=url, message=messages(found))
        ready = {one["name"] for one in status.get("canaryStatuses", []) if one.get("ready")}
        if canary is not None and canary.slot not in ready:
            return State(phase="starting", url=url, message=f"the canary's pods ({canary.slot}) are not ready")
        return State(phase="ready", url=url, message=messages(found))

    def ask(self, name: str, url: str, plan: EndpointPlan, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        headers = {}
        if self.config.gateway:
            headers["Host"] = urlsplit(url).netloc
            url = self.config.gateway.rstrip("/")
        body = {} if plan.table is None else {plan.table.name: list(rows)}
        answer: Sequence[Any] = ask(f"{url}/predict", body, headers)["predictions"]
        return answer
