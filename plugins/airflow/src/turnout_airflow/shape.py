"""What of a plan decides the shape of its DAG: which lists are mapped over, what may be skipped, names of variables."""

from __future__ import annotations

import keyword
from functools import cached_property

from turnout.plugin_api import Collected, Element, Output, Plan, StepPlan
from turnout_airflow import callbacks

LONGEST_VARIABLE = 40
"""How many characters of a step's name are the name of its variable: two of them fit onto a line."""
FINISH = "finish-run"
"""The id of the task that marks the end; no step can have it, for their names have no hyphen."""


class Shape:
    """A plan as Airflow sees it.

    Args:
        reserved: names that its file uses, which are no step's and no callback's.
    """

    def __init__(self, plan: Plan, reserved: frozenset[str] = frozenset()) -> None:
        self.plan = plan
        self._reserved = reserved

    @cached_property
    def _roots(self) -> dict[str, tuple[str, str]]:
        """For each mapped step the step and output whose length it has."""
        found: dict[str, tuple[str, str]] = {}
        for step in self.plan.steps:
            for given in step.inputs.values() if step.mapped else ():
                if isinstance(source := given.source, Element) and step.name not in found:
                    found[step.name] = found.get(source.step, (source.step, source.output))
        return found

    def root(self, step: str) -> tuple[str, str]:
        """The step and output whose length a mapped step has."""
        return self._roots[step]

    @cached_property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """For each step with outputs that are mapped over, those outputs."""
        found: dict[str, list[str]] = {}
        for name, output in dict.fromkeys(self._roots.values()):
            found.setdefault(name, []).append(output)
        return {name: tuple(outputs) for name, outputs in found.items()}

    @cached_property
    def skippable(self) -> frozenset[str]:
        """The steps that may be skipped: guarded ones, and those that need a skipped one."""
        found: set[str] = set()
        for step in self.plan.steps:
            needed = [
                given.source.step
                for given in step.inputs.values()
                if isinstance(given.source, (Output, Element, Collected))
                and (step.kind == "gate" or not _optional(given))
            ]
            if step.guards or found.intersection(needed):
                found.add(step.name)
        return frozenset(found)

    def meets_skips(self, step: StepPlan) -> bool:
        """Whether something before a step may be skipped that does not skip the step, as the runtime sees it.

        A mapped step without elements is skipped to Airflow, and a list of none to the runtime. Where a mapped step is
        to be skipped with what comes before it, Airflow may do so at once.
        """
        if not step.mapped:
            return any(name in self.skippable or self.plan.by_name[name].mapped for name in step.upstream)
        return any(
            isinstance(given.source, Collected)
            or (isinstance(given.source, Output) and given.source.step in self.skippable and _optional(given))
            for given in step.inputs.values()
        )

    @cached_property
    def ends(self) -> tuple[str, ...]:
        """The steps that nothing comes after."""
        return tuple(name for name, after in self.plan.downstream.items() if not after)

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The sub-pipelines, outer ones first, in the order of the plan."""
        paths = [step.group[: n + 1] for step in self.plan.steps for n in range(len(step.group))]
        return tuple(dict.fromkeys(paths))

    @cached_property
    def callbacks(self) -> dict[str, str]:
        """A name in the file for each function that Airflow is to call, by its path."""
        return callbacks.names(self.plan, self._reserved)

    @cached_property
    def variables(self) -> dict[str, str]:
        """A variable's name for each step, for each group (``a.b.``), and for each further list (``step:output``)."""
        found: dict[str, str] = {}
        used = {*self._reserved, *self.callbacks.values()}
        further = [f"{name}:{output}" for name, outputs in self.lists.items() for output in outputs[1:]]
        groups = [".".join(path) + "." for path in self.groups]
        for name in (*self.plan.by_name, *groups, *further):
            plain = name.rstrip(".").replace(".", "_").replace(":", "_")[:LONGEST_VARIABLE]
            while plain in used or keyword.iskeyword(plain) or keyword.issoftkeyword(plain):
                plain += "_"
            found[name] = plain
            used.add(plain)
        return found


def _optional(given: object) -> bool:
    return bool(getattr(getattr(given, "type", None), "optional", False))
