"""Going on with a run that was killed, stopped, or failed: what it committed stays, the rest runs by its own plan."""

from __future__ import annotations

from pathlib import Path

import msgspec

from turnout.api.history import newest_mark
from turnout.api.pipeline import failed
from turnout.api.run import Run
from turnout.api.workspace import Workspace
from turnout.components.orchestrator import RunHandle
from turnout.errors import ConfigError
from turnout.packaging.project import load, root_of
from turnout.runtime.finish import unfinished
from turnout.runtime.session import Session
from turnout.stores import layout


def find(wanted: str, stack: str | None) -> Run:
    """The run whose id starts with *wanted*: of the project of the current folder, else of any in the stack's store.

    Raises:
        ConfigError: when there is none, or more than one.
    """
    project = load(root_of(Path.cwd()))
    workspace = Workspace(project, stack)
    try:
        return Run(wanted, workspace=workspace)
    except ConfigError:
        store, start = workspace.store, wanted.lower()
        others = [
            name
            for name in store.children("")
            if any(run.startswith(start) for run in store.children(layout.runs(name)))
        ]
        if len(others) != 1 or others == [project.name]:
            raise
    return Run(wanted, workspace=Workspace(msgspec.structs.replace(project, name=others[0]), stack))


def start(run: Run) -> RunHandle | None:
    """Go on with a run; None where it has succeeded and nothing is left to do. Does not wait for its end.

    Raises:
        ArtifactError: when a record of the run is damaged.
        RunError: when the run is in progress.
        UnsupportedError: when its engine cannot, or is another than the stack's.
    """
    workspace, info = run.workspace, run.info
    orchestrator = workspace.orchestrator_of(info)
    mark = newest_mark(workspace.store, info.project, run.id)
    if mark is not None and mark.state == "succeeded" and not unfinished(Session(workspace.store, run.plan, info)):
        return None
    return orchestrator.resume(run.plan, info, workspace.store)


def resume(run: Run) -> Run:
    """Go on with a run and wait for its end: what :meth:`turnout.api.run.Run.resume` does."""
    handle = start(run)
    if handle is None:
        return run
    run.refresh()
    try:
        state = handle.wait()
    except KeyboardInterrupt:
        handle.cancel()
        raise
    if state != "succeeded":
        raise failed(run.refresh(), state, None)
    return run.refresh()
