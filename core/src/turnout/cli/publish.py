"""``turnout publish`` and ``turnout unpublish``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from turnout.cli.options import json_option, print_json, stack_option

if TYPE_CHECKING:
    from turnout.api.workspace import Workspace
    from turnout.base.errors import TurnoutError
    from turnout.model.plan import Plan


@click.command()
@click.argument("pipeline")
@stack_option
@click.option("--accept", multiple=True, metavar="CAPABILITY", help="Go without something the stack cannot give.")
@json_option
def publish(pipeline: str, stack: str | None, accept: tuple[str, ...], as_json: bool) -> None:
    """Place PIPELINE where its engine finds it, and activate its schedule. Runs nothing.

    Plan, code and local files go to the artifact store.
    """
    from turnout.api.launch import Launch
    from turnout.cli.target import find_pipeline

    launch = Launch.of(find_pipeline(pipeline), stack=stack, accept=accept)
    place = launch.activate()
    if as_json:
        print_json({"pipeline": launch.plan.name, "plan": launch.plan.digest, "place": place})
        return
    for note in [*launch.planned.notes, *launch.compiled.notes]:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{launch.plan.name} is at {place}")


@click.command()
@click.argument("pipeline")
@stack_option
@click.option("--accept", multiple=True, metavar="CAPABILITY", help="Go without something the stack cannot give.")
@json_option
def unpublish(pipeline: str, stack: str | None, accept: tuple[str, ...], as_json: bool) -> None:
    """Take a published PIPELINE and its schedule away again. Its runs and what they made stay.

    One that has another name by now, or is not there any more, is named by the id that its engine shows.
    """
    from turnout.api.launch import Launch
    from turnout.api.withdrawal import withdraw
    from turnout.api.workspace import Workspace
    from turnout.base.errors import TurnoutError
    from turnout.cli.target import find_pipeline

    try:
        launch = Launch.of(find_pipeline(pipeline), stack=stack, accept=accept)
        workspace, plan = launch.workspace, launch.plan
    except TurnoutError as error:
        workspace = Workspace.here(stack)
        plan = _published(workspace, pipeline, error)
    place = withdraw(workspace, plan)
    if as_json:
        print_json({"pipeline": plan.name, "place": place})
    else:
        click.echo(f"{plan.name} is gone from {place}")


def _published(workspace: Workspace, target: str, error: TurnoutError) -> Plan:
    """The plan that was published under an id; of a pipeline of this project its name will do.

    Raises:
        TurnoutError: *error*, where there is none; it then names the ids that there are.
    """
    from turnout.api.withdrawal import published

    plans = published(workspace)
    names = {plan.name: plan for plan in plans.values() if plan.project == workspace.project.name}
    plan = plans.get(target) or names.get(target.rpartition(":")[2])
    if plan is None:
        if plans:
            error.fix = f"{error.fix or 'correct the name'}; or name what is published by its id: {', '.join(plans)}"
        raise error
    return plan
