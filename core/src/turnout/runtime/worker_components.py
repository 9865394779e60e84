"""The worker's side of the stack: the components that the plan names, made with their references resolved."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from turnout.components.feature_store import FeatureStore
from turnout.components.observer import Event, EventKind, Observer
from turnout.components.policy import Policy
from turnout.components.secret_store import SecretStore
from turnout.components.tracker import Tracker
from turnout.errors import ConfigError
from turnout.plan.model import Component, Worker
from turnout.registry import Registry
from turnout.runtime import clock
from turnout.stack.bind import instantiate
from turnout.stack.references import resolve_worker

if TYPE_CHECKING:
    from turnout.runtime.session import Session


class WorkerComponents:
    """Makes each component when it is first needed, and remembers every secret it has seen."""

    def __init__(self, worker: Worker, registry: Callable[[], Registry]) -> None:
        self.worker = worker
        self.secrets_seen: set[str] = set()
        self._registry = registry

    def _make(self, kind: str, component: Component) -> Any:
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
                fix="create it where the step runs, or choose another secret store in the stack",
            )
        self.secrets_seen.add(value)
        return value

    @cached_property
    def secret_store(self) -> SecretStore[Any]:
        """The stack's secret store; its own settings hold no secrets."""
        config, _ = resolve_worker(self.worker.secrets.config, os.environ, _no_secret)
        store: SecretStore[Any] = instantiate(self._registry(), "secret_store", self.worker.secrets.type, config)
        return store

    @cached_property
    def tracker(self) -> Tracker[Any] | None:
        """The stack's tracker, or None for ``none``."""
        if self.worker.tracker.type == "none":
            return None
        tracker: Tracker[Any] = self._make("tracker", self.worker.tracker)
        return tracker

    @cached_property
    def feature_store(self) -> FeatureStore[Any]:
        """The stack's feature store."""
        store: FeatureStore[Any] = self._make("feature_store", self.worker.feature_store)
        return store

    @cached_property
    def observers(self) -> tuple[Observer[Any], ...]:
        """The stack's observers."""
        return tuple(self._make("observer", component) for component in self.worker.observers)

    @cached_property
    def policies(self) -> tuple[Policy[Any], ...]:
        """The stack's policies."""
        return tuple(self._make("policy", component) for component in self.worker.policies)

    def notify(self, session: Session, kind: EventKind, **fields: Any) -> None:
        """Tell every observer of an event; one that raises is reported and does no harm."""
        if not self.worker.observers:
            return
        run = session.run
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
                print(f"turnout: the observer {observer.name} failed: {error}", file=sys.stderr)


def _no_secret(name: str) -> str:
    raise ConfigError(
        f"the secret store's own settings refer to the secret {name!r}",
        fix="use ${worker-env:NAME} there",
    )


def declared_environment(names: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str | None]:
    """The values of a step's declared variables; None for one that is not set."""
    return {name: environ.get(name) for name in names}
