"""Where the user wrote it: the line that every step and every error points to."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

import turnout
from turnout.base.errors import Location
from turnout.base.frames import is_library
from turnout.model.spec import Place
from turnout.project.project import Project, load, root_of

_PACKAGE = str(Path(turnout.__file__).parent) + "/"
_TESTING = _PACKAGE + "testing/"
_NOTEBOOK = "<notebook>"


def caller() -> tuple[str, int]:
    """The file and line where the user is now: of the nearest frame that is neither turnout's nor a library's.

    A library that was called by turnout itself (a command line's, an installed pipeline) is the nearest there is.
    """
    nearest = _outside()
    frame: FrameType | None = nearest
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None or is_own(frame.f_code.co_filename):
        frame = nearest
    return frame.f_code.co_filename, frame.f_lineno


def _outside() -> FrameType:
    """The nearest frame outside turnout."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_own(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def locals_of_caller() -> dict[str, Any]:
    """The local names where the user is now: by them annotations of a nested function are understood."""
    return dict(_outside().f_locals)


def here() -> Location:
    """Where the user is now, relative to the project."""
    file, line = caller()
    return locate(file, line)


def written(function: Callable[..., Any]) -> FunctionType:
    """The function as the user wrote it: the one inside its decorators, where these tell what they wrap."""
    inner = inspect.unwrap(function)
    found = inner if isinstance(inner, FunctionType) else function
    assert isinstance(found, FunctionType)
    return found


def defined(function: Callable[..., Any]) -> Location:
    """Where a function is defined, relative to the project."""
    code = written(function).__code__
    return locate(code.co_filename, code.co_firstlineno)


def locate(file: str, line: int) -> Location:
    """A place for an error; a notebook's cell has no file worth naming."""
    return Location(_relative(file) or _NOTEBOOK, line)


def place(location: Location) -> Place | None:
    """The same place for a spec; None for a notebook's cell."""
    if location.file == _NOTEBOOK or location.line is None:
        return None
    return Place(location.file, location.line)


def project_of(file: str) -> Project:
    """The project that a source file belongs to."""
    return load(root_of(Path(file)))


@lru_cache(maxsize=4096)
def is_own(file: str) -> bool:
    """Whether a source file is turnout's own."""
    file = file.replace("\\", "/")
    return file.startswith(_PACKAGE.replace("\\", "/")) and not file.startswith(_TESTING.replace("\\", "/"))


@lru_cache(maxsize=4096)
def _relative(file: str) -> str | None:
    path = Path(file)
    if not path.is_file():
        return None
    return project_of(file).relative(path)
