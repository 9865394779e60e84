"""What goes wrong on a cluster, on each deployer: what, where, why and what mends it; and what is left behind: nothing.

No process is started: the stand-in says of each pod what a test wants.
"""

from __future__ import annotations

import json
import socket

import msgspec
import pytest
from installed import need
from sample_endpoints import sample_endpoint
from serving_cluster import ServingCluster, kubeconfig

from turnout.plugin_api import ConfigError, DeployError
from turnout_kserve.deployer import KServeDeployer, KServeSettings
from turnout_kubernetes import cluster as clusters
from turnout_kubernetes.settings import Monitoring, ServingOptions
from turnout_seldon.deployer import SeldonDeployer, SeldonSettings
from turnout_seldon.deployer_v2 import SeldonV2Deployer, SeldonV2Settings

DEPLOYERS = {
    "kserve": (KServeDeployer, KServeSettings, {}),
    "seldon": (SeldonDeployer, SeldonSettings, {"microservice_image": "m:1", "graph": "steps"}),
    "seldon-v2": (SeldonV2Deployer, SeldonV2Settings, {"models": "s3://bucket/models", "pipeline": True}),
}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    need("kubernetes", "30")
    monkeypatch.setattr(clusters, "PAUSE", 0.001)
    with ServingCluster(tmp_path) as there:
        yield there


@pytest.fixture(params=DEPLOYERS)
def deployer(request, cluster):
    """Each deployer, by a factory that takes other settings."""
    kind, settings, given = DEPLOYERS[request.param]

    def made(**more):
        common = {
            "namespace": cluster.namespace,
            "kubeconfig": str(cluster.kubeconfig),
            "environment": {"TURNOUT_STORE": "s3://bucket/store"},
            "every": ServingOptions(image="pause/served:1"),
            "poll": 0.001,
            "patience": 60.0,
        }
        return kind(settings(**{**common, **given, **more}))

    return made


def deploy(deployer, endpoint=None, **options):
    endpoint = endpoint or sample_endpoint()
    return deployer.deploy(endpoint, deployer.compile(endpoint), None, **options)


def told(error, deployer, endpoint=None, **options):
    """The error that a deployment ends with, which says what mends it and holds no token."""
    with pytest.raises(error) as caught:
        deploy(deployer, endpoint, **options)
    assert caught.value.what
    assert caught.value.fix
    assert "shibboleth" not in str(caught.value)
    return caught.value


def test_a_name_that_kubernetes_refuses(deployer, cluster):
    assert deploy(deployer(), sample_endpoint("Delay_in_minutes")).name == "Delay_in_minutes"
    names = {name for _, name in cluster.objects}
    assert all(name.startswith("delay-in-minutes") for name in names), names
    (note, *_) = deployer().compile(sample_endpoint("Delay_in_minutes")).notes
    assert note.startswith("the cluster calls the endpoint Delay_in_minutes delay-in-minutes")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"namespace": "Not_A_Name"}, type(deployer().config))


def test_no_image(deployer, cluster):
    error = told(DeployError, deployer(every=ServingOptions()))
    assert (error.what, str(error.where)) == ("the endpoint delay has no image", "delays.py:30")
    assert "turnout image build" in error.fix
    assert cluster.objects == {}


@pytest.mark.parametrize(
    ("secrets", "missing"), [({}, "no Secret 'api'"), ({"api": {}}, "no key 'token' in the Secret")]
)
def test_a_secret_that_is_not_there(deployer, cluster, secrets, missing):
    cluster.secrets = secrets
    options = ServingOptions(image="pause/served:1", secret_environment={"TOKEN": "api/token"})
    error = told(DeployError, deployer(every=options))
    assert missing in error.what
    assert "in the namespace models" in error.what
    assert (str(error.where), error.why) == ("delays.py:30", "its pods would not start")
    assert error.fix.startswith("create it: kubectl create secret")
    assert cluster.objects == {}


@pytest.mark.parametrize("share", [1.2, 0.0, -0.1, 0.005])
def test_weights_beyond_all_or_none(deployer, cluster, share):
    assert f"a share of {share:g} of the requests cannot be given" in told(DeployError, deployer(), share=share).what
    assert cluster.requests == []


def test_a_canary_of_nothing_or_of_itself(deployer, cluster):
    assert "the endpoint delay has no live version" in told(DeployError, deployer(), share=0.5).what
    deploy(deployer())
    assert "the endpoint delay is that version already" in told(DeployError, deployer(), share=0.5).what


def test_a_cluster_that_nobody_answers_for(deployer, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen: nobody else gets the port meanwhile
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        path = tmp_path / "gone.json"
        path.write_text(json.dumps(kubeconfig(url)))
        error = told(DeployError, deployer(kubeconfig=str(path)))
    assert error.what == f"no cluster answers at {url}"
    assert "refused" in error.why
    assert "check the kubeconfig" in error.fix
    assert "there is no kubeconfig" in told(ConfigError, deployer(kubeconfig=str(tmp_path / "none.json"))).what


@pytest.mark.parametrize(
    ("status", "what", "fix"),
    [(401, "does not know who asks (401)", "sign in"), (403, "in the namespace models (403)", "ask for a Role")],
)
@pytest.mark.parametrize(("after", "verb"), [(0, "read"), (1, "apply")])
def test_who_may_not_ask(deployer, cluster, status, what, fix, after, verb):
    cluster.faults += [0] * after + [status]
    error = told(DeployError, deployer())
    assert what in error.what
    assert status == 401 or f"this account may not {verb} " in error.what
    assert fix in error.fix
    assert error.why == "it was told to"


def test_a_tool_that_is_not_installed(deployer, cluster):
    made = deployer()
    cluster.unknown.add(made.main.plural)
    error = told(DeployError, made)
    assert f"has no {made.main.kind}" in error.what
    assert error.fix.startswith("install ")


def test_a_deployment_that_never_gets_ready(deployer, cluster):
    cluster.answering = False
    error = told(DeployError, deployer(patience=0.02))
    assert error.what == "the endpoint delay does not get ready within 0.02 s"
    assert "NotReady" in error.why or "Creating" in error.why or "not ready" in error.why
    assert "turnout endpoints logs delay" in error.fix
    deployer().delete("delay")
    assert cluster.objects == {}
    error = told(DeployError, deployer(every=ServingOptions(image="missing/served:1")))
    assert "ErrImagePull: there is no such image" in error.why


@pytest.mark.parametrize("mute", [False, True])
def test_a_version_is_ready_when_its_own_pods_are(deployer, cluster, mute):
    """A tool may say for long what was so before: nothing of it, or that the old pods answer."""
    deploy(deployer())
    cluster.late, cluster.mute = 1000, mute
    cluster.meanwhile.append(lambda: setattr(cluster, "answering", False))
    error = told(DeployError, deployer(patience=0.05), sample_endpoint(doc="second"))
    assert error.what == "the endpoint delay does not get ready within 0.05 s"
    assert error.fix.endswith("the version before goes on answering")


def test_what_a_tool_says_of_an_earlier_generation_is_not_believed(deployer, cluster):
    deploy(deployer())
    cluster.late = 5
    cluster.requests.clear()
    second = sample_endpoint(doc="second")
    status = deploy(deployer(), second)
    assert [one.version for one in status.versions] == [second.digest]
    applied = max(n for n, (method, _) in enumerate(cluster.requests) if method == "PATCH")
    path = deployer().main.path(cluster.namespace, "delay")
    assert cluster.requests[applied:].count(("GET", path)) >= 5


def test_what_is_deleted_leaves_nothing_behind(deployer, cluster):
    made = deployer(monitoring=Monitoring(labels={"release": "prometheus"}))
    other = sample_endpoint("other")
    deploy(made)
    deploy(made, other)
    deploy(made, sample_endpoint(doc="second"), share=0.25)
    made.promote("delay")
    deploy(made, sample_endpoint(doc="third"), share=0.5)
    rules = cluster.objects["prometheusrules", "turnout-endpoints"]
    assert rules["metadata"]["labels"]["release"] == "prometheus"
    made.delete("delay")
    assert {document["metadata"]["labels"].get("turnout.dev/endpoint") for document in cluster.objects.values()} == {
        "other",
        None,
    }
    assert ("prometheusrules", "turnout-endpoints") in cluster.objects, "another endpoint is still watched"
    deploy(deployer(), other)
    assert {plural for plural, _ in cluster.objects} & {"services", "servicemonitors", "prometheusrules"} == set()
    made.delete("other")
    made.delete("other")
    assert cluster.objects == {}, "the last one takes the rules along"
    assert cluster._pods == {}
    assert made.list() == ()


def test_rules_that_others_keep_stay(deployer, cluster):
    deploy(deployer(monitoring=Monitoring()))
    without = deployer(monitoring=Monitoring(rules=False))
    deploy(without, sample_endpoint("other"))
    for name in ("delay", "other"):
        without.delete(name)
    assert {*cluster.objects} == {("prometheusrules", "turnout-endpoints")}
