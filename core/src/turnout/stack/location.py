"""Stack files: which one is meant, and where it lies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from turnout.base.errors import ConfigError, Location, did_you_mean
from turnout.components import discovery
from turnout.project.project import Project
from turnout.stack import shipped

DEFAULT = "local"
VARIABLE = "TURNOUT_STACK"
SUFFIXES = (".yaml", ".yml")
BUILTIN = Path(__file__).parent / "builtin"
CORE = "turnout"
"""The origin of the built-in stacks."""

_PACKAGED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*):([^:]+)\Z")


class Source(msgspec.Struct, frozen=True):
    """A stack file: its path, its name for messages, and the name of the stack."""

    path: Path
    label: str
    name: str
    origin: str = ""
    """The distribution or package that ships it; empty for a file of the project, or one named by its path."""

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


def choose(requested: str | None, project: Project, environ: Mapping[str, str]) -> Choice:
    """The stack to use: *requested*, else ``TURNOUT_STACK``, else ``[tool.turnout] stack``, else ``local``."""
    if requested:
        return Choice(requested, "--stack", Path.cwd())
    if environ.get(VARIABLE):
        return Choice(environ[VARIABLE], VARIABLE, Path.cwd())
    if project.settings.stack:
        return Choice(project.settings.stack, "[tool.turnout] stack", project.root)
    return Choice(DEFAULT, "", project.root)


def folder(project: Project) -> Path:
    """The folder of the project's stacks: ``stacks``, or what ``[tool.turnout] stacks`` says."""
    return project.root / (project.settings.stacks or "stacks")


def stacks(project: Project) -> tuple[Source, ...]:
    """The stacks that have a name, by name: the project's hide the built-in ones, and both those of plugins.

    Two plugins may ship stacks of one name; both are listed.
    """
    sources: dict[str, Source] = {}
    for top, origin in ((folder(project), ""), (BUILTIN, CORE)):
        for path in _files(top):
            source = _builtin(path) if origin else _source(path, project)
            sources.setdefault(source.name, source)
    installed = [source for source in _installed() if source.name not in sources]
    return tuple(sorted((*sources.values(), *installed), key=lambda source: (source.name, source.origin)))


def _files(top: Path) -> Iterator[Path]:
    for path in sorted(top.glob("*")) if top.is_dir() else ():
        if path.suffix in SUFFIXES and path.is_file():
            yield path


def _installed() -> Iterator[Source]:
    for top, package, distribution in shipped.folders():
        for path in _files(top):
            yield Source(path, f"{package}:{shipped.FOLDER}/{path.name}", path.stem, distribution)


def of_name(name: str, sources: Iterable[Source], where: Location | str | None) -> Source | None:
    """The stack of that name among several, or None.

    Raises:
        ConfigError: when two plugins ship one of that name.
    """
    same = [source for source in sources if source.name == name]
    if len(same) > 1:
        raise ConfigError(
            f"{' and '.join(source.origin for source in same)} ship a stack {name!r} each",
            where=where,
            fix=f"name one of them: {' or '.join(source.label for source in same)}",
        )
    return same[0] if same else None


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
    sources = stacks(project)
    source = of_name(name, sources, choice.by or None)
    if source is None:
        hint, fix = _missing(name, sources)
        raise ConfigError(
            f"unknown stack {name!r}. {hint}".rstrip(". "),
            where=choice.by or None,
            fix=fix or "see which there are: turnout stack list; or give the path of a file",
        )
    return source


def describe(source: Source) -> str:
    """Where a stack comes from, for people: its file, ``built in``, or the distribution that ships it."""
    return {"": source.label, CORE: "built in"}.get(source.origin, source.origin)


def _missing(name: str, sources: Iterable[Source]) -> tuple[str, str]:
    """What to say of a stack that is not there, and how to get it where a plugin that is not installed ships it."""
    command = shipped.to_install(name, discovery.extras())
    if command:
        return "It may come with a plugin that is not installed", command
    return did_you_mean(name, {source.name for source in sources}), ""


def extended(base: str, child: Source, where: Location, project: Project) -> Source:
    """The file that ``extends: base`` in *child* stands for: one beside it, an installed one, or package
    data.

    Raises:
        ConfigError: when there is none, or the path leads out of the project.
    """
    if match := _PACKAGED.match(base):
        return _packaged(match[1], match[2], where)
    home = child.path.resolve().parent
    limit = project.root if home.is_relative_to(project.root) else home
    if child.origin and (own := _named_by_project(base, child, project)) is not None:
        return own
    for name in (base, *(base + suffix for suffix in SUFFIXES)):
        path = home / name
        if path.is_file() and not path.samefile(child.path):
            if path.resolve().parent == BUILTIN.resolve():  # linked from among the ready-made stacks
                return _builtin(path.resolve())
            if Path(base).is_absolute() or not path.resolve().is_relative_to(limit):
                what = f"extends {base!r}, which lies outside the {'project' if limit == project.root else 'folder'}"
                raise ConfigError(what, where=where, fix="extend a file of the project, or package data")
            return _beside(path, child, project)
    shipped_ones = (*map(_builtin, _files(BUILTIN)), *_installed())
    others = [source for source in shipped_ones if not source.path.samefile(child.path)]
    if (source := of_name(base, others, where)) is not None:
        return source
    hint, fix = _missing(base, [source for source in stacks(project) if source.name != child.name])
    raise ConfigError(
        f"extends the unknown stack {base!r}. {hint}".rstrip(". "),
        where=where,
        fix=fix or "name a file beside this one, an installed stack (turnout stack list), or package:file.yaml",
    )


def _named_by_project(base: str, child: Source, project: Project) -> Source | None:
    """The project's own stack of that name: it counts for stacks that plugins ship, too."""
    for path in _files(folder(project)):
        if path.stem == base and not path.samefile(child.path):
            return _source(path, project)
    return None


def _beside(path: Path, child: Source, project: Project) -> Source:
    if not child.origin:
        return _source(path, project)
    home = child.path.resolve().parent
    prefix = child.label[: len(child.label) - len(child.path.name)]
    return Source(path, prefix + path.resolve().relative_to(home).as_posix(), path.stem, child.origin)


def builtin_stack() -> Source:
    """The built-in stack ``local``."""
    return _builtin(BUILTIN / f"{DEFAULT}.yaml")


def _builtin(path: Path) -> Source:
    return Source(path, f"{CORE}:{path.name}", path.stem, CORE)


def _source(path: Path, project: Project) -> Source:
    for place in (path.absolute(), path.resolve()):  # a link in the project goes by its own name
        if place.is_relative_to(project.root) and ".." not in place.parts:
            return Source(path, place.relative_to(project.root).as_posix(), path.stem)
    return Source(path, str(path.resolve()), path.stem)


def _packaged(package: str, file: str, where: Location | None) -> Source:
    """A file that an installed package holds; the package is found, not imported."""
    parts = Path(file).parts
    if Path(file).is_absolute() or ".." in parts:
        raise ConfigError(f"{file!r} leads out of the package {package!r}", where=where, fix="name a file in it")
    folders = [place for place in shipped.locations(package) if place.is_dir()]
    for place in folders:
        path = Path(place, *parts)
        if path.is_file():
            return Source(path, f"{package}:{file}", path.stem, package)
    if not folders:
        raise ConfigError(
            f"there is no package {package!r} for the stack {package}:{file}",
            where=where,
            fix="install the distribution that holds it",
        )
    raise ConfigError(f"the package {package!r} has no file {file!r}", where=where, fix="look into the package")
