"""Functions of the platform's own that Airflow calls: imported in the DAG file by their paths, never pasted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from turnout.plugin_api import Plan, options_of, pysource
from turnout_airflow.settings import Callbacks, DagOptions, TaskOptions

OF_RUNS = ("on_success_callback", "on_failure_callback")
"""The options of a pipeline that name functions which are imported."""
OF_TASKS = tuple(name for name in TaskOptions.__struct_fields__ if name.endswith("_callback"))
"""Those of a step."""


def several(given: Callbacks) -> tuple[str, ...]:
    """The paths of an option that takes one or more."""
    return (given,) if isinstance(given, str) else given


def names(plan: Plan, used: Iterable[str]) -> dict[str, str]:
    """For the path of each function a name in the DAG file that is none of those in use."""
    return pysource.distinct({path: path.partition(":")[2] for path in _paths(plan)}, used)


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
    return [*(pysource.imported(module, functions) for module, functions in modules.items()), *renamed]


def argument(given: Callbacks, named: dict[str, str]) -> Any:
    """An option as an argument: a function, or a list of functions; None where there is none."""
    functions = [pysource.Code(named[path]) for path in several(given)]
    return functions[0] if isinstance(given, str) else functions or None


def _paths(plan: Plan) -> Iterator[str]:
    of_steps = (options_of(step, TaskOptions) for step in plan.steps if step.options)
    for options, fields in [(options_of(plan, DagOptions), OF_RUNS), *((own, OF_TASKS) for own in of_steps)]:
        for name in fields:
            yield from several(getattr(options, name))
