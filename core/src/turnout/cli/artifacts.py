"""``turnout artifacts``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from turnout.cli import gc as collection
from turnout.cli import listing
from turnout.cli.options import CommandT, json_option, print_json, shown_time, stack_option, table
from turnout.cli.profiles import print_profile
from turnout.model.records import Artifact, OutputRecord, Record

if TYPE_CHECKING:
    from turnout.api.aliases import Named, Source
    from turnout.api.steprun import StepRun


@click.group()
def artifacts() -> None:
    """List, show and load what steps made, also by their aliases."""


artifacts.add_command(listing.list_artifacts)
artifacts.add_command(collection.gc)


def _from_option(command: CommandT) -> CommandT:
    return click.option(
        "--from",
        "source",
        type=click.Choice(["store", "tracker"]),
        help="Where to look for an alias; else in the store, then in the tracker's registry.",
    )(command)


@artifacts.command()
@click.argument("run")
@click.argument("step", required=False)
@click.argument("output", required=False)
@_from_option
@stack_option
@json_option
def show(
    run: str, step: str | None, output: str | None, source: Source | None, stack: str | None, as_json: bool
) -> None:
    """Show an output of STEP (or STEP.INDEX) of RUN: what it is, what it was made from, where it lies.

    An alias in place of RUN, without a STEP, shows what it names.
    """
    documents: list[dict[str, Any]] = []
    if step is None:
        named = _named(run, stack, source)
        documents.append(_document(named.label, named.output, named.artifact, named.record) | _naming(named))
    else:
        from turnout.api.run import Run

        for part in Run(run, stack=stack)[step].checked(output).parts:
            for name, one in _outputs(part, output):
                for number, artifact in one.numbered:
                    shown = name if number is None else f"{name}[{number}]"
                    documents.append(_document(part.label, shown, artifact, part.record))
    if as_json:
        print_json(documents)
        return
    for document in documents:
        click.echo(f"{document['step']}: {document['output']}")
        for key in ("run", "set", "registered", "name", "type", "digest", "materializer", "bytes", "where", "value"):
            if document.get(key) is not None:
                click.echo(f"  {key:<13} {document[key]}")
        for name, given in document["inputs"].items():
            shown = ", ".join(digest[:12] for digest in given) if isinstance(given, list) else given
            click.echo(f"  {'input':<13} {name} = {shown}")
        if document["profile"] is not None:
            print_profile(document["profile"])


def _named(alias: str, stack: str | None, source: Source | None) -> Named:
    """What an alias names; a run in its place is told what is missing.

    Raises:
        ConfigError: when there is no such alias.
    """
    from turnout.api.aliases import artifact as find
    from turnout.api.run import Run
    from turnout.base.errors import ConfigError

    try:
        return find(alias, stack=stack, source=source)
    except ConfigError as error:
        try:
            found = Run(alias, stack=stack)
        except ConfigError:
            raise error from None
        steps = [step.name for step in found.plan.steps if step.outputs]
        typed = f"{click.get_current_context().command_path} {alias}"
        others = f"; its others are: {', '.join(steps[:-1])}" if steps[1:] else ""
        raise ConfigError(
            f"{alias!r} is a run, and no alias: its step is missing",
            fix=f"name it: {typed} {steps[-1]}{others}" if steps else f"see its steps: turnout runs show {alias}",
        ) from None


def _document(label: str, output: str, artifact: Artifact, record: Record | None) -> dict[str, Any]:
    from turnout.stores import layout

    inputs = {} if record is None else record.inputs
    return {
        "step": label,
        "output": output,
        "name": artifact.name or None,
        "digest": artifact.digest,
        "type": artifact.type,
        "materializer": artifact.materializer,
        "bytes": artifact.size,
        "where": "in the record" if artifact.inline else layout.artifact(artifact.digest),
        "value": artifact.value if artifact.inline else None,
        "profile": artifact.profile,
        "inputs": {name: list(given.digests) or given.value for name, given in inputs.items()},
    }


def _naming(named: Named) -> dict[str, Any]:
    """What is shown of an artifact that was found by its alias, besides."""
    setting = named.alias
    return {
        "run": named.info.id,
        "set": None if setting is None else f"{shown_time(setting.time)} UTC by {setting.by}",
        "registered": named.registered,
    }


def _outputs(step: StepRun, wanted: str | None) -> list[tuple[str, OutputRecord]]:
    """The outputs of a committed step, or the one of a name, which may be that of something it logged."""
    record = step.record
    if wanted is not None and wanted not in record.outputs:
        one = record.logged.artifacts.get(wanted)
        return [] if one is None else [(wanted, OutputRecord(artifact=one))]
    return [(name, one) for name, one in record.outputs.items() if wanted in (None, name)]


@artifacts.command()
@click.argument("run")
@click.argument("step", required=False)
@click.argument("output", required=False)
@_from_option
@stack_option
@click.option("--to", type=click.Path(path_type=Path), help="Copy the artifact's files into this new folder.")
@json_option
def load(
    run: str,
    step: str | None,
    output: str | None,
    source: Source | None,
    stack: str | None,
    to: Path | None,
    as_json: bool,
) -> None:
    """Load an output of STEP (or STEP.INDEX) of RUN, or what it logged, verified, and print it, or copy its files.

    An alias in place of RUN, without a STEP, loads what it names. Printing needs the packages that the value is made
    of; copying needs none. A file is put into .turnout/loaded, and its path printed. --json prints numbers, texts,
    lists and dicts, or where they were copied to.
    """
    if to is not None and to.exists():
        from turnout.base.errors import ConfigError

        raise ConfigError(f"{to} exists already", fix="give a folder that does not exist yet")
    if to is None:
        from turnout.project.project import load as load_project
        from turnout.project.project import root_of

        load_project(root_of(Path())).on_path()  # its values are of its own classes
    if step is None:
        named = _named(run, stack, source)
        if to is None:
            _print(_paths_as_texts(named.load()), as_json=as_json)
        else:
            named.copy_to(to)
            _print_paths([to], as_json=as_json)
        return
    from turnout.api.run import Run

    found = Run(run, stack=stack)
    if to is None:
        _print(_paths_as_texts(found[step].load(output)), as_json=as_json)
        return
    from turnout.project import written

    copied = []
    for part in found[step].checked(output).parts:
        for name, one in _outputs(part, output):
            for number, artifact in one.numbered:
                folder = to if part.index is None else to / str(part.index)
                target = folder / name if number is None else folder / name / str(number)
                found.artifacts.copy_to(artifact, target)
                copied.append(target)
    if copied:
        written.mark_all(to)
    _print_paths(copied, as_json=as_json)


def _paths_as_texts(value: Any, within: tuple[Any, ...] = ()) -> Any:
    """A value to be printed: of a file or folder the path to where it was put."""
    from turnout.files import File, Folder

    if isinstance(value, list) and not any(value is outer for outer in within):
        return [_paths_as_texts(item, (*within, value)) for item in value]
    return str(value) if isinstance(value, (File, Folder)) else value


def _print(value: Any, *, as_json: bool) -> None:
    from turnout.base.errors import ConfigError
    from turnout.materializers import plain

    try:
        if as_json:
            print_json(plain.simplify(value))
        else:
            click.echo(value if isinstance(value, str) else repr(value))
    except Exception as error:  # a project's class is shown by code of the project; an int may have too many digits
        raise ConfigError(
            f"a value of type {type(value).__name__} cannot be printed{' as JSON' if as_json else ''}",
            why=f"{type(error).__name__}: {error}",
            fix="copy its files: --to FOLDER; in Python, load()",
        ) from None


def _print_paths(paths: list[Path], *, as_json: bool) -> None:
    if as_json:
        print_json([str(path) for path in paths])
        return
    for path in paths:
        click.echo(str(path))


@artifacts.command()
@click.argument("alias", required=False)
@click.option("--remove", is_flag=True, help="Let ALIAS name nothing from now on; its history stays.")
@stack_option
@json_option
def aliases(alias: str | None, remove: bool, stack: str | None, as_json: bool) -> None:
    """List the aliases and what they name, or all that ALIAS has named: who set it, when, from which run."""
    from turnout.api import aliases as known
    from turnout.api.workspace import Workspace

    if remove and alias is None:
        raise click.UsageError("--remove needs the ALIAS")
    workspace = Workspace.here(stack)
    if remove:
        known.remove(workspace, alias or "")
    found = known.current(workspace) if alias is None else known.history(workspace, alias)
    if as_json:
        print_json([known.document(one) for one in found])
        return
    table(
        ["alias", "run", "step", "output", "digest", "set", "by"],
        [
            (
                one.name,
                one.run.id,
                one.label,
                one.output,
                "removed" if one.removed else one.artifact.digest[:12],
                shown_time(one.time),
                one.by,
            )
            for one in found
        ],
    )
    if not found:
        click.echo(f"no aliases of {workspace.project.name}; set one: turnout promote RUN STEP --alias NAME", err=True)
