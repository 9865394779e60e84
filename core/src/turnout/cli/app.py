"""The command ``turnout``: its commands by name, imported when one is called."""

from __future__ import annotations

import importlib
import os
from typing import Any

import click

from turnout import __version__
from turnout.components import discovery

COMMANDS = {
    "init": ("turnout.cli.init:init", "Write a small project that runs and passes its test at once."),
    "run": ("turnout.cli.run:run", "Run PIPELINE on a stack and follow it to its end."),
    "export": (
        "turnout.cli.export:export",
        "Write the engine's own files for PIPELINE, and all that its workers need.",
    ),
    "publish": ("turnout.cli.publish:publish", "Place PIPELINE where its engine finds it, with its schedule."),
    "unpublish": ("turnout.cli.publish:unpublish", "Take a published PIPELINE and its schedule away again."),
    "explain": (
        "turnout.cli.explain:explain",
        "Show how a pipeline is planned for a stack, or why a step ran as it did.",
    ),
    "deploy": ("turnout.cli.deploy:deploy", "Serve ENDPOINT over HTTP by the stack's deployer."),
    "endpoints": ("turnout.cli.endpoints:endpoints", "List endpoints, look into one, go forward or back, remove one."),
    "verify": ("turnout.cli.verify:verify", "Compare what a pipeline comes to on two stacks, or two runs."),
    "debug": ("turnout.cli.debug:debug", "Run a step of a run once more, as it was; nothing is stored."),
    "runs": ("turnout.cli.runs:runs", "List runs, show and compare them, read a step's log, stop one."),
    "artifacts": ("turnout.cli.artifacts:artifacts", "List, show and load what steps made."),
    "promote": ("turnout.cli.promote:promote", "Give an artifact an alias, here or on another stack."),
    "features": ("turnout.cli.features:features", "Describe, check and materialize the features of the stack's store."),
    "image": ("turnout.cli.image:image", "Build container images for the steps of a pipeline."),
    "index": ("turnout.cli.index:index", "Rebuild the index by which runs and artifacts are listed."),
    "stack": ("turnout.cli.stack:stack", "List, show, check and compare stacks."),
    "plugin": ("turnout.cli.plugin:plugin", "List plugins, write a new one, find what is wrong with them."),
    "completion": ("turnout.cli.completion:completion", "Print the script that completes commands in a shell."),
}
"""Each built-in command: where it is defined, and its line in the help."""


class Commands(click.Group):
    """The built-in commands, and behind them those of plugins, which are looked for only when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, plugins' commands last."""
        return [*COMMANDS, *(name for name in _plugin_commands() if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; where a shell asks what could come next, with its words ready to be completed."""
        command: click.Command | None
        if cmd_name in COMMANDS:
            module, _, name = COMMANDS[cmd_name][0].partition(":")
            command = getattr(importlib.import_module(module), name)
        else:
            command = _plugin_commands().get(cmd_name)
        if command is not None and "_TURNOUT_COMPLETE" in os.environ:
            importlib.import_module("turnout.cli.completion").attach(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is refused with the nearest name."""
        word = args[0]  # click may take it from the list
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from turnout.base.errors import did_you_mean

            hint = did_you_mean(word, self.list_commands(ctx))
            raise click.UsageError(f"No such command {word!r}. {hint}".rstrip(), ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing the built-in ones."""
        rows = [(name, line) for name, (_, line) in COMMANDS.items()]
        rows += [(name, command.get_short_help_str(60)) for name, command in _plugin_commands().items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _plugin_commands() -> dict[str, Any]:
    if all(name == "turnout" for name, _ in discovery.places()):
        return {}
    from turnout.components.kinds import COMMAND
    from turnout.components.registry import discover

    return {str(command.name): command for command in discover().all(COMMAND)}


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "color": True}
)
@click.version_option(__version__, prog_name="turnout")
def application() -> None:
    """One pipeline definition for the MLOps tools a team already has.

    PIPELINE is module:name or path.py:name; the name may be left out where there is one pipeline.
    """
