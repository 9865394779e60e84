"""What a stack says of single steps and pipelines: ``steps: {"fit*": {…}}``, ``pipelines: {flights: {…}}``."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from turnout.base.errors import ConfigError, DefinitionError, Location, TurnoutError
from turnout.components.base import Config
from turnout.components.kinds import ORCHESTRATOR
from turnout.components.registry import Registry
from turnout.definition import schedules
from turnout.model.declared import Setting, settings_of
from turnout.model.spec import Schedule, StepSpec
from turnout.stack.bind import bind
from turnout.stack.loader import Node

STEP = tuple(setting for setting in settings_of(StepSpec) if setting.in_stack)
"""The settings of a step that a stack may change."""


def _struct(name: str, settings: Iterable[Setting]) -> type[msgspec.Struct]:
    """The struct of settings as a stack file writes them."""
    fields: list[tuple[str, Any, Any]] = []
    for setting in settings:
        if setting.parts:
            inner = _struct(f"{setting.name.capitalize()}Settings", setting.parts)
            fields.append((setting.name, setting.described(inner), inner()))
        else:
            fields.append((setting.name, setting.described(), setting.default))
    return msgspec.defstruct(name, fields, bases=(Config,), module=__name__, frozen=True)


StepSettings = _struct("StepSettings", STEP)
"""What can be said of a pattern of steps, besides the options of an orchestrator under its name."""


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


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What a stack changes in a step or a pipeline: a field for each setting, UNSET or empty where it says nothing.

    ``options`` has the validated options of the stack's orchestrator under its type. ``places`` says where each
    setting is set, by ``retries``, ``resources.gpu``, ``airflow.pool``.
    """

    options: dict[str, Any] = {}
    places: dict[str, Location] = {}


StepOverrides = msgspec.defstruct(
    "StepOverrides",
    [(s.name, Any, {} if s.parts else () if s.adds else UNSET) for s in STEP],
    bases=(Overrides,),
    module=__name__,
    frozen=True,
    kw_only=True,
)
"""What a stack changes in one step: ``resources`` has some of the fields of a step's; times are in seconds."""


class PipelineOverrides(Overrides, frozen=True, kw_only=True):
    """What a stack changes in one pipeline.

    ``schedule`` is as it is written, None for an empty one: no schedule; :meth:`rescheduled` applies it.
    """

    schedule: str | tuple[str, ...] | UnsetType | None = UNSET
    timezone: str | UnsetType = UNSET
    start: str | UnsetType | None = UNSET
    catchup: bool | UnsetType = UNSET
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}

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


_MERGED = {"params", "tags", *(setting.name for setting in STEP if setting.parts)}
_ADDED = {setting.name for setting in STEP if setting.adds}


def overrides_of(rules: tuple[Rule, ...], name: str) -> dict[str, Any]:
    """The fields of :data:`StepOverrides` or :class:`PipelineOverrides` for a name; of several rules, later wins."""
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
            elif key in _ADDED:
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
        structs = {field.name: field.type for field in msgspec.structs.fields(StepSettings)}
        nested = [setting.name for setting in STEP if setting.parts]
        self._bind(rest.without(*nested), StepSettings, f"steps {pattern!r}", rule, ())
        for name in nested:
            node = rest.get(name)
            if node is not None and isinstance(node.value, dict):
                owner = f"the {name} of steps {pattern!r}"
                rule.settings[name] = self._nested(node, typing.get_args(structs[name])[0], owner, rule, name)
            elif node is not None:
                self._error(f"{name} must be a mapping", node, f"write `{name}: {{cpu: 2}}`")
        self._check(rule, rule.settings, STEP)
        return rule

    def _pipeline(self, pattern: str, block: Node) -> Rule:
        rule, rest = self._start(pattern, block, "pipelines", "pipeline_options")
        self._bind(rest, PipelineSettings, f"pipelines {pattern!r}", rule, ())
        for key in ("params", "tags"):
            node = rest.get(key)
            for name, item in node.value.items() if node is not None and isinstance(node.value, dict) else ():
                rule.places[f"{key}.{name}"] = item.at
        timing = {key: rule.settings[key] for key in ("timezone", "start", "schedule") if key in rule.settings}
        for key, value in timing.items():  # each alone: what goes together is known when the pipeline is
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
        engines = [key for key in block.value if key in self.registry.names(ORCHESTRATOR)]
        absent = [key for key in block.value if key in self.registry.installable and key not in engines]
        for name in engines:
            node = block.value[name]
            struct = getattr(self.registry.get(ORCHESTRATOR, name), attribute)
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
        bound = bind(node, struct, owner, self.environ, self.errors, also=self.registry.names(ORCHESTRATOR))
        for key in bound.waiting:
            self._error(
                f"the setting {key!r} of {owner} refers to something only the worker has",
                node.value[key],
                "use ${env:NAME} here; a step gets secrets by @step(secrets=…)",
            )
        return bound.values

    def _check(self, rule: Rule, values: dict[str, Any], settings: Iterable[Setting], prefix: str = "") -> None:
        """Replace settings by the values of their fields, and take out those that are refused."""
        for setting in settings:
            value = values.get(setting.name)
            if setting.parts:
                self._check(rule, value or {}, setting.parts, f"{setting.name}.")
            elif value is not None and setting.check is not None:
                try:
                    values[setting.name] = setting.check(value)
                except (DefinitionError, ValueError) as error:
                    del values[setting.name]
                    what, why = f"{setting.name} of steps {rule.pattern!r} is not {setting.wanted}", str(error)
                    if isinstance(error, DefinitionError):
                        what, why = f"{setting.name} of steps {rule.pattern!r}: {error.what}", error.why or ""
                    fix = f"write `{setting.name}: {setting.example}`"
                    where = rule.places[prefix + setting.name]
                    self.errors.append(ConfigError(what, where=where, why=why or None, fix=fix))

    def _error(self, what: str, node: Node, fix: str) -> None:
        self.errors.append(ConfigError(what, where=node.at, fix=fix))
