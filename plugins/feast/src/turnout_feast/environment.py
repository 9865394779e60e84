"""Where Feast runs: in this process, where it fits, else in one of its own, in an environment that uv makes for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from turnout.plugin_api import ConfigError, tool_environment
from turnout_feast.process import Process
from turnout_feast.service import Backend, Service
from turnout_feast.settings import FeastSettings

LOWEST = (0, 67)
"""The oldest Feast that was tried."""
_EXTRAS = {
    "duckdb": "duckdb",
    "redis": "redis",
    "postgres": "postgres",
    "dynamodb": "aws",
    "redshift": "aws",
    "athena": "athena",
    "bigquery": "gcp",
    "bigtable": "gcp",
    "datastore": "gcp",
    "snowflake.offline": "snowflake",
    "snowflake.online": "snowflake",
    "spark": "spark",
    "trino": "trino",
    "mysql": "mysql",
    "cassandra": "cassandra",
    "mssql": "mssql",
}
_SCHEMES = {"s3": "aws", "gs": "gcp", "postgresql": "postgres", "postgresql+psycopg": "postgres", "mysql": "mysql"}


def backend(settings: FeastSettings, index: Callable[[], Mapping[str, str]] = dict) -> Backend:
    """Feast, where it fits: see the setting `python`.

    Args:
        index: gives the variables by which uv finds packages, where it makes an environment.

    Raises:
        TurnoutError: when it can be had nowhere, or there is no repository.
    """
    if not settings.file.is_file():
        raise ConfigError(
            f"there is no Feast repository at {settings.folder}",
            why=f"it has no {settings.file.name}",
            fix="correct `repo` in the stack: the folder of feature_store.yaml, as workers see it",
        )
    if settings.python:
        return Process(settings.python, settings)
    if not fits_here():
        own = ("turnout", "turnout-feast")
        wanted = (*requirements(settings), *settings.requirements)
        return Process(str(tool_environment("Feast", wanted, own, index)), settings)
    if not settings.variables:
        service = Service(settings)
        if not service.needs_folder():
            return service
    return Process(sys.executable, settings)


def fits_here() -> bool:
    """Whether this interpreter has a Feast that was tried, and the pandas that it needs."""
    try:
        feast, pandas = metadata.version("feast"), metadata.version("pandas")
    except metadata.PackageNotFoundError:
        return False
    return _numbers(feast) >= LOWEST and _numbers(pandas) < (3,)


def requirements(settings: FeastSettings) -> tuple[str, ...]:
    """What an environment for this repository takes: Feast with the extras of its stores."""
    extras = sorted(_extras(_read(settings.file)))
    return (f"feast{'[' + ','.join(extras) + ']' if extras else ''}>={'.'.join(map(str, LOWEST))}", "pandas<3")


def _extras(config: dict[str, Any]) -> set[str]:
    found = set()
    for part in ("offline_store", "online_store", "registry"):
        named = config.get(part)
        kind = named.get("type", "") if isinstance(named, dict) else named
        path = str(named.get("path", "")) if isinstance(named, dict) else str(named)
        found |= {_EXTRAS.get(str(kind), ""), _SCHEMES.get(path.partition("://")[0], "")}
    return found - {""}


def _read(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file} cannot be read", why=str(error).splitlines()[0], fix="correct the file") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{file} has no settings", fix="write it as Feast's documentation has it")
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
