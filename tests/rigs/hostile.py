"""An engine that does to the runtime what real ones do on their worst day, and must get the same results.

It calls ``python -m turnout.runtime`` in a process a call: twice at once, once more afterwards, too early, with an
index that is none; kills it between two writes; lets it finish long after another has; from folders full of files
named like modules; with parameters turned to text and floats, and later with other ones, of a changed plan.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec
from rigs import faults

from turnout.base import names
from turnout.base.errors import ArtifactError, RunError
from turnout.base.identity import run_id
from turnout.components.artifact_store import ArtifactStore
from turnout.components.base import Config, LocalPath
from turnout.components.hookspecs import hookimpl
from turnout.components.orchestrator import Bundle, Orchestrator, RunHandle, RunStatus, StepStatus
from turnout.model.capability import Capability, Support
from turnout.model.forms import KEYS, RESERVED
from turnout.model.inputs import Element
from turnout.model.plan import Plan, StepPlan
from turnout.model.records import RunState, StepResult, Submission
from turnout.model.types import ParamType
from turnout.runtime import sealed
from turnout.stores import layout

MISCHIEF = ("nothing", "nothing", "twice", "again", "killed", "zombie")
FAILED = "failed steps"
POINTS = 8
"""Points at which a call is killed or held up; see :class:`rigs.faults.FaultyConfig`."""
SHADOWS = ("corpus_pipelines", "random", "secrets", "token", "yaml", "pluggy")
"""Modules that a call must not take from the folder it happens to be made in."""


class HostileConfig(Config, frozen=True):
    """Settings of the hostile engine."""

    instance: Annotated[str, msgspec.Meta(description="Part of every run id.")] = "hostile"
    seed: Annotated[int, msgspec.Meta(description="What the mischief is drawn from.")] = 0
    logs: Annotated[LocalPath, msgspec.Meta(description="The folder of the steps' log files.")] = ".turnout/hostile"


class HostileOrchestrator(Orchestrator[HostileConfig]):
    """Runs one step after another, and does not make it easy."""

    name = "hostile"
    Config = HostileConfig
    capabilities: ClassVar[Mapping[Capability, Support]] = {
        **dict.fromkeys(Capability, "refused"),
        Capability.RETRIES: "emulated",
        Capability.TIMEOUT: "emulated",
        Capability.MAP: "emulated",
        Capability.GATE: "emulated",
        Capability.GROUP: "emulated",
        Capability.LOGICAL_TIME: "emulated",
        Capability.SECRETS: "emulated",
        Capability.PARAMS: "emulated",
        Capability.TAGS: "emulated",
    }

    def compile(self, plan: Plan) -> Bundle:
        """The steps by name, with what they come after."""
        steps = {step.name: {"after": list(step.upstream), "doc": step.doc} for step in plan.steps}
        text = json.dumps({"plan": plan.digest, "tags": plan.tags, "steps": steps}, indent=2, sort_keys=True)
        return Bundle(files={"hostile.json": text.encode()}, entrypoint="hostile.json")

    def submit(self, plan: Plan, bundle: Bundle, submission: Submission, store: ArtifactStore[Any]) -> RunHandle:
        """Start the run in a thread, under an id that no file system, shell or URL would like."""
        native = f"manual__2026-03-01T06:00:00.123456+00:00/é ☃ %2e../{uuid.uuid4()}"
        return HostileRun(self.config, plan, native, submission, store)

    def status(self, plan: Plan, engine_run: str) -> RunStatus:
        """Which steps failed for good: of one that was killed, nobody else knows."""
        failed = _log(self.config, plan, engine_run, FAILED, None)
        labels = failed.read_text().splitlines() if failed.exists() else ()
        steps = (StepStatus(step=step, index=index, state="failed") for step, index in map(names.place, labels))
        return RunStatus(state="unknown", steps=tuple(steps))

    def logs(self, plan: Plan, engine_run: str, step: str, index: int | None = None) -> Iterator[str]:
        """What all calls of a step printed."""
        file = _log(self.config, plan, engine_run, step, index)
        if not file.exists():
            raise ArtifactError(f"there is no log of {step}", fix="the step was not called")
        yield from file.read_text(encoding="utf-8", errors="replace").splitlines()


def _log(config: HostileConfig, plan: Plan, engine_run: str, step: str, index: int | None) -> Path:
    folder = Path(config.logs) / run_id(plan.project, plan.name, plan.instance, engine_run)
    return folder / (step if index is None else f"{step}.{index}")


Task = tuple[str, "int | None"]


class Call(NamedTuple):
    """A process that has been started."""

    process: subprocess.Popen[bytes]
    log: Path
    printed: Path


class HostileRun(RunHandle):
    """A run, in a thread of this process."""

    def __init__(
        self, config: HostileConfig, plan: Plan, native: str, submission: Submission, store: ArtifactStore[Any]
    ) -> None:
        self.run_id = run_id(plan.project, plan.name, plan.instance, native)
        self.engine_run = native
        self._config = config
        self._plan = plan
        self._submission = submission
        self._store = store
        self._changed = msgspec.structs.replace(plan, doc=f"{plan.doc} (changed since)")
        self._folder = Path(tempfile.mkdtemp(prefix="turnout-hostile-"))
        self._random = random.Random(f"{config.seed} {plan.name}")
        self._begun = False
        self._cancelled = threading.Event()
        self._calls: set[subprocess.Popen[bytes]] = set()
        self._zombies: list[tuple[Task, Call, Path]] = []
        self._committed: set[Task] = set()
        self._states: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._lists: dict[str, dict[str, int]] = {}
        self._decisions: dict[str, bool] = {}
        self._error: BaseException | None = None
        self._state: RunState = "running"
        self._thread = threading.Thread(target=self._work, name=f"hostile-{self.run_id}", daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> RunState:
        """The state once the run has ended; raises what the runtime should not have answered."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            return "running"
        if self._error is not None:
            raise self._error
        return self._state

    def cancel(self) -> None:
        """Kill what runs."""
        self._cancelled.set()
        for process in tuple(self._calls):
            _kill(process)
        self._thread.join()

    def _work(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self._error = error
        finally:
            for process in tuple(self._calls):
                _kill(process)
                process.wait()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self) -> None:
        self._store.create(layout.plan(self._changed.digest), self._changed.encode())
        self._too_early()
        for step in self._plan.steps:
            if self._cancelled.is_set():
                break
            self._states[step.name] = self._step(step)
        if self._cancelled.is_set():
            self._state = "cancelled"
            self._finish({0, 2}, "--cancelled")
            return
        ended = {2} if "failed" in self._states.values() else {0}
        self._finish(ended)
        for task, call, gate in self._zombies:
            gate.touch()
            result = self._result(call)
            self._note(task, result)
            if self._states[task[0]] == "succeeded" and (result is None or result.state != "succeeded"):
                raise RunError(f"{task} was committed, and a call that came late was told {result}")
        if self._zombies:
            self._finish(ended)
        self._state = "failed" if "failed" in self._states.values() else "succeeded"

    def _too_early(self) -> None:
        """Call what cannot run yet, and end the run before it has begun."""
        for step in self._random.sample(self._plan.steps, min(2, len(self._plan.steps))):
            if step.upstream:
                self._expect({1, 2}, step, None, "before its inputs were there")
        if self._random.random() < 0.5:
            self._finish({2})

    # one step

    def _step(self, step: StepPlan) -> str:
        if self._is_skipped(step):
            if self._random.random() < 0.5:
                self._expect({99}, step, None, "though it is skipped")
            return "skipped"
        if any(self._states[name] == "failed" for name in step.upstream):
            if self._random.random() < 0.5:
                self._expect({1}, step, 0 if step.mapped else None, "though its inputs failed")
            return "failed"
        if not step.mapped:
            return self._tried(step, None)
        self._counts[step.name] = count = self._count(step)
        self._expect({2}, step, count, "with an index beyond the last")
        if count:
            self._expect({2}, step, None, "without an index")
        with ThreadPoolExecutor(2) as pool:
            states = list(pool.map(lambda index: self._tried(step, index), range(count)))
        return "failed" if "failed" in states else "succeeded"

    def _is_skipped(self, step: StepPlan) -> bool:
        if any(self._states[gate] == "skipped" or self._decisions.get(gate) is False for gate in step.guards):
            return True
        return any(
            self._states.get(getattr(given.source, "step", "")) == "skipped"
            and (step.kind == "gate" or isinstance(given.source, Element) or not given.type.optional)
            for given in step.inputs.values()
        )

    def _count(self, step: StepPlan) -> int:
        over = next(given.source for given in step.inputs.values() if isinstance(given.source, Element))
        return self._counts[over.step] if over.step in self._counts else self._lists[over.step][over.output]

    def _tried(self, step: StepPlan, index: int | None) -> str:
        """Call a step as often as it may be tried; its state in the end."""
        drawn = random.Random(f"{self._config.seed} {self._plan.name} {step.name} {index}")
        for _ in range(step.retry.count + 1):
            result = self._once(step, index, drawn)
            if result is not None and result.state != "failed":
                if index is None:
                    self._lists[step.name] = result.elements
                    self._decisions.update(result.values)
                return result.state
            if self._cancelled.is_set() or (result is not None and not result.retryable):
                break
        with self._log(FAILED, None).open("a") as failed:
            failed.write(f"{names.label(step.name, index)}\n")
        return "failed"

    def _once(self, step: StepPlan, index: int | None, drawn: random.Random) -> StepResult | None:
        """One try, with some mischief; the result that stands, or None where the process was killed."""
        task, mischief = (step.name, index), drawn.choice(MISCHIEF)
        if mischief == "killed":
            self._result(self._start(step, index, kill_at=drawn.randrange(POINTS)), step.timeout)
        elif mischief == "zombie" and step.timeout is None:
            gate = self._folder / uuid.uuid4().hex
            call = self._start(step, index, stall_at=drawn.randrange(POINTS), gate=str(gate))
            stalled = Path(f"{gate}.stalled")
            while call.process.poll() is None and not stalled.exists():
                time.sleep(0.01)
            if stalled.exists():
                self._zombies.append((task, call, gate))
            else:
                self._note(task, self._result(call))
        calls = [self._start(step, index) for _ in range(2 if mischief == "twice" else 1)]
        results = [self._result(call, step.timeout) for call in calls]
        for result in results:
            self._note(task, result)
        good = [result for result in results if result is not None and result.state != "failed"]
        if mischief == "again" and good:
            again = self._result(self._start(step, index))
            if again is None or not again.adopted or again.elements != good[0].elements:
                raise RunError(f"{step.name} was called after its commit, and told {again}")
        return good[0] if good else results[0]

    def _note(self, task: Task, result: StepResult | None) -> None:
        """Remember who was told that the commit is its own; of all calls of a task only one may be."""
        if result is not None and result.state == "succeeded" and not result.adopted:
            if task in self._committed:
                raise RunError(f"two calls of {task} were told that they made its commit")
            self._committed.add(task)

    def _expect(self, codes: set[int], step: StepPlan, index: int | None, how: str) -> None:
        call = self._start(step, index)
        result = self._result(call)
        code = call.process.returncode
        if code not in codes and not self._cancelled.is_set():
            raise RunError(f"{step.name} was called {how}: exit code {code}, {result}")

    def _finish(self, codes: set[int], *more: str) -> None:
        call = self._call("finish", *more, log=self._log("finish", None))
        result = self._result(call)
        if call.process.returncode not in codes:
            log = call.log.read_text(encoding="utf-8", errors="replace")
            raise RunError(f"the end of the run was told {result}\n{log}")

    # one process

    def _log(self, step: str, index: int | None) -> Path:
        return _log(self._config, self._plan, self.engine_run, step, index)

    def _start(self, step: StepPlan, index: int | None, **fault: int | str) -> Call:
        element = () if index is None else ("--index", str(index))
        log = self._log(step.name, index)
        return self._call("step", "--step", step.name, *element, log=log, fault=fault)

    def _call(self, *words: str, log: Path, fault: Mapping[str, int | str] | None = None) -> Call:
        log.parent.mkdir(parents=True, exist_ok=True)
        plan = self._changed if self._begun else self._plan
        command = [sys.executable, "-m", "turnout.runtime", *words, "--plan", plan.digest]
        printed = self._folder / uuid.uuid4().hex
        with printed.open("wb") as output, log.open("ab") as errors:
            process = subprocess.Popen(
                [*command, "--engine-run", self.engine_run],
                cwd=self._elsewhere,
                env=self._environment(fault or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        self._calls.add(process)
        if self._cancelled.is_set() and words[0] == "step":
            _kill(process)
        return Call(process, log, printed)

    def _environment(self, fault: Mapping[str, int | str]) -> dict[str, str]:
        drawn = self._random
        environ = {**os.environ, **self._store.environment(), "TURNOUT_PARAMS": self._params()}
        if fault:
            store = {"type": faults.FaultyStore.name, "store": environ["TURNOUT_STORE"], **fault}
            environ["TURNOUT_STORE"] = json.dumps(store)
            path = faults.installed_in(self._folder / "plugin")
            environ["PYTHONPATH"] = os.pathsep.join(filter(None, [path, environ.get("PYTHONPATH", "")]))
        if fault or drawn.random() < 0.8:
            return {**environ, **sealed.environment(1)}
        return {**environ, "PYTHONHASHSEED": str(drawn.randrange(99)), "TZ": "Asia/Tokyo", "OMP_NUM_THREADS": "7"}

    def _params(self) -> str:
        """The submission as an engine passes it on; once ``run.json`` is there, another one."""
        if self._begun:
            return '{"params": {"no_such_parameter": 1}, "options": {"at": "1999-01-01T00:00:00Z"}}'
        types = {param.name: param.type for param in self._plan.params}
        given = {name: loosened(value, types[name], self._random) for name, value in self._submission.params.items()}
        return json.dumps({"params": given, "options": msgspec.to_builtins(self._submission.options)})

    def _result(self, call: Call, timeout: float | None = None) -> StepResult | None:
        """What a call came to: its last line; None where it has none."""
        try:
            call.process.wait(timeout)
        except subprocess.TimeoutExpired:
            _kill(call.process)
            call.process.wait()
        self._calls.discard(call.process)
        *lines, last = call.printed.read_bytes().rstrip(b"\n").split(b"\n")
        if call.process.returncode < 0:
            lines, last = [*lines, last], b""
        self._begun = self._begun or bool(last)
        with call.log.open("ab") as log:
            log.writelines(line + b"\n" for line in lines)
        return msgspec.json.decode(last, type=StepResult) if last else None

    @cached_property
    def _elsewhere(self) -> Path:
        """A working directory in which files lie that are named like modules."""
        folder = self._folder / "elsewhere"
        folder.mkdir()
        for name in SHADOWS:
            text = f'raise RuntimeError("{name} was imported from the working directory")\n'
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        return folder


def loosened(value: Any, kind: ParamType, drawn: random.Random) -> Any:
    """A parameter's value as engines pass it on: numbers as floats or text, bools and objects as text."""
    if value is None:
        return None
    match kind.kind:
        case "int":
            exact = abs(value) < 2**53
            return drawn.choice([float(value), str(value), f"{value}.0"]) if exact else str(value)
        case "float":
            return drawn.choice([value, str(value)])
        case "bool":
            return drawn.choice([value, str(value).lower()])
        case "list" if kind.items and isinstance(value, list):
            kinds = kind.items if kind.sequence == "fixed" else kind.items * len(value)
            items = [loosened(item, each, drawn) for item, each in zip(value, kinds, strict=True)]
            return drawn.choice([items, json.dumps(items)])
        case "dict" if kind.items and RESERVED.isdisjoint(value):
            entries = {key: loosened(item, kind.items[0], drawn) for key, item in reversed(value.items())}
            return drawn.choice([entries, json.dumps(entries)])
        case "dict" if KEYS in value:  # the order is data in it, and the object itself has none
            return dict(reversed(value.items()))
    return value


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()


@hookimpl
def turnout_orchestrators() -> Sequence[type[Orchestrator[Any]]]:
    """The hostile engine."""
    return [HostileOrchestrator]
