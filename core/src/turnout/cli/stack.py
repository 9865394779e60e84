"""``turnout stack``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from turnout.cli.options import json_option, print_json, table
from turnout.project.project import Project


@click.group()
def stack() -> None:
    """List, show, check and compare stacks: which tools a pipeline runs on.

    A stack is a name, the path of a file, or package:file.yaml; left out, it is TURNOUT_STACK, the project's, local.
    """


def _project() -> Project:
    from turnout.project.project import load, root_of

    return load(root_of(Path.cwd()))


@stack.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the stacks that have a name, and where each comes from; the one used by default is marked."""
    from turnout.stack.location import choose, describe, stacks

    project = _project()
    default = choose(None, project, os.environ).name
    known = stacks(project)
    if as_json:
        print_json([{"name": s.name, "file": s.label, "from": s.origin, "default": s.name == default} for s in known])
        return
    table(["stack", "", "from"], [(s.name, "*" if s.name == default else "", describe(s)) for s in known])


@stack.command()
@click.argument("name", metavar="STACK")
@click.option("--as", "new", metavar="NAME", help="The name of the copy; else STACK's own.")
@json_option
def new(name: str, new: str | None, as_json: bool) -> None:
    """Copy STACK into the project's folder of stacks, to be edited: there it comes before the installed one.

    STACK is one that `turnout stack list` shows, a path, or package:file.yaml.
    """
    from turnout.stack.copying import copy

    path = copy(name, new, _project())
    if as_json:
        print_json({"file": path})
        return
    click.echo(f"wrote {path}")
    click.echo(f"next: edit it, then turnout stack check {new or name}")


@stack.command()
@click.argument("name", required=False, metavar="[STACK]")
@json_option
def show(name: str | None, as_json: bool) -> None:
    """Show a stack, merged with what it extends: where each value comes from; references stay references."""
    from turnout.components.registry import discover
    from turnout.stack.find import open_stack
    from turnout.stack.render import to_plain, to_yaml

    found = open_stack(name, _project(), discover(), os.environ)
    if as_json:
        print_json(to_plain(found))
    else:
        click.echo(to_yaml(found), nl=False)


@stack.command()
@click.argument("name", required=False, metavar="[STACK]")
@click.option("--offline", is_flag=True, help="Do not see whether servers answer.")
@json_option
@click.pass_context
def check(ctx: click.Context, name: str | None, offline: bool, as_json: bool) -> None:
    """Check a stack: all that is wrong at once, and what is missing: tools, secrets, folders, servers that answer.

    What is missing where workers are elsewhere is a warning. Exit 2 if there are errors.
    """
    from turnout.components.registry import discover
    from turnout.stack.check import check as check_stack

    findings = check_stack(name, _project(), discover(), os.environ, connect=not offline)
    if as_json:
        print_json(findings)
    for finding in () if as_json else findings:
        click.echo(f"{finding.level}: {f'{finding.where}: ' if finding.where else ''}{finding.what}")
        for label, text in (("why", finding.why), ("fix", finding.fix)):
            if text:
                click.echo(f"  {label}: {text}")
    if not findings and not as_json:
        click.echo("the stack is in order")
    ctx.exit(2 if any(finding.level == "error" for finding in findings) else 0)


@stack.command()
@click.argument("left")
@click.argument("right")
@json_option
def diff(left: str, right: str, as_json: bool) -> None:
    """Show in what two stacks differ, each merged with what it extends."""
    from turnout.components.registry import discover
    from turnout.stack.diff import diff as difference
    from turnout.stack.find import open_stack
    from turnout.stack.render import scalar_text

    project, registry = _project(), discover()
    changes = difference(*(open_stack(name, project, registry, os.environ) for name in (left, right)))
    if as_json:
        print_json(changes)
        return
    for change in changes:
        click.echo(change.path)
        for sign, value, place in (("-", change.left, change.left_at), ("+", change.right, change.right_at)):
            if place:
                click.echo(f"  {sign} {scalar_text(value)}  # {place}")
    if not changes:
        click.echo("the stacks are the same")


@stack.command()
@json_option
def schema(as_json: bool) -> None:  # noqa: ARG001 -- it is JSON either way
    """Print the JSON Schema of stack files, of all components installed here, for an editor."""
    from turnout.components.registry import discover
    from turnout.stack.schema import json_schema

    print_json(json_schema(discover()))
