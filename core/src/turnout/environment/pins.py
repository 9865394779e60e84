"""Exact pins, and what stands beside them because no index has it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from turnout.base import canonical
from turnout.environment import installed, resolver
from turnout.environment.declared import Declared
from turnout.project.project import Project, read_toml


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """Requirements locked: exact ``pins`` (``name==version``, sorted, normalised) for a Python minor version.

    ``local`` names what no index has (an editable or local folder, a repository, an archive) with a digest of its
    content; workers cannot install these by name. ``notes`` say so to the user.
    """

    python: str
    pins: tuple[str, ...]
    local: dict[str, str] = {}
    notes: tuple[str, ...] = ()


def python_minor() -> str:
    """The running interpreter's version as environments name it: ``3.11``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def of_installed(found: Iterable[installed.Distribution], project: Project, declared: Declared) -> Locked:
    """The pins of installed distributions, without the project itself, turnout and its plugins."""
    pins: list[str] = []
    local: dict[str, str] = {}
    notes: list[str] = []
    for one in found:
        if installed.is_own(one.name) or one.name == declared.name or one.folder == project.root:
            continue
        if one.origin == "index":
            pins.append(one.pin)
        else:
            local[one.name] = one.content
            notes.append(_note(one.name, one.url))
    return Locked(python=python_minor(), pins=tuple(sorted(pins)), local=local, notes=tuple(sorted(notes)))


def _note(name: str, url: str) -> str:
    return f"{name} is not from an index ({resolver.redact(url)}): workers must have it already"


def parse(text: str, base: Path, declared: Declared) -> Locked:
    """Read what uv writes: pins, some with markers; URLs and local folders, relative to *base*, which are noted."""
    from packaging.requirements import InvalidRequirement, Requirement

    pins: set[str] = set()
    local: dict[str, str] = {}
    notes: list[str] = []
    for raw in text.splitlines():
        line = raw.strip().removeprefix("-e ")
        if not line or line.startswith("#"):
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            address = line.split(" ;")[0].strip()
            folder = (base / address.removeprefix("file://")).resolve()
            name, url = _name_of(folder), folder.as_uri()
            content = installed.folder_digest(folder) if folder.is_dir() else canonical.digest(address.encode())
        else:
            if not installed.applies(requirement):
                continue
            name, url = installed.normalised(requirement.name), requirement.url or ""
            content = canonical.digest(resolver.redact(url).encode())
        if installed.is_own(name) or name == declared.name:
            continue
        if url:
            local[name] = content
            notes.append(_note(name, url))
        else:
            pins.add(f"{name}=={str(requirement.specifier).removeprefix('==')}")
    return Locked(python=python_minor(), pins=tuple(sorted(pins)), local=local, notes=tuple(sorted(notes)))


def _name_of(folder: Path) -> str:
    file = folder / "pyproject.toml"
    named = read_toml(file).get("project", {}).get("name") if file.is_file() else None
    return installed.normalised(str(named or folder.name))
