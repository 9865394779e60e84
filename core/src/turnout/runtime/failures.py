"""What goes on record of what a step raised."""

from __future__ import annotations

import importlib
import os
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import turnout
from turnout.base.errors import (
    ConfigError,
    DefinitionError,
    PlanError,
    PluginError,
    RunError,
    TurnoutError,
    UnsupportedError,
)
from turnout.base.frames import is_library
from turnout.model.plan import StepPlan
from turnout.model.records import Failure
from turnout.runtime.advice import advice
from turnout.runtime.session import Session

FINAL = (ConfigError, DefinitionError, PlanError, PluginError, UnsupportedError)
"""Errors that no second try can mend."""

TEXT = 1 << 14
"""The characters of an error's text, and of its traceback, that go on record at most."""
_PYTHON = Path(importlib.__file__).parents[1]
NOT_THE_USERS = (
    str(Path(turnout.__file__).parent),
    *(str(_PYTHON / name) for name in ("importlib", "bdb.py", "pdb.py")),
    "<frozen ",
)
"""Where frames lie that say nothing to who wrote the step: turnout's own, the import system's, and the debugger's."""


def describe(session: Session, step: StepPlan, error: BaseException) -> Failure:
    """The failure as it goes on record: the user's own frames, project-relative paths, secrets taken out."""
    raised = error.__cause__ if isinstance(error, TurnoutError) else error
    text = traceback_of(error, session.code.imported_from)
    hint = "" if raised is not error else advice(session, step, raised)
    redactor = session.components.redactor
    return Failure(
        type=redactor.text(f"{type(error).__module__}.{type(error).__qualname__}"),
        message=_bounded(redactor.text(_message(error) + hint)),
        traceback=_bounded(redactor.text(text + hint)),
        retryable=not (isinstance(error, FINAL) or (step.kind == "gate" and isinstance(error, RunError))),
    )


def traceback_of(error: BaseException, folders: Iterable[Path]) -> str:
    """The user's part of the traceback of what a step raised; empty where it is an error of turnout's alone.

    Args:
        folders: where the project's code was imported from; paths in it are told as the project has them.
    """
    raised = error.__cause__ if isinstance(error, TurnoutError) else error
    text = "" if raised is None or isinstance(raised, TurnoutError) else _traceback(raised, whole=raised is error)
    for folder in dict.fromkeys(folders):
        text = text.replace(f"{folder}{os.sep}", "")
    return text


def _bounded(text: str) -> str:
    """The start and the end of a text that is too long for a record; without secrets before it is cut."""
    if len(text) <= TEXT:
        return text
    half = TEXT // 2
    return f"{text[:half]}\n[{len(text) - TEXT} characters are left out]\n{text[-half:]}"


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = ", ".join(map(_shown, error.args)) or "(its text cannot be made)"
    if isinstance(error, TurnoutError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _shown(value: Any) -> str:
    """An argument of an exception whose text cannot be made: of an int of too many digits all of them, in hex."""
    try:
        return str(value)
    except Exception:
        return hex(value) if isinstance(value, int) else f"(a {type(value).__name__} whose text cannot be made)"


def _traceback(error: BaseException, *, whole: bool) -> str:
    """The traceback without frames that tell the user nothing: turnout's own, and those within a library but the last.

    Args:
        whole: also where no frame of it is of the user's code; else it is left out then.
    """
    report = traceback.TracebackException.from_exception(error, capture_locals=False)
    pending: list[traceback.TracebackException] = [report]
    while pending:
        one = pending.pop()
        kept = [frame for frame in one.stack if not frame.filename.startswith(NOT_THE_USERS)]
        users = [number for number, frame in enumerate(kept) if not is_library(frame.filename)]
        whole = whole or bool(users)
        within = kept[users[-1] + 1 if users else 0 :]
        one.stack = traceback.StackSummary.from_list([*kept[: len(kept) - len(within)], *within[-1:]])
        pending.extend(other for other in (one.__cause__, one.__context__) if other is not None)
        pending.extend(getattr(one, "exceptions", None) or ())
    return "".join(report.format()) if whole else ""
