"""Functions of the platform's own that Airflow calls: imported in the DAG file by their paths, never pasted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from turnout.plugin_api import Plan
from turnout_airflow.settings import Callbacks, dag_options, task_options
from turnout_airflow.source import Code, imported, nested

OF_RUNS = ("on_success_callback", "on_failure_callback")
"""The options of a pipeline that name functions which are imported."""
OF_TASKS = (
    "on_execute_callback",
    "on_success_callback",
    "on_failure_callback",
    "on_retry_callback",
    "on_skipped_callback",
)
"""Those of a step."""


def several(given: Callbacks) -> tuple[str, ...]:
    """The paths of an option that takes one or more."""
    return (given,) if isinstance(given, str) else given


def names(plan: Plan, taken: Iterable[str]) -> dict[str, str]:
    """For the path of each function a name in the DAG file that is none of those taken."""
    used = set(taken)
    found: dict[str, str] = {}
    for path in _paths(plan):
        name = path.partition(":")[2]
        while path not in found and name in used:
            name += "_"
        found.setdefault(path, name)
        used.add(name)
    return found


def imports(named: dict[str, str]) -> list[str]:
    """The lines that import them."""
    modules: dict[str, list[str]] = {}
    renamed = []
    for path, name in sorted(named.items()):
        module, _, function = path.partition(":")
        if name == function:
            modules.setdefault(module, []).append(function)
        else:
            renamed.append(f"from {module} import {function} as {name}")
    return [*(imported(module, functions) for module, functions in modules.items()), *renamed]


def argument(given: Callbacks, named: dict[str, str]) -> Code:
    """An option as an argument: a function, or a list of functions."""
    if isinstance(given, str):
        return Code(named[given])
    return nested("[", [named[path] for path in given], "]")


def _paths(plan: Plan) -> Iterator[str]:
    options = dag_options(plan)
    for name in OF_RUNS:
        yield from several(getattr(options, name))
    for step in plan.steps:
        own = task_options(step)
        for name in OF_TASKS:
            yield from several(getattr(own, name))
