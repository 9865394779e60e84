"""A session: what one process has to run the steps of a run with."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from turnout.artifacts.artifacts import Artifacts
from turnout.base.cache_folder import cache_folder
from turnout.components.kinds import MATERIALIZER
from turnout.components.observer import EventKind
from turnout.components.policy import Policy
from turnout.components.registry import Registry, discover
from turnout.materializers.choice import Materializers
from turnout.runtime.code import Code
from turnout.runtime.forbidden import allow_reading
from turnout.runtime.resolution import Resolver
from turnout.runtime.worker_components import WorkerComponents
from turnout.stores.stored_run import Run
from turnout.stores.worker_settings import VARIABLE as STORE
from turnout.tracking.sending import Sender
from turnout.tracking.tracking import Tracking

WORK = "TURNOUT_WORK"
"""The variable with the folder in which a worker's temporary files lie; whoever sets it removes them."""


class Session:
    """The project's code, the stack's components, artifacts and tracking, each made when it is first needed.

    Not thread-safe; one step at a time.

    Args:
        in_process: whether this is a user's own process.
        registry: the plugins of this process; by default discovered on first use.
        readers: the policies that are asked before something is read; by default those of the plan.
    """

    def __init__(
        self,
        run: Run,
        *,
        in_process: bool = False,
        registry: Registry | None = None,
        readers: tuple[Policy[Any], ...] | None = None,
    ) -> None:
        self.run = run
        self.in_process = in_process
        self.resolver = Resolver(run.plan, run.record)
        self.failure: BaseException | None = None
        self.shared = False
        """Whether steps share this process with those before them."""
        self.before_attempt: Callable[[], None] = lambda: None
        self.feature_versions: dict[str, dict[str, str]] = {}
        self._registry = registry
        self._readers = readers
        self._closing = ExitStack()

    @property
    def sealed(self) -> bool:
        """Whether a step has a process of its own, in which everything is fixed that could make two machines differ."""
        return not (self.in_process or self.shared)

    def notify(self, kind: EventKind, **fields: Any) -> None:
        """Tell the stack's observers of an event: see :meth:`WorkerComponents.notify`."""
        self.components.notify(self.run.info, kind, **fields)

    @cached_property
    def registry(self) -> Registry:
        """The plugins of this process, discovered on first use."""
        return self._registry or discover()

    @cached_property
    def components(self) -> WorkerComponents:
        """The worker's side of the stack."""
        return WorkerComponents(self.run.plan.worker, lambda: self.registry, lambda: self.code.unpacked)

    @cached_property
    def code(self) -> Code:
        """The project's code, from its package."""
        return Code(self.run.plan.code, self.run.store, cache_folder(), first=not self.in_process)

    @cached_property
    def artifacts(self) -> Artifacts:
        """Saving and loading of values."""
        materializers = Materializers(self.registry.all(MATERIALIZER), load_project=self.code.load_class)
        readers = self._readers
        if readers is None:
            readers = self.components.policies if self.run.plan.worker.policies else ()
        allow = partial(allow_reading, readers) if readers else None
        return Artifacts(self.run.store, materializers, self.work, self.components.redactor, allow)

    @cached_property
    def tracking(self) -> Tracking:
        """What steps log, on its way to the tracker; in a worker by a process beside it, made before the first step."""
        sender = None
        if not (self.in_process or self.run.plan.worker.tracker.type == "none" or STORE not in os.environ):
            sender = Sender(self.run.info, self.work)
            self._closing.callback(sender.close)
        components = self.components
        return Tracking(self.run, lambda: components.tracker, lambda: self.artifacts, components.redactor, sender)

    @cached_property
    def work(self) -> Path:
        """A folder for this process's temporary files, removed with the session."""
        folder = tempfile.mkdtemp(prefix="turnout-", dir=os.environ.get(WORK))
        self._closing.callback(weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True))
        return Path(folder)

    def close(self) -> None:
        """End what sends, and remove the temporary files; the latter happens by itself when the session is gone."""
        self._closing.close()
