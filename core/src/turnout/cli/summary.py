"""What is said of a run when it has ended, and by ``turnout runs show``."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from turnout.api.run import Run, StepRun
from turnout.cli.live import MARKS
from turnout.runtime import clock


def step_document(step: StepRun) -> dict[str, Any]:
    """A step, or an element, as JSON."""
    summary = step.summary
    record = summary.record if summary else None
    failures = [] if summary is None else [one.failure for one in summary.attempts if one.failure is not None]
    return {
        "step": step.name,
        "index": step.index,
        "state": step.state,
        "seconds": None if record is None else clock.seconds_between(record.started, record.ended),
        "attempts": 0 if summary is None else len(summary.attempts),
        "reason": record.reason if record else "",
        "outputs": {} if record is None else {name: output.digests for name, output in record.outputs.items()},
        "value": record.value if record else None,
        "metrics": {} if record is None else {point.name: point.value for point in record.logged.points},
        "error": failures[-1].message if failures and record is None else "",
    }


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
        "params": msgspec.to_builtins(run.info.params),
        "plan": run.info.plan,
        "tags": run.info.options.tags,
        "logical_time": run.info.logical_time,
        "started_by": run.info.started_by,
        "git": msgspec.to_builtins(run.info.git),
        "metrics": run.metrics,
        "steps": [step_document(part) for step in run for part in _parts(run, step)],
    }


def _parts(run: Run, step: StepRun) -> list[StepRun]:
    if run.plan.by_name[step.name].mapped and step.summary is None:
        return step.elements or [step]
    return [step]


def steps_table(run: Run) -> None:
    """Print a line a step: state, name, time, and what to know of it."""
    width = max((len(step.name) for step in run.plan.steps), default=4)
    for step in run:
        parts = _parts(run, step)
        states = {part.state for part in parts}
        state = next((name for name in ("failed", "not run", "skipped") if name in states), "succeeded")
        mark, _ = MARKS.get(state, MARKS["blocked"])
        documents = [step_document(part) for part in parts]
        seconds = sum(one["seconds"] or 0 for one in documents)
        note = documents[0]["reason"] or next((one["error"].splitlines()[0] for one in documents if one["error"]), "")
        if parts[0].index is not None:
            note = note or f"{len(parts)} elements"
        retries = max(one["attempts"] for one in documents)
        if retries > 1:
            note = f"{note}, {retries} attempts".lstrip(", ")
        if documents[0]["value"] is not None:
            note = str(documents[0]["value"]).lower()
        time = f"{seconds:6.1f} s" if state in {"succeeded", "failed"} else " " * 8
        click.echo(f"  {mark} {step.name:<{width}} {time}  {note}".rstrip())


def metrics_table(run: Run) -> None:
    """Print the run's metrics, the last value of each."""
    metrics = run.metrics
    if metrics:
        width = max(len(name) for name in metrics)
        click.echo("\nmetrics")
        for name, value in metrics.items():
            click.echo(f"  {name:<{width}}  {value:.6g}")


def summarise(run: Run, state: str, target: str) -> None:
    """Print how a run went, and what to do next."""
    click.echo("")
    steps_table(run)
    metrics_table(run)
    store = run.workspace.store.address
    click.echo(f"\nrun {run.id} {state}; its artifacts and records are in {store}")
    short = run.id[:8]
    if state != "succeeded":
        _failures(run)
        return
    last = next((step for step in reversed(run.plan.steps) if step.kind == "task" and step.outputs), None)
    click.echo("\ntry next")
    click.echo(f"  turnout runs show {short}")
    if last is not None:
        click.echo(f"  turnout artifacts load {short} {last.name}")
    given = next((param for param in run.plan.params if param.type.kind in {"int", "float"}), None)
    if given is not None:
        click.echo(f"  turnout run {target} -p {given.name}=…")
    click.echo(f"  turnout explain {target}")


def _failures(run: Run) -> None:
    for summary in run.summaries.values():
        if summary.record is None and summary.attempts:
            failure = summary.attempts[-1].failure
            click.echo(f"\n{summary.label} failed: {failure.message if failure else 'no reason on record'}", err=True)
            if failure is not None and failure.traceback:
                click.echo(_indent(failure.traceback), err=True)
            click.echo(f"  its log: turnout runs logs {run.id[:8]} {summary.label}", err=True)


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())
