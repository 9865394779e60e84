"""What Prometheus' operator needs to scrape an endpoint's pods: a service without an address, and a ServiceMonitor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from turnout_kubernetes.cluster import SERVICE, SERVICE_MONITOR, Kind
from turnout_kubernetes.settings import Monitoring
from turnout_kubernetes.versions import LABEL

Document = dict[str, Any]
KINDS = (SERVICE_MONITOR, SERVICE)
PORT_NAME = "metrics"
METRICS = "turnout.dev/metrics"
COMMENT = "Metrics of all versions, pod by pod, under the names that docs/endpoints.md gives."


def documents(settings: Monitoring, name: str, port: int, path: str) -> Iterator[tuple[Kind, Document]]:
    """Both objects without their heads; ``labels`` are more labels for it.

    Args:
        name: the endpoint's name on the cluster.
        port: where its pods tell what they have measured, under *path*.
    """
    yield (
        SERVICE,
        {
            "labels": {METRICS: name},
            "spec": {
                "clusterIP": "None",
                "selector": {LABEL: name},
                "ports": [{"name": PORT_NAME, "port": port, "targetPort": port, "protocol": "TCP"}],
            },
        },
    )
    yield (
        SERVICE_MONITOR,
        {
            "labels": dict(sorted(settings.labels.items())),
            "spec": {
                "selector": {"matchLabels": {METRICS: name}},
                "endpoints": [{"port": PORT_NAME, "path": path, "interval": settings.interval}],
            },
        },
    )
