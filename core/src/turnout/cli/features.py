"""``turnout features``."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

import click
import msgspec

from turnout.cli.options import json_option, print_json, stack_option


@click.group()
def features() -> None:
    """The stack's feature store: what it has, whether it can be used, and what of it is online."""


@features.command()
@click.argument("views", nargs=-1, metavar="[VIEW]…")
@stack_option
@json_option
def describe(views: tuple[str, ...], stack: str | None, as_json: bool) -> None:
    """Show the feature views: keys, features with their types, and until when they are online."""
    from turnout.api.workspace import Workspace

    found = {view.name: view for view in Workspace.here(stack).feature_store.describe()}
    _check_names(views, found)
    chosen = [found[name] for name in views or found]
    if as_json:
        print_json([msgspec.to_builtins(view) for view in chosen])
        return
    for view in chosen:
        _show(view)


@features.command()
@click.argument("pipeline", required=False)
@stack_option
@json_option
def check(pipeline: str | None, stack: str | None, as_json: bool) -> None:
    """See that every view can be read, or that the store has what PIPELINE asks for. Exits 2 where not."""
    problems, notes = _of_pipeline(pipeline, stack) if pipeline else _of_store(stack)
    if as_json:
        print_json({"problems": problems, "notes": notes})
    else:
        for note in notes:
            click.echo(f"note: {note}", err=True)
        for problem in problems:
            click.echo(f"error: {problem}", err=True)
        if not problems:
            click.echo(_good(pipeline, notes))
    sys.exit(2 if problems else 0)


@features.command()
@click.option("--until", metavar="TIME", help="The end of the window (ISO 8601), included; now if not given.")
@click.option("--since", metavar="TIME", help="Its start; where the last one ended if not given.")
@click.option("--view", "views", multiple=True, metavar="VIEW", help="A view; may be repeated. All if not given.")
@click.option("--force", is_flag=True, help="Read a window again that ends before what is online.")
@stack_option
@json_option
def materialize(
    until: str | None, since: str | None, views: tuple[str, ...], force: bool, stack: str | None, as_json: bool
) -> None:
    """Bring feature views online up to a time, so that endpoints can look them up."""
    from turnout.api.workspace import Workspace
    from turnout.base import clock
    from turnout.features import materializing

    store = Workspace.here(stack).feature_store
    described = {view.name: view for view in store.describe()}
    _check_names(views, described)
    end = _time(until, "--until") or clock.parse(clock.now())
    done = materializing.materialize(
        store,
        views,
        end,
        since=_time(since, "--since"),
        force=force,
        progress=None if as_json else _progress,
    )
    if as_json:
        print_json(done["views"])
        return
    for name, one in done["views"].items():
        click.echo(f"{name}: {_came_to(one)}")


def _of_pipeline(pipeline: str, stack: str | None) -> tuple[list[str], list[str]]:
    from turnout.api.launch import project_of
    from turnout.api.workspace import Workspace
    from turnout.cli.target import find_pipeline
    from turnout.planning.feature_checks import check

    definition, notes = find_pipeline(pipeline), list[str]()
    workspace = Workspace(project_of(definition), stack)
    here = workspace.stack.orchestrator_type.local
    problems = check(definition.trace().spec.steps, workspace.stack, here=here, notes=notes)
    return [str(problem) for problem in problems], list(dict.fromkeys(notes))


def _of_store(stack: str | None) -> tuple[list[str], list[str]]:
    from turnout.api.workspace import Workspace

    views = Workspace.here(stack).feature_store.describe()
    mend = "see to its files, or correct the view in the feature store"
    problems = [f"{view.problem}\n  fix: {mend}" for view in views if view.problem]
    return problems, [f"{view.name}: {note}" for view in views for note in view.notes]


def _good(pipeline: str | None, notes: list[str]) -> str:
    if pipeline is None:
        return "every feature view can be read"
    return "the feature store has all that could be checked" if notes else "the feature store has all that is asked for"


def _check_names(given: tuple[str, ...], known: dict[str, Any]) -> None:
    from turnout.base.errors import ConfigError, did_you_mean

    for name in given:
        if name not in known:
            what = f"the feature store has no view {name!r}. {did_you_mean(name, known)}".rstrip(". ")
            raise ConfigError(what, fix=f"its views are {', '.join(known) or 'none'}")


def _time(text: str | None, option: str) -> datetime | None:
    from turnout.base.errors import ConfigError

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z") + ("+00:00" if text.endswith("Z") else ""))
    except ValueError:
        raise ConfigError(
            f"{option} {text!r} is no time", fix=f"write ISO 8601: {option} 2026-01-31T12:00, UTC without a zone"
        ) from None
    return moment


def _show(view: Any) -> None:
    from turnout.base import durations
    from turnout.base.texts import shown_line

    lines = [("keys", _types(view.keys) or "none"), ("features", _types(view.features) or "unknown")]
    lines += [("time", view.timestamp + (f", written at {view.created}" if view.created else ""))]
    lines += [("inputs", _types(view.inputs))] if view.inputs else []
    lines += [("ttl", durations.text(view.ttl))] if view.ttl is not None else []
    lines += [("owner", view.owner)] if view.owner else []
    until, refused = view.materialized_until, view.refuses.get("online")
    online = "never materialized" if until is None else f"until {until.isoformat()}"
    lines += [("online", f"no: {refused}" if refused else online)]
    lines += [("problem", view.problem)] if view.problem else []
    lines += [("note", note) for note in view.notes]
    click.echo(shown_line(f"{view.name}{f': {view.doc}' if view.doc else ''}"))
    for name, text in lines:
        click.echo(f"  {name:<10}{shown_line(text)}")


def _types(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} ({type_})" if type_ else name for name, type_ in columns.items())


def _progress(view: str, share: float) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{view}: {share:4.0%}", err=True, nl=share >= 1)


def _came_to(one: dict[str, Any]) -> str:
    if "note" in one:
        return f"nothing done: {one['note']}. --force reads the window again"
    window = f"until {one['until']}" if one["since"] is None else f"from {one['since']} until {one['until']}"
    if one["rows"] is None:
        return f"online {window}"
    if one["rows"] == 0:
        return f"nothing new {window}"
    return f"{one['rows']:,} {'entity' if one['rows'] == 1 else 'entities'} {window}"
