"""``turnout explain``."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from turnout.cli.options import as_text, json_option, print_json, shown_param, stack_option
from turnout.model.forms import plain

SHOWN = 4  # elements of a list that are shown one by one


@click.command()
@click.argument("pipeline")
@click.argument("step", required=False)
@stack_option
@click.option("--accept", multiple=True, metavar="CAPABILITY", help="Go without something the stack cannot give.")
@click.option("--plan", "whole", is_flag=True, help="Print the plan itself, canonical JSON indented.")
@json_option
def explain(
    pipeline: str, step: str | None, stack: str | None, accept: tuple[str, ...], whole: bool, as_json: bool
) -> None:
    """Show how PIPELINE is planned for a stack; or, with RUN and STEP, what a step's result was made from."""
    if step is not None:
        _explain_step(pipeline, step, stack, as_json=as_json)
        return
    from turnout.api.launch import Launch
    from turnout.cli.target import find_pipeline
    from turnout.planning.capabilities import uses

    launch = Launch.of(find_pipeline(pipeline), stack=stack, accept=accept)
    if whole:
        print_json(msgspec.to_builtins(launch.plan))
        return
    orchestrator = launch.workspace.compiler
    needs = {
        use.capability: orchestrator.supports.get(use.capability, "refused") for use in uses(launch.definition.spec)
    }
    remarks = {
        capability.value: orchestrator.remarks[capability] for capability in needs if capability in orchestrator.remarks
    }
    document = {
        **_document(launch),
        "capabilities": {capability.value: support for capability, support in needs.items()},
        "remarks": remarks,
    }
    if as_json:
        print_json(document)
        return
    _print(launch, document)


def _document(launch: Any) -> dict[str, Any]:
    from turnout.model.expressions import render

    plan, package = launch.plan, launch.planned.package
    return {
        "pipeline": plan.name,
        "project": plan.project,
        "stack": plan.stack,
        "orchestrator": plan.orchestrator,
        "plan": plan.digest,
        "code": {
            "digest": package.digest,
            "files": len(package.files),
            "untracked": list(package.untracked),
            "left_out": list(package.left_out),
        },
        "environments": {name: {"python": one.python, "pins": one.pins} for name, one in plan.environments.items()},
        "params": [
            {"name": param.name, "type": str(param.type), "default": plain(param.default), "source": param.source}
            for param in plan.params
        ],
        "steps": [
            {
                "step": step.name,
                "kind": step.kind,
                "mapped": step.mapped,
                "needs": list(step.upstream),
                "outputs": {output.name: [output.type.text, output.materializer] for output in step.outputs},
                "cache": step.cache,
                "environment": step.environment,
                "place": None if step.place is None else f"{step.place.file}:{step.place.line}",
                **({} if step.expression is None else {"condition": render(step.expression)}),
            }
            for step in plan.steps
        ],
        "notes": list(launch.planned.notes),
    }


def _print(launch: Any, document: dict[str, Any]) -> None:
    plan = launch.plan
    click.echo(f"{plan.name} of {plan.project} on the stack {plan.stack} ({plan.orchestrator})")
    click.echo(f"plan {plan.digest[:12]}, code {document['code']['digest'][:12]}: {document['code']['files']} files")
    for path in document["code"]["untracked"]:
        click.echo(f"  untracked, and packed: {path}")
    for line in document["code"]["left_out"]:
        click.echo(f"  no code, and left out: {line}")
    for name, environment in plan.environments.items():
        click.echo(f"environment {name}: Python {environment.python}, {len(environment.pins)} packages pinned")
    if plan.params:
        click.echo("\nparameters")
        for param in plan.params:
            default = "required" if param.required else shown_param(plain(param.default), repr)
            given = default if param.source == "value" else param.source
            click.echo(f"  {param.name}: {param.type} = {given}")
    click.echo("\nsteps")
    width = max((len(step.name) for step in plan.steps), default=4)
    for step, shown in zip(plan.steps, document["steps"], strict=True):
        kind = "guard" if step.kind == "gate" else ("mapped" if step.mapped else "step")
        needs = f"needs {', '.join(step.upstream)}" if step.upstream else ""
        click.echo(f"  {step.name:<{width}}  {kind:<6}  {_cached(step):<13}  {needs}".rstrip())
        if "condition" in shown:
            click.echo(f"  {'':<{width}}  where {shown['condition']}")
    if document["capabilities"]:
        click.echo(f"\nwhat it asks of the {plan.orchestrator} orchestrator")
        for name, support in document["capabilities"].items():
            remark = document["remarks"].get(name)
            click.echo(f"  {name:<14} {support}" + (f": {remark}" if remark else ""))
    for note in document["notes"]:
        click.echo(f"note: {note}")


def _cached(step: Any) -> str:
    if step.kind == "gate":
        return ""
    if isinstance(step.cache, bool):
        return "cacheable" if step.cache else "not cacheable"
    return f"cacheable for {step.cache:g} s"


def _explain_step(run: str, step: str, stack: str | None, *, as_json: bool) -> None:
    from turnout.api.explanation import explain as why
    from turnout.api.run import Run

    found = Run(run, stack=stack)
    record, explanation = found[step].record, why(found[step])
    if as_json:
        print_json({**msgspec.to_builtins(record), "why": explanation})
        return
    click.echo(f"{found[step].label} of the run {found.id}: {record.state}")
    if record.reason:
        click.echo(f"  because {record.reason}")
    if record.cached_from:
        click.echo(f"  cached: it was made as {record.cached_from}")
    if record.reused_from:
        click.echo(f"  taken over from {record.reused_from}")
    for name, given in record.inputs.items():
        if given.step is not None:
            source = f"{given.step}.{given.output}" + ("" if given.index is None else f"[{given.index}]")
            what = "skipped" if given.skipped else _short(list(given.digests))
            click.echo(f"  input {name}: {what} from {source}")
        else:
            source = f" from the parameter {given.param}" if given.param else ""
            click.echo(f"  input {name}: {shown_param(plain(given.value), repr)}{source}")
    for name, output in record.outputs.items():
        click.echo(f"  output {name}: {_short(list(output.digests))}")
    if record.cache_key:
        click.echo(f"  key {record.cache_key[:12]}, made of {', '.join(sorted(record.key_parts))}")
        click.echo(f"why: {explanation.reason}")
    for change in explanation.changes:
        click.echo(f"  {_changed(change)}")


def _changed(change: Any) -> str:
    """A change in words: values as they were and are, digests by their starts, code by what became of it."""
    if change.part == "code":
        became = "is new" if change.before is None else "is gone" if change.after is None else "has changed"
        return f"code {change.name} {became}"
    made_by = f" made by {change.made_by}" if change.made_by else ""
    before, after = change.before, change.after
    if isinstance(before, list) and isinstance(after, list) and (len(before) > 1 or len(after) > 1):
        return f"{change.part} {change.name}{made_by}: {_elements(before, after)}"
    return f"{change.part} {change.name}{made_by}: {_short(before)} -> {_short(after)}"


def _elements(before: list[Any], after: list[Any]) -> str:
    """Of two lists: how many elements there were and are, and the first of those in both that differ."""
    shared = zip(before, after, strict=False)
    differ = [f"[{i}] {_short(old)} -> {_short(new)}" for i, (old, new) in enumerate(shared) if old != new]
    count = [] if len(before) == len(after) else [f"{len(before)} -> {len(after)} elements"]
    more = [f"and {len(differ) - SHOWN} more"] if len(differ) > SHOWN else []
    return ", ".join([*count, *differ[:SHOWN], *more])


def _short(value: Any) -> str:
    if isinstance(value, list):
        more = f", … ({len(value)} elements)" if len(value) > SHOWN else ""
        return ", ".join(_short(one) for one in value[:SHOWN]) + more
    text = shown_param(value, as_text)
    digest = len(text) == 64 and all(char in "0123456789abcdef" for char in text)
    return text[:12] if digest else text if len(text) <= 80 else f"{text[:79]}…"
