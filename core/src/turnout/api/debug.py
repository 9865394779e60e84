"""Replaying a step of a run: with its recorded inputs, its code and its environment, leaving the store as it is."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from turnout.base.errors import RunError
from turnout.model.inputs import Upstream
from turnout.model.records import Logged
from turnout.runtime import sealed
from turnout.runtime.execution import StepFailed
from turnout.runtime.forbidden import allow_reading, artifacts_of
from turnout.runtime.interpreter import interpreter_for
from turnout.runtime.replay import CodeOf, Replay, perform, stage
from turnout.runtime.session import Session
from turnout.stores.stored_run import Run as StoredRun

if TYPE_CHECKING:
    from turnout.api.run import Run
    from turnout.api.steprun import StepRun


def origin(step: StepRun) -> StepRun:
    """The step as it ran: of a record that a run took over from an earlier one, that run's.

    Raises:
        RunError: when the step did not run, but was given as a value.
        ConfigError: when the earlier run is not there any more.
    """
    record = None if step.summary is None else step.summary.record
    if record is None or record.reused_from is None:
        return step
    if record.reused_from == "replace":
        raise RunError(
            f"{step.label} did not run in the run {step.run.id}: a value was given in its place",
            fix="replay a step that needs it",
        )
    run, _, label = record.reused_from.partition("/")
    return origin(step.run.other(run)[label])


def debug(run: Run, label: str, *, code: CodeOf = "run", pdb: bool = False, quiet: bool = False) -> Replay:
    """Run a step of a run once more, in a sealed process that has the versions the step was locked to.

    Args:
        code: the code the run had, or that of the project as it is now (``here``).
        pdb: stop in the debugger where the step fails; ``breakpoint()`` in it stops either way.
        quiet: what the step prints goes to standard error.

    Raises:
        RunError: when the step was skipped, its inputs are not there, or its process died.
        PlanError: when its environment cannot be made, or the stack's policies do not allow what it reads.
    """
    step = origin(run[label])
    workspace, run = run.workspace, step.run
    plan = step.plan
    _check_inputs(step)
    session = Session(StoredRun(workspace.store, run.plan, run.info), registry=workspace.registry)
    interpreter = interpreter_for(session, plan)
    with tempfile.TemporaryDirectory(prefix="turnout-") as folder, contextlib.closing(session):
        report = Path(folder) / "report.json"
        command = [interpreter, "-m", "turnout.runtime", "replay", "--report", str(report)]
        command += ["--project", run.info.project, "--run", run.id, "--step", step.name]
        command += [] if step.index is None else ["--index", str(step.index)]
        command += ["--here", str(workspace.project.root)] if code == "here" else []
        command += [*(["--pdb"] if pdb else []), *(["--quiet"] if quiet else [])]
        environ = {
            **os.environ,
            **workspace.store.environment(),
            **sealed.environment(sealed.threads_for(plan.resources.cores)),
        }
        sys.stdout.flush()
        process = subprocess.Popen(command, env=environ)
        while process.returncode is None:
            with contextlib.suppress(KeyboardInterrupt):  # it is for the process, which has the terminal, too
                process.wait()
        if not report.is_file():
            raise RunError(
                f"{step.label} of the run {run.id} was not replayed",
                why="the reason is printed above" if process.returncode == 2 else _ended(process.returncode),
            )
        return msgspec.json.decode(report.read_bytes(), type=Replay)


def _check_inputs(step: StepRun) -> None:
    """Ask the stack's policies about all that the step may read: the process that runs it knows the plan's alone."""
    sources = [given.source for given in step.plan.inputs.values()]
    read = {(source.step, source.output) for source in sources if isinstance(source, Upstream)}
    for summary in step.run.summaries.values():
        outputs = {} if summary.record is None else summary.record.outputs
        chosen = {name: output for name, output in outputs.items() if (summary.step, name) in read}
        for artifact in artifacts_of(chosen, Logged()):
            allow_reading(step.run.workspace.policies, artifact)


def debug_here(step: StepRun) -> Any:
    """Run a step once more in this very process, with the code it has imported, and return what the step returns.

    Raises:
        RunError: as :func:`debug` does.
        BaseException: whatever the step raises, for a debugger to look at.
    """
    ran = origin(step)
    run, label = ran.run, (ran.name, ran.index)
    with tempfile.TemporaryDirectory(prefix="turnout-") as scratch:
        staged = stage(
            run.workspace.store,
            run.plan,
            run.info,
            label,
            Path(scratch),
            in_process=True,
            registry=run.workspace.registry,
            readers=run.workspace.policies,
        )
        with contextlib.closing(staged.session):
            try:
                done = perform(staged)
            except StepFailed as failed:
                raise failed.cause from failed.cause.__cause__
            if staged.step.kind == "gate":
                return done.value
            types = {output.name: output.type for output in staged.step.outputs}
            values = [
                staged.session.artifacts.load_output(output, types[name]) for name, output in done.outputs.items()
            ]
            return values[0] if len(values) == 1 else tuple(values) or None


def _ended(code: int) -> str:
    return f"its process was killed by signal {-code}" if code < 0 else f"its process ended with exit code {code}"
