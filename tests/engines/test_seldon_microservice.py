"""The flights example's endpoints in Seldon's own microservice and in MLServer, for real, and on a stand-in for a cluster:
what they answer is what the local deployer answers."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flights_endpoints import Served, flights_project, serve
from installed import need
from pod import MLSERVER, SELDON, Pod, need_environment, need_namespaces
from serving_cluster import ServingCluster

from turnout_kserve.deployer import KServeDeployer
from turnout_kubernetes.settings import ServingOptions
from turnout_seldon import microservice, mlserver
from turnout_seldon.deployer import SeldonDeployer

GRPC, METRICS = 100, 200
"""The distance of a microservice's other ports from that of HTTP."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flights example with endpoints, and a run of a few flights."""
    return flights_project(tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def delay(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    return serve(project, tmp_path_factory.mktemp("delay"), "pipeline", "delay")


@pytest.fixture(scope="module")
def lateness(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    return serve(project, tmp_path_factory.mktemp("lateness"), "serving", "lateness")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingCluster]:
    need("kubernetes", "30")
    with ServingCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("name", "kind", "given", "count"),
    [
        ("delay", KServeDeployer, {}, 1),
        ("lateness", SeldonDeployer, {"microservice_image": "m:1", "graph": "steps"}, 3),
    ],
)
def test_a_cluster_answers_as_the_local_deployer(
    cluster: ServingCluster, request: pytest.FixtureRequest, name: str, kind: Any, given: dict[str, Any], count: int
) -> None:
    served: Served = request.getfixturevalue(name)
    deployer = kind(
        kind.Config(
            namespace=cluster.namespace,
            kubeconfig=str(cluster.kubeconfig),
            gateway=cluster.gateway,
            environment=served.store.environment(),
            every=ServingOptions(image="registry.example/flights:1"),
            poll=0.1,
            patience=300.0,
            **given,
        )
    )
    deployer.deploy(served.plan, deployer.compile(served.plan), served.store)
    assert len(cluster._pods) == count
    predictions = deployer.predict(name, served.rows)
    assert len(predictions) == len(served.rows) > 1
    for one, due in zip(predictions, served.predictions, strict=True):
        assert one == pytest.approx(due, rel=1e-9)
    deployer.delete(name)


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    need_environment(SELDON)
    need_namespaces()
    with Pod(tmp_path_factory.mktemp("pod")) as pod:
        yield pod


@pytest.fixture(scope="module")
def nodes(pod: Pod, delay: Served, lateness: Served) -> dict[str, int]:
    """The ports of microservices, all of this pod: each endpoint in one node, and the second one in a node a step."""
    ports = {"delay": 9000, "lateness": 9001, **{step: 9002 + n for n, step in enumerate(lateness.steps)}}
    for name, served in (("delay", delay), ("lateness", lateness)):
        serving(pod, name, ports[name] - 1000, served)
        micro(pod, name, ports[name], "MODEL", served)
    for step in lateness.steps:
        serving(pod, step, ports[step] - 1000, lateness, "--step", step)
        micro(pod, step, ports[step], "MODEL" if step == lateness.steps[-1] else "TRANSFORMER", lateness)
    for name, port in ports.items():
        pod.wait(SELDON, f"{name}-serving", port - 1000, "/health/ready")
        pod.wait(SELDON, name, port, "/health/status")
    return ports


def serving(pod: Pod, name: str, port: int, served: Served, *options: str) -> None:
    """Start the container of the endpoint's own environment."""
    plan = pod.folder / f"{name}.json"
    plan.write_bytes(served.plan.encode())
    command = [sys.executable, "-m", "turnout.serving", "container", str(plan), "--host", "127.0.0.1"]
    pod.start(f"{name}-serving", [*command, "--port", str(port), *options], served.store.environment())


def micro(pod: Pod, name: str, port: int, kind: str, served: Served) -> None:
    """Start Seldon's microservice beside it."""
    for path, data in microservice.files().items():
        (pod.folder / path).parent.mkdir(exist_ok=True)
        (pod.folder / path).write_bytes(data)
    ports = {"http": port, "grpc": port + GRPC, "metrics": port + METRICS}
    command = [str(SELDON / "seldon-core-microservice"), microservice.INTERFACE, "--service-type", kind]
    command += [part for protocol, number in ports.items() for part in (f"--{protocol}-port", str(number))]
    environ = {
        "PREDICTIVE_UNIT_ID": name,
        microservice.SERVING: f"127.0.0.1:{port - 1000}",
        microservice.METADATA: json.dumps(microservice.metadata(served.plan)),
    }
    pod.start(name, command, environ, pod.folder / microservice.FOLDER)


def rest(pod: Pod, port: int, body: Any, path: str = "/predict") -> dict[str, Any]:
    answer = pod.ask(SELDON, port=port, path=path, body=body)
    assert answer["status"] == 200, answer
    document: dict[str, Any] = json.loads(answer["text"])
    return document


def grpc(pod: Pod, port: int, body: Any, service: str = "Model", method: str = "Predict") -> dict[str, Any]:
    answer = pod.ask(SELDON, port=port + GRPC, service=service, method=method, body=body)
    message: dict[str, Any] = answer["message"]
    return message


def close(predictions: list[Any]) -> Any:
    if predictions and isinstance(predictions[0], dict):
        return [pytest.approx(one, rel=1e-9, abs=1e-9) for one in predictions]
    return pytest.approx(predictions, rel=1e-9, abs=1e-9)


FORMS = {
    "jsonData": (lambda body: body, lambda given: given),
    "strData": (json.dumps, json.loads),
    "binData": (lambda b: base64.b64encode(json.dumps(b).encode()).decode(), lambda t: json.loads(base64.b64decode(t))),
}


@pytest.mark.parametrize("call", [rest, grpc])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["delay", "lateness"])
def test_one_node_answers_as_the_local_deployer(
    pod: Pod, nodes: dict[str, int], request: pytest.FixtureRequest, name: str, form: str, call: Any
) -> None:
    served: Served = request.getfixturevalue(name)
    write, read = FORMS[form]
    answer = call(pod, nodes[name], {form: write(served.body)})
    assert read(answer[form]) == {"predictions": close(served.predictions)}
    assert answer["meta"]["tags"]["turnout_version"] == served.plan.digest[:12]
    assert len(served.rows) == 8


@pytest.mark.parametrize("call", [rest, grpc])
@pytest.mark.parametrize("shape", ["ndarray", "ndarray-of-objects"])
def test_rows_with_names_are_answered_with_names(
    pod: Pod, nodes: dict[str, int], delay: Served, lateness: Served, call: Any, shape: str
) -> None:
    served, name = (delay, "delay") if shape == "ndarray" else (lateness, "lateness")
    data = {"names": list(served.rows[0]), "ndarray": [list(row.values()) for row in served.rows]}
    answer = call(pod, nodes[name], {"data": data})["data"]
    if shape == "ndarray":
        assert answer == {"names": ["prediction"], "ndarray": [[one] for one in close_each(served.predictions)]}
    else:
        assert [dict(zip(answer["names"], row, strict=True)) for row in answer["ndarray"]] == close(served.predictions)


def close_each(predictions: list[float]) -> list[Any]:
    return [pytest.approx(one, rel=1e-9, abs=1e-9) for one in predictions]


@pytest.mark.parametrize("form", ["jsonData", "data"])
def test_the_split_graph_answers_as_the_local_deployer(
    pod: Pod, nodes: dict[str, int], lateness: Served, form: str
) -> None:
    """Each node is asked with what the one before answered, as Seldon's executor does, by both protocols."""
    names, values = list(lateness.rows[0]), [list(row.values()) for row in lateness.rows]
    asked = {"jsonData": lateness.body} if form == "jsonData" else {"data": {"names": names, "ndarray": values}}
    *transformers, last = lateness.steps
    for call in (rest, grpc):
        message = {**asked, "meta": {"puid": "one"}}
        for step in transformers:
            how = (
                {"path": "/transform-input"} if call is rest else {"service": "Transformer", "method": "TransformInput"}
            )
            message = call(pod, nodes[step], message, **how)
        answer = call(pod, nodes[last], message)
        if form == "jsonData":
            assert answer["jsonData"] == {"predictions": close(lateness.predictions)}
        else:
            made = [dict(zip(answer["data"]["names"], row, strict=True)) for row in answer["data"]["ndarray"]]
            assert made == close(lateness.predictions)
        assert answer["meta"]["puid"] == "one"


def test_a_parameter_reaches_its_step(pod: Pod, nodes: dict[str, int], lateness: Served) -> None:
    body = {**lateness.body, "minutes": -1000}
    assert all(one["late"] for one in rest(pod, nodes["lateness"], {"jsonData": body})["jsonData"]["predictions"])
    message: dict[str, Any] = {"jsonData": body}
    *transformers, last = lateness.steps
    for step in transformers:
        message = rest(pod, nodes[step], message, "/transform-input")
    assert all(one["late"] for one in rest(pod, nodes[last], message)["jsonData"]["predictions"])


def bad_messages(served: Served) -> list[tuple[Any, int, str]]:
    far = {**served.rows[0], "distance": "far"}
    names = list(served.rows[0])
    return [
        ({"jsonData": served.request([far])}, 422, "[0].distance: takes a"),
        ({"jsonData": served.request([{}])}, 422, "[0]: lacks"),
        ({"jsonData": {"columns": []}}, 422, "columns: the endpoint takes"),
        ({"strData": "{"}, 400, "the message holds no JSON"),
        ({"data": {"ndarray": [[1.0]]}}, 422, "data takes names"),
        ({"data": {"names": names, "ndarray": [[1.0]]}}, 422, "data.ndarray[0] has 1 values"),
        ({"data": {"names": ["a"], "tensor": {"shape": [1, 1], "values": [1.0]}}}, 422, "'a'"),
        ({}, 422, "takes jsonData, strData, binData, or data with names"),
    ]


def test_what_is_refused_says_why(pod: Pod, nodes: dict[str, int], delay: Served, lateness: Served) -> None:
    for name, served in (("delay", delay), (lateness.steps[0], lateness)):
        path = "/predict" if name == "delay" else "/transform-input"
        how = ("Model", "Predict") if name == "delay" else ("Transformer", "TransformInput")
        for body, status, text in bad_messages(served):
            answer = pod.ask(SELDON, port=nodes[name], path=path, body=body)
            assert (answer["status"], text in json.loads(answer["text"])["status"]["info"]) == (status, True), answer
            answer = pod.ask(SELDON, port=nodes[name] + GRPC, service=how[0], method=how[1], body=body)
            assert text in answer.get("text", ""), answer
    assert rest(pod, nodes["delay"], {"jsonData": delay.body})["jsonData"] == {"predictions": close(delay.predictions)}


def test_a_node_without_the_one_before_says_so(pod: Pod, nodes: dict[str, int], lateness: Served) -> None:
    answer = pod.ask(SELDON, port=nodes["told"], path="/predict", body={"jsonData": lateness.body})
    assert answer["status"] == 422
    assert "is missing: ask the node before" in json.loads(answer["text"])["status"]["info"]


def test_health_metadata_and_metrics(pod: Pod, nodes: dict[str, int], delay: Served) -> None:
    port = nodes["delay"]
    assert rest(pod, port, None, "/health/status")["jsonData"] == {"ready": True}
    told = rest(pod, port, None, "/metadata")
    assert (told["name"], told["versions"]) == ("delay", [delay.plan.digest[:12]])
    assert told["custom"] == {"run": delay.plan.run, "pipeline": "flights"}
    assert {"name": "distance", "datatype": "INT64", "shape": [-1]} in told["inputs"]
    by_grpc = pod.ask(SELDON, port=port + GRPC, service="Seldon", method="ModelMetadata", body=None)
    assert by_grpc.get("message", by_grpc).get("name", "") in {"delay", ""}
    rest(pod, port, {"jsonData": delay.body})
    text = pod.ask(SELDON, port=port + METRICS, path="/metrics")["text"]
    assert "turnout_node_seconds_bucket{" in text
    assert 'model_name="delay"' in text


def test_what_ends_beside_it_is_told_and_found_again(pod: Pod, nodes: dict[str, int], delay: Served) -> None:
    port = nodes["delay"]
    pod.stop("delay-serving")
    body = {"jsonData": delay.body}
    for path in ("/predict", "/health/status"):
        answer = pod.ask(SELDON, port=port, path=path, body=body if path == "/predict" else None)
        assert answer["status"] == 503, answer
        assert "turnout.serving at 127.0.0.1:8000 does not answer" in json.loads(answer["text"])["status"]["info"]
    serving(pod, "delay", port - 1000, delay)
    pod.wait(SELDON, "delay-serving", port - 1000, "/health/ready")
    for call in (rest, grpc):
        assert call(pod, port, body)["jsonData"] == {"predictions": close(delay.predictions)}


# MLServer, which Seldon Core v2 runs

PORT = 9500


@pytest.fixture(scope="module")
def models(pod: Pod, nodes: dict[str, int], delay: Served, lateness: Served) -> Pod:
    """MLServer with both endpoints, each answered by a container of its own."""
    need_environment(MLSERVER)
    folder = pod.folder / "models"
    for served in (delay, lateness):
        for path, data in mlserver.files(served.plan).items():
            place = folder / served.plan.name / Path(path).name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        settings = mlserver.settings_of(served.plan)
        settings["name"] = model(served)
        settings["parameters"]["extra"] = {"serving": f"127.0.0.1:{nodes[served.plan.name] - 1000}"}
        (folder / served.plan.name / "model-settings.json").write_text(json.dumps(settings))
    ports = {"HTTP": PORT, "GRPC": PORT + 1, "METRICS": PORT + 2}
    environ = {f"MLSERVER_{name}_PORT": str(port) for name, port in ports.items()}
    environ = {**environ, "MLSERVER_HOST": "127.0.0.1"}
    pod.start("mlserver", [str(MLSERVER / "mlserver"), "start", str(folder)], environ, folder)
    for served in (delay, lateness):
        pod.wait(MLSERVER, "mlserver", PORT, f"/v2/models/{model(served)}/ready")
    return pod


def model(served: Served) -> str:
    """The name of the model, by its version: as Seldon Core's agent calls it."""
    return f"{served.plan.name}_1"


def tensors(served: Served) -> list[dict[str, Any]]:
    kinds = {one["name"]: one["datatype"] for one in mlserver.settings_of(served.plan)["inputs"]}
    return [
        {"name": name, "shape": [len(served.rows)], "datatype": kinds[name], "data": [row[name] for row in served.rows]}
        for name in served.rows[0]
    ]


def infer(models: Pod, served: Served, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    path = f"/v2/models/{model(served)}/infer"
    return models.ask(MLSERVER, port=PORT, path=path, body={"id": "7", "inputs": inputs})


def test_mlserver_answers_as_the_local_deployer(models: Pod, delay: Served, lateness: Served) -> None:
    answer = json.loads(infer(models, delay, tensors(delay))["text"])
    assert answer["outputs"][0]["data"] == close(delay.predictions)
    assert (answer["id"], answer["model_name"]) == ("7", "delay_1")
    assert answer["model_version"] == delay.plan.digest[:12]
    columns = {
        one["name"]: one["data"] for one in json.loads(infer(models, lateness, tensors(lateness))["text"])["outputs"]
    }
    made = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert made == close(lateness.predictions)


def test_mlserver_answers_by_grpc(models: Pod, delay: Served) -> None:
    fields = {"INT64": "int64_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents"}
    inputs = []
    for tensor in tensors(delay):
        data = tensor.pop("data")
        if tensor["datatype"] == "BYTES":
            data = [base64.b64encode(one.encode()).decode() for one in data]
        data = ["NaN" if one is None else one for one in data]
        inputs.append({**tensor, "contents": {fields[tensor["datatype"]]: data}})
    answer = models.ask(MLSERVER, port=PORT + 1, infer={"model_name": "delay_1", "inputs": inputs})
    assert answer["message"]["outputs"][0]["contents"]["fp64Contents"] == close(delay.predictions)


def test_mlserver_says_why_it_refuses(models: Pod, delay: Served) -> None:
    far = {"name": "distance", "shape": [8], "datatype": "BYTES", "data": ["far"] * 8}
    answer = infer(models, delay, [far if one["name"] == "distance" else one for one in tensors(delay)])
    assert (answer["status"], "distance: takes" in answer["text"]) == (422, True), answer


def test_mlserver_describes_the_endpoint(models: Pod, delay: Served) -> None:
    told = json.loads(models.ask(MLSERVER, port=PORT, path="/v2/models/delay_1")["text"])
    assert (told["name"], told["platform"]) == ("delay_1", "turnout")
    assert {"name": "distance", "datatype": "INT64", "shape": [-1]}.items() <= next(
        one for one in told["inputs"] if one["name"] == "distance"
    ).items()
