"""``turnout plugin``."""

from __future__ import annotations

from pathlib import Path

import click

from turnout.cli.options import json_option, print_json, stack_option
from turnout.components.registry import KINDS


@click.group()
def plugin() -> None:
    """List the installed plugins and what they bring; write a new one; find what is wrong with them."""


@plugin.command("list")
@click.option("--capabilities", is_flag=True, help="Show what each orchestrator and deployer can do, as Markdown.")
@json_option
def list_(capabilities: bool, as_json: bool) -> None:
    """List every plugin with its components by kind; one that is broken, with the reason and the fix."""
    from turnout.components.registry import discover

    if capabilities:
        from turnout.cli.capabilities import capabilities as said
        from turnout.cli.capabilities import markdown

        if as_json:
            print_json(said(discover()))
        else:
            click.echo(markdown(discover()), nl=False)
        return
    plugins = discover().plugins()
    if as_json:
        print_json(plugins)
        return
    for info in plugins:
        source = f" ({info.distribution} {info.version})" if info.distribution else ""
        click.echo(f"{info.name}{source}")
        for kind, names in info.components.items():
            click.echo(f"  {kind.replace('_', ' ')}: {', '.join(names)}")
        for problem in info.problems:
            click.echo(f"  problem: {problem.cause}")
            click.echo(f"    fix: {problem.fix}")


@plugin.command()
@click.argument("name")
@click.option("--kind", required=True, type=click.Choice(list(KINDS)), help="What the plugin brings.")
@click.option("--to", "folder", type=click.Path(path_type=Path), help="The folder to write; else turnout-NAME here.")
def new(name: str, kind: str, folder: Path | None) -> None:
    """Write a package with a component NAME that installs and whose tests pass at once, to be changed.

    A folder that holds anything already is never written to.
    """
    from turnout.base.errors import ConfigError
    from turnout.cli.app import COMMANDS
    from turnout.cli.scaffold import NewPlugin
    from turnout.components.registry import discover

    files = NewPlugin(name, kind).files()
    registry = discover()
    if name in registry.names(kind) or (kind == "command" and name in COMMANDS):
        owner = registry.distribution(kind, name) or "turnout"
        what = f"there is a {kind.replace('_', ' ')} {name!r} already, brought by {owner}"
        raise ConfigError(what, fix="choose another name: of two of one name, neither can be used")
    target = folder or Path(f"turnout-{name}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is there already, and not empty", fix="give another folder: --to DIR")
    for path, text in files.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text, encoding="utf-8")
        click.echo(f"wrote {target / path}")
    click.echo(f"\ntry next\n  cd {target}\n  pip install -e '.[test]'\n  pytest\n  turnout plugin doctor")


@plugin.command()
@stack_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, stack: str | None, as_json: bool) -> None:
    """Find what is wrong with the installed plugins, and with those that a stack names. Exit 2 if there are errors."""
    from turnout.cli.doctor import examine
    from turnout.components.registry import discover
    from turnout.project.project import load, root_of

    findings = examine(discover(), load(root_of(Path.cwd())), stack)
    if as_json:
        print_json(findings)
    for finding in () if as_json else findings:
        click.echo(f"{finding.level}: {f'{finding.plugin}: ' if finding.plugin else ''}{finding.what}")
        if finding.fix:
            click.echo(f"  fix: {finding.fix}")
    if not findings and not as_json:
        click.echo("the plugins are in order")
    ctx.exit(2 if any(finding.level == "error" for finding in findings) else 0)
