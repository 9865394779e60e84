"""Endpoints exported by the ready-made stacks: the same bytes, held to their lock, with no secret in them."""

import json

import pytest
import yaml
from crds import problems
from projects import DOUBLING, call_here, project_fixture

PIPELINE = DOUBLING.replace("@step\ndef scaled", '@step(secrets={"TOKEN": "api"})\ndef scaled')
STACK = """\
extends: {name}
secrets: {{type: env}}
deployer:
  kubernetes_secrets: {{api: tokens/api}}
  monitoring: {{labels: {{release: prometheus}}}}
artifact_store: {{root: .turnout/store}}
"""


project = project_fixture(
    {
        "doubling.py": PIPELINE,
        **{f"stacks/{name}-own.yaml": STACK.format(name=name) for name in ("kserve", "seldon", "seldon-v2")},
        "stacks/leaking.yaml": 'extends: kserve\ndeployer:\n  environment: {TOKEN: "${secret:api}"}\n',
        "stacks/mirroring.yaml": "extends: kserve\ndeployer:\n  canary: mirror\n",
    },
    name="served",
    environ={
        "TURNOUT_STORE": "s3://bucket/turnout",
        "TURNOUT_IMAGE": "registry.example/doubling:1",
        "TURNOUT_MICROSERVICE_IMAGE": "registry.example/microservice:1",
    },
)


def test_each_stack_exports_what_its_lock_says(project, tmp_path, capfd):
    call_here("run", "doubling.py")
    for name in ("kserve", "seldon", "seldon-v2"):
        folder = tmp_path / name
        words = ("export", "doubling.py:double", "--stack", f"{name}-own", "-o", str(folder))
        call_here(*words)
        call_here("run", "doubling.py", "-p", f"factor={len(name)}")
        capfd.readouterr()
        call_here(*words, "--check", "--json")
        assert json.loads(capfd.readouterr().out)["changed"] == []
        resources = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
        for resource in resources:
            for document in yaml.safe_load_all((folder / resource).read_text()):
                assert document["kind"] in {"ConfigMap", "Service"} or problems(document) == []
        main = (folder / resources[1]).read_text()
        assert "secretKeyRef:\n" in main
        assert "registry.example/doubling:1" in main


@pytest.fixture
def export(project, tmp_path, capfd):
    """Export the endpoint by a stack, which gives its JSON, or what it says of an error."""

    def exported(stack, *options, code=0):
        words = ("export", "doubling.py:double", "--stack", f"{stack}-own", "-o", str(tmp_path / stack), "--json")
        capfd.readouterr()
        call_here(*words, *options, code=code)
        said = capfd.readouterr()
        return json.loads(said.out) if said.out else said.err

    return exported


def documents(folder):
    """The objects of an export, by their kinds and names, each as its schema allows it."""
    found = {}
    for resource in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]:
        for document in yaml.safe_load_all((folder / resource).read_text()):
            assert document["kind"] in {"ConfigMap", "Service"} or problems(document) == []
            found[document["kind"], document["metadata"]["name"]] = document
    return found


def shares(stack, folder):
    """The versions that share the requests by the tool's objects: their slots and percents."""
    found = documents(folder)
    if stack == "kserve":
        spec = found["InferenceService", "double"]["spec"]
        canaries = {one["predictor"]["name"]: one["trafficPercent"] for one in spec.get("canary", [])}
        return {spec["predictor"]["name"]: 100 - sum(canaries.values()), **canaries}
    if stack == "seldon":
        predictors = found["SeldonDeployment", "double"]["spec"]["predictors"]
        return {one["name"]: one["traffic"] for one in predictors}
    servers = {name: one["spec"]["server"].rpartition("-")[2] for (kind, name), one in found.items() if kind == "Model"}
    if ("Experiment", "double-canary") not in found:
        return {servers[name]: 100 for name in servers}
    candidates = found["Experiment", "double-canary"]["spec"]["candidates"]
    return {servers[one["name"]]: one["weight"] for one in candidates}


def ran(capfd):
    """The ids of three runs, the newest last."""
    for factor in ("2", "3", "4"):
        call_here("run", "doubling.py", "-p", f"factor={factor}")
    capfd.readouterr()
    call_here("runs", "list", "--json")
    return [one["run"] for one in json.loads(capfd.readouterr().out)][::-1]


def config_maps(folder):
    return {name for kind, name in documents(folder) if kind == "ConfigMap"}


def test_a_canary_is_exported_beside_what_is_live_and_promoted(export, tmp_path, capfd):
    runs = ran(capfd)
    for stack in ("kserve", "seldon", "seldon-v2"):
        folder = tmp_path / stack
        assert export(stack, "--run", runs[0])["share"] == 1
        (live,) = config_maps(folder)
        manifest = (folder / f"{live}.yaml").read_bytes()
        assert export(stack, "--update", "--run", runs[1], "--share", "0.1")["share"] == 0.1
        assert shares(stack, folder) == {"blue": 90, "green": 10}
        assert len(config_maps(folder)) == 2
        assert (folder / f"{live}.yaml").read_bytes() == manifest, "what is live stays as it is"
        assert export(stack, "--check")["changed"] == []
        assert export(stack, "--share", "0.25")["run"] == runs[1]
        assert shares(stack, folder) == {"blue": 75, "green": 25}
        promoted = export(stack, "--share", "1")
        assert (promoted["share"], promoted["run"]) == (1, runs[1])
        assert shares(stack, folder) == {"green": 100}, "its pods stay"
        assert len(config_maps(folder) - {live}) == 1
        assert export(stack, "--check")["changed"] == []
        export(stack, "--update", "--share", "0.5")
        assert shares(stack, folder) == {"green": 50, "blue": 50}
        export(stack, "--update", "--run", runs[0])
        assert shares(stack, folder) == {"green": 100}, "what is not the canary takes the live one's place"
        assert config_maps(folder) == {live}


def test_a_canary_needs_another_version_that_is_live(export, tmp_path):
    call_here("run", "doubling.py")
    told = export("kserve", "--share", "0.1", code=2)
    assert "the folder has no live version of the endpoint double" in told
    assert "export the live version first, without --share" in told
    export("kserve")
    told = export("kserve", "--update", "--share", "0.1", code=2)
    assert "the endpoint double is that version already" in told
    call_here("run", "doubling.py", "-p", "factor=3")
    for share, what in (("1.1", "a share of 1.1"), ("0.001", "a share of 0.001"), ("-1", "a share of -1")):
        assert f"{what} of the requests cannot be given" in export("kserve", "--update", "--share", share, code=2)
    (live,) = config_maps(tmp_path / "kserve")
    export("kserve", "--update", "--share", "0.1")
    path = tmp_path / "kserve" / f"{live}.yaml"
    text = path.read_text()
    for changed in ("", "a: [", text.replace("doubling:1", "doubling:2"), text.replace("version.json", "other.json")):
        path.write_text(changed)
        told = export("kserve", "--check", code=2)
        assert "the folder does not say how the live version of the endpoint double was rendered" in told
        assert f"{live}.yaml is not there, or was changed" in told
    path.write_text(text)
    main = tmp_path / "kserve" / "inferenceservice.yaml"
    main.write_text(main.read_text().replace("trafficPercent: 10", "trafficPercent: 20"))
    assert export("kserve", "--check", code=1)["changed"] == ["inferenceservice.yaml"]
    assert export("kserve")["changed"] == ["inferenceservice.yaml"]
    assert export("kserve", "--check")["changed"] == []


def test_a_secret_in_a_deployers_settings_is_refused(project, capfd):
    call_here("run", "doubling.py")
    capfd.readouterr()
    call_here("export", "doubling.py:double", "--stack", "leaking", "-o", "out", code=2)
    error = capfd.readouterr().err
    assert "stacks/leaking.yaml:3: the setting 'environment' of deployer 'kserve' goes into exported files" in error
    assert "deployer.kubernetes_secrets" in error


def test_kserve_has_no_mirror(project, capfd):
    call_here("run", "doubling.py")
    for words in (("export", "doubling.py:double", "-o", "out", "--stack"), ("stack", "check", "--offline")):
        capfd.readouterr()
        call_here(*words, "mirroring", code=2)
        told = "".join(capfd.readouterr())
        assert (
            "stacks/mirroring.yaml:3: deployer 'kserve': KServe gives a canary a share of the requests, and no" in told
        )
        assert "fix: take `canary` out, or use the deployer seldon or seldon-v2, which can mirror" in told
