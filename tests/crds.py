"""Objects of Seldon, KServe and the Prometheus operator held to the published schemas, and to the rules that a schema cannot say."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

SCHEMAS = Path(__file__).parent / "schemas"
_FILES = {
    "SeldonDeployment": "seldondeployment.v1",
    "Model": "seldonv2.models.v1alpha1",
    "Experiment": "seldonv2.experiments.v1alpha1",
    "Pipeline": "seldonv2.pipelines.v1alpha1",
    "Server": "seldonv2.servers.v1alpha1",
    "InferenceService": "kserve.inferenceservice.v1beta1",
    "ServiceMonitor": "servicemonitor.v1",
    "PrometheusRule": "prometheusrule.v1",
}
VERSIONS = {
    "SeldonDeployment": "machinelearning.seldon.io/v1",
    "InferenceService": "serving.kserve.io/v1beta1",
    **dict.fromkeys(("Model", "Experiment", "Pipeline", "Server"), "mlops.seldon.io/v1alpha1"),
    **dict.fromkeys(("ServiceMonitor", "PrometheusRule"), "monitoring.coreos.com/v1"),
}
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?\Z")
_NODES = {"MODEL", "TRANSFORMER", "ROUTER", "COMBINER", "OUTPUT_TRANSFORMER"}
_SCALING = {"maxReplicas", "scaleMetric", "scaleMetricType", "scaleTarget", "autoScaling"}


def problems(document: dict[str, Any]) -> list[str]:
    """What is wrong with a custom resource; nothing where it would be taken, and would work."""
    kind = document.get("kind")
    if document.get("apiVersion") != VERSIONS.get(kind):
        return [f"{kind} is not of {document.get('apiVersion')}"]
    wrong = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in validator(kind).iter_errors(document)
    ]
    return wrong or [*_metadata(document), *_RULES[kind](document["spec"], document)]


@cache
def validator(kind: str) -> Draft7Validator:
    """The validator of a kind."""
    schema = json.loads(gzip.decompress((SCHEMAS / f"{_FILES[kind]}.json.gz").read_bytes()))
    return Draft7Validator(_strict(schema))


def _strict(schema: Any) -> Any:
    """A structural schema as JSON Schema: what it does not name is refused, as Kubernetes would drop it."""
    if not isinstance(schema, dict):
        return schema
    found = {key: value for key, value in schema.items() if not key.startswith("x-") and key != "format"}
    if schema.get("x-kubernetes-int-or-string"):
        found = {key: value for key, value in found.items() if key not in {"anyOf", "pattern"}}
        found["type"] = ["integer", "string"]
    elif found.get("nullable"):
        found["type"] = [found["type"], "null"]
    found.pop("nullable", None)
    if "properties" in found:
        found["properties"] = {name: _strict(one) for name, one in found["properties"].items()}
        if "additionalProperties" not in found and not schema.get("x-kubernetes-preserve-unknown-fields"):
            found["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _strict(found[key])
    return found


def _metadata(document: dict[str, Any]) -> Iterator[str]:
    metadata = document["metadata"]
    if not _NAME.match(metadata["name"]):
        yield f"metadata.name: {metadata['name']!r} is no name"
    for key, value in metadata.get("labels", {}).items():
        if not _VALUE.match(value):
            yield f"metadata.labels: {key}: {value!r} is no value of a label"
    if sum(len(key) + len(value) for key, value in metadata.get("annotations", {}).items()) > 256 << 10:
        yield "metadata.annotations: more than 256 KiB"


def _pod(spec: dict[str, Any], where: str) -> Iterator[str]:
    names = [one["name"] for one in spec["containers"]]
    if len(set(names)) < len(names):
        yield f"{where}: containers have one name: {names}"
    volumes = [one["name"] for one in spec.get("volumes", [])]
    if len(set(volumes)) < len(volumes):
        yield f"{where}: volumes have one name: {volumes}"
    for one in spec["containers"]:
        if not _NAME.match(one["name"]):
            yield f"{where}: {one['name']!r} is no name of a container"
        variables = [variable["name"] for variable in one.get("env", [])]
        if len(set(variables)) < len(variables):
            yield f"{where}: a variable is there twice: {variables}"
        for mount in one.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield f"{where}: there is no volume {mount['name']}"


def _seldon_v1(spec: dict[str, Any], _: dict[str, Any]) -> Iterator[str]:
    if spec.get("protocol") not in {None, "seldon", "tensorflow", "v2", "kfserving"}:
        yield f"protocol: {spec['protocol']}"
    predictors = spec["predictors"]
    names = [one["name"] for one in predictors]
    if len(set(names)) < len(names):
        yield f"predictors have one name: {names}"
    shadows = [one for one in predictors if one.get("shadow")]
    if len(shadows) > 1:
        yield "more than one shadow"
    traffic = sum(one.get("traffic", 0) for one in predictors if not one.get("shadow"))
    if traffic != 100 and (traffic or len(predictors) - len(shadows) > 1):
        yield f"traffic adds up to {traffic}"
    for one in predictors:
        containers = {
            container["name"]
            for component in one.get("componentSpecs", [])
            for container in component["spec"]["containers"]
        }
        nodes = list(_nodes(one["graph"]))
        if len({node["name"] for node in nodes}) < len(nodes):
            yield f"{one['name']}: nodes have one name"
        for node in nodes:
            if node.get("type") not in _NODES:
                yield f"{node['name']}: type {node.get('type')}"
            if node["name"] not in containers and not (node.get("implementation") and node.get("modelUri")):
                yield f"{node['name']}: neither a container nor an implementation"
        if [node["type"] for node in nodes] != ["TRANSFORMER"] * (len(nodes) - 1) + ["MODEL"]:
            yield f"{one['name']}: not TRANSFORMERs and then a MODEL"
        for component in one.get("componentSpecs", []):
            yield from _pod(component["spec"], one["name"])


def _nodes(graph: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield graph
    for child in graph.get("children", []):
        yield from _nodes(child)


def _kserve(spec: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    if document["metadata"]["annotations"].get("serving.kserve.io/deploymentMode") != "Standard" and "canary" in spec:
        yield "canary: in Standard mode only"
    names = [spec["predictor"].get("name")]
    yield from _pod(spec["predictor"], "predictor")
    for canary in spec.get("canary", []):
        names.append(canary["predictor"].get("name"))
        if scaling := _SCALING & canary["predictor"].keys():
            yield f"canary: scales itself: {sorted(scaling)}"
        yield from _pod(canary["predictor"], "canary")
    if len(set(names)) < len(names) or (len(names) > 1 and None in names):
        yield f"predictors have one name, or none: {names}"
    if sum(canary["trafficPercent"] for canary in spec.get("canary", [])) > 100:
        yield "canary: more than 100 percent"
    for name in filter(None, names):
        service = f"{document['metadata']['name']}-{name}-predictor"
        if len(service) > 63:
            yield f"{service} is longer than the name of a service may be"


def _experiment(spec: dict[str, Any], _: dict[str, Any]) -> Iterator[str]:
    names = [one["name"] for one in spec["candidates"]]
    if len(set(names)) < len(names):
        yield f"candidates have one name: {names}"
    if "default" in spec and spec["default"] not in names:
        yield f"default: {spec['default']} is no candidate"
    if sum(one["weight"] for one in spec["candidates"]) != 100:
        yield "weights do not add up to 100"
    if "mirror" in spec and (spec["mirror"]["name"] in names or not 0 < spec["mirror"]["percent"] <= 100):
        yield "mirror: a candidate, or no percent"


def _model(spec: dict[str, Any], _: dict[str, Any]) -> Iterator[str]:
    if "://" not in spec["storageUri"]:
        yield f"storageUri: {spec['storageUri']}"


def _server(spec: dict[str, Any], _: dict[str, Any]) -> Iterator[str]:
    yield from _pod(spec["podSpec"], "podSpec")


def _pipeline(spec: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    names = [one["name"] for one in spec["steps"]]
    if document["metadata"]["name"] in names:
        yield "a step has the pipeline's name"
    if not set(spec["output"]["steps"]) <= set(names):
        yield "output: no step"


def _service_monitor(spec: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    if not spec["selector"].get("matchLabels"):
        yield "selector: all services of the namespace"
    for one in spec["endpoints"]:
        if not one.get("honorLabels"):
            yield "endpoints: the operator writes the port's name over the label `endpoint` without honorLabels"


def _prometheus_rule(spec: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    names = [one["name"] for one in spec["groups"]]
    if len(set(names)) < len(names):
        yield f"groups have one name: {names}"
    for group in spec["groups"]:
        for rule in group["rules"]:
            if ("record" in rule) == ("alert" in rule):
                yield f"{group['name']}: a rule neither records nor alerts, or does both: {rule}"
            if "record" in rule and rule.keys() & {"for", "annotations", "keep_firing_for"}:
                yield f"{group['name']}: {rule['record']} has what only alerts have"


_RULES = {
    "SeldonDeployment": _seldon_v1,
    "InferenceService": _kserve,
    "Experiment": _experiment,
    "Model": _model,
    "Server": _server,
    "Pipeline": _pipeline,
    "ServiceMonitor": _service_monitor,
    "PrometheusRule": _prometheus_rule,
}
