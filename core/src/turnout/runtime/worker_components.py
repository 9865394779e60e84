"""The worker's side of the stack: the components that the plan names, made with their references resolved."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from turnout.base import canonical, clock
from turnout.base.errors import ConfigError, raise_all
from turnout.base.redaction import Redactor
from turnout.components.feature_store import FeatureStore
from turnout.components.kinds import FEATURE_STORE, OBSERVER, POLICY, SECRET_STORE, TRACKER, Kind, of_worker
from turnout.components.observer import Event, EventKind, Observer
from turnout.components.policy import Policy
from turnout.components.registry import Registry
from turnout.components.secret_store import SecretStore
from turnout.components.tracker import Tracker
from turnout.environment import package_index
from turnout.model.plan import Component, Plan, Worker
from turnout.model.records import Artifact, Git, Record, RunInfo
from turnout.runtime.forbidden import artifact_refusals, refusals
from turnout.runtime.secrets import open_secret_store
from turnout.stack.bind import C, instantiate
from turnout.stack.references import resolve_worker


class WorkerComponents:
    """Makes each component when it is first needed, and remembers every secret it has seen.

    Args:
        code: gives the folder of the project's code, from which relative folders of wheels start.
    """

    def __init__(self, worker: Worker, registry: Callable[[], Registry], code: Callable[[], Path]) -> None:
        self.worker = worker
        self._code = code
        self.secrets_seen: set[str] = set()
        self.redactor = Redactor(self.secrets_seen)
        self._registry = registry
        self._enforced = False

    @property
    def may_see_secrets(self) -> bool:
        """Whether a step can come by a secret, also by one that it does not declare itself: a component's."""
        components = [component for kind, component in of_worker(self.worker) if kind != SECRET_STORE]
        return bool(self.redactor) or b"${secret" in canonical.encode(components)

    def _make(self, kind: Kind[type[C]], component: Component) -> C:
        config, seen = resolve_worker(component.config, os.environ, self.secret)
        self.secrets_seen |= seen
        return instantiate(self._registry(), kind, component.type, config)

    def secret(self, name: str) -> str:
        """The value of a secret.

        Raises:
            ConfigError: when the stack's secret store has none of that name.
        """
        value = self.secret_store.get(name)
        if value is None:
            raise ConfigError(
                f"the secret {name!r} is not there",
                why=f"looked for {self.secret_store.hint(name)}",
                fix="create it where the step runs (restart a server that has started before: it keeps its variables), "
                "or choose another secret store in the stack",
            )
        value = value.rstrip("\r\n")
        self.secrets_seen.add(value)
        return value

    @cached_property
    def secret_store(self) -> SecretStore[Any]:
        """The stack's secret store; its own settings hold no secrets."""
        return open_secret_store(self.worker.secrets, self._registry())

    @cached_property
    def tracker(self) -> Tracker[Any] | None:
        """The stack's tracker, or None for ``none``."""
        if self.worker.tracker.type == "none":
            return None
        return self._make(TRACKER, self.worker.tracker)

    @cached_property
    def feature_store(self) -> FeatureStore[Any]:
        """The stack's feature store."""
        store = self._make(FEATURE_STORE, self.worker.feature_store)
        store.package_index = self.package_index
        return store

    def package_index(self) -> dict[str, str]:
        """The variables by which uv finds the packages of the stack's index, their references resolved.

        Raises:
            ConfigError: when a secret or variable is missing.
        """
        settings, seen = resolve_worker(msgspec.structs.asdict(self.worker.index), os.environ, self.secret)
        self.secrets_seen |= seen
        return package_index.variables(settings, self._code() if settings["find_links"] else Path())

    @cached_property
    def observers(self) -> tuple[Observer[Any], ...]:
        """The stack's observers; one that cannot be made is reported, and left out."""
        found = []
        for component in self.worker.observers:
            try:
                found.append(self._make(OBSERVER, component))
            except Exception as error:
                self._report(component.type, error)
        return tuple(found)

    @cached_property
    def policies(self) -> tuple[Policy[Any], ...]:
        """The stack's policies."""
        return tuple(self._make(POLICY, component) for component in self.worker.policies)

    def enforce(self, plan: Plan, origin: Git | None) -> None:
        """Let the stack's policies check the plan and where its code comes from; once, for neither changes.

        Raises:
            PlanError: naming everything that is not allowed.
            PluginError: when a policy is not installed here, or fails.
        """
        if not self._enforced:
            raise_all(f"{plan.name} is not allowed here", refusals(self.policies, plan, origin))
        self._enforced = True

    def enforce_artifacts(self, step: str, artifacts: Iterable[Artifact]) -> None:
        """Let the stack's policies check what a step has made, before it is committed.

        Raises:
            PlanError: naming everything that is not allowed.
        """
        if self.worker.policies:
            found = artifact_refusals(self.policies, step, artifacts)
            raise_all(f"what the step {step} made is not allowed", found)

    def notify(self, run: RunInfo, kind: EventKind, *, record: Record | None = None, **fields: Any) -> None:
        """Tell every observer of an event; one that raises is reported and does no harm.

        Args:
            record: the record of the step that it is about, if it has one: what it read and made is told, too.
        """
        if not self.worker.observers:
            return
        if record is not None:
            fields["inputs"] = {name: given.digests for name, given in record.inputs.items() if given.digests}
            fields["outputs"] = {name: output.digests for name, output in record.outputs.items()}
        event = Event(
            kind=kind,
            time=clock.now(),
            project=run.project,
            pipeline=run.pipeline,
            run=run.id,
            engine_run=run.engine_run,
            **fields,
        )
        for observer in self.observers:
            try:
                observer.notify(event)
            except Exception as error:
                self._report(observer.name, error)

    def _report(self, observer: str, error: Exception) -> None:
        print(f"turnout: the observer {observer} failed: {self.redactor.text(str(error))}", file=sys.stderr)
