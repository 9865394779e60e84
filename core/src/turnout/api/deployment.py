"""From an endpoint's definition to its plan: the run that it serves is found, pinned, and its tables' columns read."""

from __future__ import annotations

import tempfile
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from turnout.api.history import find_run
from turnout.api.workspace import Workspace
from turnout.artifacts.artifacts import Artifacts
from turnout.base.errors import ConfigError, DeployError, TurnoutError, UnsupportedError, did_you_mean
from turnout.catalog import aliases
from turnout.components.deployer import Deployer
from turnout.components.kinds import DEPLOYER, MATERIALIZER
from turnout.components.orchestrator import Bundle
from turnout.definition.annotations import module_name
from turnout.definition.endpoint import EndpointDefinition, EndpointSpec
from turnout.definition.pipeline import PipelineDefinition
from turnout.materializers import table
from turnout.materializers.choice import Materializers
from turnout.model.endpoint_plan import Column, EndpointPlan
from turnout.model.plan import Plan
from turnout.model.records import Artifact, RunInfo
from turnout.planning import bindings_lock
from turnout.planning.bindings_lock import Lock
from turnout.planning.endpoint_planner import PlannedEndpoint, Served, make_endpoint_plan
from turnout.planning.exporting import earlier, own_folder, owner
from turnout.planning.publishing import publish_code
from turnout.project.project import load, root_of
from turnout.project.written import Entry
from turnout.serving.tables import STORED, prototype
from turnout.stores import layout
from turnout.stores.stored_run import read_plan

ACCEPTABLE = {
    "code": "steps have other code than the run had",
    "schema": "requests that the live version takes are refused",
    "answers": "stored rows are answered otherwise than in the run",
    "untried": "it is not tried on stored rows first",
}
"""What of an endpoint can be accepted by name."""


class Deployment:
    """An endpoint planned for a workspace: the run is looked up once, and pinned.

    Args:
        run: which run it serves, in place of what its definition says.
        accept: what of :data:`ACCEPTABLE` is accepted.
        kept: the folder of an export of it, whose ``bindings.lock`` says what it serves again.

    Raises:
        ConfigError: when something else is to be accepted, or there is no such run.
        PlanError: when the run cannot be served.
    """

    def __init__(
        self,
        definition: EndpointDefinition,
        workspace: Workspace,
        *,
        run: str | None = None,
        accept: tuple[str, ...] = (),
        kept: Path | None = None,
    ) -> None:
        self.definition = definition
        self.workspace = workspace
        self._accepted = accept
        if unknown := next((name for name in accept if name not in ACCEPTABLE), None):
            raise ConfigError(
                f"nothing called {unknown!r} can be accepted of an endpoint. "
                f"{did_you_mean(unknown, ACCEPTABLE)}".rstrip(" ."),
                fix=f"accept one of: {', '.join(ACCEPTABLE)}",
            )
        traced = definition.trace()
        with tempfile.TemporaryDirectory(prefix="turnout-") as folder:
            self._artifacts = Artifacts(
                workspace.store, Materializers(workspace.registry.all(MATERIALIZER)), Path(folder)
            )
            asked, lock = run or definition.run, None if kept is None else self._lock(kept, run)
            if lock is not None and lock.given:
                asked = lock.asked
            self._given, self._share = (run is not None, 1.0) if lock is None else (lock.given, lock.share)
            served = self._served(traced.spec, asked if lock is None else lock.run, asked)
            self.planned: PlannedEndpoint = make_endpoint_plan(
                traced,
                definition.pipeline.trace(),
                workspace.project,
                workspace.stack,
                workspace.registry,
                served,
                accept=accept,
            )
        if lock is not None:
            bindings_lock.hold(self.plan, lock)

    @classmethod
    def of(
        cls,
        definition: EndpointDefinition,
        *,
        stack: str | None = None,
        run: str | None = None,
        accept: tuple[str, ...] = (),
        kept: Path | None = None,
    ) -> Deployment:
        """Plan an endpoint in its own project."""
        file = Path(definition.function.__code__.co_filename)
        project = load(root_of(file if file.is_file() else Path.cwd()))
        return cls(definition, Workspace(project, stack), run=run, accept=accept, kept=kept)

    @property
    def plan(self) -> EndpointPlan:
        """The endpoint's plan."""
        return self.planned.plan

    def accepts(self, what: str) -> bool:
        """Whether something of :data:`ACCEPTABLE` is accepted."""
        return what in self._accepted

    def publish(self) -> None:
        """Put the code package into the store, unless it is there."""
        publish_code(self.workspace.store, self.planned.package)

    @property
    def unsent(self) -> bool:
        """Whether the store lacks the code package, or what the deployer's tool fetches from there."""
        keys = (layout.code(self.plan.code.digest), *self.compiler.stored(self.plan))
        return not all(map(self.workspace.store.exists, keys))

    def _lock(self, folder: Path, run: str | None) -> Lock | None:
        """The lock of the export in a folder.

        Raises:
            ConfigError: when it cannot be read, or a *run* is given beside it.
        """
        folders = [own_folder(folder, self.owner), folder]
        lock = bindings_lock.find(folders, self.definition.name)
        if lock is not None and run:
            raise ConfigError(
                f"{bindings_lock.FILE} in {folder} says which run is served: {lock.run}",
                fix="take another: --update --run RUN",
            )
        return lock

    @property
    def owner(self) -> Entry:
        """Whose files an export of it has."""
        return owner(self.workspace.project.name, self.definition.name, self.compiler.name)

    def export(self, folder: Path, share: float | None = None) -> tuple[Bundle, float]:
        """The files of the stack's deployer, and ``bindings.lock`` beside them; and the share of requests they give it.

        Args:
            folder: where they will be: an export of it that is there says which version is live.
            share: of the requests, from 0 to 1; less than 1 is a canary beside the live version. As locked if not
                given.

        Raises:
            UnsupportedError: when the deployer needs no files.
            DeployError: when there is no such share, or no other live version.
            TurnoutError: when the endpoint cannot be deployed as it is.
        """
        exported = earlier(folder, self.owner)
        if share is None:
            share = self._share if exported else 1.0
        check_share(share)
        bundle = self.compiler.recompile(self.plan, exported, share)
        if not bundle.files:
            raise UnsupportedError(
                f"the {self.compiler.name} deployer makes no files that could be exported",
                fix="choose another stack: --stack NAME",
            )
        lock = bindings_lock.lock_of(self.plan, given=self._given, share=share)
        files = {**bundle.files, bindings_lock.FILE: bindings_lock.text(lock)}
        return msgspec.structs.replace(bundle, files=files), share

    @cached_property
    def compiler(self) -> Deployer[Any]:
        """The stack's deployer, its secrets unresolved: enough to compile."""
        return self.workspace.stack.component(DEPLOYER, resolve=False)

    @cached_property
    def run(self) -> RunInfo:
        """The run that is served."""
        return find_run(self.workspace.store, self.workspace.project.name, self.plan.run)

    def _served(self, spec: EndpointSpec, wanted: str, asked: str) -> Served:
        info = find_served(self.workspace, self.definition.pipeline, wanted)
        plan = read_plan(self.workspace.store, info.plan)
        session = self.workspace.session(plan, info)
        with closing(session):
            outputs: dict[tuple[str, str], Artifact] = {}
            lists: dict[tuple[str, str], tuple[Artifact, ...]] = {}
            for name in sorted(_needed(spec, plan)):
                record = session.run.record(name, None)
                for output, made in (record.outputs if record is not None else {}).items():
                    if made.artifact is not None:
                        outputs[name, output] = _bare(made.artifact)
                    elif made.elements is not None:
                        lists[name, output] = tuple(map(_bare, made.elements[:STORED]))
        likes = {(like.step, like.output) for request in spec.requests if (like := request.like) is not None}
        tables = {key: self._table(outputs[key], key) for key in likes if key in outputs}
        return Served(
            run=info.id, asked=asked, plan=plan, params=info.params, outputs=outputs, lists=lists, tables=tables
        )

    def _table(self, artifact: Artifact, key: tuple[str, str]) -> tuple[tuple[Column, ...], str]:
        """The columns of a table in the store, and the table without rows."""
        if artifact.materializer != "table":
            raise ConfigError(
                f"{key[0]}:{key[1]} is a {artifact.type}, and no table that rows could be like",
                fix="name an output that is a DataFrame: like={…}",
            )
        empty = table.empty(self._artifacts.local_folder(artifact))
        columns = tuple(
            Column(name=field.name, type=str(field.type), nullable=field.nullable) for field in empty.schema
        )
        return columns, prototype(empty)


def check_share(share: float) -> None:
    """See that a share of the requests can be meant.

    Raises:
        DeployError: when it is none of them, or more than all.
    """
    if not 0 < share <= 1:
        raise DeployError(f"a share of {share:g} of the requests cannot be given", fix="give more than 0, at most 1")


def _bare(artifact: Artifact) -> Artifact:
    """An artifact without its description, which is no part of a version."""
    return msgspec.structs.replace(artifact, profile=None)


def _needed(spec: EndpointSpec, plan: Plan) -> set[str]:
    """The steps of a run whose outputs an endpoint is about: those it names, and those whose functions it calls."""
    named = {output.step for output in spec.bound}
    named |= {request.like.step for request in spec.requests if request.like is not None}
    called = {step.entrypoint for step in spec.steps}
    return {step.name for step in plan.steps if step.name in named or (step.entrypoint in called and not step.mapped)}


def find_served(workspace: Workspace, pipeline: PipelineDefinition, asked: str) -> RunInfo:
    """The run that an endpoint serves: ``latest`` is the newest of the pipeline that succeeded; else an alias or an id.

    Raises:
        ConfigError: when there is none.
    """
    store, project = workspace.store, workspace.project.name
    if asked == "latest":
        from turnout.catalog.index import Index

        with closing(Index(store, project)) as index:
            listed = index.runs(pipeline=pipeline.name, states=["succeeded"])
        succeeded = [run.info for run in listed if run.state == "succeeded"]
        if not succeeded:
            target = f"{module_name(pipeline.function.__module__)}:{pipeline.function.__qualname__}"
            raise ConfigError(
                f"{pipeline.name} has no run that succeeded in {store.address}",
                fix=f"start one: turnout run {target}; another stack's runs need its --stack",
            )
        return succeeded[0]
    try:
        info = find_run(store, project, asked)
    except ConfigError as unknown:
        try:
            info = find_run(store, project, aliases.find(store, project, asked).run.id)
        except TurnoutError:
            if "run ids" in unknown.what:  # it is the start of several
                raise unknown from None
            raise ConfigError(
                f"the project {project} has no run and no alias {asked!r} in {store.address}",
                fix=f"see turnout runs list; name a run's output: turnout promote RUN STEP --alias {asked}",
            ) from None
    if info.pipeline != pipeline.name:
        raise ConfigError(
            f"the run {info.id} is of the pipeline {info.pipeline}, the endpoint serves {pipeline.name}",
            fix=f"choose one of: turnout runs list --pipeline {pipeline.name}",
        )
    return info
