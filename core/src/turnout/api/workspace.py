"""Where a command or a call works: a project, a stack, its store and its plugins."""

from __future__ import annotations

import getpass
import os
import platform
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from turnout.base.errors import ArtifactError, PlanError, UnsupportedError
from turnout.base.identity import run_id
from turnout.components.artifact_store import ArtifactStore
from turnout.components.feature_store import FeatureStore
from turnout.components.kinds import ARTIFACT_STORE, ORCHESTRATOR
from turnout.components.orchestrator import Orchestrator, RunStatus
from turnout.components.policy import Policy
from turnout.components.registry import Registry, discover
from turnout.model.plan import Plan
from turnout.model.records import RunInfo
from turnout.planning.policies import policies_of
from turnout.project.project import Project, load, root_of
from turnout.runtime.session import Session
from turnout.runtime.worker_components import WorkerComponents
from turnout.stack.find import load_stack
from turnout.stack.stack import Stack
from turnout.stores.stored_run import Run, read_plan

LOADED = ".turnout/loaded"
"""The folder of the project that files lie in which were loaded; it is never packed."""


class Workspace:
    """A project bound to a stack; everything is made when it is first needed."""

    def __init__(self, project: Project, stack: str | None = None, registry: Registry | None = None) -> None:
        self.project = project
        self._stack = stack
        self._registry = registry

    @classmethod
    def here(cls, stack: str | None = None) -> Workspace:
        """The workspace of the project that the current folder lies in."""
        return cls(load(root_of(Path.cwd())), stack)

    @cached_property
    def registry(self) -> Registry:
        """The plugins there are."""
        return self._registry or discover()

    @cached_property
    def stack(self) -> Stack:
        """The stack: as given, else ``TURNOUT_STACK``, the project's, ``local``."""
        return load_stack(self._stack, self.project, self.registry, os.environ)

    @cached_property
    def store(self) -> ArtifactStore[Any]:
        """The stack's artifact store."""
        return self.stack.component(ARTIFACT_STORE)

    @cached_property
    def orchestrator(self) -> Orchestrator[Any]:
        """The stack's orchestrator."""
        return self.stack.component(ORCHESTRATOR)

    @cached_property
    def compiler(self) -> Orchestrator[Any]:
        """The stack's orchestrator, its secrets unresolved: enough to compile and to explain."""
        return self.stack.component(ORCHESTRATOR, resolve=False)

    @cached_property
    def reader(self) -> WorkerComponents:
        """The worker's side of the stack, as who reads here has it."""
        return WorkerComponents(self.stack.worker(), lambda: self.registry, lambda: self.project.root)

    @cached_property
    def feature_store(self) -> FeatureStore[Any]:
        """The stack's feature store, as it is used from here."""
        worker = self.stack.worker(here=True)
        return WorkerComponents(worker, lambda: self.registry, lambda: self.project.root).feature_store

    @cached_property
    def policies(self) -> tuple[Policy[Any], ...]:
        """The stack's policies, as far as they can be asked here."""
        return policies_of(self.stack.worker(), self.registry)

    def session(self, plan: Plan, info: RunInfo) -> Session:
        """A run, to be read here, as far as the stack's policies allow; classes of the project can be imported."""
        self.project.on_path()
        run = Run(self.store, plan, info)
        session = Session(run, in_process=True, registry=self.registry, readers=self.policies)
        session.artifacts.kept = self.project.root / LOADED
        return session

    def orchestrator_of(self, info: RunInfo) -> Orchestrator[Any]:
        """The stack's orchestrator, if it is the one that ran a run.

        Raises:
            UnsupportedError: when it is another.
            ArtifactError: when the run's id does not follow from what the engine is said to call it.
        """
        if not _is_of_its_engine(info):
            raise ArtifactError(
                f"the run {info.id} is refused: the engine's run {info.engine_run[:60]!r} is another",
                why="run.json was changed after it was written",
                fix="ask the engine itself",
            )
        if info.orchestrator != self.orchestrator.name or info.instance != self.stack.instance:
            raise UnsupportedError(
                f"the run {info.id} is of the {info.orchestrator} orchestrator {info.instance!r}, "
                f"the stack {self.stack.name} has another",
                fix=f"give the run's own stack: --stack {info.stack}",
            )
        return self.orchestrator

    def ask_engine(self, info: RunInfo) -> RunStatus:
        """What the run's engine says of it, where it is this stack's; ``unknown`` otherwise."""
        there = info.orchestrator == self.orchestrator.name and info.instance == self.stack.instance
        if not there or not _is_of_its_engine(info):
            return RunStatus(state="unknown")
        try:
            plan = read_plan(self.store, info.plan)
        except PlanError as error:  # the others are listed all the same
            print(f"turnout: the run {info.id}: {error.what}", file=sys.stderr)
            return RunStatus(state="unknown")
        return self.orchestrator.status(plan, info.engine_run)


def _is_of_its_engine(info: RunInfo) -> bool:
    """Whether the run's id follows from what its engine calls it: else another run would be asked about, or stopped."""
    return info.id == run_id(info.project, info.pipeline, info.instance, info.engine_run)


def user() -> str:
    """Who works here, as records say it: ``name@machine``."""
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):
        return f"{os.getuid()}@{platform.node()}"
