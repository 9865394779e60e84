"""Manifests of all deployers on Kubernetes: held to the published schemas, whatever the endpoint and the settings."""

import pytest
import yaml
from crds import VERSIONS, problems
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_endpoints import sample_endpoint

from turnout.plugin_api import Toleration
from turnout_kserve.deployer import KServeDeployer, KServeSettings
from turnout_kubernetes import versions
from turnout_kubernetes.manifests import Comment, plain, text
from turnout_kubernetes.settings import Autoscaling, Monitoring, ServingOptions
from turnout_kubernetes.versions import Release, first
from turnout_seldon.deployer import SeldonDeployer, SeldonSettings
from turnout_seldon.deployer_v2 import SeldonV2Deployer, SeldonV2Settings

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,99}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)
KEYS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,40}[A-Za-z0-9])?", fullmatch=True)
VARIABLES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,20}", fullmatch=True).filter(lambda name: not name.startswith("TURNOUT"))
RESOURCES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
AMOUNTS = st.fixed_dictionaries(
    {"cpu": st.sampled_from(["1", "500m", "0.5", "1e3"])},
    optional={"memory": st.sampled_from(["1Gi", "512Mi", "1000000"]), "nvidia.com/gpu": st.just("1")},
)
OPTIONS = st.builds(
    ServingOptions,
    image=st.sampled_from(["registry.example/flights:1", "flights@sha256:" + "0" * 64, "y"]),
    replicas=st.none() | st.integers(1, 20),
    autoscaling=st.none() | st.builds(Autoscaling, minimum=st.integers(1, 3), maximum=st.integers(3, 9)),
    requests=AMOUNTS,
    limits=AMOUNTS | st.just({}),
    workers=st.none() | st.integers(1, 4),
    node_selector=st.dictionaries(KEYS, KEYS, max_size=2),
    labels=st.dictionaries(KEYS, KEYS, max_size=2),
    annotations=st.dictionaries(KEYS, TEXTS, max_size=2),
    secret_environment=st.dictionaries(VARIABLES, st.builds("{}/{}".format, RESOURCES, KEYS), max_size=2),
    volumes=st.dictionaries(
        st.sampled_from(["/data", "/models"]), st.sampled_from(["claim", "claim/folder"]), max_size=2
    ),
    tolerations=st.lists(
        st.sampled_from([Toleration(key="gpu", operator="Exists"), Toleration(effect="NoExecute", seconds=5)]),
        max_size=2,
    ).map(tuple),
    service_account=st.sampled_from(["", "models"]),
    image_pull_secrets=st.lists(RESOURCES, max_size=2, unique=True).map(tuple),
    image_pull_policy=st.sampled_from(["", "Always"]),
)
ENDPOINTS = st.builds(
    lambda name, steps, doc, columns, secrets: sample_endpoint(
        name, tuple(steps), doc=doc, columns=tuple(columns), secrets=secrets
    ),
    NAMES,
    st.lists(NAMES, min_size=1, max_size=11, unique=True),
    TEXTS,
    st.lists(TEXTS, min_size=1, max_size=5, unique=True),
    st.sampled_from([{}, {"PASSWORD": "warehouse"}]),
)
COMMON = {
    "environment": {"TURNOUT_STORE": "s3://bucket/turnout"},
    "kubernetes_secrets": {"warehouse": "db/password"},
    "namespace": "models",
}


def deployers(options, *, graph="one", mirror=False, monitored=False):
    """All deployers, with these options for every endpoint."""
    common = {**COMMON, "every": options}
    # Rules are the same for all endpoints, and long: exports of each stack hold them to their schema.
    monitoring = Monitoring(labels={"release": "prometheus"}, rules=False) if monitored else None
    canary = "mirror" if mirror else "split"
    return (
        KServeDeployer(KServeSettings(**common, monitoring=monitoring)),
        SeldonDeployer(
            SeldonSettings(**common, microservice_image="m:1", graph=graph, canary=canary, monitoring=monitoring)
        ),
        SeldonV2Deployer(SeldonV2Settings(**common, canary=canary, pipeline=monitored, monitoring=monitoring)),
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ENDPOINTS,
    ENDPOINTS,
    OPTIONS,
    st.sampled_from(["one", "steps"]),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(1, 99),
)
def test_manifests_fit_the_schemas_and_the_rules(endpoint, other, options, graph, mirror, monitored, share):
    for deployer in deployers(options, graph=graph, mirror=mirror, monitored=monitored):
        canary = sample_endpoint(endpoint.name, tuple(step.name for step in other.steps), doc=other.doc)
        revisions = {one.name: one for one in map(deployer._revised, (endpoint, canary))}
        release = first(deployer._revised(endpoint))
        if share is None or len(revisions) == 1:
            held(deployer, release, revisions)
            continue
        release = release.with_canary(deployer._revised(canary), share, mirror=deployer.mirrors)
        exported = deployer.recompile(canary, deployer.compile(endpoint).files, share / 100)
        applied = held(deployer, release, revisions, written=False)
        assert documents(exported) == applied, "an export has what a deployment applies"
        held(deployer, release.promoted(), revisions, written=False)


def documents(bundle):
    """The objects of an export, by kind and name."""
    resources = yaml.load(bundle.files[bundle.entrypoint], LOADER)["resources"]
    everything = [one for resource in resources for one in yaml.load_all(bundle.files[resource], LOADER)]
    found = {(one["kind"], one["metadata"]["name"]): one for one in everything}
    assert len(found) == len(everything)
    return found


def held(deployer, release: Release, revisions, *, written=True):
    """See that all objects of a release would be taken, and (if *written*) that their text says the same; gives them."""
    seen = {}
    for part in deployer._all_parts(release, revisions):
        document = plain(part.document)
        if document["kind"] in VERSIONS:
            assert problems(document) == []
        if written:
            assert [*yaml.load_all(text([(part.comment, part.document)]), LOADER)] == [document]
        name = (document["kind"], document["metadata"]["name"])
        assert name not in seen
        seen[name] = document
        assert document["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "turnout"
        assert document["metadata"]["namespace"] == "models"
    return seen


@given(ENDPOINTS)
@settings(max_examples=20, deadline=None)
def test_a_version_can_be_read_again_from_its_config_map(endpoint):
    (deployer, *_) = deployers(ServingOptions(image="y"))
    revision = deployer._revised(endpoint)
    again = versions.Revision.read(revision.name, revision.data)
    assert (again.plan.digest, again.piece) == (endpoint.digest, revision.piece)


def test_comments_are_lines_of_their_own_and_nothing_else():
    document = {"a": {Comment(): "says\nmore", "turnout-comment-0-0": 0, "b": [{"c": 1, Comment(): "it's"}]}}
    assert text([("head\nof two lines", document)]).decode() == (
        "---\n# head\n# of two lines\na:\n  # says more\n  turnout-comment-0-0: 0\n  b:\n  - c: 1\n    # it's\n"
    )


@pytest.mark.parametrize("n", range(3))
def test_an_export_can_be_applied_as_a_whole(n):
    deployer = deployers(ServingOptions(image="y", replicas=2))[n]
    bundle = deployer.compile(sample_endpoint("Delay_in_minutes"))
    kustomization = yaml.safe_load(bundle.files["kustomization.yaml"])
    manifests = {name for name in bundle.files if name.endswith(".yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == manifests
    assert bundle.notes[0].startswith("the cluster calls the endpoint Delay_in_minutes delay-in-minutes")
    assert deployer.compile(sample_endpoint("Delay_in_minutes")) == bundle


def test_releases_go_forward_and_back():
    (deployer, *_) = deployers(ServingOptions(image="y"))
    a, b, c, d = (deployer._revised(sample_endpoint(doc=doc)) for doc in "abcd")
    release = first(a)
    canary = release.with_canary(b, 20)
    assert [(one.slot, one.share) for one in canary.served] == [("blue", 80), ("green", 20)]
    promoted = canary.promoted()
    assert [(one.revision, one.slot, one.share) for one in promoted.served] == [(b.name, "green", 100)]
    assert promoted.before == (a.name,)
    assert canary.rolled_back(None) == release
    assert promoted.rolled_back(a).before == ()
    later = promoted.deployed(c).deployed(d)
    assert (later.live.revision, later.before) == (d.name, (b.name, c.name))
    assert later.deployed(d) == later
    shadow = later.with_canary(a, 50, mirror=True)
    assert [one.share for one in shadow.served] == [100]
    assert shadow.canary.revision == a.name
    assert shadow.revisions == (d.name, a.name, b.name, c.name)
    assert shadow.promoted().live.slot == "blue"
