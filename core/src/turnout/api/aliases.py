"""Artifacts by their alias: what ``champion`` names, in the store or in the tracker's registry of models."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from turnout.api import allowed
from turnout.api.run import Run
from turnout.api.workspace import Workspace, user
from turnout.base import clock, names
from turnout.base.errors import ConfigError, TurnoutError
from turnout.catalog import aliases
from turnout.components.artifact_store import ArtifactStore
from turnout.components.tracker import Registered
from turnout.model import records
from turnout.model.alias import Alias
from turnout.model.documents import read_info
from turnout.model.records import Artifact, Record, RunInfo
from turnout.project import written
from turnout.runtime.session import Session
from turnout.stores import layout
from turnout.stores.stored_run import read_plan

Source = Literal["store", "tracker"]


class Named:
    """An artifact that an alias names. ``alias`` is the setting in the store, None where the tracker told of it;
    ``registered`` then is what the registry calls it."""

    def __init__(
        self,
        workspace: Workspace,
        info: RunInfo,
        step: str,
        index: int | None,
        output: str,
        artifact: Artifact,
        *,
        alias: Alias | None = None,
        registered: str | None = None,
    ) -> None:
        self.workspace = workspace
        self.info = info
        self.step = step
        self.index = index
        self.output = output
        self.artifact = artifact
        self.alias = alias
        self.registered = registered

    @property
    def label(self) -> str:
        """``step`` or ``step.index``."""
        return names.label(self.step, self.index)

    @property
    def digest(self) -> str:
        """The artifact's digest: two of the same digest are the same value."""
        return self.artifact.digest

    @property
    def run(self) -> Run:
        """The run that made it.

        Raises:
            ConfigError: when the run is not in this store: it was copied from another, or removed.
        """
        return Run(self.info.id, workspace=self.workspace)

    @property
    def record(self) -> Record | None:
        """The record of the step that made it, in whichever place of the store; None where it was removed."""
        return _record(self.workspace.store, self.info.project, self.info.id, self.step, self.index)

    def load(self) -> Any:
        """The value, read anew at each call and verified.

        Raises:
            ArtifactError: when it is gone or damaged.
        """
        return self._session.artifacts.load(self.artifact)

    def copy_to(self, folder: Path) -> None:
        """Copy the artifact's files, verified, into a new folder, with a marker that keeps them out of code packages.

        Raises:
            ArtifactError: when it is gone or damaged.
        """
        self._session.artifacts.copy_to(self.artifact, folder)
        written.mark_all(folder)

    @cached_property
    def _session(self) -> Session:
        return self.workspace.session(read_plan(self.workspace.store, self.info.plan), self.info)

    def __repr__(self) -> str:
        return f"<artifact {self.digest[:12]}: {self.output} of {self.label} of the run {self.info.id}>"


def artifact(
    alias: str, *, stack: str | None = None, source: Source | None = None, workspace: Workspace | None = None
) -> Named:
    """The artifact that an alias names.

    Args:
        stack: the stack whose store and tracker are asked; as for ``turnout run``.
        source: ``store`` or ``tracker`` (its registry of models); by default the store, and where that has no such
            alias the tracker.

    Raises:
        ConfigError: when there is no such alias, or the registry's is of a run that this store does not have.
    """
    if workspace is None:
        allowed.check("turnout.artifact()", "read")
    place = workspace or Workspace.here(stack)
    project = place.project.name
    if source != "tracker":
        try:
            return of(place, aliases.find(place.store, project, alias))
        except ConfigError:
            if source == "store" or place.stack.worker().tracker.type == "none":
                raise
    found = _registered(place, alias)
    if found is not None:
        return _of_registry(place, alias, found)
    tracker = place.stack.worker().tracker.type
    where = f"in the tracker {tracker}" if source else f"in {place.store.address} or in the tracker {tracker}"
    raise ConfigError(
        f"the project {project} has no alias {alias[:60]!r} {where}",
        fix="set it: turnout promote RUN STEP --alias NAME; another stack's aliases need its --stack",
    )


def of(workspace: Workspace, alias: Alias) -> Named:
    """The artifact of one setting of an alias."""
    return Named(workspace, alias.run, alias.step, alias.index, alias.output, alias.artifact, alias=alias)


def _registered(workspace: Workspace, alias: str) -> Registered | None:
    components = workspace.reader
    if components.tracker is None:
        return None
    try:
        return components.tracker.resolve(workspace.project.name, alias)
    except TurnoutError:
        raise
    except Exception as error:
        raise ConfigError(
            f"the tracker {components.tracker.name} cannot say what {alias!r} is: "
            f"{components.redactor.text(str(error))}",
            fix="see that it can be reached, or ask the store: --from store",
        ) from None


def _of_registry(workspace: Workspace, alias: str, found: Registered) -> Named:
    store, project = workspace.store, workspace.project.name
    info = _info(store, project, found.run)
    record = _record(store, project, found.run, found.step, found.index)
    output = record.outputs.get(found.output) if record is not None else None
    artifact = output.artifact if output is not None else None
    if info is None or artifact is None or artifact.digest != found.digest:
        label = names.label(found.step, found.index)
        raise ConfigError(
            f"the registry's {alias!r} is {found.output} of {label} of the run {found.run}, "
            f"{found.digest[:12]}, and {store.address} has no such thing",
            fix="give the stack whose store has it: --stack; or copy it: turnout promote --to-stack",
        )
    return Named(workspace, info, found.step, found.index, found.output, artifact, registered=found.name)


def _info(store: ArtifactStore[Any], project: str, run: str) -> RunInfo | None:
    for key in (layout.run(project, run), f"{layout.promoted(project, run)}/run.json"):
        if (data := store.read(key)) is not None:
            return read_info(data, project, run, key)
    return None


def _record(store: ArtifactStore[Any], project: str, run: str, step: str, index: int | None) -> Record | None:
    own = layout.record(project, run, step, index)
    copied = layout.promoted(project, run) + own.removeprefix(layout.run_folder(project, run))
    for key in (own, copied):
        if (data := store.read(key)) is not None:
            return records.decode(data, Record, key)
    return None


def history(workspace: Workspace, alias: str) -> tuple[Alias, ...]:
    """All that an alias of the store has named, oldest first, also of one that was removed.

    Raises:
        ConfigError: when there never was such an alias.
    """
    return aliases.history(workspace.store, workspace.project.name, alias) or (
        aliases.find(workspace.store, workspace.project.name, alias),
    )


def current(workspace: Workspace) -> tuple[Alias, ...]:
    """What each alias of the store names now, by name."""
    store, project = workspace.store, workspace.project.name
    found = (aliases.newest(store, project, name) for name in aliases.alias_names(store, project))
    return tuple(alias for alias in found if alias is not None and not alias.removed)


def remove(workspace: Workspace, alias: str) -> Alias:
    """Let an alias of the store name nothing from now on. A tracker's registry keeps its own.

    Raises:
        ConfigError: when there is no such alias.
    """
    return aliases.remove_alias(workspace.store, workspace.project.name, alias, time=clock.now(), by=user())


def document(alias: Alias) -> dict[str, Any]:
    """An alias as JSON shows it: the run by its id."""
    shown = {name: value for name, value in msgspec.to_builtins(alias).items() if name not in {"format", "artifact"}}
    return {
        **shown,
        "number": alias.number,
        "removed": alias.removed,
        "run": alias.run.id,
        "pipeline": alias.run.pipeline,
        "digest": alias.artifact.digest,
        "type": alias.artifact.type,
    }
