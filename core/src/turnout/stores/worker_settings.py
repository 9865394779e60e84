"""Settings of stores: how they travel to a worker, and how a reference to a credential becomes its value there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import msgspec

from turnout.base.errors import ConfigError
from turnout.components.base import Config
from turnout.model.plan import Component

VARIABLE = "TURNOUT_STORE"
"""The environment variable by which a worker finds its store: a path, a URL, or a JSON object of settings."""

SECRETS = "secret_store"
"""The setting in that variable with the type and the settings of the secret store."""

_REFERENCE = re.compile(r"\$\{(worker-env|secret-env|secret):([^{}]+)\}\Z")


def is_reference(setting: str) -> bool:
    """Whether a setting refers to a credential (``${secret:NAME}``, ``${worker-env:NAME}``) rather than being one."""
    return _REFERENCE.match(setting) is not None


def reveal(setting: str, resolve: Callable[[str], str | None] | None) -> str:
    """The value of a setting that may be a reference.

    Args:
        setting: a literal, ``${worker-env:NAME}`` or ``${secret:NAME}``.
        resolve: gives a secret by its name. Without it, secrets are looked up among the environment
            variables, as a worker must that has yet to read its plan.

    Raises:
        ConfigError: when what is referred to is not there.
    """
    match = _REFERENCE.match(setting)
    if match is None:
        return setting
    kind, name = match.groups()
    by_environment = kind != "secret" or resolve is None
    value = os.environ.get(name) if by_environment or resolve is None else resolve(name)
    value = (value or "").rstrip("\r\n")
    if not value:
        where = "environment variable" if by_environment else "secret"
        raise ConfigError(
            f"the artifact store's credentials refer to {setting}, and there is no {where} {name!r} here",
            fix=f"provide the {where} {name!r} where this process runs, or leave the credentials out of the stack "
            "to use the machine's own",
        )
    return value


def to_environment(name: str, config: Config, root: str, secrets: Component | None = None) -> dict[str, str]:
    """The variables that lead a worker to the store *name* at *root*: the bare root where that says it all.

    Args:
        secrets: the settings of the stack's secret store: a worker needs them before it can read its plan. They are
            left out where no setting refers to a secret, and where secrets are variables of the same name.
    """
    plain = type(config)(root=root)
    settings = {
        name: value
        for name in config.__struct_fields__
        if name != "root" and (value := getattr(config, name)) != getattr(plain, name)
    }
    if not settings:
        return {VARIABLE: root}
    needed = any(isinstance(value, str) and value.startswith("${secret:") for value in settings.values())
    if secrets is not None and needed and secrets != Component(type="env"):
        settings[SECRETS] = msgspec.to_builtins(secrets)
    document = msgspec.json.encode({"type": name, "root": root, **settings}, order="sorted")
    return {VARIABLE: document.decode()}
