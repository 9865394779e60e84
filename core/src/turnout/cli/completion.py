"""``turnout completion``, and what a shell then offers: pipelines, stacks, runs and steps by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

if TYPE_CHECKING:
    import ast

VARIABLE = "_TURNOUT_COMPLETE"
"""Set by the shell's script when it asks what could come next."""
SHELLS = ("bash", "zsh", "fish")
NEWEST = 30
"""So many runs are offered."""
HIDDEN = {"node_modules", "site-packages", "__pycache__"}


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes turnout's commands in SHELL.

    \b
    bash   echo 'eval "$(turnout completion bash)"' >> ~/.bashrc
    zsh    echo 'eval "$(turnout completion zsh)"' >> ~/.zshrc
    fish   turnout completion fish > ~/.config/fish/completions/turnout.fish
    """
    from turnout.cli.app import application

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(application, {}, "turnout", VARIABLE).source())


class Offered(click.types.StringParamType):
    """A word that a shell can complete."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What there is that starts so. A shell asks while someone types: no answer is better than an error."""
        try:
            return [item for item in self.offer(ctx) if str(item.value).startswith(incomplete)]
        except Exception:
            return []


def attach(command: click.Command) -> None:
    """Let a command's words be completed, by what its help calls them: PIPELINE, RUN, STEP, STACK.

    A name means the same in every command, so those of plugins are completed too.
    """
    for parameter in command.params:
        called = (parameter.metavar or parameter.human_readable_name).strip("[].")
        if called in OFFERS:
            parameter.type = Offered(OFFERS[called])
    if isinstance(command, click.Group):
        for child in command.commands.values():
            attach(child)


def pipelines(_: click.Context) -> Iterator[CompletionItem]:
    """For a shell to complete: the pipelines in the files below this folder, read and not run."""
    import ast

    for path in sorted(_sources(Path()), key=lambda path: (len(path.parts), path)):
        try:
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text) if "pipeline" in text else ast.Module(body=[], type_ignores=[])
        except (OSError, UnicodeDecodeError, SyntaxError):
            continue
        found = [
            node
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and any(_is_pipeline(one) for one in node.decorator_list)
        ]
        for node in found:
            about = (ast.get_docstring(node) or node.name).partition("\n")[0]
            yield CompletionItem(str(path) if len(found) == 1 else f"{path}:{node.name}", help=about)


def _is_pipeline(decorator: ast.expr) -> bool:
    import ast

    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called) in ("pipeline", "turnout.pipeline")


def _sources(folder: Path, depth: int = 3) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.suffix == ".py" and path.is_file():
            yield path
        elif depth and path.is_dir() and not path.name.startswith(".") and path.name not in HIDDEN:
            yield from _sources(path, depth - 1)


def stacks(_: click.Context) -> Iterator[CompletionItem]:
    """The stacks that have a name."""
    from turnout.project.project import load, root_of
    from turnout.stack import location as sources

    for source in sources.stacks(load(root_of(Path.cwd()))):
        yield CompletionItem(source.name)


def runs(context: click.Context) -> Iterator[CompletionItem]:
    """The newest runs of the stack."""
    from turnout.api.listing import runs as listed

    yield CompletionItem("latest", help="the newest run")
    for run in listed(stack=context.params.get("stack"))[:NEWEST]:
        yield CompletionItem(run.id, help=f"{run.info.pipeline}, {run.info.created}")


def steps(context: click.Context) -> Iterator[CompletionItem]:
    """The steps of the run that was named before."""
    from turnout.api.run import Run

    run = context.params.get("run") or context.params.get("pipeline")
    if isinstance(run, str):
        for step in Run(run, stack=context.params.get("stack")).plan.steps:
            yield CompletionItem(step.name, help=step.doc.partition("\n")[0])


Offer = Callable[[click.Context], Iterator[CompletionItem]]
OFFERS: dict[str, Offer] = {"PIPELINE": pipelines, "STACK": stacks, "RUN": runs, "STEP": steps}
