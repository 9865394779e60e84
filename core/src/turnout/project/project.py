"""The project: the folder a pipeline's code lies in, its name and settings, and its files' names as modules."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from turnout.base import names
from turnout.base.errors import ConfigError, Location

MARKERS = ("pyproject.toml", ".git", "setup.py", "setup.cfg")


class CodeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[tool.turnout.code]``: patterns (as in .gitignore) that add to or take from the code package; import roots."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[tool.turnout]`` of the project's pyproject.toml."""

    project: str | None = None
    stack: str | None = None
    stacks: str | None = None
    code: CodeSettings = CodeSettings()


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project: ``root`` (absolute), ``name`` (a folder of the store), settings and the folders imports start from."""

    root: Path
    name: str
    settings: Settings = Settings()
    has_pyproject: bool = False

    @property
    def import_roots(self) -> tuple[str, ...]:
        """The folders, relative to the root, from which the project's modules are imported; first match counts."""
        if self.settings.code.roots:
            return self.settings.code.roots
        return ("src", ".") if (self.root / "src").is_dir() else (".",)

    @property
    def state(self) -> Path:
        """The folder for what turnout keeps on this machine: the local store, logs, locks."""
        return self.root / ".turnout"

    def relative(self, path: Path) -> str:
        """*path* relative to the root with forward slashes; its bare name where it lies outside."""
        try:
            return path.resolve().relative_to(self.root).as_posix()
        except ValueError:
            return path.name

    def module_of(self, path: Path) -> str | None:
        """The dotted name under which a file of the project is imported, or None where it cannot be."""
        path = path.resolve()
        for top in self.import_roots:
            try:
                parts = path.relative_to((self.root / top).resolve()).with_suffix("").parts
            except ValueError:
                continue
            if parts and parts[-1] == "__init__":
                parts = parts[:-1]
            if parts and all(part.isidentifier() for part in parts):
                return ".".join(parts)
        return None

    def on_path(self) -> None:
        """Put the import roots first on ``sys.path``, once."""
        for top in reversed(self.import_roots):
            folder = str((self.root / top).resolve())
            if folder not in sys.path:
                sys.path.insert(0, folder)


def root_of(path: Path) -> Path:
    """The project folder that *path* lies in: the nearest with a pyproject.toml, .git or setup file, else its own."""
    path = path.resolve()
    start = path if path.is_dir() else path.parent
    for folder in (start, *start.parents):
        if any((folder / marker).exists() for marker in MARKERS):
            return folder
    return start


@lru_cache(maxsize=64)
def load(root: Path) -> Project:
    """Read the project in the folder *root*.

    Raises:
        ConfigError: when its ``[tool.turnout]`` holds an unknown key or a wrong type.
    """
    file = root / "pyproject.toml"
    document: dict[str, Any] = {}
    if file.is_file():
        document = read_toml(file)
    raw = document.get("tool", {}).get("turnout", {})
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"[tool.turnout] cannot be read: {error}", where=Location(str(file)), fix="see the reference of settings"
        ) from error
    name = settings.project or document.get("project", {}).get("name") or root.name
    if names.problem(name):
        if settings.project:
            raise ConfigError(
                f"the project name {name!r} cannot be used: {names.problem(name)}",
                where=Location(str(file)),
                fix=f"use {names.suggestion(name)!r}",
            )
        name = names.suggestion(name)
    return Project(root=root, name=name, settings=settings, has_pyproject=file.is_file())


class _ProjectTable(msgspec.Struct, frozen=True, rename="kebab"):
    name: str = ""
    requires_python: str = ""
    dependencies: list[str] | None = None
    dynamic: list[str] = []


class _Workspace(msgspec.Struct, frozen=True):
    members: list[str] = []
    exclude: list[str] = []


class _Uv(msgspec.Struct, frozen=True):
    sources: dict[str, Any] = {}
    workspace: _Workspace = _Workspace()


class _Tool(msgspec.Struct, frozen=True):
    turnout: dict[str, Any] = {}
    uv: _Uv = _Uv()


class _Package(msgspec.Struct, frozen=True):
    name: str


class _File(msgspec.Struct, frozen=True):
    """What turnout reads of pyproject.toml and uv.lock."""

    project: _ProjectTable = _ProjectTable()
    tool: _Tool = _Tool()
    package: list[_Package] = []


def read_toml(file: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        ConfigError: when it is not valid, or a part that turnout reads is of another type than it must be.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=Location(str(file)), fix="mend the file") from error
    try:
        msgspec.convert(document, _File)
    except msgspec.ValidationError as error:
        raise ConfigError(f"it cannot be used: {error}", where=Location(str(file)), fix="mend the file") from error
    return document
