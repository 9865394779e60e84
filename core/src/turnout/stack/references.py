"""References in settings: ``${env:NAME}``, ``${worker-env:NAME}``, ``${secret:NAME}``; ``$${`` is a plain ``${``.

Each setting is a *template*. Planning replaces ``${env:…}`` in it; the other two stay, for the worker. What comes out
of a variable is never read as a reference again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from turnout.base.credentials import REFERENCE, in_clear
from turnout.base.errors import ConfigError, Location, did_you_mean

KINDS = ("env", "worker-env", "secret")
_SECRET_ENV = "secret-env"  # noqa: S105
"""A ``worker-env`` whose setting holds a credential: planning marks it, so that the worker keeps its value secret."""

_TOKEN = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SECRET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*\Z")


class Reference(msgspec.Struct, frozen=True):
    """A parsed reference; ``default`` is what follows ``:-``, or None."""

    kind: str
    name: str
    default: str | None = None

    def __str__(self) -> str:
        return f"${{{self.kind}:{self.name}{'' if self.default is None else ':-' + self.default}}}"


def parse(template: str, where: Location | None = None) -> tuple[str | Reference, ...]:
    """Split a template into plain text and references.

    Raises:
        ConfigError: for a reference that is not closed, of an unknown kind or without a usable name.
    """
    return tuple(_split(template, where, KINDS))


def _split(template: str, where: Location | None, kinds: tuple[str, ...]) -> Iterator[str | Reference]:
    position = 0
    for match in _TOKEN.finditer(template):
        if match.start() > position:
            yield template[position : match.start()]
        position = match.end()
        yield "${" if match[0] == "$${" else _reference(match, where, kinds)
    if position < len(template):
        yield template[position:]


def _reference(match: re.Match[str], where: Location | None, kinds: tuple[str, ...]) -> Reference:
    form = "write ${env:NAME}, ${worker-env:NAME} or ${secret:NAME}, or $${ for a plain ${"
    kind, colon, rest = match[1].partition(":")
    if not match[2]:
        raise ConfigError("a reference is not closed: '}' is missing after '${'", where=where, fix=form)
    if "${" in match[1]:
        raise ConfigError("a reference stands within another one", where=where, fix=form)
    if not colon or kind not in kinds:  # the text is not shown: it may be a secret in the wrong place
        what = f"unknown kind of reference. {did_you_mean(kind, KINDS)}".rstrip(". ")
        raise ConfigError(what, where=where, fix=form)
    name, separator, default = rest.partition(":-")
    if not (_SECRET_NAME if kind == "secret" else _VARIABLE).match(name):
        raise ConfigError(f"the reference '${{{kind}:…}}' has no usable name", where=where, fix=form)
    if separator and kind == "secret":
        raise ConfigError(
            f"the secret {name!r} has a default; a secret must not stand in a stack file",
            where=where,
            fix=f"write ${{secret:{name}}} and give the secret store a value",
        )
    return Reference(kind, name, default if separator else None)


def escape(text: str) -> str:
    """A template that stands for *text* itself."""
    return text.replace("${", "$${")


def unescape(template: str) -> str:
    """The text a template without references stands for."""
    return template.replace("$${", "${")


def outline(template: str) -> str:
    """A valid template as its text and defaults say it: what is not there is :data:`.credentials.REFERENCE`."""
    parts = _split(template, None, _ALL)
    return "".join(p if isinstance(p, str) else REFERENCE if p.default is None else p.default for p in parts)


def waits(template: str) -> bool:
    """Whether a valid template holds a reference that only the worker resolves."""
    return any(isinstance(part, Reference) and part.kind != "env" for part in _split(template, None, _ALL))


def plan(template: str, environ: Mapping[str, str], where: Location | None = None, *, secret: bool = False) -> str:
    """Replace the references that planning resolves; return the template that is left.

    Args:
        secret: whether the setting holds a credential.

    Raises:
        ConfigError: for a malformed reference, or a variable that is not set and has no default.
    """
    text = ""
    for part in parse(template, where):
        if isinstance(part, str):
            text += escape(part)
        elif part.kind == "env":
            text += escape(_variable(part, environ, where))
        elif text.endswith("$"):
            what = f"the text before {part} ends with '$', which would make it a plain '${{'"
            raise ConfigError(what, where=where, fix="put another character between the two")
        else:
            text += str(
                msgspec.structs.replace(part, kind=_SECRET_ENV) if secret and part.kind == "worker-env" else part
            )
    return text


def _variable(reference: Reference, environ: Mapping[str, str], where: Location | None) -> str:
    value = environ.get(reference.name)
    if value:
        return value
    if reference.default is not None:
        return reference.default
    if value is None:
        raise ConfigError(
            f"the environment variable {reference.name!r} is not set",
            where=where,
            fix=f"set it, or give a default: ${{{reference.kind}:{reference.name}:-…}}",
        )
    return value


_ALL = (*KINDS, _SECRET_ENV)


def resolve_worker(
    config: Mapping[str, Any], environ: Mapping[str, str], secret: Callable[[str], str]
) -> tuple[dict[str, Any], frozenset[str]]:
    """Resolve a component's planned settings where they are used.

    Args:
        secret: gives a secret's value by its name, or raises.

    Returns:
        The settings without references, and every value in them that is to be kept secret.

    Raises:
        ConfigError: when a variable is not set on this worker.
    """
    seen: set[str] = set()

    def lookup(reference: Reference) -> str:
        if reference.kind == "secret":
            value = secret(reference.name).rstrip("\r\n")
        elif reference.kind == "env":
            raise ConfigError(f"the reference {reference} should have been resolved while planning")
        else:
            value = _variable(msgspec.structs.replace(reference, kind="worker-env"), environ, None).rstrip("\r\n")
            if reference.kind != _SECRET_ENV:
                seen.update(in_clear(value))
                return value
        seen.add(value)
        return value

    def resolve(value: Any) -> Any:
        if isinstance(value, str):
            return "".join(p if isinstance(p, str) else lookup(p) for p in _split(value, None, _ALL))
        if isinstance(value, Mapping):
            return {key: resolve(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [resolve(item) for item in value]
        return value

    settings = {key: resolve(value) for key, value in config.items()}
    return settings, frozenset(seen - {""})
