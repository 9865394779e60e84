"""A stack: the tools a pipeline runs on, as one document with a place for every value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from turnout.base import canonical
from turnout.base.errors import ConfigError, Location, TurnoutError
from turnout.components.artifact_store import ArtifactStore
from turnout.components.base import Config, Uri
from turnout.components.deployer import Deployer
from turnout.components.kinds import ARTIFACT_STORE, DEPLOYER, KINDS, ORCHESTRATOR, SECRET_STORE, Kind, noun
from turnout.components.orchestrator import Orchestrator
from turnout.components.registry import Registry
from turnout.environment import package_index as index
from turnout.model import plan
from turnout.project.project import Project
from turnout.stack import faults, misplaced, packages, references
from turnout.stack.bind import Bound, C, bind, build, instantiate, resolved
from turnout.stack.loader import Node
from turnout.stack.merge import COMPONENTS, LISTS
from turnout.stack.overrides import PipelineOverrides, Reader, Rule, StepOverrides, overrides_of


class EnvironmentSettings(Config, frozen=True):
    """The section ``environment``."""

    python: Annotated[
        Annotated[str, Meta(pattern=r"^3\.[0-9]+$")] | None,
        Meta(description='The minor version of Python on workers: "3.11".'),
    ] = None
    base_image: Annotated[
        str | None,
        Meta(description="The image that `turnout image build` starts from; it has that Python, pip and a shell."),
    ] = None
    index_url: Annotated[
        Uri, Meta(description="The package index, in place of the one uv is set up for; passwords as ${secret:NAME}.")
    ] = ""
    extra_index_urls: Annotated[tuple[str, ...], Meta(description="Further package indexes, which come first.")] = ()
    find_links: Annotated[
        tuple[str, ...],
        Meta(description="Folders and pages of wheels; a relative folder is the project's and travels with its code."),
    ] = ()
    offline: Annotated[
        bool, Meta(description="Whether uv is kept from the network: folders and its cache are left.")
    ] = False
    builder: Annotated[
        Literal["docker", "podman", "buildah"] | None,
        Meta(description="What builds images; else the first of docker, podman and buildah that there is."),
    ] = None


class Choice(msgspec.Struct, frozen=True):
    """A component that the stack chooses: its section (``observers[0]``), kind, type, settings and place."""

    section: str
    kind: Kind[Any]
    type: str
    settings: Node
    at: Location

    @property
    def owner(self) -> str:
        """The component as messages name it."""
        return f"{noun(self.kind)} {self.type!r}"


class _Checked(msgspec.Struct, frozen=True):
    """What a stack comes to, with everything that is wrong with it."""

    components: dict[str, tuple[Choice, type[Any], Bound]]
    steps: tuple[Rule, ...]
    pipelines: tuple[Rule, ...]
    environment: EnvironmentSettings
    packages: plan.PackageIndex
    errors: tuple[TurnoutError, ...]


class Stack(msgspec.Struct, frozen=True, dict=True):
    """A stack bound to a project, the plugins there are, and the variables of this process.

    ``document`` is what its files merge to, references unresolved; ``files`` names them, the stack's own first.
    Made by :func:`turnout.stack.find.load_stack`, which raises what :attr:`errors` holds.
    """

    name: str
    files: tuple[str, ...]
    document: Node
    project: Project
    registry: Registry
    environ: Mapping[str, str]

    @property
    def file(self) -> str:
        """The stack's own file: relative to the project, ``turnout:local.yaml`` for a built-in one."""
        return self.files[0]

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the merged document, references unresolved."""
        return canonical.digest_of(self.document.plain())

    @property
    def errors(self) -> tuple[TurnoutError, ...]:
        """Everything that is wrong with the stack."""
        return self._checked.errors

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Every component of the stack, in the order of sections; those left out by their default."""
        return tuple(self._choices([]))

    def _choices(self, errors: list[TurnoutError]) -> Iterator[Choice]:
        for section, kind in COMPONENTS.items():
            node = self.document.get(section) or Node({}, Location(self.file))
            named = component_type(section, node, self.registry, self.environ) or kind.default
            if named:
                place = node.get("type")
                yield Choice(section, kind, named, node.without("type"), place.at if place else node.at)
            else:
                example = "{root: .turnout/store}" if kind == ARTIFACT_STORE else "{type: local}"
                what = f"the stack {self.name!r} has no {noun(kind)}"
                fix = f"add `{section}: {example}`, or `extends: local`"
                errors.append(ConfigError(what, where=node.at, fix=fix))
        for section, kind in LISTS.items():
            nodes = self.document.get(section)
            for number, item in enumerate(nodes.value if nodes else ()):
                named = item.value["type"]
                yield Choice(f"{section}[{number}]", kind, named.value, item.without("type"), named.at)

    @cached_property
    def _checked(self) -> _Checked:
        errors: list[TurnoutError] = []
        components = {}
        engine = ""
        for choice in self._choices(errors):
            try:
                component = self.registry.get(choice.kind, choice.type, choice.at)
            except TurnoutError as error:
                errors.append(error)
                continue
            if choice.kind == ORCHESTRATOR:
                engine = choice.type
            components[choice.section] = (choice, component, self._bound(choice, component, errors))
        reader = Reader(self.registry, engine, self.environ, errors)
        steps, pipelines = reader.steps(self.document.get("steps")), reader.pipelines(self.document.get("pipelines"))
        errors.extend(faults.not_to_accept(self.document.get("accept")))
        node = self.document.get("environment") or Node({}, Location(self.file))
        bound = bind(node, EnvironmentSettings, "environment", self.environ, errors)
        errors.extend(faults.no_addresses(EnvironmentSettings, bound, node, "environment"))
        environment, package_index = EnvironmentSettings(**bound.values), packages.package_index(bound)
        return _Checked(components, steps, pipelines, environment, package_index, tuple(sorted(errors, key=_position)))

    def _bound(self, choice: Choice, component: type[Any], errors: list[TurnoutError]) -> Bound:
        settings = choice.settings
        instance = settings.get("instance") if choice.kind == ORCHESTRATOR else None
        if instance is not None:
            if not isinstance(instance.value, str) or not instance.value:
                errors.append(ConfigError("the orchestrator's instance must be text", where=instance.at, fix="name it"))
            if not _has(component.Config, "instance"):
                settings = settings.without("instance")
        bound = bind(
            settings,
            component.Config,
            choice.owner,
            self.environ,
            errors,
            marked=choice.kind.on_worker,
            elsewhere=faults.options_of(component) if choice.kind == ORCHESTRATOR else None,
        )
        if choice.kind == SECRET_STORE:
            errors.extend(misplaced.in_secret_store(settings))
        elif choice.kind in {ORCHESTRATOR, DEPLOYER}:
            errors.extend(misplaced.in_exports(settings, component.exported, choice.owner))
        wrong = faults.no_addresses(component.Config, bound, settings, choice.owner)
        errors.extend(wrong)
        if not bound.waiting and not wrong and _is_whole(component.Config, settings, bound):
            try:
                build(component.Config, bound.values, choice.owner, choice.at, settings)
            except ConfigError as error:
                errors.append(error)
        return bound

    @property
    def bound(self) -> tuple[tuple[Choice, type[Any], Bound], ...]:
        """Every component whose plugin is there: what the stack says of it, its class, and its settings converted."""
        return tuple(self._checked.components.values())

    @property
    def orchestrator_type(self) -> type[Orchestrator[Any]]:
        """The class of the stack's orchestrator."""
        return self._checked.components["orchestrator"][1]

    @property
    def deployer_type(self) -> type[Deployer[Any]]:
        """The class of the stack's deployer."""
        return self._checked.components["deployer"][1]

    @property
    def instance(self) -> str:
        """The orchestrator's ``instance``, from which run ids are derived; the type's own default, or ``default``."""
        choice, component, _ = self._checked.components["orchestrator"]
        instance = choice.settings.get("instance")
        if instance is not None:
            return references.unescape(references.plan(instance.value, self.environ, instance.at))
        for field in msgspec.structs.fields(component.Config):
            if field.encode_name == "instance" and isinstance(field.default, str):
                return field.default
        return "default"

    @property
    def accept(self) -> tuple[str, ...]:
        """The capabilities that pipelines may go without on this stack."""
        node = self.document.get("accept")
        return tuple(item.value for item in node.value) if node else ()

    @property
    def environment(self) -> EnvironmentSettings:
        """The section ``environment``."""
        return self._checked.environment

    def package_index(self) -> dict[str, str]:
        """The variables by which uv, on this machine, finds the packages of the stack's index.

        Raises:
            ConfigError: when a secret or variable is missing.
        """
        settings = msgspec.structs.asdict(self._checked.packages)
        settings, _ = references.resolve_worker(settings, self.environ, self._existing_secret)
        return index.variables(settings, self.project.root)

    def component(self, kind: Kind[type[C]], *, resolve: bool = True) -> C:
        """Make the orchestrator, artifact store or deployer.

        Args:
            kind: the orchestrator's, the artifact store's or the deployer's.
            resolve: whether to resolve secrets and ``${worker-env:…}``; without, a setting holds the reference as
                text, which is enough to compile. An artifact store is always given references, and resolves them.

        Raises:
            ConfigError: when a secret or variable is missing.
        """
        choice, component, bound = self._checked.components[kind]
        waiting = bound.waiting
        if kind != ARTIFACT_STORE and resolve:
            texts, _ = references.resolve_worker(waiting, self.environ, self._existing_secret)
            waiting = resolved(component.Config, texts, choice.owner, choice.at)
        made = build(component.Config, {**bound.values, **waiting}, choice.owner, choice.at)
        instance: C = component(self._with_local_paths(made, kind))
        if isinstance(instance, ArtifactStore):
            instance.resolve = self.secret
            instance.secrets = self.worker().secrets if waiting else None
        return instance

    def _with_local_paths(self, config: Any, kind: Kind[Any]) -> Any:
        """Relative paths of this machine, made to start at the project's root."""
        changes = {}
        for field in msgspec.structs.fields(type(config)):
            info = msgspec.inspect.type_info(field.type)
            local = isinstance(info, msgspec.inspect.Metadata) and (info.extra or {}).get("local_path")
            value = getattr(config, field.name)
            is_path = local or (kind == ARTIFACT_STORE and field.name == "root")
            if is_path and isinstance(value, str) and value and "://" not in value and not value.startswith("file:"):
                changes[field.name] = str(self.project.root / Path(value).expanduser())
        return msgspec.structs.replace(config, **changes)

    @cached_property
    def _secrets(self) -> Any:
        choice, _, bound = self._checked.components[SECRET_STORE.section]
        config, _ = references.resolve_worker(bound.planned(), self.environ, self._existing_secret)
        return instantiate(self.registry, SECRET_STORE, choice.type, config)

    def secret(self, name: str) -> str | None:
        """A secret's value by the stack's secret store, on this machine."""
        value: str | None = self._secrets.get(name)
        return None if value is None else value.rstrip("\r\n")

    def where_secret(self, name: str) -> str:
        """Where the stack's secret store looks for a secret, for messages."""
        return str(self._secrets.hint(name))

    def _existing_secret(self, name: str) -> str:
        value = self.secret(name)
        if value is None:
            raise ConfigError(
                f"the secret {name!r} is not there",
                why=f"looked for {self._secrets.hint(name)}",
                fix="create it on this machine, or choose another secret store in the stack",
            )
        return value

    def worker(self, *, here: bool | None = None) -> plan.Worker:
        """The workers' side of the stack: settings validated, what only a worker knows left as references.

        Args:
            here: whether the work is done on this machine, where relative paths start at the project's root; by default
                as the orchestrator says.
        """
        here = self.orchestrator_type.local if here is None else here
        chosen: dict[str, list[plan.Component]] = {}
        for choice, component, bound in self._checked.components.values():
            config = bound.planned()
            if here:
                config |= {name: str(self.project.root / path) for name, path in _relative(component, config)}
            chosen.setdefault(choice.kind, []).append(plan.Component(type=choice.type, config=config))
        fields: dict[str, Any] = {
            kind.section: tuple(chosen.get(kind, ())) if kind.many else chosen[kind][0]
            for kind in KINDS
            if kind.on_worker
        }
        return plan.Worker(**fields, index=self._checked.packages)

    def relative_paths(self, kind: Kind[Any]) -> tuple[str, ...]:
        """The settings of a component that name files by a path relative to this project."""
        _, component, bound = self._checked.components[kind.section]
        return tuple(name for name, _ in _relative(component, bound.planned()))

    def step_overrides(self, step: str) -> Any:
        """What the stack says of a step, by all patterns that match its name; the later wins."""
        return StepOverrides(**overrides_of(self._checked.steps, step))

    def pipeline_overrides(self, pipeline: str) -> PipelineOverrides:
        """What the stack says of a pipeline, likewise."""
        return PipelineOverrides(**overrides_of(self._checked.pipelines, pipeline))

    def pipeline_options(self, pipeline: str) -> dict[str, Any]:
        """The validated options of the stack's orchestrator for a pipeline, under its type."""
        return self.pipeline_overrides(pipeline).options


def _relative(component: type[Any], config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The settings that are :data:`WorkerPath`, and relative."""
    for field in msgspec.structs.fields(component.Config):
        value = config.get(field.encode_name)
        if isinstance(value, str) and value and "://" not in value and _is_worker_path(field.type):
            path = Path(value).expanduser()
            if not path.is_absolute() and not value.startswith("${"):
                yield field.encode_name, value


def _is_worker_path(kind: Any) -> bool:
    info = msgspec.inspect.type_info(kind)
    return isinstance(info, msgspec.inspect.Metadata) and bool((info.extra or {}).get("worker_path"))


def component_type(section: str, node: Node, registry: Registry, environ: Mapping[str, str]) -> str | None:
    """The type a component's mapping says itself: by ``type``, or an artifact store's by the scheme of its ``root``."""
    named = node.get("type")
    if named is not None:
        return str(named.value)
    root = node.get("root") if section == "artifact_store" else None
    if root is None or not isinstance(root.value, str):
        return None
    try:
        url = references.plan(root.value, environ, root.at)
    except ConfigError:
        url = root.value
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if not scheme or url.startswith("file:"):
        return "local"
    for store in registry.all(ARTIFACT_STORE):
        if scheme in store.schemes:
            return str(store.name)
    return f"{scheme}://"


def _position(error: TurnoutError) -> tuple[str, int]:
    where = error.where
    return (where.file, where.line or 0) if isinstance(where, Location) else ("", 0)


def _is_whole(config: type[Any], settings: Node, bound: Bound) -> bool:
    """Whether every setting that the component has was converted: one that it does not know hides no other error."""
    return all(
        field.encode_name in bound.values
        for field in msgspec.structs.fields(config)
        if field.required or field.encode_name in settings.value
    )


def _has(config: type[Any], name: str) -> bool:
    return any(field.encode_name == name for field in msgspec.structs.fields(config))
