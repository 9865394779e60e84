"""What to do about exceptions of steps that a worker raises, as it has other files than the machine of the user."""

from __future__ import annotations

import os
from pathlib import PurePath

from turnout.runtime.session import Session


def advice(session: Session, error: BaseException) -> str:
    """Lines that say why it happened and how to mend it; empty where nothing is known of it."""
    if isinstance(error, FileNotFoundError) and isinstance(error.filename, str) and error.filename:
        if not PurePath(error.filename).is_absolute():
            return (
                f'\n  fix: a step runs in a folder of its own: declare the file, @step(files=["{error.filename}"]), '
                "or take it as a parameter of type File"
            )
    if "code" not in session.__dict__ or "folder" not in session.code.__dict__:
        return ""
    folders = (session.code.folder, session.code.folder.resolve())
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
                "\n  fix: a module of the project must not be ignored by git, or is named in [tool.turnout.code] include, "
                "and lies in an import root; a package belongs into the dependencies"
            )
    return ""
