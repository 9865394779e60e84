"""What a stack says of single steps and pipelines: ``steps: {"fit*": {…}}``, ``pipelines: {flights: {…}}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from turnout.base.errors import ConfigError, DefinitionError, Location, TurnoutError
from turnout.base.quantities import memory_bytes, plain_memory
from turnout.components.base import Config
from turnout.components.registry import Registry
from turnout.definition import durations, schedules
from turnout.model.spec import Schedule
from turnout.stack.bind import bind
from turnout.stack.loader import Node

Duration = Annotated[str | float, Meta(description='A span of time: "1h30m", "10s", or a number of seconds.')]


class ResourceSettings(Config, frozen=True):
    """``resources`` of a pattern of steps; what is left out stays as the step asks for it."""

    cpu: Annotated[float, Meta(gt=0, description="Cores.")] = 1.0
    memory: Annotated[int | str, Meta(description='Bytes, or as Kubernetes writes it: "4Gi".')] = 0
    gpu: Annotated[int, Meta(ge=0, description="The count of GPUs.")] = 0
    accelerator: Annotated[str | None, Meta(description="The type of the GPUs.")] = None


class StepSettings(Config, frozen=True):
    """What can be said of a pattern of steps, besides the options of an orchestrator under its name."""

    resources: ResourceSettings = ResourceSettings()
    retries: Annotated[int, Meta(ge=0, description="How often a failed step is tried again.")] = 0
    retry_delay: Duration = 0.0
    retry_backoff: Annotated[float, Meta(ge=1, description="The factor between one delay and the next.")] = 1.0
    timeout: Annotated[str | float | None, Meta(description="A span of time, or empty for none.")] = None
    image: Annotated[str, Meta(min_length=1, description="The container image, where the orchestrator uses one.")] = ""
    env: Annotated[tuple[str, ...], Meta(description="Variables of the worker that the step sees, added.")] = ()
    cache: Annotated[bool | str | float, Meta(description="Whether, or for how long, results are used again.")] = False
    profile: Annotated[bool, Meta(description="Whether records say what the tables it makes are like.")] = True


class PipelineSettings(Config, frozen=True):
    """What can be said of a pipeline, besides the options of an orchestrator under its name."""

    schedule: Annotated[
        str | tuple[str, ...] | None,
        Meta(description='A cron expression, a preset, "every 2h", or a list of assets; empty for none.'),
    ] = None
    timezone: Annotated[str, Meta(description="The schedule's time zone.")] = "UTC"
    start: Annotated[
        str | None, Meta(description="The first logical time, ISO 8601; without an offset in `timezone`.")
    ] = None
    catchup: Annotated[bool, Meta(description="Whether missed runs are made up for.")] = False
    params: Annotated[dict[str, Any], Meta(description="Other defaults of parameters.")] = field(default_factory=dict)
    tags: Annotated[dict[str, str], Meta(description="Further tags.")] = field(default_factory=dict)


class StepOverrides(msgspec.Struct, frozen=True, kw_only=True):
    """What a stack changes in one step: a field is UNSET, and a mapping lacks a key, where it says nothing.

    ``resources`` has some of the fields of :class:`turnout.model.spec.Resources`; times are in seconds (``timeout``
    None: none); ``env`` is added to the step's; ``options`` has the validated options of the stack's orchestrator
    under its type. ``places`` says where each is set, by ``retries``, ``resources.gpu``, ``airflow.pool``.
    """

    resources: dict[str, Any] = {}
    retries: int | UnsetType = UNSET
    retry_delay: float | UnsetType = UNSET
    retry_backoff: float | UnsetType = UNSET
    timeout: float | UnsetType | None = UNSET
    image: str | UnsetType = UNSET
    env: tuple[str, ...] = ()
    cache: bool | float | UnsetType = UNSET
    profile: bool | UnsetType = UNSET
    options: dict[str, Any] = {}
    places: dict[str, Location] = {}


class PipelineOverrides(msgspec.Struct, frozen=True, kw_only=True):
    """What a stack changes in one pipeline, as :class:`StepOverrides` does in a step.

    ``schedule`` is as it is written, None for an empty one: no schedule; :meth:`rescheduled` applies it.
    """

    schedule: str | tuple[str, ...] | UnsetType | None = UNSET
    timezone: str | UnsetType = UNSET
    start: str | UnsetType | None = UNSET
    catchup: bool | UnsetType = UNSET
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    options: dict[str, Any] = {}
    places: dict[str, Location] = {}

    def rescheduled(self, current: Schedule | None) -> Schedule | None:
        """The pipeline's own schedule with what the stack says of it, its start a moment.

        Raises:
            ConfigError: when the two do not make a schedule.
        """
        changed = [key for key in ("schedule", "timezone", "start", "catchup") if getattr(self, key) is not UNSET]
        if not changed:
            return schedules.anchored(current)
        if self.schedule is None:
            return None
        base = current or Schedule()
        own = base.cron or (base.assets or None if base.every is None else timedelta(seconds=base.every))
        where = self.places[changed[0]]
        try:
            changed_schedule = schedules.schedule(
                own if self.schedule is UNSET else self.schedule,
                start=base.start if self.start is UNSET else self.start,
                catchup=base.catchup if self.catchup is UNSET else self.catchup,
                timezone=base.timezone if self.timezone is UNSET else self.timezone,
                where=where,
            )
        except DefinitionError as error:
            raise ConfigError(error.what, where=where, why=error.why, fix=error.fix) from None
        return schedules.anchored(changed_schedule)


class Rule(msgspec.Struct, frozen=True):
    """A pattern with its settings, converted; mappings and options flat as ``resources.gpu``, each with its place."""

    pattern: str
    settings: dict[str, Any]
    places: dict[str, Location]


_MERGED = ("resources", "params", "tags")


def overrides_of(rules: tuple[Rule, ...], name: str) -> dict[str, Any]:
    """The fields of :class:`StepOverrides` or :class:`PipelineOverrides` for a name; of several rules, later wins."""
    fields: dict[str, Any] = {}
    places: dict[str, Location] = {}
    for rule in rules:
        if not fnmatchcase(name, rule.pattern):
            continue
        for key, value in rule.settings.items():
            if key in _MERGED:
                fields[key] = {**fields.get(key, {}), **value}
            elif key == "options":
                fields[key] = {name: {**fields.get(key, {}).get(name, {}), **block} for name, block in value.items()}
            elif key == "env":
                fields[key] = tuple(dict.fromkeys((*fields.get(key, ()), *value)))
            else:
                fields[key] = value
        places.update(rule.places)
    return {**fields, "places": places}


class Reader:
    """Reads the sections ``steps`` and ``pipelines`` into rules, collecting what is wrong.

    Args:
        engine: the type of the stack's orchestrator; options under another orchestrator's name are checked only.
    """

    def __init__(self, registry: Registry, engine: str, environ: Mapping[str, str], errors: list[TurnoutError]) -> None:
        self.registry = registry
        self.engine = engine
        self.environ = environ
        self.errors = errors

    def steps(self, section: Node | None) -> tuple[Rule, ...]:
        """The rules of ``steps``."""
        blocks = {} if section is None else section.value
        return tuple(self._step(pattern, block) for pattern, block in blocks.items())

    def pipelines(self, section: Node | None) -> tuple[Rule, ...]:
        """The rules of ``pipelines``."""
        blocks = {} if section is None else section.value
        return tuple(self._pipeline(pattern, block) for pattern, block in blocks.items())

    def _step(self, pattern: str, block: Node) -> Rule:
        rule, rest = self._start(pattern, block, "steps", "options")
        resources = rest.get("resources")
        self._bind(rest.without("resources"), StepSettings, f"steps {pattern!r}", rule, ("resources",))
        if resources is not None and isinstance(resources.value, dict):
            owner = f"the resources of steps {pattern!r}"
            rule.settings["resources"] = self._nested(resources, ResourceSettings, owner, rule, "resources")
        elif resources is not None:
            self._error("resources must be a mapping", resources, "write `resources: {cpu: 2}`")
        self._durations(rule)
        self._check_step(rule)
        return rule

    def _pipeline(self, pattern: str, block: Node) -> Rule:
        rule, rest = self._start(pattern, block, "pipelines", "pipeline_options")
        self._bind(rest, PipelineSettings, f"pipelines {pattern!r}", rule, ())
        for key in ("params", "tags"):
            node = rest.get(key)
            for name, item in node.value.items() if node is not None and isinstance(node.value, dict) else ():
                rule.places[f"{key}.{name}"] = item.at
        given = {key: rule.settings[key] for key in ("timezone", "start", "schedule") if key in rule.settings}
        for key, value in given.items():  # each alone: what goes together is known when the pipeline is
            alone = PipelineOverrides(places=rule.places, **{key: value})
            try:
                alone.rescheduled(Schedule(cron="@daily"))
            except ConfigError as error:
                del rule.settings[key]
                self.errors.append(error)
        return rule

    def _start(self, pattern: str, block: Node, section: str, attribute: str) -> tuple[Rule, Node]:
        """A rule with the options of the orchestrators, and the block without them."""
        rule = Rule(pattern, {}, {})
        engines = [key for key in block.value if key in self.registry.names("orchestrator")]
        absent = [key for key in block.value if key in self.registry.installable and key not in engines]
        for name in engines:
            node = block.value[name]
            struct = getattr(self.registry.get("orchestrator", name), attribute)
            owner = f"{name} in {section} {pattern!r}"
            if struct is None:
                self._error(f"the orchestrator {name!r} takes no options in {section}", node, "take the line out")
            elif not isinstance(node.value, dict):
                self._error(f"{owner} must be a mapping", node, f"write `{name}: {{…}}`")
            else:
                target = rule if name == self.engine else Rule(pattern, {}, {})
                target.settings["options"] = {name: self._nested(node, struct, owner, target, name)}
        return rule, block.without(*engines, *absent)

    def _bind(self, node: Node, struct: type[Any], owner: str, rule: Rule, ignored: tuple[str, ...]) -> None:
        rule.settings.update(self._settled(node, struct, owner))
        rule.places.update({key: item.at for key, item in node.value.items() if key not in ignored})

    def _nested(self, node: Node, struct: type[Any], owner: str, rule: Rule, prefix: str) -> dict[str, Any]:
        rule.places.update({f"{prefix}.{key}": item.at for key, item in node.value.items()})
        return {key: msgspec.to_builtins(value) for key, value in self._settled(node, struct, owner).items()}

    def _settled(self, node: Node, struct: type[Any], owner: str) -> dict[str, Any]:
        bound = bind(node, struct, owner, self.environ, self.errors, also=self.registry.names("orchestrator"))
        for key in bound.waiting:
            self._error(
                f"the setting {key!r} of {owner} refers to something only the worker has",
                node.value[key],
                "use ${env:NAME} here; a step gets secrets by @step(secrets=…)",
            )
        return bound.values

    def _durations(self, rule: Rule) -> None:
        for key in ("retry_delay", "timeout", "cache"):
            value = rule.settings.get(key)
            if value is None or isinstance(value, bool):
                continue
            try:
                rule.settings[key] = durations.seconds(value, key, rule.places[key], zero=key == "retry_delay")
            except DefinitionError:
                del rule.settings[key]
                what = f"{key} of steps {rule.pattern!r} is not a span of time"
                fix = f'write `{key}: "1h30m"` or a number of seconds'
                self.errors.append(ConfigError(what, where=rule.places[key], fix=fix))

    def _check_step(self, rule: Rule) -> None:
        resources = rule.settings.get("resources", {})
        memory = resources.get("memory", 0)
        if _is_memory(memory):
            resources.update({"memory": plain_memory(memory)} if memory else {})
        else:
            what = f"memory of steps {rule.pattern!r} is not an amount of memory"
            fix = 'write bytes, or a number with a unit: "512Mi", "4Gi"'
            self.errors.append(ConfigError(what, where=rule.places["resources.memory"], fix=fix))
        for name in rule.settings.get("env", ()):
            if not _VARIABLE.match(name):
                what = f"env of steps {rule.pattern!r} has {name!r}, which is not the name of a variable"
                fix = "list names only; the worker has the values"
                self.errors.append(ConfigError(what, where=rule.places["env"], fix=fix))

    def _error(self, what: str, node: Node, fix: str) -> None:
        self.errors.append(ConfigError(what, where=node.at, fix=fix))


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def _is_memory(amount: int | str) -> bool:
    try:
        return memory_bytes(amount) >= 0
    except DefinitionError:
        return False
