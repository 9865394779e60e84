"""What git knows of a project: its files, and the commit they differ from or not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from turnout.base.errors import PlanError

_SUBMODULE = b"160000"


class Revision(msgspec.Struct, frozen=True, omit_defaults=True):
    """The commit that is checked out, and whether the project's files differ from it."""

    commit: str
    dirty: bool = False


class Listing(msgspec.Struct, frozen=True):
    """Paths relative to the project's root, as git names them: those it tracks, those it neither tracks nor ignores."""

    tracked: tuple[str, ...]
    untracked: tuple[str, ...]
    notes: tuple[str, ...] = ()


def repository_of(root: Path) -> Path | None:
    """The work tree that *root* lies in, or None."""
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)


def files(root: Path) -> Listing | None:
    """The project's files as git sees them, those of checked out submodules among them.

    Returns None where there is no repository, no git, or where the repository ignores the whole project.

    Raises:
        PlanError: when git refuses to read the repository.
    """
    if repository_of(root) is None:
        return None
    try:
        found = _list(root, "")
    except FileNotFoundError:
        return None
    return found if found.tracked or found.untracked else None


def revision(root: Path, *, untracked: bool, besides: Collection[str] = ()) -> Revision | None:
    """The commit checked out at *root*, dirty where files there differ from it or *untracked* ones travel along.

    Args:
        besides: paths that are no code: what becomes of them does not count.
    """
    try:
        commit = _git(root, "rev-parse", "HEAD").decode().strip()
    except PlanError:
        return None
    if untracked:
        return Revision(commit, dirty=True)
    changed = _paths(_git(root, "diff", "HEAD", "--name-only", "--relative", "--no-renames", "-z", "--", "."))
    return Revision(commit, dirty=not set(changed) <= set(besides))


def _list(folder: Path, prefix: str) -> Listing:
    tracked: dict[str, None] = {}
    untracked: list[str] = []
    notes: list[str] = []
    for mode, path in _staged(folder):
        if mode != _SUBMODULE:
            tracked[prefix + path] = None
        elif (folder / path / ".git").exists():
            inner = _list(folder / path, f"{prefix}{path}/")
            tracked.update(dict.fromkeys(inner.tracked))
            untracked += inner.untracked
            notes += inner.notes
        else:
            notes.append(f"{prefix}{path}: left out, a submodule that is not checked out")
    for path in _paths(_git(folder, "ls-files", "-o", "--exclude-standard", "-z", "--", ".")):
        if path.endswith("/"):
            notes.append(f"{prefix}{path.rstrip('/')}: left out, a git repository of its own")
        else:
            untracked.append(prefix + path)
    return Listing(tuple(tracked), tuple(untracked), tuple(notes))


def _staged(folder: Path) -> Iterator[tuple[bytes, str]]:
    for line in _git(folder, "ls-files", "-s", "-z", "--", ".").split(b"\0"):
        if line:
            entry, _, path = line.partition(b"\t")
            yield entry[:6], os.fsdecode(path)


def _paths(output: bytes) -> list[str]:
    return [os.fsdecode(path) for path in output.split(b"\0") if path]


def _git(folder: Path, *arguments: str) -> bytes:
    # A git hook that runs turnout has these set, for a repository that need not be the project's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip()
        raise PlanError(
            f"git cannot list the project's files: {message.splitlines()[0] if message else 'it gave no reason'}",
            where=str(folder),
            fix="mend the repository; `git status` in that folder shows the same",
        )
    return done.stdout
