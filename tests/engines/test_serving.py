"""Endpoints on a cluster: the deployers with Kubernetes' own client, against a stand-in that holds requests to the schemas
and serves what is applied."""

from __future__ import annotations

import json
import socket

import msgspec
import pytest
import yaml
from installed import need
from serving_cluster import Pod, ServingCluster, kubeconfig

from turnout.plugin_api import ConfigError, DeployError
from turnout.testing.deployer import DeployerSuite
from turnout_kserve.deployer import KServeDeployer, KServeSettings
from turnout_kubernetes import cluster as clusters
from turnout_kubernetes import monitoring
from turnout_kubernetes.settings import Monitoring, ServingOptions
from turnout_seldon.deployer import SeldonDeployer, SeldonSettings
from turnout_seldon.deployer_v2 import SeldonV2Deployer, SeldonV2Settings

SHARED = (clusters.CONFIG_MAP, clusters.PROMETHEUS_RULE)

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """The cluster."""
    need("kubernetes", "30")
    with ServingCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(there):
    """The cluster, empty."""
    yield there
    there.clear()
    for one in (there.faults, there.held, there.unknown, there.blind, there.secrets, there.requests, there.meanwhile):
        one.clear()
    there.late, there.mute, there.answering = 0, False, True


@pytest.fixture
def quick(monkeypatch):
    """Little is waited for."""
    monkeypatch.setattr(clusters, "PAUSE", 0.01)


def settings(cluster, served, kind, **more):
    """Settings by which a deployer finds the cluster, and pods the store."""
    given = {
        "namespace": cluster.namespace,
        "kubeconfig": str(cluster.kubeconfig),
        "gateway": cluster.gateway,
        "environment": served.store.environment(),
        "every": ServingOptions(image="registry.example/served:1"),
        "poll": 0.1,
        "patience": 120.0,
    }
    return kind(**{**given, **more})


class TestKServe(DeployerSuite):
    @pytest.fixture
    def deployer(self, cluster, served):
        return KServeDeployer(settings(cluster, served, KServeSettings, monitoring=Monitoring(labels={"release": "p"})))

    def test_each_version_has_its_pods_and_a_rollback_brings_the_one_before_back(
        self, deployer, served, cluster, ready
    ):
        second = described(served, "second")
        deployer.deploy(second, deployer.compile(second), served.store, share=0.1)
        assert pods(cluster) == {"double-blue-predictor", "double-green-predictor"}
        deployer.promote(served.name)
        assert pods(cluster) == {"double-green-predictor"}
        assert deployer.rollback(served.name).versions[0].version == served.endpoint.digest
        assert pods(cluster) == {"double-green-predictor"}
        with pytest.raises(DeployError, match="no version before"):
            deployer.rollback(served.name)
        with pytest.raises(DeployError, match="no canary"):
            deployer.promote(served.name)
        names = ["third", "fourth", "fifth"]
        for name in names:
            one = described(served, name)
            deployer.deploy(one, deployer.compile(one), served.store)
        assert len([key for key in cluster.objects if key[0] == "configmaps"]) == 3, "the live one and two before"

    def test_an_exported_canary_is_one_that_could_have_been_deployed(self, deployer, served, cluster):
        second = described(served, "second")
        exported = deployer.recompile(second, deployer.compile(served.endpoint).files, share=0.5)
        kinds = {kind.kind: kind for kind in (*deployer.kinds, *monitoring.KINDS, *SHARED)}
        for file in yaml.safe_load(exported.files[exported.entrypoint])["resources"]:
            for document in yaml.safe_load_all(exported.files[file]):
                deployer.cluster.apply(document, kinds[document["kind"]])
        status = self.wait(deployer, served.name)
        assert [(one.version, one.share) for one in status.versions] == [
            (served.endpoint.digest, 0.5),
            (second.digest, 0.5),
        ]
        assert deployer.predict(served.name, served.rows) == served.predictions
        assert deployer.promote(served.name).versions[0].version == second.digest
        assert pods(cluster) == {"double-green-predictor"}

    def test_a_version_that_cannot_start_is_told_of_and_the_one_before_stays(self, deployer, served, cluster, ready):
        broken = msgspec.structs.replace(
            served.endpoint, code=msgspec.structs.replace(served.endpoint.code, digest="0" * 64)
        )
        with pytest.raises(DeployError, match="does not get ready") as told:
            deployer.deploy(broken, deployer.compile(broken), served.store)
        assert "CrashLoopBackOff" in told.value.why
        assert "0000000" in told.value.why, "what the container printed last is told"
        assert told.value.fix.endswith("the version before goes on answering")
        status = self.wait(deployer, served.name)
        assert [one.version for one in status.versions] == [served.endpoint.digest]
        assert deployer.predict(served.name, served.rows) == served.predictions

    def test_an_image_that_is_not_there_is_told_of(self, deployer, served, cluster):
        missing = KServeDeployer(
            msgspec.structs.replace(deployer.config, every=ServingOptions(image="missing/image:1"))
        )
        with pytest.raises(DeployError, match="does not get ready") as told:
            missing.deploy(served.endpoint, missing.compile(served.endpoint), served.store)
        assert "ErrImagePull: there is no such image" in told.value.why

    def test_what_does_not_get_ready_in_time_is_told_of(self, deployer, served, cluster, monkeypatch):
        monkeypatch.setattr(Pod, "ready", False)
        hasty = KServeDeployer(msgspec.structs.replace(deployer.config, patience=0.001))
        with pytest.raises(DeployError, match=r"does not get ready within 0\.001 s") as told:
            hasty.deploy(served.endpoint, hasty.compile(served.endpoint), served.store)
        assert "Ready: NotReady" in told.value.why

    def test_a_kserve_that_knows_no_canaries_is_told_of(self, deployer, served, cluster, ready):
        cluster.blind.add("canary")
        second = described(served, "second")
        with pytest.raises(DeployError) as told:
            deployer.deploy(second, deployer.compile(second), served.store, share=0.5)
        assert "install 0.20 or later" in told.value.why
        assert [one.share for one in deployer.status(served.name).versions] == [1.0]

    def test_logs_are_of_all_pods(self, deployer, served, cluster, ready):
        cluster._pods[next(iter(cluster._pods))].log.write_text("one\n7\n")
        assert [line.partition(": ")[2] for line in deployer.logs(served.name)] == ["one", "7"]
        following = deployer.logs(served.name, follow=True)
        assert next(following).endswith(": one")
        deployer.delete(served.name)
        assert [line.partition(": ")[2] for line in following] == ["7"]
        with pytest.raises(DeployError, match="no endpoint other"):
            list(deployer.logs("other"))

    def test_someone_elses_changes_are_not_overwritten(self, deployer, served, cluster, ready):
        path = ("spec", "predictor", "minReplicas")
        cluster.edit("inferenceservices", "double", path, 7)
        cluster.held["inferenceservices", "double"] = path
        second = described(served, "second")
        with pytest.raises(DeployError, match="has fields that someone else has set") as told:
            deployer.deploy(second, deployer.compile(second), served.store)
        assert "kubectl-edit" in told.value.why
        forced = KServeDeployer(msgspec.structs.replace(deployer.config, force=True))
        forced.deploy(second, forced.compile(second), served.store)

    def test_a_change_meanwhile_is_seen_and_made_anew(self, deployer, served, cluster, ready):
        def change():
            cluster.edit("inferenceservices", "double", ("metadata", "annotations", "note"), "changed")

        cluster.meanwhile += [lambda: None, lambda: None, change]
        second = described(served, "second")
        deployer.deploy(second, deployer.compile(second), served.store)
        assert deployer.status(served.name).versions[0].version == second.digest
        cluster.meanwhile += [change] * 100
        third = described(served, "third")
        with pytest.raises(DeployError, match="InferenceService double was changed meanwhile"):
            deployer.deploy(third, deployer.compile(third), served.store)

    def test_an_api_server_that_fails_is_asked_again(self, deployer, served, cluster, ready):
        cluster.faults += [503, 500, 429]
        assert deployer.status(served.name).state == "ready"
        cluster.faults += [500] * 4
        with pytest.raises(DeployError, match=r"fails to read InferenceService double \(500\)") as told:
            deployer.status(served.name)
        assert told.value.why == "it was told to; it was asked 4 times"

    @pytest.mark.parametrize(
        ("status", "what", "fix"),
        [
            (401, "does not know who asks (401)", "sign in to it again"),
            (403, "this account may not read InferenceService double in the namespace models (403)", "ask for a Role"),
        ],
    )
    def test_who_may_not_ask_is_told_so(self, deployer, cluster, status, what, fix):
        cluster.faults += [status]
        with pytest.raises(DeployError) as told:
            deployer.status("double")
        assert what in told.value.what
        assert fix in told.value.fix
        assert "shibboleth" not in str(told.value)

    def test_a_cluster_without_the_tool_or_that_nobody_answers_for(self, deployer, served, cluster, tmp_path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        cluster.unknown.add("inferenceservices")
        with pytest.raises(DeployError, match="has no InferenceService") as told:
            deployer.deploy(served.endpoint, deployer.compile(served.endpoint), served.store)
        assert told.value.fix == "install KServe; canaries need 0.20 or later"
        (tmp_path / "gone.json").write_text(json.dumps(kubeconfig(f"http://127.0.0.1:{port}")))
        for changes, error, what in (
            (
                {"kubeconfig": str(tmp_path / "gone.json")},
                DeployError,
                f"no cluster answers at http://127.0.0.1:{port}",
            ),
            ({"kubeconfig": str(tmp_path / "none.json")}, ConfigError, "there is no kubeconfig"),
            ({"context": "elsewhere"}, ConfigError, "leads to no cluster by the context 'elsewhere'"),
        ):
            other = KServeDeployer(msgspec.structs.replace(deployer.config, **changes))
            with pytest.raises(error, match=what) as told:
                other.status("double")
            assert told.value.fix

    def test_a_secret_that_is_not_there(self, deployer, served, cluster):
        def secret(name):
            options = ServingOptions(image="y", secret_environment={"TOKEN": name})
            return KServeDeployer(msgspec.structs.replace(deployer.config, every=options))

        for there, name, what in (
            ({}, "api/token", "no Secret 'api'"),
            ({"api": {}}, "api/token", "no key 'token' in"),
        ):
            cluster.secrets = there
            one = secret(name)
            with pytest.raises(DeployError, match=what) as told:
                one.deploy(served.endpoint, one.compile(served.endpoint), served.store)
            assert told.value.fix.startswith("create it: kubectl create secret")
        cluster.secrets = {"api": {"token": "hush"}}
        one = secret("api/token")
        one.deploy(served.endpoint, one.compile(served.endpoint), served.store)
        assert "hush" not in json.dumps([*cluster.objects.values()])

    def test_what_turnout_has_not_made_is_left_alone(self, deployer, served, cluster, ready):
        cluster.edit("inferenceservices", "double", ("metadata", "annotations"), {})
        assert deployer.list() == ()
        with pytest.raises(DeployError, match="has a InferenceService double that turnout has not made"):
            deployer.deploy(served.endpoint, deployer.compile(served.endpoint), served.store)
        cluster.clear()

    def test_endpoints_do_not_share_a_name_on_the_cluster(self, deployer, served, cluster, ready):
        other = msgspec.structs.replace(served.endpoint, name="Double")
        with pytest.raises(DeployError, match="would have one name on the cluster: double"):
            deployer.deploy(other, deployer.compile(other), served.store)


class TestSeldon(DeployerSuite):
    @pytest.fixture
    def deployer(self, cluster, served):
        return SeldonDeployer(settings(cluster, served, SeldonSettings, microservice_image="m:1", graph="steps"))

    def test_a_shadow_gets_copies_and_no_share(self, deployer, served, cluster, ready):
        mirroring = SeldonDeployer(msgspec.structs.replace(deployer.config, canary="mirror"))
        second = described(served, "second")
        mirroring.deploy(second, mirroring.compile(second), served.store, share=0.5)
        predictors = cluster.objects["seldondeployments", "double"]["spec"]["predictors"]
        assert [(one["traffic"], one.get("shadow", False)) for one in predictors] == [(100, False), (50, True)]
        assert [one.share for one in mirroring.status(served.name).versions] == [1.0]
        assert mirroring.promote(served.name).versions[0].version == second.digest


class TestSeldonV2(DeployerSuite):
    @pytest.fixture
    def deployer(self, cluster, served):
        return SeldonV2Deployer(settings(cluster, served, SeldonV2Settings, models="s3://bucket/models", pipeline=True))

    def test_the_url_stays_while_a_canary_comes_and_is_promoted(self, deployer, served, cluster, ready):
        second = described(served, "second")
        deployer.deploy(second, deployer.compile(second), served.store, share=0.5)
        assert deployer.status(served.name).url == ready.url
        experiment = cluster.objects["experiments", "double-canary"]["spec"]
        assert experiment["default"] == "double"
        assert [one["weight"] for one in experiment["candidates"]] == [50, 50]
        assert deployer.promote(served.name).url == ready.url
        assert {key for key in cluster.objects if key[0] != "configmaps"} == {
            ("models", "double"),
            ("servers", "double-green"),
            ("pipelines", "double-pipeline"),
        }


def described(served, text):
    """The endpoint with another description: another version of it."""
    return msgspec.structs.replace(served.endpoint, doc=text)


def pods(cluster):
    """The pods there are, without the numbers in their names."""
    return {name.rpartition("-")[0] for name in cluster._pods}
