"""What to do about exceptions of steps that a worker raises, as it has other files than the machine of the user."""

from __future__ import annotations

import os
from pathlib import PurePath

from turnout.model.plan import StepPlan
from turnout.runtime.session import Session

_NO_KEYBOARD = "a step runs in a process of its own, where nobody can type"


def advice(session: Session, step: StepPlan, error: BaseException) -> str:
    """Lines that say why it happened and how to mend it; empty where nothing is known of it."""
    if type(error).__name__ == "BdbQuit":
        label = f"{step.name}.INDEX" if step.mapped else step.name
        command = f"turnout debug {session.run.info.id[:8]} {label} --pdb"
        return f"\n  why: {_NO_KEYBOARD}\n  fix: take out breakpoint(); to stop where the step fails: {command}"
    if isinstance(error, EOFError) and f"{error}".startswith("EOF when reading a line"):
        return f"\n  why: {_NO_KEYBOARD}\n  fix: take what was to be typed as a parameter"
    name = error.filename if isinstance(error, FileNotFoundError) else None
    if isinstance(name, str) and name and not PurePath(name).is_absolute():
        return (
            f'\n  fix: a step runs in a folder of its own: declare the file, @step(files=["{name}"]), '
            "or take it as a parameter of type File"
        )
    folders = session.code.imported_from
    if not folders:
        return ""
    if isinstance(error, PermissionError) and f"{error.filename}".startswith(
        tuple(f"{one}{os.sep}" for one in folders)
    ):
        return (
            "\n  why: the code of a run is read-only, so that its next step runs the same"
            "\n  fix: write to the folder that the step runs in, by a relative path, and return what is to be kept"
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        if not session.code.has_module(top):
            return (
                f"\n  why: {top} is neither in the code package nor installed"
                "\n  fix: declare a package among the dependencies; git must not ignore a module of the project, "
                "unless [tool.turnout.code] include names it, and its folder is among the roots"
            )
    return ""
