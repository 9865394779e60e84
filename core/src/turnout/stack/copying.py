"""A ready-made stack, copied into a project to be edited there."""

from __future__ import annotations

import re
from pathlib import Path

from turnout.base.errors import ConfigError
from turnout.project.project import Project
from turnout.stack.location import SUFFIXES, Choice, folder, locate

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")


def copy(name: str, new: str | None, project: Project) -> str:
    """Copy the stack *name* into the project's folder of stacks, as it is written, comments and all.

    Args:
        new: the name of the copy; None for the stack's own.

    Returns:
        The file that was written, relative to the project.

    Raises:
        ConfigError: when there is no such stack, the project has one of that name, or it cannot be written.
    """
    source = locate(Choice(name, "", Path.cwd()), project)
    new = new or source.name
    if not _NAME.match(new):
        raise ConfigError(f"{new!r} cannot name a stack", fix="use letters, digits, '-' and '_'")
    target = folder(project)
    for suffix in SUFFIXES:
        if (target / f"{new}{suffix}").exists():
            raise ConfigError(
                f"the project has a stack {new!r} already: {_shown(target / f'{new}{suffix}', project)}",
                fix=f"edit that one, or name the copy: turnout stack new {name} --as NAME",
            )
    path = target / f"{new}{SUFFIXES[0]}"
    try:
        target.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read())
    except OSError as error:
        raise ConfigError(f"{_shown(path, project)} cannot be written", why=error.strerror) from None
    return _shown(path, project)


def _shown(path: Path, project: Project) -> str:
    return path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else str(path)
