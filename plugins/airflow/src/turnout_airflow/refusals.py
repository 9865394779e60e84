"""What no DAG can be: found while planning, because Airflow itself would say it late or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from turnout.plugin_api import Graph, Plan, PlanError, options_of, see_defaults
from turnout_airflow.settings import TaskOptions

LONGEST_TASK = 200
LONGEST_LIST = 250
LONGEST_ASSET = 1500


def check(plan: Plan) -> None:
    """See that Airflow can hold a plan, and that its schedule can start a run.

    Raises:
        PlanError: for a schedule that could never start a run, or a name that Airflow does not take.
    """
    if plan.instance == "run" or not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", plan.instance):
        raise PlanError(
            f"the instance {plan.instance[:60]!r} cannot be part of a DAG's id",
            why="letters, digits, underscores, dots and dashes can, 40 at most; `run` marks the DAGs of submitted runs",
            fix="give the orchestrator another instance in the stack",
        )
    if plan.schedule is not None:
        _check_schedule(plan)
    for step in plan.steps:
        if len(step.name) > LONGEST_TASK:
            raise PlanError(
                f"the step {step.name[:40]}… has a name of {len(step.name)} characters with its sub-pipelines'",
                why="Airflow allows 250 for a task, with room for what belongs to it",
                fix="give it or a sub-pipeline a shorter name: .named(…)",
            )
    for name, outputs in Graph(plan).lists.items():
        for output in outputs[1:]:
            if (length := len(f"{name}-{output}")) > LONGEST_LIST:
                raise PlanError(
                    f"the output {output[:40]}… of the step {name[:40]}… is mapped over by a task with a name "
                    f"of {length} characters",
                    why=f"Airflow allows {LONGEST_LIST}",
                    fix="give the output, the step or a sub-pipeline a shorter name",
                )
    for name, where in _assets(plan):
        if reason := _problem(name):
            raise PlanError(
                f"{where} has the asset {name[:60]!r}, which Airflow does not take: {reason}",
                why="Airflow then never shows the DAG, and says so in the log of its DAG processor only",
                fix="give it another name, the same wherever it is an outlet or a schedule",
            )


def _check_schedule(plan: Plan) -> None:
    see_defaults(plan, "Airflow")
    ends = [spec.name for spec in plan.params if spec.source.startswith("interval")]
    if ends and plan.schedule is not None and plan.schedule.assets:
        raise PlanError(
            f"{plan.name} is scheduled by assets, and its parameter {ends[0]!r} is an end of the run's interval",
            why="a run that an asset starts has no interval",
            fix="use LOGICAL_TIME, or a schedule by time",
        )


def _assets(plan: Plan) -> Iterator[tuple[str, str]]:
    """The names of all assets, each with where it is used."""
    for name in plan.schedule.assets if plan.schedule is not None else ():
        yield name, f"the schedule of {plan.name}"
    for step in plan.steps:
        for name in options_of(step, TaskOptions).outlets:
            yield name, f"the step {step.name}"


def _problem(name: str) -> str | None:
    if not name.strip():
        return "it is empty"
    if not name.isascii():
        return "it is not ASCII"
    if len(name) > LONGEST_ASSET:
        return f"it has {len(name)} characters, {LONGEST_ASSET} are allowed"
    if name in {"self", "context"} or name.lower().startswith("airflow:"):
        return "Airflow keeps it for itself"
    try:
        urlsplit(name)
    except ValueError:
        return "it begins like a URL and is none"
    return None
