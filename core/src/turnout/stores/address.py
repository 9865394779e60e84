"""From ``TURNOUT_STORE`` to the store: how a worker finds its run's only shared state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from turnout.base.credentials import in_clear
from turnout.base.errors import ArtifactError, ConfigError
from turnout.components.artifact_store import ArtifactStore
from turnout.model.plan import Component
from turnout.stores.local import LocalStore
from turnout.stores.worker_settings import SECRETS, VARIABLE, is_reference


def from_environment(
    environ: Mapping[str, str],
    resolve: Callable[[str], str | None] | None = None,
    others: Callable[[str], type[ArtifactStore[Any]] | None] | None = None,
    secrets: Callable[[Component], Callable[[str], str | None]] | None = None,
) -> ArtifactStore[Any]:
    """The store that ``TURNOUT_STORE`` names.

    Args:
        environ: the environment variables.
        resolve: gives a secret by its name; without it, *secrets* does, else they are looked up among the environment
            variables.
        others: gives the class of a store that is not built in, by its type or URL scheme.
        secrets: gives such a function for the secret store that the variable names.

    Raises:
        ConfigError: when the variable is missing or its settings are wrong.
        ArtifactError: when no store takes such a URL.
    """
    text = environ.get(VARIABLE, "").strip()
    if not text:
        raise ConfigError(
            f"the environment variable {VARIABLE} is not set",
            why="it tells a worker where the plan, the code and the data are",
            fix=f"set {VARIABLE} to the artifact store's path or URL where the steps run",
        )
    settings = _settings(text)
    kind = settings.pop("type", None)
    given = settings.pop(SECRETS, None)
    store_class = choose(str(settings.get("root", "")), kind, others)
    try:
        _refuse_credentials(settings)
        config = msgspec.convert(settings, store_class.Config)
        named = msgspec.convert(given, Component | None)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"the settings of the artifact store in {VARIABLE} are wrong: {error}",
            fix="correct them, or set the variable to the store's bare path or URL",
        ) from None
    store = store_class(config)
    store.secrets = named
    store.resolve = secrets(named) if resolve is None and secrets and named else resolve
    return store


def choose(
    root: str, kind: str | None = None, others: Callable[[str], type[ArtifactStore[Any]] | None] | None = None
) -> type[ArtifactStore[Any]]:
    """The class for a store's type, or where that is None for its root's URL scheme.

    Raises:
        ArtifactError: when there is none.
    """
    scheme = scheme_of(root)
    if kind == LocalStore.name or (kind is None and scheme in LocalStore.schemes):
        return LocalStore
    from turnout.stores.cloud import CloudStore

    if kind == CloudStore.name or (kind is None and scheme in CloudStore.schemes):
        return CloudStore
    found: type[ArtifactStore[Any]] | None = others(scheme if kind is None else kind) if others else None
    if found is None:
        wanted = f"with URLs of {scheme}://" if kind is None else f"of type {kind!r}"
        known = ", ".join(f"{name}://" for name in CloudStore.schemes)
        raise ArtifactError(
            f"there is no artifact store {wanted}",
            why="commits stand on create-if-absent, so a store must have passed the concurrent-writer suite",
            fix=f"use a path, file:// or one of {known}; or install a plugin whose store passes "
            "turnout.testing.artifact_store.ArtifactStoreSuite",
        )
    return found


def open_object(url: str, path: Path) -> None:
    """Write the object at a cloud URL, such as ``s3://bucket/data/flights.csv``, to a new local file.

    Settings and credentials are those of the environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, …).

    Raises:
        ArtifactError: when the scheme is unknown, or there is no such object, or it cannot be read.
    """
    from turnout.stores.cloud import CloudConfig, CloudStore

    parts = urlsplit(url)
    key = unquote(parts.path).strip("/")
    root = f"{parts.scheme}://{parts.netloc}"
    if choose(root) is not CloudStore:
        raise ArtifactError(f"{url} is not a URL of an object", fix="give a URL such as s3://bucket/folder/file.csv")
    store = CloudStore(CloudConfig(root=root))
    if not store.fetch(key, path):
        raise ArtifactError(f"there is no object {key} in {store.address}", fix="check the URL")


def scheme_of(root: str) -> str:
    """The scheme of a URL in lower case; an empty string for a path."""
    if root.startswith("file:"):
        return "file"
    scheme, separator, _ = root.partition("://")
    return scheme.lower() if separator else ""


def _refuse_credentials(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        if isinstance(value, str) and not is_reference(value) and any(in_clear(value)):
            raise ConfigError(
                f"the artifact store's {name} in {VARIABLE} holds a password or a token in clear",
                why="it would be shown in messages and records",
                fix="take it out of there, and give credentials by the setting `credentials`, as ${secret:NAME}",
            )


def _settings(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {"root": text}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise ConfigError(
            f"{VARIABLE} starts as a JSON object and is none",
            fix="set it to the store's path or URL, or to a JSON object with 'root' and its other settings",
        ) from None
