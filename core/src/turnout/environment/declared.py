"""What a project's pyproject.toml declares: its dependencies, its Python, and the lock that holds for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from turnout.base.errors import Location, PlanError
from turnout.environment import installed
from turnout.project.project import Project, read_toml


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What a project's pyproject.toml says of its requirements; ``dependencies`` is None where it says nothing."""

    name: str = ""
    requires_python: str = ""
    dependencies: tuple[str, ...] | None = None
    dynamic: bool = False
    sources: tuple[str, ...] = ()
    uv: dict[str, Any] = {}


def read(project: Project) -> Declared:
    """What *project* declares; empty without a pyproject.toml."""
    file = project.root / "pyproject.toml"
    if not project.has_pyproject:
        return Declared()
    document = read_toml(file)
    table, uv = document.get("project", {}), document.get("tool", {}).get("uv", {})
    lines = table.get("dependencies")
    return Declared(
        name=installed.normalised(table.get("name", "")),
        requires_python=table.get("requires-python", ""),
        dependencies=None if lines is None else tuple(lines),
        dynamic="dependencies" in table.get("dynamic", ()),
        sources=tuple(
            sorted(name for name in uv.get("sources", {}) if not installed.is_own(installed.normalised(name)))
        ),
        uv=uv,
    )


def check_python(declared: Declared) -> None:
    """See that the running interpreter is one the project allows.

    Raises:
        PlanError: when it is not.
    """
    if not declared.requires_python:
        return
    import platform

    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        allowed = SpecifierSet(declared.requires_python)
    except InvalidSpecifier:
        raise PlanError(
            f"requires-python {declared.requires_python!r} cannot be read",
            where=Location("pyproject.toml"),
            fix='write it as in requires-python = ">=3.10"',
        ) from None
    if not allowed.contains(platform.python_version(), prereleases=True):
        raise PlanError(
            f"the project needs Python {declared.requires_python}, this is {platform.python_version()}",
            where=Location("pyproject.toml"),
            fix="plan with a Python that it allows, or change requires-python",
        )


def lockfile(root: Path) -> Path | None:
    """The ``uv.lock`` that holds for *root*: its own, or that of the uv workspace it is a member of."""
    if not (root / "pyproject.toml").is_file():
        return None
    if (root / "uv.lock").is_file():
        return root / "uv.lock"
    holders = [folder for folder in root.parents if (folder / "uv.lock").is_file()]
    return next((folder / "uv.lock" for folder in holders if _is_member(root, folder)), None)


def _is_member(root: Path, folder: Path) -> bool:
    file = folder / "pyproject.toml"
    workspace = read_toml(file).get("tool", {}).get("uv", {}).get("workspace", {}) if file.is_file() else {}
    members, excluded = (workspace.get(key, ()) for key in ("members", "exclude"))
    return any(root in folder.glob(pattern) for pattern in members) and not any(
        root in folder.glob(pattern) for pattern in excluded
    )
