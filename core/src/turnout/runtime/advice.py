"""What to do about exceptions of steps that a worker raises, as it has other files than the machine of the user."""

from __future__ import annotations

import os
from pathlib import PurePath

from turnout.runtime.session import Session


def advice(session: Session, error: BaseException) -> str:
    """Lines that say why it happened and how to mend it; empty where nothing is known of it."""
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
