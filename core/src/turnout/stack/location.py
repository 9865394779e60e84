"""Stack files: which one is meant, and where it lies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from turnout.base.errors import ConfigError, Location, did_you_mean
from turnout.project.project import Project

DEFAULT = "local"
VARIABLE = "TURNOUT_STACK"
SUFFIXES = (".yaml", ".yml")
BUILTIN = Path(__file__).parent / "builtin"

_PACKAGED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*):([^:]+)\Z")


class Source(msgspec.Struct, frozen=True):
    """A stack file: its path, its name for messages, the name of the stack, and whether it comes with turnout."""

    path: Path
    label: str
    name: str
    builtin: bool = False

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            ConfigError: when it cannot be read.
        """
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise ConfigError(f"the stack file cannot be read: {error.strerror}", where=Location(self.label)) from None


class Choice(msgspec.Struct, frozen=True):
    """Which stack is asked for, and who asked: an argument, a variable, the project, or nobody."""

    name: str
    by: str
    start: Path
    """The folder that a relative path starts from."""


def choose(given: str | None, project: Project, environ: Mapping[str, str]) -> Choice:
    """The stack to use: *given*, else ``TURNOUT_STACK``, else ``[tool.turnout] stack``, else ``local``."""
    if given:
        return Choice(given, "--stack", Path.cwd())
    if environ.get(VARIABLE):
        return Choice(environ[VARIABLE], VARIABLE, Path.cwd())
    if project.settings.stack:
        return Choice(project.settings.stack, "[tool.turnout] stack", project.root)
    return Choice(DEFAULT, "", project.root)


def folder(project: Project) -> Path:
    """The folder of the project's stacks: ``stacks``, or what ``[tool.turnout] stacks`` says."""
    return project.root / (project.settings.stacks or "stacks")


def stacks(project: Project) -> tuple[Source, ...]:
    """The stacks that have a name: the project's, then the built-in ones it does not hide; by name."""
    found: dict[str, Source] = {}
    for top, builtin in ((folder(project), False), (BUILTIN, True)):
        for path in sorted(top.glob("*")) if top.is_dir() else ():
            if path.suffix in SUFFIXES and path.is_file():
                source = _source(path, project, builtin=builtin)
                found.setdefault(source.name, source)
    return tuple(sorted(found.values(), key=lambda source: source.name))


def locate(choice: Choice, project: Project) -> Source:
    """The file of a stack: a path (with ``.yaml`` or a slash), ``package:file.yaml``, or a name.

    Raises:
        ConfigError: when there is none, with the nearest name.
    """
    name = choice.name
    if match := _PACKAGED.match(name):
        return _packaged(match[1], match[2], None)
    if "/" in name or "\\" in name or name.endswith(SUFFIXES):
        path = choice.start / name
        if not path.is_file():
            raise ConfigError(
                f"there is no stack file {name}",
                where=choice.by or None,
                fix=f"give a path relative to {'the project' if choice.start == project.root else 'this folder'}",
            )
        return _source(path, project)
    known = {source.name: source for source in stacks(project)}
    if name not in known:
        shown = ", ".join(f"{s.name} ({'built in' if s.builtin else s.label})" for s in known.values())
        raise ConfigError(
            f"unknown stack {name!r}. {did_you_mean(name, known)}".rstrip(". "),
            where=choice.by or None,
            fix=f"the stacks are {shown}; or give the path of a file",
        )
    return known[name]


def extended(base: str, child: Source, where: Location, project: Project) -> Source:
    """The file that ``extends: base`` in *child* stands for: one beside it, a built-in one, or package data.

    Raises:
        ConfigError: when there is none, or the path leads out of the project.
    """
    if match := _PACKAGED.match(base):
        return _packaged(match[1], match[2], where)
    home = child.path.resolve().parent
    limit = project.root if home.is_relative_to(project.root) else home
    for name in (base, *(base + suffix for suffix in SUFFIXES)):
        path = home / name
        if path.is_file() and not path.samefile(child.path):
            if path.resolve().parent == BUILTIN.resolve():  # linked from among the ready-made stacks
                return _source(path.resolve(), project, builtin=True)
            if Path(base).is_absolute() or not path.resolve().is_relative_to(limit):
                what = f"extends {base!r}, which lies outside the {'project' if limit == project.root else 'folder'}"
                raise ConfigError(what, where=where, fix="extend a file of the project, or package data")
            return _source(path, project, builtin=child.builtin)
    path = BUILTIN / f"{base}.yaml"
    if "/" not in base and path.is_file() and not path.samefile(child.path):
        return _source(path, project, builtin=True)
    known = {source.path.stem for source in stacks(project)} - {child.path.stem}
    raise ConfigError(
        f"extends the unknown stack {base!r}. {did_you_mean(base, known)}".rstrip(". "),
        where=where,
        fix="name a file beside this one, a built-in stack (local), or package:file.yaml",
    )


def _source(path: Path, project: Project, *, builtin: bool = False) -> Source:
    if builtin:
        return Source(path, f"turnout:{path.name}", path.stem, builtin=True)
    for place in (path.absolute(), path.resolve()):  # a link in the project goes by its own name
        if place.is_relative_to(project.root) and ".." not in place.parts:
            return Source(path, place.relative_to(project.root).as_posix(), path.stem)
    return Source(path, str(path.resolve()), path.stem)


def _packaged(package: str, file: str, where: Location | None) -> Source:
    """A file that an installed package holds; the package is found, not imported."""
    from importlib.machinery import PathFinder

    parts = Path(file).parts
    if Path(file).is_absolute() or ".." in parts:
        raise ConfigError(f"{file!r} leads out of the package {package!r}", where=where, fix="name a file in it")
    top, *below = package.split(".")
    spec = PathFinder.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"there is no package {top!r} for the stack {package}:{file}",
            where=where,
            fix="install the distribution that holds it",
        )
    for location in spec.submodule_search_locations:
        path = Path(location, *below, *parts)
        if path.is_file():
            return Source(path, f"{package}:{file}", path.stem)
    raise ConfigError(f"the package {package!r} has no file {file!r}", where=where, fix="look into the package")
