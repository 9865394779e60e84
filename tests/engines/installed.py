"""Whether an engine can be had here."""

from __future__ import annotations

import importlib.metadata
import os

import pytest


def need(distribution: str, version: str) -> None:
    """Skip where an engine is not installed, or is older than what was tried; with ``CI=true`` that is a failure."""
    try:
        installed = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        reason = f"{distribution} is not installed: `make test-engines` makes the environment"
    else:
        if _numbers(installed) >= _numbers(version):
            return
        reason = f"{distribution} {installed} is older than {version}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
