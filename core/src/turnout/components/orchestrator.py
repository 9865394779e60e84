"""The contract of orchestrators: a plan goes in, files come out; then they are published or submitted."""

from __future__ import annotations

import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

import msgspec

from turnout.components.base import Component, ConfigT
from turnout.components.progress import Watcher, ignore
from turnout.model.capability import Capability, Support
from turnout.model.plan import Plan
from turnout.model.records import Record, RunInfo, RunState, State, Submission


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What ``compile`` gives: files as data (relative path to bytes), the one to start with, and notes for the user."""

    files: dict[str, bytes] = {}
    entrypoint: str = ""
    notes: tuple[str, ...] = ()


class StepStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A step as its engine sees it now; ``failed`` is one that was called, not one that waits for what failed.

    Without an index, of a mapped step, it is all elements together. ``message`` is what else the engine says.
    """

    step: str
    index: int | None = None
    state: State | Literal["waiting", "running"] = "waiting"
    message: str = ""


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its engine sees it now."""

    state: RunState
    steps: tuple[StepStatus, ...] = ()


class RunHandle(ABC):
    """A submitted run."""

    run_id: str
    engine_run: str
    url: str = ""

    @property
    def records(self) -> Mapping[tuple[str, int | None], Record]:
        """The records of committed steps and elements that this process knows, by name and index: they never change."""
        return {}

    @property
    def attempted(self) -> bool:
        """Whether a step may have been attempted; False only where this process knows better."""
        return True

    @abstractmethod
    def wait(self, timeout: float | None = None) -> RunState:
        """Block until the run has ended, *timeout* seconds at most (then ``running``), and return its state.

        That is the engine's word; it counts only where the run's records leave the state open.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Ask the engine to stop the run; the steps already committed stay."""

    def hold_process(self) -> None:  # noqa: B027 - there mostly is nothing to do
        """Where the engine is this very process, do not let it end before the run has; any other goes on without it."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed while a run was submitted; ``handle`` is the run's, which has been asked to stop."""

    def __init__(self, handle: RunHandle) -> None:
        super().__init__()
        self.handle = handle


def started(start: Callable[[], RunHandle]) -> RunHandle:
    """Start a run on an engine, and let no Ctrl-C leave it behind: one that is pressed meanwhile stops the run.

    An engine that is asked to start a run may have started it before its answer is here. Pressed twice, Ctrl-C no
    longer waits for that answer.

    Args:
        start: asks the engine, and returns the handle of the run.

    Raises:
        Interrupted: when Ctrl-C was pressed; the run has been asked to stop.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before in {None, signal.SIG_IGN}:
        return start()
    pressed: list[bool] = []

    def press(*_: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(True)

    signal.signal(signal.SIGINT, press)
    try:
        handle = start()
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        handle.cancel()
        raise Interrupted(handle)
    return handle


class Orchestrator(Component[ConfigT], ABC):
    """Decides *when* a step runs. What running it means is the runtime's, the same on every engine.

    ``capabilities`` maps what a pipeline can ask for to how it is met; what is missing is refused.
    ``max_fan_out`` bounds the elements of a map where the engine does. Where settings make a difference,
    ``supports`` and ``fan_out`` are overridden, which say the same of one with its settings.
    """

    capabilities: ClassVar[Mapping[Capability, Support]] = {}
    remarks: ClassVar[Mapping[Capability, str]] = {}
    """What else is to be known of how a capability is met, for `turnout explain`."""
    max_fan_out: ClassVar[int | None] = None
    exported: ClassVar[Mapping[str, str]] = {}
    """The settings that ``compile`` reads, and what to do where one refers to what only a worker or a submitter knows:
    such a reference is refused, because nothing resolves it in a file. ``compile`` sees the others unresolved."""
    local: ClassVar[bool] = False
    """Whether steps run on the machine that submits them."""
    launcher: ClassVar[bool] = False
    """Whether steps are started by a module of the plugin's own, which images then must hold beside turnout."""
    options: ClassVar[type[Any] | None] = None
    """A config struct for this engine's own options on a step (``steps: {"fit*": {airflow: {…}}}``)."""
    pipeline_options: ClassVar[type[Any] | None] = None
    """Likewise for a whole pipeline (``pipelines: {flights: {airflow: {…}}}``)."""
    watch: Watcher = staticmethod(ignore)
    """Who is told of every change of a step in runs submitted from now on, by the handle's ``wait`` or by itself."""

    @property
    def supports(self) -> Mapping[Capability, Support]:
        """``capabilities``, as its settings leave them."""
        return self.capabilities

    @property
    def fan_out(self) -> int | None:
        """``max_fan_out``, as its settings leave it."""
        return self.max_fan_out

    @abstractmethod
    def compile(self, plan: Plan) -> Bundle:
        """The engine's files for a plan. Pure: the same plan gives the same bytes; nothing is read or written."""

    @abstractmethod
    def submit(self, plan: Plan, bundle: Bundle, submission: Submission, store: Any) -> RunHandle:
        """Start a run. The plan and its code are in *store* already. Does not block until the run ends.

        An engine that is asked over a network is asked by :func:`started`.
        """

    def publish(self, plan: Plan, bundle: Bundle, store: Any) -> str:
        """Place the bundle where the engine finds it and activate its schedule; run nothing. Returns where it is."""
        from turnout.base.errors import UnsupportedError

        raise UnsupportedError(f"the {self.name} orchestrator has no place to publish to", fix="use `turnout run`")

    def published_as(self, plan: Plan) -> str:
        """The id by which the engine shows a published pipeline, and by which it can be unpublished."""
        return f"{plan.project}.{plan.name}"

    def unpublish(self, plan: Plan) -> str:
        """Take a published pipeline and its schedule away again; its runs stay. Returns where it was."""
        from turnout.base.errors import UnsupportedError

        raise UnsupportedError(
            f"the {self.name} orchestrator has no place to publish to", fix="there is nothing to undo"
        )

    def status(self, plan: Plan, engine_run: str) -> RunStatus:
        """What the engine says of a run; ``unknown`` where it cannot be asked."""
        return RunStatus(state="unknown")

    def logs(self, plan: Plan, engine_run: str, step: str, index: int | None = None) -> Iterator[str]:
        """The lines a step printed, all attempts in order.

        Asked again while the step runs, it gives the same lines, the last perhaps longer, and what has come since.

        Raises:
            ArtifactError: when there is no log of the step, or the engine does not give it out.
        """
        return iter(())

    def resume(self, plan: Plan, run: RunInfo, store: Any) -> RunHandle:
        """Run what a run that has ended did not commit, under the same id, with its own plan, code and parameters.

        What is committed stays and is not run again. Does not block until the run ends. Not called for a run that
        has succeeded.

        Raises:
            RunError: when the run is in progress.
        """
        from turnout.base.errors import UnsupportedError

        raise UnsupportedError(
            f"the {self.name} orchestrator cannot resume the run {run.id} from here",
            fix=f"run what failed again in {self.name} itself: steps that are committed return their records"
            + (f"; its run is {run.engine_run}" if run.engine_run else ""),
        )

    def cancel(self, plan: Plan, engine_run: str) -> None:
        """Stop a run that another process submitted."""
        from turnout.base.errors import UnsupportedError

        raise UnsupportedError(f"the {self.name} orchestrator cannot cancel a run from another process")
