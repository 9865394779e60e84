"""Settings as a stack file has them become a component's config struct; what does not fit is said by file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import inspect as types

from turnout.base.credentials import in_clear
from turnout.base.errors import ConfigError, ConfigErrors, Location, TurnoutError, did_you_mean, nearest
from turnout.components.base import Component, SettingError
from turnout.components.kinds import Kind, noun
from turnout.components.registry import Registry
from turnout.stack import references
from turnout.stack.loader import Node, node_of

C = TypeVar("C", bound=Component[Any])


class Bound(msgspec.Struct, frozen=True):
    """The settings that were given, by name: converted, or as templates that wait for the worker."""

    values: dict[str, Any]
    waiting: dict[str, Any]

    def planned(self) -> dict[str, Any]:
        """All of them as templates in plain data, as a plan has them."""
        settled = {name: _escaped(msgspec.to_builtins(value)) for name, value in self.values.items()}
        return {**settled, **self.waiting}

    def unresolved(self) -> dict[str, Any]:
        """All of them, those that wait with their references as they are written."""
        return {**self.values, **self.waiting}


class _Setting(msgspec.Struct, frozen=True):
    """One setting on its way: its name, node, type, and whose it is for messages."""

    name: str
    node: Node
    type: Any
    owner: str
    secrets: tuple[str, ...] = ()
    """The settings beside it that are for credentials."""

    def error(self, what: str, at: Location, fix: str | None = None) -> ConfigError:
        return ConfigError(f"the setting {self.name!r} of {self.owner}{what}", where=at, fix=fix)

    def holds_credential(self, at: Location) -> ConfigError:
        others = " or ".join(f"`{name}: ${{secret:NAME}}`" for name in self.secrets)
        return ConfigError(
            f"the setting {self.name!r} of {self.owner} holds a password or a token in clear",
            where=at,
            why="it would be shown, and written into plans and records",
            fix=f"take it out of there, and give {others}" if others else "write ${secret:NAME} in its place",
        )


def bind(
    node: Node,
    config: type[Any],
    owner: str,
    environ: Mapping[str, str],
    errors: list[TurnoutError],
    *,
    marked: bool = True,
    also: tuple[str, ...] = (),
    elsewhere: Mapping[str, str] | None = None,
) -> Bound:
    """Convert the settings in a mapping to the types of a config struct; ``${env:…}`` is resolved.

    Args:
        owner: whose settings they are, for messages: ``tracker 'mlflow'``.
        errors: takes everything that is wrong; the settings concerned are left out of the result.
        marked: whether variables that hold credentials are marked for the worker to keep them secret.
        also: other keys that could have been meant by an unknown one.
        elsewhere: likewise keys of other places, each with what to write there.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(config)}
    secrets = tuple(name for name, field in fields.items() if _is_secret(types.type_info(field.type)))
    bound = Bound({}, {})
    for name, item in node.value.items():
        if name not in fields:
            hint = did_you_mean(name, (*fields, *also))
            fix = None if hint else f"its settings are {', '.join(fields)}" if fields else "it has no settings"
            if not hint and elsewhere and (near := nearest(name, elsewhere)):
                fix = elsewhere[near]
            errors.append(
                ConfigError(f"unknown setting {name!r} of {owner}. {hint}".rstrip(". "), where=item.at, fix=fix)
            )
            continue
        setting = _Setting(name, item, fields[name].type, owner, secrets)
        try:
            _bind_one(setting, environ, bound, marked=marked)
        except ConfigError as error:
            errors.append(error)
    for name, field in fields.items():
        if field.required and name not in node.value:
            what = f"{owner} needs the setting {name!r}"
            errors.append(ConfigError(what, where=node.at, fix=_described(field.type, name)))
    return bound


def _bind_one(setting: _Setting, environ: Mapping[str, str], bound: Bound, *, marked: bool) -> None:
    credentials = {id(leaf) for leaf in _credentials(types.type_info(setting.type), setting.node)}
    referring: set[Location | None] = set()
    waiting: set[int] = set()

    def planned(node: Node) -> Any:
        if isinstance(node.value, dict):
            return {key: planned(item) for key, item in node.value.items()}
        if isinstance(node.value, tuple):
            return [planned(item) for item in node.value]
        if id(node) in credentials:
            _check_credential(setting, node)
        if not isinstance(node.value, str):
            return node.value
        template = references.plan(node.value, environ, node.at, secret=marked and id(node) in credentials)
        if any(in_clear(references.outline(template))):
            raise setting.holds_credential(node.at)
        if references.waits(template):
            waiting.add(id(node))
        if any(isinstance(part, references.Reference) for part in references.parse(node.value)):
            referring.add(node.at)
        return template

    template = planned(setting.node)
    final = template if waiting else _unescaped(template)
    try:
        value = _converted(final, setting.type, lenient=bool(referring))
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        culprit, path = _follow(setting.node, str(error))
        if waiting and (id(culprit) in waiting or not isinstance(error, msgspec.ValidationError)):
            bound.waiting[setting.name] = template  # its type shows on the worker
            return
        raise _misfit(setting, str(error), culprit, path, hidden=bool(referring)) from None
    if waiting:
        bound.waiting[setting.name] = template
    else:
        bound.values[setting.name] = value


def _converted(value: Any, kind: Any, *, lenient: bool) -> Any:
    """Convert strictly; where references gave text for another type, read the text as that type."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        if not lenient:
            raise
        return msgspec.convert(value, kind, strict=False)


def _check_credential(setting: _Setting, node: Node) -> None:
    """Refuse a credential in the file, and one that planning would write into the plan; never show it."""
    fix = "write ${secret:NAME} or ${worker-env:NAME}, and nothing else"
    if node.value is None:
        return
    parts = references.parse(node.value, node.at) if isinstance(node.value, str) else ()
    for part in parts:
        if isinstance(part, references.Reference) and part.kind == "env":
            what = " holds a credential, which ${env:…} would write into the plan"
            raise setting.error(what, node.at, fix)
    lone = parts[0] if len(parts) == 1 else None
    if not isinstance(lone, references.Reference) or lone.default is not None:
        raise setting.error(" holds a credential, which must not stand in a stack file", node.at, fix)


def _is_secret(info: types.Type) -> bool:
    """Whether a setting is for a credential."""
    if isinstance(info, types.UnionType):
        return any(map(_is_secret, info.types))
    return isinstance(info, types.Metadata) and (bool((info.extra or {}).get("secret")) or _is_secret(info.type))


def _credentials(info: types.Type, node: Node) -> Iterator[Node]:
    """The scalars of a setting that are annotated as secret."""
    if isinstance(info, types.Metadata):
        if (info.extra or {}).get("secret") and not isinstance(node.value, (dict, tuple)):
            yield node
        else:
            yield from _credentials(info.type, node)
    elif isinstance(info, types.UnionType):
        for member in info.types:
            yield from _credentials(member, node)
    else:
        for inner, item in _parts(info, node):
            yield from _credentials(inner, item)


def _parts(info: types.Type, node: Node) -> Iterator[tuple[types.Type, Node]]:
    """The nodes directly within one, each with its type."""
    if isinstance(node.value, dict):
        if isinstance(info, types.DictType):
            yield from ((info.value_type, item) for item in node.value.values())
        elif isinstance(info, (types.StructType, types.DataclassType, types.TypedDictType)):
            known_types = {field.encode_name: field.type for field in info.fields}
            yield from ((known_types[key], item) for key, item in node.value.items() if key in known_types)
    elif isinstance(node.value, tuple):
        if isinstance(info, types.TupleType):
            yield from zip(info.item_types, node.value, strict=False)
        elif isinstance(info, (types.ListType, types.VarTupleType, types.SetType, types.FrozenSetType)):
            yield from ((info.item_type, item) for item in node.value)


def _follow(node: Node, message: str) -> tuple[Node, str]:
    """The node that a msgspec error speaks of, as far as its path leads, and the path below the setting."""
    path = message.rpartition(" - at `$")[2].rstrip("`") if " - at `$" in message else ""
    followed = ""
    for name, number in re.findall(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]", path):
        if name and node.get(name) is not None:
            node, followed = node.value[name], f"{followed}.{name}"
        elif number.isdigit() and isinstance(node.value, tuple) and int(number) < len(node.value):
            node, followed = node.value[int(number)], f"{followed}[{number}]"
        else:
            return node, f"{followed}[…]" if number else followed
    return node, followed


def _misfit(setting: _Setting, message: str, culprit: Node, path: str, *, hidden: bool) -> ConfigError:
    """Word an error of msgspec; *hidden*: without the value, which came out of a variable."""
    named = msgspec.structs.replace(setting, name=setting.name + path)
    text = message.partition(" - at `")[0]
    if match := re.match(r"Expected `(.+)`, got `(.+)`\Z", text):
        expected, actual = match.groups()
        if hidden and actual == "str":
            return named.error(f" must be {_worded(expected)}, which what its reference gave is not", culprit.at)
        fix = "give it a value, or take the line out" if actual == "null" else None
        if "str" in expected.split(" | ") and actual in {"int", "float", "bool"}:
            fix = "put it into quotes"
        return named.error(f" must be {_worded(expected)}, not {_worded(actual)}", culprit.at, fix)
    if match := re.match(r"Expected `(\w+)`( [<>]=? .+)\Z", text):
        return named.error(f" must be {_worded(match[1])}{match[2]}", culprit.at)
    if match := re.match(r"Expected `str` matching regex (.+)\Z", text):
        return named.error(f" must be text of the form {match[1]}", culprit.at)
    if text.startswith("Invalid enum value"):
        choices = sorted(str(choice) for choice in _choices(types.type_info(setting.type)))
        shown = "what the reference gave" if hidden else repr(culprit.value)
        hint = "" if hidden else did_you_mean(str(culprit.value), choices)
        fix = f"use one of {', '.join(choices)}" if choices else None
        return named.error(f" cannot be {shown}. {hint}".rstrip(". "), culprit.at, fix)
    if match := re.match(r"Object (?:missing required|contains unknown) field `(.+)`", text):
        verb = "lacks" if "missing" in text else "does not know"
        at = culprit.value[match[1]].at if culprit.get(match[1]) else culprit.at
        return named.error(f" {verb} the key {match[1]!r}", at)
    if hidden and not text.startswith("Expected"):
        return named.error(" does not accept what the reference gave", culprit.at)
    return named.error(f": {text[:1].lower()}{text[1:].replace('`', '')}", culprit.at)


_WORDS = {"str": "text", "object": "a mapping", "array": "a list", "null": "empty", "int": "an int", "bool": "a bool"}


def _worded(names: str) -> str:
    return " or ".join(_WORDS.get(name, f"a {name}") for name in names.split(" | "))


def _choices(info: types.Type) -> Iterator[Any]:
    if isinstance(info, types.Metadata):
        yield from _choices(info.type)
    elif isinstance(info, types.LiteralType):
        yield from info.values
    elif isinstance(info, types.EnumType):
        yield from (member.value for member in info.cls)
    elif isinstance(info, types.UnionType):
        for member in info.types:
            yield from _choices(member)
    elif isinstance(info, (types.ListType, types.VarTupleType)):
        yield from _choices(info.item_type)


def _described(kind: Any, name: str) -> str:
    info = types.type_info(kind)
    schema = (info.extra_json_schema or {}) if isinstance(info, types.Metadata) else {}
    text = schema.get("description", "")
    return f"add `{name}: …`" + (f" ({text.rstrip('.')})" if text else "")


def _escaped(value: Any) -> Any:
    return _each_text(value, references.escape)


def _unescaped(value: Any) -> Any:
    return _each_text(value, references.unescape)


def _each_text(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each_text(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each_text(item, change) for item in value]
    return value


def build(
    config: type[Any], settings: Mapping[str, Any], owner: str, where: Location | None, node: Node | None = None
) -> Any:
    """Make the config struct from converted settings; what its own checks refuse is a :class:`ConfigError`.

    Args:
        node: the settings as they are written, for the line of the one that is wrong; else it is *where* they begin.
    """
    names = {field.encode_name: field.name for field in msgspec.structs.fields(config)}
    try:
        return config(**{names[name]: value for name, value in settings.items()})
    except SettingError as error:
        for name in error.path if node is not None else ():
            if node is not None and node.get(name) is not None:
                node = node.value[name]
                where = node.at
        raise ConfigError(f"{owner}: {error}", where=where, fix=error.fix) from None
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{owner}: {error}", where=where) from None


def resolved(config: type[Any], settings: Mapping[str, Any], owner: str, at: Location) -> dict[str, Any]:
    """Convert settings whose references have been resolved.

    Raises:
        ConfigError: for those that do not fit; the message holds no value.
    """
    errors: list[TurnoutError] = []
    values = {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(config)}
    for name, value in settings.items():
        if name not in fields:
            what = f"unknown setting {name!r} of {owner}"
            errors.append(ConfigError(what, where=at, fix="install the same version of the plugin everywhere"))
            continue
        try:
            values[name] = _converted(value, fields[name].type, lenient=True)
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            setting = _Setting(name, node_of(value, at), fields[name].type, owner)
            culprit, path = _follow(setting.node, str(error))
            errors.append(_misfit(setting, str(error), culprit, path, hidden=True))
    raise_config_errors(f"the settings of {owner} do not fit", errors)
    return values


def instantiate(registry: Registry, kind: Kind[type[C]], name: str, config: Mapping[str, Any]) -> C:
    """Make a component of a plan, its references resolved, where it is used.

    Raises:
        ConfigError: when a setting does not fit; the message holds no value.
        PluginError: when the type's plugin is missing or broken.
    """
    component = registry.get(kind, name)
    owner, at = f"{noun(kind)} {name!r}", Location("the plan")
    values = resolved(component.Config, config, owner, at)
    missing = [
        ConfigError(f"{owner} needs the setting {field.encode_name!r}", where=at)
        for field in msgspec.structs.fields(component.Config)
        if field.required and field.encode_name not in config
    ]
    raise_config_errors(f"the settings of {owner} are not complete", [*missing])
    made: C = component(build(component.Config, values, owner, at))
    return made


def raise_config_errors(what: str, errors: list[TurnoutError]) -> None:
    """Raise nothing for no error, the error itself for one, :class:`ConfigErrors` for more."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ConfigErrors(what, errors)
