"""Promoting: what a step made gets an alias, in the store and in the tracker's registry, here or on another stack."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from turnout.api.run import Run
from turnout.api.steprun import StepRun
from turnout.api.workspace import Workspace, user
from turnout.artifacts.artifacts import copy_artifact
from turnout.base import canonical, clock, names
from turnout.base.errors import ArtifactError, ConfigError, TurnoutError, did_you_mean
from turnout.catalog import aliases
from turnout.components.artifact_store import ArtifactStore
from turnout.components.tracker import Promotion, Tracker
from turnout.model import records
from turnout.model.alias import Alias
from turnout.model.feature_use import feature_use
from turnout.model.records import Artifact
from turnout.runtime.session import Session
from turnout.stores import layout
from turnout.stores.stored_run import Run as StoredRun


class Promoted(NamedTuple):
    """The alias as it stands in the store; what the tracker's registry calls it (None: it has none, or failed); what
    went wrong there."""

    alias: Alias
    registered: str | None = None
    problem: str | None = None


def promote(
    run: Run | str,
    step: str,
    alias: str,
    *,
    stack: str | None = None,
    to_stack: str | None = None,
    workspace: Workspace | None = None,
) -> Promoted:
    """Give an output of a step an alias, such as ``champion``.

    Where the stack's tracker has a registry of models, the alias is set there too. If that fails, the alias in the
    store stands and the result says what went wrong; with a required tracker nothing is set.

    Args:
        run: a run, or its id, the start of one, or ``latest``.
        step: ``step``, ``step.index`` or, of a step with several outputs, ``step:output``.
        stack: the stack whose store has the run; as for ``turnout run``.
        to_stack: another stack, to whose store the artifact is copied, and where the alias is set instead.

    Raises:
        ConfigError: for a name that cannot be used, or an output that is not there.
        RunError: when the step has not succeeded.
        ArtifactError: when the artifact is damaged.
        PlanError: when the other stack's policies do not allow it.
    """
    aliases.check_name(alias)
    found = run if isinstance(run, Run) else Run(run, stack=stack, workspace=workspace)
    source = found.workspace
    place = source if to_stack is None else Workspace(source.project, to_stack, source.registry)
    part, output, artifact = _chosen(found, step)
    found.artifacts.verify(artifact)
    elsewhere = place.store.address != source.store.address
    plan = msgspec.structs.replace(found.plan, worker=place.stack.worker())
    place.project.on_path()
    session = Session(StoredRun(place.store, plan, found.info), in_process=True, registry=place.registry)
    if to_stack is not None:
        session.components.enforce(found.plan, found.info.git)
        session.components.enforce_artifacts(part.label, [artifact])
    if elsewhere:
        copy_artifact(found.artifacts, session.artifacts, artifact)
        _copy_origin(found, part, place.store)
    setting = Alias(
        name=alias,
        time=clock.now(),
        by=user(),
        run=found.info,
        step=part.name,
        index=part.index,
        output=output,
        artifact=artifact,
        stack=source.stack.name,
    )
    if not session.tracking.required:
        standing = aliases.set_alias(place.store, setting)
        try:
            return Promoted(standing, _register(session, part, standing, stored=not elsewhere))
        except Exception as error:
            return Promoted(standing, problem=session.tracking.failed(error))
    try:
        registered = _register(session, part, setting, stored=not elsewhere)
    except Exception as error:
        why = "the stack says that the tracker is required"
        mend = session.tracking.missed("", error).fix or "see that the tracker can be reached"
        fix = f"{mend}; then promote again: nothing was set"
        raise TurnoutError(session.tracking.failed(error), why=why, fix=fix) from None
    return Promoted(aliases.set_alias(place.store, setting), registered)


def _chosen(run: Run, step: str) -> tuple[StepRun, str, Artifact]:
    """The step, the output's name, and the one artifact of it."""
    label, _, wanted = step.partition(":")
    part = run[label]
    names = [output.name for output in part.plan.outputs]
    if not names:
        raise ConfigError(f"{label} has no output that could get an alias", fix="promote what a step returned")
    if wanted and wanted not in names:
        raise ConfigError(
            f"{label} has no output {wanted!r}. {did_you_mean(wanted, names)}".rstrip(" ."),
            fix=f"its outputs are: {', '.join(names)}",
        )
    if not wanted and len(names) > 1:
        raise ConfigError(f"{label} has {len(names)} outputs", fix=f"say which: {label}:{names[0]}")
    output = wanted or names[0]
    artifact = part.checked().record.outputs[output].artifact
    if artifact is None:
        raise ConfigError(
            f"{output!r} of {label} is a list of artifacts",
            why="an alias names one",
            fix="promote what was made from them, or return them as one value, such as a dict",
        )
    return part, output, artifact


def _register(session: Session, part: StepRun, alias: Alias, *, stored: bool) -> str | None:
    """Tell the tracker, if it has a registry.

    Args:
        stored: whether the run lies in this store, so that the tracker's id of it is, or will be, beside it.
    """
    tracker = session.components.tracker
    if tracker is None or type(tracker).register is Tracker.register:
        return None
    external = session.tracking.external_id(tracker) if stored else tracker.begin(session.run.info, claimed=False)
    return tracker.register(
        Promotion(
            run=session.run.info,
            external_id=external,
            alias=alias.name,
            step=alias.step,
            index=alias.index,
            output=alias.output,
            artifact=alias.artifact,
            metrics=part.metrics,
            tags=_tags(session.run),
            files=session.artifacts.local_folder(alias.artifact),
            load=lambda: session.artifacts.load(alias.artifact),
        )
    )


def _tags(run: StoredRun) -> dict[str, str]:
    """What the run is found by in a tracker, as its steps have it on record."""
    found = (run.record(step.name, None) for step in run.plan.steps if feature_use(step) is not None)
    return {name: value for record in found if record is not None for name, value in record.logged.tags.items()}


def _copy_origin(run: Run, part: StepRun, target: ArtifactStore[Any]) -> None:
    """Copy what the artifact is read with and what it was made from: plan, code, and the records up to its step.

    The records do not lie among the other store's runs: the run was not one of its own.
    """
    store, info, code = run.workspace.store, run.info, run.plan.code.digest
    for key, digest in ((layout.code(code), code), (layout.code_origin(code), None), (layout.plan(info.plan), None)):
        data = store.read(key)
        if digest is not None and (data is None or canonical.digest(data) != digest):
            raise ArtifactError(
                f"{key} in {store.address} is {'gone' if data is None else 'damaged'}",
                fix="publish the pipeline again, from the code that the run had",
            )
        if data is not None:
            target.create(key, data)
    folder = layout.promoted(info.project, info.id)
    target.create(f"{folder}/run.json", records.encode(info))
    needed, pending = {part.name}, [part.name]
    while pending:
        for name in run.plan.by_name[pending.pop()].upstream:
            if name not in needed:
                needed.add(name)
                pending.append(name)
    for name in store.children(layout.steps(info.project, info.id)):
        step, index = names.place(name)
        data = store.read(layout.record(info.project, info.id, step, index)) if step in needed else None
        if data is not None:
            target.create(f"{folder}/steps/{name}/record.json", data)
