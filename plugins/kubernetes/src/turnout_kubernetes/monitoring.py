"""What the Prometheus operator needs to watch endpoints: services without an address, a ServiceMonitor, and rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from turnout.plugin_api import rule_groups
from turnout_kubernetes.cluster import PROMETHEUS_RULE, SERVICE, SERVICE_MONITOR
from turnout_kubernetes.manifests import Comment, Document, Part
from turnout_kubernetes.settings import Monitoring
from turnout_kubernetes.versions import MANAGER

KINDS = (SERVICE_MONITOR, SERVICE)
"""The kinds of which each endpoint has objects of its own."""
RULES = "turnout-endpoints"
"""The PrometheusRule of a namespace, and the job as which its endpoints are scraped: an alert reads it."""
PORT_NAME = "metrics"
METRICS = "turnout.dev/metrics"
JOB = "turnout.dev/job"
_METRICS_COMMENT = "Metrics of all versions, pod by pod, under the names that docs/endpoints.md gives."
_RULES_COMMENT = (
    "Recording rules and alerts of all endpoints of this namespace: what `turnout endpoints metrics --export` writes.\n"
    "All exports have the same; the dashboard that is written there reads what they record."
)


def parts(
    settings: Monitoring,
    namespace: str,
    name: str,
    labels: Mapping[str, str],
    services: Mapping[str, Mapping[str, str]],
    port: int,
    path: str,
) -> Iterator[Part]:
    """The objects by which an endpoint is watched.

    Args:
        name: the endpoint's name on the cluster.
        labels: those of all its objects.
        services: the labels of the pods that each service leads to.
        port: where pods tell what they have measured, under *path*.
    """
    for service, selector in services.items():
        head = SERVICE.head(service, namespace, {**labels, METRICS: name, JOB: RULES}, {})
        ports = [{"name": PORT_NAME, "port": port, "targetPort": port, "protocol": "TCP"}]
        spec: Document = {"clusterIP": "None", "selector": dict(selector), "ports": ports}
        yield Part(kind=SERVICE, document={**head, "spec": spec}, file="monitoring.yaml", comment=_METRICS_COMMENT)
    asked = dict(sorted(settings.labels.items()))
    scraped: dict[Any, Any] = {
        "port": PORT_NAME,
        "path": path,
        "interval": settings.interval,
        Comment(): "The operator calls the port `endpoint`: this leaves the label to the name of the endpoint.",
        "honorLabels": True,
    }
    spec = {"jobLabel": JOB, "selector": {"matchLabels": {METRICS: name}}, "endpoints": [scraped]}
    head = SERVICE_MONITOR.head(f"{name}-metrics", namespace, {**labels, **asked}, {})
    yield Part(kind=SERVICE_MONITOR, document={**head, "spec": spec}, file="monitoring.yaml", comment=_METRICS_COMMENT)
    if settings.rules:
        own = {"app.kubernetes.io/name": RULES, "app.kubernetes.io/managed-by": MANAGER, **asked}
        document = {**PROMETHEUS_RULE.head(RULES, namespace, own, {}), "spec": {"groups": [*rule_groups()]}}
        yield Part(kind=PROMETHEUS_RULE, document=document, file="rules.yaml", comment=_RULES_COMMENT)
