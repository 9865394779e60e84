"""The orchestrator ``specimen``: steps one by one, each in a process of its own. Replace it by your engine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from turnout.plugin_api import (
    Bundle,
    Capability,
    Config,
    Element,
    LocalPath,
    Orchestrator,
    Plan,
    RunHandle,
    RunState,
    StepPlan,
    StepResult,
    Submission,
    Support,
    encode,
    pretty,
    run_id,
)

_NATIVE = {"map", "gate", "group", "params", "tags", "docs", "secrets", "env", "logical_time", "requirements"}


class SpecimenSettings(Config, frozen=True):
    """Settings of the orchestrator ``specimen``."""

    logs: Annotated[LocalPath, msgspec.Meta(description="The folder of the steps' log files.")] = ".turnout/specimen"


class SpecimenRun(RunHandle):
    """A run in a thread of this process. An engine of your own would start from the bundle, somewhere else."""

    def __init__(self, plan: Plan, submission: Submission, store: Any, logs: Path) -> None:
        self.engine_run = submission.options.uuid or str(uuid.uuid4())
        self.run_id = run_id(plan.project, plan.name, plan.instance, self.engine_run)
        self._plan = plan
        self._logs = logs / self.run_id
        self._environ = {**os.environ, **store.environment(), "TURNOUT_PARAMS": encode(submission).decode()}
        self._counts: dict[tuple[str, str], int] = {}
        self._state: RunState = "running"
        self._stopped = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> RunState:
        self._thread.join(timeout)
        return self._state

    def cancel(self) -> None:
        self._stopped.set()
        if self._process is not None:
            self._process.terminate()

    def _work(self) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        failed = False
        for step in self._plan.steps:
            count = self._count(step)
            for index in [None] if count is None else range(count):
                if not self._stopped.is_set():
                    failed |= self._run_step(step, index).state == "failed"
        stopped = self._stopped.is_set()
        self._call("finish", *(["--cancelled"] if stopped else []), log="finish")
        self._state = "cancelled" if stopped else "failed" if failed else "succeeded"

    def _count(self, step: StepPlan) -> int | None:
        """How many elements a mapped step has; None for any other, and for one whose source did not run."""
        sources = [given.source for given in step.inputs.values() if isinstance(given.source, Element)]
        counts = [self._counts.get((source.step, source.output)) for source in sources]
        known = [count for count in counts if count is not None]
        if len(known) < len(counts) or not known:
            return None
        self._counts.update({(step.name, output.name): known[0] for output in step.outputs})
        return known[0] if len(set(known)) == 1 else None

    def _run_step(self, step: StepPlan, index: int | None) -> StepResult:
        place = [] if index is None else ["--index", str(index)]
        log = step.name if index is None else f"{step.name}.{index}"
        result = self._call("step", "--step", step.name, *place, log=log)
        self._counts.update({(step.name, output): count for output, count in result.elements.items()})
        return result

    def _call(self, *arguments: str, log: str) -> StepResult:
        command = [sys.executable, "-m", "turnout.runtime", *arguments]
        command += ["--plan", self._plan.digest, "--engine-run", self.engine_run]
        with (self._logs / f"{log}.log").open("a", encoding="utf-8") as stderr:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, env=self._environ, stdout=pipe, stderr=stderr, text=True)
            if self._stopped.is_set() and arguments[0] == "step":
                self._process.terminate()
            *printed, last = (self._process.communicate()[0] or "").splitlines() or [""]
            stderr.writelines(f"{line}\n" for line in printed)
        if not last.startswith("{"):  # it was stopped, or killed
            return StepResult(state="failed", message=last)
        return msgspec.json.decode(last, type=StepResult)


class SpecimenOrchestrator(Orchestrator[SpecimenSettings]):
    """Decides when a step runs: in the order of the plan, whose steps come after what they need."""

    name = "specimen"
    Config = SpecimenSettings
    capabilities: ClassVar[Mapping[Capability, Support]] = {
        capability: "native" if capability.value in _NATIVE else "refused" for capability in Capability
    }

    def compile(self, plan: Plan) -> Bundle:
        steps = [{"name": step.name, "needs": step.upstream, "mapped": step.mapped} for step in plan.steps]
        return Bundle(files={"steps.json": pretty({"plan": plan.digest, "steps": steps})}, entrypoint="steps.json")

    def submit(self, plan: Plan, bundle: Bundle, submission: Submission, store: Any) -> RunHandle:
        return SpecimenRun(plan, submission, store, Path(self.config.logs))

    def logs(self, plan: Plan, engine_run: str, step: str, index: int | None = None) -> Iterator[str]:
        run = run_id(plan.project, plan.name, plan.instance, engine_run)
        path = Path(self.config.logs, run, f"{step}.log" if index is None else f"{step}.{index}.log")
        return iter(path.read_text(encoding="utf-8").splitlines() if path.exists() else ())
