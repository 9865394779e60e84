"""Stacks: found, merged, checked and bound; every error with its line, no secret in any text."""

import json
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from turnout.base.errors import ConfigError, ConfigErrors, Location, TurnoutError
from turnout.components.orchestrator import Orchestrator
from turnout.components.registry import Registry
from turnout.model.plan import Component
from turnout.model.spec import Schedule
from turnout.plugin_api import (
    ArtifactStore,
    Config,
    Deployer,
    LocalPath,
    Observer,
    Policy,
    Secret,
    SecretStore,
    Tracker,
    hookimpl,
)
from turnout.project.project import Project, Settings
from turnout.stack.bind import instantiate
from turnout.stack.check import check
from turnout.stack.diff import diff
from turnout.stack.find import load_stack, open_stack
from turnout.stack.location import BUILTIN, stacks
from turnout.stack.references import resolve_worker
from turnout.stack.render import to_plain, to_yaml
from turnout.stack.schema import json_schema


def concrete(base, name, config=Config, **more):
    """A component class that implements everything and does nothing."""
    methods = {method: lambda self, *args, **kwargs: None for method in base.__abstractmethods__}
    return type(name.title(), (base,), {**methods, "name": name, "Config": config, **more})


class Inner(Config, frozen=True):
    size: int = 0
    token: Secret | None = None


class EngineConfig(Config, frozen=True):
    dags: LocalPath = "dags"
    port: Annotated[int, msgspec.Meta(ge=1, description="The port.")] = 1
    password: Secret | None = None
    launch: Literal["python", "docker"] = "python"
    ratio: float = 0.5
    debug: bool = False


class EngineOptions(Config, frozen=True):
    pool: str | None = None
    slots: int = 1
    env: dict[str, str] = {}  # noqa: RUF012


class TrackerConfig(Config, frozen=True):
    uri: Annotated[str, msgspec.Meta(description="Where the server is.")]
    folder: str = ""
    port: int = 0
    token: Secret = ""
    headers: dict[str, Secret] = {}  # noqa: RUF012
    inner: Inner = Inner()
    many: list[Inner] = []  # noqa: RUF012

    def __post_init__(self):
        if self.folder == "bad":
            raise ValueError("the folder is bad")


class FolderConfig(Config, frozen=True):
    root: str
    durable: bool = False


class BucketConfig(Config, frozen=True):
    root: str
    credentials: Secret = ""


class KeepConfig(Config, frozen=True):
    prefix: str = ""


class Keeper(SecretStore[KeepConfig]):
    name = "env"
    Config = KeepConfig

    def get(self, name):
        return os.environ.get(self.config.prefix + name)

    def hint(self, name):
        return f"the environment variable {name}"


class Plugin:
    @hookimpl
    def turnout_orchestrators(self):
        engine = concrete(Orchestrator, "engine", EngineConfig, options=EngineOptions, pipeline_options=EngineOptions)
        return [engine, concrete(Orchestrator, "local"), concrete(Orchestrator, "plain")]

    @hookimpl
    def turnout_artifact_stores(self):
        folder = concrete(ArtifactStore, "local", FolderConfig, schemes=("", "file"))
        return [folder, concrete(ArtifactStore, "cloud", BucketConfig, schemes=("s3", "gs"))]

    @hookimpl
    def turnout_trackers(self):
        return [concrete(Tracker, "none"), concrete(Tracker, "mlflow", TrackerConfig)]

    @hookimpl
    def turnout_feature_stores(self):
        from turnout.builtin.no_feature_store import NoFeatureStore

        return [NoFeatureStore]

    @hookimpl
    def turnout_deployers(self):
        return [concrete(Deployer, "none"), concrete(Deployer, "local")]

    @hookimpl
    def turnout_secret_stores(self):
        return [Keeper]

    @hookimpl
    def turnout_observers(self):
        return [concrete(Observer, "jsonl", FolderConfig)]

    @hookimpl
    def turnout_policies(self):
        return [concrete(Policy, "no_pickle"), concrete(Policy, "images", KeepConfig)]


@pytest.fixture
def registry():
    return Registry([Plugin()], installable={"airflow": "turnout-airflow"})


class World:
    """A project in a folder, its stack files, and the variables of the process."""

    def __init__(self, root, registry):
        self.root = root
        self.registry = registry
        self.environ = {}
        self.settings = Settings()

    @property
    def project(self):
        return Project(root=self.root, name="demo", settings=self.settings)

    def write(self, text, name="stacks/prod.yaml"):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def load(self, text=None, given="prod"):
        if text is not None:
            self.write(text)
        return load_stack(given, self.project, self.registry, self.environ)

    def refusal(self, text=None, given="prod"):
        with pytest.raises(ConfigError) as caught:
            self.load(text, given)
        return str(caught.value).replace(str(self.root), "<root>")


@pytest.fixture
def world(tmp_path, registry, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return World(tmp_path.resolve(), registry)


BASE = "orchestrator: {type: engine}\nartifact_store: {root: store}\n"


# Finding


def test_the_stack_is_chosen_by_argument_variable_project_or_default(world):
    world.write("extends: local\n", "stacks/one.yaml")
    world.write("extends: local\n", "stacks/two.yml")
    assert world.load(given=None).name == "local"
    world.settings = Settings(stack="one")
    assert world.load(given=None).file == "stacks/one.yaml"
    world.environ["TURNOUT_STACK"] = "two"
    assert world.load(given=None).file == "stacks/two.yml"
    assert world.load(given="one").name == "one"


def test_a_stack_may_be_given_by_path(world, monkeypatch):
    world.write("extends: local\n", "else/where.yaml")
    assert world.load(given="else/where.yaml").files == ("else/where.yaml", "turnout:local.yaml")
    monkeypatch.chdir(world.root / "else")
    assert world.load(given="where.yaml").file == "else/where.yaml"
    assert world.load(given=str(world.root / "else" / "where.yaml")).name == "where"
    world.settings = Settings(stack="else/where.yaml")
    assert world.load(given=None).name == "where"


def test_the_folder_of_stacks_is_a_setting(world):
    world.write("extends: local\n", "deploy/prod.yaml")
    world.settings = Settings(stacks="deploy")
    assert world.load().file == "deploy/prod.yaml"
    assert [(s.name, s.label, s.origin) for s in stacks(world.project) if not s.origin.startswith("turnout-")] == [
        ("local", "turnout:local.yaml", "turnout"),
        ("prod", "deploy/prod.yaml", ""),
    ]


def test_a_stack_of_the_project_hides_the_built_in_one_and_may_extend_it(world):
    world.write("extends: local\naccept: [gpu]\n", "stacks/local.yaml")
    stack = world.load(given="local")
    assert stack.files == ("stacks/local.yaml", "turnout:local.yaml")
    assert stack.accept == ("gpu",)


def test_package_data_is_found_without_an_import(world, monkeypatch):
    package = world.root / "site" / "bank_stacks"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "base.yaml").write_text("extends: common.yaml\ntracker: {type: none}\n")
    (package / "common.yaml").write_text(BASE)
    monkeypatch.syspath_prepend(world.root / "site")
    stack = world.load("extends: bank_stacks:base.yaml\naccept: [gpu]\n")
    assert stack.files[:2] == ("stacks/prod.yaml", "bank_stacks:base.yaml")
    assert stack.orchestrator_type.name == "engine"
    assert world.load(given="bank_stacks:base.yaml").name == "base"


def test_a_stack_that_cannot_be_found_is_an_error(world, snapshot):
    world.write("extends: local\n")
    world.write("extends: prod\n", "outside.yaml")
    texts = [world.refusal(given=given) for given in ("prdo", "no/such.yaml", "no_such_package:x.yaml")]
    texts += [
        world.refusal(f"extends: {base}\n")
        for base in ("lcal", "../../x.yaml", "/etc/hostname", "json:../x.yaml", "json:none.yaml", "[a]", "prod")
    ]
    world.environ["TURNOUT_STACK"] = "gone"
    texts.append(world.refusal(given=None))
    assert texts == snapshot


def test_a_base_outside_the_project_is_refused(world, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "x.yaml").write_text(BASE)
    base = os.path.relpath(other / "x.yaml", world.root / "stacks")
    assert "lies outside the project" in world.refusal(f"extends: {base}\n")
    (world.root / "link.yaml").symlink_to(other / "x.yaml")
    assert "lies outside the project" in world.refusal("extends: ../link.yaml\n")


def test_a_stack_of_another_folder_extends_the_built_in_one_by_a_link(world, tmp_path_factory):
    other = tmp_path_factory.mktemp("ready-made")
    (other / "local.yaml").symlink_to(BUILTIN / "local.yaml")
    (other / "engine.yaml").write_text("extends: local\norchestrator: {type: engine}\n")
    stack = world.load(given=str(other / "engine.yaml"))
    assert stack.files == (str(other / "engine.yaml"), "turnout:local.yaml")
    assert plain(stack, "artifact_store") == {"root": ".turnout/store"}


def test_a_circle_is_named(world):
    world.write("extends: b\n", "stacks/a.yaml")
    world.write("extends: prod\n", "stacks/b.yaml")
    assert world.refusal("extends: a\n") == (
        "stacks/b.yaml:1: stacks extend each other: "
        "stacks/prod.yaml → stacks/a.yaml → stacks/b.yaml → stacks/prod.yaml\n"
        "  fix: take one `extends` out"
    )


# Merging


def merged(world, base, child):
    world.write(BASE + base, "stacks/base.yaml")
    return world.load("extends: base\n" + child)


def plain(stack, section):
    return stack.document.get(section).plain()


def test_keys_of_one_type_merge_and_another_type_replaces(world):
    base = "tracker: {type: mlflow, uri: a, inner: {size: 3}, headers: {A: '${secret:a}'}}\n"
    stack = merged(world, base, "tracker: {uri: b, headers: {B: '${secret:b}'}}\n")
    assert plain(stack, "tracker") == {
        "type": "mlflow",
        "uri": "b",
        "inner": {"size": 3},
        "headers": {"A": "${secret:a}", "B": "${secret:b}"},
    }
    assert plain(merged(world, base, "tracker: {type: mlflow, uri: b}\n"), "tracker")["inner"] == {"size": 3}
    assert plain(merged(world, base, "tracker: {type: none}\n"), "tracker") == {"type": "none"}


def test_a_store_s_type_follows_from_its_url(world):
    base = "artifact_store: {root: here, durable: true}\n"
    world.write("orchestrator: {type: local}\n" + base, "stacks/base.yaml")
    assert plain(world.load("extends: base\nartifact_store: {root: there}\n"), "artifact_store") == {
        "root": "there",
        "durable": True,
    }
    stack = world.load("extends: base\nartifact_store: {root: 's3://b/x'}\n")
    assert plain(stack, "artifact_store") == {"root": "s3://b/x"}
    assert type(stack.component("artifact_store")).name == "cloud"
    world.environ["ROOT"] = "gs://b"
    assert (
        type(world.load("extends: base\nartifact_store: {root: '${env:ROOT}/x'}\n").component("artifact_store")).name
        == "cloud"
    )
    assert "unknown artifact store 'ftp://'" in world.refusal("extends: base\nartifact_store: {root: 'ftp://b'}\n")


def test_lists_replace_but_policies_are_only_added(world):
    base = "observers: [{type: jsonl, root: a}]\naccept: [gpu]\npolicies: [{type: no_pickle}]\n"
    child = "observers: []\naccept: [cpu]\npolicies: [{type: no_pickle}, {type: images, prefix: x}]\n"
    stack = merged(world, base, child)
    assert plain(stack, "observers") == []
    assert stack.accept == ("cpu",)
    assert [policy.type for policy in stack.worker().policies] == ["no_pickle", "images"]
    assert [policy.type for policy in merged(world, base, "policies: []\n").worker().policies] == ["no_pickle"]


def test_steps_merge_by_pattern_and_count_where_the_child_names_them(world):
    base = "steps: {'fit*': {resources: {gpu: 1}, retries: 1}, '*': {retries: 2, timeout: 1m}}\n"
    stack = merged(world, base, "steps: {'fit*': {retries: 5}}\n")
    assert list(plain(stack, "steps")) == ["*", "fit*"]
    found = stack.step_overrides("fit_small")
    assert (found.retries, found.resources, found.timeout) == (5, {"gpu": 1}, 60.0)
    assert stack.step_overrides("load").retries == 2
    assert found.places == {
        "retries": Location("stacks/prod.yaml", 2),
        "resources.gpu": Location("stacks/base.yaml", 3),
        "timeout": Location("stacks/base.yaml", 3),
    }


def test_sections_that_are_left_out_have_defaults(world):
    worker = world.load(BASE).worker()
    assert (worker.tracker.type, worker.feature_store.type, worker.secrets.type) == ("none", "none", "env")
    assert world.load(BASE).component("deployer").name == "none"


def test_the_digest_is_of_what_the_files_say(world):
    one = world.load(BASE + "tracker: {type: mlflow, uri: a}\n").digest
    assert one == world.load("# moved\n" + BASE + "\ntracker:\n  uri: a\n  type: mlflow\n").digest
    assert one != world.load(BASE + "tracker: {type: mlflow, uri: b}\n").digest
    world.environ["U"] = "x"
    two = world.load(BASE + "tracker: {type: mlflow, uri: '${env:U}'}\n").digest
    world.environ["U"] = "y"
    assert two == world.load().digest


# Binding


def test_components_are_made_of_their_settings(world):
    world.environ |= {"PORT": "8080", "RATIO": "1", "DEBUG": "true"}
    text = "orchestrator: {type: engine, port: '${env:PORT}', ratio: '${env:RATIO}', debug: '${env:DEBUG}'}\n"
    config = world.load(text + "artifact_store: {root: store}\n").component("orchestrator").config
    assert (config.port, config.ratio, config.debug) == (8080, 1.0, True)


def test_local_paths_start_at_the_project(world, monkeypatch):
    (world.root / "sub").mkdir()
    monkeypatch.chdir(world.root / "sub")
    monkeypatch.setenv("HOME", "/home/me")
    stack = world.load(BASE)
    assert stack.component("artifact_store").config.root == str(world.root / "store")
    assert stack.component("orchestrator").config.dags == str(world.root / "dags")
    for root in ("/abs/store", "file:///abs/store", "s3://b/x"):
        text = f"orchestrator: {{type: engine, dags: ~/dags}}\nartifact_store: {{root: '{root}'}}\n"
        assert world.load(text).component("artifact_store").config.root == root
    assert world.load().component("orchestrator").config.dags == "/home/me/dags"


def test_the_worker_s_side_keeps_what_only_the_worker_knows(world):
    world.environ |= {"HOST": "h${secret:x}", "PORT": "9"}
    stack = world.load(
        BASE + "tracker:\n  type: mlflow\n  uri: 'http://${env:HOST}:${worker-env:ROOT}'\n  folder: '$${plain}'\n"
        "  port: '${worker-env:TRACKER_PORT}'\n  token: '${worker-env:TOKEN}'\n  headers: {A: '${secret:a}'}\n"
        "observers: [{type: jsonl, root: '${worker-env:DIR:-x}'}]\n"
    )
    worker = stack.worker()
    assert worker.tracker == Component(
        type="mlflow",
        config={
            "uri": "http://h$${secret:x}:${worker-env:ROOT}",
            "folder": "$${plain}",
            "port": "${worker-env:TRACKER_PORT}",
            "token": "${secret-env:TOKEN}",
            "headers": {"A": "${secret:a}"},
        },
    )
    environ = {"ROOT": "r", "TRACKER_PORT": "77", "TOKEN": "hush"}
    config, seen = resolve_worker(worker.tracker.config, environ, {"a": "sesame"}.__getitem__)
    tracker = instantiate(world.registry, "tracker", "mlflow", config).config
    assert (tracker.uri, tracker.folder, tracker.port) == ("http://h${secret:x}:r", "${plain}", 77)
    assert (tracker.token, tracker.headers) == ("hush", {"A": "sesame"})
    assert seen == {"hush", "sesame"}


def test_a_worker_s_setting_that_does_not_fit_is_said_without_its_value(world):
    for config in ({"uri": "u", "port": "hush"}, {"uri": "u", "many": [{"size": "hush"}]}):
        with pytest.raises(ConfigError) as caught:
            instantiate(world.registry, "tracker", "mlflow", config)
        assert "must be an int, which what its reference gave is not" in str(caught.value)
        assert "hush" not in str(caught.value)
    with pytest.raises(ConfigErrors, match=r"unknown setting 'a'"):
        instantiate(world.registry, "tracker", "mlflow", {"a": 1, "b": 2})


def test_secrets_of_the_submitter_are_resolved_when_asked_for(world, monkeypatch):
    monkeypatch.setenv("MY_airflow", "hush")
    stack = world.load(
        "orchestrator: {type: engine, password: '${secret:airflow}'}\n"
        "artifact_store: {root: 's3://b', credentials: '${secret:s3}'}\nsecrets: {type: env, prefix: MY_}\n"
    )
    assert stack.component("orchestrator").config.password == "hush"
    assert stack.component("orchestrator", resolve=False).config.password == "${secret:airflow}"
    store = stack.component("artifact_store")
    assert store.config.credentials == "${secret:s3}"
    assert store.resolve("airflow") == "hush"
    assert store.resolve("s3") is None
    monkeypatch.delenv("MY_airflow")
    with pytest.raises(ConfigError) as caught:
        stack.component("orchestrator")
    assert str(caught.value) == (
        "the secret 'airflow' is not there\n"
        "  why: looked for the environment variable airflow\n"
        "  fix: create it on this machine, or choose another secret store in the stack"
    )


def test_the_instance_is_the_orchestrator_s(world):
    assert world.load(BASE).instance == "default"
    world.environ["STAGE"] = "prod"
    text = "orchestrator: {type: engine, instance: 'x-${env:STAGE}'}\nartifact_store: {root: store}\n"
    assert world.load(text).instance == "x-prod"


PLAIN = "artifact_store: {root: store}\n"
WRONG = {
    "unknown section": BASE + "trackr: {type: none}\n",
    "unknown type": "orchestrator:\n  type: airlfow\n" + PLAIN,
    "unknown setting": BASE + "tracker:\n  type: mlflow\n  uri: x\n  foldr: y\n",
    "unknown setting of none": BASE + "tracker: {type: none, uri: x}\n",
    "missing setting": BASE + "tracker: {type: mlflow}\n",
    "wrong type": BASE + "tracker:\n  type: mlflow\n  uri: 3\n",
    "empty setting": BASE + "tracker:\n  type: mlflow\n  uri:\n",
    "wrong type below": BASE + "tracker:\n  type: mlflow\n  uri: x\n  many:\n  - size: 1\n  - size: big\n",
    "unknown key below": BASE + "tracker:\n  type: mlflow\n  uri: x\n  inner:\n    sise: 1\n",
    "out of range": "orchestrator: {type: engine, port: 0}\n" + PLAIN,
    "not a choice": "orchestrator: {type: engine, launch: dokcer}\n" + PLAIN,
    "a choice by reference": "orchestrator: {type: engine, launch: '${env:HUSH}'}\n" + PLAIN,
    "an int by reference": "orchestrator: {type: engine, port: '${env:HUSH}'}\n" + PLAIN,
    "its own check": BASE + "tracker: {type: mlflow, uri: x, folder: bad}\n",
    "no orchestrator": PLAIN,
    "no artifact store": "orchestrator: {type: engine}\n",
    "a component that is text": BASE + "tracker: mlflow\n",
    "a type that is a list": BASE + "tracker: {type: [a]}\n",
    "observers as a mapping": BASE + "observers: {type: jsonl}\n",
    "an observer without type": BASE + "observers:\n- root: x\n",
    "steps as a list": BASE + "steps: [a]\n",
    "a step as text": BASE + "steps: {a: b}\n",
    "accept as text": BASE + "accept: gpu\n",
    "accept of numbers": BASE + "accept: [1]\n",
    "extends as a list": "extends: [local]\n",
    "missing variable": BASE + "tracker: {type: mlflow, uri: '${env:NOT_SET}'}\n",
    "a secret for the secret store": BASE + "secrets: {type: env, prefix: '${secret:x}'}\n",
    "an instance that is a number": "orchestrator: {type: engine, instance: 3}\n" + PLAIN,
    "python": BASE + "environment: {python: 3.11}\n",
    "a python that is none": BASE + "environment: {python: '3.11.4'}\n",
    "step: unknown setting": BASE + "steps:\n  fit*:\n    retrys: 3\n",
    "step: unknown engine": BASE + "steps:\n  fit*:\n    engin: {pool: a}\n",
    "step: unknown option": BASE + "steps:\n  fit*:\n    engine: {pol: a}\n",
    "step: option's type": BASE + "steps:\n  fit*:\n    engine: {slots: many}\n",
    "step: options as text": BASE + "steps:\n  fit*:\n    engine: x\n",
    "step: an engine without options": BASE + "steps:\n  fit*:\n    plain: {pool: a}\n",
    "step: resources": BASE + "steps:\n  fit*:\n    resources: {cpu: 0, memory: lots, gpus: 1}\n",
    "step: resources as text": BASE + "steps:\n  fit*:\n    resources: big\n",
    "step: retries": BASE + "steps:\n  fit*:\n    retries: -1\n    retry_backoff: 0.5\n",
    "step: durations": BASE + "steps:\n  fit*:\n    timeout: soon\n    retry_delay: -1\n    cache: 12 parsecs\n",
    "step: env": BASE + "steps:\n  fit*:\n    env: [REGION, A=b]\n",
    "step: worker reference": BASE + "steps:\n  fit*:\n    image: '${worker-env:X}'\n",
    "pipeline: unknown setting": BASE + "pipelines:\n  flights:\n    shedule: '@daily'\n",
    "pipeline: schedule": BASE + "pipelines:\n  flights:\n    schedule: '99 * * * *'\n    timezone: Europe/Nowhere\n",
    "pipeline: start": BASE + "pipelines:\n  flights:\n    start: soon\n",
    "pipeline: tags": BASE + "pipelines:\n  flights:\n    tags: {a: 1}\n",
    "several things": "orchestrator: {type: nope}\nartifact_store: {root: store, x: 1}\nsteps: {a: {b: 1}}\n",
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_its_line(world, case, snapshot):
    world.environ["HUSH"] = "hunter2"
    text = world.refusal(WRONG[case])
    assert "hunter2" not in text
    assert text == snapshot


LITERALS = {
    "a literal": "token: hunter2",
    "a list": "token: [hunter2]",
    "a number": "token: 4711",
    "a bool": "token: true",
    "text around": "token: 'hunter2${secret:x}'",
    "a default": "token: '${worker-env:X:-hunter2}'",
    "a secret's default": "token: '${secret:X:-hunter2}'",
    "planned": "token: '${env:HUSH}'",
    "planned and secret": "token: '${env:HUSH}${secret:x}'",
    "an unknown kind": "token: '${hunter2}'",
    "unclosed": "token: '${secret:hunter2'",
    "in a mapping": "headers: {A: hunter2}",
    "below": "inner: {token: hunter2}",
    "in a list": "many: [{size: 1}, {token: hunter2}]",
    "a wrong place": "headers: hunter2",
    "a wrong place below": "many: [hunter2]",
    "a tag": "token: !hunter2 x",
    "a piece of yaml": "token: *hunter2",
}


@pytest.mark.parametrize("case", LITERALS)
def test_a_credential_never_stands_in_a_stack_nor_in_a_message(world, case, snapshot):
    world.environ["HUSH"] = "hunter2"
    text = world.refusal(BASE + f"tracker:\n  type: mlflow\n  uri: x\n  {LITERALS[case]}\n")
    assert "hunter2" not in text
    assert "4711" not in text
    assert text == snapshot


# Overrides


def test_patterns_say_what_changes_in_a_step(world):
    world.environ["IMAGES"] = "registry.example"
    stack = world.load(
        BASE + "steps:\n"
        "  '*': {retries: 1, env: [A], engine: {pool: small, slots: 2}}\n"
        "  fit*: {resources: {gpu: 1, memory: 4Gi}, retries: 3, retry_delay: 10s, retry_backoff: 2, timeout: 1h30m,\n"
        "         image: '${env:IMAGES}/fit', cache: 12h, env: [B, A], engine: {pool: gpu}, airflow: {pool: x}}\n"
        "  prepare.*: {cache: false, timeout: }\n"
    )
    found = stack.step_overrides("fit_small")
    assert found.resources == {"gpu": 1, "memory": "4Gi"}
    assert (found.retries, found.retry_delay, found.retry_backoff, found.timeout) == (3, 10.0, 2.0, 5400.0)
    assert (found.image, found.cache, found.env) == ("registry.example/fit", 43200.0, ("A", "B"))
    assert found.options == {"engine": {"pool": "gpu", "slots": 2}}
    assert found.places["engine.slots"] == Location("stacks/prod.yaml", 4)
    assert found.places["engine.pool"] == Location("stacks/prod.yaml", 6)
    other = stack.step_overrides("prepare.clean")
    assert (other.cache, other.timeout) == (False, None)
    assert other.image is msgspec.UNSET
    assert stack.step_overrides("load").retry_delay is msgspec.UNSET
    assert stack.step_overrides("Fit").resources == {}


def test_a_pipeline_can_be_changed(world):
    stack = world.load(
        BASE
        + "pipelines:\n  flights: {schedule: 0 6 * * *, params: {depth: 8}, tags: {team: ops}, engine: {pool: a}}\n"
        "  '*': {tags: {stage: prod}}\n"
    )
    found = stack.pipeline_overrides("flights")
    assert (found.schedule, found.params) == ("0 6 * * *", {"depth": 8})
    assert found.tags == {"team": "ops", "stage": "prod"}
    assert found.places["params.depth"] == found.places["schedule"] == Location("stacks/prod.yaml", 4)
    assert stack.pipeline_options("flights") == {"engine": {"pool": "a"}}
    assert stack.pipeline_options("other") == {}


def test_a_schedule_is_changed_in_part_or_whole(world):
    own = Schedule(cron="@daily", timezone="Europe/Berlin", start="2026-01-01T00:00:00Z", catchup=True)

    def rescheduled(block, current=own):
        stack = world.load(BASE + f"pipelines: {{flights: {{{block}}}}}\n")
        return stack.pipeline_overrides("flights").rescheduled(current)

    assert rescheduled("tags: {}") == own
    assert rescheduled("schedule: 0 6 * * *").cron == "0 6 * * *"
    assert rescheduled("schedule: 0 6 * * *").timezone == "Europe/Berlin"
    assert rescheduled("schedule: every 2h").every == 7200.0
    assert rescheduled("schedule: [a, b]").assets == ("a", "b")
    assert rescheduled("timezone: UTC, catchup: false") == Schedule(cron="@daily", start="2026-01-01T00:00:00Z")
    assert rescheduled("timezone: UTC", Schedule(every=60.0)).every == 60.0
    local = msgspec.structs.replace(own, start="2026-01-01T00:00:00")
    assert rescheduled("tags: {}", local).start == "2025-12-31T23:00:00Z"
    assert rescheduled("timezone: Asia/Tokyo", local).start == "2025-12-31T15:00:00Z"
    assert rescheduled("timezone: Asia/Tokyo").start == own.start
    assert rescheduled("start: '2026-02-01'").start == "2026-01-31T23:00:00Z"
    assert rescheduled("schedule: '@hourly'", None) == Schedule(cron="@hourly")
    with pytest.raises(ConfigError, match=r"stacks/prod.yaml:3: start and catchup need a schedule"):
        rescheduled("start: 2026-01-01", None)


def test_the_stack_switches_a_schedule_off(world):
    own = Schedule(cron="@daily", start="2026-01-01T00:00:00Z", catchup=True)
    stack = world.load(BASE + "pipelines: {flights: {schedule: }}\n")
    assert stack.pipeline_overrides("flights").schedule is None
    assert stack.pipeline_overrides("flights").rescheduled(own) is None


# Showing, comparing, checking


def test_a_stack_is_shown_with_the_place_of_everything_and_no_secret(world, snapshot):
    world.environ["HUSH"] = "hunter2"
    tracker = "{type: mlflow, uri: 'http://me:hunter2@host/x', token: '${secret:mlflow}', folder: '${env:HUSH}'}"
    world.write(f"{BASE}tracker: {tracker}\n", "stacks/base.yaml")
    world.write(
        "extends: base\nobservers:\n- {type: jsonl, root: 'yes'}\n"
        "steps:\n  fit*: {resources: {gpu: 1}, engine: {env: {}}}\naccept: []\n"
    )
    stack = open_stack("prod", world.project, world.registry, world.environ)
    text = to_yaml(stack)
    assert "hunter2" not in text
    assert "hunter2" not in json.dumps(to_plain(stack))
    assert text == snapshot
    assert to_plain(stack)["places"]["steps.'fit*'.resources.gpu"] == "stacks/prod.yaml:5"


def test_what_is_shown_is_a_stack_again(world):
    stack = merged(world, "tracker: {type: mlflow, uri: 'x: #y', folder: \"a\\nb\"}\n", "steps: {'a*': {retries: 2}}\n")
    again = world.load(to_yaml(stack))
    assert again.document.plain() == stack.document.plain()


def test_two_stacks_are_compared_value_by_value(world):
    world.write(BASE + "tracker: {type: mlflow, uri: 'http://a:hunter2@b'}\n", "stacks/a.yaml")
    world.write(BASE + "tracker: {type: none}\nsteps: {'f*': {retries: 1}}\n", "stacks/b.yaml")
    left, right = (open_stack(name, world.project, world.registry, {}) for name in "ab")
    assert [(c.path, c.left, c.left_at, c.right, c.right_at) for c in diff(left, right)] == [
        ("tracker.type", "mlflow", "stacks/a.yaml:3", "none", "stacks/b.yaml:3"),
        ("tracker.uri", "http://a:[secret]@b", "stacks/a.yaml:3", None, ""),
        ("steps.'f*'.retries", None, "", 1, "stacks/b.yaml:4"),
    ]
    assert diff(left, left) == ()


def test_a_check_finds_everything_at_once(world):
    world.write(
        "orchestrator: {type: engine, port: x}\nartifact_store: {root: 's3://b', credentials: '${worker-env:S3}'}\n"
        "tracker: {type: mlflow, uri: 'http://a:hunter2@b', port: '${worker-env:P:-1}', token: '${worker-env:T}'}\n"
        "secrets: {type: nope}\n"
    )
    world.environ["T"] = "set"
    findings = check("prod", world.project, world.registry, world.environ)
    assert [(f.level, f.where, f.what) for f in findings] == [
        ("error", "stacks/prod.yaml:1", "the setting 'port' of orchestrator 'engine' must be an int, not text"),
        (
            "error",
            "stacks/prod.yaml:3",
            "the setting 'uri' of tracker 'mlflow' holds a password or a token in clear",
        ),
        ("error", "stacks/prod.yaml:4", "unknown secret store 'nope'"),
        ("warning", "stacks/prod.yaml:2", "the environment variable 'S3' is not set here"),
    ]
    assert check("local", world.project, world.registry, {}) == ()
    assert [f.level for f in check("nope", world.project, world.registry, {})] == ["error"]


def test_a_broken_plugin_that_a_stack_needs_is_named(world):
    class Broken:
        @hookimpl
        def turnout_trackers(self):
            raise ImportError("no module mlflow_sdk")

    registry = Registry([Plugin(), Broken()], installable={})
    world.write(BASE + "tracker: {type: wandb}\n")
    with pytest.raises(TurnoutError, match=r"stacks/prod.yaml:3: unknown tracker 'wandb'(.|\n)*no module mlflow_sdk"):
        load_stack("prod", world.project, registry, {})


# The schema


def validator(registry):
    import jsonschema

    schema = json_schema(registry)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_schema_takes_good_stacks_and_refuses_bad_ones(registry):
    valid = validator(registry)
    good = {
        "extends": "local",
        "orchestrator": {"type": "engine", "port": "${env:PORT}", "instance": "prod"},
        "artifact_store": {"root": "s3://x"},
        "tracker": {"type": "mlflow", "uri": "x", "inner": {"size": 1}},
        "observers": [{"type": "jsonl", "root": "x"}],
        "steps": {"fit*": {"retries": 2, "timeout": "30m", "resources": {"gpu": 1}, "engine": {"pool": "x"}}},
        "pipelines": {"flights": {"schedule": None, "engine": {"slots": 2}}},
        "accept": ["gpu"],
        "environment": {"python": "3.11"},
    }
    assert list(valid.iter_errors(good)) == []
    for section, bad in [
        ("trackr", {}),
        ("tracker", {"type": "nope"}),
        ("tracker", {"type": "mlflow", "url": "x"}),
        ("orchestrator", {"type": "engine", "port": "80"}),
        ("observers", [{"root": "x"}]),
        ("steps", {"fit": {"retrys": 1}}),
        ("steps", {"fit": {"engine": {"pol": "x"}}}),
        ("pipelines", {"flights": {"engine": {"pol": "x"}}}),
        ("environment", {"python": "3"}),
    ]:
        assert list(valid.iter_errors({section: bad})), (section, bad)


def test_the_schema_describes_settings(registry):
    text = json.dumps(json_schema(registry))
    assert "Where the server is." in text


def test_ready_made_stacks_are_one_copy():
    top = Path(__file__).parents[3] / "stacks" / "local.yaml"
    from turnout.stack.location import BUILTIN

    assert top.resolve() == (BUILTIN / "local.yaml").resolve()


def test_the_built_in_stack_works_with_the_built_in_components(tmp_path):
    from turnout.components.registry import discover

    stack = load_stack("local", Project(root=tmp_path, name="x"), discover(), {})
    assert stack.orchestrator_type.name == "local"
    assert stack.component("artifact_store").address == str(tmp_path.resolve() / ".turnout" / "store")
    assert isinstance(stack.component("orchestrator"), Orchestrator)
