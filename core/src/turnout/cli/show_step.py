"""``turnout runs show RUN STEP``: a step of a run, with all that it logged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import click
import msgspec

from turnout.api.steprun import StepRun
from turnout.base.errors import ConfigError, did_you_mean
from turnout.base.texts import shown_line
from turnout.cli.options import as_text, print_json, shown_time, table
from turnout.cli.summary import failures_of, step_document
from turnout.model.records import Artifact, Point

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 40
"""So many marks a line of points has at most, and characters the longest bar."""


def show_step(step: StepRun, metric: str | None, *, as_json: bool) -> None:
    """Print a step: how it went, what it made, what it logged; of a mapped step, each element.

    Args:
        metric: print every point of this metric instead.

    Raises:
        ConfigError: when the step has logged no metric of that name.
    """
    parts = step.parts
    if metric is not None:
        _points(step, parts, metric, as_json=as_json)
        return
    if as_json:
        print_json([_document(part) for part in parts])
        return
    for number, part in enumerate(parts):
        if number:
            click.echo("")
        _show(part)


def _document(part: StepRun) -> dict[str, Any]:
    record = part.summary.record if part.summary else None
    logged = {} if record is None else record.logged.artifacts
    return step_document(part) | {
        "points": [] if record is None else msgspec.to_builtins(record.logged.points),
        "params": {} if record is None else record.logged.params,
        "logged": {name: {"type": one.type, "digest": one.digest, "bytes": one.size} for name, one in logged.items()},
    }


def _show(part: StepRun) -> None:
    for name, value in _facts(part):
        click.echo(f"{name:<10} {shown_line(value)}")
    failures_of(part)
    record = part.summary.record if part.summary else None
    if record is None:
        return
    if record.logged.params:
        click.echo("\nparameters that it logged")
        for name, value in record.logged.params.items():
            click.echo(f"  {shown_line(name)} = {shown_line(as_text(value))}")
    if points := part.points:
        click.echo("\nmetrics")
        width = max(map(len, points))
        for name, several in points.items():
            click.echo(f"  {shown_line(name):<{width}}  {_number(several[-1]):>12}  {_line(several)}".rstrip())
        if any(len(several) > 1 for several in points.values()):
            longest = max(points, key=lambda name: len(points[name]))
            run = part.run.id[:8]
            click.echo(f"  every point: turnout runs show {run} {part.label} --metric {longest}")
    if logged := record.logged.artifacts:
        click.echo("\nstored")
        for name, artifact in logged.items():
            kind = artifact.type.removeprefix("builtins:")
            named = f" {shown_line(artifact.name)}" if artifact.name else ""
            click.echo(f"  {shown_line(name)}  {kind}{named}, {artifact.size} bytes")
        first = next(iter(logged))
        click.echo(f"  load it: turnout artifacts load {part.run.id[:8]} {part.label} {first} --to FOLDER")


def _facts(part: StepRun) -> Iterator[tuple[str, str]]:
    document = step_document(part)
    yield "step", part.label
    yield "run", part.run.id
    yield "state", part.state + (f": {part.reason}" if part.reason else "")
    record = part.summary.record if part.summary else None
    if record is None:
        return
    yield "started", f"{shown_time(record.started)} UTC"
    yield "seconds", f"{document['seconds']:.3f}"
    for key, word in (("cached_from", "cached from"), ("reused_from", "taken from")):
        if document[key]:
            yield word, str(document[key])
    if document["attempts"] > 1:
        yield "attempts", str(document["attempts"])
    if document["value"] is not None:
        yield "decided", str(document["value"]).lower()
    for name, output in record.outputs.items():
        yield from (("output", _output(name, number, artifact)) for number, artifact in output.numbered)


def _output(name: str, number: int | None, artifact: Artifact) -> str:
    label = name if number is None else f"{name}[{number}]"
    shown = f" = {as_text(artifact.value)[:60]}" if artifact.inline else f", {artifact.size} bytes"
    named = f" {artifact.name}" if artifact.name else ""
    return f"{label}: {artifact.type.removeprefix('builtins:')}{named}{shown}, {artifact.digest[:12]}"


def _number(point: Point) -> str:
    return f"{float(point.value):.6g}"


def _line(points: Sequence[Point]) -> str:
    """A metric's points as marks of several heights, from the first to the last; empty for a single one."""
    values = [float(point.value) for point in points]
    finite = [value for value in values if math.isfinite(value)]
    if len(values) < 2 or not finite:
        return ""
    low, high = min(finite), max(finite)
    step = max(1, math.ceil(len(values) / _WIDTH))
    marks = "".join(_mark(value, low, high) for value in values[::step])
    return f"{marks}  {len(values)} points, {low:.6g} to {high:.6g}"


def _share(value: float, low: float, high: float) -> float:
    """Where a value lies between the lowest and the highest, from 0 to 1; by halves, for a difference may overflow."""
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.5


def _bar(value: float, low: float, high: float) -> str:
    return "█" * round(_share(value, low, high) * _WIDTH) if math.isfinite(value) else ""


def _mark(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "·"
    return _BARS[min(len(_BARS) - 1, int(_share(value, low, high) * len(_BARS)))]


def _points(step: StepRun, parts: Sequence[StepRun], metric: str, *, as_json: bool) -> None:
    found = [(part, point) for part in parts for point in part.points.get(metric, ())]
    if not found:
        names = list(dict.fromkeys(name for part in parts for name in part.points))
        raise ConfigError(
            f"{step.label} has logged no metric {metric!r}. {did_you_mean(metric, names)}".rstrip(" ."),
            fix=f"its metrics are: {', '.join(names)}" if names else "log one in the step: log_metric(name, value)",
        )
    if as_json:
        print_json([{"step": part.label, **msgspec.to_builtins(point)} for part, point in found])
        return
    values = [float(point.value) for _, point in found]
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    rows = [
        (part.label, str(point.sequence if point.x is None else point.x), f"{value:.6g}", _bar(value, low, high))
        for (part, point), value in zip(found, values, strict=True)
    ]
    table(["step", "x", metric, f"{low:.6g} to {high:.6g}"], rows, head=True)
