"""Which files are the project's own: git's view, the settings' patterns, and what never travels."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from functools import cache, partial
from itertools import islice
from pathlib import Path

import msgspec

from turnout.base.errors import Location, PlanError
from turnout.project import git, never, written
from turnout.project.ignoring import Ignored
from turnout.project.project import Project
from turnout.project.written import Places

FILE_LIMIT = 20_000_000
"""The bytes one file of a code package may have."""
TOTAL_LIMIT = 100_000_000
"""The bytes all files of a code package may have together."""
COUNT_LIMIT = 50_000
"""The number of files a code package may hold."""

_TOOLS = ("__pycache__", "node_modules")


class SourceFile(msgspec.Struct, frozen=True):
    """One file: its path relative to the root with forward slashes, where its content lies, size, permission to run."""

    path: str
    source: Path
    size: int
    executable: bool


class Sources(msgspec.Struct, frozen=True):
    """The project's files in the order of their paths; which of them git does not track; notes on what cannot travel.

    ``left_out`` says what is in the project and no code of it: what turnout wrote, and data; ``not_code`` are its
    paths.
    """

    files: tuple[SourceFile, ...]
    untracked: tuple[str, ...]
    notes: tuple[str, ...]
    tracked_by_git: bool
    left_out: tuple[str, ...] = ()
    not_code: frozenset[str] = frozenset()


def collect(project: Project, places: Places | None = None, data: Collection[str] = ()) -> Sources:
    """The files that make up the project's code package.

    They are those that git tracks, or would: neither ignored nor, where there is no repository, in hidden folders,
    caches and virtual environments. ``[tool.turnout.code] include`` adds to them, ``exclude`` takes from them.
    What may hold a credential, as :mod:`turnout.project.never` lists it, never is among them, nor is what lies
    outside the root, nor what turnout wrote.

    Args:
        places: where turnout writes, as the project's stacks say; what is marked needs no place.
        data: paths of files that are no code, unless they are included.

    Raises:
        PlanError: when a file or all files together are too large, or a name is not UTF-8.
    """
    listing = git.files(project.root)
    notes = list(listing.notes) if listing else []
    if listing is None:
        tracked: frozenset[str] = frozenset()
        paths = set(islice(walk(project.root, ignore=True), 20 * COUNT_LIMIT))  # a store has many
    else:
        tracked = frozenset(listing.tracked)
        paths = set(listing.tracked) | _without_tools(listing.untracked, notes)
    included = _included(project)
    not_code = {f"{path}: the content of a parameter": {path} for path in paths.intersection(data) - included}
    paths = {path for path in paths | included if not never.is_own(path)}
    not_code |= written.find(project.root, paths, places or Places())
    paths = paths.difference(*not_code.values())
    paths -= _matching(paths, project.settings.code.exclude)
    if listing is None and len(paths) > COUNT_LIMIT:
        raise PlanError(
            f"the project's folder holds more than {COUNT_LIMIT:,} files",
            where=str(project.root),
            why="all of them would travel as its code, since git does not say which are its own",
            fix="keep the project in a folder of its own, and in git; or name what is none of it in .gitignore",
        )
    files = _resolve(project.root, paths, notes)
    _check_sizes(project, files)
    return Sources(
        files=tuple(files),
        untracked=tuple(file.path for file in files if file.path not in tracked) if listing else (),
        notes=tuple(sorted(notes)),
        tracked_by_git=listing is not None,
        left_out=tuple(_counted(line, members) for line, members in sorted(not_code.items())),
        not_code=frozenset().union(*not_code.values()),
    )


def names(project: Project, places: Places | None = None) -> tuple[str, ...]:
    """The paths of the project's files, sorted: as git sees them, or all of them where it does not; what is included
    besides is among them."""
    listing = git.files(project.root)
    paths = set(walk(project.root, ignore=True)) if listing is None else {*listing.tracked, *listing.untracked}
    paths |= _included(project)
    paths = paths.difference(*written.find(project.root, paths, places or Places()).values())
    return tuple(sorted(path for path in paths if not never.is_own(path) and not never.is_credential(path)))


def walk(root: Path, *, ignore: bool = False) -> Iterator[str]:
    """All files below *root*, relative, but for those in hidden folders, caches and virtual environments.

    Args:
        ignore: whether to leave out what ``.gitignore`` files name.
    """
    ignored = Ignored()
    for folder, folders, files in os.walk(root):
        if "pyvenv.cfg" in files and folder != str(root):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _TOOLS]
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if below == "." else f"{below}/"
        if ignore:
            if ".gitignore" in files:
                ignored.add(prefix, Path(folder) / ".gitignore")
            folders[:] = [name for name in folders if not ignored(f"{prefix}{name}/")]
            files[:] = [name for name in files if not ignored(prefix + name)]
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*files, *links):
            if not name.endswith(".pyc"):
                yield prefix + name


def _without_tools(untracked: Iterable[str], notes: list[str]) -> set[str]:
    untracked = tuple(untracked)
    environments = tuple(path.removesuffix("pyvenv.cfg") for path in untracked if path.endswith("/pyvenv.cfg"))
    notes.extend(f"{folder.rstrip('/')}: left out, a virtual environment" for folder in environments)
    return {
        path
        for path in untracked
        if not path.startswith(environments) and not any(part in _TOOLS for part in path.split("/"))
    }


def _included(project: Project) -> set[str]:
    patterns = project.settings.code.include
    return _matching(walk(project.root), patterns) if patterns else set()


def _matching(paths: Iterable[str], patterns: tuple[str, ...]) -> set[str]:
    if not patterns:
        return set()
    from pathspec import GitIgnoreSpec

    matcher = GitIgnoreSpec.from_lines(patterns)
    return {path for path in paths if matcher.match_file(path)}


def _resolve(root: Path, paths: Iterable[str], notes: list[str]) -> list[SourceFile]:
    """Look each path up on the disk; links are replaced by what they point to, where that is part of the project."""
    found: dict[str, SourceFile] = {}
    folders: list[tuple[str, str]] = []
    root = root.resolve()
    real = cache(os.path.realpath)
    for path in sorted(paths):
        if never.is_own(path):
            continue
        if never.is_credential(path):
            notes.append(f"{path}: left out, it may hold a secret")
            continue
        _check_name(root, path)
        source = root / path
        if real(source.parent) != str(source.parent) or not os.path.lexists(source):
            continue  # deleted, or behind a link to a folder, which is listed itself
        if source.is_symlink():
            target = _target(source, root)
            if target is None:
                notes.append(f"{path}: left out, a link to nothing, out of the project, or to what never travels")
                continue
            source = root / target
            if source.is_dir():
                folders.append((path, target))
                continue
        status = source.stat()
        if stat.S_ISREG(status.st_mode):
            found[path] = SourceFile(path, source, status.st_size, bool(status.st_mode & stat.S_IXUSR))
        else:
            notes.append(f"{path}: left out, not a regular file")
    for link, target in folders:
        if target == "." or f"{link}/".startswith(f"{target}/"):
            notes.append(f"{link}: left out, a link to a folder it lies in")
            continue
        below = [file for path, file in found.items() if path.startswith(f"{target}/")]
        found |= {moved.path: moved for moved in map(partial(_moved, target, link), below)}
    return [found[path] for path in sorted(found)]


def _moved(old: str, new: str, file: SourceFile) -> SourceFile:
    return msgspec.structs.replace(file, path=new + file.path[len(old) :])


def _target(link: Path, root: Path) -> str | None:
    try:
        target = link.resolve(strict=True).relative_to(root).as_posix()
    except (OSError, RuntimeError, ValueError):
        return None
    return None if never.is_own(target) or never.is_credential(target) else target


def _check_name(root: Path, path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise PlanError(
            f"the file name {path!r} is not UTF-8", where=str(root), fix="rename the file, or let git ignore it"
        ) from None


def _check_sizes(project: Project, files: list[SourceFile]) -> None:
    total = sum(file.size for file in files)
    large = [file for file in files if file.size > FILE_LIMIT]
    if not large and total <= TOTAL_LIMIT and len(files) <= COUNT_LIMIT:
        return
    ranked = sorted(large or files, key=lambda file: (-file.size, file.path))[:5]
    listed = ", ".join(f"{file.path} ({_megabytes(file.size)})" for file in ranked)
    if large:
        what = f"the code package would hold files of more than {_megabytes(FILE_LIMIT)}: {listed}"
    elif total > TOTAL_LIMIT:
        what = (
            f"the code package would have {_megabytes(total)}, {_megabytes(TOTAL_LIMIT)} are allowed; largest: {listed}"
        )
    else:
        what = f"the code package would hold {len(files):,} files, {COUNT_LIMIT:,} are allowed"
    patterns = ", ".join(f'"/{file.path}"' for file in ranked)
    raise PlanError(
        what,
        where=Location("pyproject.toml") if project.has_pyproject else None,
        why="the project's own files travel to every worker; data belongs in parameters of type File",
        fix=f"let git ignore them, or add them to [tool.turnout.code] exclude: [{patterns}]",
    )


def _counted(line: str, members: set[str]) -> str:
    return line if len(members) == 1 else f"{line}, {len(members):,} files"


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"
