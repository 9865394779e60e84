"""What cannot be served is refused while it is planned: what, where, why, and what mends it."""

import msgspec
import pytest
from sample_endpoints import sample_endpoint

from turnout.model.endpoint_plan import Expected
from turnout.model.plan import Component, Worker
from turnout.model.records import Artifact
from turnout.plugin_api import ConfigError, DeployError, UnsupportedError
from turnout_kserve.deployer import KServeDeployer, KServeSettings
from turnout_kubernetes.settings import Autoscaling, KubernetesSettings, ServingOptions
from turnout_kubernetes.versions import percent
from turnout_seldon import tensors
from turnout_seldon.deployer import SeldonDeployer, SeldonSettings
from turnout_seldon.deployer_v2 import SeldonV2Deployer, SeldonV2Settings

IMAGE = ServingOptions(image="y")
STORE = {"TURNOUT_STORE": "s3://bucket/turnout"}
FROM_FILES = Worker(secrets=Component(type="files", config={}))


@pytest.mark.parametrize(
    ("given", "endpoint", "error", "what", "fix"),
    [
        ({}, {}, DeployError, "the endpoint delay has no image", "turnout image build ENDPOINT --push"),
        ({"every": ServingOptions(image="a b")}, {}, ConfigError, "is not the name of an image", "REGISTRY/NAME:TAG"),
        (
            {"every": IMAGE, "environment": {}},
            {},
            DeployError,
            "would not know where the store is",
            "TURNOUT_STORE: s3",
        ),
        (
            {"every": IMAGE},
            {"secrets": {"PASSWORD": "warehouse"}},
            DeployError,
            "reads the secret 'warehouse', and the stack does not say which it is",
            "{kubernetes_secrets: {warehouse: SECRET/KEY}}",
        ),
        (
            {"every": IMAGE, "kubernetes_secrets": {"a": "b/c"}},
            {"worker": FROM_FILES},
            ConfigError,
            "gives variables; secrets of type files are none",
            "secrets: {type: env}",
        ),
        (
            {"every": ServingOptions(image="y", autoscaling=Autoscaling(minimum=5), requests={"cpu": "1"})},
            {},
            ConfigError,
            "scales from 5 to 3 pods",
            "a maximum that is at least the minimum",
        ),
        (
            {"every": ServingOptions(image="y", autoscaling=Autoscaling())},
            {},
            ConfigError,
            "scales by its processors, and its pods request none",
            'requests: {cpu: "1"}',
        ),
        (
            {"every": IMAGE},
            {"options": {"kserve": {"replica": 2}}},
            ConfigError,
            "the options for kserve of the endpoint delay are wrong: Object contains unknown field `replica`",
            "they are: ",
        ),
        (
            {"every": IMAGE},
            {"columns": tuple(f"{n:0300}" for n in range(3000))},
            DeployError,
            "a ConfigMap holds 900,000",
            "without=",
        ),
    ],
)
def test_what_cannot_be_served(given, endpoint, error, what, fix):
    deployer = KServeDeployer(KServeSettings(**{"environment": STORE, **given}))
    with pytest.raises(error) as told:
        deployer.compile(sample_endpoint(**endpoint))
    assert what in told.value.what
    assert fix in told.value.fix
    assert error is ConfigError or str(told.value.where) == "delays.py:30"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("namespace", "Not_A_Name"),
        ("namespace", "line\nfeed"),
        ("kubernetes_secrets", {"a": "no key"}),
        ("environment", {"not a name": "x"}),
        ("every", {"requests": {"cpu": "much"}}),
        ("every", {"replicas": 0}),
        ("every", {"labels": {"a": "x" * 64}}),
        ("monitoring", {"interval": "often"}),
    ],
)
def test_settings_that_kubernetes_would_refuse(field, value):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({field: value}, KubernetesSettings)


@pytest.mark.parametrize("share", [0, -0.1, 1.01, 0.005, float("nan")])
def test_shares_are_whole_percents(share):
    with pytest.raises(DeployError, match="a share of") as told:
        percent(share)
    assert told.value.fix
    assert [percent(one) for one in (0.01, 0.29, 0.5, 1)] == [1, 29, 50, 100]


def test_what_seldon_cannot_serve():
    def seldon(**given):
        return SeldonDeployer(
            SeldonSettings(**{"environment": STORE, "every": IMAGE, "microservice_image": "m", **given})
        )

    steps = tuple(f"step_{n}" for n in range(12))
    assert seldon().compile(sample_endpoint(steps=steps))
    with pytest.raises(UnsupportedError, match="has 12 steps, and a graph has 11 nodes") as told:
        seldon(graph="steps").compile(sample_endpoint(steps=steps))
    assert told.value.fix == "serve it by one node: deployer: {graph: one}"
    with pytest.raises(DeployError, match="no image of Seldon's microservice") as told:
        seldon(microservice_image="").compile(sample_endpoint())
    assert "{microservice_image: …}" in told.value.fix


def test_what_nodes_could_only_hand_on_as_a_pickle_is_told():
    def notes(graph, step, materializer):
        pickled = materializer == "pickle"
        made = Artifact(digest="3" * 64, materializer=materializer, type="delays:Odd", size=3, marked=pickled)
        endpoint = sample_endpoint(
            steps=("mark", "predict"), expected=(Expected(step=step, output="output", artifact=made),)
        )
        settings = SeldonSettings(environment=STORE, every=IMAGE, microservice_image="m", graph=graph)
        return SeldonDeployer(settings).compile(endpoint).notes

    (note,) = notes("steps", "mark", "pickle")
    assert note.startswith("mark:output was kept as a pickle in the run abcdefghij234567abcd, and nodes take none")
    assert "graph: one" in note
    assert notes("one", "mark", "pickle") == ()
    assert notes("steps", "mark", "table") == ()
    assert notes("steps", "predict", "pickle") == (), "a client gets the last one's"


def test_what_seldon_v2_cannot_serve_and_what_it_warns_of():
    def seldon(**given):
        return SeldonV2Deployer(SeldonV2Settings(**{"environment": STORE, "every": IMAGE, **given}))

    (note,) = seldon().compile(sample_endpoint()).notes
    assert "one replica of its server" in note
    two = ServingOptions(image="y", replicas=2)
    assert seldon(every=two).compile(sample_endpoint()).notes == ()
    assert "Kafka" in seldon(every=two, pipeline=True).compile(sample_endpoint()).notes[0]
    (note,) = seldon(every=two, models="gs://bucket/models").compile(sample_endpoint()).notes
    assert note.startswith("put the folder mlserver to gs://bucket/models/")
    for store in ("/srv/store", "file:///srv/store", '{"root": "/srv/store"}', "{s3://x"):
        with pytest.raises(DeployError, match="is no URI of a bucket") as told:
            seldon(environment={"TURNOUT_STORE": store}).compile(sample_endpoint())
        assert "{models: s3://…}" in told.value.fix


def test_rows_become_tensors_and_back():
    rows = [{"n": 1, "x": 1, "s": "a", "b": True, "z": None}, {"n": 2, "x": 0.5, "s": None, "b": False, "z": None}]
    made = {one["name"]: (one["datatype"], one["data"]) for one in tensors.inputs(rows)}
    assert made == {
        "n": ("INT64", [1, 2]),
        "x": ("FP64", [1, 0.5]),
        "s": ("BYTES", ["a", None]),
        "b": ("BOOL", [True, False]),
        "z": ("BYTES", [None, None]),
    }
    with pytest.raises(DeployError, match=r"rows\[1\] has other columns than rows\[0\]: y"):
        tensors.inputs([{"x": 1}, {"x": 1, "y": 2}])
    answer = {"outputs": [{"name": "a", "data": [1, 2]}, {"name": "b", "data": [3, 4]}]}
    assert tensors.predictions(answer) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
