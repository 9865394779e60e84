"""What is said of a run when it has ended, and by ``turnout runs show``."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click
import msgspec

from turnout.api.run import Run
from turnout.api.steprun import StepRun
from turnout.base import clock
from turnout.cli.live import MARKS
from turnout.components.orchestrator import Orchestrator
from turnout.model.records import Failure, Logged, Record
from turnout.project.project import root_of
from turnout.runtime.state import ENDED

SHOWN = 3
"""How many things are told of that a tracker did not take."""


def step_document(step: StepRun) -> dict[str, Any]:
    """A step, or an element, as JSON."""
    summary = step.summary
    record = summary.record if summary else None
    attempts = summary.attempts if summary else ()
    timed = record or (attempts[-1] if attempts else None)
    failure = _failure(step)
    return {
        "step": step.name,
        "index": step.index,
        "state": step.state,
        "seconds": None if timed is None else clock.seconds_between(timed.started, timed.ended),
        "attempts": len(attempts),
        "reason": step.reason,
        "cached_from": record.cached_from if record else None,
        "reused_from": record.reused_from if record else None,
        "outputs": {} if record is None else {name: output.digests for name, output in record.outputs.items()},
        "value": record.value if record else None,
        "metrics": {} if record is None else {point.name: point.value for point in record.logged.points},
        "error": "" if failure is None else failure.message,
    }


def _failure(step: StepRun) -> Failure | None:
    """Why a step failed for good."""
    return None if step.summary is None else step.summary.failure


def run_document(run: Run, state: str) -> dict[str, Any]:
    """A run as JSON: what ``--json`` prints."""
    return {
        "run": run.id,
        "pipeline": run.info.pipeline,
        "project": run.info.project,
        "stack": run.info.stack,
        "orchestrator": run.info.orchestrator,
        "engine_run": run.info.engine_run,
        "state": state,
        "created": run.info.created,
        "params": run.params,
        "plan": run.info.plan,
        "tags": run.info.options.tags,
        "logical_time": run.info.logical_time,
        "started_by": run.info.started_by,
        "git": msgspec.to_builtins(run.info.git),
        "store": run.workspace.store.address,
        "metrics": run.metrics,
        "missed": [msgspec.to_builtins(note) for note in run.missed],
        "marked": run.marked,
        "steps": [step_document(part) for step in run for part in step.parts],
    }


def steps_table(run: Run) -> None:
    """Print a line a step: state, name, time, and what to know of it."""
    width = max((len(step.name) for step in run.plan.steps), default=4)
    for step in run:
        documents = [step_document(part) for part in step.parts]
        state = step.state
        mark, _ = MARKS[state]
        seconds = [one["seconds"] for one in documents if one["seconds"] is not None]
        time = f"{sum(seconds):6.1f} s" if seconds and state in {"succeeded", "failed"} else " " * 8
        click.echo(f"  {mark} {step.name:<{width}} {time}  {_note(step, state, documents)}".rstrip())


def _note(step: StepRun, state: str, documents: list[dict[str, Any]]) -> str:
    first = documents[0]
    notes = [state] if state == "not run" else []
    if step.plan.mapped and step.summary is None and state != "not run":
        count = len(step.elements)
        failed = sum(one["state"] == "failed" for one in documents)
        notes.append(f"{count} element{'' if count == 1 else 's'}" + (f", {failed} failed" if failed else ""))
    if first["value"] is not None:
        notes.append(str(first["value"]).lower())
    if first["reason"]:
        notes.append(first["reason"])
    for key, word in (("cached_from", "cached"), ("reused_from", "taken over")):
        taken = sum(one[key] is not None for one in documents)
        if taken:
            notes.append(word if taken == len(documents) else f"{taken} {word}")
    notes.extend([one["error"].splitlines()[0] for one in documents if one["error"]][:1])
    tries = max(one["attempts"] for one in documents)
    if tries > 1:
        notes.append(f"{tries} attempts")
    return ", ".join(notes)


def unsettled(run: Run, state: str, stack: str | None) -> list[str]:
    """Lines on what is not as it should be after the end of a run, and the command that mends it: what its tracker did
    not take, and an end that its engine did not mark."""
    lines: list[str] = []
    tracker, on = run.plan.worker.tracker.type, f" --stack {shlex.quote(stack)}" if stack else ""
    notes = run.missed
    shown = notes[:SHOWN]
    lines.extend(f"the tracker {tracker} {'cannot' if note.final else 'did not'} take {note}" for note in shown)
    if len(notes) > SHOWN:
        lines.append(f"and {len(notes) - SHOWN} more that it did not take")
    if unmarked := state in ENDED and not run.marked:
        lines.append(f"the run has ended, and {run.info.orchestrator} has not marked its end")
    lines.extend(f"  fix: {fix}" for fix in dict.fromkeys(note.fix for note in shown) if fix)
    if unmarked or not all(note.final for note in notes):
        lines.append(
            f"  {'then' if lines[-1].startswith('  fix') else 'to mend it'}: turnout runs sync {run.id[:8]}{on}"
        )
    return lines


def metrics_table(run: Run) -> None:
    """Print the run's metrics, the last value of each."""
    metrics = run.metrics
    if metrics:
        width = max(len(name) for name in metrics)
        click.echo("\nmetrics")
        for name, value in metrics.items():
            click.echo(f"  {name:<{width}}  {value:.6g}")


def summarise(run: Run, state: str, target: str, stack: str | None) -> None:
    """Print how a run went, and what to do next.

    Args:
        target: the pipeline as the command named it.
        stack: the stack if the command named one.
    """
    click.echo("")
    steps_table(run)
    metrics_table(run)
    click.echo(f"\nrun {run.id} {state}; its artifacts and records are in {shown_address(run.workspace.store.address)}")
    if run.info.options.no_cache and any(step.cache for step in run.plan.steps):
        click.echo("without the cache: nothing was taken from it, and later runs take nothing from this one")
    for line in unsettled(run, state, stack):
        click.echo(line)
    failures(run)
    click.echo("\ntry next")
    for command in _next(run, state, target, stack):
        click.echo(f"  {command}")


def _next(run: Run, state: str, target: str, stack: str | None) -> list[str]:
    """Commands that work as they stand, where the user stands."""
    project, there = run.workspace.project, []
    if root_of(Path.cwd()) != project.root:  # commands about runs look at the project they are called in
        there = [f"cd {shlex.quote(os.path.relpath(project.root))}"]
        path, colon, name = target.partition(":")
        target = project.relative(Path(path)) + colon + name if path.endswith(".py") else target
    on = f" --stack {shlex.quote(stack)}" if stack else ""
    short, pipeline = run.id[:8], shlex.quote(target)
    if state != "succeeded":
        again = f"turnout run {pipeline}{on} --reuse {short}"
        resume = [f"turnout runs resume {short}{on}  # the same again, with the same code"]
        if run.workspace.stack.orchestrator_type.resume is Orchestrator.resume:
            resume = []  # the engine has its own way to go on
        failed = next((part for step in run for part in step.parts if _failure(part) is not None), None)
        look = [] if failed is None else [f"turnout {do} {short} {failed.label}{on}" for do in ("runs logs", "debug")]
        return [*there, *look, f"{again}  # when it is mended: goes on from there", *resume]
    commands = [*there, f"turnout runs show {short}{on}"]
    logging = [step for step in run if step.plan.kind == "task" and _logs(step)]
    if logging:
        commands.append(f"turnout runs show {short} {logging[-1].name}{on}  # what it logged")
    made = [step for step in run if step.plan.kind == "task" and step.plan.outputs and step.state == "succeeded"]
    if made:
        output = f" {made[-1].plan.outputs[0].name}" if len(made[-1].plan.outputs) > 1 else ""
        commands.append(f"turnout artifacts load {short} {made[-1].name}{output}{on}")
    ran = [step.name for step in run if any(part.ran for part in step.parts)]
    if ran:
        which = f" {ran[0]}" if len(ran) == 1 else ""
        commands.append(f"turnout runs logs {short}{which}{on}  # what it printed")
    numbers = [name for name, value in run.params.items() if isinstance(value, int) and not isinstance(value, bool)]
    if numbers:
        commands.append(f"turnout run {pipeline}{on} -p {numbers[0]}={run.params[numbers[0]] + 1}")
    return [*commands, f"turnout explain {pipeline}{on}"]


def _logs(step: StepRun) -> bool:
    """Whether a step has logged something."""
    return any(one.logged != Logged() for one in _records(step))


def _records(step: StepRun) -> list[Record]:
    """The records of a step, or of its elements."""
    records = [part.summary.record for part in step.parts if part.summary is not None]
    return [one for one in records if one is not None]


def failures(run: Run) -> None:
    """Print why steps failed, with the user's own frames."""
    for step in run:
        for part in step.parts:
            failures_of(part)


def failures_of(part: StepRun) -> None:
    """Print why a step, or an element, failed, with the user's own frames."""
    failure = _failure(part)
    if failure is not None:
        head = (
            failure.message.splitlines()[:1] if failure.traceback else [failure.message]
        )  # the rest ends the traceback
        click.echo(f"\n{part.label} failed: {''.join(head)}")
        if failure.traceback:
            click.echo("\n".join(f"    {line}" for line in failure.traceback.rstrip().splitlines()))


def shown_address(address: str) -> str:
    """A store's address as seen from where the user stands: a folder below is shown relative."""
    path = Path(address)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else address
